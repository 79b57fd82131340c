use std::sync::Weak;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{Extension, Node};
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use tonic::Code;

use super::super::limits::{
    ANSWER_WITHIN, ASK_AFTER, FIRST_STREAM_WITHIN, FREE_NAMES, LONGEST_REQUEST, SHARED_BYTES,
};
use super::raw::Raw;
use super::support::*;
use crate::sds::stream::MOST_NAMES;

/// That somebody else is served as ever.
async fn others_are_served(service: &Running) {
    service.set("blue", "1");
    let mut stream = service.connect().await.stream(&["blue"]).await;
    assert_eq!(content(&stream.next().await.resources), ["blue=1"]);
}

#[tokio::test]
async fn garbage_ends_its_own_connection_alone() {
    let service = Running::start();
    let mut garbage = service.raw().await;
    garbage.write(&[0x17; 4096]).await;
    garbage.closed().await;
    let mut broken = service.raw().await;
    broken.begin(&[]).await;
    broken.frame(Raw::DATA, 0xff, 7, &[0xff; 100]).await;
    broken.closed().await;
    let mut halting = service.raw().await;
    halting.begin(&[]).await;
    halting.open(1, "StreamSecrets").await;
    halting.frame(Raw::DATA, 0, 1, &[0, 0, 0]).await;
    drop(halting);
    others_are_served(&service).await;
}

#[tokio::test]
async fn a_request_that_is_none_ends_its_stream_alone() {
    let service = Running::start();
    let mut client = service.connect().await;
    let mut good = client.stream(&["front"]).await;
    let service_name = "SecretDiscoveryService";
    for (method, code, words) in [
        ("StreamSecrets", Code::InvalidArgument, "a field is of another type"),
        ("DeltaSecrets", Code::InvalidArgument, "a field is of another type"),
        ("StealSecrets", Code::Unimplemented, service_name),
    ] {
        let method = format!("{service_name}/{method}");
        let status = client.status_of(&method, Wrong { names: 1 }).await;
        assert_eq!(status.code(), code, "{method}: {status:?}");
        assert!(status.message().contains(words), "{method}: {status:?}");
    }
    let mut raw = service.raw().await;
    raw.begin(&[]).await;
    raw.open(1, "StreamSecrets").await;
    // Said to be compressed.
    raw.frame(Raw::DATA, 0, 1, &[1, 0, 0, 0, 0]).await;
    raw.ended(1).await;
    raw.open(3, "StreamSecrets").await;
    // Said to be longer than anything.
    raw.frame(Raw::DATA, 0, 3, &[0, 0xff, 0xff, 0xff, 0xff]).await;
    raw.ended(3).await;
    service.set("front", "1");
    assert_eq!(content(&good.next().await.resources), ["front=1"]);
}

#[tokio::test]
async fn ten_thousand_names_end_their_stream_alone() {
    let service = Running::start();
    let mut client = service.connect().await;
    let mut good = client.stream(&["front"]).await;
    let names: Vec<_> = (0..10_000).map(|at| at.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bad = client.stream(&names).await;
    let status = bad.end().await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("1000 names"), "{status:?}");
    let most = client.stream(&names[..MOST_NAMES]).await;
    until("them on the board", || {
        let streams = service.deliveries.recipients();
        streams.iter().any(|stream| stream.names.len() == MOST_NAMES).then_some(())
    })
    .await;
    drop(most);
    service.set("front", "1");
    assert_eq!(content(&good.next().await.resources), ["front=1"]);
}

#[tokio::test]
async fn a_huge_node_is_passed_over_and_a_huger_one_refused() {
    let service = Running::start();
    service.set("front", "1");
    let mut client = service.connect().await;
    let request = |bytes: usize| {
        let extension = Extension { name: "x".repeat(bytes), ..Default::default() };
        let node = Node { extensions: vec![extension], ..node() };
        DiscoveryRequest { node: Some(node), ..ask(&["front"]) }
    };
    let mut stream = client.stream(&["blue"]).await;
    stream.send(request(LONGEST_REQUEST - 1000)).await;
    assert_eq!(content(&stream.next().await.resources), ["front=1"]);
    stream.send(request(LONGEST_REQUEST)).await;
    let status = stream.end().await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains(&LONGEST_REQUEST.to_string()), "{status:?}");
    others_are_served(&service).await;
}

