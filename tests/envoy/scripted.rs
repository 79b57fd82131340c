//! An Envoy whose secrets come from a server that says what the test tells it to.

use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use tempfile::TempDir;

use crate::authority::{Authority, p256};
use crate::mutual_tls::server_config;
use crate::support::process::Envoy;
use crate::support::sds_script::Script;
use crate::support::{tools, wait};

/// What its TLS certificate is asked for by.
pub const OWN: &str = "default";
/// What its roots are asked for by.
pub const TRUST: &str = "ROOTCA";

/// How it asks.
#[derive(Clone, Copy, Debug)]
pub enum Api {
    World,
    Delta,
}

/// The server of secrets, and the Envoy, which is not ready before it has what it asks for.
pub struct Scripted {
    pub script: Script,
    pub envoy: Envoy,
    _directory: TempDir,
}

impl Scripted {
    /// An Envoy with a certificate and roots to ask for.
    pub fn start(api: Api) -> Self {
        Self::with_trust(api, Some(TRUST))
    }

    /// An Envoy with a certificate to ask for, and nothing else.
    pub fn of_certificate(api: Api) -> Self {
        Self::with_trust(api, None)
    }

    fn with_trust(api: Api, trust: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("sds.sock");
        let script = Script::start(&socket);
        let own = source(OWN, api);
        let trust = trust.map_or_else(String::new, |trust| {
            format!(", validation_context_sds_secret_config: {}", source(trust, api))
        });
        let tls = format!("{{ tls_certificate_sds_secret_configs: [{own}]{trust} }}");
        let config = format!("{}{}", server_config(&tls), clusters(&socket));
        let envoy = Envoy::begin(&tools::envoy(), directory.path(), "server", &config);
        Self { script, envoy, _directory: directory }
    }

    /// Whether Envoy still waits for a secret of this name before it serves.
    pub fn is_warming(&self, name: &str) -> bool {
        self.envoy.admin("/init_dump").contains(&format!("SdsApi {name}"))
    }

    /// Waits until Envoy waits for this one no more.
    pub fn warmed(&self, name: &str) {
        wait::until(&format!("Envoy is done with {name}"), || {
            (!self.is_warming(name)).then_some(())
        });
    }

    /// How many times Envoy has built its TLS context anew.
    pub fn contexts(&self) -> u64 {
        let name = "listener.127.0.0.1_0.server_ssl_socket_factory.ssl_context_update_by_sds";
        self.envoy.stat(name)
    }
}

/// An `SdsSecretConfig` that waits as long as it takes.
pub fn source(name: &str, api: Api) -> String {
    let api = match api {
        Api::World => "GRPC",
        Api::Delta => "DELTA_GRPC",
    };
    format!(
        "{{ name: {name:?}, sds_config: {{ resource_api_version: V3, initial_fetch_timeout: 0s, \
         api_config_source: {{ api_type: {api}, transport_api_version: V3, \
         grpc_services: [{{ envoy_grpc: {{ cluster_name: sds, retry_policy: {{ retry_back_off: \
         {{ base_interval: 0.1s, max_interval: 0.2s }} }} }} }}] }} }} }}"
    )
}

/// The cluster that a [`source`] asks.
pub fn clusters(socket: &Path) -> String {
    format!(
        r#"  clusters:
  - name: sds
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: sds
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ pipe: {{ path: {socket:?} }} }} }} }}] }}]
"#
    )
}

/// A key and chain as a secret.
pub fn certificate(name: &str, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> tls::Secret {
    let certificate = tls::TlsCertificate {
        certificate_chain: Some(inline(chain)),
        private_key: Some(inline(key)),
        ..tls::TlsCertificate::default()
    };
    secret(name, tls::secret::Type::TlsCertificate(certificate))
}

/// Roots as a secret.
pub fn roots(name: &str, bundle: impl AsRef<[u8]>) -> tls::Secret {
    let context = tls::CertificateValidationContext {
        trusted_ca: Some(inline(bundle)),
        ..tls::CertificateValidationContext::default()
    };
    secret(name, tls::secret::Type::ValidationContext(context))
}

/// A certificate that nothing is wrong with.
pub fn good(ca: &Authority) -> tls::Secret {
    let key = p256();
    certificate(OWN, ca.leaf(&key), key.serialize_pem())
}

/// One whose key is another one's.
pub fn mismatched(ca: &Authority) -> tls::Secret {
    certificate(OWN, ca.leaf(&p256()), p256().serialize_pem())
}

fn secret(name: &str, content: tls::secret::Type) -> tls::Secret {
    tls::Secret { name: name.to_owned(), r#type: Some(content) }
}

fn inline(bytes: impl AsRef<[u8]>) -> DataSource {
    let specifier = Some(Specifier::InlineBytes(bytes.as_ref().to_vec()));
    DataSource { specifier, ..DataSource::default() }
}
