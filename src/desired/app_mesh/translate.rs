//! From App Mesh's resources to a mesh file: what carries over, what has to be guessed, and what
//! is lost, each said beside the line that it concerns.

mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::authorities::{Authorities, Origin, PrivateCaName, Signer, list};
use super::graph::Graph;
use super::identities::{Identities, in_domain};
use super::names;
use super::resources::{Certificate, Kind, Resources, Validation};
use super::write::{AuthorityKind, AuthorityText, MeshText, ProxyText, Remarked};
use super::{Note, Options};
use crate::identity::{NodeName, TrustDomain};

/// A mesh file and what to say about it.
pub struct Translation {
    pub mesh: MeshText,
    pub notes: Vec<Note>,
    /// How many proxies were left out, those of other trust domains included.
    pub left_out: usize,
}

/// Translates. `domain` is the mesh's trust domain.
pub fn translate(
    resources: &Resources,
    graph: &Graph<'_>,
    domain: &Remarked<TrustDomain>,
    options: &Options,
) -> Translation {
    let mut translator = Translator::new(graph, &domain.value, options);
    let mut mesh = MeshText::default();
    for proxy in 0..graph.proxies.len() {
        if translator.included[proxy] {
            let text = translator.proxy(proxy);
            match graph.proxies[proxy].kind {
                Kind::VirtualGateway => mesh.gateways.push(text),
                Kind::VirtualNode => mesh.nodes.push(text),
            }
        } else {
            let text = translator.left_out(proxy);
            mesh.left_out.push(text);
        }
    }
    mesh.head = translator.head(resources);
    mesh.trust_domain =
        Remarked { value: domain.value.to_string(), remarks: domain.remarks.clone() };
    mesh.authorities = translator.authorities();
    translator.check_edges();
    Translation { left_out: mesh.left_out.len(), mesh, notes: translator.notes }
}

struct Translator<'a> {
    graph: &'a Graph<'a>,
    options: &'a Options,
    included: Vec<bool>,
    identities: Identities,
    authorities: Authorities,
    signers: Vec<Signer>,
    /// The base of each proxy's files where it is not its name.
    bases: Vec<Option<String>>,
    notes: Vec<Note>,
}

impl<'a> Translator<'a> {
    fn new(graph: &'a Graph<'a>, domain: &TrustDomain, options: &'a Options) -> Self {
        let numbers = 0..graph.proxies.len();
        let included: Vec<bool> =
            numbers.clone().map(|i| graph.speaks_tls[i] && in_domain(graph, i, domain)).collect();
        let bases = bases(graph, &included);
        let taken: BTreeSet<String> =
            graph.names.iter().cloned().chain(bases.iter().flatten().cloned()).collect();
        let mut authorities = Authorities::of(graph, domain, &taken);
        for (_, authority) in &options.authorities {
            authorities.all.entry(authority.to_string()).or_default();
        }
        if authorities.signing().next().is_none() {
            let mut name = "ca".to_owned();
            while taken.contains(&name) {
                name.push_str("-ca");
            }
            authorities.all.entry(name).or_default();
        }
        let signers = numbers
            .map(|i| {
                let said =
                    options.authorities.iter().find(|(node, _)| node.as_str() == graph.names[i]);
                match said {
                    Some((_, authority)) => Signer::Said(authority.to_string()),
                    None => authorities.signer(graph, i),
                }
            })
            .collect();
        let identities = Identities::of(graph, &included, domain);
        Self {
            graph,
            options,
            included,
            identities,
            authorities,
            signers,
            bases,
            notes: Vec::new(),
        }
    }

    fn head(&self, resources: &Resources) -> Vec<String> {
        let mut head = vec!["Made by `certctl config import` from App Mesh manifests.".to_owned()];
        match resources.meshes.as_slice() {
            [] => {}
            [(mesh, _)] => head[0] = format!("{} Mesh: {mesh}.", head[0]),
            _ => head.push(
                "CHOOSE: the manifests define several meshes; their nodes are all in this file."
                    .to_owned(),
            ),
        }
        head.push(
            "Where a line is guessed or incomplete, the remark before it begins with CHOOSE."
                .to_owned(),
        );
        head.push(
            "App Mesh does not say who signs whom: an `authority` here is one that all peers accept."
                .to_owned(),
        );
        let is_rented = |origin: &Origin| matches!(origin.acm, Some(PrivateCaName::Arn(_)));
        let rented = self.authorities.all.values().filter(|origin| is_rented(origin)).count();
        if rented < self.authorities.all.len() {
            let which = if rented == 0 { "The authorities" } else { "Those without acmPca" };
            head.push(format!(
                "{which} are new ones, made on first use. To go on with an old one:"
            ));
            head.push("  NAME: { local: { certificate: FILE, key: FILE } }".to_owned());
        }
        head
    }

