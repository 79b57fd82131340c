//! A certificate signing request (PKCS #10), read and checked as the service does.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer;

use super::certificate::{Extension, SUBJECT_ALTERNATIVE_NAME};
use super::refusal::Refusal;

/// The most that the API takes, in bytes.
const LIMIT: usize = 32_768;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The DER of a Name.
    pub subject: Vec<u8>,
    /// The DER of a SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl Request {
    /// Reads one PEM block, whose signature must verify.
    pub fn read(text: &[u8]) -> Result<Self, Refusal> {
        if text.is_empty() || text.len() > LIMIT {
            return Err(Refusal::validation(
                "1 validation error detected: Value at 'csr' failed to satisfy constraint: Member \
                 must have length less than or equal to 32768 and greater than or equal to 1",
            ));
        }
        let block = pem::parse(text).map_err(|_| malformed("it is not PEM"))?;
        if !["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.tag()) {
            return Err(malformed("the PEM block is not a CERTIFICATE REQUEST"));
        }
        let (rest, request) = X509CertificationRequest::from_der(block.contents())
            .map_err(|_| malformed("it cannot be read"))?;
        if !rest.is_empty() {
            return Err(malformed("something follows it"));
        }
        request.verify_signature().map_err(|_| malformed("its signature does not verify"))?;
        let info = &request.certification_request_info;
        let mut extensions = Vec::new();
        for attribute in info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() {
                extensions.extend(asked.extensions.iter().map(|extension| Extension {
                    oid: extension.oid.to_id_string(),
                    critical: extension.critical,
                    value: extension.value.to_vec(),
                }));
            }
        }
        let named = info.subject.iter().next().is_some()
            || extensions.iter().any(|extension| extension.oid == SUBJECT_ALTERNATIVE_NAME);
        if !named {
            return Err(malformed("it has neither a subject nor a subject alternative name"));
        }
        Ok(Self {
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            extensions,
        })
    }

    /// The extension with this identifier.
    pub fn extension(&self, oid: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::malformed_csr(format!("The certificate signing request (CSR) is not valid: {what}."))
}
