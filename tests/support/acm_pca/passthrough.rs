//! The API's `ApiPassthrough`: a subject and extensions that the caller names outside the request.

use std::net::IpAddr;

use serde::Deserialize;

use super::certificate::{self, Extension};
use super::refusal::Refusal;
use super::{der, template};

/// As it comes over the wire.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct ApiPassthrough {
    extensions: Option<Extensions>,
    subject: Option<Subject>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
struct Extensions {
    certificate_policies: Vec<Policy>,
    extended_key_usage: Vec<Purpose>,
    key_usage: Option<KeyUsage>,
    subject_alternative_names: Vec<GeneralName>,
    custom_extensions: Vec<CustomExtension>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    cert_policy_id: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Purpose {
    extended_key_usage_type: Option<String>,
    extended_key_usage_object_identifier: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
struct KeyUsage {
    digital_signature: bool,
    non_repudiation: bool,
    key_encipherment: bool,
    data_encipherment: bool,
    key_agreement: bool,
    key_cert_sign: bool,
    #[serde(rename = "CRLSign")]
    crl_sign: bool,
    encipher_only: bool,
    decipher_only: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
enum GeneralName {
    DnsName(String),
    UniformResourceIdentifier(String),
    IpAddress(String),
    Rfc822Name(String),
    DirectoryName(Box<Subject>),
    RegisteredId(String),
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct CustomExtension {
    object_identifier: String,
    value: String,
    critical: Option<bool>,
}

/// The API's `ASN1Subject`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Subject {
    country: Option<String>,
    organization: Option<String>,
    organizational_unit: Option<String>,
    distinguished_name_qualifier: Option<String>,
    state: Option<String>,
    common_name: Option<String>,
    serial_number: Option<String>,
    locality: Option<String>,
    title: Option<String>,
    surname: Option<String>,
    given_name: Option<String>,
    initials: Option<String>,
    pseudonym: Option<String>,
    generation_qualifier: Option<String>,
    #[serde(default)]
    custom_attributes: Vec<CustomAttribute>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct CustomAttribute {
    object_identifier: String,
    value: String,
}

/// What was passed, ready for a certificate.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    pub subject: Option<Vec<u8>>,
    pub extensions: Vec<Extension>,
}

impl ApiPassthrough {
    /// Reads it.
    pub fn content(&self) -> Result<Passed, Refusal> {
        let subject = self.subject.as_ref().map(Subject::der).transpose()?;
        let mut found = Vec::new();
        let Some(extensions) = &self.extensions else {
            return Ok(Passed { subject, extensions: found });
        };
        if let Some(usage) = &extensions.key_usage {
            found.push(Extension::key_usage(&usage.bits()));
        }
        if !extensions.extended_key_usage.is_empty() {
            let purposes = extensions.extended_key_usage.iter().map(Purpose::oid);
            let purposes: Vec<_> = purposes.collect::<Result<_, _>>()?;
            found.push(Extension::extended_key_usage(&purposes));
        }
        if !extensions.subject_alternative_names.is_empty() {
            let names = extensions.subject_alternative_names.iter().map(GeneralName::der);
            let names: Vec<_> = names.collect::<Result<_, _>>()?;
            let oid = certificate::SUBJECT_ALTERNATIVE_NAME;
            found.push(Extension::new(oid, false, der::sequence(&names)));
        }
        if !extensions.certificate_policies.is_empty() {
            let policies = extensions.certificate_policies.iter();
            let policies =
                policies.map(|policy| Ok(der::sequence(&[oid(&policy.cert_policy_id)?])));
            let policies: Vec<_> = policies.collect::<Result<_, Refusal>>()?;
            let oid = certificate::CERTIFICATE_POLICIES;
            found.push(Extension::new(oid, false, der::sequence(&policies)));
        }
        for custom in &extensions.custom_extensions {
            oid(&custom.object_identifier)?;
            let value = super::wire::decode_base64(&custom.value)
                .ok_or_else(|| Refusal::validation("A custom extension is not base64."))?;
            let critical = custom.critical.unwrap_or(false);
            found.push(Extension::new(&custom.object_identifier, critical, value));
        }
        Ok(Passed { subject, extensions: found })
    }
}

impl Purpose {
    fn oid(&self) -> Result<Vec<u8>, Refusal> {
        let named = match self.extended_key_usage_type.as_deref() {
            None => self.extended_key_usage_object_identifier.as_deref().unwrap_or_default(),
            Some("SERVER_AUTH") => template::SERVER,
            Some("CLIENT_AUTH") => template::CLIENT,
            Some("CODE_SIGNING") => "1.3.6.1.5.5.7.3.3",
            Some("EMAIL_PROTECTION") => "1.3.6.1.5.5.7.3.4",
            Some("TIME_STAMPING") => "1.3.6.1.5.5.7.3.8",
            Some("OCSP_SIGNING") => "1.3.6.1.5.5.7.3.9",
            Some(other) => {
                return Err(Refusal::validation(format!("{other} is no extended key usage.")));
            }
        };
        oid(named)
    }
}

impl KeyUsage {
    fn bits(&self) -> Vec<u8> {
        let usages = [
            self.digital_signature,
            self.non_repudiation,
            self.key_encipherment,
            self.data_encipherment,
            self.key_agreement,
            self.key_cert_sign,
            self.crl_sign,
            self.encipher_only,
            self.decipher_only,
        ];
        (0..9).filter(|bit| usages[usize::from(*bit)]).collect()
    }
}

impl GeneralName {
    fn der(&self) -> Result<Vec<u8>, Refusal> {
        Ok(match self {
            Self::Rfc822Name(name) => der::element(0x81, ascii(name)?),
            Self::DnsName(name) => der::element(0x82, ascii(name)?),
            Self::DirectoryName(name) => der::element(0xa4, &name.der()?),
            Self::UniformResourceIdentifier(name) => der::element(0x86, ascii(name)?),
            Self::IpAddress(name) => match name.parse() {
                Ok(IpAddr::V4(address)) => der::element(0x87, &address.octets()),
                Ok(IpAddr::V6(address)) => der::element(0x87, &address.octets()),
                Err(_) => return Err(Refusal::validation(format!("{name} is no IP address."))),
            },
            Self::RegisteredId(name) => {
                let mut name = oid(name)?;
                name[0] = 0x88;
                name
            }
        })
    }
}

impl Subject {
    /// One with a common name alone.
    pub fn common_name(name: &str) -> Self {
        Self { common_name: Some(name.to_owned()), ..Self::default() }
    }

    /// The DER of the Name.
    pub fn der(&self) -> Result<Vec<u8>, Refusal> {
        let known = [
            ("2.5.4.6", &self.country),
            ("2.5.4.10", &self.organization),
            ("2.5.4.11", &self.organizational_unit),
            ("2.5.4.46", &self.distinguished_name_qualifier),
            ("2.5.4.8", &self.state),
            ("2.5.4.3", &self.common_name),
            ("2.5.4.5", &self.serial_number),
            ("2.5.4.7", &self.locality),
            ("2.5.4.12", &self.title),
            ("2.5.4.4", &self.surname),
            ("2.5.4.42", &self.given_name),
            ("2.5.4.43", &self.initials),
            ("2.5.4.65", &self.pseudonym),
            ("2.5.4.44", &self.generation_qualifier),
        ];
        let known = known.iter().filter_map(|(oid, value)| Some((*oid, value.as_deref()?)));
        let custom = self.custom_attributes.iter();
        let custom = custom.map(|custom| (&*custom.object_identifier, &*custom.value));
        let standard: Vec<_> = known.collect();
        if !standard.is_empty() && !self.custom_attributes.is_empty() {
            return Err(Refusal::invalid_args(
                "Custom attributes cannot be used in combination with standard attributes.",
            ));
        }
        let parts = standard.into_iter().chain(custom).map(|(name, value)| {
            // RFC 5280, appendix A.1: these three are PrintableString.
            let printed = ["2.5.4.6", "2.5.4.46", "2.5.4.5"].contains(&name);
            let value = if printed { der::printable(value) } else { der::utf8(value) };
            Ok(der::set(&[der::sequence(&[oid(name)?, value])]))
        });
        Ok(der::sequence(&parts.collect::<Result<Vec<_>, Refusal>>()?))
    }
}

fn oid(dotted: &str) -> Result<Vec<u8>, Refusal> {
    der::oid(dotted)
        .ok_or_else(|| Refusal::validation(format!("{dotted:?} is no object identifier.")))
}

fn ascii(name: &str) -> Result<&[u8], Refusal> {
    if name.is_ascii() && !name.is_empty() {
        return Ok(name.as_bytes());
    }
    Err(Refusal::validation(format!("{name:?} is no name.")))
}
