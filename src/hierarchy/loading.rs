//! Reading the authorities whose keys are here: those that are made, and those that were brought.

use std::sync::Arc;

use super::due::outdated;
use super::keys::Keys;
use super::notes::unrenewable;
use super::remote::is_issued_by;
use super::{Authorities, AuthorityFailure, Making, State};
use crate::authority::{Authority, CaChain, check_valid};
use crate::desired::layout;
use crate::desired::{Desired, ImportedAuthority, LocalAuthority};
use crate::files::FileName;
use crate::identity::AuthorityName;
use crate::store::{Reader, read_foreign, read_passphrase};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::printable::printable;

impl Authorities {
    pub(super) fn load_local(
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
                return Ok(self.to_make_new(wanted, key));
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
                State::Remote(above) => {
                    let kept = above.issuer_of(&chain[0]).cloned();
                    let issuer = match kept {
                        Some(issuer) => Some(issuer),
                        // It goes on under the CA that signed it until another has.
                        None => {
                            let mut kept = self.read_descriptions(name, read)?.into_iter();
                            kept.find(|kept| is_issued_by(&chain[0], &kept.chain))
                                .map(|kept| kept.chain)
                        }
                    };
                    match issuer {
                        Some(issuer) => chain.extend_from_slice(issuer.certificates()),
                        None => {
                            let key = Arc::new(key?);
                            return Ok(State::Awaiting { key, why: Making::Changed });
                        }
                    }
                }
                State::Awaiting { .. } | State::ToMake { .. } => {
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

    /// One that there is only the key of, or nothing.
    fn to_make_new(&self, wanted: &LocalAuthority, key: Option<PrivateKey>) -> State {
        let parent = wanted.parent.as_ref().map(|parent| &self.states[parent]);
        match (key, parent) {
            (Some(key), Some(State::Remote(_))) => {
                State::Awaiting { key: Arc::new(key), why: Making::New }
            }
            (key, _) => State::ToMake { key, why: Making::New },
        }
    }
}

pub(super) fn load_imported(
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
