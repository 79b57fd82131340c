//! Wrong answers: each is wrong in the one way that it says.

use x509_parser::pem::{Pem, parse_x509_pem};

use super::Bench;
use crate::fake::{Fault, Lie, Spec, Times};
use crate::support::openssl::Openssl;

/// Issues with a lie; leaves `cert.pem`, `chain.pem`, and what openssl says.
async fn told(bench: &Bench, operation: &str, lie: Lie) -> String {
    bench.fake.misbehave(operation, Times::Next(1), Fault::Lie(lie));
    let text = bench.text(bench.issue()).await;
    bench.openssl.run("x509 -in cert.pem -noout -pubkey -out public.pem");
    text
}

fn verify(openssl: &Openssl) {
    openssl.run("verify -x509_strict -CAfile chain.pem cert.pem");
}

#[tokio::test]
async fn a_certificate_is_wrong_in_one_way() {
    let bench = Bench::new();
    let openssl = &bench.openssl;
    openssl.run("pkey -in key.pem -pubout -out own.pem");
    let own = openssl.read("own.pem");
    let names = || bench.extension("subjectAltName");
    let end = |when: &str| format!("x509 -in cert.pem -noout -checkend {when}");

    told(&bench, "IssueCertificate", Lie::AnotherKey).await;
    assert_ne!(openssl.read("public.pem"), own);
    verify(openssl);

    told(&bench, "IssueCertificate", Lie::AddedName).await;
    assert_eq!(names(), "X509v3 Subject Alternative Name: DNS:front.example, DNS:added.example");
    assert_eq!(openssl.read("public.pem"), own);
    verify(openssl);

    told(&bench, "IssueCertificate", Lie::DroppedName).await;
    assert_eq!(names(), "");
    verify(openssl);

    let text = told(&bench, "IssueCertificate", Lie::AnotherIssuer).await;
    assert!(text.contains("Issuer: CN = ca_1"), "{text}");
    let wrong = openssl.fail("verify -CAfile chain.pem cert.pem");
    assert!(wrong.contains("certificate signature failure"), "{wrong}");

    told(&bench, "IssueCertificate", Lie::Expired).await;
    let wrong = openssl.fail("verify -CAfile chain.pem cert.pem");
    assert!(wrong.contains("certificate has expired"), "{wrong}");

    told(&bench, "IssueCertificate", Lie::NotYet).await;
    let wrong = openssl.fail("verify -CAfile chain.pem cert.pem");
    assert!(wrong.contains("certificate is not yet valid"), "{wrong}");

    told(&bench, "IssueCertificate", Lie::Longer).await;
    openssl.run(&end("31000000"));

    told(&bench, "IssueCertificate", Lie::Shorter).await;
    openssl.run(&end("40000"));
    openssl.fail(&end("43201"));

    told(&bench, "IssueCertificate", Lie::DroppedUsage).await;
    assert_eq!(
        bench.extension("extendedKeyUsage"),
        "X509v3 Extended Key Usage: TLS Web Client Authentication"
    );
    verify(openssl);

    told(&bench, "IssueCertificate", Lie::Authority).await;
    assert_eq!(bench.extension("basicConstraints"), "X509v3 Basic Constraints: critical CA:TRUE");

    // One time was one time.
    told(&bench, "GetCertificate", Lie::MissingChain).await;
    assert_eq!(names(), "X509v3 Subject Alternative Name: DNS:front.example");
    assert_eq!(bench.fake.issued().len(), 11);
}

#[tokio::test]
async fn a_certificate_is_shown_in_a_wrong_way() {
    let bench = Bench::new();
    let below = bench.fake.create(Spec::subordinate("ca_2", &bench.authority));
    let first = bench.issued(bench.issue().certificate_authority_arn(&below)).await;
    let arn = bench.issued(bench.issue().certificate_authority_arn(&below)).await;
    let get = async |arn: &str, lie: Option<Lie>| {
        if let Some(lie) = lie {
            bench.fake.misbehave("GetCertificate", Times::Next(1), Fault::Lie(lie));
        }
        let call = bench.client.get_certificate().certificate_arn(arn);
        let answer = call.certificate_authority_arn(&below).send().await.unwrap();
        (answer.certificate.unwrap(), blocks(answer.certificate_chain.as_deref()))
    };
    let (leaf, chain) = get(&arn, None).await;
    assert_eq!(chain.len(), 2);

    let (garbage, _) = get(&arn, Some(Lie::Garbage)).await;
    let (_, garbage) = parse_x509_pem(garbage.as_bytes()).unwrap();
    assert!(garbage.parse_x509().is_err());

    let (same, reversed) = get(&arn, Some(Lie::ReversedChain)).await;
    assert_eq!(same, leaf);
    assert_eq!(reversed, [chain[1].clone(), chain[0].clone()]);

    let (_, longer) = get(&arn, Some(Lie::ExtraCertificate)).await;
    assert_eq!(longer.len(), 3);
    assert_eq!(longer[..2], chain);

    let (_, none) = get(&arn, Some(Lie::MissingChain)).await;
    assert!(none.is_empty());

    let (other, _) = get(&arn, Some(Lie::AnotherCertificate)).await;
    assert_eq!(other, get(&first, None).await.0);
    assert_ne!(other, leaf);
}

#[tokio::test]
async fn an_authority_shows_another_s_certificate_under_its_own_name() {
    let bench = Bench::new();
    bench.text(bench.issue()).await;
    let operation = "GetCertificateAuthorityCertificate";
    bench.fake.misbehave(operation, Times::Next(1), Fault::Lie(Lie::AnotherCertificate));
    let call = bench.client.get_certificate_authority_certificate();
    let answer = call.certificate_authority_arn(&bench.authority).send().await.unwrap();
    bench.openssl.write("ca.pem", answer.certificate().unwrap());
    assert_eq!(bench.openssl.run("x509 -in ca.pem -noout -subject").trim(), "subject=CN = ca_1");
    bench.openssl.fail("verify -CAfile ca.pem cert.pem");
}

#[test]
#[should_panic(expected = "GetCertificate cannot do Lie(Expired)")]
fn a_lie_that_an_operation_cannot_tell_is_refused() {
    let fake = crate::fake::Fake::start();
    fake.misbehave("GetCertificate", Times::Forever, Fault::Lie(Lie::Expired));
}

/// The DER of every block.
fn blocks(pem: Option<&str>) -> Vec<Vec<u8>> {
    let blocks = Pem::iter_from_buffer(pem.unwrap_or_default().as_bytes());
    blocks.map(|block| block.unwrap().contents).collect()
}
