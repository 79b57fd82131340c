//! Who signs: a CA's key and certificates, made here or brought from elsewhere.
//!
//! An authority signs what [`crate::signing`] hands it and knows nothing of nodes, files or time
//! other than its own.

use rcgen::Issuer;
use thiserror::Error;

use crate::desired::LocalAuthority;
use crate::identity::AuthorityName;
use crate::time::{OffsetDateTime, Validity, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::key::{KeyAlgorithm, KeyError, PrivateKey, PublicKey};
use crate::x509::profile::{CaProfile, LeafProfile, ProfileError};
use crate::x509::verification::{Roots, SignatureError, VerificationError};

mod chain;

use chain::writes_back;
pub use chain::{CaChain, check_chain, check_valid};

/// Why an authority cannot be used.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The certificate lacks the CA bit or the right to sign certificates.
    #[error("{subject:?} is no CA: {problem}")]
    NotCa {
        /// The certificate's subject.
        subject: String,
        /// What is missing.
        problem: &'static str,
    },
    /// Certificate and key are of different pairs.
    #[error("the key does not belong to the certificate of {subject:?}")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },
    /// Outside of its validity.
    #[error(
        "the certificate of {subject:?} is valid from {} to {} only",
        rfc3339(.validity.not_before),
        rfc3339(.validity.not_after)
    )]
    NotValid {
        /// The certificate's subject.
        subject: String,
        /// When it is valid.
        validity: Validity,
    },
    /// A subject that our encoder would write in other bytes, so that no chain would link.
    #[error(
        "the subject of {subject:?} cannot be written back byte for byte (a repeated or unusual \
         attribute), so what it signs would not link to it; use a CA with a plain subject"
    )]
    LossySubject {
        /// The certificate's subject.
        subject: String,
    },
    /// Signed with a hash that can be forged.
    #[error("the certificate of {subject:?} is signed with {hash}, which can be forged")]
    BrokenHash {
        /// The certificate's subject.
        subject: String,
        /// The hash.
        hash: &'static str,
    },
    /// A critical extension that is not processed.
    #[error(
        "the certificate of {subject:?} has the critical extension {extension}, which peers do \
         not know, so they would refuse whatever this CA signs"
    )]
    UnknownExtension {
        /// The certificate's subject.
        subject: String,
        /// The extension's OID.
        extension: String,
    },
    /// The key is too weak or of an unused kind.
    #[error("the key of {subject:?}: {cause}")]
    Key {
        /// The certificate's subject.
        subject: String,
        /// What is wrong with it.
        #[source]
        cause: KeyError,
    },
    /// A name constraint of a kind that the verifier cannot judge.
    #[error(
        "the certificate of {subject:?} constrains {kind}, which rustls-webpki cannot compare: it \
         would refuse every certificate that this CA signs; use a CA without that name constraint"
    )]
    NameConstraint {
        /// The certificate's subject.
        subject: String,
        /// The kind of name.
        kind: &'static str,
    },
    /// A certificate that the next one did not issue.
    #[error("{subject:?} was issued by {issuer:?}, but {above:?} follows it")]
    BrokenChain {
        /// The certificate's subject.
        subject: String,
        /// Its issuer.
        issuer: String,
        /// The subject of the next.
        above: String,
    },
    /// A certificate that does not carry its issuer's signature.
    #[error("{subject:?} names {issuer:?} as its issuer, but {cause}")]
    Signature {
        /// The certificate's subject.
        subject: String,
        /// Its issuer.
        issuer: String,
        /// What is wrong with the signature.
        cause: SignatureError,
    },
    /// Nothing to begin with.
    #[error("there is no certificate; give the CA's own, then those above it")]
    NoCertificate,
    /// The chain stops short of a self-signed root.
    #[error(
        "the chain ends with {subject:?}, which {issuer:?} issued; append the certificates above \
         it, up to the self-signed root"
    )]
    NoRoot {
        /// The last certificate's subject.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// No room for another CA below.
    #[error("{subject:?} allows {allowed} CAs below it, so it cannot be the parent of this one")]
    PathLength {
        /// The CA's subject.
        subject: String,
        /// How many it allows.
        allowed: u32,
    },
    /// Signing failed.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A root that cannot be one.
    #[error(transparent)]
    Root(#[from] VerificationError),
}

/// A CA that can sign: its key and its certificates.
pub struct Authority {
    name: AuthorityName,
    issuer: Issuer<'static, PrivateKey>,
    certificates: CaChain,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, issuer: _, certificates } = self;
        f.debug_struct("Authority")
            .field("name", name)
            .field("chain", &certificates.certificates())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Takes a key and the CA's certificates: its own, then those above it up to the root.
    ///
    /// # Errors
    /// When they make no usable CA: see [`AuthorityError`]. An expired one is accepted, since its
    /// root may still be trusted; it cannot sign any more ([`ProfileError::IssuerEnded`]).
    pub fn new(
        name: AuthorityName,
        key: PrivateKey,
        chain: Vec<Certificate>,
    ) -> Result<Self, AuthorityError> {
        Self::with(name, key, CaChain::new(chain)?)
    }

    /// The same with certificates that were judged before.
    ///
    /// # Errors
    /// When the key is another one's, or what it signed would not link to the certificate.
    pub fn with(
        name: AuthorityName,
        key: PrivateKey,
        certificates: CaChain,
    ) -> Result<Self, AuthorityError> {
        let own = certificates.own();
        if key.public().spki() != own.spki() {
            return Err(AuthorityError::KeyMismatch { subject: own.subject() });
        }
        if !writes_back(own) {
            return Err(AuthorityError::LossySubject { subject: own.subject() });
        }
        let issuer = Issuer::from_ca_cert_der(own.der(), key).map_err(ProfileError::Encode)?;
        Ok(Self { name, issuer, certificates })
    }

    /// Makes the certificate of a new root for `key`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn make_root(
        wanted: &LocalAuthority,
        clock_skew: std::time::Duration,
        key: &PrivateKey,
        now: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError> {
        // A root's own path length is never needed to bound what it signs, and could not be
        // changed without every peer learning to trust another root.
        Ok(ca_profile(wanted, clock_skew, None).sign_root(key, now)?)
    }

    /// Signs the certificate of an intermediate under this authority. `below` is how many CAs
    /// stand below the intermediate.
    ///
    /// # Errors
    /// When this authority allows no CA below it, has ended, or signing fails.
    pub fn make_intermediate(
        &self,
        wanted: &LocalAuthority,
        clock_skew: std::time::Duration,
        below: u8,
        key: &PublicKey,
        now: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError> {
        let allowed = self.certificate().ca_constraint().and_then(|ca| ca.path_length);
        if let Some(allowed) = allowed.filter(|allowed| *allowed <= u32::from(below)) {
            let subject = self.certificate().subject();
            return Err(AuthorityError::PathLength { subject, allowed });
        }
        let profile = ca_profile(wanted, clock_skew, Some(below));
        Ok(profile.sign_intermediate(key, now, &self.issuer, self.validity())?)
    }

    /// Signs a leaf; nothing is verified yet.
    ///
    /// # Errors
    /// When the key refuses or the result does not parse.
    pub fn sign(
        &self,
        profile: &LeafProfile,
        key: &PublicKey,
        validity: Validity,
    ) -> Result<Certificate, ProfileError> {
        profile.sign(key, validity, &self.issuer)
    }

    /// Its name in the mesh.
    pub fn name(&self) -> &AuthorityName {
        &self.name
    }

    /// Its key.
    pub fn key(&self) -> &PrivateKey {
        self.issuer.key()
    }

    /// The algorithm of its key.
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        self.issuer.key().algorithm()
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Certificate {
        self.certificates.own()
    }

    /// All that there is to know of it without its key.
    pub fn certificates(&self) -> &CaChain {
        &self.certificates
    }

    /// The root at the top of its chain: itself, unless it is an intermediate.
    pub fn root(&self) -> &Certificate {
        self.certificates.root()
    }

    /// Its certificates from its own to the root.
    pub fn chain(&self) -> &[Certificate] {
        self.certificates.certificates()
    }

    /// What follows a leaf in its chain file: [`CaChain::issuers`].
    pub fn issuers(&self) -> &[Certificate] {
        self.certificates.issuers()
    }

    /// Its root, ready to verify with.
    pub fn roots(&self) -> &Roots {
        self.certificates.roots()
    }

    /// When all of its chain is valid.
    pub fn validity(&self) -> Validity {
        self.certificates.validity()
    }

    /// The last second in which all of its chain is valid: nothing that it signs lives longer.
    pub fn ends(&self) -> OffsetDateTime {
        self.certificates.ends()
    }
}

/// What the certificate of a CA is to say.
pub fn ca_profile(
    wanted: &LocalAuthority,
    clock_skew: std::time::Duration,
    path_length: Option<u8>,
) -> CaProfile {
    CaProfile {
        subject: wanted.subject.clone(),
        lifetime: wanted.lifetime,
        clock_skew,
        path_length,
    }
}
