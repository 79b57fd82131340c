//! What a real Envoy says to a server of secrets, and what it makes of the answers: what the
//! agent's streams are built on. Each test is a rule that a newer Envoy could break.

use std::net::{Ipv4Addr, TcpStream};

use rcgen::PKCS_ECDSA_P256_SHA256;
use tonic::Status;

use crate::authority::{Authority, p256};
use crate::mutual_tls::server_config;
use crate::scripted::{
    Api, OWN, Scripted, TRUST, certificate, clusters, good, mismatched, roots, source,
};
use crate::support::process::Envoy;
use crate::support::sds_script::{Script, delta, world};
use crate::support::{tools, wait};

fn ca() -> Authority {
    Authority::root("root", &PKCS_ECDSA_P256_SHA256)
}

#[test]
fn a_first_request_names_no_version_and_every_one_names_the_node() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (world, first) = scripted.script.asks_for(OWN);
    assert_eq!((first.version_info.as_str(), first.response_nonce.as_str()), ("", ""));
    let accepted = world.tell("1", vec![good(&ca)]);
    assert_eq!((accepted.version_info.as_str(), &accepted.error_detail), ("1", &None));
    for request in [first, accepted] {
        let node = request.node.expect("a node");
        assert_eq!(node.id, "server");
        assert!(!node.extensions.is_empty());
    }
}

#[test]
fn a_first_request_in_delta_names_no_version_and_every_one_names_the_node() {
    let ca = ca();
    let scripted = Scripted::of_certificate(Api::Delta);
    let (talk, first) = scripted.script.delta();
    assert_eq!(first.resource_names_subscribe, [OWN]);
    assert!(first.response_nonce.is_empty() && first.initial_resource_versions.is_empty());
    talk.say(delta("1", OWN, Some(&good(&ca))));
    let accepted = talk.next();
    assert_eq!((accepted.response_nonce.as_str(), &accepted.error_detail), ("nonce-1", &None));
    for request in [first, accepted] {
        let node = request.node.expect("a node");
        assert_eq!(node.id, "server");
        assert!(!node.extensions.is_empty());
    }
}

#[test]
fn who_comes_back_names_what_it_has_and_no_nonce() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (world, _) = scripted.script.asks_for(OWN);
    world.tell("1", vec![good(&ca)]);
    world.end(Status::unavailable("for a while"));
    let (_world, again) = scripted.script.asks_for(OWN);
    assert_eq!((again.version_info.as_str(), again.response_nonce.as_str()), ("1", ""));

    let scripted = Scripted::of_certificate(Api::Delta);
    let (talk, _) = scripted.script.delta();
    talk.say(delta("1", OWN, Some(&good(&ca))));
    talk.next();
    talk.end(Status::unavailable("for a while"));
    let (_talk, again) = scripted.script.delta();
    assert_eq!(again.resource_names_subscribe, [OWN]);
    assert!(again.response_nonce.is_empty());
    assert_eq!(again.initial_resource_versions.get(OWN).map(String::as_str), Some("1"));
}

#[test]
fn a_refusal_names_the_version_before_and_says_why() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (world, _) = scripted.script.asks_for(OWN);
    world.tell("1", vec![good(&ca)]);
    let refused = world.tell("2", vec![mismatched(&ca)]);
    assert_eq!(refused.version_info, "1");
    assert_eq!(refused.error_detail.expect("a refusal").code, 13);
    let accepted = world.tell("3", vec![good(&ca)]);
    assert_eq!((accepted.version_info.as_str(), accepted.error_detail), ("3", None));
}

#[test]
fn the_same_bytes_under_a_new_version_are_acknowledged_and_change_nothing() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (world, _) = scripted.script.asks_for(OWN);
    let secret = good(&ca);
    world.tell("1", vec![secret.clone()]);
    scripted.warmed(OWN);
    let contexts = scripted.contexts();
    assert_eq!(world.tell("2", vec![secret]).version_info, "2");
    assert_eq!(scripted.contexts(), contexts);
    // The counter does count.
    world.tell("3", vec![good(&ca)]);
    wait::until("a new context", || (scripted.contexts() == contexts + 1).then_some(()));
}

#[test]
fn a_response_of_another_type_is_neither_acknowledged_nor_refused() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (talk, _) = scripted.script.asks_for(OWN);
    let mut foreign = world("1", vec![good(&ca)]);
    foreign.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
    talk.say(foreign);
    // The next that is heard is about the next that was said.
    assert_eq!(talk.tell("2", vec![good(&ca)]).version_info, "2");
    assert!(!talk.has_more());
}

