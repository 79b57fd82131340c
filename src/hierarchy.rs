//! The authorities of a mesh as they stand: what is there of each, and making what is not.
//!
//! A CA's key is never overwritten and never made twice: it is on disk, whole, before anything is
//! signed with it, and a certificate without its key stops that authority instead of replacing it.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::authority::{Authority, CaChain};
use crate::desired::layout;
use crate::desired::{self, Desired, LocalAuthority};
use crate::files::{FileName, FilesError};
use crate::identity::AuthorityName;
use crate::store::{Reader, read_foreign};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::printable::printable;

mod descriptions;
mod due;
mod errand;
mod failure;
mod keys;
mod loading;
mod making;
mod notes;
mod recall;
mod remote;
mod signer;

pub use errand::{Errand, ErrandError, Means, Outcome, SignedCa};
pub use failure::AuthorityFailure;
use keys::Keys;
use loading::load_imported;
pub use recall::recall;
pub use remote::Remote;
pub use signer::{Signer, signer};

/// What is there of an authority.
#[derive(Debug)]
pub enum State {
    /// It can sign.
    Ready(Arc<Authority>),
    /// It is made, or its certificate is signed anew, when the plan is carried out.
    ToMake {
        /// Its key, where there is one already.
        key: Option<PrivateKey>,
        /// Whether there is a certificate to be replaced.
        why: Making,
    },
    /// Its key is here, and the authority above, which is at AWS, is yet to sign for it.
    Awaiting {
        /// Its key.
        key: Arc<PrivateKey>,
        /// Whether there is a certificate to be replaced.
        why: Making,
    },
    /// Its certificates are known, but it cannot sign.
    Mute {
        /// Its certificates.
        certificates: CaChain,
        /// Why it cannot sign.
        why: Arc<AuthorityFailure>,
    },
    /// Its keys are at AWS, where it signs as soon as one of its CAs is known.
    Remote(Remote),
    /// It is trusted only; these are its roots.
    TrustOnly(Vec<Certificate>),
    /// Nothing of it can be used.
    Failed(Arc<AuthorityFailure>),
}

/// Why an authority's certificate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// There was none.
    New,
    /// It is half over.
    Due,
    /// Its parent, or its place in the hierarchy, has changed.
    Changed,
    /// It begins in the future: the clock was set back since it was made.
    NotYetValid,
}

impl State {
    /// The roots that trusting this authority means, once it is there.
    pub fn roots(&self) -> Option<&[Certificate]> {
        match self {
            Self::Ready(authority) => Some(std::slice::from_ref(authority.root())),
            Self::Mute { certificates, .. } => Some(std::slice::from_ref(certificates.root())),
            Self::TrustOnly(roots) => Some(roots),
            Self::Remote(remote) => Some(remote.roots()).filter(|roots| !roots.is_empty()),
            Self::Awaiting { .. } | Self::ToMake { .. } | Self::Failed(_) => None,
        }
    }
}

/// Every authority of a mesh, parents first.
#[derive(Debug)]
pub struct Authorities {
    /// What is there of each.
    pub states: IndexMap<AuthorityName, State>,
    /// What the user should know of them.
    pub notes: Vec<Note>,
}

/// Something about an authority that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The authority.
    pub authority: AuthorityName,
    /// A sentence that names it.
    pub text: String,
}

impl Authorities {
    /// Looks at what is there of every authority of the mesh.
    pub fn load(desired: &Desired, read: &Reader<'_>, now: OffsetDateTime) -> Self {
        Self::look(desired, read, Keys::Read, now)
    }

    /// The same without keys, which may take long to be decrypted, or to be had at all: enough to
    /// see what their certificates signed before. Nothing is noted of them, and nothing can be made.
    pub fn load_certificates(desired: &Desired, read: &Reader<'_>, now: OffsetDateTime) -> Self {
        let mut this = Self::look(desired, read, Keys::Unread, now);
        this.notes.clear();
        this
    }

    fn look(desired: &Desired, read: &Reader<'_>, keys: Keys, now: OffsetDateTime) -> Self {
        let mut names: Vec<_> = desired.authorities.keys().collect();
        names.sort_by_key(|name| depth(desired, name));
        let mut this = Self { states: IndexMap::new(), notes: Vec::new() };
        for name in names {
            let state = this
                .load_one(desired, name, (read, keys), now)
                .unwrap_or_else(|failure| State::Failed(Arc::new(failure)));
            match &state {
                State::Ready(authority) => {
                    this.note_end(desired, name, authority.certificates(), now);
                }
                State::Remote(remote) => {
                    for chain in remote.chains() {
                        this.note_end(desired, name, chain, now);
                    }
                }
                _ => {}
            }
            this.states.insert(name.clone(), state);
        }
        this
    }

