//! What becomes of what goes wrong.

use aws_credential_types::provider::future;

use super::*;

fn kind(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Throttled { .. } => "throttled",
        ServiceError::LimitExceeded { .. } => "limit",
        ServiceError::InvalidState { .. } => "state",
        ServiceError::Denied { .. } => "denied",
        ServiceError::NoCredentials { .. } => "credentials",
        ServiceError::NotFound { .. } => "nothing",
        ServiceError::Refused { .. } => "refused",
        ServiceError::Failed { .. } => "failed",
        ServiceError::Unreachable { .. } => "unreachable",
    }
}

#[tokio::test]
async fn every_code_has_its_meaning() {
    for (status, code, expected) in [
        (400, "AccessDeniedException", "denied"),
        (400, "ExpiredTokenException", "denied"),
        (400, "InvalidArgsException", "refused"),
        (400, "InvalidArnException", "refused"),
        (400, "InvalidSignatureException", "denied"),
        (400, "InvalidStateException", "state"),
        (400, "MalformedCSRException", "refused"),
        (400, "RequestFailedException", "failed"),
        (400, "ResourceNotFoundException", "nothing"),
        (400, "SomethingNewException", "refused"),
        (400, "UnrecognizedClientException", "denied"),
        (400, "ValidationException", "refused"),
        (403, "SomethingNewException", "denied"),
        // The whole name of the shape, as some services send it.
        (400, "com.amazonaws.acmpca#InvalidStateException", "state"),
    ] {
        let fake = Fake::failing(status, code, "as it\nis");
        let (ca, service) = fake.service().await;
        let error = service.certificate(&ca, "arn:c").await.unwrap_err();
        assert_eq!(kind(&error), expected, "{code}: {error}");
        assert!(!error.to_string().contains('\n'), "{error:?}");
        assert_eq!(fake.asked().len(), 1, "{code} does not pass by itself");
    }
}

#[tokio::test]
async fn a_failure_of_anything_but_a_certificate_is_no_failed_certificate() {
    let (ca, service) = Fake::failing(400, "RequestFailedException", "why").service().await;
    let error = service.revoke(&ca, "0A", RevocationReason::default()).await.unwrap_err();
    assert_eq!(kind(&error), "refused", "{error}");
}

