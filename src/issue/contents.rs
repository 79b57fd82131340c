//! What every published file is to hold, and who may read it.

use std::collections::HashMap;
use std::path::Path;

use super::node::Node;
use super::trust::{TrustFile, trust};
use super::{IssueError, Order};
use crate::authority::CaChain;
use crate::desired;
use crate::desired::layout::{self, Content};
use crate::files::{Access, Contents, FileName, FileSpec};
use crate::hierarchy::{Authorities, State};
use crate::identity::AuthorityName;
use crate::store::access;
use crate::x509::certificate::Certificate;

impl Order<'_> {
    /// Every file whose content is known; what failed is left out, and so stays as it lies.
    pub(super) fn files(
        &self,
        authorities: &Authorities,
        nodes: &[Node<'_>],
        trust_files: Vec<TrustFile>,
    ) -> Result<Vec<FileSpec>, IssueError> {
        let nodes: HashMap<_, _> = nodes.iter().map(|node| (&node.identity.name, node)).collect();
        let mut trust_files: HashMap<_, _> =
            trust_files.into_iter().map(|file| (file.name, file.contents)).collect();
        let mut specs = Vec::new();
        for file in layout::files(self.desired) {
            let public = Access::with_mode(0o644);
            let (contents, access) = match &file.content {
                Content::AuthorityKey(_) => (None, public),
                Content::AuthorityCertificate(name) => {
                    (self.authority_certificate(authorities, name), public)
                }
                Content::Bundle(set) => (trust(authorities, set).map(Contents::from), public),
                Content::Key(name) => {
                    let node = nodes[*name];
                    (node.key(), access(node.identity, node.identity.files.mode)?)
                }
                Content::Certificate(name) => {
                    (nodes[*name].certificate(), access(nodes[*name].identity, 0o644)?)
                }
                Content::Chain(name) => {
                    (nodes[*name].chain(), access(nodes[*name].identity, 0o644)?)
                }
                Content::Trust(name, _)
                | Content::ListenerTrust(name, _)
                | Content::BackendTrust(name, _, _) => (
                    trust_files.remove(&file.name).flatten(),
                    access(nodes[*name].identity, 0o644)?,
                ),
            };
            if let Some(contents) = contents {
                specs.push(FileSpec { name: FileName::parse(file.name)?, contents, access });
            }
        }
        Ok(specs)
    }

    /// What others gave, a CA's key above all, is never written over.
    pub(super) fn check_sources(&self) -> Result<(), IssueError> {
        let mut files = None;
        for (authority, kind) in &self.desired.authorities {
            for (path, is_certificate) in sources(kind) {
                let Ok(real) = std::fs::canonicalize(path) else { continue };
                let Some(name) = self.name_in_output(&real) else { continue };
                let files = files.get_or_insert_with(|| layout::files(self.desired));
                let written = files.iter().find(|file| file.name == name);
                // Its own copy is left as it is, and where it is local it is only made once.
                let own = |content: &Content<'_>| match content {
                    Content::AuthorityCertificate(name) => is_certificate && *name == authority,
                    Content::AuthorityKey(_) => true,
                    _ => false,
                };
                if let Some(file) = written.filter(|file| !own(&file.content)) {
                    return Err(IssueError::Overwrites {
                        path: path.to_owned(),
                        authority: authority.clone(),
                        what: file.content.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The name of the file at a real path, where that is in the output directory, or behind its
    /// `..data`.
    fn name_in_output<'p>(&self, real: &'p Path) -> Option<&'p str> {
        let output = std::fs::canonicalize(self.output).ok()?;
        let below = real.strip_prefix(output).ok()?;
        let (name, above) = (below.file_name()?.to_str()?, below.parent()?.to_str()?);
        (above.is_empty() || above.starts_with("..generation-")).then_some(name)
    }

    /// An authority's certificate as a published file; none where it lies in the output directory
    /// already, because that is also where the authority lives.
    pub(super) fn authority_certificate(
        &self,
        authorities: &Authorities,
        name: &AuthorityName,
    ) -> Option<Contents> {
        let source = match &self.desired.authorities[name] {
            desired::Authority::Local(_) => None,
            // AWS has said it, whatever the mesh file foresees.
            desired::Authority::AcmPca(_) => {
                let State::Remote(remote) = &authorities.states[name] else { return None };
                let own: Vec<_> = remote.chains().iter().map(CaChain::own).cloned().collect();
                return (!own.is_empty()).then(|| pem(&own).into());
            }
            desired::Authority::Imported(imported) => Some(&imported.certificate),
            desired::Authority::TrustOnly(partner) => Some(&partner.certificates),
        };
        let local = source.is_none();
        if local && !self.state_is_apart() {
            return None;
        }
        // Nor where that is the very file that it was read from, which may hold more.
        let file = self.output.join(layout::authority_certificate(name));
        if source.is_some_and(|source| is_same_file(source, &file)) {
            return None;
        }
        let certificates = match &authorities.states[name] {
            State::Ready(authority) => std::slice::from_ref(authority.certificate()),
            State::Mute { certificates, .. } => std::slice::from_ref(certificates.own()),
            State::TrustOnly(roots) => roots,
            State::Awaiting { .. } | State::Failed(_) | State::Remote(_) | State::ToMake { .. } => {
                return None;
            }
        };
        Some(pem(certificates).into())
    }
}

/// The files that the mesh file names for an authority, and whether each is its certificate.
fn sources(authority: &desired::Authority) -> Vec<(&Path, bool)> {
    fn secret(file: Option<&Path>) -> Option<(&Path, bool)> {
        file.map(|file| (file, false))
    }
    match authority {
        desired::Authority::Local(local) => {
            secret(local.passphrase_file.as_deref()).into_iter().collect()
        }
        desired::Authority::Imported(imported) => {
            let own = [(imported.certificate.as_path(), true), (imported.key.as_path(), false)];
            own.into_iter().chain(secret(imported.passphrase_file.as_deref())).collect()
        }
        desired::Authority::AcmPca(remote) => {
            let named = remote.cas.iter().filter_map(|ca| ca.certificates.as_deref());
            named.map(|file| (file, true)).collect()
        }
        desired::Authority::TrustOnly(partner) => vec![(partner.certificates.as_path(), true)],
    }
}

pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

pub(super) fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}
