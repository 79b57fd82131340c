//! The names in each proxy's certificate: where it is found, what its SDS secret is called, and
//! what its peers expect of it.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::names::{self, SdsName};
use super::resources::{Proxy, Resources, Trust, Validation};
use super::write::Remarked;
use crate::identity::{DnsName, SpiffeId, TrustDomain};

/// The identities of all proxies, by number.
pub struct Identities {
    pub domain: TrustDomain,
    pub dns: Vec<Remarked<Vec<String>>>,
    /// Where it is not `/<name>`.
    pub path: Vec<Remarked<Option<String>>>,
    /// Names that a proxy has only because a peer expects them.
    given: BTreeSet<(usize, String)>,
}

/// The trust domain that the manifests speak of, and how that is known. None where nothing in them
/// would do as its name.
pub fn trust_domain(
    resources: &Resources,
    graph: &Graph<'_>,
    said: Option<&TrustDomain>,
) -> Option<Remarked<TrustDomain>> {
    if let Some(said) = said {
        return Some(Remarked { value: said.clone(), remarks: Vec::new() });
    }
    let mut votes: Vec<TrustDomain> = (0..graph.proxies.len())
        .filter_map(|i| graph.sds_id(i))
        .map(|id| id.trust_domain().clone())
        .collect();
    if votes.is_empty() {
        votes = graph.proxies.iter().flat_map(trust_domains).collect();
    }
    let mut counts: BTreeMap<&TrustDomain, usize> = BTreeMap::new();
    for vote in &votes {
        *counts.entry(vote).or_default() += 1;
    }
    let most = counts.values().max().copied();
    if let Some(domain) = votes.iter().find(|vote| counts.get(vote).copied() == most) {
        let remark = if counts.len() == 1 {
            "From the names of the SDS secrets.".to_owned()
        } else {
            let others: Vec<_> = counts.keys().map(|domain| domain.as_str()).collect();
            format!("CHOOSE: the SDS secrets are of several ({}).", others.join(", "))
        };
        return Some(Remarked { value: domain.clone(), remarks: vec![remark] });
    }
    let guess = |name: &str, from: &str| {
        let value = names::trust_domain(name)?;
        let remark = format!("CHOOSE: the manifests name no trust domain; this is {from}.");
        Some(Remarked { value, remarks: vec![remark] })
    };
    let mesh = resources.meshes.first().and_then(|(mesh, _)| guess(mesh, "the mesh's name"));
    mesh.or_else(|| {
        let key = &graph.proxies.first()?.key;
        guess(&key.namespace, "the namespace of its first node")
    })
}

/// Whether the proxy's identity lies in `domain`; one without a SPIFFE ID does.
pub fn in_domain(graph: &Graph<'_>, proxy: usize, domain: &TrustDomain) -> bool {
    graph.sds_id(proxy).is_none_or(|id| id.trust_domain() == domain)
}

impl Identities {
    /// The identities of `included` proxies.
    pub fn of(graph: &Graph<'_>, included: &[bool], domain: &TrustDomain) -> Self {
        let count = graph.proxies.len();
        let mut identities = Self {
            domain: domain.clone(),
            dns: vec![Remarked::default(); count],
            path: vec![Remarked::default(); count],
            given: BTreeSet::new(),
        };
        let mut ids: BTreeMap<SpiffeId, usize> = BTreeMap::new();
        for number in (0..count).filter(|i| included[*i]) {
            for hostname in &graph.proxies[number].spec.hostnames {
                identities.add_dns(number, hostname, None);
            }
            let Some(id) = graph.sds_id(number) else { continue };
            match ids.get(&id) {
                Some(other) => identities.path[number].remark(format!(
                    "CHOOSE: in App Mesh it shares {id} with {}; here each has its own.",
                    graph.names[*other]
                )),
                None => {
                    identities.set_path(graph, number, &id);
                    ids.insert(id, number);
                }
            }
        }
        for number in 0..count {
            identities.expected_by(graph, included, number);
        }
        identities.tell_apart(graph, included);
        identities
    }

    /// Whether `name` is the proxy's only because a peer expects it.
    pub fn was_given(&self, proxy: usize, name: &str) -> bool {
        self.given.contains(&(proxy, name.to_owned()))
    }

