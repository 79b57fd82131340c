//! The keys of local authorities, as they lie there.

use super::{Authorities, AuthorityFailure};
use crate::desired::{LocalAuthority, layout};
use crate::files::FileName;
use crate::identity::AuthorityName;
use crate::store::{Reader, read_passphrase};
use crate::x509::key::PrivateKey;

/// Whether the keys are read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Read,
    Unread,
}

impl Authorities {
    /// The key of a local authority, if there is one.
    pub(super) fn read_key(
        &mut self,
        (name, wanted): (&AuthorityName, &LocalAuthority),
        read: &Reader<'_>,
    ) -> Result<Option<PrivateKey>, AuthorityFailure> {
        let file = layout::authority_key(name);
        let Some(text) = read(&FileName::parse(file.clone())?)? else { return Ok(None) };
        let passphrase = passphrase(wanted)?;
        if passphrase.is_some() && !contains(text.as_bytes(), b"ENCRYPTED") {
            self.note(
                name,
                format!(
                    "{file} is not encrypted, though {name} has a passphraseFile; encrypt it with \
                     `openssl pkcs8 -topk8`"
                ),
            );
        }
        PrivateKey::from_pem(text.as_bytes(), passphrase.as_ref().map(|p| p.as_slice()))
            .map(Some)
            .map_err(|cause| AuthorityFailure::Key { file, cause })
    }
}

/// The passphrase that a local authority's key is, or is to be, encrypted under.
pub(super) fn passphrase(
    wanted: &LocalAuthority,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, AuthorityFailure> {
    Ok(wanted.passphrase_file.as_deref().map(read_passphrase).transpose()?)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
