//! Listener, clusters, and the bootstrap around them.

use super::backends::Backend;
use super::certificates::{Secret, load_assignment, socket, transport_socket};
use super::yaml::{Yaml, quoted};
use super::{Address, Context, Source};
use crate::desired::ListenerMode;

const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.\
    http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Trust that shrinks reaches new connections only, so that old ones must not last.
const MOST_AGE: &str = "common_http_protocol_options: { max_connection_duration: 3600s }";
const WHY_AGE: &str = "A certificate or root that is withdrawn reaches new connections only: this \
    bounds how long an old one lasts.";

impl Context<'_> {
    pub(super) fn bootstrap(&self) -> String {
        let node = &self.identity.name;
        let mut yaml = Yaml::default();
        yaml.comment(&format!(
            "The Envoy of {node}: takes mutual TLS on {}, hands requests to {}, and takes its \
             node's own calls on {}.",
            self.options.listen, self.options.application, self.options.outbound
        ));
        let cluster = quoted(self.desired.trust_domain.as_str());
        yaml.line(format!("node: {{ id: {node}, cluster: {cluster} }}"));
        yaml.comment("It can stop this Envoy and shows its configuration: for this host alone.");
        yaml.line(format!("admin: {{ address: {} }}", socket(&self.options.admin)));
        yaml.below("static_resources:", |yaml| {
            yaml.line("listeners:");
            yaml.item(|yaml| self.listener(yaml));
            let backends = self.backends();
            if !backends.is_empty() {
                yaml.item(|yaml| self.outbound(yaml, &backends));
            }
            yaml.line("clusters:");
            self.sds_cluster(yaml);
            yaml.item(|yaml| {
                yaml.comment("The node itself.");
                yaml.line("name: application\nconnect_timeout: 1s");
                let address = Address::Tcp(self.options.application.clone());
                discovery(yaml, &address);
                load_assignment(yaml, "application", &address);
            });
            for backend in &backends {
                yaml.item(|yaml| self.backend_cluster(yaml, backend));
            }
        });
        yaml.into_text()
    }

    pub(super) fn parts(&self) -> String {
        let node = &self.identity.name;
        let mut yaml = Yaml::default();
        if let Source::Sds(_) = self.options.source {
            yaml.comment("1. Into static_resources.clusters, once:");
            self.sds_cluster(&mut yaml);
            yaml.line("---");
        }
        yaml.comment(&format!("2. Into each filter chain that takes calls for {node}:"));
        self.downstream(&mut yaml);
        yaml.comment(
            "and into the filter http_connection_manager of that chain, for the same reason:",
        );
        yaml.comment(WHY_AGE);
        yaml.comment(MOST_AGE);
        if self.identity.listener.mode == ListenerMode::Permissive {
            yaml.comment(
                "Permissive: let the chain match transport_protocol: tls, put a chain without \
                 transport_socket behind it, and envoy.filters.listener.tls_inspector before both.",
            );
        }
        for backend in &self.backends() {
            yaml.line("---");
            yaml.comment(&format!("3. Into the cluster of {}:", backend.name));
            self.upstream(&mut yaml, backend);
        }
        yaml.into_text()
    }

    fn listener(&self, yaml: &mut Yaml) {
        yaml.line(format!(
            "name: inbound\naddress: {}",
            socket(&Address::Tcp(self.options.listen.clone()))
        ));
        let permissive = self.identity.listener.mode == ListenerMode::Permissive;
        if permissive {
            yaml.comment("Permissive: tells TLS from plain text by the first bytes.");
            yaml.below("listener_filters:", |yaml| {
                yaml.item(|yaml| {
                    yaml.line("name: envoy.filters.listener.tls_inspector");
                    yaml.line(
                        "typed_config: { \"@type\": type.googleapis.com/\
                         envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector }",
                    );
                });
            });
        }
        yaml.line("filter_chains:");
        yaml.item(|yaml| {
            if permissive {
                yaml.line("filter_chain_match: { transport_protocol: tls }");
            }
            self.downstream(yaml);
            self.to_application(yaml, "inbound");
        });
        if permissive {
            yaml.item(|yaml| {
                yaml.comment("Plain text, from those who do not speak mutual TLS yet.");
                yaml.line("filter_chain_match: { transport_protocol: raw_buffer }");
                self.to_application(yaml, "inbound_plain");
            });
        }
    }

    fn downstream(&self, yaml: &mut Yaml) {
        transport_socket(yaml, "DownstreamTlsContext", |yaml| {
            yaml.line("require_client_certificate: true");
            yaml.reason(
                "A resumed session would skip the check of the caller's certificate, however long \
                 ago that was made.",
            );
            yaml.line("disable_stateless_session_resumption: true");
            yaml.line("disable_stateful_session_resumption: true");
            self.tls_context(yaml, &Secret::Callers);
        });
    }

    fn upstream(&self, yaml: &mut Yaml, backend: &Backend<'_>) {
        transport_socket(yaml, "UpstreamTlsContext", |yaml| {
            let dns_names = backend.identity.iter().flat_map(|identity| &identity.dns_names);
            if let Some(name) = dns_names.into_iter().next() {
                yaml.line(format!("sni: {name}"));
            }
            yaml.reason("No resumption: each connection checks the backend's certificate.");
            yaml.line("max_session_keys: 0");
            self.tls_context(yaml, &Secret::Backend(backend));
        });
    }

    fn to_application(&self, yaml: &mut Yaml, name: &str) {
        yaml.line("filters:");
        manager(yaml, name, |yaml| {
            yaml.reason(WHY_AGE);
            yaml.line(MOST_AGE);
            yaml.reason("Tells the application who called, and lets nobody else claim to be them.");
            yaml.line("forward_client_cert_details: SANITIZE_SET");
            yaml.line("set_current_client_cert_details: { uri: true }");
            yaml.below("route_config:", |yaml| {
                yaml.line("virtual_hosts:");
                yaml.line(
                    "- { name: application, domains: [\"*\"], routes: [{ match: { prefix: / }, \
                     route: { cluster: application } }] }",
                );
            });
        });
    }

    fn outbound(&self, yaml: &mut Yaml, backends: &[Backend<'_>]) {
        let address = socket(&Address::Tcp(self.options.outbound.clone()));
        yaml.comment("The node's own calls, by host name.");
        yaml.line(format!("name: outbound\naddress: {address}"));
        yaml.line("filter_chains:");
        yaml.item(|yaml| {
            yaml.line("filters:");
            manager(yaml, "outbound", |yaml| {
                yaml.line("strip_any_host_port: true");
                yaml.comment("Says why a backend could not be reached, TLS included.");
                yaml.line(
                    "local_reply_config: { body_format: { text_format_source: { inline_string: \
                     \"%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%\\n\" } } }",
                );
                yaml.below("route_config:", |yaml| {
                    yaml.line("virtual_hosts:");
                    for backend in backends {
                        let domains: Vec<_> =
                            backend.domains().iter().map(|name| quoted(name)).collect();
                        yaml.item(|yaml| {
                            yaml.line(format!("name: {}", backend.name));
                            yaml.line(format!("domains: [{}]", domains.join(", ")));
                            yaml.line(format!(
                                "routes: [{{ match: {{ prefix: / }}, route: {{ cluster: {} }} }}]",
                                cluster_name(backend)
                            ));
                        });
                    }
                });
            });
        });
    }

    fn backend_cluster(&self, yaml: &mut Yaml, backend: &Backend<'_>) {
        let name = cluster_name(backend);
        let address = Address::Tcp(backend.address.clone());
        yaml.line(format!("name: {name}\nconnect_timeout: 5s"));
        discovery(yaml, &address);
        yaml.below("typed_extension_protocol_options:", |yaml| {
            yaml.below(&format!("{PROTOCOL_OPTIONS}:"), |yaml| {
                yaml.line(format!("\"@type\": type.googleapis.com/{PROTOCOL_OPTIONS}"));
                yaml.reason(WHY_AGE);
                yaml.line(MOST_AGE);
                yaml.line("auto_config: { http2_protocol_options: {} }");
            });
        });
        self.upstream(yaml, backend);
        load_assignment(yaml, &name, &address);
    }
}

/// A backend may be called `application`, or as the agent's cluster is.
fn cluster_name(backend: &Backend<'_>) -> String {
    format!("backend-{}", backend.name)
}

fn discovery(yaml: &mut Yaml, address: &Address) {
    let Address::Tcp(host) = address else { return };
    if host.name.parse::<std::net::IpAddr>().is_err() {
        yaml.line("type: STRICT_DNS");
    }
}

fn manager(yaml: &mut Yaml, name: &str, inside: impl FnOnce(&mut Yaml)) {
    yaml.item(|yaml| {
        yaml.line("name: envoy.filters.network.http_connection_manager");
        yaml.below("typed_config:", |yaml| {
            yaml.line(format!("\"@type\": {MANAGER}\nstat_prefix: {name}"));
            inside(yaml);
            yaml.line("http_filters:");
            yaml.line(format!(
                "- {{ name: envoy.filters.http.router, typed_config: {{ \"@type\": {ROUTER} }} }}"
            ));
        });
    });
}