#[tokio::test]
async fn a_limit_is_no_throttling_and_asked_for_once() {
    let fake = Fake::failing(400, "LimitExceededException", "1,000,000 certificates");
    let (ca, service) = fake.service().await;
    let error = service.issue(&ca, &request()).await.unwrap_err();
    assert_eq!(kind(&error), "limit", "{error}");
    assert!(error.to_string().contains("1,000,000 certificates"), "{error}");
    let error = service.revoke(&ca, "0A", RevocationReason::default()).await.unwrap_err();
    assert_eq!(kind(&error), "limit", "{error}");
    assert_eq!(fake.asked().len(), 2, "it does not pass by itself");
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    let fake = Fake::answering(&[
        (500, r#"{"__type":"InternalFailure"}"#),
        (503, "<html>"),
        (200, r#"{"Certificate":"ca"}"#),
    ]);
    let (ca, service) = fake.service().await;
    assert_eq!(service.ca_certificate(&ca).await.unwrap().certificate, "ca");
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn what_does_not_pass_is_told_in_the_end() {
    let fake = Fake::failing(503, "ServiceUnavailable", "later");
    let (ca, service) = fake.service().await;
    let error = service.describe(&ca).await.unwrap_err();
    assert_eq!(kind(&error), "unreachable", "{error}");
    assert!(error.to_string().contains("ServiceUnavailable: later"), "{error}");
    assert_eq!(fake.asked().len(), TRIES as usize);
}

#[tokio::test]
async fn throttling_is_told_at_once_to_whom_counts_the_requests() {
    for (status, code) in [
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (429, "TooManyRequestsException"),
        (503, "SlowDown"),
    ] {
        let fake = Fake::failing(status, code, "Rate exceeded");
        let (ca, service) = fake.service().await;
        let asked = [
            service.describe(&ca).await.map(drop),
            service.ca_certificate(&ca).await.map(drop),
            service.certificate(&ca, "arn:c").await.map(drop),
            service.issue(&ca, &request()).await.map(drop),
            service.revoke(&ca, "0A", RevocationReason::default()).await,
        ];
        for answer in asked {
            let error = answer.unwrap_err();
            assert_eq!(kind(&error), "throttled", "{error}");
            assert!(error.to_string().contains(&format!("{code}: Rate exceeded")), "{error}");
        }
        assert_eq!(fake.asked().len(), 5, "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_none() {
    for body in ["", "{}", "not JSON", r#"{"CertificateAuthority":{}}"#, r#"{"Certificate":7}"#] {
        let (ca, service) = Fake::answering(&[(200, body)]).service().await;
        let error = service.describe(&ca).await.unwrap_err();
        assert_eq!(kind(&error), "unreachable", "{body:?}: {error}");
        let error = service.certificate(&ca, "arn:c").await.unwrap_err();
        assert_eq!(kind(&error), "unreachable", "{body:?}: {error}");
    }
}

#[tokio::test]
async fn only_a_certificate_of_the_ca_that_was_asked_is_taken_for_one() {
    let id = "1".repeat(200);
    for arn in [
        format!("{ARN}/certificate/"),
        format!("{ARN}/certificate/1\u{1b}[2J"),
        format!("{ARN}/certificate/{id}"),
        format!("{}/certificate/1", ARN.replace("11223344", "55667788")),
    ] {
        let body = serde_json::json!({ "CertificateArn": arn }).to_string();
        let (ca, service) = Fake::answering(&[(200, &body)]).service().await;
        let error = service.issue(&ca, &request()).await.unwrap_err();
        assert_eq!(kind(&error), "unreachable", "{error}");
        assert!(error.to_string().contains("is no certificate of this CA"), "{error}");
        assert!(!error.to_string().contains('\u{1b}') && error.to_string().len() < 600, "{error}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unreachable_and_the_error_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (ca, service) = service_at(&endpoint).await;
    let error = service.describe(&ca).await.unwrap_err();
    assert_eq!(kind(&error), "unreachable", "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_unreachable_in_good_time() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ca, service) = service_at(&format!("http://{}", hanging.local_addr().unwrap())).await;
    let start = tokio::time::Instant::now();
    let error = service.describe(&ca).await.unwrap_err();
    assert_eq!(kind(&error), "unreachable", "{error}");
    assert!(start.elapsed() <= CALL_LIMIT + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_was_signed_is_not_repeated() {
    let message = "The request signature we calculated does not match.\n\nThe Canonical String \
                   should have been 'POST\nx-amz-security-token:IQoJb3JpZ2luX2VjE'";
    for code in ["InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"] {
        let (ca, service) = Fake::failing(403, code, message).service().await;
        let error = service.describe(&ca).await.unwrap_err();
        assert_eq!(kind(&error), "denied", "{error}");
        assert!(!format!("{error:?}").contains("IQoJ"), "{error:?}");
    }
}

#[tokio::test]
async fn a_long_message_is_cut_short() {
    let (ca, service) =
        Fake::failing(400, "InvalidArgsException", &"é".repeat(5000)).service().await;
    let error = service.describe(&ca).await.unwrap_err().to_string();
    assert!(error.chars().count() < 700 && error.contains('…'), "{error}");
}

/// Whose credentials never come.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_come_are_told_before_the_call_runs_out_of_time() {
    let sdk = sdk_with(Hurried::new(SharedCredentialsProvider::new(Nobody))).await;
    let ca = ca(ARN, Some("http://127.0.0.1:1"));
    let start = tokio::time::Instant::now();
    let error = sdk.service(&ca).describe(&ca.arn).await.unwrap_err();
    assert_eq!(kind(&error), "credentials", "{error}");
    assert!(start.elapsed() < TRY_LIMIT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_operation_that_is_not_listed_is_not_sent() {
    let fake = Fake::answering(&[(200, "{}")]);
    let place = Place { region: "us-east-2".to_owned(), endpoint: Some(fake.endpoint().await) };
    let Sdk { shared, .. } = sdk_with(Credentials::new("AKIDTEST", "a", None, None, "test")).await;
    let remote = Remote { place, shared, client: OnceCell::new() };
    let call = remote.client().await.list_certificate_authorities();
    let error = service_error(call.send().await.unwrap_err());
    assert!(error.to_string().contains("not among the operations in use"), "{error}");
    assert!(fake.asked().is_empty());
}
