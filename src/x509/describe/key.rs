//! Keys, by their public halves: nothing here holds or tells a private part.

use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::{AnyRef, UintRef};
use pkcs8::der::oid::ObjectIdentifier;
use pkcs8::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use serde::Serialize;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_SIG_ED448, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Problem, sha256};
use crate::x509::key::{KeyError, PrivateKey, PublicKey};
use crate::x509::pem::{self, Block};

/// A public key in words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyDescription {
    /// Its algorithm: the names of the mesh file, and for others `rsa-1024`, `ed25519`, ….
    pub algorithm: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in hex: equal for a key and its certificate.
    pub sha256: String,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// A private key in words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateKeyDescription {
    /// How it is written: `PKCS#8`, `PKCS#1`, `SEC1`, `encrypted PKCS#8`.
    pub form: String,
    /// Whether a passphrase is needed to read it.
    pub encrypted: bool,
    /// Its algorithm, where that can be told.
    pub algorithm: Option<String>,
    /// The SHA-256 of its public half's SubjectPublicKeyInfo, in hex, where that can be told.
    pub sha256: Option<String>,
    /// Which of the certificates and requests looked at beside it are for this key.
    pub belongs_to: Vec<String>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl PublicKeyDescription {
    /// Describes a SubjectPublicKeyInfo in DER, whatever is in it.
    pub fn of_spki(spki: &[u8]) -> Self {
        let (algorithm, problem) = match PublicKey::from_spki(spki) {
            Ok(key) => (key.algorithm().to_string(), None),
            Err(error) => {
                let algorithm = match SubjectPublicKeyInfo::from_der(spki) {
                    Ok((_, parsed)) => algorithm_in_words(&parsed),
                    Err(_) => "unreadable".to_owned(),
                };
                let problem = judge(&algorithm, &error);
                (algorithm, Some(problem))
            }
        };
        Self { algorithm, sha256: sha256(spki), problems: problem.into_iter().collect() }
    }

    pub(super) fn of_der(der: &[u8]) -> Option<Self> {
        let (rest, _) = SubjectPublicKeyInfo::from_der(der).ok()?;
        rest.is_empty().then(|| Self::of_spki(der))
    }
}

/// How bad it is that we do not issue for a key.
fn judge(algorithm: &str, error: &KeyError) -> Problem {
    let bits = algorithm.strip_prefix("rsa-").and_then(|bits| bits.parse::<u32>().ok());
    match (error, bits) {
        (_, Some(bits)) if bits < 2048 => {
            let message =
                format!("RSA with {bits} bits is too weak: Envoy refuses it; use 2048 or more");
            Problem::error("weak-key", message)
        }
        (KeyError::Unsupported { found }, _) if found.contains("exponent") => {
            Problem::error("weak-key", error.to_string())
        }
        (KeyError::MalformedPublicKey { .. }, _) => {
            Problem::error("malformed-key", error.to_string())
        }
        _ => Problem::warning("unusual-key", error.to_string()),
    }
}

fn algorithm_in_words(spki: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = &spki.algorithm.algorithm;
    if *oid == OID_PKCS1_RSAENCRYPTION {
        return match spki.parsed() {
            Ok(ParsedKey::RSA(key)) => format!("rsa-{}", key.key_size()),
            _ => "rsa".to_owned(),
        };
    }
    if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => "ec-p256".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P384 => "ec-p384".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P521 => "ec-p521".to_owned(),
            Some(curve) => format!("ec over the curve {curve}"),
            None => "ec over a curve without a name".to_owned(),
        };
    }
    if *oid == OID_SIG_ED25519 {
        "ed25519".to_owned()
    } else if *oid == OID_SIG_ED448 {
        "ed448".to_owned()
    } else if *oid == OID_KEY_TYPE_DSA {
        "dsa".to_owned()
    } else {
        format!("the key type {oid}")
    }
}

