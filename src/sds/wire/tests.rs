use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::envoy::service::discovery::v3 as theirs;
use envoy_types::pb::envoy::r#type::v3 as types;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Struct, Value};
use envoy_types::pb::google::rpc;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::sds::resource::Resource;

/// A node as Envoy sends it: hundreds of extensions, each with its categories and types.
fn node() -> core::Node {
    let extension = |at: usize| core::Extension {
        name: format!("envoy.filters.http.extension_{at}"),
        category: "envoy.filters.http".into(),
        type_urls: vec![format!("envoy.extensions.filters.http.extension_{at}.v3.Config"); 2],
        ..Default::default()
    };
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
    core::Node {
        id: "front-7d9f".into(),
        cluster: "front".into(),
        metadata: Some(Struct { fields: HashMap::from([("note".into(), text(&"m".repeat(999)))]) }),
        user_agent_name: "envoy".into(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(
            core::BuildVersion {
                version: Some(types::SemanticVersion {
                    major_number: 1,
                    minor_number: 40,
                    patch: 0,
                }),
                metadata: Some(Struct {
                    fields: HashMap::from([("build.type".into(), text("RELEASE"))]),
                }),
            },
        )),
        extensions: (0..400).map(extension).collect(),
        client_features: vec!["envoy.lb.does_not_support_overprovisioning".into()],
        ..Default::default()
    }
}

fn rejection() -> rpc::Status {
    let details = vec![Any { type_url: "x".into(), value: vec![1; 300] }];
    rpc::Status { code: 13, message: "Failed to load private key".into(), details }
}

fn state_of_the_world_request() -> theirs::DiscoveryRequest {
    theirs::DiscoveryRequest {
        version_info: "v1".into(),
        node: Some(node()),
        resource_names: vec!["default".into(), "ROOTCA".into()],
        type_url: SECRET_TYPE.into(),
        response_nonce: "7".into(),
        error_detail: Some(rejection()),
        resource_locators: vec![theirs::ResourceLocator { name: "x".into(), ..Default::default() }],
    }
}

fn delta_request() -> theirs::DeltaDiscoveryRequest {
    theirs::DeltaDiscoveryRequest {
        node: Some(node()),
        type_url: SECRET_TYPE.into(),
        resource_names_subscribe: vec!["default".into()],
        resource_names_unsubscribe: vec!["ROOTCA".into()],
        initial_resource_versions: HashMap::from([("default".into(), "v".repeat(64))]),
        response_nonce: "8".into(),
        error_detail: Some(rejection()),
        ..Default::default()
    }
}

/// Reads through the sieve, in parts of `part` bytes.
fn read<M: Request>(bytes: &[u8], part: usize) -> Result<M, WireError> {
    let mut sieve = Sieve::new(bytes.len());
    for part in bytes.chunks(part) {
        sieve.push(part)?;
    }
    sieve.finish()
}

fn our_node() -> Node {
    let version = Some(SemanticVersion { major: 1, minor: 40, patch: 0 });
    Node {
        id: "front-7d9f".into(),
        cluster: "front".into(),
        user_agent_name: "envoy".into(),
        user_agent_version: String::new(),
        user_agent_build_version: Some(BuildVersion { version }),
    }
}

#[test]
fn a_request_with_61_kilobytes_of_node_is_read_as_others_read_it() {
    let bytes = state_of_the_world_request().encode_to_vec();
    assert!(bytes.len() > 61_000, "{}", bytes.len());
    let expected = DiscoveryRequest {
        node: Some(our_node()),
        resource_names: vec!["default".into(), "ROOTCA".into()],
        type_url: SECRET_TYPE.into(),
        response_nonce: "7".into(),
        error_detail: Some(Status { message: "Failed to load private key".into() }),
    };
    for part in [1, 2, 3, 7, 1000, 16_384, bytes.len()] {
        assert_eq!(read::<DiscoveryRequest>(&bytes, part).unwrap(), expected, "{part}");
    }
    assert_eq!(DiscoveryRequest::decode(&bytes[..]).unwrap(), expected);

    let bytes = delta_request().encode_to_vec();
    let expected = DeltaDiscoveryRequest {
        node: Some(our_node()),
        type_url: SECRET_TYPE.into(),
        resource_names_subscribe: vec!["default".into()],
        resource_names_unsubscribe: vec!["ROOTCA".into()],
        response_nonce: "8".into(),
        error_detail: Some(Status { message: "Failed to load private key".into() }),
    };
    for part in [1, 5, 1000, bytes.len()] {
        assert_eq!(read::<DeltaDiscoveryRequest>(&bytes, part).unwrap(), expected, "{part}");
    }
    assert_eq!(DeltaDiscoveryRequest::decode(&bytes[..]).unwrap(), expected);
}

#[test]
fn nothing_is_kept_of_what_nobody_reads() {
    let bytes = state_of_the_world_request().encode_to_vec();
    let mut sieve = Sieve::<DiscoveryRequest>::new(bytes.len());
    for part in bytes.chunks(4096) {
        sieve.push(part).unwrap();
        assert!(sieve.held() < 2048, "{} bytes held", sieve.held());
    }
    assert_eq!(sieve.missing(), 0);
}

#[test]
fn an_agent_is_named_with_its_version_however_that_is_given() {
    assert_eq!(our_node().agent(), "envoy 1.40.0");
    let version = "1.2-dev".to_owned();
    let words = Node { user_agent_build_version: None, user_agent_version: version, ..our_node() };
    assert_eq!(words.agent(), "envoy 1.2-dev");
    assert_eq!(Node::default().agent(), "");
}

