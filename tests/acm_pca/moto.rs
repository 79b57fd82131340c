//! The real SDK against moto: an authority's whole life, and what moto leaves out.

use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{
    Asn1Subject, CertificateAuthorityConfiguration, CertificateAuthorityType,
    CertificateAuthorityUsageMode, KeyAlgorithm, RevocationReason, SigningAlgorithm,
    ValidityPeriodType,
};

use crate::agent::served;
use crate::sdk;
use crate::support::agent::{Agent, prepare};
use crate::support::moto::Moto;
use crate::support::openssl::Openssl;
use crate::support::site::Site;
use crate::world::{CREDENTIALS, mesh};

const REGION: &str = "us-east-1";

/// Creates a root that has its own certificate, and so is active; gives its ARN. Its key is
/// RSA-2048 whatever one asks for.
pub async fn create_root(client: &Client, name: &str) -> String {
    let configuration = CertificateAuthorityConfiguration::builder()
        .key_algorithm(KeyAlgorithm::Rsa2048)
        .signing_algorithm(SigningAlgorithm::Sha256Withrsa)
        .subject(Asn1Subject::builder().common_name(name).build())
        .build()
        .unwrap();
    let call = client.create_certificate_authority();
    let call = call.certificate_authority_configuration(configuration);
    let created = call.certificate_authority_type(CertificateAuthorityType::Root).send().await;
    let arn = created.unwrap().certificate_authority_arn.unwrap();
    let csr = client.get_certificate_authority_csr().certificate_authority_arn(&arn).send().await;
    let csr = Blob::new(csr.unwrap().csr.unwrap());
    let issued = client
        .issue_certificate()
        .certificate_authority_arn(&arn)
        .csr(csr)
        .signing_algorithm(SigningAlgorithm::Sha256Withrsa)
        .template_arn("arn:aws:acm-pca:::template/RootCACertificate/V1")
        .validity(sdk::validity(ValidityPeriodType::Years, 10))
        .send()
        .await
        .unwrap();
    let certificate = get(client, &arn, &issued.certificate_arn.unwrap()).await;
    client
        .import_certificate_authority_certificate()
        .certificate_authority_arn(&arn)
        .certificate(Blob::new(certificate))
        .send()
        .await
        .unwrap();
    arn
}

async fn get(client: &Client, authority: &str, arn: &str) -> String {
    let call = client.get_certificate().certificate_authority_arn(authority);
    call.certificate_arn(arn).send().await.unwrap().certificate.unwrap()
}

#[tokio::test]
async fn an_authority_is_created_imported_and_issues_and_revokes() {
    let moto = Moto::start();
    let client = sdk::client(&moto.endpoint(), REGION);
    let authority = create_root(&client, "ca_1").await;
    let described = client.describe_certificate_authority().certificate_authority_arn(&authority);
    let described = described.send().await.unwrap().certificate_authority.unwrap();
    assert_eq!(described.status().unwrap().as_str(), "ACTIVE");

    let openssl = Openssl::new();
    openssl.run(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out csr.pem \
         -subj /CN=front -addext subjectAltName=DNS:front.example,URI:spiffe://example/front",
    );
    let issued = client
        .issue_certificate()
        .certificate_authority_arn(&authority)
        .csr(Blob::new(openssl.read("csr.pem")))
        .signing_algorithm(SigningAlgorithm::Sha256Withrsa)
        .validity(sdk::validity(ValidityPeriodType::Days, 1))
        .send()
        .await
        .unwrap();
    let arn = issued.certificate_arn.unwrap();
    openssl.write("cert.pem", get(&client, &authority, &arn).await);
    let root = client.get_certificate_authority_certificate();
    let root = root.certificate_authority_arn(&authority).send().await.unwrap();
    openssl.write("root.pem", root.certificate.unwrap());
    openssl.run("verify -CAfile root.pem cert.pem");
    let names = openssl.run("x509 -in cert.pem -noout -ext subjectAltName");
    assert!(names.contains("DNS:front.example, URI:spiffe://example/front"), "{names}");
    assert_eq!(
        openssl.run("x509 -in cert.pem -noout -pubkey"),
        openssl.run("pkey -in key.pem -pubout")
    );
    // Whoever asked for a day has to refuse this: moto gives a year.
    openssl.run("x509 -in cert.pem -noout -checkend 31000000");

    let serial = openssl.run("x509 -in cert.pem -noout -serial");
    let serial = serial.trim().strip_prefix("serial=").unwrap();
    client
        .revoke_certificate()
        .certificate_authority_arn(&authority)
        .certificate_serial(serial)
        .revocation_reason(RevocationReason::Superseded)
        .send()
        .await
        .unwrap();
}

