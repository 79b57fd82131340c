//! CAs that openssl made, as ours: which of them sign, and what is said of the others.

use std::time::Duration;

use crate::support::openssl::Openssl;
use certctl::authority::{Authority, AuthorityError, check_valid};
use certctl::identity::{AuthorityName, DnsName, SpiffeId};
use certctl::signing;
use certctl::time::{Clock, Lifetime, OffsetDateTime};
use certctl::x509::certificate::Certificate;
use certctl::x509::credential::Chain;
use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use certctl::x509::profile::LeafProfile;
use time::macros::datetime;

const EC: &str = "ec:p256";
const RSA: &str = "rsa:2048";

/// The extensions that a CA ought to have, as openssl's configuration names them.
const CA: &str = "basicConstraints = critical, CA:TRUE\n\
    keyUsage = critical, cRLSign, keyCertSign\nsubjectKeyIdentifier = hash\n";

#[test]
fn plain_and_odd_cas_sign_leaves_that_openssl_and_webpki_accept() {
    let openssl = Openssl::new();
    let with = |more: &str| format!("{CA}{more}");
    let many = "/C=US/ST=Washington/L=Seattle/O=Example Company/OU=CA 1/CN=Test CA";
    for (subject, key, extensions, options) in [
        (many, RSA, CA, "-days 3650"),
        ("/DC=org/CN=ca", EC, CA, ""),
        ("/O=Example/serialNumber=12/CN=ca/emailAddress=ca@example.org", EC, CA, ""),
        ("/O=Bücher/CN=ca", EC, CA, "-utf8"),
        ("/CN=ca", RSA, CA, "-sha512"),
        ("/CN=ca", EC, CA, "-sha512"),
        ("/CN=ca", RSA, CA, "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        ("/CN=ca", EC, "basicConstraints = CA:TRUE\nsubjectKeyIdentifier = hash\n", ""),
        ("/CN=ca", EC, "basicConstraints = CA:TRUE\nkeyUsage = keyCertSign\n", ""),
        ("/CN=ca", EC, &with("extendedKeyUsage = serverAuth, clientAuth\n"), ""),
        ("/CN=ca", EC, &with("nameConstraints = critical, permitted;DNS:example.org\n"), ""),
        ("/CN=ca", EC, &with("certificatePolicies = 1.2.3.4\n"), ""),
    ] {
        make_root(&openssl, "ca", subject, key, extensions, options);
        let ca = import(&openssl, "ca.key", &["ca.pem"])
            .unwrap_or_else(|error| panic!("{subject} {extensions} {options}: {error}"));
        assert_accepted(&openssl, &ca);
    }
}

/// The encodings of names before UTF-8, in which old CAs still stand.
#[test]
fn subjects_in_old_string_types_are_written_back_as_they_are() {
    let openssl = Openssl::new();
    for (mask, kind) in [("0x2", "PRINTABLE"), ("0x4", "T61"), ("0x800", "BMP"), ("0x2000", "UTF8")]
    {
        openssl.write("old.cnf", config(&format!("string_mask = MASK:{mask}\n"), CA));
        openssl.run(
            "req -x509 -config old.cnf -extensions ca -newkey rsa:2048 -nodes -keyout ca.key \
             -out ca.pem -subj '/O=Example/CN=ca'",
        );
        let types = openssl.run("asn1parse -in ca.pem");
        assert!(types.contains(&format!("{kind}STRING")), "{mask}: {types}");
        assert_accepted(&openssl, &import(&openssl, "ca.key", &["ca.pem"]).unwrap());
    }
}

#[test]
fn cas_whose_leaves_peers_would_refuse_are_refused_with_the_reason() {
    let openssl = Openssl::new();
    let with = |more: &str| format!("{CA}{more}");
    let lossy = "cannot be written back byte for byte (a repeated or unusual attribute)";
    let purposes = "its extended key usage lacks serverAuth or clientAuth";
    for (subject, extensions, options, reason) in [
        ("/O=Example/OU=a/OU=b/CN=ca", CA, "", lossy),
        ("/DC=org/DC=example/CN=ca", CA, "", lossy),
        ("/O=Example+CN=ca", CA, "-multivalue-rdn", lossy),
        ("/", CA, "", "its subject is empty"),
        ("/CN=ca", "keyUsage = keyCertSign\n", "", "its basic constraints do not say CA:TRUE"),
        ("/CN=ca", "basicConstraints = CA:FALSE\n", "", "do not say CA:TRUE"),
        (
            "/CN=ca",
            "basicConstraints = CA:TRUE\nkeyUsage = digitalSignature\n",
            "",
            "its key usage lacks keyCertSign",
        ),
        ("/CN=ca", CA, "-sha1", "is signed with SHA-1, which can be forged"),
        ("/CN=ca", CA, "-sha224", "(1.2.840.10045.4.3.1) is not verified here"),
        ("/CN=ca", &with("extendedKeyUsage = serverAuth\n"), "", purposes),
        ("/CN=ca", &with("extendedKeyUsage = anyExtendedKeyUsage\n"), "", purposes),
        (
            "/CN=ca",
            &with("nameConstraints = critical, permitted;URI:example.org\n"),
            "",
            "constrains URIs, which rustls-webpki cannot compare",
        ),
        ("/CN=ca", &with("nameConstraints = excluded;URI:other.org\n"), "", "constrains URIs"),
        (
            "/CN=ca",
            &with("nameConstraints = permitted;dirName:dn\n[dn]\nO = Example\n"),
            "",
            "constrains directory names",
        ),
        ("/CN=ca", &with("1.2.3.4 = critical, DER:0500\n"), "", "critical extension 1.2.3.4"),
        (
            "/CN=ca",
            &with("certificatePolicies = critical, 1.2.3.4\n"),
            "",
            "critical extension 2.5.29.32, which peers do not know",
        ),
    ] {
        make_root(&openssl, "ca", subject, EC, extensions, options);
        let refusal = import(&openssl, "ca.key", &["ca.pem"]).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{subject} {extensions} {options}: {refusal}");
        assert!(refusal.contains(subject.rsplit(['/', '+']).next().unwrap()), "{refusal}");
    }
}

#[test]
fn weak_foreign_and_old_keys_and_certificates_are_refused() {
    let openssl = Openssl::new();
    make_root(&openssl, "ca", "/CN=ca", EC, CA, "");
    make_root(&openssl, "other", "/CN=other", EC, CA, "");
    assert_refused(
        import(&openssl, "other.key", &["ca.pem"]),
        "the key does not belong to the certificate of \"CN=ca\"",
    );

    make_root(&openssl, "weak", "/CN=weak", "rsa:1024", CA, "");
    assert_refused(
        import(&openssl, "ca.key", &["weak.pem"]),
        "the key of \"CN=weak\": RSA with 1024 bits is not used",
    );

    make_root(&openssl, "pss", "/CN=pss", RSA, CA, "-sha1 -sigopt rsa_padding_mode:pss");
    assert_refused(
        import(&openssl, "pss.key", &["pss.pem"]),
        "its signature algorithm (1.2.840.113549.1.1.10) is not verified here",
    );

    openssl.run("req -new -key ca.key -subj /CN=v1 -out v1.csr");
    openssl.run("x509 -req -in v1.csr -signkey ca.key -out v1.pem");
    assert!(openssl.run("x509 -in v1.pem -noout -text").contains("Version: 1"));
    assert_refused(import(&openssl, "ca.key", &["v1.pem"]), "do not say CA:TRUE");

    let key = PrivateKey::from_pem(&openssl.read("ca.key"), None).unwrap();
    let name = AuthorityName::parse("ca").unwrap();
    assert_refused(Authority::new(name, key, Vec::new()), "there is no certificate");
}

#[test]
fn chains_are_whole_and_in_order() {
    let openssl = Openssl::new();
    let limited = format!("{CA}basicConstraints = critical, CA:TRUE, pathlen:0\n").replacen(
        "basicConstraints = critical, CA:TRUE\n",
        "",
        1,
    );
    make_root(&openssl, "root", "/CN=root", RSA, CA, "");
    make_root(&openssl, "narrow", "/CN=narrow", EC, &limited, "");
    make_root(&openssl, "namesake", "/CN=root", RSA, CA, "");
    make_intermediate(&openssl, "middle", "root", CA);
    make_intermediate(&openssl, "issuing", "middle", &limited);
    make_intermediate(&openssl, "squeezed", "narrow", CA);

    let ca = import(&openssl, "issuing.key", &["issuing.pem", "middle.pem", "root.pem"]).unwrap();
    assert_accepted(&openssl, &ca);
    assert_eq!(ca.issuers().len(), 2);

    for (chain, reason) in [
        (
            &["issuing.pem", "middle.pem"][..],
            "the chain ends with \"CN=middle\", which \"CN=root\" issued; append",
        ),
        (&["issuing.pem"], "the chain ends with \"CN=issuing\", which \"CN=middle\" issued"),
        (
            &["issuing.pem", "root.pem"],
            "\"CN=issuing\" was issued by \"CN=middle\", but \"CN=root\" follows it",
        ),
        (
            &["root.pem", "middle.pem", "issuing.pem"],
            "\"CN=root\" was issued by \"CN=root\", but \"CN=middle\" follows it",
        ),
        (
            &["issuing.pem", "middle.pem", "namesake.pem"],
            "\"CN=middle\" names \"CN=root\" as its issuer, but its signature is another one's",
        ),
    ] {
        assert_refused(import(&openssl, "issuing.key", chain), reason);
    }
    assert_refused(
        import(&openssl, "squeezed.key", &["squeezed.pem", "narrow.pem"]),
        "\"CN=narrow\" allows 0 CAs below it",
    );
}

#[test]
fn names_that_a_ca_does_not_permit_are_named_as_the_reason() {
    let openssl = Openssl::new();
    let elsewhere = format!("{CA}nameConstraints = critical, permitted;DNS:example.com\n");
    make_root(&openssl, "ca", "/CN=ca", EC, &elsewhere, "");
    let ca = import(&openssl, "ca.key", &["ca.pem"]).unwrap();
    let refusal = sign(&ca, Clock::system().now()).unwrap_err();
    assert!(refusal.contains("does not permit its names (name constraints)"), "{refusal}");
}

#[test]
fn a_ca_outside_of_its_validity_is_told_apart_and_signs_nothing() {
    let openssl = Openssl::new();
    make_root(&openssl, "ca", "/CN=ca", EC, CA, "-days 1");
    let ca = import(&openssl, "ca.key", &["ca.pem"]).unwrap();
    let validity = ca.certificate().validity();
    for inside in [validity.not_before, validity.not_after] {
        check_valid(ca.chain(), inside).unwrap();
    }
    for outside in [validity.not_before - SECOND, validity.not_after + SECOND] {
        let refusal = check_valid(ca.chain(), outside).unwrap_err().to_string();
        assert!(refusal.starts_with("the certificate of \"CN=ca\" is valid from"), "{refusal}");
    }
    let refusal = sign(&ca, validity.not_after + SECOND).unwrap_err();
    assert!(refusal.contains("replace that authority"), "{refusal}");
    let refusal = sign(&ca, validity.not_before - SECOND).unwrap_err();
    assert!(refusal.contains("see whether this machine's clock is right"), "{refusal}");
}

/// Where RFC 5280 section 4.1.2.5 changes from UTCTime to GeneralizedTime.
#[test]
fn a_leaf_crosses_into_2050_under_a_ca_that_ends_beyond() {
    let openssl = Openssl::new();
    make_root(&openssl, "ca", "/CN=ca", EC, CA, "-days 14000");
    let ca = import(&openssl, "ca.key", &["ca.pem"]).unwrap();
    assert!(ca.ends().year() > 2060);
    let now = datetime!(2049-12-31 12:00 UTC);
    let chain = sign(&ca, now).unwrap();
    openssl.write("leaf.pem", chain.leaf().to_pem());
    let parsed = openssl.run("asn1parse -in leaf.pem");
    assert!(parsed.contains("UTCTIME           :491231115500Z"), "{parsed}");
    assert!(parsed.contains("GENERALIZEDTIME   :20500101120000Z"), "{parsed}");
    let end = now + DAY;
    for (at, accepted) in [(now, true), (end - SECOND, true), (end + SECOND, false)] {
        let command = format!(
            "verify -x509_strict -purpose sslserver -attime {} -CAfile ca.pem leaf.pem",
            at.unix_timestamp()
        );
        if accepted {
            openssl.run(&command)
        } else {
            openssl.fail(&command)
        };
        let issuers = chain.issuers().to_vec();
        let verified = Chain::verify(chain.leaf().clone(), issuers, ca.roots(), at);
        assert_eq!(verified.is_ok(), accepted, "{at}");
    }
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn config(request: &str, extensions: &str) -> String {
    format!("[req]\n{request}distinguished_name = name\n[name]\n[ca]\n{extensions}")
}

/// A self-signed `NAME.pem` with its `NAME.key`.
fn make_root(
    openssl: &Openssl,
    name: &str,
    subject: &str,
    key: &str,
    extensions: &str,
    options: &str,
) {
    make_key(openssl, name, key);
    openssl.write("ca.cnf", config("", extensions));
    openssl.run(&format!(
        "req -x509 -config ca.cnf -extensions ca -key {name}.key -out {name}.pem {options} \
         -subj '{subject}'"
    ));
}

/// A `NAME.pem` for `/CN=NAME`, signed by `issuer`.
fn make_intermediate(openssl: &Openssl, name: &str, issuer: &str, extensions: &str) {
    make_key(openssl, name, EC);
    openssl.write("ca.cnf", config("", extensions));
    openssl.run(&format!("req -new -config ca.cnf -key {name}.key -out csr -subj /CN={name}"));
    openssl.run(&format!(
        "x509 -req -in csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -out {name}.pem \
         -extfile ca.cnf -extensions ca"
    ));
}

fn make_key(openssl: &Openssl, name: &str, key: &str) {
    let options = match key.split_once(':').unwrap() {
        ("rsa", bits) => format!("RSA -pkeyopt rsa_keygen_bits:{bits}"),
        (_, curve) => format!("EC -pkeyopt ec_paramgen_curve:{}", curve.replace('p', "P-")),
    };
    openssl.run(&format!("genpkey -out {name}.key -algorithm {options}"));
}

fn import(openssl: &Openssl, key: &str, chain: &[&str]) -> Result<Authority, AuthorityError> {
    let certificate = |name: &&str| Certificate::all_from_pem(&openssl.read(name)).unwrap();
    let key = PrivateKey::from_pem(&openssl.read(key), None).unwrap();
    let name = AuthorityName::parse("ca").unwrap();
    Authority::new(name, key, chain.iter().flat_map(certificate).collect())
}

fn sign(ca: &Authority, now: OffsetDateTime) -> Result<Chain, String> {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let profile = LeafProfile {
        spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
        dns_names: vec![DnsName::parse("front.example.org").unwrap()],
        lifetime: Lifetime::hours(24),
        clock_skew: Duration::from_secs(300),
    };
    signing::sign(ca, &profile, key.public(), now).map_err(|error| error.to_string())
}

/// webpki accepts it in signing already; openssl does for both purposes.
fn assert_accepted(openssl: &Openssl, ca: &Authority) {
    let subject = ca.certificate().subject();
    let chain = sign(ca, Clock::system().now()).unwrap_or_else(|e| panic!("{subject}: {e}"));
    assert_eq!(chain.leaf().issuer_der(), ca.certificate().subject_der());
    if let Some(id) = ca.certificate().subject_key_id() {
        assert_eq!(chain.leaf().authority_key_id(), Some(id));
    }
    openssl.write("leaf.pem", chain.leaf().to_pem());
    openssl.write("anchor.pem", ca.root().to_pem());
    openssl.write("above.pem", ca.issuers().iter().map(Certificate::to_pem).collect::<String>());
    for purpose in ["sslserver", "sslclient"] {
        openssl.run(&format!(
            "verify -purpose {purpose} -CAfile anchor.pem -untrusted above.pem leaf.pem"
        ));
    }
}

fn assert_refused(imported: Result<Authority, AuthorityError>, reason: &str) {
    let refusal = imported.unwrap_err().to_string();
    assert!(refusal.contains(reason), "{reason}: {refusal}");
}
