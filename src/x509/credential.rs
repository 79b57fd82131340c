//! A key and its chain that belong together and are trusted: can only be made by verification, so
//! that nobody downstream needs to ask.

use rustls_pki_types::CertificateDer;
use thiserror::Error;

use super::certificate::Certificate;
use super::key::{PrivateKey, PublicKey};
use super::profile::{LeafProfile, ProfileError, check_svid_usage};
use super::verification::{Purpose, Roots, VerificationError};
use crate::time::{OffsetDateTime, Validity};

/// Why a key and a chain make no credential.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The certificate is not the one that was asked for.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The chain is not trusted.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(#[from] VerificationError),
    /// The key is another one's.
    #[error("the key does not belong to the certificate")]
    KeyMismatch,
}

/// A leaf and the CA certificates that lead to its root, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

impl Chain {
    /// Accepts what an authority returned for `key` when it is just what was asked for: the
    /// profile's names and usages, the key, the validity, and a chain to `roots` at `now`.
    ///
    /// # Errors
    /// When anything differs or the chain does not verify.
    pub fn accept(
        leaf: Certificate,
        issuers: Vec<Certificate>,
        wanted: (&LeafProfile, &PublicKey, Validity),
        roots: &Roots,
        now: OffsetDateTime,
    ) -> Result<Self, CredentialError> {
        let (profile, key, validity) = wanted;
        profile.check(&leaf, key, validity)?;
        Self::verify(leaf, issuers, roots, now)
    }

    /// Verifies a chain that was stored: it leads to `roots` at `at`, and its leaf is an
    /// X.509-SVID in constraints and usages, whatever its names.
    ///
    /// # Errors
    /// When the chain does not verify or the leaf is no SVID.
    pub fn verify(
        leaf: Certificate,
        issuers: Vec<Certificate>,
        roots: &Roots,
        at: OffsetDateTime,
    ) -> Result<Self, CredentialError> {
        check_svid_usage(&leaf)?;
        let intermediates: Vec<CertificateDer<'_>> =
            issuers.iter().map(|issuer| issuer.der().clone()).collect();
        // One purpose is enough: the leaf's usages, both of them, were checked above.
        roots.verify(&leaf, &intermediates, Purpose::Server, at)?;
        Ok(Self { leaf, issuers })
    }

    /// The leaf.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates above the leaf, nearest first.
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// Leaf, then issuers, in PEM: the order in which TLS sends them (RFC 8446 section 4.4.2).
    pub fn to_pem(&self) -> String {
        std::iter::once(&self.leaf).chain(&self.issuers).map(Certificate::to_pem).collect()
    }
}

/// A private key and the verified chain of its certificate.
#[derive(Debug)]
pub struct Credential {
    key: PrivateKey,
    chain: Chain,
}

impl Credential {
    /// Joins a key with its chain.
    ///
    /// # Errors
    /// When the leaf is for another key.
    pub fn new(key: PrivateKey, chain: Chain) -> Result<Self, CredentialError> {
        if key.public().spki() != chain.leaf().spki() {
            return Err(CredentialError::KeyMismatch);
        }
        Ok(Self { key, chain })
    }

    /// The private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The verified chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The leaf of the chain.
    pub fn leaf(&self) -> &Certificate {
        self.chain.leaf()
    }
}
