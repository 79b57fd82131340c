//! What the service does not do.

use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{RevocationReason, SigningAlgorithm};

use super::Bench;
use crate::fake::{KeyAlgorithm, Spec, Status};
use crate::sdk;

#[tokio::test]
async fn a_request_that_is_none_is_malformed() {
    let bench = Bench::new();
    let good = bench.csr("-subj /CN=front").into_inner();
    let block = pem::parse(&good).unwrap();
    let changed = |place: usize| {
        let mut der = block.contents().to_vec();
        der[place] ^= 1;
        pem::encode(&pem::Pem::new(block.tag(), der)).into_bytes()
    };
    let bad = [
        ("tampered with", changed(block.contents().len() - 1)),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("not PEM", b"x".to_vec()),
        ("DER", block.contents().to_vec()),
        ("nameless", bench.csr("-subj /").into_inner()),
    ];
    for (what, csr) in bad {
        let answer = bench.issue().csr(Blob::new(csr)).send().await;
        assert_eq!(sdk::code(answer), "MalformedCSRException", "{what}");
    }
    let long = Blob::new([good, vec![b'\n'; 32_768]].concat());
    assert_eq!(sdk::code(bench.issue().csr(long).send().await), "ValidationException");
    assert!(bench.fake.issued().is_empty());
}

#[tokio::test]
async fn a_signing_algorithm_is_of_the_key_s_family() {
    let bench = Bench::with(Spec::root("ca_1").key(KeyAlgorithm::RSA_2048));
    let answer = bench.issue().send().await;
    let told = format!("{answer:?}");
    assert_eq!(sdk::code(answer), "InvalidArgsException");
    assert!(
        told.contains("Signing algorithm SHA256WITHECDSA cannot be used with key type RSA_2048")
    );
    let text = bench.text(bench.issue().signing_algorithm(SigningAlgorithm::Sha512Withrsa)).await;
    assert!(text.contains("Signature Algorithm: sha512WithRSAEncryption"), "{text}");
}

#[tokio::test]
async fn only_an_active_authority_issues() {
    let bench = Bench::new();
    let arn = bench.issued(bench.issue()).await;
    let states = [Status::Disabled, Status::Expired, Status::PendingCertificate, Status::Deleted];
    for status in states {
        bench.fake.set_status(&bench.authority, status);
        let code = sdk::code(bench.issue().send().await);
        assert_eq!(code, "InvalidStateException", "{status:?}");
    }
    bench.fake.set_status(&bench.authority, Status::Disabled);
    bench.get(&arn).await;
    let certificate = bench.client.get_certificate_authority_certificate();
    let certificate = certificate.certificate_authority_arn(&bench.authority);
    assert!(certificate.clone().send().await.is_ok());
    bench.fake.set_status(&bench.authority, Status::PendingCertificate);
    assert_eq!(sdk::code(certificate.send().await), "InvalidStateException");
}

#[tokio::test]
async fn an_arn_names_something_of_ours() {
    let bench = Bench::new();
    let unknown = format!("{}0", bench.authority);
    for (arn, code) in
        [(unknown.as_str(), "ResourceNotFoundException"), ("x", "InvalidArnException")]
    {
        let answer = bench.issue().certificate_authority_arn(arn).send().await;
        assert_eq!(sdk::code(answer), code);
        let call = bench.client.describe_certificate_authority();
        assert_eq!(sdk::code(call.certificate_authority_arn(arn).send().await), code);
    }
    let call = bench.client.get_certificate().certificate_authority_arn(&bench.authority);
    let unknown = format!("{}/certificate/1", bench.authority);
    let answer = call.certificate_arn(unknown).send().await;
    assert_eq!(sdk::code(answer), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_certificate_is_revoked_once_by_the_serial_that_openssl_prints() {
    let bench = Bench::new();
    let arn = bench.issued(bench.issue()).await;
    bench.text_of(&bench.get(&arn).await);
    let plain = bench.openssl.run("x509 -in cert.pem -noout -serial");
    let plain = plain.trim().strip_prefix("serial=").unwrap();
    let decimal = u128::from_str_radix(plain, 16).unwrap();
    assert!(arn.ends_with(&format!("/certificate/{decimal}")), "{arn} is not of {plain}");
    let pairs: Vec<_> =
        plain.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
    let revoke = |serial: &str| {
        bench
            .client
            .revoke_certificate()
            .certificate_authority_arn(&bench.authority)
            .certificate_serial(serial)
            .revocation_reason(RevocationReason::KeyCompromise)
            .send()
    };
    revoke(&pairs.join(":").to_lowercase()).await.unwrap();
    assert_eq!(bench.fake.issued()[0].revoked.as_deref(), Some("KEY_COMPROMISE"));
    assert_eq!(sdk::code(revoke(plain).await), "RequestAlreadyProcessedException");
    assert_eq!(sdk::code(revoke("12").await), "ResourceNotFoundException");
    assert_eq!(sdk::code(revoke("front").await), "ValidationException");
}
