//! From saving a mesh file with a new node to the first answer behind a handshake with it.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::time::Instant;

use crate::pair::{series, summary};
use crate::support::agent::Agent;
use crate::support::process::Envoy;
use crate::support::sds_client::{Connection, Node, Response};
use crate::support::wait::{self, DEADLINE};

const MESH: &str = "\
version: 1
trustDomain: example.org
dnsSuffix: example.org
authorities: { ca_1: {} }
virtualNodes:
  front: { authority: ca_1 }
";
const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
const SOURCE: &str = "sds_config: { resource_api_version: V3, initial_fetch_timeout: 0s, \
    api_config_source: { api_type: GRPC, transport_api_version: V3, \
    grpc_services: [{ envoy_grpc: { cluster_name: certctl } }] } }";

/// An Envoy that listens for so many nodes, none of which there is yet: `0.sock`, `1.sock`, ....
fn envoy(agent: &Agent, nodes: usize) -> Envoy {
    let mut listeners = "resources:\n".to_owned();
    for node in 0..nodes {
        let name = format!("node-{node}");
        let path = agent.path(&format!("{node}.sock"));
        write!(
            listeners,
            r#"- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: {name}
  address: {{ pipe: {{ path: {path:?} }} }}
  filter_chains:
  - transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {TLS}.DownstreamTlsContext
        require_client_certificate: true
        common_tls_context:
          tls_certificate_sds_secret_configs: [{{ name: {name}, {SOURCE} }}]
          validation_context_sds_secret_config: {{ name: "callers:{name}", {SOURCE} }}
    filters:
    - name: http
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: {name}
        route_config:
          virtual_hosts:
          - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, direct_response: {{ status: 200 }} }}] }}
        http_filters: [{{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
"#
        )
        .expect("memory");
    }
    // An Envoy that starts waits for all that it finds; what is added later waits for itself alone.
    let write = |name: &str, text: &str| std::fs::write(agent.path(name), text).unwrap();
    write("listeners.yaml", "resources: []\n");
    write("more.yaml", &listeners);
    let (listeners, socket) = (agent.path("listeners.yaml"), agent.socket());
    let config = format!(
        r#"
dynamic_resources:
  lds_config: {{ resource_api_version: V3, path_config_source: {{ path: {listeners:?} }} }}
static_resources:
  clusters:
  - name: certctl
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: certctl
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ pipe: {{ path: {socket:?} }} }} }} }}] }}]
"#
    );
    let envoy = Envoy::start(agent.directory(), "many", &config);
    std::fs::rename(agent.path("more.yaml"), agent.path("listeners.yaml")).unwrap();
    envoy
}

/// What front calls others with, as the agent serves it.
fn caller(agent: &Agent) -> Arc<ClientConfig> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [certificate, trust] = runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("front");
        let mut got = Vec::<Response>::new();
        for name in ["front", "ca_1"] {
            let mut stream = connection.subscribe(&node, &[name], "").await.unwrap();
            got.push(stream.next().await.unwrap());
        }
        <[Response; 2]>::try_from(got).unwrap()
    });
    let certificates = |pem: Option<String>| {
        let pem = pem.unwrap();
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(trust.roots()));
    let key = PrivateKeyDer::from_pem_slice(certificate.key().unwrap().as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(certificate.chain()), key)
        .unwrap();
    Arc::new(config)
}

/// The status line of an answer behind a handshake; none while the port is closed.
fn call(socket: &Path, name: &str, config: &Arc<ClientConfig>) -> Option<String> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let name = ServerName::try_from(format!("{name}.example.org")).unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_node_that_is_added_to_the_mesh_file_answers_at_once() {
    let nodes = series(5, 50);
    let agent = Agent::start(MESH, "");
    agent.settled();
    let config = caller(&agent);
    let envoy = envoy(&agent, nodes);
    agent.until("every name is asked for", |status| {
        let recipients = status["recipients"].as_array().unwrap();
        let many = recipients.iter().filter(|one| one["nodeId"] == "many");
        many.map(|one| one["secrets"].as_array().unwrap().len()).sum::<usize>() == 2 * nodes
    });
    let mut times = Vec::new();
    for node in 0..nodes {
        let name = format!("node-{node}");
        let socket = agent.path(&format!("{node}.sock"));
        assert_eq!(call(&socket, &name, &config), None, "{name} answers before it is");
        let mesh = format!("{}  {name}: {{ authority: ca_1, callers: [front] }}\n", agent.mesh());
        let begun = Instant::now();
        agent.write_mesh(&mesh);
        let answer = wait::closely(&format!("{name} answers"), || call(&socket, &name, &config));
        times.push(begun.elapsed());
        assert_eq!(answer, "HTTP/1.1 200 OK");
        agent.settled();
    }
    println!("from saving a new node to its first answer: {}", summary(times));
    drop(envoy);
}
