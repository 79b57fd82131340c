//! The certificates that the CA in memory makes, right and wrong.

use std::time::Duration;

use super::{Lie, NOW, SKEW};
use crate::acm_pca::{IssueRequest, IssuedPem};
use crate::authority::Authority;
use crate::desired::LocalAuthority;
use crate::identity::{AuthorityName, DnsName, SpiffeId};
use crate::time::{Lifetime, Validity};
use crate::x509::certificate::Certificate;
use crate::x509::key::{KeyAlgorithm, PrivateKey, PublicKey};
use crate::x509::pem::{self, CERTIFICATE};
use crate::x509::profile::{LeafProfile, Subject};
use crate::x509::signing_request;

pub fn make(
    own: &Authority,
    request: &IssueRequest,
    off_by: Duration,
    lie: Option<Lie>,
) -> IssuedPem {
    let chain = own.chain().iter().map(Certificate::to_pem).collect();
    if lie == Some(Lie::Garbage) {
        let certificate = pem::encode(CERTIFICATE, b"garbage");
        return IssuedPem { certificate: certificate.to_string(), chain };
    }
    if lie == Some(Lie::Nothing) {
        return IssuedPem { certificate: String::new(), chain };
    }
    let asked = request.validity;
    let mut validity =
        Validity { not_before: asked.not_before + off_by, not_after: asked.not_after + off_by };
    let hour = time::Duration::HOUR;
    match lie {
        Some(Lie::Expired) => {
            validity = Validity {
                not_before: asked.not_before - 3 * hour,
                not_after: asked.not_before - hour,
            };
        }
        Some(Lie::Longer) => validity.not_after += hour,
        Some(Lie::Earlier) => validity.not_before -= hour,
        _ => {}
    }
    let spki = signing_request::spki(&request.request).unwrap().to_vec();
    let mut key = PublicKey::from_spki(&spki).unwrap();
    if lie == Some(Lie::Key) {
        key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap().public().clone();
    }
    let liar = (lie == Some(Lie::Issuer)).then(|| root("liar"));
    let authority = liar.as_ref().unwrap_or(own);
    let is_ca = request.template.starts_with("SubordinateCA") || lie == Some(Lie::Ca);
    let certificate = if is_ca {
        let length = validity.length().as_secs();
        let subject = signing_request::subject(&request.request).unwrap();
        let mut wanted = local("");
        for part in subject.split(", ") {
            match part.split_once('=') {
                Some(("O", name)) => wanted.subject.organization = Some(name.to_owned()),
                Some((_, name)) => wanted.subject.common_name = Some(name.to_owned()),
                None => {}
            }
        }
        wanted.lifetime = Lifetime::parse(&format!("{length}s")).unwrap();
        let below = request.template.chars().find(char::is_ascii_digit);
        let below = below.and_then(|digit| digit.to_digit(10)).unwrap_or(0) as u8;
        authority
            .make_intermediate(&wanted, Duration::ZERO, below, &key, validity.not_before)
            .unwrap()
    } else {
        authority.sign(&leaf(request, lie), &key, validity).unwrap()
    };
    let mut certificate = certificate.to_pem();
    if lie == Some(Lie::Two) {
        certificate = certificate.repeat(2);
    }
    IssuedPem { certificate, chain }
}

pub fn local(name: &str) -> LocalAuthority {
    LocalAuthority {
        subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
        key_algorithm: KeyAlgorithm::EcP256,
        lifetime: Lifetime::days(3_650),
        parent: None,
        passphrase_file: None,
    }
}

pub fn root(name: &str) -> Authority {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let certificate = Authority::make_root(&local(name), SKEW, &key, NOW).unwrap();
    Authority::new(AuthorityName::parse("ca_1").unwrap(), key, vec![certificate]).unwrap()
}

pub fn profile(name: &str) -> LeafProfile {
    LeafProfile {
        spiffe_id: SpiffeId::parse(&format!("spiffe://example.org/{name}")).unwrap(),
        dns_names: vec![DnsName::parse(&format!("{name}.example.org")).unwrap()],
        lifetime: Lifetime::hours(1),
        clock_skew: SKEW,
    }
}

fn leaf(request: &IssueRequest, lie: Option<Lie>) -> LeafProfile {
    let names = request.passthrough.as_ref().unwrap();
    let mut leaf = LeafProfile {
        spiffe_id: SpiffeId::parse(&names.uris[0]).unwrap(),
        dns_names: names.dns_names.iter().map(|name| DnsName::parse(name).unwrap()).collect(),
        lifetime: Lifetime::hours(1),
        clock_skew: SKEW,
    };
    match lie {
        Some(Lie::SpiffeId) => {
            leaf.spiffe_id = SpiffeId::parse("spiffe://example.org/other").unwrap();
        }
        Some(Lie::DnsNames) => leaf.dns_names.push(DnsName::parse("more.example.org").unwrap()),
        _ => {}
    }
    leaf
}
