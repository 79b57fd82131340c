//! Where AWS credentials come from: every place that AWS's own tools know, each alone.

use std::fs;
use std::path::Path;

use crate::aws::Aws;
use crate::ca::mesh_of;
use crate::support::program::{self, Run};

/// `certctl ca list` in a home of its own, with this environment; what it needs may be put there
/// first.
fn list(aws: &Aws, home: &Path, environment: &[(&str, &str)]) -> Run {
    fs::write(home.join("mesh.yaml"), mesh_of(&[&aws.endpoint])).unwrap();
    let mut command = program::command(home, "ca list -o json");
    command.env("HOME", home).envs(environment.iter().copied());
    command.output().unwrap().into()
}

/// The call was signed with the credentials of that place.
#[track_caller]
fn signed_with(access_key: &str, aws: &Aws, run: Run) {
    run.done();
    let keys: Vec<_> = aws.asked().into_iter().map(|asked| asked.access_key).collect();
    assert_eq!(keys, [access_key]);
}

#[test]
fn credentials_come_from_the_environment() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    let environment = [("AWS_ACCESS_KEY_ID", "ENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    signed_with("ENVIRONMENT", &aws, list(&aws, home.path(), &environment));
}

#[test]
fn credentials_come_from_a_profile() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = "[mesh]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n";
    fs::write(home.path().join(".aws/credentials"), profile).unwrap();
    signed_with("PROFILE", &aws, list(&aws, home.path(), &[("AWS_PROFILE", "mesh")]));
}

#[test]
fn credentials_come_from_a_process() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    fs::create_dir(home.path().join(".aws")).unwrap();
    let json = r#"{"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "secret"}"#;
    fs::write(home.path().join("answer.json"), json).unwrap();
    let answer = home.path().join("answer.json");
    let profile = format!("[default]\ncredential_process = cat {}\n", answer.display());
    fs::write(home.path().join(".aws/config"), profile).unwrap();
    signed_with("PROCESS", &aws, list(&aws, home.path(), &[]));
}

#[test]
fn credentials_come_from_a_single_sign_on_that_was_made_before() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    let profile = "[default]\nsso_start_url = https://sso.example/start\nsso_region = us-east-1\n\
                   sso_account_id = 111122223333\nsso_role_name = mesh\n";
    fs::write(home.path().join(".aws/config"), profile).unwrap();
    let token = r#"{"startUrl": "https://sso.example/start", "region": "us-east-1",
                    "accessToken": "token", "expiresAt": "2099-01-01T00:00:00Z"}"#;
    // The SHA-1 of the start URL, as AWS's tools name it.
    let name = "98df91031e87f97bfc088c045be6442dc5d70b2a.json";
    fs::write(home.path().join(".aws/sso/cache").join(name), token).unwrap();
    let environment = [("AWS_ENDPOINT_URL_SSO", aws.endpoint.as_str())];
    signed_with("SSO", &aws, list(&aws, home.path(), &environment));
}

#[test]
fn credentials_come_from_a_web_identity() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    fs::write(home.path().join("token"), "jwt-of-the-pod").unwrap();
    let token = home.path().join("token");
    // No region is set: roles are taken on in that of the CA.
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/mesh"),
        ("AWS_ENDPOINT_URL_STS", aws.endpoint.as_str()),
    ];
    signed_with("WEBIDENTITY", &aws, list(&aws, home.path(), &environment));
}

#[test]
fn credentials_come_from_a_container() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    fs::write(home.path().join("token"), "of the pod").unwrap();
    let token = home.path().join("token");
    let address = format!("{}/container", aws.endpoint);
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    signed_with("CONTAINER", &aws, list(&aws, home.path(), &environment));
}

#[test]
fn credentials_come_from_an_instance() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.endpoint.as_str())];
    signed_with("INSTANCE", &aws, list(&aws, home.path(), &environment));
}

#[test]
fn without_credentials_it_says_so_and_asks_nothing() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    let run = list(&aws, home.path(), &[("AWS_EC2_METADATA_DISABLED", "true")]);
    let problem = run.json()[0]["problem"].to_string();
    assert!(problem.contains("there are no AWS credentials"), "{problem}");
    run.failed(&["1 authority could not be looked at"]);
    assert!(aws.asked().is_empty());
}

#[test]
fn nobody_is_asked_for_credentials_where_all_authorities_are_local() {
    let (aws, home) = (Aws::new(), tempfile::tempdir().unwrap());
    let process = format!("touch {}/asked", home.path().display());
    fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = format!("[default]\ncredential_process = {process}\n");
    fs::write(home.path().join(".aws/config"), profile).unwrap();
    fs::write(home.path().join("mesh.yaml"), crate::ca::LOCAL).unwrap();
    let mut command = program::command(home.path(), "ca list");
    command.env("HOME", home.path());
    Run::from(command.output().unwrap()).done();
    assert!(!home.path().join("asked").exists());
    assert!(aws.asked().is_empty());
}
