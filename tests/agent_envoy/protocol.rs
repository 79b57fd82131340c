//! What a real Envoy and the agent make of each other on the wire: names as SPIRE's agent and
//! Istio have them, streams, nodes named once, delta, names that are held, nodes that are gone.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::process::Envoy;
use crate::support::{http, program, wait};
use crate::wire;

const MESH: &str = "\
version: 1
trustDomain: howto-k8s-mtls-sds-based.aws
dnsSuffix: howto-k8s-mtls-sds-based.aws
authorities: { ca_1: {} }
virtualNodes:
  front: { authority: ca_1, backends: { blue: {} } }
  blue: { authority: ca_1, callers: [front] }
";
const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";
const ROUTER: &str = r#"[{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]"#;

/// How secrets are asked for.
#[derive(Clone, Copy)]
struct Source {
    api: &'static str,
    more: &'static str,
}

const STATE_OF_THE_WORLD: Source = Source { api: "GRPC", more: "" };
const DELTA: Source = Source { api: "DELTA_GRPC", more: "" };

impl Source {
    /// An `SdsSecretConfig`.
    fn secret(self, name: &str) -> String {
        self.within(name, "15s")
    }

    /// The same with another time to wait.
    fn within(self, name: &str, timeout: &str) -> String {
        let Self { api, more } = self;
        format!(
            "{{ name: {name:?}, sds_config: {{ resource_api_version: V3, \
             initial_fetch_timeout: {timeout}, api_config_source: {{ api_type: {api}, \
             transport_api_version: V3, {more} \
             grpc_services: [{{ envoy_grpc: {{ cluster_name: certctl }} }}] }} }} }}"
        )
    }
}

/// A bootstrap that grows.
struct Bootstrap {
    listeners: String,
    clusters: String,
}

impl Bootstrap {
    fn new(agent: &Agent) -> Self {
        let socket = agent.socket();
        let clusters = format!(
            r#"  - name: certctl
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: certctl
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ pipe: {{ path: {socket:?} }} }} }} }}] }}]
"#
        );
        Self { listeners: String::new(), clusters }
    }

    /// Serves with these secrets.
    fn serving(mut self, name: &str, own: &str, trust: &str) -> Self {
        let tls = format!(
            "transport_socket: {{ name: tls, typed_config: {{ \
             \"@type\": {EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext, \
             require_client_certificate: true, common_tls_context: {} }} }}",
            context(own, trust)
        );
        self.listener(name, &tls, "direct_response: { status: 200 }");
        self
    }

    /// Calls this port with these secrets.
    fn calling(mut self, port: u16, own: &str, trust: &str) -> Self {
        write!(
            self.clusters,
            r#"  - name: called
    load_assignment:
      cluster_name: called
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}]
    transport_socket:
      name: tls
      typed_config:
        "@type": {EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {}
"#,
            context(own, trust)
        )
        .expect("memory");
        self.listener("outbound", "", "route: { cluster: called }");
        self
    }

    fn listener(&mut self, name: &str, tls: &str, then: &str) {
        write!(
            self.listeners,
            r#"  - name: {name}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, {then} }}] }}
          http_filters: {ROUTER}
      {tls}
"#
        )
        .expect("memory");
    }

    fn text(&self) -> String {
        let Self { listeners, clusters } = self;
        format!("static_resources:\n  listeners:\n{listeners}  clusters:\n{clusters}")
    }

    fn start(&self, agent: &Agent, name: &str) -> Envoy {
        Envoy::start(agent.directory(), name, &self.text())
    }
}

fn context(own: &str, trust: &str) -> String {
    format!(
        "{{ tls_certificate_sds_secret_configs: [{own}], \
         validation_context_sds_secret_config: {trust} }}"
    )
}

/// The recipient that calls itself so, and how many of its names are in this state.
fn recipient<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    let recipients = status["recipients"].as_array().expect("a list");
    recipients.iter().find(|one| one["nodeId"] == id)
}

fn names_in(recipient: &Value, state: &str) -> usize {
    let secrets = recipient["secrets"].as_array().expect("a list");
    secrets.iter().filter(|secret| secret["state"] == state).count()
}

