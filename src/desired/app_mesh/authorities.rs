//! Whom the manifests trust, as authorities with names, and who may have signed whom.
//!
//! No manifest says who signs a certificate. But a server that its clients accept must be signed
//! by one whom they all trust, and so must a client be by one whom its servers trust.

use std::collections::{BTreeSet, HashMap};

use indexmap::{IndexMap, IndexSet};

use super::graph::Graph;
use super::names::{self, SdsName, TrustFile};
use super::resources::{Certificate, Trust, Validation};
use crate::desired::acm_pca::CaArn;
use crate::identity::TrustDomain;

/// The authorities, in the order in which the manifests name them.
#[derive(Debug, Default)]
pub struct Authorities {
    /// Each with where it comes from.
    pub all: IndexMap<String, Origin>,
    trusts: HashMap<Trust, Vec<String>>,
}

/// Where an authority comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file names, secret names and ARNs behind the name.
    pub sources: BTreeSet<String>,
    /// Whether it belongs to another trust domain, so that it only can be trusted.
    pub foreign: bool,
    /// Whether a bundle's name alone speaks of it.
    pub bundle: bool,
    /// Which private CA of ACM it is.
    pub acm: Option<PrivateCaName>,
}

/// A private CA, as the manifests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateCaName {
    /// By its ARN: it goes on signing.
    Arn(CaArn),
    /// By something else, for which a local CA stands in.
    Other(String),
}

/// Who signs a proxy's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// ACM did, under one of several CAs; the user says which. What its peers accept, in words, is
    /// all that is known.
    Acm { arn: String, accepted: Vec<String> },
    /// It follows from what is said there.
    Deduced { authority: String, because: String },
    /// Several would do.
    Guessed { authority: String, because: String },
    /// The user said so.
    Said(String),
}

/// One peer's demand.
struct Demand {
    peer: String,
    accepts: Vec<String>,
}

impl Authorities {
    /// The authorities behind what the proxies of `graph` trust; `taken` are names that none of
    /// them may have.
    pub fn of(graph: &Graph<'_>, domain: &TrustDomain, taken: &BTreeSet<String>) -> Self {
        let trusts: Vec<&Trust> = (0..graph.proxies.len())
            .filter(|i| graph.speaks_tls[*i])
            .flat_map(|i| validations(graph, i))
            .filter_map(|validation| validation.trust.as_ref())
            .collect();
        let known: Vec<String> = trusts
            .iter()
            .filter_map(|trust| match trust {
                Trust::File(path) => match TrustFile::of(path) {
                    TrustFile::One(stem) => Some(stem),
                    TrustFile::Bundle(_) => None,
                },
                _ => None,
            })
            .collect();
        let mut authorities = Self::default();
        for trust in trusts {
            if !authorities.trusts.contains_key(trust) {
                let names: IndexSet<_> =
                    authorities.add(trust, domain, &known, taken).into_iter().collect();
                authorities.trusts.insert(trust.clone(), names.into_iter().collect());
            }
        }
        authorities
    }

    /// The names of those that `trust` stands for.
    pub fn trusted(&self, trust: &Trust) -> &[String] {
        self.trusts.get(trust).map_or(&[], Vec::as_slice)
    }

    /// The names of those that a validation accepts; none where it accepts anyone.
    pub fn accepted(&self, validation: Option<&Validation>) -> Option<&[String]> {
        let trust = validation?.trust.as_ref()?;
        Some(self.trusted(trust)).filter(|names| !names.is_empty())
    }

    /// The one that can sign, where there is no other.
    pub fn only(&self) -> Option<&String> {
        let mut signing = self.signing();
        signing.next().filter(|_| signing.next().is_none())
    }

    /// Those that can sign.
    pub fn signing(&self) -> impl Iterator<Item = &String> {
        self.all.iter().filter(|(_, origin)| !origin.foreign).map(|(name, _)| name)
    }

    /// Who may have signed `proxy`. `callers` are those whom its peers name as their clients.
    pub fn signer(&self, graph: &Graph<'_>, proxy: usize) -> Signer {
        let demands = self.demands(graph, proxy);
        let because = in_words(&demands);
        let mut candidates: Vec<&String> = self.signing().collect();
        for demand in &demands {
            let rest: Vec<_> =
                candidates.iter().copied().filter(|name| demand.accepts.contains(name)).collect();
            // Demands that contradict each other were not met in App Mesh either: keep the first.
            if !rest.is_empty() {
                candidates = rest;
            }
        }
        let acm = graph.proxies[proxy].certificates().find_map(|certificate| match certificate {
            Certificate::Acm(arn) => Some(arn),
            _ => None,
        });
        if let Some(arn) = acm {
            if let ([only], false) = (&candidates[..], demands.is_empty())
                && matches!(self.all[*only].acm, Some(PrivateCaName::Arn(_)))
            {
                let because = format!("ACM made its certificate, {arn}, and {because}");
                return Signer::Deduced { authority: (*only).clone(), because };
            }
            let accepted =
                demands.iter().map(|d| format!("{} accepts {}", d.peer, list(&d.accepts)));
            return Signer::Acm { arn: arn.clone(), accepted: accepted.collect() };
        }
        let own = validations(graph, proxy)
            .filter_map(|validation| self.accepted(Some(validation)))
            .flatten()
            .find(|name| candidates.contains(name));
        let first = candidates.first().map_or_else(String::new, |name| (*name).clone());
        match (candidates.len(), demands.is_empty()) {
            (0 | 1, true) => {
                Signer::Deduced { authority: first, because: "the only authority there is".into() }
            }
            (0 | 1, false) => Signer::Deduced { authority: first, because },
            (_, true) => Signer::Guessed {
                authority: own.cloned().unwrap_or(first),
                because: "nothing in the manifests tells who signs it".into(),
            },
            (_, false) => Signer::Guessed { authority: first, because },
        }
    }

