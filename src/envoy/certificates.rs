//! The parts that fetch certificates: secrets by name over SDS, or the files that hold them.

use std::path::Path;

use super::backends::Backend;
use super::yaml::{Yaml, quoted};
use super::{Address, Context, Document, Source};
use crate::desired::layout;
use crate::identity::SpiffeId;

const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
/// The cluster of the agent.
pub(super) const SDS_CLUSTER: &str = "certctl";

/// A secret that a transport socket asks for.
pub(super) enum Secret<'a> {
    /// The node's own key and chain.
    Certificate,
    /// The roots and names of those who may call.
    Callers,
    /// The roots and names of one backend.
    Backend(&'a Backend<'a>),
}

impl Context<'_> {
    /// The name of a secret: what the agent is asked for, and what a file is called after.
    fn secret_name(&self, secret: &Secret<'_>) -> String {
        let node = &self.identity.name;
        match secret {
            Secret::Certificate => node.to_string(),
            Secret::Callers => format!("callers:{node}"),
            Secret::Backend(backend) => format!("backends:{node}/{}", backend.name),
        }
    }

    fn secret_file(&self, secret: &Secret<'_>) -> String {
        let node = &self.identity.name;
        match secret {
            Secret::Certificate => format!("{node}-certificate.yaml"),
            Secret::Callers => format!("{node}-callers.yaml"),
            Secret::Backend(backend) => format!("{node}-backend-{}.yaml", backend.name),
        }
    }

    /// The two lines of an `SdsSecretConfig`. Every one has the same source to the byte: Envoy
    /// opens a stream for each name and source.
    fn secret_config(&self, secret: &Secret<'_>) -> String {
        let source = match &self.options.source {
            Source::Sds(_) => format!(
                "{{ resource_api_version: V3, initial_fetch_timeout: 0s, api_config_source: {{ \
                 api_type: GRPC, transport_api_version: V3, set_node_on_first_message_only: true, \
                 grpc_services: [{{ envoy_grpc: {{ cluster_name: {SDS_CLUSTER}, retry_policy: {{ \
                 retry_back_off: {{ base_interval: 0.1s, max_interval: 1s }} }} }} }}] }} }}"
            ),
            Source::Files(_) => {
                let path = Path::new(self.beside).join(self.secret_file(secret));
                let path = quoted(&path.display().to_string());
                format!("{{ resource_api_version: V3, path_config_source: {{ path: {path} }} }}")
            }
        };
        let name = quoted(&self.secret_name(secret));
        format!("name: {name}\nsds_config: {source}\n")
    }

    /// The `common_tls_context` of a transport socket.
    pub(super) fn tls_context(&self, yaml: &mut Yaml, peers: &Secret<'_>) {
        yaml.below("common_tls_context:", |yaml| {
            yaml.line("alpn_protocols: [h2, http/1.1]");
            if let Source::Sds(_) = self.options.source {
                yaml.reason(
                    "0s: a name that is yet to come is waited for, with the port closed. The \
                     back-off brings streams back within a second of the agent; Envoy's own takes \
                     up to 25. Keep this source the same everywhere: Envoy opens a stream for each \
                     name and source.",
                );
            }
            yaml.line("tls_certificate_sds_secret_configs:");
            yaml.item(|yaml| {
                yaml.line(self.secret_config(&Secret::Certificate));
            });
            yaml.comment(match peers {
                Secret::Backend(_) => "The roots and the SPIFFE ID of this backend, together.",
                _ => "The roots and the SPIFFE IDs of those who may call, together.",
            });
            yaml.below("validation_context_sds_secret_config:", |yaml| {
                yaml.line(self.secret_config(peers));
            });
        });
    }

    /// The cluster of the agent; none in file mode.
    pub(super) fn sds_cluster(&self, yaml: &mut Yaml) {
        let Source::Sds(address) = &self.options.source else { return };
        yaml.item(|yaml| {
            yaml.comment("The agent. One connection; each secret is a stream on it.");
            yaml.line(format!("name: {SDS_CLUSTER}\nconnect_timeout: 1s"));
            yaml.below("typed_extension_protocol_options:", |yaml| {
                yaml.below("envoy.extensions.upstreams.http.v3.HttpProtocolOptions:", |yaml| {
                    yaml.line(
                        "\"@type\": type.googleapis.com/\
                             envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    );
                    yaml.line("explicit_http_config: { http2_protocol_options: {} }");
                });
            });
            load_assignment(yaml, SDS_CLUSTER, address);
        });
    }

    /// In file mode, the files that hold one secret each and make Envoy watch the directory.
    pub(super) fn secret_files(&self) -> Vec<Document> {
        let Source::Files(directory) = &self.options.source else { return Vec::new() };
        let identity = self.identity;
        let base = &identity.files.base;
        let path = |name: &str| quoted(&directory.join(name).display().to_string());
        let watched =
            format!("watched_directory: {{ path: {} }}", quoted(&directory.display().to_string()));
        let document = |secret: &Secret<'_>, inside: &dyn Fn(&mut Yaml)| {
            let mut yaml = Yaml::default();
            yaml.comment(
                "Envoy reads the files again whenever ..data of their directory is swapped. One \
                 secret for each file like this: Envoy refuses two.",
            );
            yaml.line("resources:");
            yaml.item(|yaml| {
                yaml.line(format!("\"@type\": {TLS}.Secret"));
                yaml.line(format!("name: {}", quoted(&self.secret_name(secret))));
                inside(yaml);
            });
            Document { name: self.secret_file(secret), text: yaml.into_text() }
        };
        let certificate = document(&Secret::Certificate, &|yaml| {
            yaml.below("tls_certificate:", |yaml| {
                let chain = path(&layout::node_chain(base));
                yaml.line(format!("certificate_chain: {{ filename: {chain} }}"));
                let key = path(&layout::node_key(base));
                yaml.line(format!("private_key: {{ filename: {key} }}"));
                yaml.line(&watched);
            });
        });
        let validation = |secret: &Secret<'_>, file: &str, expected: Option<Vec<SpiffeId>>| {
            document(secret, &|yaml| {
                yaml.below("validation_context:", |yaml| {
                    yaml.line(format!("trusted_ca: {{ filename: {} }}", path(file)));
                    yaml.line(&watched);
                    matchers(yaml, expected.as_deref());
                });
            })
        };
        let listener = match identity.listener.trust == identity.trust {
            true => layout::node_trust(base),
            false => layout::node_listener_trust(base),
        };
        let mut documents = vec![certificate];
        documents.push(validation(&Secret::Callers, &listener, self.desired.callers_of(identity)));
        for backend in &self.backends() {
            let own = identity.backends.as_ref().and_then(|all| all.get(backend.name));
            let file = match own.is_some_and(|own| own.trust != identity.trust) {
                true => layout::node_backend_trust(base, backend.name),
                false => layout::node_trust(base),
            };
            let expected = backend.identity.map(|identity| vec![identity.spiffe_id.clone()]);
            documents.push(validation(&Secret::Backend(backend), &file, expected));
        }
        documents
    }
}

