//! What a real Envoy makes of the secrets that certctl encodes: it loads them, and accepts just the
//! callers that they say. The server has everything from secrets, in files of the form in which SDS
//! sends them; the client varies.

use std::path::Path;

use certctl::authority::Authority as Issuer;
use certctl::desired::LocalAuthority;
use certctl::identity::{AuthorityName, SpiffeId, TrustDomain};
use certctl::provisioning::provision;
use certctl::sds::names::Validator;
use certctl::sds::secret::{self, Encoded};
use certctl::snapshot::{Anchor, Anchors, Peers};
use certctl::time::{Clock, Lifetime};
use certctl::x509::certificate::Certificate;
use certctl::x509::credential::Credential;
use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use certctl::x509::profile::{LeafProfile, Subject};
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use rcgen::PKCS_ECDSA_P256_SHA256;
use tempfile::TempDir;

use crate::authority::{Authority, p256};
use crate::mutual_tls::{SERVED, Side, server_config};
use crate::support::http;
use crate::support::process::Envoy;

const FRONT: &str = "spiffe://example.org/front";
const BLUE: &str = "spiffe://example.org/blue";
const PARTNER: &str = "spiffe://partner.example/x";

const BOTH: [Validator; 2] = [Validator::Roots, Validator::Spiffe];

/// How the server decides about a caller: none where it serves it, else the counter that says why
/// not.
type Refusal = Option<&'static str>;

const SAN: Refusal = Some("ssl.fail_verify_san");
const CHAIN: Refusal = Some("ssl.fail_verify_error");

#[test]
fn who_is_expected_may_call_and_nobody_else() {
    let mesh = Mesh::new();
    for validator in BOTH {
        let expect = |ids: &[&str]| mesh.server(Some(ids), validator);
        let server = expect(&[BLUE, FRONT]);
        assert_eq!(server.judge(&mesh.own, &[FRONT]), None, "{validator:?}");
        assert_eq!(server.judge(&mesh.own, &["spiffe://example.org/fron"]), SAN, "{validator:?}");
        let server = expect(&[BLUE]);
        assert_eq!(server.judge(&mesh.own, &[FRONT]), SAN, "{validator:?}");
        assert_eq!(server.judge(&mesh.own, &["spiffe://example.org/Blue"]), SAN, "{validator:?}");
    }
}

#[test]
fn where_nobody_is_named_anybody_may_call() {
    let mesh = Mesh::new();
    for validator in BOTH {
        let server = mesh.server(None, validator);
        assert_eq!(server.judge(&mesh.own, &[FRONT]), None, "{validator:?}");
        assert_eq!(server.judge(&mesh.stranger, &[FRONT]), CHAIN, "{validator:?}");
    }
}

#[test]
fn where_nobody_is_expected_nobody_may_call_whatever_its_names() {
    let mesh = Mesh::new();
    for validator in BOTH {
        let server = mesh.server(Some(&[]), validator);
        assert_eq!(server.judge(&mesh.own, &[FRONT]), SAN, "{validator:?}");
    }
    // The SPIFFE validator asks for one SPIFFE ID before it looks at anything else.
    let server = mesh.server(Some(&[]), Validator::Roots);
    for uris in [&[][..], &[""], &["\0"], &["[^\\s\\S]"], &[" "], &["", FRONT]] {
        assert_eq!(server.judge(&mesh.own, uris), SAN, "{uris:?}");
    }
}

#[test]
fn the_spiffe_validator_keeps_trust_domains_apart() {
    let mesh = Mesh::new();
    let server = mesh.server(None, Validator::Spiffe);
    assert_eq!(server.judge(&mesh.own, &[FRONT]), None);
    assert_eq!(server.judge(&mesh.partner, &[PARTNER]), None);
    assert_eq!(server.judge(&mesh.partner, &[FRONT]), CHAIN);
    assert_eq!(server.judge(&mesh.own, &[PARTNER]), CHAIN);
    // The other one takes them for what they say.
    let server = mesh.server(None, Validator::Roots);
    assert_eq!(server.judge(&mesh.partner, &[FRONT]), None);
}

/// Two CAs that the server trusts, each for its trust domain, and one that it does not.
struct Mesh {
    own: Authority,
    partner: Authority,
    stranger: Authority,
}

impl Mesh {
    fn new() -> Self {
        let root = |name| Authority::root(name, &PKCS_ECDSA_P256_SHA256);
        Self { own: root("own"), partner: root("partner"), stranger: root("stranger") }
    }

