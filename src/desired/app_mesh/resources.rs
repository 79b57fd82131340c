//! App Mesh resources (`appmesh.k8s.aws/v1beta2`) as far as they say who serves what, who calls
//! whom, and whom they trust. Nothing is resolved or judged here.

mod tls;

use std::collections::BTreeMap;

use super::view::View;
use crate::x509::printable::printable;
pub use tls::{Certificate, ClientTls, ListenerTls, Trust, Validation};
use tls::{client_tls, listener_tls};

/// The group of the resources' `apiVersion`.
const GROUP: &str = "appmesh.k8s.aws/";
const VERSION: &str = "v1beta2";

/// Where a resource stands: the number of its file, and a byte offset there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: usize,
    pub at: usize,
}

/// A resource's name and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Resources {
    pub proxies: Vec<Proxy>,
    pub services: Vec<(Key, Service)>,
    pub routers: Vec<(Key, Vec<Reference>)>,
    pub gateway_routes: Vec<GatewayRoute>,
    pub backend_groups: Vec<(Key, Vec<Reference>)>,
    pub meshes: Vec<(String, Origin)>,
    /// How many resources of other kinds there were.
    pub skipped: BTreeMap<String, usize>,
}

/// Whether a proxy is a node's or a gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    VirtualGateway,
    VirtualNode,
}

/// A VirtualNode or VirtualGateway.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub kind: Kind,
    pub key: Key,
    pub origin: Origin,
    pub spec: ProxySpec,
}

/// What a proxy is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxySpec {
    pub hostnames: Vec<String>,
    pub listeners: Vec<Listener>,
    pub backend_defaults: Option<ClientTls>,
    pub backends: Vec<BackendReference>,
    pub backend_groups: Vec<Key>,
}

/// A listener. `tls` is none where it has none or has it disabled.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    pub port: Option<u16>,
    pub tls: Option<ListenerTls>,
}

/// A reference to another resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Reference {
    Key(Key),
    Arn(String),
}

/// An entry of `backends`.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendReference {
    pub service: Reference,
    pub policy: Option<ClientTls>,
}

/// A VirtualService.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name in App Mesh, which clients also use as host name.
    pub aws_name: String,
    pub provider: Option<Provider>,
}

/// Who answers for a VirtualService.
#[derive(Clone, Debug, PartialEq)]
pub enum Provider {
    Node(Reference),
    Router(Reference),
}

/// A GatewayRoute.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayRoute {
    pub key: Key,
    pub gateway: Option<Key>,
    pub services: Vec<Reference>,
}

/// Whether a text that is not YAML was probably meant to be one of these resources.
pub fn looks_like_ours(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches([' ', '-', '{', '"', '\'']);
        line.starts_with("apiVersion") && line.contains(GROUP)
    })
}

impl Resources {
    /// Takes a document's resources. The answer says whether any of them was App Mesh's.
    pub fn read(&mut self, file: usize, root: View<'_>) -> bool {
        let raw = |key| root.get(key).and_then(View::raw);
        let kind = &printable(raw("kind").unwrap_or("document without a kind"));
        let version = raw("apiVersion").unwrap_or_default();
        if kind.ends_with("List")
            && let Some(items) = root.get("items")
        {
            let items = items.items("items");
            return items.into_iter().fold(false, |any, item| self.read(file, item) | any);
        }
        let Some(version) = version.strip_prefix(GROUP) else {
            *self.skipped.entry(kind.to_owned()).or_default() += 1;
            return false;
        };
        if version != VERSION {
            let place = root.get("apiVersion").unwrap_or(root);
            place.note(format!("{kind} of {GROUP}{version} is not read; {GROUP}{VERSION} is"));
            *self.skipped.entry(format!("{kind} ({version})")).or_default() += 1;
            return true;
        }
        if self.resource(file, kind, root).is_none() {
            // What kept it from being read has been noted.
        }
        true
    }

    fn resource(&mut self, file: usize, kind: &str, root: View<'_>) -> Option<()> {
        if !matches!(
            kind,
            "BackendGroup"
                | "GatewayRoute"
                | "Mesh"
                | "VirtualGateway"
                | "VirtualNode"
                | "VirtualRouter"
                | "VirtualService"
        ) {
            *self.skipped.entry(kind.to_owned()).or_default() += 1;
            return Some(());
        }
        let Some(metadata) = root.get("metadata") else {
            return root.error(format!("this {kind} has no metadata"));
        };
        let metadata = metadata.mapping("metadata")?;
        let Some(name) = metadata.get("name") else {
            return metadata.error(format!("this {kind} has no name"));
        };
        let origin = Origin { file, at: name.span().start };
        // A name with an unset variable fails the import in the end; reading on finds the others.
        let text =
            |view: View<'_>, what| view.text(what).map(|text| text.value).unwrap_or_default();
        let name = text(name, "name");
        if kind == "Mesh" {
            let aws_name = root.at(["spec", "awsName"]).map(|name| text(name, "awsName"));
            self.meshes.push((aws_name.unwrap_or(name), origin));
            return Some(());
        }
        let namespace = metadata.get("namespace");
        let namespace =
            namespace.map_or_else(|| "default".to_owned(), |view| text(view, "namespace"));
        let key = Key { namespace, name };
        let Some(spec) = root.get("spec") else {
            return root.error(format!("{kind} {} has no spec", key.name));
        };
        let spec = spec.mapping("spec")?;
        match kind {
            "VirtualNode" | "VirtualGateway" => {
                let kind =
                    if kind == "VirtualNode" { Kind::VirtualNode } else { Kind::VirtualGateway };
                let spec = proxy_spec(kind, &key, spec);
                self.proxies.push(Proxy { kind, key, origin, spec });
            }
            "VirtualService" => {
                let service = service(&key, spec);
                self.services.push((key, service));
            }
            "VirtualRouter" => {
                let targets = router_targets(&key, spec);
                self.routers.push((key, targets));
            }
            "GatewayRoute" => {
                let route = gateway_route(key, spec);
                self.gateway_routes.push(route);
            }
            _ => {
                let services =
                    spec.get("virtualservices").map(|list| list.items("virtualservices"));
                let services = services.unwrap_or_default().into_iter();
                let services = services.filter_map(|item| key_of(&key, item)).map(Reference::Key);
                let services = services.collect();
                self.backend_groups.push((key, services));
            }
        }
        Some(())
    }
}

