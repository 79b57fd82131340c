//! A DER encoder that encodes whatever it is told to, right or wrong, and signed requests made
//! with it, so that a test's request has its one intended defect and no other.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use certctl::x509::key::{KeyAlgorithm, PrivateKey};

/// One element: tag, length in its shortest form, content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut bytes = vec![tag];
    match length[..] {
        [] => bytes.push(0),
        [short] if short < 0x80 => bytes.push(short),
        _ => {
            bytes.push(0x80 | length.len() as u8);
            bytes.extend(length);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x31, &parts.concat())
}

pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(groups.into_iter().rev());
    }
    element(0x06, &content)
}

pub fn bit_string(content: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], content].concat())
}

pub fn octet_string(content: &[u8]) -> Vec<u8> {
    element(0x04, content)
}

/// One PEM block of it.
pub fn pem(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}

/// A name of one common name, or of none.
pub fn subject(common_name: Option<&[u8]>) -> Vec<u8> {
    let name = common_name.map(|text| attribute("2.5.4.3", element(0x0c, text)));
    sequence(&name.into_iter().collect::<Vec<_>>())
}

/// A relative distinguished name of one attribute.
pub fn attribute(kind: &str, value: Vec<u8>) -> Vec<u8> {
    set(&[sequence(&[oid(kind), value])])
}

pub fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(kind)];
    if critical {
        parts.push(element(0x01, &[0xff]));
    }
    parts.push(octet_string(value));
    sequence(&parts)
}

/// A subject alternative name extension; each name is its context tag's number and content.
pub fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<_> =
        names.iter().map(|(number, content)| element(0x80 | number, content)).collect();
    extension("2.5.29.17", false, &sequence(&names))
}

/// The PKCS#9 attribute that carries extensions.
pub fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[oid("1.2.840.113549.1.9.14"), set(&[sequence(extensions)])])
}

/// A request about to be signed: each part may be replaced by something wrong.
pub struct RequestParts {
    pub version: Vec<u8>,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    pub attributes: Vec<Vec<u8>>,
    pub signature_algorithm: Vec<u8>,
    /// Stands after the attributes, where nothing belongs.
    pub surplus: Vec<u8>,
    pub key: PrivateKey,
}

impl Default for RequestParts {
    fn default() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        Self {
            version: element(0x02, &[0]),
            subject: subject(None),
            spki: key.public().spki().to_vec(),
            attributes: Vec::new(),
            signature_algorithm: sequence(&[oid("1.2.840.10045.4.3.2")]),
            surplus: Vec::new(),
            key,
        }
    }
}

impl RequestParts {
    pub fn with_extensions(extensions: &[Vec<u8>]) -> Self {
        Self { attributes: vec![extension_request(extensions)], ..Self::default() }
    }

    pub fn with_names(list: &[(u8, &[u8])]) -> Self {
        Self::with_extensions(&[names(list)])
    }

    /// The request in DER, with a true ECDSA P-256 signature by the key that it was made with.
    pub fn sign(self) -> Vec<u8> {
        let attributes = element(0xa0, &self.attributes.concat());
        let information =
            sequence(&[self.version, self.subject, self.spki, attributes, self.surplus]);
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            self.key.to_der().secret_pkcs8_der(),
        )
        .unwrap();
        let signature = pair.sign(&SystemRandom::new(), &information).unwrap();
        sequence(&[information, self.signature_algorithm, bit_string(signature.as_ref())])
    }
}
