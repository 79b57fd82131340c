//! What is in a certificate, and from where.

use aws_sdk_acmpca::types::{
    ApiPassthrough, Asn1Subject, CustomExtension, ExtendedKeyUsage, ExtendedKeyUsageType,
    Extensions, GeneralName, KeyUsage,
};

use super::Bench;
use crate::fake::Spec;
use crate::sdk;

/// All that a caller can pass: other names and usages than the request has.
fn passed() -> ApiPassthrough {
    let usage = ExtendedKeyUsage::builder()
        .extended_key_usage_type(ExtendedKeyUsageType::ClientAuth)
        .build();
    let name = GeneralName::builder().uniform_resource_identifier("spiffe://example/passed");
    let custom = CustomExtension::builder().object_identifier("1.3.6.1.4.1.99999.1").value("BQA=");
    let extensions = Extensions::builder()
        .extended_key_usage(usage)
        .key_usage(KeyUsage::builder().digital_signature(true).decipher_only(true).build())
        .subject_alternative_names(name.build())
        .custom_extensions(custom.build().unwrap());
    let subject =
        Asn1Subject::builder().common_name("passed").organization("Example").country("GB");
    ApiPassthrough::builder().extensions(extensions.build()).subject(subject.build()).build()
}

fn arn(name: &str) -> String {
    format!("arn:aws:acm-pca:::template/{name}/V1")
}

const NAMES: &str = "subjectAltName";

#[tokio::test]
async fn the_default_template_takes_the_names_of_the_request_and_nothing_else() {
    let bench = Bench::new();
    let greedy = bench.csr(
        "-subj /O=Example/CN=front -addext subjectAltName=DNS:front.example,IP:10.0.0.1 \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign \
         -addext extendedKeyUsage=codeSigning -addext tlsfeature=status_request",
    );
    // Passed without a template for it: ignored.
    let text = bench.text(bench.issue().csr(greedy).api_passthrough(passed())).await;
    assert!(text.contains("Subject: O = Example, CN = front"), "{text}");
    assert!(text.contains("Issuer: CN = ca_1"), "{text}");
    let said = |name| bench.extension(name);
    assert_eq!(
        said(NAMES),
        "X509v3 Subject Alternative Name: DNS:front.example, IP Address:10.0.0.1"
    );
    assert_eq!(said("basicConstraints"), "X509v3 Basic Constraints: CA:FALSE");
    assert_eq!(said("keyUsage"), "X509v3 Key Usage: critical Digital Signature, Key Encipherment");
    assert_eq!(
        said("extendedKeyUsage"),
        "X509v3 Extended Key Usage: TLS Web Server Authentication, TLS Web Client Authentication"
    );
    assert!(!text.contains("TLS Feature") && !text.contains("1.3.6.1.4.1.99999.1"), "{text}");
    bench.openssl.run("verify -x509_strict -CAfile chain.pem cert.pem");
}

#[tokio::test]
async fn what_is_passed_wins_over_the_request_but_not_over_the_template() {
    let bench = Bench::new();
    let call = bench.issue().template_arn(arn("EndEntityCertificate_APIPassthrough"));
    let text = bench.text(call.api_passthrough(passed())).await;
    assert!(text.contains("Subject: C = GB, O = Example, CN = passed"), "{text}");
    assert!(text.contains("1.3.6.1.4.1.99999.1"), "{text}");
    let said = |name| bench.extension(name);
    assert_eq!(said(NAMES), "X509v3 Subject Alternative Name: URI:spiffe://example/passed");
    assert_eq!(said("keyUsage"), "X509v3 Key Usage: critical Digital Signature, Key Encipherment");
    assert!(said("extendedKeyUsage").contains("Server"), "{text}");
}

#[tokio::test]
async fn with_nothing_passed_the_request_s_names_are_taken() {
    let bench = Bench::new();
    let call = bench.issue().template_arn(arn("EndEntityCertificate_APIPassthrough"));
    let text = bench.text(call).await;
    assert!(text.contains("CN = front"), "{text}");
    assert_eq!(bench.extension(NAMES), "X509v3 Subject Alternative Name: DNS:front.example");
}

#[tokio::test]
async fn a_blank_template_takes_the_usages_that_are_passed() {
    let bench = Bench::new();
    let blank = "BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough";
    let call = bench.issue().template_arn(arn(blank));
    bench.text(call.clone().api_passthrough(passed())).await;
    let said = |name| bench.extension(name);
    assert_eq!(said("basicConstraints"), "X509v3 Basic Constraints: critical CA:FALSE");
    assert_eq!(said("keyUsage"), "X509v3 Key Usage: critical Digital Signature, Decipher Only");
    assert_eq!(
        said("extendedKeyUsage"),
        "X509v3 Extended Key Usage: TLS Web Client Authentication"
    );
    bench.text(call).await;
    assert_eq!(said("keyUsage") + &said("extendedKeyUsage"), "");
}

#[tokio::test]
async fn a_template_of_both_kinds_takes_what_is_passed_before_what_the_request_asks() {
    let bench = Bench::new();
    let csr = bench.csr(
        "-subj /CN=front -addext subjectAltName=DNS:front.example \
         -addext basicConstraints=critical,CA:TRUE -addext tlsfeature=status_request",
    );
    let call = bench.issue().csr(csr).template_arn(arn("EndEntityCertificate_APICSRPassthrough"));
    let text = bench.text(call.api_passthrough(passed())).await;
    assert!(text.contains("TLS Feature"), "{text}");
    assert_eq!(
        bench.extension(NAMES),
        "X509v3 Subject Alternative Name: URI:spiffe://example/passed"
    );
    assert_eq!(bench.extension("basicConstraints"), "X509v3 Basic Constraints: CA:FALSE");
}

#[tokio::test]
async fn a_server_s_template_is_for_servers_alone() {
    let bench = Bench::new();
    bench.text(bench.issue().template_arn(arn("EndEntityServerAuthCertificate"))).await;
    assert_eq!(
        bench.extension("extendedKeyUsage"),
        "X509v3 Extended Key Usage: TLS Web Server Authentication"
    );
}

#[tokio::test]
async fn a_subordinate_authority_is_as_deep_as_its_template_and_never_deeper_than_its_parent() {
    let bench = Bench::with(Spec::root("ca_1").path_length(1));
    bench.text(bench.issue().template_arn(arn("SubordinateCACertificate_PathLen0"))).await;
    assert_eq!(
        bench.extension("basicConstraints"),
        "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0"
    );
    assert_eq!(
        bench.extension("keyUsage"),
        "X509v3 Key Usage: critical Digital Signature, Certificate Sign, CRL Sign"
    );
    bench.openssl.run("verify -x509_strict -CAfile chain.pem cert.pem");
    let deeper = bench.issue().template_arn(arn("SubordinateCACertificate_PathLen1"));
    assert_eq!(sdk::code(deeper.send().await), "ValidationException");
}

#[tokio::test]
async fn an_unknown_template_is_refused() {
    let bench = Bench::new();
    let names = [
        arn("EndEntityCertificate_Passthrough"),
        arn("BlankEndEntityCertificate"),
        arn("SubordinateCACertificate_PathLen4"),
        "EndEntityCertificate/V1".to_owned(),
    ];
    for name in names {
        let code = sdk::code(bench.issue().template_arn(&name).send().await);
        assert_eq!(code, "InvalidArnException", "{name}");
    }
    assert!(bench.fake.issued().is_empty());
}