    /// What the peers of `proxy` accept.
    fn demands(&self, graph: &Graph<'_>, proxy: usize) -> Vec<Demand> {
        let mut demands: Vec<Demand> = Vec::new();
        let mut add = |peer: usize, validation: Option<&Validation>| {
            let Some(accepts) = self.accepted(validation) else { return };
            let peer = graph.names[peer].clone();
            if !demands.iter().any(|d| d.peer == peer && d.accepts == accepts) {
                demands.push(Demand { peer, accepts: accepts.to_vec() });
            }
        };
        for edge in &graph.edges {
            if edge.server == proxy {
                add(edge.client, edge.policy.and_then(|policy| policy.validation.as_ref()));
            }
        }
        for (server, other) in graph.proxies.iter().enumerate() {
            for tls in other.listener_tls() {
                let named = tls
                    .validation
                    .iter()
                    .flat_map(|validation| validation.names.iter().flatten())
                    .any(|name| graph.named(name).0.contains(&proxy));
                let reached = graph.edges.iter().any(|e| (e.client, e.server) == (proxy, server));
                if server != proxy && (named || reached) {
                    add(server, tls.validation.as_ref());
                }
            }
        }
        demands
    }

    fn add(
        &mut self,
        trust: &Trust,
        domain: &TrustDomain,
        known: &[String],
        taken: &BTreeSet<String>,
    ) -> Vec<String> {
        match trust {
            Trust::Acm(arns) => arns.iter().map(|arn| self.private_ca(arn, taken)).collect(),
            Trust::File(path) => match TrustFile::of(path) {
                TrustFile::One(stem) => vec![self.one(&stem, path, taken)],
                TrustFile::Bundle(stem) => names::bundled(&stem, known)
                    .into_iter()
                    .map(|part| {
                        let name = self.one(&part, path, taken);
                        self.origin(&name).bundle |= !known.contains(&part);
                        name
                    })
                    .collect(),
            },
            Trust::Sds(secret) => {
                let named = match SdsName::of(secret) {
                    SdsName::Domain(named) => Some(named),
                    SdsName::Id(id) => Some(id.trust_domain().clone()),
                    SdsName::Other(_) => None,
                };
                let text = named.as_ref().map_or(secret.as_str(), TrustDomain::as_str);
                let name = self.one(text, secret, taken);
                self.origin(&name).foreign = named.is_some_and(|named| named != *domain);
                vec![name]
            }
        }
    }

    /// Two CAs are two authorities, however alike their ARNs begin.
    fn private_ca(&mut self, arn: &str, taken: &BTreeSet<String>) -> String {
        let ca = CaArn::parse(arn)
            .map_or_else(|_| PrivateCaName::Other(arn.to_owned()), PrivateCaName::Arn);
        let known = self.all.iter().find(|(_, origin)| origin.acm.as_ref() == Some(&ca));
        if let Some((name, _)) = known {
            return name.clone();
        }
        let others: BTreeSet<String> = self.all.keys().chain(taken).cloned().collect();
        let name = self.one(&names::arn_authority(arn), arn, &others);
        self.origin(&name).acm = Some(ca);
        name
    }

    fn one(&mut self, text: &str, source: &str, taken: &BTreeSet<String>) -> String {
        let mut name = names::authority(text).to_string();
        while taken.contains(&name) {
            name.push_str("-ca");
        }
        self.origin(&name).sources.insert(source.to_owned());
        name
    }

    fn origin(&mut self, name: &str) -> &mut Origin {
        self.all.entry(name.to_owned()).or_default()
    }
}

impl Signer {
    /// The authority, where there is one to write down.
    pub fn authority(&self) -> Option<&str> {
        match self {
            Self::Acm { .. } => None,
            Self::Deduced { authority, .. }
            | Self::Guessed { authority, .. }
            | Self::Said(authority) => Some(authority),
        }
    }
}

/// What a proxy expects of others, as a client first.
fn validations<'a>(graph: &Graph<'a>, proxy: usize) -> impl Iterator<Item = &'a Validation> {
    let proxy = &graph.proxies[proxy];
    let clients = proxy.client_tls().filter_map(|tls| tls.validation.as_ref());
    clients.chain(proxy.listener_tls().filter_map(|tls| tls.validation.as_ref()))
}

/// `[a, b]`, as the mesh file writes a set.
pub fn list(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

/// Who accepts what, at most three of them.
fn in_words(demands: &[Demand]) -> String {
    let mut groups: IndexMap<&[String], Vec<&str>> = IndexMap::new();
    for demand in demands {
        groups.entry(&demand.accepts).or_default().push(&demand.peer);
    }
    let mut words: Vec<String> = Vec::new();
    for (accepts, peers) in groups {
        let (shown, more) = peers.split_at(peers.len().min(3));
        let mut who = shown.join(", ");
        if !more.is_empty() {
            who = format!("{who} and {} more", more.len());
        }
        let verb = if peers.len() == 1 { "accepts" } else { "accept" };
        words.push(format!("{who} {verb} {}", list(accepts)));
    }
    words.join("; ")
}
