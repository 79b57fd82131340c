//! The authorities of one run: what is there of each, and making what is not.
//!
//! A CA's key is never overwritten and never made twice: it is on disk, whole, before anything is
//! signed with it, and a certificate without its key stops that authority instead of replacing it.

use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;
use thiserror::Error;

use crate::authority::{Authority, AuthorityError, check_chain, check_valid};
use crate::desired::{self, Desired, ImportedAuthority, LocalAuthority};
use crate::files::{Access, Directory, FileName, FileSpec, FilesError};
use crate::identity::AuthorityName;
use crate::layout;
use crate::store::{Reader, StoreError, read_foreign, read_passphrase};
use crate::time::{Lifetime, OffsetDateTime, renewal_due, roughly};
use crate::x509::certificate::{Certificate, CertificateError};
use crate::x509::key::{KeyError, PrivateKey};

/// Why an authority cannot sign in this run.
#[derive(Debug, Error)]
pub enum AuthorityFailure {
    /// Its files cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate file holds no certificate.
    #[error("{file}: {cause}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: CertificateError,
    },
    /// A key file holds no usable key.
    #[error("{file}: {cause}")]
    Key {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: KeyError,
    },
    /// A certificate whose key is gone.
    #[error(
        "{certificate} is here, but {key} is not; put the key back, or, to begin a new CA, move \
         {certificate} away"
    )]
    KeyMissing {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// Key and certificate make no CA.
    #[error("{file}: {cause}")]
    Unusable {
        /// The file of its certificate.
        file: String,
        /// Why.
        #[source]
        cause: AuthorityError,
    },
    /// The authority above cannot sign.
    #[error("its parent {parent} cannot sign: {cause}")]
    Parent {
        /// The parent.
        parent: AuthorityName,
        /// Why not.
        #[source]
        cause: Arc<AuthorityFailure>,
    },
    /// It is yet to be made.
    #[error("it has not been made")]
    NotMade,
    /// It never signs.
    #[error("it is trusted only, and signs nothing")]
    TrustOnly,
}

impl From<FilesError> for AuthorityFailure {
    fn from(error: FilesError) -> Self {
        Self::Store(error.into())
    }
}

/// What is there of an authority.
#[derive(Debug)]
pub(super) enum State {
    /// It can sign.
    Ready(Authority),
    /// It is made, or its certificate is signed anew, when the plan is carried out.
    ToMake {
        /// Its key, where there is one already.
        key: Option<PrivateKey>,
        /// Whether there is a certificate to be replaced.
        why: Making,
    },
    /// Its certificates are known, but it cannot sign.
    Mute {
        /// Its own certificate first, the root last; of a trust-only authority, its roots.
        roots: Vec<Certificate>,
        /// Why it cannot sign.
        why: Arc<AuthorityFailure>,
    },
    /// Nothing of it can be used.
    Failed(Arc<AuthorityFailure>),
}

/// Why an authority's certificate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// There was none.
    New,
    /// It is half over.
    Due,
    /// Its parent, or its place in the hierarchy, has changed.
    Changed,
}

impl State {
    /// The roots that trusting this authority means, once it is there.
    pub(super) fn roots(&self) -> Option<&[Certificate]> {
        match self {
            Self::Ready(authority) => Some(std::slice::from_ref(authority.root())),
            Self::Mute { roots, .. } => Some(roots),
            Self::ToMake { .. } | Self::Failed(_) => None,
        }
    }
}

pub(super) struct Authorities {
    pub(super) states: IndexMap<AuthorityName, State>,
    /// What the user should know of them.
    pub(super) notes: Vec<String>,
}

