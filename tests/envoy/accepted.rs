//! Which secrets a real Envoy takes, one after the other on one stream; and that of those that it
//! refuses, certctl can build none.

use certctl::identity::TrustDomain;
use certctl::sds::names::Validator;
use certctl::sds::secret;
use certctl::snapshot::{Anchor, Anchors, Peers};
use certctl::time::Clock;
use certctl::x509::certificate::Certificate;
use certctl::x509::credential::{Chain, Credential};
use certctl::x509::key::PrivateKey;
use certctl::x509::verification::Roots;
use rcgen::PKCS_ECDSA_P256_SHA256;

use crate::authority::{Authority, ed25519, p256, p384};
use crate::scripted::{Api, OWN, Scripted, TRUST, certificate, good, roots};
use crate::support::openssl::Openssl;

/// A key and a chain, and the words of Envoy's refusal and of ours, if Envoy refuses them.
struct Pair {
    what: &'static str,
    chain: Vec<u8>,
    key: Vec<u8>,
    refused: Option<[&'static str; 2]>,
}

const NO_CHAIN: &str = "Failed to load certificate chain from <inline>";
const NO_KEY: &str = "Failed to load private key from <inline>";

#[test]
fn of_keys_and_chains_certctl_builds_none_that_envoy_refuses() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    let mut scripted = Scripted::start(Api::World);
    let (own, _) = scripted.script.asks_for(OWN);
    // The roots first: what is wrong with the certificate is then said of the certificate.
    let (trust, _) = scripted.script.asks_for(TRUST);
    trust.tell("1", vec![roots(TRUST, &ca.certificate)]);
    for (number, pair) in pairs(&ca).into_iter().enumerate() {
        let Pair { what, chain, key, refused } = pair;
        let answer = own.tell(&number.to_string(), vec![certificate(OWN, &chain, &key)]);
        let why = answer.error_detail.map(|status| status.message);
        match refused {
            None => assert_eq!(why, None, "{what}"),
            Some([theirs, ours]) => {
                let why = why.unwrap_or_else(|| panic!("{what} is accepted"));
                assert!(why.contains(theirs), "{what}: {why}");
                let why = built(&ca, &chain, &key).expect_err(what);
                assert!(why.contains(ours), "{what}: {why}");
            }
        }
    }
    assert!(!trust.has_more());
}

#[test]
fn of_roots_certctl_builds_none_that_envoy_refuses() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    let pem = ca.certificate.as_str();
    let broken = format!("{pem}{}", pem.replacen('M', "!", 1));
    let mut scripted = Scripted::start(Api::World);
    let (own, _) = scripted.script.asks_for(OWN);
    own.tell("1", vec![good(&ca)]);
    let (trust, _) = scripted.script.asks_for(TRUST);
    let refusal = |version: &str, bundle: &str| {
        let answer = trust.tell(version, vec![roots(TRUST, bundle)]);
        answer.error_detail.map(|status| status.message)
    };
    let why = refusal("1", &broken).expect("one bad block is too many");
    assert!(why.contains("Failed to load trusted CA certificates from <inline>"), "{why}");
    Certificate::all_from_pem(broken.as_bytes()).expect_err("for certctl, too");

    let why = refusal("2", "").expect("an empty bundle is none");
    assert!(why.contains("DataSource cannot be empty"), "{why}");
    let nothing = Peers { anchors: Anchors::new([]), expected: None };
    let built = secret::validation(TRUST, &nothing, Validator::Roots);
    assert_eq!(built.err(), Some(secret::SecretError::NoRoots));

    assert_eq!(refusal("3", pem), None);
    assert_eq!(refusal("4", &large(6_800_000)), None);
    let anchor = Anchor {
        trust_domain: TrustDomain::parse("example.org").unwrap(),
        certificate: Certificate::all_from_pem(pem.as_bytes()).unwrap().swap_remove(0),
    };
    let peers = Peers { anchors: Anchors::new([anchor]), expected: None };
    secret::validation(TRUST, &peers, Validator::Roots).expect("one root is enough");
}

#[test]
fn what_is_refused_is_refused_for_what_is_wrong_with_it() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    let key = p256();
    let chain = format!("{}{}", ca.leaf(&key), ca.certificate);
    built(&ca, chain.as_bytes(), key.serialize_pem().as_bytes()).expect("a sound pair");
}

