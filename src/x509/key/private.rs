//! Private keys: made, read in every form that they come in, and never shown.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256,
};
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use zeroize::Zeroizing;

use super::{KeyAlgorithm, KeyError, PublicKey, rsa_algorithm};
use crate::x509::pem;

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
            return Self::from_pkcs1(info.private_key.as_bytes());
        }
        if oid == OID_SIG_ED25519.to_id_string() {
            return Err(KeyError::Ed25519);
        }
        if oid != OID_KEY_TYPE_EC_PUBLIC_KEY.to_id_string() {
            return Err(KeyError::Unsupported { found: format!("the key type {oid}") });
        }
        let unsupported = |found| KeyError::Unsupported { found };
        let curve = info.algorithm.parameters_oid().map(|curve| curve.to_string());
        let algorithm = match curve.as_deref() {
            Ok(curve) if curve == OID_EC_P256.to_id_string() => KeyAlgorithm::EcP256,
            Ok(curve) if curve == OID_NIST_EC_P384.to_id_string() => KeyAlgorithm::EcP384,
            Ok(curve) => return Err(unsupported(format!("the elliptic curve {curve}"))),
            Err(_) => return Err(unsupported("an elliptic curve without a name".to_owned())),
        };
        let pair =
            EcdsaKeyPair::from_private_key_der(ecdsa(algorithm), der).map_err(|_| malformed())?;
        Self::from_pair(Pair::Ecdsa(pair), algorithm)
    }

    fn from_encrypted(der: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        // The parser knows no encryption but those that we take, so whatever it refuses is another
        // one, or broken: converting tells.
        let info = EncryptedPrivateKeyInfoRef::try_from(der)
            .map_err(|_| KeyError::UnsupportedEncryption)?;
        let plain = info.decrypt(passphrase).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed)
            | pkcs8::Error::Asn1(_) => KeyError::WrongPassphrase,
            _ => KeyError::UnsupportedEncryption,
        })?;
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
            .unwrap_or(Err(KeyError::MalformedPrivateKey {
                form: "SEC1; of its curves only P-256 and P-384 are used",
            }))
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::MalformedPrivateKey { form: "PKCS#1" };
        // Looked at first: the library does not say that it refuses a size, and takes an exponent
        // of 3.
        let (modulus, exponent) = rsa_numbers(der).map_err(|_| malformed())?;
        let algorithm = rsa_algorithm(modulus.as_bytes(), exponent.as_bytes())?;
        let pair = rsa::KeyPair::from_der(der).map_err(|_| malformed())?;
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

/// Modulus and public exponent of an RSAPrivateKey (RFC 8017 appendix A.1.2).
fn rsa_numbers(der: &[u8]) -> Result<(UintRef<'_>, UintRef<'_>), pkcs8::der::Error> {
    SliceReader::new(der)?.sequence(|numbers| {
        let _version = u8::decode(numbers)?;
        let public = (UintRef::decode(numbers)?, UintRef::decode(numbers)?);
        numbers.read_slice(numbers.remaining_len())?;
        Ok(public)
    })
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