    fn load_one(
        &mut self,
        desired: &Desired,
        name: &AuthorityName,
        (read, keys): (&Reader<'_>, Keys),
        now: OffsetDateTime,
    ) -> Result<State, AuthorityFailure> {
        match &desired.authorities[name] {
            desired::Authority::Local(local) => {
                let own = (name, local);
                let key = match keys {
                    Keys::Read => self.read_key(own, read),
                    Keys::Unread => Err(AuthorityFailure::KeyUnread),
                };
                self.load_local(desired, own, read, key, now)
            }
            desired::Authority::Imported(imported) => load_imported(name, imported, keys, now),
            desired::Authority::AcmPca(remote) => {
                self.load_remote(name, remote, read).map(State::Remote)
            }
            desired::Authority::TrustOnly(partner) => {
                let file = printable(&partner.certificates.display().to_string());
                let roots = Certificate::all_from_pem(&read_foreign(&partner.certificates)?)
                    .map_err(|cause| AuthorityFailure::Certificate { file, cause })?;
                self.note_roots(name, &roots, now);
                Ok(State::TrustOnly(roots))
            }
        }
    }

    /// What is to be made, or signed anew, and why.
    pub fn to_make(&self) -> Vec<(AuthorityName, Making)> {
        let to_make = self.states.iter().filter_map(|(name, state)| match state {
            State::Awaiting { why, .. } | State::ToMake { why, .. } => Some((name.clone(), *why)),
            _ => None,
        });
        to_make.collect()
    }

    fn note(&mut self, authority: &AuthorityName, text: String) {
        self.notes.push(Note { authority: authority.clone(), text });
    }

    /// Makes nothing new of what lies in the output directory already: a state directory that was
    /// named wrongly, or for the first time, must not begin every CA of the mesh anew.
    pub fn stop_those_elsewhere(
        &mut self,
        read_output: &Reader<'_>,
        output: &Path,
        state: &Path,
    ) -> Result<(), FilesError> {
        for (name, own) in &mut self.states {
            if !matches!(own, State::ToMake { key: None, why: Making::New }) {
                continue;
            }
            for file in [layout::authority_key(name), layout::authority_certificate(name)] {
                if read_output(&FileName::parse(file.clone())?)?.is_some() {
                    let (found, state) = (output.join(file), state.to_owned());
                    *own = State::Failed(Arc::new(AuthorityFailure::Elsewhere { found, state }));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whose root a certificate is: by authority, or by subject where it is of none.
    pub fn name_of(&self, root: &Certificate) -> String {
        let is_its = |state: &State| state.roots().is_some_and(|roots| roots.contains(root));
        match self.states.iter().find(|(_, state)| is_its(state)) {
            Some((name, _)) => name.to_string(),
            None => root.common_name().map_or_else(|| root.subject(), str::to_owned),
        }
    }

    /// Whether the key of that authority is yet to be read, where there may be one.
    pub fn is_unread(&self, name: &AuthorityName) -> bool {
        matches!(self.states.get(name), Some(State::Mute { why, .. } | State::Failed(why))
            if matches!(**why, AuthorityFailure::KeyUnread))
    }

    /// The authority of that name if it can sign by now, or why it cannot.
    pub fn signer(&self, name: &AuthorityName) -> Result<Signer, Arc<AuthorityFailure>> {
        match &self.states[name] {
            State::Ready(authority) => Ok(Signer::Here(Arc::clone(authority))),
            State::Remote(remote) => match remote.authority() {
                Some(authority) => Ok(Signer::Remote(Arc::clone(authority))),
                None => Err(Arc::new(AuthorityFailure::NotDescribed)),
            },
            State::Mute { why, .. } | State::Failed(why) => Err(Arc::clone(why)),
            State::TrustOnly(_) => Err(Arc::new(AuthorityFailure::TrustOnly)),
            State::Awaiting { .. } | State::ToMake { .. } => {
                Err(Arc::new(AuthorityFailure::NotMade))
            }
        }
    }

    /// Why the authority of that name cannot sign now, where its certificates are known.
    pub fn why_mute(&self, name: &AuthorityName) -> Option<&AuthorityFailure> {
        match &self.states[name] {
            State::Mute { why, .. } => Some(why),
            _ => None,
        }
    }

    /// The certificates of the authority of that name, whether it can sign or not: enough to see
    /// whether what it signed before is still right. Of one with several CAs, those of the one that
    /// issued `leaf`, or of the preferred one where none did.
    pub fn certificates(
        &self,
        name: &AuthorityName,
        leaf: Option<&Certificate>,
    ) -> Result<&CaChain, Arc<AuthorityFailure>> {
        match &self.states[name] {
            State::Ready(authority) => Ok(authority.certificates()),
            State::Mute { certificates, .. } => Ok(certificates),
            State::Remote(remote) => {
                let issued = leaf.and_then(|leaf| {
                    remote.chains().iter().find(|chain| leaf.names_as_issuer(chain.own()))
                });
                let chain = issued.or(remote.chains().first());
                chain.ok_or_else(|| Arc::new(AuthorityFailure::NotDescribed))
            }
            State::Failed(why) => Err(Arc::clone(why)),
            State::TrustOnly(_) => Err(Arc::new(AuthorityFailure::TrustOnly)),
            State::Awaiting { .. } | State::ToMake { .. } => {
                Err(Arc::new(AuthorityFailure::NotMade))
            }
        }
    }

    /// The certificates of every CA that signs as this authority, as far as they are known.
    pub fn chains(&self, name: &AuthorityName) -> &[CaChain] {
        match &self.states[name] {
            State::Ready(authority) => std::slice::from_ref(authority.certificates()),
            State::Mute { certificates, .. } => std::slice::from_ref(certificates),
            State::Remote(remote) => remote.chains(),
            State::Awaiting { .. }
            | State::Failed(_)
            | State::ToMake { .. }
            | State::TrustOnly(_) => &[],
        }
    }
}

/// How many CAs stand above an authority.
fn depth(desired: &Desired, name: &AuthorityName) -> usize {
    match desired.authorities.get(name) {
        Some(desired::Authority::Local(LocalAuthority { parent: Some(parent), .. })) => {
            1 + depth(desired, parent)
        }
        _ => 0,
    }
}

/// How many CAs stand, at most, between an authority and a leaf.
fn height(desired: &Desired, name: &AuthorityName) -> u8 {
    let below = desired.children_of(name).map(|child| height(desired, child).saturating_add(1));
    below.max().unwrap_or(0)
}
