//! Keys: the algorithms that we use, public keys that are fit to be certified, and private keys.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use thiserror::Error;
use x509_parser::asn1_rs::Tag;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::pem::PemError;

mod private;

pub use private::PrivateKey;

/// Why a key is not used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Not an algorithm that we issue for.
    #[error("{text:?} is no key algorithm; use ec-p256, ec-p384, rsa-2048, rsa-3072 or rsa-4096")]
    UnknownAlgorithm {
        /// The text as given.
        text: String,
    },
    /// Ed25519, which one might well ask for.
    #[error(
        "Ed25519 is not used: Envoy does not offer it in its TLS signature algorithms, so a \
         handshake fails; use ec-p256"
    )]
    Ed25519,
    /// A key of another kind or size.
    #[error("{found} is not used; use ec-p256, ec-p384, rsa-2048, rsa-3072 or rsa-4096")]
    Unsupported {
        /// What it is, in words.
        found: String,
    },
    /// Not a public key at all.
    #[error("the public key is malformed: {problem}")]
    MalformedPublicKey {
        /// What is wrong with it.
        problem: String,
    },
    /// Not a private key of any form that we know.
    #[error("the private key is malformed or inconsistent ({form})")]
    MalformedPrivateKey {
        /// The form that it was read as.
        form: &'static str,
    },
    /// Armour is broken.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No key where one should be.
    #[error("there is no private key in it, but {found}")]
    NoKey {
        /// What is there instead.
        found: String,
    },
    /// More than one key, and no way to choose.
    #[error("it holds {count} private keys; leave the one that is meant")]
    SeveralKeys {
        /// How many there are.
        count: usize,
    },
    /// Encrypted, with nothing to open it.
    #[error("the private key is encrypted; name the file with its passphrase (passphraseFile)")]
    PassphraseNeeded,
    /// The passphrase does not open it.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// Encrypted, but not with what we decrypt.
    #[error(
        "the private key is encrypted in a manner that is not read (PBES2 with AES is, under \
         PBKDF2 with SHA-2 or scrypt); convert it with `openssl pkcs8 -topk8 -in OLD -out NEW`"
    )]
    UnsupportedEncryption,
    /// OpenSSL's encryption before PKCS#8: one round of MD5.
    #[error(
        "the private key is encrypted in the obsolete PEM manner (DEK-Info); convert it with \
         `openssl pkcs8 -topk8 -in OLD -out NEW`"
    )]
    LegacyEncryption,
    /// The system's random source or the library refused.
    #[error("cannot {operation} with {algorithm}")]
    Crypto {
        /// What was tried.
        operation: &'static str,
        /// With which algorithm.
        algorithm: KeyAlgorithm,
    },
    /// Encrypting a key failed.
    #[error("cannot encrypt the private key: {0}")]
    Encrypt(#[source] pkcs8::Error),
}

/// The key algorithms that Envoy accepts, as measured with 1.40. A server's P-384 key is refused by
/// an Envoy client with default settings, which offers TLS 1.2 without that curve; `TLSv1_3` as its
/// maximum version, or the curve in its list, cures it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// ECDSA over NIST P-256, signing with SHA-256.
    #[default]
    EcP256,
    /// ECDSA over NIST P-384, signing with SHA-384.
    EcP384,
    /// RSA with a 2048-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa2048,
    /// RSA with a 3072-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa3072,
    /// RSA with a 4096-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa4096,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EcP256, Self::EcP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name in mesh files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// Whether this is one of the RSA sizes.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    fn of_rsa_bits(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    fn signature_algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.eq_ignore_ascii_case("ed25519") {
            return Err(KeyError::Ed25519);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| KeyError::UnknownAlgorithm { text: text.to_owned() })
    }
}

