//! What must hold, or had better hold, of the mesh as a whole.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::Range;

use super::Written;
use super::nodes::WrittenNode;
use super::values::Texts;
use crate::desired::document::Spanned;
use crate::desired::layout::{self, Content, MAX_FILE_NAME};
use crate::desired::problem::{Problem, Problems};
use crate::desired::{
    Admission, Authority, Backend, Caller, Desired, Identity, LocalAuthority, TrustSet,
};
use crate::identity::{AuthorityName, NodeName, SpiffeId};
use crate::x509::key::KeyAlgorithm;

/// The most CAs above one that signs leaves: rustls-webpki follows six intermediates.
const MAX_ABOVE: usize = 6;

/// The same where the topmost is of AWS Private CA, which signs a CA with at most three below it
/// (`SubordinateCACertificate_PathLen3/V1`).
const MAX_ABOVE_BELOW_AWS: usize = 4;

/// Judges `desired`, which is what `written` means so far as it means anything.
pub fn check(written: &Written<'_>, desired: &Desired, problems: &Problems) {
    let mesh = Mesh { written, desired, problems };
    mesh.subjects();
    mesh.depths();
    mesh.default_trust();
    mesh.spiffe_ids();
    mesh.dns_names();
    mesh.file_names();
    mesh.peers();
    mesh.key_algorithms();
    // After an error it may be just the nodes that could not be read.
    if written.node_names.is_empty() && !problems.has_errors() {
        let at = written.authorities.first().map_or(0..0, |a| a.name.span.clone());
        problems.push(
            Problem::warning(at, "the mesh has no nodes: only its authorities will be made")
                .help("add some under virtualNodes"),
        );
    }
}

struct Mesh<'a> {
    written: &'a Written<'a>,
    desired: &'a Desired,
    problems: &'a Problems,
}

impl<'a> Mesh<'a> {
    /// The nodes that could be made, each with what is written.
    fn nodes(&self) -> impl Iterator<Item = (&'a WrittenNode<'a>, &'a Identity)> {
        self.written.nodes.iter().filter_map(|node| {
            let identity = self.desired.identities.get(&node.name.value)?;
            Some((node, identity))
        })
    }

    /// Certificates name their issuer by its subject: two with one subject mislead verifiers, and
    /// an intermediate named as its parent looks self-signed (RFC 5280 section 6.1).
    fn subjects(&self) {
        let mut seen: Vec<(&LocalAuthority, &Spanned<AuthorityName>)> = Vec::new();
        for authority in &self.written.authorities {
            let Some(Authority::Local(local)) = self.desired.authorities.get(&authority.name.value)
            else {
                continue;
            };
            if let Some((other, place)) = seen.iter().find(|(o, _)| o.subject == local.subject) {
                let (one, two) = (&place.value, &authority.name.value);
                let message = format!("`{one}` and `{two}` have the same subject");
                let related = |parent: &Option<AuthorityName>, name| parent.as_ref() == Some(name);
                let chained = related(&local.parent, one) || related(&other.parent, two);
                let span = authority.name.span.clone();
                let problem = if chained {
                    Problem::error(span, message + ", so that one would look self-signed")
                } else {
                    Problem::warning(
                        span,
                        message + ", so that verifiers may take one for the other",
                    )
                };
                self.problems.push(
                    problem
                        .related(place.span.clone(), "the other one")
                        .help("give one of them another subject.commonName"),
                );
            }
            seen.push((local, &authority.name));
        }
    }

    /// What stands too deep could be made, and nothing that it signed would verify.
    fn depths(&self) {
        for authority in &self.written.authorities {
            let name = &authority.name.value;
            let top = self.desired.authorities.get(self.desired.root_of(name));
            let (most, why) = match top {
                Some(Authority::AcmPca(_)) => (MAX_ABOVE_BELOW_AWS, "AWS Private CA signs for"),
                _ => (MAX_ABOVE, "verifiers follow"),
            };
            let above = self.desired.above(name).take(most + 1).count();
            if above > most {
                let message = format!("`{name}` stands below more than {most} CAs; {why} no more");
                self.problems.push(
                    Problem::error(authority.name.span.clone(), message)
                        .help("choose a parent that is closer to the root"),
                );
            }
        }
    }

