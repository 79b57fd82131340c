//! Names and usages in words.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage};

use super::hex;
use crate::x509::printable::printable;

/// Subject alternative names (RFC 5280 section 4.2.1.6), escaped.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// URIs.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<String>,
    /// Mail addresses.
    pub email_addresses: Vec<String>,
    /// Names of other kinds, in words.
    pub others: Vec<String>,
}

impl Names {
    pub(super) fn learn(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::URI(uri) => self.uris.push(printable(uri)),
            GeneralName::DNSName(name) => self.dns_names.push(printable(name)),
            GeneralName::RFC822Name(name) => self.email_addresses.push(printable(name)),
            GeneralName::IPAddress(bytes) => self.ip_addresses.push(ip_address(bytes)),
            other => self.others.push(printable(&other.to_string())),
        }
    }
}

fn ip_address(bytes: &[u8]) -> String {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(four), _) => Ipv4Addr::from(four).to_string(),
        (_, Ok(sixteen)) => Ipv6Addr::from(sixteen).to_string(),
        _ => format!("{} bytes that are no address: {}", bytes.len(), hex(bytes)),
    }
}

pub(super) fn key_usages(usage: &KeyUsage) -> Vec<String> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| name.to_owned())
    .collect()
}

pub(super) fn extended_key_usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    [
        (usage.any, "any"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| name.to_owned())
    .chain(usage.other.iter().map(ToString::to_string))
    .collect()
}
