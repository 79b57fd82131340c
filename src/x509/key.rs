//! Key pairs: made, read in every form that they come in, and never shown.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use thiserror::Error;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::pem::{self, PemError};

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

/// The key algorithms that every Envoy accepts in both directions.
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
            let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
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
            // Beyond 32 bits an exponent only makes every verification slow.
            let exponent = match key.try_exponent().map(u32::try_from) {
                Ok(Ok(exponent)) => exponent,
                _ => return Err(unsupported("RSA with an exponent beyond 32 bits")),
            };
            if exponent < 65_537 || exponent.is_multiple_of(2) {
                return Err(unsupported(&format!("RSA with the public exponent {exponent}")));
            }
            let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
            let bits = modulus.clone().count() * 8
                - modulus.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
            return KeyAlgorithm::of_rsa_bits(bits)
                .ok_or_else(|| unsupported(&format!("RSA with {bits} bits")));
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

/// A private key with its public half. Never printed, wiped when dropped.
pub struct PrivateKey {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(Box<rsa::KeyPair>),
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto { operation: "make a key", algorithm };
        let rsa = |size| Ok(Pair::Rsa(Box::new(rsa::KeyPair::generate(size)?)));
        let pair = match algorithm {
            KeyAlgorithm::EcP256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Pair::Ecdsa)
            }
            KeyAlgorithm::EcP384 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Pair::Ecdsa)
            }
            KeyAlgorithm::Rsa2048 => rsa(rsa::KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => rsa(rsa::KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => rsa(rsa::KeySize::Rsa4096),
        };
        Self::from_pair(pair.map_err(failed)?, algorithm)
    }

    /// Reads the one private key of a PEM text: PKCS#8, SEC1 (`EC PRIVATE KEY`), PKCS#1
    /// (`RSA PRIVATE KEY`), or encrypted PKCS#8 with its passphrase.
    ///
    /// # Errors
    /// When there is no key or more than one, it is malformed, of an unused algorithm, or the
    /// passphrase is missing or wrong.
    pub fn from_pem(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let blocks = pem::blocks(text)?;
        let keys: Vec<_> = blocks.iter().filter(|b| b.label.ends_with("PRIVATE KEY")).collect();
        let key = match keys[..] {
            [key] => key,
            [] => {
                let found = blocks.first().map_or("nothing in PEM".to_owned(), |block| {
                    format!("a block labelled {:?}", block.label)
                });
                return Err(KeyError::NoKey { found });
            }
            _ => return Err(KeyError::SeveralKeys { count: keys.len() }),
        };
        if key.legacy_encrypted {
            return Err(KeyError::LegacyEncryption);
        }
        match key.label.as_str() {
            "EC PRIVATE KEY" => Self::from_sec1(&key.der),
            "RSA PRIVATE KEY" => Self::from_pkcs1(&key.der),
            "ENCRYPTED PRIVATE KEY" => {
                Self::from_encrypted(&key.der, passphrase.ok_or(KeyError::PassphraseNeeded)?)
            }
            "PRIVATE KEY" => Self::from_pkcs8(&key.der),
            other => Err(KeyError::Unsupported { found: format!("a block labelled {other:?}") }),
        }
    }

    /// Reads a PrivateKeyInfo in DER (PKCS#8, RFC 5958).
    ///
    /// # Errors
    /// When it is malformed or of an unused algorithm.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::MalformedPrivateKey { form: "PKCS#8" };
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| malformed())?;
        let oid = info.algorithm.oid.to_string();
        if oid == OID_PKCS1_RSAENCRYPTION.to_id_string() {
            let pair = rsa::KeyPair::from_pkcs8(der).map_err(|_| malformed())?;
            return Self::from_rsa(pair);
        }
        if oid == OID_SIG_ED25519.to_id_string() {
            return Err(KeyError::Ed25519);
        }
        if oid != OID_KEY_TYPE_EC_PUBLIC_KEY.to_id_string() {
            return Err(KeyError::Unsupported { found: format!("the key type {oid}") });
        }
        let curve = info.algorithm.parameters_oid().map(|curve| curve.to_string());
        let algorithm = match curve.as_deref() {
            Ok(curve) if curve == OID_EC_P256.to_id_string() => KeyAlgorithm::EcP256,
            Ok(curve) if curve == OID_NIST_EC_P384.to_id_string() => KeyAlgorithm::EcP384,
            Ok(curve) => {
                return Err(KeyError::Unsupported { found: format!("the elliptic curve {curve}") });
            }
            Err(_) => return Err(malformed()),
        };
        let pair =
            EcdsaKeyPair::from_private_key_der(ecdsa(algorithm), der).map_err(|_| malformed())?;
        Self::from_pair(Pair::Ecdsa(pair), algorithm)
    }

    fn from_encrypted(der: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        let info = EncryptedPrivateKeyInfoRef::try_from(der)
            .map_err(|_| KeyError::MalformedPrivateKey { form: "encrypted PKCS#8" })?;
        let plain = info.decrypt(passphrase).map_err(|_| KeyError::WrongPassphrase)?;
        Self::from_pkcs8(plain.as_bytes())
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        // SEC1 may leave its curve out: the length of the key then decides, and a key of one
        // curve does not parse as one of the other.
        [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384]
            .into_iter()
            .find_map(|algorithm| {
                let pair = EcdsaKeyPair::from_private_key_der(ecdsa(algorithm), der).ok()?;
                Some(Self::from_pair(Pair::Ecdsa(pair), algorithm))
            })
            .unwrap_or(Err(KeyError::MalformedPrivateKey { form: "SEC1, on P-256 or P-384" }))
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let pair = rsa::KeyPair::from_der(der)
            .map_err(|_| KeyError::MalformedPrivateKey { form: "PKCS#1, 2048 bits or more" })?;
        Self::from_rsa(pair)
    }

    fn from_rsa(pair: rsa::KeyPair) -> Result<Self, KeyError> {
        let bits = pair.public_modulus_len() * 8;
        let algorithm = KeyAlgorithm::of_rsa_bits(bits)
            .ok_or_else(|| KeyError::Unsupported { found: format!("RSA with {bits} bits") })?;
        Self::from_pair(Pair::Rsa(Box::new(pair)), algorithm)
    }

    fn from_pair(pair: Pair, algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto { operation: "encode a key", algorithm };
        let (pkcs8, spki, key_length) = match &pair {
            Pair::Ecdsa(pair) => {
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
                let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
                (pkcs8.as_ref().to_vec(), spki.as_ref().to_vec(), pair.public_key().as_ref().len())
            }
            Pair::Rsa(pair) => {
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                (pkcs8.as_ref().to_vec(), spki.as_ref().to_vec(), pair.public_key().as_ref().len())
            }
        };
        Ok(Self {
            pair,
            pkcs8: Zeroizing::new(pkcs8),
            public: PublicKey { algorithm, spki, key_length },
        })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm
    }

    /// The key as PKCS#8 in PEM, in the clear.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.pkcs8)
    }

    /// The key as PKCS#8 in DER, in the clear.
    pub fn to_der(&self) -> PrivatePkcs8KeyDer<'_> {
        PrivatePkcs8KeyDer::from(self.pkcs8.as_slice())
    }

    /// The key as PKCS#8 in PEM, encrypted under a passphrase (PBES2 with scrypt and AES-256,
    /// RFC 8018, RFC 7914).
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let info = PrivateKeyInfoRef::try_from(self.pkcs8.as_slice()).map_err(KeyError::Encrypt)?;
        let sealed = info.encrypt(passphrase).map_err(KeyError::Encrypt)?;
        Ok(pem::encode("ENCRYPTED PRIVATE KEY", sealed.as_bytes()))
    }
}

fn ecdsa(algorithm: KeyAlgorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::EcP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Named one by one, so that a new field forces a decision about showing it.
        let Self { pair: _, pkcs8: _, public } = self;
        f.debug_struct("PrivateKey").field("public", public).finish_non_exhaustive()
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm.signature_algorithm()
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let random = SystemRandom::new();
        let failed = |_| rcgen::Error::RemoteKeyError;
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}
