//! Authorities: roots and those below, their certificates, their regions.

use aws_sdk_acmpca::types::SigningAlgorithm;

use super::Bench;
use crate::fake::{Fake, KeyAlgorithm, Rotation, Spec};
use crate::sdk;

#[tokio::test]
async fn below_a_root_the_chain_has_all_but_the_certificate_itself() {
    let bench = Bench::new();
    let below = Spec::subordinate("ca_2", &bench.authority).key(KeyAlgorithm::EC_secp384r1);
    let below = bench.fake.create(below);
    let of = |arn: &str| {
        let call = bench.client.get_certificate_authority_certificate();
        call.certificate_authority_arn(arn).send()
    };
    let root = of(&bench.authority).await.unwrap();
    assert_eq!(root.certificate_chain(), None);
    let middle = of(&below).await.unwrap();
    assert_eq!(middle.certificate_chain(), root.certificate());
    let call = bench.issue().certificate_authority_arn(&below);
    let arn = bench.issued(call.signing_algorithm(SigningAlgorithm::Sha384Withecdsa)).await;
    let call = bench.client.get_certificate().certificate_arn(arn);
    let leaf = call.certificate_authority_arn(&below).send().await.unwrap();
    let both = format!("{}\n{}", middle.certificate().unwrap(), root.certificate().unwrap());
    assert_eq!(leaf.certificate_chain(), Some(both.as_str()));
    bench.text_of(&leaf);
    bench.openssl.write("root.pem", root.certificate().unwrap());
    bench.openssl.run("verify -x509_strict -CAfile root.pem -untrusted chain.pem cert.pem");
}

#[tokio::test]
async fn an_authority_is_described_and_listed() {
    let bench = Bench::new();
    let rsa =
        bench.fake.create(Spec::subordinate("ca_2", &bench.authority).key(KeyAlgorithm::RSA_2048));
    let described = bench.client.describe_certificate_authority();
    let described = described.certificate_authority_arn(&rsa).send().await.unwrap();
    let authority = described.certificate_authority().unwrap();
    assert_eq!(authority.status().unwrap().as_str(), "ACTIVE");
    assert_eq!(authority.r#type().unwrap().as_str(), "SUBORDINATE");
    assert_eq!(authority.usage_mode().unwrap().as_str(), "GENERAL_PURPOSE");
    let configuration = authority.certificate_authority_configuration().unwrap();
    assert_eq!(configuration.key_algorithm().as_str(), "RSA_2048");
    assert_eq!(configuration.signing_algorithm().as_str(), "SHA256WITHRSA");
    let days = (authority.not_after().unwrap().secs() - bench.fake.now().unix_timestamp()) / 86_400;
    assert!((3_650..=3_652).contains(&days), "{days}");

    let call = bench.client.list_certificate_authorities().max_results(1);
    let first = call.clone().send().await.unwrap();
    let second = call.set_next_token(first.next_token().map(str::to_owned)).send().await.unwrap();
    let pages = [first.certificate_authorities(), second.certificate_authorities()].concat();
    let mut arns: Vec<_> = pages.iter().map(|authority| authority.arn().unwrap()).collect();
    let mut expected = [bench.authority.as_str(), rsa.as_str()];
    arns.sort_unstable();
    expected.sort_unstable();
    assert_eq!(arns, expected);
    assert_eq!(second.next_token(), None);
}

#[tokio::test]
async fn another_certificate_of_an_authority_is_for_the_same_key_or_another() {
    let bench = Bench::new();
    let of = async || {
        let call = bench.client.get_certificate_authority_certificate();
        let answer = call.certificate_authority_arn(&bench.authority).send().await.unwrap();
        bench.openssl.write("ca.pem", answer.certificate().unwrap());
        let key = bench.openssl.run("x509 -in ca.pem -noout -pubkey");
        (answer.certificate().unwrap().to_owned(), key)
    };
    let (first, first_key) = of().await;
    bench.text(bench.issue()).await;
    bench.fake.rotate_ca_certificate(&bench.authority, Rotation::SameKey);
    let (second, second_key) = of().await;
    assert_ne!(first, second);
    assert_eq!(first_key, second_key);
    bench.openssl.run("verify -CAfile ca.pem cert.pem");
    bench.fake.rotate_ca_certificate(&bench.authority, Rotation::AnotherKey);
    let (_, third_key) = of().await;
    assert_ne!(second_key, third_key);
    bench.openssl.fail("verify -CAfile ca.pem cert.pem");
    bench.text(bench.issue()).await;
    bench.openssl.run("verify -CAfile ca.pem cert.pem");
}

#[tokio::test]
async fn a_region_knows_only_its_own() {
    let (east, west) = (Fake::start(), Fake::in_region("us-west-2"));
    let arn = west.create(Spec::root("ca_1"));
    assert!(arn.starts_with("arn:aws:acm-pca:us-west-2:123456789012:certificate-authority/"));
    let describe = async |endpoint: &Fake, region: &str| {
        let call = sdk::client(&endpoint.endpoint(), region).describe_certificate_authority();
        call.certificate_authority_arn(&arn).send().await
    };
    assert!(describe(&west, "us-west-2").await.is_ok());
    assert_eq!(sdk::code(describe(&east, "us-east-1").await), "ResourceNotFoundException");
    assert_eq!(sdk::code(describe(&west, "us-east-1").await), "InvalidSignatureException");
}
