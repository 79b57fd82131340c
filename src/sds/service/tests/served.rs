use super::support::*;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, Resource};

#[tokio::test]
async fn a_held_name_is_pushed_when_it_is_there_and_awaited_until_then() {
    let service = Running::start();
    let mut client = service.connect().await;
    let mut stream = client.stream(&["front"]).await;
    until("a lease", || service.is_awaited("front").then_some(())).await;
    service.set("front", "1");
    let response = stream.next().await;
    assert_eq!(content(&response.resources), ["front=1"]);
    assert_eq!(response.version_info, "1");
    assert!(!service.is_awaited("front"));
    let who = service.deliveries.recipients().remove(0);
    assert_eq!(who.who.to_string(), "front-1 (uid 1337)");
    assert_eq!((who.who.cluster.as_str(), who.who.agent.as_str()), ("front", "envoy"));
    let subscription = &who.names[0].1;
    assert_eq!((subscription.sent.as_deref(), &subscription.accepted), (Some("1"), &None));
    stream.send(accept(&["front"], &response)).await;
    until("the acceptance", || {
        let names = service.deliveries.recipients().remove(0).names;
        (names[0].1.accepted.as_deref() == Some("1")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wait_ends_with_its_stream() {
    let service = Running::start();
    let mut client = service.connect().await;
    let stream = client.stream(&["front"]).await;
    until("a lease", || service.is_awaited("front").then_some(())).await;
    drop(stream);
    until("its end", || (!service.is_awaited("front")).then_some(())).await;
    until("the board", || service.deliveries.recipients().is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_is_rejected_is_told_and_replaced_when_it_changes() {
    let service = Running::start();
    service.set("front", "1");
    let mut stream = service.connect().await.stream(&["front"]).await;
    let response = stream.next().await;
    stream.send(reject(&["front"], &response, "bad\u{1b}[2J key")).await;
    let rejection = until("the rejection", || {
        service.deliveries.recipients().remove(0).names.remove(0).1.rejected
    })
    .await;
    assert_eq!((rejection.version.as_str(), rejection.why.as_str()), ("1", "bad\\u{1b}[2J key"));
    service.set("front", "2");
    assert_eq!(content(&stream.next().await.resources), ["front=2"]);
}

#[tokio::test]
async fn streams_of_one_connection_are_served_apart() {
    let service = Running::start();
    service.set("front", "1");
    let mut client = service.connect().await;
    let mut front = client.stream(&["front", "nobody"]).await;
    let mut blue = client.stream(&["blue"]).await;
    let mut delta = client.delta(&["green"]).await;
    assert_eq!(content(&front.next().await.resources), ["front=1"]);
    service.set("blue", "1");
    assert_eq!(content(&blue.next().await.resources), ["blue=1"]);
    service.set("green", "1");
    let response = delta.next().await;
    assert_eq!((response.resources[0].name.as_str(), response.nonce.as_str()), ("green", "1"));
    drop(blue);
    service.set("front", "2");
    assert_eq!(content(&front.next().await.resources), ["front=2"]);
}

#[tokio::test]
async fn names_come_and_go_in_mid_stream() {
    let service = Running::start();
    service.set("front", "1");
    service.set("blue", "1");
    let mut client = service.connect().await;
    let mut stream = client.stream(&["front"]).await;
    let response = stream.next().await;
    stream.send(accept(&["front", "blue"], &response)).await;
    let response = stream.next().await;
    assert_eq!(content(&response.resources), ["front=1", "blue=1"]);
    stream.send(accept(&["blue"], &response)).await;
    until("the board", || {
        let names = service.deliveries.recipients().remove(0).names;
        (names.len() == 1 && names[0].0 == "blue").then_some(())
    })
    .await;
    service.set("front", "2");
    service.set("blue", "2");
    assert_eq!(content(&stream.next().await.resources), ["blue=2"]);

    let mut delta = client.delta(&["front"]).await;
    assert_eq!(delta.next().await.resources[0].version, "2");
    let request = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["blue".into()],
        resource_names_unsubscribe: vec!["front".into()],
        ..Default::default()
    };
    delta.send(request).await;
    assert_eq!(delta.next().await.resources[0].name, "blue");
}

#[tokio::test]
async fn a_caller_that_may_have_nothing_is_held_until_the_mesh_says_otherwise() {
    let mut service = Running::start();
    service.set("front", "1");
    service.grant(&[]);
    let mut client = service.connect().await;
    let mut by_name = client.stream(&["front"]).await;
    let mut everything = client.stream(&[]).await;
    until("both streams", || (service.deliveries.recipients().len() == 2).then_some(())).await;
    service.grant(&["front"]);
    assert_eq!(content(&by_name.next().await.resources), ["front=1"]);
    assert_eq!(content(&everything.next().await.resources), ["front=1"]);
    // And a name that appears reaches who asked for everything.
    service.set("front:trust", "1");
    assert_eq!(content(&everything.next().await.resources), ["front=1", "front:trust=1"]);
}

#[tokio::test]
async fn a_fetch_waits_for_its_one_response() {
    let service = Running::start();
    let mut client = service.connect().await;
    let mut fetch = client.0.clone();
    let fetch = tokio::spawn(async move { fetch.fetch_secrets(ask(&["front"])).await });
    until("a lease", || service.is_awaited("front").then_some(())).await;
    service.set("front", "1");
    let response = within("a response", fetch).await.unwrap().unwrap().into_inner();
    assert_eq!(content(&response.resources), ["front=1"]);
    // The connection serves on.
    assert_eq!(client.stream(&["front"]).await.next().await.resources.len(), 1);
}

#[tokio::test]
async fn everything_ends_at_once_with_the_service() {
    let mut service = Running::start();
    service.set("front", "1");
    let mut client = service.connect().await;
    let mut served = client.stream(&["front"]).await;
    served.next().await;
    let mut held = client.stream(&["blue"]).await;
    let mut idle = service.raw().await;
    until("both streams", || (service.deliveries.recipients().len() == 2).then_some(())).await;
    service.stop().await;
    assert!(served.end().await.is_none());
    assert!(held.end().await.is_none());
    idle.closed().await;
    assert!(service.deliveries.recipients().is_empty());
}

#[tokio::test]
async fn a_large_resource_reaches_its_client_whole() {
    let service = Running::start();
    service.set_sized("front", "1", 3_000_000);
    let mut stream = service.connect().await.stream(&["front"]).await;
    assert_eq!(stream.next().await.resources[0].value.len(), 3_000_007);
}

/// The catalogue's own names, from the mesh to the client.
#[tokio::test]
async fn the_catalogue_is_served() {
    let mut service = Running::of_catalogue();
    let mut client = service.connect().await;
    let mut delta = client.delta(&["front", "ROOTCA"]).await;
    let names = |resources: &[Resource]| {
        let mut names: Vec<_> = resources.iter().map(|one| one.name.clone()).collect();
        names.sort();
        names
    };
    // ROOTCA is what the caller's own node trusts, and which of three that is its node's cluster
    // says.
    assert_eq!(names(&delta.next().await.resources), ["ROOTCA", "front"]);
    service.renew("blue");
    service.renew("front");
    assert_eq!(names(&delta.next().await.resources), ["front"]);
    service.grant(&["blue"]);
    let mut removed = delta.next().await.removed_resources;
    removed.sort();
    assert!(removed.contains(&"front".to_owned()), "{removed:?}");
}