fn proxy_spec(kind: Kind, own: &Key, spec: View<'_>) -> ProxySpec {
    let common = ["awsName", "backendDefaults", "listeners", "logging", "meshRef", "podSelector"];
    let mut known = common.to_vec();
    match kind {
        Kind::VirtualGateway => known.extend(["gatewayRouteSelector", "namespaceSelector"]),
        Kind::VirtualNode => known.extend(["backendGroups", "backends", "serviceDiscovery"]),
    }
    spec.expect(&format!("{kind} {}", own.name), &known);
    let list = |key| spec.get(key).map(|list| list.items(key)).unwrap_or_default();
    ProxySpec {
        hostnames: hostnames(spec),
        listeners: list("listeners").into_iter().map(listener).collect(),
        backend_defaults: spec.at(["backendDefaults", "clientPolicy"]).and_then(client_tls),
        backends: list("backends").into_iter().filter_map(|item| backend(own, item)).collect(),
        backend_groups: list("backendGroups")
            .into_iter()
            .filter_map(|item| key_of(own, item))
            .collect(),
    }
}

fn hostnames(spec: View<'_>) -> Vec<String> {
    let Some(discovery) = spec.get("serviceDiscovery") else {
        return Vec::new();
    };
    let dns = discovery.at(["dns", "hostname"]).and_then(|name| name.text("hostname"));
    let cloud_map = discovery.get("awsCloudMap").and_then(|map| {
        let service = map.text_at("serviceName")?.value;
        Some(format!("{service}.{}", map.text_at("namespaceName")?.value))
    });
    dns.map(|name| name.value).into_iter().chain(cloud_map).collect()
}

fn listener(view: View<'_>) -> Listener {
    let port = view.at(["portMapping", "port"]).and_then(View::port);
    Listener { port, tls: view.get("tls").and_then(listener_tls) }
}

fn backend(own: &Key, item: View<'_>) -> Option<BackendReference> {
    let service = item.get("virtualService")?.mapping("virtualService")?;
    service.expect(
        "a backend's virtualService",
        &["clientPolicy", "virtualServiceARN", "virtualServiceRef"],
    );
    let reference = reference(own, service, "virtualServiceRef", "virtualServiceARN");
    let policy = service.get("clientPolicy").and_then(client_tls);
    Some(BackendReference { service: reference?, policy })
}

fn service(own: &Key, spec: View<'_>) -> Service {
    let aws_name = spec.text_at("awsName").map(|name| name.value);
    let node = spec.at(["provider", "virtualNode"]);
    let router = spec.at(["provider", "virtualRouter"]);
    let node = node.and_then(|n| reference(own, n, "virtualNodeRef", "virtualNodeARN"));
    let router = router.and_then(|r| reference(own, r, "virtualRouterRef", "virtualRouterARN"));
    Service {
        aws_name: aws_name.unwrap_or_else(|| format!("{}.{}", own.name, own.namespace)),
        provider: node.map(Provider::Node).or(router.map(Provider::Router)),
    }
}

fn router_targets(own: &Key, spec: View<'_>) -> Vec<Reference> {
    let mut targets = Vec::new();
    for route in spec.get("routes").map(|routes| routes.items("routes")).unwrap_or_default() {
        for kind in ["grpcRoute", "http2Route", "httpRoute", "tcpRoute"] {
            let weighted = route.at([kind, "action", "weightedTargets"]);
            for target in weighted.map(|list| list.items("weightedTargets")).unwrap_or_default() {
                let target = reference(own, target, "virtualNodeRef", "virtualNodeARN");
                targets.extend(target.filter(|target| !targets.contains(target)));
            }
        }
    }
    targets
}

fn gateway_route(key: Key, spec: View<'_>) -> GatewayRoute {
    let routes = ["grpcRoute", "http2Route", "httpRoute"].into_iter();
    let services = routes
        .filter_map(|kind| spec.at([kind, "action", "target", "virtualService"]))
        .filter_map(|service| reference(&key, service, "virtualServiceRef", "virtualServiceARN"))
        .collect();
    let gateway = spec.get("virtualGatewayRef").and_then(|gateway| key_of(&key, gateway));
    GatewayRoute { key, gateway, services }
}

fn reference(own: &Key, view: View<'_>, by_key: &str, by_arn: &str) -> Option<Reference> {
    if let Some(named) = view.get(by_key) {
        return key_of(own, named).map(Reference::Key);
    }
    let arn = view.get(by_arn)?.text(by_arn)?.value;
    Some(Reference::Arn(arn))
}

fn key_of(own: &Key, view: View<'_>) -> Option<Key> {
    let name = view.text_at("name")?.value;
    let namespace = match view.get("namespace") {
        Some(namespace) => namespace.text("namespace")?.value,
        None => own.namespace.clone(),
    };
    Some(Key { namespace, name })
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::VirtualGateway => "VirtualGateway",
            Self::VirtualNode => "VirtualNode",
        })
    }
}