/// Waits until so many names of a recipient are accepted.
fn accepted(agent: &Agent, id: &str, names: usize) {
    agent.until(&format!("{id} has {names} secrets"), |status| {
        recipient(status, id).is_some_and(|one| names_in(one, "accepted") == names)
    });
}

/// How many responses about a name an Envoy has taken.
fn updates(envoy: &Envoy, name: &str) -> u64 {
    let stats = envoy.admin(&format!("/stats?filter=sds.{name}.update_success"));
    let counts = stats.lines().filter_map(|line| line.split_once(".update_success: "));
    counts.map(|(_, count)| count.parse::<u64>().expect("a number")).sum()
}

fn renew(agent: &Agent, node: &str) {
    let before = agent.serial(node);
    program::run(agent.directory(), &format!("renew --sds sds.sock {node}")).done();
    agent.until("the node is renewed", |_| agent.serial(node) != before);
}

/// Starts blue and front with these names of their secrets, and has front call blue.
#[track_caller]
fn speak(source: Source, blue: [&str; 2], front: [&str; 2]) {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let [own, trust] = blue.map(|name| source.secret(name));
    let blue = Bootstrap::new(&agent).serving("inbound", &own, &trust).start(&agent, "blue");
    let port = blue.port("inbound");
    let [own, trust] = front.map(|name| source.secret(name));
    let front = Bootstrap::new(&agent).calling(port, &own, &trust).start(&agent, "front");
    let answer = http::get(front.port("outbound"), "/").expect("front answers");
    assert_eq!(answer.status, 200, "{}", answer.body);
    accepted(&agent, "blue", 2);
    accepted(&agent, "front", 2);
    assert_eq!(wire::leaf(port).serial(), agent.serial("blue"));
    renew(&agent, "blue");
    wire::shows(port, &agent.serial("blue"));
}

#[test]
fn the_names_of_the_app_mesh_walkthrough_work_as_they_are() {
    let root = "spiffe://howto-k8s-mtls-sds-based.aws";
    let [blue, front] = ["blue", "front"].map(|node| format!("{root}/{node}"));
    speak(STATE_OF_THE_WORLD, [&blue, root], [&front, root]);
}

#[test]
fn the_names_that_spires_agent_and_istio_share_work_as_they_are() {
    speak(STATE_OF_THE_WORLD, ["default", "ROOTCA"], ["default", "ALL"]);
}

#[test]
fn the_files_that_istio_names_work_as_they_are() {
    let own = |node| format!("file-cert:/certs/{node}_cert_chain.pem~/certs/{node}_key.pem");
    let trust = |node| format!("file-root:/certs/{node}_trust.pem");
    let names = |node| [own(node), trust(node)];
    let (blue, front) = (names("blue"), names("front"));
    speak(
        STATE_OF_THE_WORLD,
        blue.each_ref().map(String::as_str),
        front.each_ref().map(String::as_str),
    );
}

#[test]
fn an_envoy_that_asks_in_delta_is_served_and_renewed() {
    speak(DELTA, ["blue", "callers:blue"], ["front", "backends:front"]);
}

/// Envoy makes one stream of each name and source, whoever uses it; the agent takes them together.
#[test]
fn one_name_has_one_stream_for_each_source() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let source = STATE_OF_THE_WORLD;
    let [own, trust] = ["blue", "callers:blue"].map(|name| source.secret(name));
    let again = source.within("blue", "14s");
    let streams = |id: &str, count: u64| {
        agent.until(&format!("{id} has {count} streams"), |status| {
            recipient(status, id).is_some_and(|one| one["streams"] == count)
        });
    };
    let twice = Bootstrap::new(&agent).serving("one", &own, &trust).serving("two", &own, &trust);
    let twice = twice.start(&agent, "twice");
    accepted(&agent, "twice", 2);
    streams("twice", 2);
    drop(twice);
    let differs =
        Bootstrap::new(&agent).serving("one", &own, &trust).serving("two", &again, &trust);
    let _differs = differs.start(&agent, "differs");
    // Each name is told of once, whichever streams it was asked for on.
    accepted(&agent, "differs", 2);
    streams("differs", 3);
}

