//! What the files of a mesh are called: the one place that says so, pure.
//!
//! The names are those of the walkthrough's certs.sh, and more of the same kind.

use std::fmt;

use indexmap::IndexSet;

use crate::desired::{Authority, Desired, Identity, TrustSet};
use crate::identity::{AuthorityName, NodeName};

/// The longest file name, in bytes, that common file systems take.
pub const MAX_FILE_NAME: usize = 255;

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name, without a directory.
    pub name: String,
    /// What is in it.
    pub content: Content<'a>,
}

/// What is in a file; all of it PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An authority's own certificate; of a `trustOnly` one, its roots.
    AuthorityCertificate(&'a AuthorityName),
    /// The key of an authority that certctl makes.
    AuthorityKey(&'a AuthorityName),
    /// A node's key.
    Key(&'a NodeName),
    /// A node's certificate alone.
    Certificate(&'a NodeName),
    /// A node's certificate, then those above it; a root only where it signed the leaf itself.
    Chain(&'a NodeName),
    /// The roots that a node trusts where nothing more particular is said.
    Trust(&'a NodeName, &'a TrustSet),
    /// The roots that a node trusts as a server, where they differ from its `trust`.
    ListenerTrust(&'a NodeName, &'a TrustSet),
    /// The roots that a node trusts toward one backend, where they differ from its `trust`.
    BackendTrust(&'a NodeName, &'a NodeName, &'a TrustSet),
    /// The roots of several authorities, or of one that is not a root itself.
    Bundle(TrustSet),
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthorityCertificate(name) => write!(f, "the certificate of authority `{name}`"),
            Self::AuthorityKey(name) => write!(f, "the key of authority `{name}`"),
            Self::Key(node) => write!(f, "the key of `{node}`"),
            Self::Certificate(node) => write!(f, "the certificate of `{node}`"),
            Self::Chain(node) => write!(f, "the chain of `{node}`"),
            Self::Trust(node, _) => write!(f, "the trust of `{node}`"),
            Self::ListenerTrust(node, _) => write!(f, "the listener's trust of `{node}`"),
            Self::BackendTrust(node, backend, _) => {
                write!(f, "the trust of `{node}` in its backend `{backend}`")
            }
            Self::Bundle(set) => {
                let names: Vec<_> = set.names().iter().map(|name| format!("`{name}`")).collect();
                write!(f, "the bundle of {}", names.join(" and "))
            }
        }
    }
}

/// What a state directory calls its record of what remote authorities have issued.
pub const ISSUED: &str = "issued.jsonl";

/// Every file of `desired`: authorities, nodes, then bundles; in mesh order, so that the same mesh
/// gives the same list.
///
/// Names are not checked here to differ or to be short enough; sources do that.
pub fn files(desired: &Desired) -> Vec<File<'_>> {
    let mut files = Vec::new();
    for (name, authority) in &desired.authorities {
        files.push(File {
            name: authority_certificate(name),
            content: Content::AuthorityCertificate(name),
        });
        if let Authority::Local(_) = authority {
            files.push(File { name: authority_key(name), content: Content::AuthorityKey(name) });
        }
    }
    for identity in desired.identities.values() {
        files.extend(of_node(identity));
    }
    for set in bundled(desired) {
        if let Some(name) = bundle(desired, &set) {
            files.push(File { name, content: Content::Bundle(set) });
        }
    }
    files
}

/// The files of one node.
pub fn of_node(identity: &Identity) -> Vec<File<'_>> {
    let mut files = Vec::new();
    let (node, base) = (&identity.name, &identity.files.base);
    let mut add = |name, content| files.push(File { name, content });
    add(node_key(base), Content::Key(node));
    add(node_certificate(base), Content::Certificate(node));
    add(node_chain(base), Content::Chain(node));
    add(node_trust(base), Content::Trust(node, &identity.trust));
    if identity.listener.trust != identity.trust {
        let content = Content::ListenerTrust(node, &identity.listener.trust);
        add(node_listener_trust(base), content);
    }
    for (name, backend) in identity.backends.iter().flatten() {
        if backend.trust != identity.trust {
            let content = Content::BackendTrust(node, name, &backend.trust);
            add(node_backend_trust(base, name), content);
        }
    }
    files
}

/// The trust sets that may get a bundle, each once: that of the whole mesh, as certs.sh writes it
/// from the start, and those in use.
fn bundled(desired: &Desired) -> IndexSet<TrustSet> {
    let whole = TrustSet::of(desired.authorities.keys(), |name| desired.distrusted(name).is_none());
    let in_use = desired.identities.values().flat_map(trust_sets);
    whole.into_iter().filter(|set| set.names().len() > 1).chain(in_use.cloned()).collect()
}

/// The trust sets of one node, some perhaps more than once.
pub fn trust_sets(identity: &Identity) -> impl Iterator<Item = &TrustSet> {
    let backends = identity.backends.iter().flatten().map(|(_, backend)| &backend.trust);
    [&identity.trust, &identity.listener.trust].into_iter().chain(backends)
}

/// The name of the bundle of `set`: `ca_1_ca_2_bundle.pem`. None where the one authority's own
/// certificate is its root, and where the name would be longer than [`MAX_FILE_NAME`]; the nodes'
/// own trust files hold the same then.
pub fn bundle(desired: &Desired, set: &TrustSet) -> Option<String> {
    if let [name] = set.names()
        && desired.authorities.get(name)?.is_root()
    {
        return None;
    }
    let name = bundle_name(set);
    (name.len() <= MAX_FILE_NAME).then_some(name)
}

/// `ca_1_ca_2_bundle.pem`, whether or not there is such a file.
pub fn bundle_name(set: &TrustSet) -> String {
    let names: Vec<_> = set.names().iter().map(AuthorityName::as_str).collect();
    format!("{}_bundle.pem", names.join("_"))
}

/// Whether a file's name is of the kind that this module gives, whatever mesh it was for.
pub fn is_of_our_kind(name: &str) -> bool {
    ["_key.pem", "_cert.pem", "_cert_chain.pem", "_trust.pem", "_bundle.pem"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

/// `ca_1_cert.pem`
pub fn authority_certificate(name: &AuthorityName) -> String {
    format!("{name}_cert.pem")
}

/// `ca_1_key.pem`
pub fn authority_key(name: &AuthorityName) -> String {
    format!("{name}_key.pem")
}

/// `ca_1_acm_pca.json`: what AWS Private CA has said of an authority of its own, or of the one above
/// ours, as it was last asked. In the state directory alone.
pub fn authority_description(name: &AuthorityName) -> String {
    format!("{name}_acm_pca.json")
}

/// `front_key.pem`
pub fn node_key(base: &NodeName) -> String {
    format!("{base}_key.pem")
}

/// `front_cert.pem`
pub fn node_certificate(base: &NodeName) -> String {
    format!("{base}_cert.pem")
}

/// `front_cert_chain.pem`
pub fn node_chain(base: &NodeName) -> String {
    format!("{base}_cert_chain.pem")
}

/// `front_trust.pem`
pub fn node_trust(base: &NodeName) -> String {
    format!("{base}_trust.pem")
}

/// `front_listener_trust.pem`
pub fn node_listener_trust(base: &NodeName) -> String {
    format!("{base}_listener_trust.pem")
}

/// `front_backend_colorapp-blue_trust.pem`
pub fn node_backend_trust(base: &NodeName, backend: &NodeName) -> String {
    format!("{base}_backend_{backend}_trust.pem")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::desired::mesh_file::MeshFile;

    fn names(text: &str) -> Vec<String> {
        let text = format!("version: 1\ntrustDomain: d\n{text}");
        let desired = MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired;
        files(&desired).into_iter().map(|file| file.name).collect()
    }

    fn bundles(text: &str) -> Vec<String> {
        names(text).into_iter().filter(|name| name.ends_with("_bundle.pem")).collect()
    }

    #[test]
    fn the_names_are_those_of_certs_sh_and_more() {
        assert_eq!(
            names("authorities: {ca_1: , ca_2: }\nvirtualNodes: {front: {authority: ca_1}}"),
            [
                "ca_1_cert.pem",
                "ca_1_key.pem",
                "ca_2_cert.pem",
                "ca_2_key.pem",
                "front_key.pem",
                "front_cert.pem",
                "front_cert_chain.pem",
                "front_trust.pem",
                "ca_1_ca_2_bundle.pem",
            ]
        );
    }

    #[test]
    fn trust_that_differs_gets_a_file_of_its_own() {
        let all = names(
            "authorities: {a: , b: , p: {trustOnly: {certificates: p}}}\nvirtualNodes:\n  \
             x: {authority: a, listener: {trust: [b]}, backends: {y: {trust: [b, a]}, z: }}\n  \
             y: {authority: a, files: {name: why}}\n  z: {authority: a}\n",
        );
        let trust: Vec<_> = all.iter().filter(|name| name.ends_with("_trust.pem")).collect();
        assert_eq!(
            trust,
            [
                "x_trust.pem",
                "x_listener_trust.pem",
                "x_backend_y_trust.pem",
                "why_trust.pem",
                "z_trust.pem"
            ]
        );
        assert!(all.contains(&"p_cert.pem".to_owned()) && !all.contains(&"p_key.pem".to_owned()));
        assert!(all.contains(&"a_b_bundle.pem".to_owned()), "in mesh order: {all:?}");
    }

    #[test]
    fn a_set_of_one_gets_a_bundle_where_its_own_certificate_may_not_be_the_root() {
        let authorities = "authorities: {r: , s: {local: {parent: r}}, \
            i: {local: {certificate: c, key: k}}, p: {trustOnly: {certificates: p}}}";
        let bundles = |trust: &str| {
            let node = format!("virtualNodes: {{x: {{authority: r, trust: [{trust}]}}}}");
            bundles(&format!("{authorities}\n{node}"))
        };
        assert_eq!(bundles("r"), ["r_s_i_p_bundle.pem"]);
        assert_eq!(bundles("s"), ["r_s_i_p_bundle.pem", "s_bundle.pem"]);
        assert_eq!(bundles("i"), ["r_s_i_p_bundle.pem", "i_bundle.pem"]);
        assert_eq!(bundles("p"), ["r_s_i_p_bundle.pem"]);
        assert_eq!(bundles("p, r, s, i"), ["r_s_i_p_bundle.pem"]);
    }

    #[test]
    fn a_bundle_whose_name_would_be_too_long_is_left_out() {
        let subject = "{local: {subject: {commonName: ";
        let [one, two] = ["x".repeat(120), "y".repeat(124)];
        let mesh = |two: &str| {
            bundles(&format!("authorities: {{{one}: {subject}1}}}}}}, {two}: {subject}2}}}}}}}}"))
        };
        assert_eq!(mesh(&two), [""; 0]);
        assert_eq!(mesh(&two[1..])[0].len(), MAX_FILE_NAME);
    }
}
