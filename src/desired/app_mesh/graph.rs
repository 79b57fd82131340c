//! Who calls whom, and whom a name means: references between resources, resolved.

use std::collections::{BTreeSet, HashMap};

use super::names::{self, SdsName};
use super::resources::{
    Certificate, ClientTls, GatewayRoute, Key, Kind, ListenerTls, Provider, Proxy, Reference,
    Resources,
};

/// The mesh's proxies, by number, and what is between them.
pub struct Graph<'a> {
    pub proxies: &'a [Proxy],
    /// A name for each proxy that no other one has.
    pub names: Vec<String>,
    /// Whether a proxy speaks TLS on either side.
    pub speaks_tls: Vec<bool>,
    /// Whether a proxy calls a server that speaks TLS.
    pub calls_tls: Vec<bool>,
    pub edges: Vec<Edge<'a>>,
    /// What could not be found: the proxy whose it is, and a sentence.
    pub lost: Vec<(usize, String)>,
    services: &'a [(Key, super::resources::Service)],
    routers: &'a [(Key, Vec<Reference>)],
}

/// A client and a server that the manifests connect.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    pub client: usize,
    pub server: usize,
    /// The policy in force: the backend's own, or else the client's default.
    pub policy: Option<&'a ClientTls>,
    /// Whether it is the backend's own.
    pub own_policy: bool,
}

impl Proxy {
    /// The TLS of its listeners.
    pub fn listener_tls(&self) -> impl Iterator<Item = &ListenerTls> {
        self.spec.listeners.iter().filter_map(|listener| listener.tls.as_ref())
    }

    /// Its policies as a client, the default first.
    pub fn client_tls(&self) -> impl Iterator<Item = &ClientTls> {
        let backends = self.spec.backends.iter().filter_map(|backend| backend.policy.as_ref());
        self.spec.backend_defaults.iter().chain(backends)
    }

    /// What it presents, the listeners' first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let listeners = self.listener_tls().filter_map(|tls| tls.certificate.as_ref());
        listeners.chain(self.client_tls().filter_map(|tls| tls.certificate.as_ref()))
    }
}

impl<'a> Graph<'a> {
    /// Resolves what `resources` refer to.
    pub fn new(resources: &'a Resources) -> Self {
        let proxies = &resources.proxies;
        let mut graph = Self {
            proxies,
            names: unique_names(proxies),
            speaks_tls: Vec::new(),
            calls_tls: vec![false; proxies.len()],
            edges: Vec::new(),
            lost: Vec::new(),
            services: &resources.services,
            routers: &resources.routers,
        };
        for (client, proxy) in proxies.iter().enumerate() {
            for backend in &proxy.spec.backends {
                graph.connect(client, &backend.service, backend.policy.as_ref());
            }
            for group in &proxy.spec.backend_groups {
                let found = resources.backend_groups.iter().find(|(key, _)| key == group);
                match found {
                    Some((_, services)) => {
                        for service in services {
                            graph.connect(client, service, None);
                        }
                    }
                    None => graph.lost.push((
                        client,
                        format!("its backend group {} is not in the manifests", group.name),
                    )),
                }
            }
        }
        for route in &resources.gateway_routes {
            if let Some(client) = gateway_of(route, proxies) {
                for service in &route.services {
                    graph.connect(client, service, None);
                }
            }
        }
        graph.speaks_tls = proxies
            .iter()
            .map(|p| p.listener_tls().next().is_some() || p.client_tls().next().is_some())
            .collect();
        for edge in &graph.edges {
            // Without a policy Envoy takes whatever TLS the server has, and checks nothing.
            if proxies[edge.server].listener_tls().next().is_some() {
                graph.speaks_tls[edge.client] = true;
                graph.calls_tls[edge.client] = true;
            }
        }
        graph
    }

    /// The proxies that `name`, a SAN, belongs to, and whether it is the name of a service in
    /// front of them rather than their own.
    pub fn named(&self, name: &str) -> (Vec<usize>, bool) {
        let numbers = 0..self.proxies.len();
        if name.starts_with("spiffe://") {
            let owns = |i: &usize| {
                self.proxies[*i]
                    .certificates()
                    .any(|c| matches!(c, Certificate::Sds(s) if s == name))
            };
            return (numbers.filter(owns).collect(), false);
        }
        let owns = |i: &usize| {
            self.proxies[*i].spec.hostnames.iter().any(|h| h.eq_ignore_ascii_case(name))
        };
        let found: Vec<_> = numbers.filter(owns).collect();
        if !found.is_empty() {
            return (found, false);
        }
        let service = self.services.iter().find(|(_, s)| s.aws_name.eq_ignore_ascii_case(name));
        (service.map(|(key, _)| self.providers(key).unwrap_or_default()).unwrap_or_default(), true)
    }