impl PrivateKeyDescription {
    /// Describes a PEM block that is labelled as a private key.
    pub(super) fn of_block(block: &Block) -> Self {
        let form = match block.label.as_str() {
            "RSA PRIVATE KEY" => "PKCS#1",
            "EC PRIVATE KEY" => "SEC1",
            "ENCRYPTED PRIVATE KEY" => "encrypted PKCS#8",
            _ => "PKCS#8",
        };
        let mut described = Self {
            form: form.to_owned(),
            encrypted: block.legacy_encrypted || block.label == "ENCRYPTED PRIVATE KEY",
            algorithm: None,
            sha256: None,
            belongs_to: Vec::new(),
            problems: Vec::new(),
        };
        if block.legacy_encrypted {
            let message = KeyError::LegacyEncryption.to_string();
            described.problems.push(Problem::error("obsolete-encryption", message));
        }
        if described.encrypted {
            return described;
        }
        match PrivateKey::from_pem(pem::encode(&block.label, &block.der).as_bytes(), None) {
            Ok(key) => {
                described.algorithm = Some(key.algorithm().to_string());
                described.sha256 = Some(sha256(key.public().spki()));
            }
            Err(error) => {
                described.algorithm = algorithm_of(block);
                let weak = described.algorithm.as_deref().map_or_else(
                    || Problem::error("malformed-key", error.to_string()),
                    |algorithm| judge(algorithm, &error),
                );
                described.problems.push(weak);
            }
        }
        described
    }

    /// Describes DER that is a private key in one form or another.
    pub(super) fn of_der(der: &[u8]) -> Option<Self> {
        let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der).is_ok();
        let labels = if encrypted {
            &["ENCRYPTED PRIVATE KEY"][..]
        } else {
            &["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]
        };
        labels.iter().find_map(|label| {
            let block = Block {
                label: (*label).to_owned(),
                legacy_encrypted: false,
                der: zeroize::Zeroizing::new(der.to_vec()),
            };
            let described = Self::of_block(&block);
            let known = described.encrypted || described.algorithm.is_some();
            known.then_some(described)
        })
    }
}

/// The algorithm of a key that we do not use.
fn algorithm_of(block: &Block) -> Option<String> {
    if block.label == "RSA PRIVATE KEY" {
        return rsa_bits(&block.der).map(|bits| format!("rsa-{bits}"));
    }
    if block.label == "EC PRIVATE KEY" {
        return sec1_curve(&block.der).map(|curve| curve_in_words(&curve));
    }
    let info = PrivateKeyInfoRef::try_from(block.der.as_slice()).ok()?;
    let oid = info.algorithm.oid.to_string();
    let curve = info.algorithm.parameters_oid().map(|curve| curve.to_string());
    Some(match oid {
        oid if oid == OID_PKCS1_RSAENCRYPTION.to_id_string() => {
            format!("rsa-{}", rsa_bits(info.private_key.as_bytes())?)
        }
        oid if oid == OID_SIG_ED25519.to_id_string() => "ed25519".to_owned(),
        oid if oid == OID_SIG_ED448.to_id_string() => "ed448".to_owned(),
        oid if oid == OID_KEY_TYPE_EC_PUBLIC_KEY.to_id_string() => match curve {
            Ok(curve) => curve_in_words(&curve),
            Err(_) => "ec over a curve without a name".to_owned(),
        },
        oid => format!("the key type {oid}"),
    })
}

fn curve_in_words(oid: &str) -> String {
    if oid == OID_NIST_EC_P521.to_id_string() {
        "ec-p521".to_owned()
    } else {
        format!("ec over the curve {oid}")
    }
}

/// The curve that an ECPrivateKey names (RFC 5915 section 3): version, key, `[0]` parameters, ….
fn sec1_curve(der: &[u8]) -> Option<String> {
    let mut rest = AnyRef::from_der(der).ok()?.value();
    while !rest.is_empty() {
        let mut reader = SliceReader::new(rest).ok()?;
        let item = AnyRef::decode(&mut reader).ok()?;
        if item.tag() == (Tag::ContextSpecific { constructed: true, number: TagNumber(0) }) {
            let curve: ObjectIdentifier = ObjectIdentifier::from_der(item.value()).ok()?;
            // A key of a curve that we do use, and that is not read, is broken.
            let ours = [OID_EC_P256, OID_NIST_EC_P384].map(|oid| oid.to_id_string());
            return Some(curve.to_string()).filter(|curve| !ours.contains(curve));
        }
        rest = &rest[rest.len() - usize::try_from(reader.remaining_len()).ok()?..];
    }
    None
}

/// The length of the modulus in an RSAPrivateKey (RFC 8017 appendix A.1.2): version, modulus, ….
fn rsa_bits(der: &[u8]) -> Option<usize> {
    AnyRef::from_der(der)
        .ok()?
        .sequence(|reader| {
            let _version: u8 = reader.decode()?;
            let modulus: UintRef<'_> = reader.decode()?;
            // The private numbers are passed over unread.
            reader.drain(reader.remaining_len())?;
            let bytes = modulus.as_bytes();
            Ok::<_, pkcs8::der::Error>(
                bytes.len() * 8 - bytes.first().map_or(0, |byte| byte.leading_zeros() as usize),
            )
        })
        .ok()
}
