//! The authorities of a mesh as they stand: what is there of each, and making what is not.
//!
//! A CA's key is never overwritten and never made twice: it is on disk, whole, before anything is
//! signed with it, and a certificate without its key stops that authority instead of replacing it.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::authority::{Authority, CaChain, check_valid};
use crate::desired::layout;
use crate::desired::{self, Desired, ImportedAuthority, LocalAuthority};
use crate::files::{FileName, FilesError};
use crate::identity::AuthorityName;
use crate::store::{Reader, read_foreign, read_passphrase};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::printable::printable;

mod due;
mod failure;
mod keys;
mod making;
mod notes;
mod signer;

use due::outdated;
pub use failure::AuthorityFailure;
use keys::Keys;
use notes::unrenewable;
pub use signer::signer;

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
    /// Its certificates are known, but it cannot sign.
    Mute {
        /// Its certificates.
        certificates: CaChain,
        /// Why it cannot sign.
        why: Arc<AuthorityFailure>,
    },
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
            Self::ToMake { .. } | Self::Failed(_) => None,
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
            if let State::Ready(authority) = &state {
                this.note_end(desired, authority, now);
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
            desired::Authority::AcmPca(_) => Err(AuthorityFailure::NotMade),
            desired::Authority::TrustOnly(partner) => {
                let file = printable(&partner.certificates.display().to_string());
                let roots = Certificate::all_from_pem(&read_foreign(&partner.certificates)?)
                    .map_err(|cause| AuthorityFailure::Certificate { file, cause })?;
                self.note_roots(name, &roots, now);
                Ok(State::TrustOnly(roots))
            }
        }
    }

    fn load_local(
        &mut self,
        desired: &Desired,
        (name, wanted): (&AuthorityName, &LocalAuthority),
        read: &Reader<'_>,
        key: Result<Option<PrivateKey>, AuthorityFailure>,
        now: OffsetDateTime,
    ) -> Result<State, AuthorityFailure> {
        let file = layout::authority_certificate(name);
        let own = match read(&FileName::parse(file.clone())?)? {
            None => {
                let key = match key {
                    Err(AuthorityFailure::KeyUnread) => None,
                    key => key?,
                };
                return Ok(State::ToMake { key, why: Making::New });
            }
            Some(text) => first_certificate(text.as_bytes(), &file)?,
        };
        let key = key.and_then(|key| {
            let key_file = layout::authority_key(name);
            key.ok_or(AuthorityFailure::KeyMissing { certificate: file.clone(), key: key_file })
        });
        let mut chain = vec![own];
        if let Some(parent) = &wanted.parent {
            match &self.states[parent] {
                State::Ready(above) => {
                    // Without its key it stays as it is, for as long as it lasts.
                    if let Some(why) = outdated(desired, name, &chain[0], above, now)
                        && key.is_ok()
                    {
                        return Ok(State::ToMake { key: key.ok(), why });
                    }
                    chain.extend_from_slice(above.chain());
                }
                State::Mute { certificates, .. } => {
                    self.notes.extend(unrenewable(desired, (name, parent), &chain[0], now));
                    chain.extend_from_slice(certificates.certificates());
                }
                State::TrustOnly(_) => {
                    let (parent, cause) = (parent.clone(), Arc::new(AuthorityFailure::TrustOnly));
                    return Err(AuthorityFailure::Parent { parent, cause });
                }
                State::ToMake { .. } => {
                    return Ok(State::ToMake { key: Some(key?), why: Making::Changed });
                }
                State::Failed(cause) => {
                    let (parent, cause) = (parent.clone(), Arc::clone(cause));
                    return Err(AuthorityFailure::Parent { parent, cause });
                }
            }
        }
        let (certificates, key) = match (CaChain::new(chain), key) {
            (Ok(certificates), key) => (certificates, key),
            (Err(cause), Ok(_)) => return Err(AuthorityFailure::Unusable { file, cause }),
            (Err(_), Err(why)) => return Err(why),
        };
        let state = state_of(name, key, certificates, &file, now)?;
        if let State::Ready(authority) = &state {
            self.note_differences(desired, wanted, authority);
        }
        Ok(state)
    }

    /// What is to be made, or signed anew, and why.
    pub fn to_make(&self) -> Vec<(AuthorityName, Making)> {
        let to_make = self.states.iter().filter_map(|(name, state)| match state {
            State::ToMake { why, .. } => Some((name.clone(), *why)),
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
    pub fn signer(&self, name: &AuthorityName) -> Result<&Arc<Authority>, Arc<AuthorityFailure>> {
        match &self.states[name] {
            State::Ready(authority) => Ok(authority),
            State::Mute { why, .. } | State::Failed(why) => Err(Arc::clone(why)),
            State::TrustOnly(_) => Err(Arc::new(AuthorityFailure::TrustOnly)),
            State::ToMake { .. } => Err(Arc::new(AuthorityFailure::NotMade)),
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
    /// whether what it signed before is still right.
    pub fn certificates(&self, name: &AuthorityName) -> Result<&CaChain, Arc<AuthorityFailure>> {
        match &self.states[name] {
            State::Mute { certificates, .. } => Ok(certificates),
            _ => self.signer(name).map(|authority| authority.certificates()),
        }
    }
}

fn load_imported(
    name: &AuthorityName,
    imported: &ImportedAuthority,
    keys: Keys,
    now: OffsetDateTime,
) -> Result<State, AuthorityFailure> {
    let file = printable(&imported.certificate.display().to_string());
    let chain = Certificate::all_from_pem(&read_foreign(&imported.certificate)?)
        .map_err(|cause| AuthorityFailure::Certificate { file: file.clone(), cause })?;
    let key = || {
        let passphrase = imported.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
        PrivateKey::from_pem(&read_foreign(&imported.key)?, passphrase).map_err(|cause| {
            AuthorityFailure::Key { file: printable(&imported.key.display().to_string()), cause }
        })
    };
    let certificates = CaChain::new(chain)
        .map_err(|cause| AuthorityFailure::Unusable { file: file.clone(), cause })?;
    // One that has ended was brought in vain: it is refused as a signer, and trusted as it was.
    let key = match check_valid(certificates.certificates(), now) {
        Ok(()) if keys == Keys::Unread => Err(AuthorityFailure::KeyUnread),
        Ok(()) => key(),
        Err(cause) => Err(AuthorityFailure::Unusable { file: file.clone(), cause }),
    };
    state_of(name, key, certificates, &file, now)
}

/// What an authority is good for with this key, or without it; `file` holds its certificate.
/// Without its key, its root goes on being trusted and its leaves being good, and a root's key may
/// well be kept elsewhere.
fn state_of(
    name: &AuthorityName,
    key: Result<PrivateKey, AuthorityFailure>,
    certificates: CaChain,
    file: &str,
    now: OffsetDateTime,
) -> Result<State, AuthorityFailure> {
    let not_before = certificates.validity().not_before;
    let key = key.and_then(|key| match now < not_before {
        true => Err(AuthorityFailure::NotYetValid { file: file.to_owned(), not_before }),
        false => Ok(key),
    });
    match key {
        Ok(key) => {
            let unusable = |cause| AuthorityFailure::Unusable { file: file.to_owned(), cause };
            let authority = Authority::with(name.clone(), key, certificates).map_err(unusable)?;
            Ok(State::Ready(Arc::new(authority)))
        }
        Err(why) => Ok(State::Mute { certificates, why: Arc::new(why) }),
    }
}

fn first_certificate(text: &[u8], file: &str) -> Result<Certificate, AuthorityFailure> {
    let mut certificates = Certificate::all_from_pem(text)
        .map_err(|cause| AuthorityFailure::Certificate { file: file.to_owned(), cause })?;
    Ok(certificates.swap_remove(0))
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
