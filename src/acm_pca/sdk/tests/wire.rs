//! What goes over the wire, and what is made of the answers.

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::acm_pca::{CaStatus, Passthrough, Usages};
use crate::x509::key::KeyAlgorithm;

const ISSUED: &str = r#"{"CertificateArn":"arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/11223344-1234/certificate/12"}"#;

/// What is asked where the answer does not matter.
async fn issuing(request: &IssueRequest) -> Value {
    let fake = Fake::answering(&[(200, ISSUED)]);
    let (ca, service) = fake.service().await;
    service.issue(&ca, request).await.unwrap();
    fake.asked()[0].body.clone()
}

#[tokio::test]
async fn every_operation_in_use_is_asked_for_by_its_name_and_signed_for_the_region_of_the_ca() {
    let fake = Fake::answering(&[
        (
            200,
            r#"{"CertificateAuthority":{"Status":"ACTIVE","CertificateAuthorityConfiguration":{"KeyAlgorithm":"RSA_2048","SigningAlgorithm":"SHA256WITHRSA","Subject":{}}}}"#,
        ),
        (200, r#"{"Certificate":"leaf"}"#),
        (200, r#"{"Certificate":"ca"}"#),
        (200, ISSUED),
        (200, "{}"),
    ]);
    let (ca, service) = fake.service().await;
    service.describe(&ca).await.unwrap();
    service.certificate(&ca, "arn:c").await.unwrap();
    service.ca_certificate(&ca).await.unwrap();
    service.issue(&ca, &request()).await.unwrap();
    service.revoke(&ca, "0A0B", RevocationReason::KeyCompromise).await.unwrap();
    let asked = fake.asked();
    let targets: Vec<_> = asked.iter().map(|asked| asked.header("x-amz-target")).collect();
    assert_eq!(targets, OPERATIONS.map(|name| format!("ACMPrivateCA.{name}")));
    for asked in &asked {
        assert_eq!(asked.body["CertificateAuthorityArn"], ARN);
        let signed = asked.header("authorization");
        assert!(signed.contains("/us-east-2/acm-pca/aws4_request"), "{signed}");
        let agent = asked.header("user-agent");
        assert!(agent.contains("app/certctl"), "{agent}");
    }
    let revoking = json!({
        "CertificateAuthorityArn": ARN,
        "CertificateSerial": "0a:0b",
        "RevocationReason": "KEY_COMPROMISE",
    });
    assert_eq!(asked[4].body, revoking);
    assert_eq!(asked[1].body["CertificateArn"], "arn:c");
}

#[tokio::test]
async fn a_request_says_all_that_the_certificate_is_to_have() {
    let passthrough = Passthrough {
        common_name: Some("front".to_owned()),
        uris: vec!["spiffe://example.org/front".to_owned()],
        dns_names: vec!["a.example.org".to_owned(), "b.example.org".to_owned()],
        usages: Some(Usages { key_encipherment: true }),
    };
    let request = IssueRequest { passthrough: Some(passthrough), ..request() };
    let expected = json!({
        "CertificateAuthorityArn": ARN,
        // PEM, which JSON carries in base64 once more.
        "Csr": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUFBPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "TemplateArn": "arn:aws:acm-pca:::template/BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1",
        "Validity": { "Type": "ABSOLUTE", "Value": 1_795_266_001 },
        "ValidityNotBefore": { "Type": "ABSOLUTE", "Value": 1_795_262_400 },
        "IdempotencyToken": "token1",
        "ApiPassthrough": {
            "Subject": { "CommonName": "front" },
            "Extensions": {
                "SubjectAlternativeNames": [
                    { "UniformResourceIdentifier": "spiffe://example.org/front" },
                    { "DnsName": "a.example.org" },
                    { "DnsName": "b.example.org" },
                ],
                "KeyUsage": {
                    "CRLSign": false,
                    "DataEncipherment": false,
                    "DecipherOnly": false,
                    "DigitalSignature": true,
                    "EncipherOnly": false,
                    "KeyAgreement": false,
                    "KeyCertSign": false,
                    "KeyEncipherment": true,
                    "NonRepudiation": false,
                },
                "ExtendedKeyUsage": [
                    { "ExtendedKeyUsageType": "SERVER_AUTH" },
                    { "ExtendedKeyUsageType": "CLIENT_AUTH" },
                ],
            },
        },
    });
    assert_eq!(issuing(&request).await, expected);
}

#[tokio::test]
async fn what_the_template_does_not_take_is_not_said() {
    let plain = issuing(&request()).await;
    assert_eq!(plain.get("ApiPassthrough"), None);
    let passthrough = Passthrough {
        common_name: None,
        uris: vec!["spiffe://example.org/front".to_owned()],
        dns_names: Vec::new(),
        usages: None,
    };
    let names = issuing(&IssueRequest { passthrough: Some(passthrough), ..request() }).await;
    let only = json!({ "Extensions": { "SubjectAlternativeNames": [
        { "UniformResourceIdentifier": "spiffe://example.org/front" },
    ] } });
    assert_eq!(names["ApiPassthrough"], only);
}

#[tokio::test]
async fn a_ca_signs_as_its_key_calls_for() {
    for (key, algorithm) in [
        (KeyAlgorithm::EcP256, "SHA256WITHECDSA"),
        (KeyAlgorithm::EcP384, "SHA384WITHECDSA"),
        (KeyAlgorithm::Rsa2048, "SHA256WITHRSA"),
        (KeyAlgorithm::Rsa3072, "SHA256WITHRSA"),
        (KeyAlgorithm::Rsa4096, "SHA256WITHRSA"),
    ] {
        assert_eq!(signing_algorithm(key).as_str(), algorithm);
    }
}

#[test]
fn a_template_is_of_the_partition_of_its_ca() {
    let china = ARN.replace("arn:aws", "arn:aws-cn").replace("us-east-2", "cn-north-1");
    let china = CaArn::parse(&china).unwrap();
    let arn = template_arn(&china, "EndEntityCertificate/V1");
    assert_eq!(arn, "arn:aws-cn:acm-pca:::template/EndEntityCertificate/V1");
}

#[test]
fn a_serial_is_taken_in_every_form_that_openssl_prints() {
    for text in ["0A0BFF", "a0bff", "0a:0b:ff", "0A:0B:FF"] {
        assert_eq!(serial_of(text).unwrap(), "0a:0b:ff", "{text}");
    }
    for text in ["", ":", "12 34", "xyz", "0x12"] {
        assert!(matches!(serial_of(text), Err(ServiceError::Refused { .. })), "{text}");
    }
}

#[tokio::test]
async fn a_ca_is_described() {
    let answer = json!({ "CertificateAuthority": {
        "Arn": ARN,
        "Type": "SUBORDINATE",
        "Status": "ACTIVE",
        "UsageMode": "SHORT_LIVED_CERTIFICATE",
        "NotAfter": 1_795_262_400.5,
        "CertificateAuthorityConfiguration":
            { "KeyAlgorithm": "EC_secp384r1", "SigningAlgorithm": "SHA384WITHECDSA", "Subject": {} },
    } });
    let fake = Fake::answering(&[(200, &answer.to_string())]);
    let (ca, service) = fake.service().await;
    let expected = Description {
        status: CaStatus::Active,
        key_algorithm: Some(KeyAlgorithm::EcP384),
        key_algorithm_name: "EC_secp384r1".to_owned(),
        is_short_lived: true,
        is_root: false,
        not_after: Some(datetime!(2026-11-21 12:00:00 UTC)),
    };
    assert_eq!(service.describe(&ca).await, Ok(expected));
}

#[tokio::test]
async fn what_the_sdk_has_no_word_for_is_told_as_aws_names_it() {
    let answer = json!({ "CertificateAuthority": {
        "Type": "ROOT",
        "Status": "HIBERNATING",
        "CertificateAuthorityConfiguration":
            { "KeyAlgorithm": "ML_DSA_65", "SigningAlgorithm": "ML_DSA_65", "Subject": {} },
    } });
    let fake = Fake::answering(&[(200, &answer.to_string())]);
    let (ca, service) = fake.service().await;
    let expected = Description {
        status: CaStatus::Other("HIBERNATING".to_owned()),
        key_algorithm: None,
        key_algorithm_name: "ML_DSA_65".to_owned(),
        is_short_lived: false,
        is_root: true,
        not_after: None,
    };
    assert_eq!(service.describe(&ca).await, Ok(expected));
}

#[tokio::test]
async fn a_certificate_comes_when_it_is_made() {
    let waiting = r#"{"__type":"RequestInProgressException","message":"not yet"}"#;
    let fake = Fake::answering(&[
        (400, waiting),
        (200, r#"{"Certificate":"leaf","CertificateChain":"issuers"}"#),
    ]);
    let (ca, service) = fake.service().await;
    assert_eq!(service.certificate(&ca, "arn:c").await, Ok(None));
    assert_eq!(fake.asked().len(), 1, "it is for the caller to ask again");
    let (certificate, chain) = ("leaf".to_owned(), "issuers".to_owned());
    let issued = service.certificate(&ca, "arn:c").await;
    assert_eq!(issued, Ok(Some(IssuedPem { certificate, chain })));
}

#[tokio::test]
async fn a_certificate_that_is_revoked_already_is_revoked() {
    for code in ["RequestAlreadyProcessedException", "RequestInProgressException"] {
        let (ca, service) = Fake::failing(400, code, "again?").service().await;
        assert_eq!(service.revoke(&ca, "0A", RevocationReason::default()).await, Ok(()));
    }
}
