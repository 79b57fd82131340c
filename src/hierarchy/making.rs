//! Making authorities: keys first, all on disk before anything is signed with one.

use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;

use super::keys::passphrase;
use super::{Authorities, AuthorityFailure, Making, Signer, State, height};
use crate::authority::Authority;
use crate::desired::layout;
use crate::desired::{self, Desired, LocalAuthority};
use crate::files::{Access, Directory, FileName, FileSpec, FilesError};
use crate::identity::AuthorityName;
use crate::time::OffsetDateTime;
use crate::x509::key::{KeyAlgorithm, PrivateKey};

type Failure = Arc<AuthorityFailure>;

/// New keys, or why there is none.
type Keys = IndexMap<AuthorityName, Result<PrivateKey, Failure>>;

impl Authorities {
    /// Makes what is to be made, parents first. A failure stops that authority, and those below
    /// it, alone. Without a directory all is only rehearsed, with keys that are thrown away.
    /// Returns how many files that takes.
    pub fn make(
        &mut self,
        desired: &Desired,
        directory: Option<&Directory>,
        now: OffsetDateTime,
    ) -> usize {
        let mut keys = self.missing_keys(desired, directory);
        let key_files = keys.values().filter(|key| key.is_ok()).count();
        let mut made = Vec::new();
        // In the order of `load`: parents come first.
        for (name, state) in std::mem::take(&mut self.states) {
            let state = match (state, &desired.authorities[&name]) {
                (State::ToMake { key, why }, desired::Authority::Local(wanted)) => {
                    let key = key.map(Ok).or_else(|| keys.swap_remove(&name));
                    let key = key.unwrap_or_else(|| Err(Arc::new(AuthorityFailure::NotMade)));
                    match (key, self.awaits(wanted)) {
                        (Ok(key), true) => State::Awaiting { key: Arc::new(key), why },
                        (key, _) => key
                            .and_then(|key| self.certify(desired, (&name, wanted), key, now))
                            .inspect(|_| made.push((name.clone(), why)))
                            .map_or_else(State::Failed, |made| State::Ready(Arc::new(made))),
                    }
                }
                (state, _) => state,
            };
            self.states.insert(name, state);
        }
        if let Some(directory) = directory {
            self.keep(directory, &made);
        }
        key_files + made.len()
    }

    /// Whether AWS is to sign above it first.
    fn awaits(&self, wanted: &LocalAuthority) -> bool {
        let parent = wanted.parent.as_ref().map(|parent| &self.states[parent]);
        matches!(parent, Some(State::Awaiting { .. } | State::Remote(_)))
    }

    /// All that are missing reach the disk together. RSA keys take long, and so does encrypting:
    /// where that is to be done, they are made side by side.
    fn missing_keys(&self, desired: &Desired, directory: Option<&Directory>) -> Keys {
        let mut missing = Vec::new();
        for (name, authority) in &desired.authorities {
            if let desired::Authority::Local(wanted) = authority
                && let State::ToMake { key: None, .. } = &self.states[name]
            {
                missing.push((name, wanted));
            }
        }
        let make = |(name, wanted): &(&AuthorityName, &LocalAuthority)| {
            let made = make_key(name, wanted, directory.is_none()).map_err(Arc::new);
            ((*name).clone(), made)
        };
        let made: Vec<_> = match missing.iter().filter(|(_, wanted)| takes_long(wanted)).count() {
            // For these alone no threads are started, which an agent would keep for good.
            0 | 1 => missing.iter().map(make).collect(),
            _ => missing.par_iter().map(make).collect(),
        };
        let (keys, specs): (Vec<_>, Vec<_>) = made
            .into_iter()
            .map(|(name, made)| match made {
                Ok((key, spec)) => ((name, Ok(key)), Some(spec)),
                Err(failure) => ((name, Err(failure)), None),
            })
            .unzip();
        let mut keys = Keys::from_iter(keys);
        let specs: Vec<_> = specs.into_iter().flatten().collect();
        if let Some(directory) = directory
            && !specs.is_empty()
            && let Err(error) = directory.create_new(&specs)
        {
            let failure = Arc::new(AuthorityFailure::from(error));
            keys.values_mut().filter(|key| key.is_ok()).for_each(|key| {
                *key = Err(Arc::clone(&failure));
            });
        }
        keys
    }

