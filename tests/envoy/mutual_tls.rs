//! Two Envoys that speak mutual TLS: a client that takes plain HTTP from the test, and a server
//! behind it.

use std::path::Path;

use tempfile::TempDir;

use crate::support::http::{self, Response};
use crate::support::process::Envoy;

/// What the server answers when it is reached.
pub const SERVED: &str = "served";

/// One side of the handshake, in PEM.
#[derive(Clone, Debug)]
pub struct Side {
    /// Leaf first.
    pub chain: String,
    /// PKCS#8.
    pub key: String,
    /// What this side trusts.
    pub trusted_ca: String,
    /// Fields of Envoy's `TlsParameters`, as YAML's flow style writes them: `signature_algorithms:
    /// [ed25519]`.
    pub tls_params: String,
}

/// Both Envoys, and the directory they run in.
pub struct Pair {
    pub client: Envoy,
    _server: Envoy,
    _directory: TempDir,
}

impl Pair {
    /// Starts both.
    pub fn start(client: &Side, server: &Side) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let server =
            Envoy::start(directory.path(), "server", &server.server_config(directory.path()));
        let port = server.port("server");
        let client =
            Envoy::start(directory.path(), "client", &client.client_config(directory.path(), port));
        Self { client, _server: server, _directory: directory }
    }

    /// One request through both: [`SERVED`], or 503 with the client Envoy's flags and reason as the
    /// body.
    pub fn call(&self) -> Response {
        http::get(self.client.port("client"), "/").expect("the client Envoy answers")
    }
}

impl Side {
    /// Writes the side's files, and returns the bootstrap of an Envoy that serves with them.
    pub fn server_config(&self, directory: &Path) -> String {
        server_config(&self.common_tls_context(directory, "server"))
    }

    /// Writes the side's files, and returns the bootstrap of an Envoy that calls `port` with them.
    pub fn client_config(&self, directory: &Path, port: u16) -> String {
        client_config(&self.common_tls_context(directory, "client"), port)
    }

    /// Any name that the trusted CA signed will do: these tests are about keys and chains.
    fn common_tls_context(&self, directory: &Path, name: &str) -> String {
        let write = |what: &str, pem: &str| {
            let path = directory.join(format!("{name}_{what}.pem"));
            std::fs::write(&path, pem).expect("a writable directory");
            path
        };
        let chain = write("chain", &self.chain);
        let key = write("key", &self.key);
        let trust = write("trust", &self.trusted_ca);
        let params = &self.tls_params;
        format!(
            "{{ tls_params: {{ {params} }}, \
             tls_certificates: [{{ certificate_chain: {{ filename: {chain:?} }}, \
             private_key: {{ filename: {key:?} }} }}], \
             validation_context: {{ trusted_ca: {{ filename: {trust:?} }} }} }}"
        )
    }
}

/// The bootstrap of an Envoy that serves with a `CommonTlsContext`, in YAML's flow style.
pub fn server_config(tls: &str) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: server
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context: {tls}
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: server
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{ match: {{ prefix: / }}, direct_response: {{ status: 200, body: {{ inline_string: {SERVED} }} }} }}
          http_filters: {ROUTER}
"#
    )
}

/// The bootstrap of an Envoy that calls `port` with a `CommonTlsContext`.
fn client_config(tls: &str, port: u16) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: client
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: client
          local_reply_config:
            body_format:
              text_format_source: {{ inline_string: "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%" }}
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: server }} }}] }}
          http_filters: {ROUTER}
  clusters:
  - name: server
    load_assignment:
      cluster_name: server
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {tls}
"#
    )
}

const ROUTER: &str = r#"[{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]"#;
