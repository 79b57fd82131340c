//! Our certificates as others see them: pkilint, OpenSSL and rustls-webpki, over every combination
//! of key algorithms, CA depth and names.

use std::collections::HashSet;
use std::time::Duration;

use crate::pkilint;
use crate::support::openssl::Openssl;
use certctl::authority::Authority;
use certctl::desired::LocalAuthority;
use certctl::identity::{AuthorityName, DnsName, SpiffeId};
use certctl::signing;
use certctl::time::{Clock, Lifetime, OffsetDateTime};
use certctl::x509::certificate::Certificate;
use certctl::x509::credential::Chain;
use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use certctl::x509::profile::{LeafProfile, Subject};
use certctl::x509::verification::{Purpose, Roots};
use rustls_pki_types::CertificateDer;

const SKEW: Duration = Duration::from_secs(300);
const SPIFFE_ID: &str = "spiffe://example.org/front";

/// The DNS names of a leaf, by what they do to its subject.
const NAMES: [(&str, &[&str]); 3] = [
    ("spiffe-only", &[]),
    ("common-name", &["front.example.org", "front.default.svc.cluster.local"]),
    ("long-name", &[LONG_NAME, "front.example.org"]),
];
const LONG_NAME: &str = "a-first-name-of-more-than-sixty-four-octets.namespace.svc.cluster.local";

#[test]
fn every_combination_stands_before_pkilint_openssl_and_webpki() {
    let now = Clock::system().now();
    let openssl = Openssl::new();
    let ca_keys = KeyAlgorithm::ALL.map(key);
    let leaf_keys = KeyAlgorithm::ALL.map(key);
    let mut written = HashSet::new();

    for (depth, place) in
        (0..3).flat_map(|depth| (0..ca_keys.len()).map(move |place| (depth, place)))
    {
        let ca = issuing_ca(&ca_keys, place, depth, now);
        let ca_name = format!("ca-{depth}-{}", KeyAlgorithm::ALL[place]);
        let mut leaves = Vec::new();
        for (names, key) in
            NAMES.iter().flat_map(|names| leaf_keys.iter().map(move |key| (names, key)))
        {
            let chain = signing::sign(&ca, &leaf_profile(names.1), key.public(), now).unwrap();
            assert_webpki_accepts(&chain, &ca, now);
            let name = format!("{ca_name}-leaf-{}-{}.pem", key.algorithm(), names.0);
            openssl.write(&name, chain.leaf().to_pem());
            leaves.push(name);
        }
        for (above, certificate) in ca.chain().iter().enumerate() {
            openssl.write(&format!("{ca_name}-above-{above}.pem"), certificate.to_pem());
        }
        let untrusted: String = ca.issuers().iter().map(Certificate::to_pem).collect();
        openssl.write("untrusted", untrusted);
        openssl.write("root", ca.root().to_pem());
        for purpose in ["sslserver", "sslclient"] {
            let verified = openssl.run(&format!(
                "verify -x509_strict -purpose {purpose} -CAfile root -untrusted untrusted {}",
                leaves.join(" ")
            ));
            assert_eq!(verified.matches(": OK").count(), leaves.len(), "{verified}");
        }
        written.extend(leaves);
    }

    assert_eq!(written.len(), 5 * 5 * 3 * 3);
    let mut verdict = pkilint::lint(&openssl.path(""));
    assert_eq!(verdict.files, written.len() + 5 * (1 + 2 + 3));
    assert_eq!(verdict.excuse_spiffe_scheme(SPIFFE_ID), written.len());
    assert_eq!(verdict.findings, []);
}

/// A CA of the `place`th key with `depth` CAs above it. Those have the keys that follow, which are
/// of other algorithms: signatures across algorithms are judged too, and each key is made once.
fn issuing_ca(keys: &[PrivateKey], place: usize, depth: usize, now: OffsetDateTime) -> Authority {
    let key_above = |above: usize| copy(&keys[(place + above) % keys.len()]);
    let top = key_above(depth);
    let root = Authority::make_root(&local("root", top.algorithm()), SKEW, &top, now).unwrap();
    let mut ca = authority(top, vec![root]);
    for above in (0..depth).rev() {
        let key = key_above(above);
        let wanted = local(&format!("intermediate {above}"), key.algorithm());
        let below = u8::try_from(above).unwrap();
        let own = ca.make_intermediate(&wanted, SKEW, below, key.public(), now).unwrap();
        ca = authority(key, [&[own], ca.chain()].concat());
    }
    ca
}