    fn server(&self, expected: Option<&[&str]>, validator: Validator) -> Server {
        let anchor = |(authority, domain): (&Authority, &str)| Anchor {
            trust_domain: TrustDomain::parse(domain).unwrap(),
            certificate: certificate(&authority.certificate),
        };
        let anchors = [(&self.own, "example.org"), (&self.partner, "partner.example")];
        let id = |id: &&str| SpiffeId::parse(id).unwrap();
        let peers = Peers {
            anchors: Anchors::new(anchors.map(anchor)),
            expected: expected.map(|ids| ids.iter().map(id).collect()),
        };
        Server::start(&secret::validation("callers", &peers, validator).unwrap())
    }
}

/// An Envoy with everything from secrets.
struct Server {
    envoy: Envoy,
    /// What its clients must trust, in PEM.
    root: String,
    directory: TempDir,
}

impl Server {
    fn start(callers: &Encoded) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (credential, root) = credential();
        let own = secret::certificate("default", &credential);
        let own = write(directory.path(), "default", &own);
        let callers = write(directory.path(), "callers", callers);
        let tls = format!(
            "{{ tls_certificate_sds_secret_configs: [{own}], \
             validation_context_sds_secret_config: {callers} }}"
        );
        let envoy = Envoy::start(directory.path(), "server", &server_config(&tls));
        Self { envoy, root, directory }
    }

    /// What it thinks of a client with a leaf of these URIs, signed by `authority`.
    fn judge(&self, authority: &Authority, uris: &[&str]) -> Refusal {
        let key = p256();
        let client = Side {
            chain: authority.leaf_of(&key, uris),
            key: key.serialize_pem(),
            trusted_ca: self.root.clone(),
            tls_params: String::new(),
        };
        let port = self.envoy.port("server");
        let counter = |name: &str| self.envoy.stat(&format!("listener.127.0.0.1_0.{name}"));
        let refusals = [SAN, CHAIN].into_iter().flatten();
        let before: Vec<_> = refusals.map(|name| (name, counter(name))).collect();
        let config = client.client_config(self.directory.path(), port);
        let envoy = Envoy::start(self.directory.path(), "client", &config);
        let answer = http::get(envoy.port("client"), "/").expect("the client Envoy answers");
        if answer.body == SERVED {
            return None;
        }
        let refused = before.iter().find(|(name, before)| counter(name) > *before);
        Some(refused.map_or_else(|| panic!("{answer:?}\n{}", self.envoy.log()), |(name, _)| *name))
    }
}

/// Writes a secret as SDS would send it, and returns the `SdsSecretConfig` that reads it.
fn write(directory: &Path, name: &str, encoded: &Encoded) -> String {
    let response = DiscoveryResponse {
        version_info: encoded.version.clone(),
        resources: vec![Any::decode(encoded.any.clone()).unwrap()],
        ..DiscoveryResponse::default()
    };
    let path = directory.join(format!("{name}.pb"));
    std::fs::write(&path, response.encode_to_vec()).expect("a writable directory");
    format!("{{ name: {name}, sds_config: {{ path_config_source: {{ path: {path:?} }} }} }}")
}

fn certificate(pem: &str) -> Certificate {
    Certificate::all_from_pem(pem.as_bytes()).unwrap().swap_remove(0)
}

/// The server's own, from an intermediate, and its root in PEM.
fn credential() -> (Credential, String) {
    let (now, skew) = (Clock::system().now(), std::time::Duration::from_secs(300));
    let wanted = |name: &str| LocalAuthority {
        subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
        key_algorithm: KeyAlgorithm::EcP256,
        lifetime: Lifetime::days(9),
        parent: None,
        passphrase_file: None,
    };
    let key = || PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let issuer = |name, key, chain| Issuer::new(AuthorityName::parse(name).unwrap(), key, chain);
    let root_key = key();
    let root = Issuer::make_root(&wanted("root"), skew, &root_key, now).unwrap();
    let root = issuer("root", root_key, vec![root]).unwrap();
    let issuing_key = key();
    let issuing = root.make_intermediate(&wanted("issuing"), skew, 0, issuing_key.public(), now);
    let chain = [&[issuing.unwrap()], root.chain()].concat();
    let issuing = issuer("issuing", issuing_key, chain).unwrap();
    let profile = LeafProfile {
        spiffe_id: SpiffeId::parse(BLUE).unwrap(),
        dns_names: Vec::new(),
        lifetime: Lifetime::hours(24),
        clock_skew: skew,
    };
    let credential = provision(&issuing, &profile, KeyAlgorithm::EcP256, now).unwrap();
    (credential, root.certificate().to_pem())
}