/// Creates an authority below a root that openssl keeps, for ten years: those that moto signs for
/// itself end within the year, and so before a leaf of today.
async fn create_below_a_root(client: &Client, openssl: &Openssl) -> String {
    let configuration = CertificateAuthorityConfiguration::builder()
        .key_algorithm(KeyAlgorithm::Rsa2048)
        .signing_algorithm(SigningAlgorithm::Sha256Withrsa)
        .subject(Asn1Subject::builder().common_name("below").build())
        .build()
        .unwrap();
    let call = client.create_certificate_authority();
    let call = call.certificate_authority_configuration(configuration);
    let call = call.certificate_authority_type(CertificateAuthorityType::Subordinate);
    let call = call.usage_mode(CertificateAuthorityUsageMode::GeneralPurpose);
    let arn = call.send().await.unwrap().certificate_authority_arn.unwrap();
    let csr = client.get_certificate_authority_csr().certificate_authority_arn(&arn).send().await;
    openssl.write("below.csr", csr.unwrap().csr.unwrap());
    openssl.write(
        "ca.ext",
        "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n\
         subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n",
    );
    openssl.run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem \
         -subj /CN=root -days 3652 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -addext subjectKeyIdentifier=hash",
    );
    openssl.run(
        "x509 -req -in below.csr -CA root.pem -CAkey root.key -days 3650 -extfile ca.ext -out \
         below.pem",
    );
    client
        .import_certificate_authority_certificate()
        .certificate_authority_arn(&arn)
        .certificate(Blob::new(openssl.read("below.pem")))
        .certificate_chain(Blob::new(openssl.read("root.pem")))
        .send()
        .await
        .unwrap();
    arn
}

/// An authority at moto, and a directory with a mesh that has it as `pca`.
fn site(moto: &Moto) -> Site {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = sdk::client(&moto.endpoint(), REGION);
    let authority = runtime.block_on(create_below_a_root(&client, &Openssl::new()));
    let endpoint = moto.endpoint();
    let authority = format!("pca: {{ acmPca: {{ arn: {authority:?}, endpoint: {endpoint:?} }} }}");
    let site = Site::with(&mesh(&authority, "front: { authority: pca }"));
    site.write(".env", CREDENTIALS);
    site
}

/// Asks for no more than moto honours: a year from now, the CSR's names, the template's usages. It
/// says of every CA that it signs for a week at most, which it does not mean.
fn be_modest(site: &Site) {
    site.edit("endpoint:", "template: EndEntityCertificate/V1, endpoint:");
    site.edit("authority: pca", "authority: pca, lifetime: 365d");
    site.edit("version: 1", "version: 1\nclockSkew: 0s\ndefaults: { attest: any }");
    let said = site.text("certs/pca_acm_pca.json");
    let meant = said.replace("\"isShortLived\": true", "\"isShortLived\": false");
    assert_ne!(meant, said);
    site.write("certs/pca_acm_pca.json", meant);
}

#[test]
fn what_moto_gives_in_place_of_what_was_asked_for_is_refused() {
    let moto = Moto::start();
    let site = site(&moto);
    let words = ["is refused and thrown away", "was asked for; a template or an authority"];
    site.issue("").failed(&words);
    assert!(!site.has("certs/front_cert.pem"));
    let list = site.certctl("ca list -f mesh.yaml").done();
    list.says("pca", &["acmPca", "ACTIVE", "intermediate", "short-lived"]);
    let agent = agent(&site);
    let told = agent.until("it is told", |status| status.to_string().contains(words[0]));
    assert!(told["nodes"][0]["certificate"].is_null(), "{told:#}");
}

#[test]
fn issue_has_moto_sign_keeps_it_and_has_it_revoked() {
    let moto = Moto::start();
    let site = site(&moto);
    site.issue("").failed(&["is refused and thrown away"]);
    be_modest(&site);
    site.issue("").done().says("front", &["created", "365d"]);
    site.run(
        "verify -x509_strict -CAfile certs/front_trust.pem -untrusted certs/front_cert_chain.pem \
         certs/front_cert.pem",
    );
    let names = site.run("x509 -in certs/front_cert.pem -noout -ext subjectAltName");
    assert!(names.contains("URI:spiffe://example.org/front, DNS:front.example.org"), "{names}");
    let before = site.everything("certs");
    site.issue("").done().says("front", &["kept"]);
    assert_eq!(site.everything("certs"), before);
    let serial = site.serial("front");
    let serial = serial.trim().strip_prefix("serial=").unwrap();
    site.certctl(&format!("ca revoke {serial} --authority pca --reason superseded")).done();
}

#[test]
fn an_agent_has_moto_sign_and_serves_it() {
    let moto = Moto::start();
    let site = site(&moto);
    site.issue("").failed(&["is refused and thrown away"]);
    be_modest(&site);
    let mut agent = agent(&site);
    agent.settled();
    let serial = agent.serial("front");
    agent.kill();
    drop(moto);
    let agent = agent.again("");
    agent.settled();
    assert_eq!(agent.serial("front"), serial);
    assert_eq!(served(&agent, "front").matches("BEGIN CERTIFICATE").count(), 2);
}

/// An agent on a site's mesh, that knows of its authority what the site knows.
fn agent(site: &Site) -> Agent {
    let place = prepare(&site.text("mesh.yaml"));
    std::fs::create_dir(place.path().join("state")).unwrap();
    for (from, to) in [(".env", ".env"), ("certs/pca_acm_pca.json", "state/pca_acm_pca.json")] {
        std::fs::write(place.path().join(to), site.read(from)).unwrap();
    }
    Agent::start_in(place, "")
}