#[test]
fn a_node_in_two_parts_is_one_node() {
    let half = |id: &str, cluster: &str| theirs::DiscoveryRequest {
        node: Some(core::Node { id: id.into(), cluster: cluster.into(), ..Default::default() }),
        ..Default::default()
    };
    let bytes = [half("a", "").encode_to_vec(), half("", "b").encode_to_vec()].concat();
    let node = read::<DiscoveryRequest>(&bytes, 3).unwrap().node.unwrap();
    assert_eq!((node.id.as_str(), node.cluster.as_str()), ("a", "b"));
}

#[test]
fn what_is_no_request_is_refused_with_what_is_wrong() {
    let refused = |bytes: &[u8], message: &str| {
        let error = read::<DiscoveryRequest>(bytes, 1).unwrap_err().to_string();
        assert!(error.contains(message), "{bytes:?}: {error}");
    };
    refused(&[0x1a], "ends in the middle");
    refused(&[0x1a, 5, b'a'], "longer than what it is in");
    refused(&[0x12, 2, 0x0a, 9], "longer than what it is in");
    // The length of a field of the node lies outside of the node.
    refused(&[0x12, 1, 0x0a, 1, b'a'], "longer than what it is in");
    refused(&[0x12, 1, 0x0a], "ends in the middle");
    refused(&[0x00, 0], "no valid number");
    refused(&[0x18, 1], "another type");
    refused(&[0x3b], "no type that proto3 has");
    refused(&[0xff; 11], "more than 64 bits");
    refused(&[0x1a, 1, 0xff], "no discovery request");
    let mut sieve = Sieve::<DiscoveryRequest>::new(1);
    assert!(sieve.push(&[0x1a, 0]).is_err());
}

fn resource(name: &str, version: &str, length: usize) -> Arc<Resource> {
    let any = Any { type_url: SECRET_TYPE.into(), value: vec![7; length] };
    let any = Bytes::from(any.encode_to_vec());
    Arc::new(Resource { name: name.into(), version: version.into(), any, aspects: Vec::new() })
}

fn any_of(resource: &Resource) -> Any {
    Any::decode(resource.any.clone()).unwrap()
}

#[test]
fn responses_are_read_by_others_as_they_were_meant() {
    for resources in [
        vec![],
        vec![resource("a", "1", 0)],
        vec![resource("a", "1", 100), resource(&"b".repeat(300), &"2".repeat(200), 20_000)],
    ] {
        let bytes = state_of_the_world("v1", "3", &resources).concat();
        let expected = theirs::DiscoveryResponse {
            version_info: "v1".into(),
            resources: resources.iter().map(|one| any_of(one)).collect(),
            type_url: SECRET_TYPE.into(),
            nonce: "3".into(),
            ..Default::default()
        };
        assert_eq!(theirs::DiscoveryResponse::decode(&bytes[..]).unwrap(), expected);

        let bytes = delta("4", &resources, &["gone".into(), "away".into()]).concat();
        let expected = theirs::DeltaDiscoveryResponse {
            resources: resources
                .iter()
                .map(|one| theirs::Resource {
                    name: one.name.clone(),
                    version: one.version.clone(),
                    resource: Some(any_of(one)),
                    ..Default::default()
                })
                .collect(),
            type_url: SECRET_TYPE.into(),
            nonce: "4".into(),
            removed_resources: vec!["gone".into(), "away".into()],
            ..Default::default()
        };
        assert_eq!(theirs::DeltaDiscoveryResponse::decode(&bytes[..]).unwrap(), expected);
    }
}

#[test]
fn a_resource_is_sent_without_being_copied() {
    let large = resource("a", "1", 1_000_000);
    let pieces = state_of_the_world("v", "1", std::slice::from_ref(&large));
    assert!(pieces.iter().any(|piece| piece.as_ptr() == large.any.as_ptr()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTCTL_SOAK").is_some() {
        5_000
    } else {
        96
    }))]

    #[test]
    fn garbage_is_read_as_others_read_it_or_refused(bytes: Vec<u8>, part in 1_usize..20) {
        agrees(&bytes, part);
    }

    /// Damage at one place reaches further into the message than garbage does.
    #[test]
    fn a_damaged_request_is_read_as_others_read_it_or_refused(
        at in 0_usize..1200, byte: u8, part in 1_usize..2000,
    ) {
        let mut request = state_of_the_world_request();
        request.node.as_mut().unwrap().extensions.truncate(2);
        let mut bytes = request.encode_to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        agrees(&bytes, part);
    }

    #[test]
    fn every_request_is_read_as_others_read_it(
        names: Vec<String>, id: String, nonce: String, part in 1_usize..200,
    ) {
        let mut request = state_of_the_world_request();
        request.node.as_mut().unwrap().extensions.truncate(2);
        request.node.as_mut().unwrap().id = id;
        request.resource_names = names;
        request.response_nonce = nonce;
        prop_assert!(agrees(&request.encode_to_vec(), part));
    }
}

/// Whether the sieve read it; if so, then as prost does without one.
fn agrees(bytes: &[u8], part: usize) -> bool {
    let Ok(ours) = read::<DiscoveryRequest>(bytes, part) else { return false };
    assert_eq!(ours, DiscoveryRequest::decode(bytes).unwrap());
    true
}
