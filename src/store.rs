//! Where credentials and authorities survive between runs, read back with suspicion: in the files of
//! a directory that `issue` makes, and an agent's nodes in one journal ([`NodeStore`]). Says what is
//! there; whether that is right is [`crate::rotation`]'s to judge.

use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::desired::layout;
use crate::files::{Contents, FileName, FilesError, MAX_FILE_BYTES, View};
use crate::identity::NodeName;
use crate::x509::certificate::{Certificate, CertificateError};
use crate::x509::key::{KeyError, PrivateKey};
use crate::x509::printable::printable;

mod access;
pub mod audit;
mod nodes;
mod record;

pub use access::{UnknownAccount, access, directory_options};
pub use nodes::{Entry, NodeStore, Reading};
pub use record::Kind;

/// Why stored things could not be read at all.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The directory refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A file outside of the directory refused.
    #[error("cannot read {}: {cause}", printable(&path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A node's files whose key is a CA's.
    #[error(
        "{key} is a CA's key, as the certificate beside it says, and such a key is never \
         overwritten; move both away, or give the node another files.name"
    )]
    HoldsAuthority {
        /// The key's file.
        key: String,
    },
    /// A passphrase file without a passphrase.
    #[error("{} is empty; its first line should be the passphrase", path.display())]
    EmptyPassphrase {
        /// The file.
        path: PathBuf,
    },
}

/// Reads files by name, from a locked directory or a mere view of one.
pub type Reader<'a> = dyn Fn(&FileName) -> Result<Option<Contents>, FilesError> + Sync + 'a;

/// Reads from a view of a directory, or finds nothing where there is no directory.
pub fn reader(
    view: Option<&View>,
) -> impl Fn(&FileName) -> Result<Option<Contents>, FilesError> + Sync {
    move |name| view.map_or(Ok(None), |view| view.read(name))
}

/// What a place holds of an identity.
#[derive(Debug)]
pub enum Held {
    /// Nothing at all.
    Nothing,
    /// Something that is no key with its chain.
    Damaged(Damage),
    /// A key and a chain that belong together; not verified.
    Pair {
        /// The private key.
        key: PrivateKey,
        /// The certificates: the leaf, then its issuers.
        chain: Vec<Certificate>,
    },
}

impl Held {
    /// The leaf, where there is one.
    pub fn leaf(&self) -> Option<&Certificate> {
        match self {
            Self::Pair { chain, .. } => chain.first(),
            Self::Nothing | Self::Damaged(_) => None,
        }
    }
}

/// How a held credential is broken.
#[derive(Debug, Error)]
pub enum Damage {
    /// A part of it is not there.
    #[error("{name} is missing")]
    Missing {
        /// The part's name.
        name: String,
    },
    /// A certificate that cannot be read.
    #[error("{name} is corrupt: {cause}")]
    Certificate {
        /// The part's name.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: CertificateError,
    },
    /// A key that cannot be read.
    #[error("{name} is corrupt: {cause}")]
    Key {
        /// The part's name.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: KeyError,
    },
    /// Two parts of different credentials.
    #[error("{name} does not belong to {other}")]
    Mismatch {
        /// One part's name.
        name: String,
        /// The other's.
        other: String,
    },
}

/// The files of one node as they lie there, byte for byte.
#[derive(Debug, Default)]
pub struct NodeFiles {
    /// The key file.
    pub key: Option<Contents>,
    /// The leaf alone.
    pub certificate: Option<Contents>,
    /// The leaf and its issuers.
    pub chain: Option<Contents>,
}