fn assert_webpki_accepts(chain: &Chain, ca: &Authority, now: OffsetDateTime) {
    let issuers: Vec<CertificateDer<'_>> =
        chain.issuers().iter().map(|c| c.der().clone()).collect();
    for purpose in [Purpose::Client, Purpose::Server] {
        ca.roots().verify(chain.leaf(), &issuers, purpose, now).unwrap();
    }
}

/// The judges must be able to find fault: the shape of certificate that is made by hand everywhere.
#[test]
fn a_hand_made_leaf_is_found_wanting_by_the_same_judges() {
    let openssl = Openssl::new();
    openssl.write(
        "leaf.cnf",
        "[req]\ndistinguished_name = name\nprompt = no\n\
         [name]\nC = US\nO = Example\nCN = front.example.org\nemailAddress = front@example.org\n\
         [leaf]\nbasicConstraints = CA:FALSE\nkeyUsage = nonRepudiation, digitalSignature\n\
         extendedKeyUsage = clientAuth, serverAuth\nsubjectKeyIdentifier = hash\n\
         subjectAltName = DNS:front.example.org\n\
         [uris]\nsubjectAltName = URI:spiffe://example.org/front, URI:https://example.org/front\n",
    );
    openssl
        .run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /O=Example/CN=CA");
    openssl.run("req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -config leaf.cnf");
    openssl.run(
        "x509 -req -days 3650 -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out leaf.pem \
         -extfile leaf.cnf -extensions leaf",
    );
    openssl.run(
        "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out uris.pem \
         -extfile leaf.cnf -extensions uris",
    );
    let mut verdict = pkilint::lint(&openssl.path(""));
    assert_eq!(verdict.files, 2);
    let has = |file, severity| {
        verdict.findings.iter().any(|found| found.file == file && found.severity == severity)
    };
    assert!(has("leaf.pem", "ERROR") && has("leaf.pem", "WARNING"), "{verdict:?}");
    // What is excused of our leaves is about the scheme alone: the same with another is no finding.
    assert_eq!(verdict.excuse_spiffe_scheme(SPIFFE_ID), 1);
    assert!(!verdict.findings.iter().any(|found| found.code.contains("uri")), "{verdict:?}");

    openssl
        .run("req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -subj /CN=other");
    let refusal = openssl.fail("verify -x509_strict -CAfile other.crt leaf.pem");
    assert!(refusal.contains("unable to get local issuer certificate"), "{refusal}");
    let certificate =
        |name: &str| Certificate::all_from_pem(&openssl.read(name)).unwrap().remove(0);
    let refusal = Roots::new([&certificate("other.crt")])
        .unwrap()
        .verify(&certificate("leaf.pem"), &[], Purpose::Server, Clock::system().now())
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("no trusted root leads there"), "{refusal}");
}

