//! What the fake issues, before other judges.

use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{SigningAlgorithm, Validity, ValidityPeriodType};

use crate::fake::{Fake, Spec};
use crate::sdk;
use crate::support::openssl::Openssl;

#[tokio::test]
async fn what_it_issues_openssl_verifies() {
    let fake = Fake::start();
    let authority = fake.create(Spec::root("ca_1"));
    let client = sdk::client(&fake.endpoint(), &fake.region());
    let openssl = Openssl::new();
    openssl.run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out csr.pem -subj /CN=front -addext subjectAltName=DNS:front.example,URI:spiffe://example/front");
    let issued = client
        .issue_certificate()
        .certificate_authority_arn(&authority)
        .csr(Blob::new(openssl.read("csr.pem")))
        .signing_algorithm(SigningAlgorithm::Sha256Withecdsa)
        .validity(Validity::builder().r#type(ValidityPeriodType::Days).value(1).build().unwrap())
        .send()
        .await
        .unwrap();
    let certificate = client
        .get_certificate()
        .certificate_authority_arn(&authority)
        .certificate_arn(issued.certificate_arn().unwrap())
        .send()
        .await
        .unwrap();
    openssl.write("cert.pem", certificate.certificate().unwrap());
    openssl.write("chain.pem", certificate.certificate_chain().unwrap());
    openssl.run("verify -x509_strict -CAfile chain.pem cert.pem");
    let text = openssl.run("x509 -in cert.pem -noout -text");
    assert!(text.contains("DNS:front.example, URI:spiffe://example/front"), "{text}");
}