    fn authorities(&self) -> Vec<AuthorityText> {
        let text = |(name, origin): (&String, &Origin)| {
            let sources: Vec<_> = origin.sources.iter().cloned().collect();
            let mut remarks = Vec::new();
            if !sources.is_empty() {
                remarks.push(format!("From {}.", sources.join(", ")));
            }
            let acm_pca = match &origin.acm {
                Some(PrivateCaName::Arn(arn)) => Some(AuthorityKind::AcmPca(arn.to_string())),
                _ => None,
            };
            if acm_pca.is_some() {
                remarks.push(
                    "AWS signs, as before, and is paid for each certificate; `certctl config check \
                     --online` asks whether it would."
                        .to_owned(),
                );
            } else if origin.acm.is_some() {
                remarks.push(
                    "CHOOSE: this is no ARN of a private CA, so a local CA stands in for it; peers \
                     that trust only the old one refuse it."
                        .to_owned(),
                );
            } else if origin.sources.is_empty() && !self.said(name) {
                remarks
                    .push("CHOOSE: the manifests name no authority; this one is new.".to_owned());
            } else if origin.bundle {
                remarks.push("CHOOSE: known from the name of a bundle alone.".to_owned());
            }
            let trust_only = origin.foreign.then(|| {
                remarks.push(
                    "CHOOSE: the roots of another trust domain; put them into this file."
                        .to_owned(),
                );
                AuthorityKind::TrustOnly(format!("{name}_roots.pem"))
            });
            let kind = trust_only.or(acm_pca).unwrap_or_default();
            AuthorityText { name: name.clone(), remarks, kind }
        };
        self.authorities.all.iter().map(text).collect()
    }

    fn said(&self, name: &str) -> bool {
        self.options.authorities.iter().any(|(_, authority)| authority.as_str() == name)
    }

    fn left_out(&self, number: usize) -> String {
        let name = &self.graph.names[number];
        match self.graph.sds_id(number) {
            Some(id) if self.graph.speaks_tls[number] => format!(
                "Left out: {name}, which is {id}: another trust domain (import it with \
                 --trust-domain {}).",
                id.trust_domain()
            ),
            _ => format!("Left out: {name}, which uses no TLS."),
        }
    }

    fn proxy(&mut self, number: usize) -> ProxyText {
        let proxy = &self.graph.proxies[number];
        let mut text = ProxyText {
            name: self.graph.names[number].clone(),
            authority: self.authority(number),
            dns_names: self.identities.dns[number].clone(),
            spiffe_path: self.identities.path[number].clone(),
            files_name: self.files(number),
            ..ProxyText::default()
        };
        self.trust(number, &mut text);
        self.callers(number, &mut text);
        self.backends(number, &mut text);
        let serves = proxy.listener_tls().next().is_some();
        let calls = proxy.client_tls().next().is_some();
        if serves && text.dns_names.value.is_empty() && text.dns_names.remarks.is_empty() {
            text.dns_names.remark(
                "CHOOSE: the manifests give it no host name; clients that check one need dnsNames.",
            );
        }
        let remark = match (serves, calls) {
            (false, true) if !proxy.spec.listeners.is_empty() => {
                Some("A client only: its listener uses no TLS in App Mesh.")
            }
            (false, false) if self.graph.calls_tls[number] => {
                Some("It has no TLS of its own in App Mesh, but calls servers that do.")
            }
            (false, false) => Some("It uses no TLS in App Mesh."),
            _ => None,
        };
        text.remarks.extend(remark.map(str::to_owned));
        if (serves || calls) && proxy.certificates().next().is_none() {
            text.remarks.push(
                "It presents no certificate in App Mesh (one-way TLS); here it gets one."
                    .to_owned(),
            );
        }
        text
    }