#[tokio::test]
async fn what_is_sent_under_names_of_ones_own_is_drawn_from_what_all_share() {
    let service = Running::start();
    let names: Vec<_> = (0..FREE_NAMES + 10).map(|at| format!("front:{at}")).collect();
    service.set_alike(&names, SHARED_BYTES / 8);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut client = service.connect().await;
    let mut greedy = client.stream(&names).await;
    assert_eq!(greedy.end().await.unwrap().code(), Code::ResourceExhausted);
    others_are_served(&service).await;
}

#[tokio::test]
async fn a_slow_reader_keeps_no_more_than_one_response() {
    let mut service = Running::start();
    service.set_sized("front", "0", 100_000);
    let mut slow = service.raw().await;
    // An initial window of nothing (RFC 9113 section 6.5.2): it takes headers, and no data.
    slow.begin(&[(4, 0)]).await;
    slow.open(1, "StreamSecrets").await;
    slow.request(1, &ask(&["front"])).await;
    until("its request", || service.deliveries.recipients().first().map(|_| ())).await;
    let mut reader = service.connect().await.stream(&["front"]).await;
    let mut versions = Vec::new();
    let mut response = reader.next().await;
    for version in 1..50 {
        reader.send(accept(&["front"], &response)).await;
        versions.push(service.set_sized("front", &version.to_string(), 100_000));
        // Others are not held up.
        response = reader.next().await;
    }
    drop(reader);
    until("the rest to be dropped", || {
        let alive = versions.iter().filter(|version| Weak::upgrade(version).is_some()).count();
        (alive <= 2).then_some(())
    })
    .await;
    // Nor does it hold up the end.
    service.stop().await;
}

#[tokio::test]
async fn requests_in_a_tight_loop_hold_up_nobody() {
    let service = Running::start();
    let mut client = service.connect().await;
    let flood = client.stream(&["front"]).await;
    let requests = flood.requests.clone();
    let flooding = tokio::spawn(async move {
        for name in ["front:1", "front:2"].iter().cycle() {
            requests.send(ask(&[name])).await.unwrap();
        }
    });
    for version in 0..100 {
        service.set("blue", &version.to_string());
        let mut stream = service.connect().await.stream(&["blue"]).await;
        assert_eq!(stream.next().await.version_info, version.to_string());
    }
    assert!(!flooding.is_finished());
    flooding.abort();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_that_it_is_there_is_let_go() {
    let service = Running::start();
    let began = tokio::time::Instant::now();
    let mut raw = service.raw().await;
    raw.begin(&[]).await;
    raw.open(1, "StreamSecrets").await;
    raw.request(1, &ask(&["front"])).await;
    raw.closed().await;
    let took = began.elapsed();
    assert!(took >= ASK_AFTER && took < ASK_AFTER + 2 * ANSWER_WITHIN, "{took:?}");
    until("the board", || service.deliveries.recipients().is_empty().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_asks_for_nothing_is_let_go() {
    let service = Running::start();
    for begins in [false, true] {
        let began = tokio::time::Instant::now();
        let mut raw = service.raw().await;
        if begins {
            raw.begin(&[]).await;
        }
        raw.closed().await;
        let took = began.elapsed();
        assert!(took >= FIRST_STREAM_WITHIN && took < 2 * FIRST_STREAM_WITHIN, "{took:?}");
    }
    assert_eq!(FIRST_STREAM_WITHIN, Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_found_while_the_grant_goes_is_not_sent() {
    let service = Running::start();
    service.set("front", "1");
    service.set("blue", "1");
    service.grant_after_a_look(&["blue"]);
    let mut stream = service.connect().await.stream(&["front"]).await;
    until("it is held", || {
        let names = service.deliveries.recipients().first()?.names.clone();
        names.first().map(|_| ())
    })
    .await;
    stream.send(ask(&["front", "blue"])).await;
    assert_eq!(content(&stream.next().await.resources), ["blue=1"]);
}