impl Authorities {
    /// Looks at what is there of every authority of the mesh.
    pub(super) fn load(desired: &Desired, read: &Reader<'_>, now: OffsetDateTime) -> Self {
        let mut names: Vec<_> = desired.authorities.keys().collect();
        names.sort_by_key(|name| depth(desired, name));
        let mut this = Self { states: IndexMap::new(), notes: Vec::new() };
        for name in names {
            let state = this
                .load_one(desired, name, read, now)
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
        read: &Reader<'_>,
        now: OffsetDateTime,
    ) -> Result<State, AuthorityFailure> {
        match &desired.authorities[name] {
            desired::Authority::Local(local) => self.load_local(desired, name, local, read, now),
            desired::Authority::Imported(imported) => {
                Ok(State::Ready(load_imported(name, imported, now)?))
            }
            desired::Authority::TrustOnly(partner) => {
                let file = partner.certificates.display().to_string();
                let roots = Certificate::all_from_pem(&read_foreign(&partner.certificates)?)
                    .map_err(|cause| AuthorityFailure::Certificate { file, cause })?;
                Ok(State::Mute { roots, why: Arc::new(AuthorityFailure::TrustOnly) })
            }
        }
    }

    fn load_local(
        &mut self,
        desired: &Desired,
        name: &AuthorityName,
        wanted: &LocalAuthority,
        read: &Reader<'_>,
        now: OffsetDateTime,
    ) -> Result<State, AuthorityFailure> {
        let key_file = layout::authority_key(name);
        let file = layout::authority_certificate(name);
        let key = read(&FileName::parse(key_file.clone())?)?
            .map(|text| {
                let passphrase = passphrase(wanted)?;
                if passphrase.is_some() && !contains(text.as_bytes(), b"ENCRYPTED") {
                    self.notes.push(format!(
                        "{key_file} is not encrypted, though {name} has a passphraseFile; encrypt \
                         it with `openssl pkcs8 -topk8`"
                    ));
                }
                PrivateKey::from_pem(text.as_bytes(), passphrase.as_ref().map(|p| p.as_slice()))
                    .map_err(|cause| AuthorityFailure::Key { file: key_file.clone(), cause })
            })
            .transpose();
        let own = match read(&FileName::parse(file.clone())?)? {
            None => return Ok(State::ToMake { key: key?, why: Making::New }),
            Some(text) => first_certificate(text.as_bytes(), &file)?,
        };
        let mut chain = vec![own];
        if let Some(parent) = &wanted.parent {
            match &self.states[parent] {
                State::Ready(above) => {
                    if let Some(why) = outdated(desired, name, &chain[0], above, now) {
                        return Ok(State::ToMake { key: key?, why });
                    }
                    chain.extend_from_slice(above.chain());
                }
                State::Mute { roots, .. } => chain.extend_from_slice(roots),
                State::ToMake { .. } => {
                    return Ok(State::ToMake { key: key?, why: Making::Changed });
                }
                State::Failed(cause) => {
                    let (parent, cause) = (parent.clone(), Arc::clone(cause));
                    return Err(AuthorityFailure::Parent { parent, cause });
                }
            }
        }
        let unusable = |cause| AuthorityFailure::Unusable { file: file.clone(), cause };
        check_chain(&chain).map_err(unusable)?;
        let key = key.and_then(|key| {
            key.ok_or(AuthorityFailure::KeyMissing { certificate: file.clone(), key: key_file })
        });
        match key {
            // Its roots go on being trusted, and a root's key may well be kept elsewhere.
            Err(why) => Ok(State::Mute { roots: chain, why: Arc::new(why) }),
            Ok(key) => {
                let authority = Authority::new(name.clone(), key, chain).map_err(unusable)?;
                self.note_differences(wanted, &authority);
                Ok(State::Ready(authority))
            }
        }
    }

    /// A CA that exists is not remade because the mesh file changed its mind.
    fn note_differences(&mut self, wanted: &LocalAuthority, authority: &Authority) {
        let certificate = authority.certificate();
        let mut differences = Vec::new();
        if let Some(name) = wanted.subject.common_name.as_deref()
            && certificate.common_name() != Some(name)
        {
            differences.push(format!("the common name {:?}", certificate.common_name()));
        }
        if authority.key_algorithm() != wanted.key_algorithm {
            differences.push(format!("a key of {}", authority.key_algorithm()));
        }
        if !differences.is_empty() {
            self.notes.push(format!(
                "{} exists with {}, which the mesh file wants otherwise; a CA is not remade: add \
                 another authority and move to it",
                authority.name(),
                differences.join(" and ")
            ));
        }
    }

    /// Tells in time when an authority cuts its leaves short.
    fn note_end(&mut self, desired: &Desired, authority: &Authority, now: OffsetDateTime) {
        let signs = |name: &AuthorityName| name == authority.name();
        let longest: Option<Lifetime> = desired
            .identities
            .values()
            .filter(|identity| signs(&identity.authority))
            .map(|identity| identity.lifetime)
            .max();
        let left = authority.ends() - now;
        match longest {
            _ if left.is_negative() => self.notes.push(format!(
                "{} has ended and can sign nothing; add another authority, trust it everywhere, \
                 then move its nodes to it",
                authority.name()
            )),
            Some(longest) if left < longest.duration() => self.notes.push(format!(
                "{} ends in {}, so its leaves end with it, short of the {longest} that are wanted; \
                 add another authority, trust it everywhere, then move its nodes to it",
                authority.name(),
                roughly(left.unsigned_abs())
            )),
            _ => {}
        }
    }

    /// Makes what is to be made, parents first: each key is on disk before anything is signed
    /// with it. A failure stops that authority, and those below it, alone.
    pub(super) fn make(&mut self, desired: &Desired, directory: &Directory, now: OffsetDateTime) {
        let mut keys = self.missing_keys(desired, directory);
        // In the order of `load`: parents come first.
        for (name, state) in std::mem::take(&mut self.states) {
            let state = match (state, &desired.authorities[&name]) {
                (State::ToMake { key, why }, desired::Authority::Local(wanted)) => key
                    .map(Ok)
                    .or_else(|| keys.swap_remove(&name))
                    .unwrap_or(Err(AuthorityFailure::NotMade))
                    .and_then(|key| {
                        self.certify(desired, (&name, wanted), (key, why), directory, now)
                    })
                    .map_or_else(|failure| State::Failed(Arc::new(failure)), State::Ready),
                (state, _) => state,
            };
            self.states.insert(name, state);
        }
    }

    /// RSA keys take long; all that are missing are made side by side.
    fn missing_keys(
        &self,
        desired: &Desired,
        directory: &Directory,
    ) -> IndexMap<AuthorityName, Result<PrivateKey, AuthorityFailure>> {
        let missing: Vec<_> = desired
            .authorities
            .iter()
            .filter_map(|(name, authority)| match (authority, &self.states[name]) {
                (desired::Authority::Local(wanted), State::ToMake { key: None, .. }) => {
                    Some((name, wanted))
                }
                _ => None,
            })
            .collect();
        missing
            .par_iter()
            .map(|(name, wanted)| ((*name).clone(), make_key(name, wanted, directory)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    }

    fn certify(
        &self,
        desired: &Desired,
        (name, wanted): (&AuthorityName, &LocalAuthority),
        (key, why): (PrivateKey, Making),
        directory: &Directory,
        now: OffsetDateTime,
    ) -> Result<Authority, AuthorityFailure> {
        let file = layout::authority_certificate(name);
        let unusable = |cause| AuthorityFailure::Unusable { file: file.clone(), cause };
        let skew = desired.clock_skew;
        let chain = match &wanted.parent {
            None => vec![Authority::make_root(wanted, skew, &key, now).map_err(unusable)?],
            Some(parent) => {
                let above = self
                    .signer(parent)
                    .map_err(|cause| AuthorityFailure::Parent { parent: parent.clone(), cause })?;
                let below = height(desired, name);
                let own = above
                    .make_intermediate(wanted, skew, below, key.public(), now)
                    .map_err(unusable)?;
                [&[own], above.chain()].concat()
            }
        };
        let spec = FileSpec {
            name: FileName::parse(file.clone())?,
            contents: chain[0].to_pem().into(),
            access: Access::with_mode(0o644),
        };
        let authority = Authority::new(name.clone(), key, chain).map_err(unusable)?;
        match why {
            Making::New => directory.create_new(&[spec])?,
            Making::Due | Making::Changed => drop(directory.replace(&[spec])?),
        }
        Ok(authority)
    }

    /// The authority of that name if it can sign by now, or why it cannot.
    pub(super) fn signer(&self, name: &AuthorityName) -> Result<&Authority, Arc<AuthorityFailure>> {
        match &self.states[name] {
            State::Ready(authority) => Ok(authority),
            State::Mute { why, .. } | State::Failed(why) => Err(Arc::clone(why)),
            State::ToMake { .. } => Err(Arc::new(AuthorityFailure::NotMade)),
        }
    }
}

fn make_key(
    name: &AuthorityName,
    wanted: &LocalAuthority,
    state: &Directory,
) -> Result<PrivateKey, AuthorityFailure> {
    let file = layout::authority_key(name);
    let failed = |cause| AuthorityFailure::Key { file: file.clone(), cause };
    let key = PrivateKey::generate(wanted.key_algorithm).map_err(failed)?;
    let text = match passphrase(wanted)? {
        Some(passphrase) => key.to_encrypted_pem(&passphrase).map_err(failed)?,
        None => key.to_pem(),
    };
    state.create_new(&[FileSpec {
        name: FileName::parse(file.clone())?,
        contents: text.as_bytes().to_vec().into(),
        access: Access::with_mode(0o600),
    }])?;
    Ok(key)
}

fn load_imported(
    name: &AuthorityName,
    imported: &ImportedAuthority,
    now: OffsetDateTime,
) -> Result<Authority, AuthorityFailure> {
    let file = imported.certificate.display().to_string();
    let chain = Certificate::all_from_pem(&read_foreign(&imported.certificate)?)
        .map_err(|cause| AuthorityFailure::Certificate { file: file.clone(), cause })?;
    let unusable = |cause| AuthorityFailure::Unusable { file: file.clone(), cause };
    check_chain(&chain).and_then(|()| check_valid(&chain, now)).map_err(unusable)?;
    let passphrase = imported.passphrase_file.as_deref().map(read_passphrase).transpose()?;
    let key = PrivateKey::from_pem(
        &read_foreign(&imported.key)?,
        passphrase.as_ref().map(|passphrase| passphrase.as_slice()),
    )
    .map_err(|cause| AuthorityFailure::Key { file: imported.key.display().to_string(), cause })?;
    Authority::new(name.clone(), key, chain).map_err(unusable)
}

fn passphrase(
    wanted: &LocalAuthority,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, AuthorityFailure> {
    Ok(wanted.passphrase_file.as_deref().map(read_passphrase).transpose()?)
}

fn first_certificate(text: &[u8], file: &str) -> Result<Certificate, AuthorityFailure> {
    let mut certificates = Certificate::all_from_pem(text)
        .map_err(|cause| AuthorityFailure::Certificate { file: file.to_owned(), cause })?;
    Ok(certificates.swap_remove(0))
}

/// Why an intermediate is to be signed anew, with the key that it has.
fn outdated(
    desired: &Desired,
    name: &AuthorityName,
    own: &Certificate,
    above: &Authority,
    now: OffsetDateTime,
) -> Option<Making> {
    let signer = above.certificate();
    let path_length = own.ca_constraint().and_then(|ca| ca.path_length);
    if own.issuer_der() != signer.subject_der()
        || own.authority_key_id() != signer.subject_key_id()
        || path_length != Some(u32::from(height(desired, name)))
    {
        return Some(Making::Changed);
    }
    let validity = own.validity();
    let issued_at = validity.not_before + desired.clock_skew;
    let due = renewal_due(issued_at, validity.not_after, &own.fingerprint());
    // One that already ends with its parent would gain nothing by a renewal.
    (due <= now && validity.not_after < above.ends()).then_some(Making::Due)
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

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