#[test]
fn openssl_prints_the_names_and_usages_that_were_asked_for() {
    let now = Clock::system().now();
    let openssl = Openssl::new();
    let ca = issuing_ca(&[key(KeyAlgorithm::EcP256)], 0, 0, now);
    for ((_, names), leaf) in
        NAMES.iter().zip([KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048, KeyAlgorithm::EcP384])
    {
        let chain = signing::sign(&ca, &leaf_profile(names), key(leaf).public(), now).unwrap();
        openssl.write("leaf", chain.leaf().to_pem());
        let text = openssl.run("x509 -in leaf -noout -text -certopt ext_parse -nameopt RFC2253");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let after = |heading: &str| -> &str {
            let place = lines.iter().position(|line| *line == heading);
            lines[place.unwrap_or_else(|| panic!("no {heading:?} in\n{text}")) + 1]
        };

        let common_name = names.first().filter(|name| name.len() <= 64);
        let (subject, heading) = match common_name {
            Some(name) => (format!("Subject: CN={name}"), "X509v3 Subject Alternative Name:"),
            None => ("Subject:".to_owned(), "X509v3 Subject Alternative Name: critical"),
        };
        assert!(lines.contains(&subject.as_str()), "{text}");
        let dns: String = names.iter().map(|name| format!(", DNS:{name}")).collect();
        assert_eq!(after(heading), format!("URI:{SPIFFE_ID}{dns}"));
        let usage =
            if leaf.is_rsa() { "Digital Signature, Key Encipherment" } else { "Digital Signature" };
        assert_eq!(after("X509v3 Key Usage: critical"), usage);
        assert_eq!(
            after("X509v3 Extended Key Usage:"),
            "TLS Web Server Authentication, TLS Web Client Authentication"
        );
        assert_eq!(after("X509v3 Basic Constraints: critical"), "CA:FALSE");
        assert_eq!(text.matches("X509v3").count(), 7, "{text}");
    }

    openssl.write("root", ca.certificate().to_pem());
    let text = openssl.run("x509 -in root -noout -text");
    for expected in [
        "Subject: CN = root",
        "X509v3 Basic Constraints: critical\n                CA:TRUE\n",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[test]
fn a_thousand_serials_are_positive_short_and_distinct() {
    let now = Clock::system().now();
    let ca = issuing_ca(&[key(KeyAlgorithm::EcP256)], 0, 0, now);
    let leaf = key(KeyAlgorithm::EcP256);
    let profile = leaf_profile(&["front.example.org"]);
    let mut serials = HashSet::new();
    for _ in 0..1_000 {
        let chain = signing::sign(&ca, &profile, leaf.public(), now).unwrap();
        let der = serial_in_der(chain.leaf());
        assert!(
            der.len() <= 20 && der[0] < 0x80 && der.iter().any(|byte| *byte != 0),
            "{der:02X?}"
        );
        serials.insert(chain.leaf().serial());
    }
    assert_eq!(serials.len(), 1_000);

    let openssl = Openssl::new();
    let chain = signing::sign(&ca, &profile, leaf.public(), now).unwrap();
    openssl.write("leaf", chain.leaf().to_pem());
    let printed = openssl.run("x509 -in leaf -noout -serial");
    assert_eq!(printed.trim(), format!("serial={}", chain.leaf().serial()));
}

/// The bytes of the serial's INTEGER: SEQUENCE, SEQUENCE, `[0]` with the version, then it.
fn serial_in_der(certificate: &Certificate) -> Vec<u8> {
    let der: &[u8] = certificate.der();
    let version = [0xa0, 0x03, 0x02, 0x01, 0x02];
    let start = der.windows(5).position(|window| window == version).unwrap() + version.len();
    assert_eq!(der[start], 0x02);
    let length = usize::from(der[start + 1]);
    der[start + 2..][..length].to_vec()
}

fn key(algorithm: KeyAlgorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap()
}

fn copy(key: &PrivateKey) -> PrivateKey {
    PrivateKey::from_pkcs8(key.to_der().secret_pkcs8_der()).unwrap()
}

fn authority(key: PrivateKey, chain: Vec<Certificate>) -> Authority {
    Authority::new(AuthorityName::parse("ca").unwrap(), key, chain).unwrap()
}

fn local(name: &str, key_algorithm: KeyAlgorithm) -> LocalAuthority {
    LocalAuthority {
        subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
        key_algorithm,
        lifetime: Lifetime::days(365),
        parent: None,
        passphrase_file: None,
    }
}

fn leaf_profile(dns_names: &[&str]) -> LeafProfile {
    LeafProfile {
        spiffe_id: SpiffeId::parse(SPIFFE_ID).unwrap(),
        dns_names: dns_names.iter().map(|name| DnsName::parse(name).unwrap()).collect(),
        lifetime: Lifetime::hours(24),
        clock_skew: SKEW,
    }
}