impl NodeFiles {
    /// Reads the files whose names begin with `base`.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn read(read: &Reader<'_>, base: &NodeName) -> Result<Self, FilesError> {
        Ok(Self {
            key: read(&FileName::parse(layout::node_key(base))?)?,
            certificate: read(&FileName::parse(layout::node_certificate(base))?)?,
            chain: read(&FileName::parse(layout::node_chain(base))?)?,
        })
    }

    /// What these files hold, if they belong together.
    pub fn held(&self, base: &NodeName) -> Held {
        if self.key.is_none() && self.certificate.is_none() && self.chain.is_none() {
            return Held::Nothing;
        }
        self.pair(base).unwrap_or_else(Held::Damaged)
    }

    /// Makes sure that no CA's key lies here, which must never be overwritten. `held` is what
    /// these files [`hold`](Self::held).
    ///
    /// # Errors
    /// [`StoreError::HoldsAuthority`] if one does.
    pub fn refuse_a_ca(&self, base: &NodeName, held: &Held) -> Result<(), StoreError> {
        let of_a_node = held.leaf().is_some_and(|leaf| leaf.ca_constraint().is_none());
        if matches!(held, Held::Nothing) || of_a_node || !self.are_of_a_ca() {
            return Ok(());
        }
        Err(StoreError::HoldsAuthority { key: layout::node_key(base) })
    }

    /// Whether the key here is a CA's: the certificate beside it is one, and no other key is known
    /// to lie here.
    fn are_of_a_ca(&self) -> bool {
        let (Some(key), Some(certificate)) = (&self.key, &self.certificate) else { return false };
        let own = Certificate::all_from_pem(certificate.as_bytes());
        let Some(own) = own.ok().and_then(|all| all.into_iter().next()) else { return false };
        let other = || {
            PrivateKey::from_pem(key.as_bytes(), None)
                .is_ok_and(|key| key.public().spki() != own.spki())
        };
        own.ca_constraint().is_some() && !other()
    }

    fn pair(&self, base: &NodeName) -> Result<Held, Damage> {
        let key_name = layout::node_key(base);
        let certificate_name = layout::node_certificate(base);
        let chain_name = layout::node_chain(base);
        let key = present(&self.key, &key_name)?;
        let certificate = present(&self.certificate, &certificate_name)?.as_bytes();
        let chain_file = present(&self.chain, &chain_name)?.as_bytes();
        let certificates = |text: &[u8], name: &String| {
            Certificate::all_from_pem(text)
                .map_err(|cause| Damage::Certificate { name: name.clone(), cause })
        };
        let mismatch = |name: &String, other: &String| {
            Err(Damage::Mismatch { name: name.clone(), other: other.clone() })
        };
        let chain = certificates(chain_file, &chain_name)?;
        // As certctl writes it, the certificate file needs no second parsing.
        if chain[0].to_pem().as_bytes() != certificate
            && certificates(certificate, &certificate_name)? != chain[..1]
        {
            return mismatch(&chain_name, &certificate_name);
        }
        let key = PrivateKey::from_pem(key.as_bytes(), None)
            .map_err(|cause| Damage::Key { name: key_name.clone(), cause })?;
        if key.public().spki() != chain[0].spki() {
            return mismatch(&key_name, &certificate_name);
        }
        Ok(Held::Pair { key, chain })
    }
}

fn present<'a>(contents: &'a Option<Contents>, name: &str) -> Result<&'a Contents, Damage> {
    contents.as_ref().ok_or_else(|| Damage::Missing { name: name.to_owned() })
}

/// Reads a file outside of our directories, such as an imported CA's key.
///
/// # Errors
/// When it cannot be read.
pub fn read_foreign(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let failed = |cause| StoreError::Read { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_or(0, |about| about.len());
    // Made large enough at once, so that no part of a key stays behind where it grew out of.
    let room = usize::try_from(size).unwrap_or(MAX_FILE_BYTES).min(MAX_FILE_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE_BYTES {
        let words = format!("it has more than {MAX_FILE_BYTES} bytes");
        return Err(failed(std::io::Error::other(words)));
    }
    Ok(bytes)
}

/// Reads the passphrase that is the first line of a file.
///
/// # Errors
/// When the file cannot be read or its first line is empty.
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let text = read_foreign(path)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(StoreError::EmptyPassphrase { path: path.to_owned() });
    }
    Ok(Zeroizing::new(line.to_vec()))
}