    /// What is wrong with the trust in `defaults` is told here, once, and not for each node.
    fn default_trust(&self) {
        let defaults = &self.written.defaults;
        for names in [&defaults.trust, &defaults.listener_trust].into_iter().flatten() {
            super::resolution::trust_is_sound(names, self.written, self.desired, self.problems);
        }
    }

    fn spiffe_ids(&self) {
        let place = |node: &WrittenNode<'_>| match &node.spiffe_path {
            Some(path) => path.span.clone(),
            None => node.name.span.clone(),
        };
        let ids = self.nodes().map(|(node, identity)| (&identity.spiffe_id, (place(node), node)));
        for (id, (span, node), (first, other)) in repeated(ids) {
            let (one, two) = (&other.name.value, &node.name.value);
            self.problems.push(
                Problem::error(span, format!("`{one}` and `{two}` would both be {id}"))
                    .related(first, "the other one")
                    .help("give one of them another spiffePath"),
            );
        }
    }

    fn dns_names(&self) {
        let names = self.nodes().flat_map(|(node, identity)| {
            identity.dns_names.iter().enumerate().map(move |(index, name)| {
                let written = node.dns_names.as_ref().and_then(|names| names.get(index));
                let span = written.map_or(&node.name.span, |name| &name.span);
                (name, (span.clone(), node))
            })
        });
        for (name, (span, node), (first, other)) in repeated(names) {
            let (one, two) = (&other.name.value, &node.name.value);
            let message = format!("`{one}` and `{two}` both answer to {name}");
            self.problems.push(Problem::warning(span, message).related(first, "the other one"));
        }
    }

    fn file_names(&self) {
        let files = layout::files(self.desired);
        for file in files.iter().filter(|file| file.name.len() > MAX_FILE_NAME) {
            let message = format!(
                "the file name of {} would be {} bytes long; file systems take {MAX_FILE_NAME}",
                file.content,
                file.name.len()
            );
            self.problems.push(
                Problem::error(self.place_of(&file.content), message)
                    .help("choose a shorter name, or a shorter files.name"),
            );
        }
        let named = files.iter().map(|file| (file.name.as_str(), &file.content));
        let mut told = HashSet::new();
        for (name, content, other) in repeated(named) {
            let (place, other_place) = (self.place_of(content), self.place_of(other));
            // Where one file of two nodes clashes, so do all of them.
            if !told.insert((place.clone(), other_place.clone())) {
                continue;
            }
            let message = format!("{other} and {content} would both be in `{name}`");
            self.problems.push(
                Problem::error(place, message).related(other_place, "the other one").help(
                    match content {
                        Content::Bundle(_) => "rename one of these authorities",
                        _ => "rename one of the two, or give a node another files.name",
                    },
                ),
            );
        }
    }

    /// Where a file's name comes from.
    fn place_of(&self, content: &Content<'_>) -> Range<usize> {
        let authority = |name: &AuthorityName| {
            let found = self.written.authorities.iter().find(|a| a.name.value == *name);
            found.map_or(0..0, |a| a.name.span.clone())
        };
        match content {
            Content::AuthorityCertificate(name) | Content::AuthorityKey(name) => authority(name),
            Content::Bundle(set) => set.names().first().map_or(0..0, authority),
            Content::Key(name)
            | Content::Certificate(name)
            | Content::Chain(name)
            | Content::Trust(name, _)
            | Content::ListenerTrust(name, _)
            | Content::BackendTrust(name, _, _) => {
                let node = self.written.nodes.iter().find(|node| node.name.value == **name);
                node.map_or(0..0, |node| node.base.as_ref().unwrap_or(&node.name).span.clone())
            }
        }
    }

    /// Handshakes that the mesh expects and that would fail: not errors, for a mesh in the middle
    /// of a change may want just that.
    fn peers(&self) {
        for (node, identity) in self.nodes() {
            if let (Some(written), Some(callers)) = (&node.callers, &identity.listener.callers) {
                self.callers(identity, written, callers);
            }
            for backend in node.backends.iter().flatten() {
                let found = identity.backends.iter().flatten();
                let found = found.into_iter().find(|(name, _)| name.as_str() == backend.name.value);
                if let Some((name, settings)) = found {
                    self.backend(identity, &backend.name, name, settings);
                }
            }
        }
    }

    fn callers(&self, server: &Identity, written: &Texts<'_>, callers: &[Caller]) {
        for caller in callers {
            let text = match caller {
                Caller::Node(name) => name.as_str(),
                Caller::Id(id) => id.as_str(),
            };
            let Some(place) = written.value.iter().find(|place| place.value == text) else {
                continue;
            };
            match caller {
                Caller::Id(id) => self.foreign_caller(id, place),
                Caller::Node(name) => {
                    let Some(client) = self.desired.identities.get(name) else {
                        continue;
                    };
                    if self.refuses(&server.listener.trust, &client.authority) {
                        let (authority, server) = (&client.authority, &server.name);
                        let message = format!(
                            "`{server}` would refuse `{name}`: that is signed by `{authority}`, \
 which the listener does not trust"
                        );
                        self.problems.push(
                            Problem::warning(place.span.clone(), message)
                                .help(format!("add `{authority}` to the trust of `{server}`")),
                        );
                    }
                }
            }
        }
    }

    /// Envoy clients offer TLS 1.2 without P-384 unless told otherwise.
    fn key_algorithms(&self) {
        for (node, identity) in self.nodes() {
            if identity.key_algorithm == KeyAlgorithm::EcP384 {
                let name = &identity.name;
                let message = format!(
                    "an Envoy that calls `{name}` with default TLS settings refuses its ec-p384 key"
                );
                self.problems.push(Problem::warning(node.name.span.clone(), message).help(
                    "use ec-p256, or set tls_maximum_protocol_version: TLSv1_3 in the clusters of \
                     its callers",
                ));
            }
        }
    }

    fn refuses(&self, trust: &TrustSet, signer: &AuthorityName) -> bool {
        self.desired.admission(trust, signer) == Admission::Refused
    }

    fn foreign_caller(&self, id: &SpiffeId, place: &Spanned<&str>) {
        let ids = || self.desired.identities.values().map(|identity| identity.spiffe_id.as_str());
        if *id.trust_domain() != self.desired.trust_domain
            || ids().any(|known| known == id.as_str())
        {
            return;
        }
        let help = self.problems.did_you_mean(id.as_str(), "IDs here", ids());
        let message = "no node of this mesh has this SPIFFE ID, though it is of its trust domain";
        self.problems.push(Problem::warning(place.span.clone(), message).maybe_help(help));
    }

    fn backend(
        &self,
        client: &Identity,
        place: &Spanned<&str>,
        name: &NodeName,
        backend: &Backend,
    ) {
        let Some(server) = self.desired.identities.get(name) else {
            return;
        };
        let client_name = &client.name;
        if self.refuses(&backend.trust, &server.authority) {
            let authority = &server.authority;
            let message = format!(
                "`{client_name}` would refuse `{name}`: that is signed by `{authority}`, \
 which `{client_name}` does not trust"
            );
            self.problems.push(
                Problem::warning(place.span.clone(), message)
                    .help(format!("add `{authority}` to the trust of `{client_name}`")),
            );
        }
        if !server.listener.expects(client) {
            let message =
                format!("`{name}` would refuse `{client_name}`, which is not among its callers");
            self.problems.push(
                Problem::warning(place.span.clone(), message)
                    .help(format!("add `{client_name}` to the callers of `{name}`")),
            );
        }
    }
}

/// Those of `items` whose key was there before, each with the first one that had it.
fn repeated<'a, K: Eq + Hash + ?Sized, T: Clone>(
    items: impl Iterator<Item = (&'a K, T)>,
) -> Vec<(&'a K, T, T)> {
    let mut first: HashMap<&K, T> = HashMap::new();
    let mut again = Vec::new();
    for (key, item) in items {
        match first.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(item);
            }
            Entry::Occupied(entry) => again.push((key, item, entry.get().clone())),
        }
    }
    again
}
