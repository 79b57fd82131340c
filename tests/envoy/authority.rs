//! Certificates for tests of Envoy itself: made with rcgen alone, so that what Envoy does with a
//! key or a chain is known apart from what certctl issues.

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_RSA_SHA256, RsaKeySize, SanType, SignatureAlgorithm,
};

use crate::mutual_tls::Side;

/// A CA with its key.
pub struct Authority {
    /// Its certificate, in PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn root(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let (parameters, key) = certificate_authority(name, algorithm);
        let certificate = parameters.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// Its key, in PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A CA below this one, with the same kind of key.
    pub fn intermediate(&self, name: &str) -> Self {
        let (parameters, key) = certificate_authority(name, self.issuer.key().algorithm());
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// A side of a handshake: a leaf for `key` with this CA behind it, which it also trusts.
    pub fn side(&self, key: &KeyPair, tls_params: &str) -> Side {
        Side {
            chain: format!("{}{}", self.leaf(key), self.certificate),
            key: key.serialize_pem(),
            trusted_ca: self.certificate.clone(),
            tls_params: tls_params.to_owned(),
        }
    }

    /// A leaf for both ends of a handshake, in PEM.
    pub fn leaf(&self, key: &KeyPair) -> String {
        self.leaf_of(key, &["spiffe://tests.example/node"])
    }

    /// The same with these URIs as its names.
    pub fn leaf_of(&self, key: &KeyPair, uris: &[&str]) -> String {
        self.sign(leaf(uris), key)
    }

    /// The same as it was years ago.
    pub fn expired(&self, key: &KeyPair) -> String {
        let mut parameters = leaf(&["spiffe://tests.example/node"]);
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 2);
        self.sign(parameters, key)
    }

    fn sign(&self, parameters: CertificateParams, key: &KeyPair) -> String {
        parameters.signed_by(key, &self.issuer).expect("a certificate").pem()
    }
}

/// Everything about a leaf but its key.
fn leaf(uris: &[&str]) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    let uri = |uri: &&str| SanType::URI((*uri).try_into().expect("ASCII"));
    parameters.subject_alt_names = uris.iter().map(uri).collect();
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

pub fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

pub fn p384() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key")
}

pub fn rsa(size: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).expect("a key")
}

/// In version 1 of PKCS#8, the only one that Envoy loads.
pub fn ed25519() -> KeyPair {
    let key = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()).expect("a key");
    KeyPair::try_from(key.as_ref()).expect("PKCS#8")
}

fn certificate_authority(
    name: &str,
    algorithm: &'static SignatureAlgorithm,
) -> (CertificateParams, KeyPair) {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.use_authority_key_identifier_extension = true;
    (parameters, KeyPair::generate_for(algorithm).expect("a key"))
}