    /// Gives the peers of `number` the names by which it expects them: the name of the service
    /// that they are behind, and a name that only one of them can be meant by.
    fn expected_by(&mut self, graph: &Graph<'_>, included: &[bool], number: usize) {
        let proxy = &graph.proxies[number];
        for tls in proxy.listener_tls() {
            let clients = graph.clients(number);
            self.expected(graph, included, number, tls.validation.as_ref(), clients);
        }
        for tls in proxy.client_tls() {
            let edges = graph.edges.iter().filter(|edge| {
                edge.client == number && edge.policy.is_some_and(|policy| std::ptr::eq(policy, tls))
            });
            let servers = edges.map(|edge| edge.server).collect();
            self.expected(graph, included, number, tls.validation.as_ref(), servers);
        }
    }

    fn expected(
        &mut self,
        graph: &Graph<'_>,
        included: &[bool],
        by: usize,
        validation: Option<&Validation>,
        mut peers: BTreeSet<usize>,
    ) {
        peers.retain(|peer| included[*peer]);
        let names = validation.and_then(|v| v.names.as_deref()).unwrap_or_default();
        let mut unknown = Vec::new();
        for name in names {
            let (found, service) = graph.named(name);
            for peer in &found {
                if service && peers.contains(peer) {
                    self.give(graph, *peer, name, by);
                }
            }
            if found.is_empty() {
                unknown.push(name);
            }
            peers.retain(|peer| !found.contains(peer));
        }
        peers.retain(|peer| !names.iter().any(|name| self.was_given(*peer, name)));
        if let ([name], [peer]) = (unknown.as_slice(), Vec::from_iter(peers).as_slice()) {
            self.give(graph, *peer, name, by);
        }
    }

    fn give(&mut self, graph: &Graph<'_>, number: usize, name: &str, by: usize) {
        let by = &graph.names[by];
        match SdsName::of(name) {
            SdsName::Id(id) => {
                let free = self.path[number].value.is_none() && graph.sds_id(number).is_none();
                let taken = self.path.iter().any(|path| path.value.as_deref() == Some(id.path()));
                if !free || taken || *id.trust_domain() != self.domain {
                    return;
                }
                self.path[number].remark(format!("Deduced: {by} expects {id}."));
                self.set_path(graph, number, &id);
            }
            SdsName::Domain(_) => return,
            SdsName::Other(name) => self.add_dns(number, &name, Some(by)),
        }
        self.given.insert((number, name.to_owned()));
    }

    fn add_dns(&mut self, number: usize, name: &str, by: Option<&String>) {
        let names = &mut self.dns[number];
        match DnsName::parse(name.strip_suffix('.').unwrap_or(name)) {
            Ok(name) if names.value.iter().any(|other| other == name.as_str()) => {}
            Ok(name) => {
                if let Some(by) = by {
                    names.remark(format!("Deduced: {by} expects {name}."));
                }
                names.value.push(name.to_string());
            }
            Err(error) => names.remark(format!("CHOOSE: no name for a certificate: {error}.")),
        }
    }

    /// Gives those another path whose default one is what another proxy says it has.
    fn tell_apart(&mut self, graph: &Graph<'_>, included: &[bool]) {
        let numbers = || (0..included.len()).filter(|i| included[*i]);
        let mut taken: BTreeSet<String> =
            numbers().filter_map(|i| self.path[i].value.clone()).collect();
        for number in numbers().filter(|i| self.path[*i].value.is_none()).collect::<Vec<_>>() {
            let mut path = format!("/{}", graph.names[number]);
            if !taken.contains(&path) {
                taken.insert(path);
                continue;
            }
            let remark = format!("CHOOSE: {path} is the path of another node.");
            while !taken.insert(path.clone()) {
                path.push_str("-2");
            }
            self.path[number] = Remarked { value: Some(path), remarks: vec![remark] };
        }
    }

    fn set_path(&mut self, graph: &Graph<'_>, number: usize, id: &SpiffeId) {
        if id.path().strip_prefix('/') != Some(&graph.names[number]) {
            self.path[number].value = Some(id.path().to_owned());
        }
    }
}

/// The trust domains that a proxy trusts, or whose members it expects.
fn trust_domains(proxy: &Proxy) -> Vec<TrustDomain> {
    let client = proxy.client_tls().filter_map(|tls| tls.validation.as_ref());
    let validations = client.chain(proxy.listener_tls().filter_map(|tls| tls.validation.as_ref()));
    validations
        .flat_map(|validation| {
            let trust = validation.trust.iter().filter_map(|trust| match trust {
                Trust::Sds(secret) => Some(secret),
                _ => None,
            });
            trust.chain(validation.names.iter().flatten())
        })
        .filter_map(|text| match SdsName::of(text) {
            SdsName::Domain(domain) => Some(domain),
            SdsName::Id(id) => Some(id.trust_domain().clone()),
            SdsName::Other(_) => None,
        })
        .collect()
}