    /// The clients that reach `server`, each once.
    pub fn clients(&self, server: usize) -> BTreeSet<usize> {
        self.edges.iter().filter(|e| e.server == server).map(|e| e.client).collect()
    }

    /// The SPIFFE ID by which a proxy gets its certificate over SDS.
    pub fn sds_id(&self, proxy: usize) -> Option<crate::identity::SpiffeId> {
        self.proxies[proxy].certificates().find_map(|certificate| match certificate {
            Certificate::Sds(name) => match SdsName::of(name) {
                SdsName::Id(id) => Some(id),
                _ => None,
            },
            _ => None,
        })
    }

    fn connect(&mut self, client: usize, service: &Reference, own: Option<&'a ClientTls>) {
        let found = match service {
            Reference::Key(key) => Some(key),
            Reference::Arn(arn) => {
                let name = arn.rsplit_once("virtualService/").map_or("", |(_, name)| name);
                let service = self.services.iter().find(|(_, service)| service.aws_name == name);
                service.map(|(key, _)| key)
            }
        };
        let servers = found.and_then(|key| self.providers(key));
        let Some(servers) = servers else {
            let (Reference::Key(Key { name, .. }) | Reference::Arn(name)) = service;
            self.lost.push((
                client,
                format!("who answers for its backend {name} is not in the manifests"),
            ));
            return;
        };
        let policy = own.or(self.proxies[client].spec.backend_defaults.as_ref());
        for server in servers {
            if server != client
                && !self.edges.iter().any(|e| (e.client, e.server) == (client, server))
            {
                self.edges.push(Edge { client, server, policy, own_policy: own.is_some() });
            }
        }
    }

    /// The proxies behind a service. None where that cannot be told.
    fn providers(&self, service: &Key) -> Option<Vec<usize>> {
        let (_, service) = self.services.iter().find(|(key, _)| key == service)?;
        let nodes = match service.provider.as_ref()? {
            Provider::Node(node) => std::slice::from_ref(node),
            Provider::Router(Reference::Key(router)) => {
                &self.routers.iter().find(|(key, _)| key == router)?.1
            }
            Provider::Router(Reference::Arn(arn)) => {
                let name = arn.rsplit('/').next()?;
                &self.routers.iter().find(|(key, _)| is_aws_name(key, name))?.1
            }
        };
        let found: Vec<_> = nodes.iter().filter_map(|node| self.node(node)).collect();
        (!found.is_empty()).then_some(found)
    }

    fn node(&self, reference: &Reference) -> Option<usize> {
        self.proxies.iter().position(|proxy| {
            proxy.kind == Kind::VirtualNode
                && match reference {
                    Reference::Key(key) => proxy.key == *key,
                    Reference::Arn(arn) => {
                        is_aws_name(&proxy.key, arn.rsplit('/').next().unwrap_or_default())
                    }
                }
        })
    }
}

/// The name that a resource has in App Mesh unless its `awsName` says otherwise.
fn is_aws_name(key: &Key, name: &str) -> bool {
    name == key.name || name == format!("{}_{}", key.name, key.namespace)
}

/// A route names its gateway, or belongs to the one that is there.
fn gateway_of(route: &GatewayRoute, proxies: &[Proxy]) -> Option<usize> {
    let is_gateway = |proxy: &Proxy| proxy.kind == Kind::VirtualGateway;
    if let Some(gateway) = &route.gateway {
        return proxies.iter().position(|p| is_gateway(p) && p.key == *gateway);
    }
    let only = |near: &dyn Fn(&Proxy) -> bool| {
        let mut found =
            (0..proxies.len()).filter(|i| is_gateway(&proxies[*i]) && near(&proxies[*i]));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|proxy| proxy.key.namespace == route.key.namespace).or_else(|| only(&|_| true))
}

/// The resource's own name where that is unique, else `name_namespace`, which is what App Mesh
/// calls it; a gateway that still has a node's name is marked as one.
fn unique_names(proxies: &[Proxy]) -> Vec<String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for proxy in proxies {
        *uses.entry(&proxy.key.name).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let mut name = |proxy: &Proxy| {
        let Key { name, namespace } = &proxy.key;
        let mut unique = name.clone();
        if uses.get(name.as_str()).is_some_and(|uses| *uses > 1) {
            // A namespace may be anything here, since nothing else depends on it.
            unique = names::authority(&format!("{name}_{namespace}")).to_string();
        }
        if !taken.insert(unique.clone()) {
            unique.push_str(if proxy.kind == Kind::VirtualGateway { "_gateway" } else { "_node" });
            while !taken.insert(unique.clone()) {
                unique.push('_');
            }
        }
        unique
    };
    proxies.iter().map(&mut name).collect()
}