/// What is wrong with one secret is said of the other, which came last: so the agent sends no pair
/// that is none.
#[test]
fn what_is_wrong_with_a_certificate_can_be_said_of_the_roots() {
    let ca = ca();
    let mut scripted = Scripted::start(Api::World);
    let (own, _) = scripted.script.asks_for(OWN);
    let (trust, _) = scripted.script.asks_for(TRUST);
    assert_eq!(own.tell("1", vec![mismatched(&ca)]).error_detail, None);
    let refused = trust.tell("1", vec![roots(TRUST, &ca.certificate)]);
    let why = refused.error_detail.expect("a refusal").message;
    assert!(why.contains("private key"), "{why}");
    assert!(!own.has_more());
}

#[test]
fn what_is_not_what_was_asked_for_is_acknowledged_and_waited_for_on() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    let (world, _) = scripted.script.asks_for(OWN);
    let key = p256();
    let other = certificate("other", ca.leaf(&key), key.serialize_pem());
    for (version, secrets) in [("1", vec![other.clone()]), ("2", Vec::new())] {
        let accepted = world.tell(version, secrets);
        assert_eq!((accepted.version_info.as_str(), accepted.error_detail), (version, None));
        assert!(scripted.is_warming(OWN));
    }
    let accepted = world.tell("3", vec![other, good(&ca)]);
    assert_eq!((accepted.version_info.as_str(), accepted.error_detail), ("3", None));
    scripted.warmed(OWN);
}

#[test]
fn a_resource_in_delta_whose_secret_has_another_name_is_refused() {
    let ca = ca();
    let scripted = Scripted::of_certificate(Api::Delta);
    let (talk, _) = scripted.script.delta();
    let key = p256();
    let other = certificate("other", ca.leaf(&key), key.serialize_pem());
    talk.say(delta("1", OWN, Some(&other)));
    let why = talk.next().error_detail.expect("a refusal").message;
    assert!(why.contains(OWN) && why.contains("other"), "{why}");
}

/// Either would leave a listener without its certificate, so that every caller is turned away: the
/// agent holds what it cannot serve yet.
#[test]
fn a_first_answer_that_is_refused_or_a_removal_ends_the_wait_without_a_certificate() {
    let ca = ca();
    let mut refused = Scripted::of_certificate(Api::World);
    let (world, _) = refused.script.asks_for(OWN);
    assert!(refused.is_warming(OWN));
    assert!(world.tell("1", vec![mismatched(&ca)]).error_detail.is_some());
    let removed = Scripted::of_certificate(Api::Delta);
    let (talk, _) = removed.script.delta();
    talk.say(delta("1", OWN, None));
    assert_eq!(talk.next().error_detail, None);
    for scripted in [refused, removed] {
        scripted.warmed(OWN);
        let envoy = scripted.envoy.ready();
        TcpStream::connect((Ipv4Addr::LOCALHOST, envoy.port("server"))).expect("it is open");
        let turned_away = "listener.127.0.0.1_0.server_ssl_socket_factory.\
                           downstream_context_secrets_not_ready";
        wait::until("the caller is turned away", || (envoy.stat(turned_away) > 0).then_some(()));
    }
}

#[test]
fn a_server_that_does_not_know_the_method_is_asked_again_for_ever() {
    let ca = ca();
    let mut scripted = Scripted::of_certificate(Api::World);
    for _ in 0..5 {
        let (talk, _) = scripted.script.asks_for(OWN);
        talk.end(Status::unimplemented("no such method"));
    }
    let (talk, _) = scripted.script.asks_for(OWN);
    talk.tell("1", vec![good(&ca)]);
    scripted.warmed(OWN);
}

#[test]
fn where_a_connection_takes_few_streams_envoy_opens_more_connections() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("sds.sock");
    let mut script = Script::with_streams(&socket, Some(2));
    let names: Vec<_> = (1..=7).map(|number| format!("secret-{number}")).collect();
    let listeners: Vec<_> = names
        .iter()
        .map(|name| {
            let own = source(name, Api::World);
            let whole =
                server_config(&format!("{{ tls_certificate_sds_secret_configs: [{own}] }}"));
            let listener = whole.split_once("listeners:\n").expect("a listener").1.to_owned();
            listener.replace("- name: server\n", &format!("- name: {name}\n"))
        })
        .collect();
    let config =
        format!("static_resources:\n  listeners:\n{}{}", listeners.concat(), clusters(&socket));
    let envoy = Envoy::begin(&tools::envoy(), directory.path(), "server", &config);
    let _open: Vec<_> = names.iter().map(|name| script.asks_for(name)).collect();
    wait::until("two streams for each connection", || {
        (envoy.stat("cluster.sds.upstream_cx_active") >= 4).then_some(())
    });
}