/// A public key that is well formed, of a known algorithm and of sufficient strength.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    /// The length of the BIT STRING's content, which ends `spki`.
    key_length: usize,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7) and checks that the key is
    /// of the algorithm that it claims, a point of the curve, and strong enough.
    ///
    /// # Errors
    /// When it is malformed, or of an algorithm or size that we do not issue for.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let malformed =
            |problem: &str| KeyError::MalformedPublicKey { problem: problem.to_owned() };
        let (rest, parsed) =
            SubjectPublicKeyInfo::from_der(der).map_err(|e| malformed(&e.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed("bytes follow it"));
        }
        let key = parsed.subject_public_key.as_ref();
        let algorithm = Self::algorithm_of(&parsed)?;
        // Uncompressed is the one form that every implementation reads (RFC 5480 section 2.2).
        if !algorithm.is_rsa() && key.first() != Some(&4) {
            return Err(malformed("its point is not in the uncompressed form"));
        }
        let verification: &'static dyn aws_lc_rs::signature::VerificationAlgorithm = match algorithm
        {
            KeyAlgorithm::EcP256 => &ECDSA_P256_SHA256_ASN1,
            KeyAlgorithm::EcP384 => &ECDSA_P384_SHA384_ASN1,
            _ => &RSA_PKCS1_2048_8192_SHA256,
        };
        ParsedPublicKey::new(verification, key)
            .map_err(|_| malformed("its numbers are not those of a key"))?;
        let public = Self { algorithm, spki: der.to_vec(), key_length: key.len() };
        // One encoding for each key: what we re-encode must be what was given, or parameters that
        // we never looked at would be signed along.
        if public.subject_public_key_info() != der {
            return Err(malformed("its algorithm parameters are not the standard ones"));
        }
        Ok(public)
    }

    fn algorithm_of(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyAlgorithm, KeyError> {
        let unsupported = |found: &str| KeyError::Unsupported { found: found.to_owned() };
        let oid = &spki.algorithm.algorithm;
        if *oid == OID_SIG_ED25519 {
            return Err(KeyError::Ed25519);
        }
        if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
            // The parser would take a whole curve, spelled out, for the bytes of a name.
            let parameters = spki.algorithm.parameters.as_ref().filter(|p| p.tag() == Tag::Oid);
            let curve = parameters.and_then(|name| name.as_oid().ok());
            return match curve {
                Some(curve) if curve == OID_EC_P256 => Ok(KeyAlgorithm::EcP256),
                Some(curve) if curve == OID_NIST_EC_P384 => Ok(KeyAlgorithm::EcP384),
                Some(curve) => Err(unsupported(&format!("the elliptic curve {curve}"))),
                None => Err(unsupported("an elliptic curve without a name")),
            };
        }
        if *oid == OID_PKCS1_RSAENCRYPTION {
            let Ok(ParsedKey::RSA(key)) = spki.parsed() else {
                return Err(KeyError::MalformedPublicKey { problem: "no RSA numbers".to_owned() });
            };
            return rsa_algorithm(key.modulus, key.exponent);
        }
        Err(unsupported(&format!("the key type {oid}")))
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.spki[self.spki.len() - self.key_length..]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm.signature_algorithm()
    }
}

/// The algorithm of an RSA key by its modulus and public exponent, big-endian.
fn rsa_algorithm(modulus: &[u8], exponent: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let unsupported = |found: String| KeyError::Unsupported { found };
    let exponent = significant(exponent);
    // Beyond 32 bits an exponent only makes every verification slow.
    if exponent.len() > 4 {
        return Err(unsupported("RSA with an exponent beyond 32 bits".to_owned()));
    }
    let exponent = exponent.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    if exponent < 65_537 || exponent.is_multiple_of(2) {
        return Err(unsupported(format!("RSA with the public exponent {exponent}")));
    }
    let modulus = significant(modulus);
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    KeyAlgorithm::of_rsa_bits(bits).ok_or_else(|| unsupported(format!("RSA with {bits} bits")))
}

/// A big-endian number without the zero bytes before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