/// Whom to accept by name. Envoy takes an empty list for everybody, so nobody is spelt out.
fn matchers(yaml: &mut Yaml, expected: Option<&[SpiffeId]>) {
    let Some(expected) = expected else { return };
    yaml.line("match_typed_subject_alt_names:");
    if expected.is_empty() {
        yaml.comment("Nobody may call: no certificate has this name.");
        yaml.line("- { san_type: URI, matcher: { exact: \"spiffe:nobody\" } }");
    }
    for id in expected {
        let id = quoted(&id.to_string());
        yaml.line(format!("- {{ san_type: URI, matcher: {{ exact: {id} }} }}"));
    }
}

/// A `load_assignment` of one endpoint.
pub(super) fn load_assignment(yaml: &mut Yaml, cluster: &str, address: &Address) {
    yaml.below("load_assignment:", |yaml| {
        yaml.line(format!("cluster_name: {cluster}\nendpoints:"));
        let address = socket(address);
        yaml.line(format!("- lb_endpoints: [{{ endpoint: {{ address: {address} }} }}]"));
    });
}

/// An `Address`.
pub(super) fn socket(address: &Address) -> String {
    match address {
        Address::Tcp(host) => format!(
            "{{ socket_address: {{ address: {}, port_value: {} }} }}",
            quoted(&host.name),
            host.port
        ),
        Address::Unix(path) => {
            format!("{{ pipe: {{ path: {} }} }}", quoted(&path.display().to_string()))
        }
    }
}

/// Begins a transport socket of this kind (`DownstreamTlsContext` or `UpstreamTlsContext`).
pub(super) fn transport_socket(yaml: &mut Yaml, kind: &str, inside: impl FnOnce(&mut Yaml)) {
    yaml.below("transport_socket:", |yaml| {
        yaml.line("name: envoy.transport_sockets.tls");
        yaml.below("typed_config:", |yaml| {
            yaml.line(format!("\"@type\": {TLS}.{kind}"));
            inside(yaml);
        });
    });
}