#[test]
fn a_node_that_is_named_once_is_remembered_for_the_stream() {
    let mut agent = Agent::start(MESH, "");
    agent.settled();
    let source = Source { more: "set_node_on_first_message_only: true,", ..STATE_OF_THE_WORLD };
    let [own, trust] = ["default", "callers"].map(|name| source.secret(name));
    let blue = Bootstrap::new(&agent).serving("inbound", &own, &trust).start(&agent, "blue");
    for _ in 0..2 {
        // The acknowledgement of what is new names no node.
        renew(&agent, "blue");
        wire::shows(blue.port("inbound"), &agent.serial("blue"));
        accepted(&agent, "blue", 2);
        agent.kill();
        agent = agent.again("");
        accepted(&agent, "blue", 2);
    }
}

/// It says which version it has, which is the one that there is, and is answered all the same.
#[test]
fn an_envoy_that_comes_back_is_answered_though_nothing_has_changed() {
    for source in [STATE_OF_THE_WORLD, DELTA] {
        let mut agent = Agent::start(MESH, "");
        agent.settled();
        let [own, trust] = ["blue", "callers:blue"].map(|name| source.secret(name));
        let envoy = Bootstrap::new(&agent).serving("inbound", &own, &trust).start(&agent, "blue");
        accepted(&agent, "blue", 2);
        let taken = updates(&envoy, "blue");
        agent.kill();
        agent = agent.again("");
        accepted(&agent, "blue", 2);
        assert!(updates(&envoy, "blue") > taken, "{}", source.api);
    }
}

/// Neither kind of stream closes what was open: state of the world is silent, delta's removal is
/// acknowledged and the certificate stays.
#[test]
fn what_a_removed_node_had_is_served_on() {
    for source in [STATE_OF_THE_WORLD, DELTA] {
        let agent = Agent::start(MESH, "");
        agent.settled();
        let [own, trust] = ["blue", "ROOTCA"].map(|name| source.secret(name));
        let envoy = Bootstrap::new(&agent).serving("inbound", &own, &trust).start(&agent, "front");
        accepted(&agent, "front", 2);
        let (serial, taken) = (agent.serial("blue"), updates(&envoy, "blue"));
        agent.edit("backends: { blue: {} }", "backends: {}");
        agent.edit("  blue: { authority: ca_1, callers: [front] }\n", "");
        agent.until("blue is gone", |status| {
            let nodes = status["nodes"].as_array().expect("a list");
            nodes.iter().all(|node| node["name"] != "blue")
        });
        agent.logs("the mesh has no node or authority of this name");
        if source.api == DELTA.api {
            wait::until("Envoy takes the removal", || {
                (updates(&envoy, "blue") > taken).then_some(())
            });
        }
        assert_eq!(wire::leaf(envoy.port("inbound")).serial(), serial, "{}", source.api);
    }
}

/// The listener of what is held opens without a certificate when Envoy's time is up; what is pushed
/// afterwards heals it, and the listener beside it never notices.
#[test]
fn a_held_name_disturbs_no_other_and_is_healed_by_a_late_push() {
    for source in [STATE_OF_THE_WORLD, DELTA] {
        let agent = Agent::start(MESH, "");
        agent.settled();
        let trust = source.secret("ROOTCA");
        let envoy = Bootstrap::new(&agent)
            .serving("there", &source.secret("blue"), &trust)
            .serving("late", &source.within("green", "0.1s"), &trust)
            .start(&agent, "blue");
        assert_eq!(wire::leaf(envoy.port("there")).serial(), agent.serial("blue"));
        let late = envoy.port("late");
        assert!(wire::try_leaf(late).is_none(), "{}", source.api);
        agent.write_mesh(&format!("{}  green: {{ authority: ca_1 }}\n", agent.mesh()));
        agent.until("green is there", |status| {
            let nodes = status["nodes"].as_array().expect("a list");
            nodes.iter().any(|node| node["name"] == "green" && node["state"] == "fresh")
        });
        let serial = agent.serial("green");
        wait::until("what was held is served", || {
            (wire::try_leaf(late)?.serial() == serial).then_some(())
        });
        assert_eq!(wire::leaf(envoy.port("there")).serial(), agent.serial("blue"));
    }
}