/// Everything of this table, each with what Envoy says to it.
fn pairs(ca: &Authority) -> Vec<Pair> {
    let openssl = Openssl::new();
    openssl.write("ca.pem", &ca.certificate);
    openssl.write("ca_key.pem", ca.key());
    let key = p256();
    let (leaf, pem) = (ca.leaf(&key), key.serialize_pem());
    openssl.write("leaf.pem", &leaf);
    openssl.write("key.pem", &pem);
    openssl.run("pkcs8 -topk8 -in key.pem -passout pass:secret -out encrypted.pem");
    openssl.run("pkey -in key.pem -traditional -out sec1.pem");
    openssl.run("x509 -in leaf.pem -outform der -out leaf.der");
    let chain = format!("{leaf}{}", ca.certificate);
    let backwards = format!("{}{leaf}", ca.certificate);
    let row = |what, chain: &dyn AsRef<[u8]>, key: &dyn AsRef<[u8]>, refused| {
        let (chain, key) = (chain.as_ref().to_vec(), key.as_ref().to_vec());
        Pair { what, chain, key, refused }
    };
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let led = |text: &str| format!("A line before it\n{text}");
    let signed = |name, algorithm| {
        let (chain, key) = signed(&openssl, name, algorithm);
        move |what, refused| Pair { what, chain, key, refused }
    };
    let (p384, ed25519) = (p384(), ed25519());
    vec![
        row("a chain and its key", &chain, &pem, None),
        row(
            "another one's key",
            &chain,
            &p256().serialize_pem(),
            Some(["KEY_VALUES_MISMATCH", "the key does not belong to the certificate"]),
        ),
        row(
            "garbage for a chain",
            &"garbage",
            &pem,
            Some([NO_CHAIN, "there is no PEM block in it"]),
        ),
        row(
            "garbage for a key",
            &chain,
            &"garbage",
            Some([NO_KEY, "there is no private key in it"]),
        ),
        row(
            "a chain in DER",
            &openssl.read("leaf.der"),
            &pem,
            Some([NO_CHAIN, "there is no PEM block in it"]),
        ),
        row(
            "a chain with its CA first",
            &backwards,
            &pem,
            Some([NO_CHAIN, "the certificate is a CA"]),
        ),
        row(
            "an encrypted key",
            &chain,
            &openssl.read("encrypted.pem"),
            Some([NO_KEY, "the private key is encrypted"]),
        ),
        signed("rsa-1024", "rsa:1024")(
            "RSA of 1024 bits",
            Some(["2048-bit or larger", "RSA with 1024 bits is not used"]),
        ),
        row("a SEC1 key", &chain, &openssl.read("sec1.pem"), None),
        row("lines that end in CRLF", &crlf(&chain), &crlf(&pem), None),
        row("text in front of it", &led(&chain), &led(&pem), None),
        row("P-384", &ca.leaf(&p384), &p384.serialize_pem(), None),
        signed("p-521", "ec -pkeyopt ec_paramgen_curve:P-521")("P-521", None),
        row("Ed25519", &ca.leaf(&ed25519), &ed25519.serialize_pem(), None),
        row("one that has expired", &ca.expired(&key), &pem, None),
    ]
}

/// A leaf as certctl issues them, but for its key.
fn signed(openssl: &Openssl, name: &str, algorithm: &str) -> (Vec<u8>, Vec<u8>) {
    openssl.run(&format!(
        "req -new -newkey {algorithm} -nodes -subj /CN=x -keyout {name}_key.pem -out {name}.csr"
    ));
    openssl.write(
        "leaf.cnf",
        "subjectAltName = URI:spiffe://tests.example/node\nkeyUsage = critical, digitalSignature\n\
         extendedKeyUsage = serverAuth, clientAuth\nbasicConstraints = CA:FALSE\n",
    );
    openssl.run(&format!(
        "x509 -req -in {name}.csr -CA ca.pem -CAkey ca_key.pem -set_serial 7 -days 2 \
         -extfile leaf.cnf -out {name}.pem"
    ));
    (openssl.read(&format!("{name}.pem")), openssl.read(&format!("{name}_key.pem")))
}

/// What certctl makes of a key and a chain: the only way to a secret.
fn built(ca: &Authority, chain: &[u8], key: &[u8]) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let key = PrivateKey::from_pem(key, None).map_err(|error| text(&error))?;
    let mut chain = Certificate::all_from_pem(chain).map_err(|error| text(&error))?;
    let root = Certificate::all_from_pem(ca.certificate.as_bytes()).unwrap();
    let leaf = chain.remove(0);
    let roots = Roots::new(&root).map_err(|error| text(&error))?;
    let now = Clock::system().now();
    let chain = Chain::verify(leaf, chain, &roots, now).map_err(|error| text(&error))?;
    Credential::new(key, chain).map(drop).map_err(|error| text(&error))
}

/// A bundle of at least so many bytes, each of its roots another one.
fn large(bytes: usize) -> String {
    let mut bundle = String::new();
    for number in 0.. {
        if bundle.len() >= bytes {
            break;
        }
        let name = format!("{number}-{}", "x".repeat(60_000));
        bundle += &Authority::root(&name, &PKCS_ECDSA_P256_SHA256).certificate;
    }
    bundle
}