    fn authority(&mut self, number: usize) -> Remarked<Option<String>> {
        let signer = &self.signers[number];
        let value = signer.authority().map(str::to_owned);
        let several = self.authorities.only().is_none();
        let remarks = match signer {
            Signer::Said(_) => Vec::new(),
            Signer::Deduced { .. } if !several => Vec::new(),
            Signer::Deduced { because, .. } => vec![format!("Deduced: {because}.")],
            Signer::Guessed { because, .. } => vec![format!("CHOOSE: {because}.")],
            Signer::Acm { arn, accepted } => {
                let mut remark = format!("CHOOSE an authority: ACM made its certificate, {arn}");
                if !accepted.is_empty() {
                    remark = format!("{remark} ({})", accepted.join("; "));
                }
                remark.push_str(if several {
                    ". The file is not valid until `authority:` is here."
                } else {
                    ". Without one, the only authority signs."
                });
                vec![remark]
            }
        };
        if matches!(signer, Signer::Acm { .. }) {
            let name = self.graph.names[number].clone();
            self.note(
                number,
                format!(
                    "{name} has a certificate of ACM; choose its authority, in the file or \
                         with --authority {name}=AUTHORITY"
                ),
            );
        }
        Remarked { value, remarks }
    }

    fn files(&self, number: usize) -> Remarked<Option<String>> {
        let mut files = Remarked { value: self.bases[number].clone(), remarks: Vec::new() };
        let written = self.bases[number].as_ref().unwrap_or(&self.graph.names[number]);
        let mut said = BTreeSet::new();
        for certificate in self.graph.proxies[number].certificates() {
            if let Certificate::File { chain, key } = certificate
                && names::file_base(chain, key).is_none_or(|base| base.as_str() != written)
                && said.insert((chain, key))
            {
                files.remark(format!(
                    "In App Mesh its files are {chain} and {key}; certctl writes \
                     {written}_cert_chain.pem and {written}_key.pem."
                ));
            }
        }
        files
    }

    /// Says which calls will fail with the authorities as they are now.
    fn check_edges(&mut self) {
        let mut seen = BTreeMap::new();
        for edge in &self.graph.edges {
            let (client, server) = (edge.client, edge.server);
            if !self.included[client] || !self.included[server] {
                continue;
            }
            let policy = edge.policy.and_then(|policy| policy.validation.as_ref());
            let listeners = self.graph.proxies[server].listener_tls();
            let checks = iter::once((client, server, policy))
                .chain(listeners.map(|tls| (server, client, tls.validation.as_ref())));
            for (from, to, validation) in checks {
                if let Some(refusal) = self.refusal(from, to, validation) {
                    seen.entry((from, to)).or_insert(refusal);
                }
            }
        }
        for ((from, _), message) in seen {
            self.note(from, message);
        }
    }

    /// Why what `from` demands of its peers keeps it from accepting `to`, where it does.
    fn refusal(&self, from: usize, to: usize, validation: Option<&Validation>) -> Option<String> {
        let accepted = self.authorities.accepted(validation)?;
        let signer = self.signers[to].authority()?;
        let names = &self.graph.names;
        (!accepted.iter().any(|name| name == signer)).then(|| {
            format!(
                "{} accepts {}, but {} is signed by {signer}: {0} will refuse it",
                names[from],
                list(accepted),
                names[to]
            )
        })
    }

    fn note(&mut self, number: usize, message: String) {
        self.notes.push(Note::at(self.graph.proxies[number].origin, message));
    }
}

/// The base of each proxy's files, where the manifests have them in our layout under another name
/// than its own, and nobody else's are called so.
fn bases(graph: &Graph<'_>, included: &[bool]) -> Vec<Option<String>> {
    let base = |i: usize| {
        let files = graph.proxies[i].certificates().filter_map(|certificate| match certificate {
            Certificate::File { chain, key } => names::file_base(chain, key),
            _ => None,
        });
        files.map(|base: NodeName| base.to_string()).next().filter(|_| included[i])
    };
    let all: Vec<Option<String>> = (0..graph.proxies.len()).map(base).collect();
    let unique = |i: usize, base: &String| {
        *base != graph.names[i]
            && !graph.names.contains(base)
            && all.iter().flatten().filter(|other| *other == base).count() == 1
    };
    (0..all.len()).map(|i| all[i].clone().filter(|base| unique(i, base))).collect()
}