    fn certify(
        &self,
        desired: &Desired,
        (name, wanted): (&AuthorityName, &LocalAuthority),
        key: PrivateKey,
        now: OffsetDateTime,
    ) -> Result<Authority, Failure> {
        let unusable = |cause| {
            let file = layout::authority_certificate(name);
            Arc::new(AuthorityFailure::Unusable { file, cause })
        };
        let skew = desired.clock_skew;
        let chain = match &wanted.parent {
            None => vec![Authority::make_root(wanted, skew, &key, now).map_err(unusable)?],
            Some(parent) => {
                let cannot =
                    |cause| Arc::new(AuthorityFailure::Parent { parent: parent.clone(), cause });
                let above = match self.signer(parent).map_err(cannot)? {
                    Signer::Here(above) => above,
                    Signer::Remote(_) => return Err(cannot(Arc::new(AuthorityFailure::NotMade))),
                };
                let below = height(desired, name);
                let own = above
                    .make_intermediate(wanted, skew, below, key.public(), now)
                    .map_err(unusable)?;
                [&[own], above.chain()].concat()
            }
        };
        Authority::new(name.clone(), key, chain).map_err(unusable)
    }

    /// Puts the certificates that were made on disk, before any leaf of theirs. They stand on each
    /// other, so that where one cannot be kept none is signed with.
    fn keep(&mut self, directory: &Directory, made: &[(AuthorityName, Making)]) {
        if let Err(error) = self.try_keep(directory, made) {
            let failure = Arc::new(AuthorityFailure::from(error));
            for (name, _) in made {
                self.states[name] = State::Failed(Arc::clone(&failure));
            }
        }
    }

    fn try_keep(
        &self,
        directory: &Directory,
        made: &[(AuthorityName, Making)],
    ) -> Result<(), FilesError> {
        let specs = |first: bool| -> Result<Vec<_>, _> {
            let made = made.iter().filter(|(_, why)| (*why == Making::New) == first);
            made.filter_map(|(name, _)| self.certificate_file(name)).collect()
        };
        let (new, anew) = (specs(true)?, specs(false)?);
        if !new.is_empty() {
            directory.create_new(&new)?;
        }
        if !anew.is_empty() {
            directory.replace(&anew)?;
        }
        Ok(())
    }

    fn certificate_file(&self, name: &AuthorityName) -> Option<Result<FileSpec, FilesError>> {
        let State::Ready(authority) = &self.states[name] else { return None };
        Some(FileName::parse(layout::authority_certificate(name)).map(|name| FileSpec {
            name,
            contents: authority.certificate().to_pem().into(),
            access: Access::with_mode(0o644),
        }))
    }
}

fn takes_long(wanted: &LocalAuthority) -> bool {
    wanted.key_algorithm.is_rsa() || wanted.passphrase_file.is_some()
}

fn make_key(
    name: &AuthorityName,
    wanted: &LocalAuthority,
    rehearsal: bool,
) -> Result<(PrivateKey, FileSpec), AuthorityFailure> {
    let file = layout::authority_key(name);
    let failed = |cause| AuthorityFailure::Key { file: file.clone(), cause };
    let passphrase = passphrase(wanted)?;
    // The quickest to make will do to see what it would sign.
    let algorithm = if rehearsal { KeyAlgorithm::EcP256 } else { wanted.key_algorithm };
    let key = PrivateKey::generate(algorithm).map_err(failed)?;
    let text = match passphrase.filter(|_| !rehearsal) {
        Some(passphrase) => key.to_encrypted_pem(&passphrase).map_err(failed)?,
        None => key.to_pem(),
    };
    let spec = FileSpec {
        name: FileName::parse(file)?,
        contents: text.as_bytes().to_vec().into(),
        access: Access::with_mode(0o600),
    };
    Ok((key, spec))
}
