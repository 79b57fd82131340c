//! The real SDK against moto: an authority's whole life, and what moto leaves out.

use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{
    Asn1Subject, CertificateAuthorityConfiguration, CertificateAuthorityType, KeyAlgorithm,
    RevocationReason, SigningAlgorithm, ValidityPeriodType,
};

use crate::sdk;
use crate::support::moto::Moto;
use crate::support::openssl::Openssl;

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
