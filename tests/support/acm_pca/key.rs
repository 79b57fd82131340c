//! Keys of authorities: made, and signing, by aws-lc.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use serde::{Deserialize, Serialize};

use super::der;
use super::refusal::Refusal;

/// The algorithms of an authority's key that the fake has; the service has more.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[allow(non_camel_case_types, reason = "the service's own names")]
pub enum KeyAlgorithm {
    #[default]
    EC_prime256v1,
    EC_secp384r1,
    RSA_2048,
}

impl KeyAlgorithm {
    /// Its name in the API.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The algorithm that an authority with such a key signs its own request with.
    pub fn signing_algorithm(self) -> &'static str {
        self.signing_algorithms()[0]
    }

    /// Those that the fake signs with. The service also takes the other digests for ECDSA.
    fn signing_algorithms(self) -> &'static [&'static str] {
        match self {
            Self::EC_prime256v1 => &["SHA256WITHECDSA"],
            Self::EC_secp384r1 => &["SHA384WITHECDSA"],
            Self::RSA_2048 => &["SHA256WITHRSA", "SHA384WITHRSA", "SHA512WITHRSA"],
        }
    }
}

/// A private key.
pub struct SigningKey {
    algorithm: KeyAlgorithm,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A fresh one.
    pub fn generate(algorithm: KeyAlgorithm) -> Self {
        let pair = match algorithm {
            KeyAlgorithm::EC_prime256v1 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Pair::Ecdsa)
            }
            KeyAlgorithm::EC_secp384r1 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Pair::Ecdsa)
            }
            KeyAlgorithm::RSA_2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
        };
        Self { algorithm, pair: pair.expect("a key") }
    }

    /// What it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public half, as SubjectPublicKeyInfo.
    pub fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der().expect("a key").as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_der().expect("a key").as_ref().to_vec(),
        }
    }

    /// Whether it can sign with an algorithm of the API.
    pub fn check(&self, signing_algorithm: &str) -> Result<(), Refusal> {
        let valid = self.algorithm.signing_algorithms();
        if valid.contains(&signing_algorithm) {
            return Ok(());
        }
        Err(Refusal::invalid_args(format!(
            "Signing algorithm {signing_algorithm} cannot be used with key type {}. Valid signing \
             algorithms are: {}.",
            self.algorithm.name(),
            valid.join(", ")
        )))
    }

    /// The AlgorithmIdentifier of a signing algorithm that [`check`](Self::check) let pass.
    pub fn identifier(signing_algorithm: &str) -> Vec<u8> {
        let (oid, null) = match signing_algorithm {
            "SHA256WITHECDSA" => ("1.2.840.10045.4.3.2", false),
            "SHA384WITHECDSA" => ("1.2.840.10045.4.3.3", false),
            "SHA256WITHRSA" => ("1.2.840.113549.1.1.11", true),
            "SHA384WITHRSA" => ("1.2.840.113549.1.1.12", true),
            _ => ("1.2.840.113549.1.1.13", true),
        };
        let mut parts = vec![der::oid(oid).expect("an OID")];
        if null {
            parts.push(der::element(0x05, &[]));
        }
        der::sequence(&parts)
    }

    /// Signs.
    pub fn sign(&self, signing_algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).expect("signs").as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = match signing_algorithm {
                    "SHA256WITHRSA" => &RSA_PKCS1_SHA256,
                    "SHA384WITHRSA" => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).expect("signs");
                signature
            }
        }
    }
}

/// RFC 5280, section 4.2.1.2, method 1: SHA-1 of the bits of the public key.
pub fn identifier_of(public: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
    let (_, public) = SubjectPublicKeyInfo::from_der(public).expect("a public key");
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &public.subject_public_key.data).as_ref().to_vec()
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's randomness");
    bytes
}
