//! `certctl ca list` and `certctl ca revoke`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::aws::{Aws, active};
use crate::support::program::{self, Run};

pub const LOCAL: &str = "\
version: 1
trustDomain: example.org
authorities:
  ca_1: {}
  middle: { local: { parent: ca_1 } }
virtualNodes:
  front: { authority: middle }
";

const ARN: &str = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1000-";

/// A mesh whose authority has a CA at each of these endpoints.
pub fn mesh_of(endpoints: &[&str]) -> String {
    let cas: Vec<_> = endpoints
        .iter()
        .enumerate()
        .map(|(at, endpoint)| format!("{{ arn: '{ARN}{at}', endpoint: '{endpoint}' }}"))
        .collect();
    format!(
        "version: 1\ntrustDomain: example.org\nauthorities:\n  pca: {{ acmPca: [{}] }}\n\
         virtualNodes:\n  front: {{ authority: pca }}\n",
        cas.join(", ")
    )
}

fn certctl(directory: &Path, arguments: &str) -> Run {
    let mut command = program::command(directory, arguments);
    command.env("AWS_ACCESS_KEY_ID", "AKIDTEST").env("AWS_SECRET_ACCESS_KEY", "a secret");
    command.output().unwrap().into()
}

/// A directory with that mesh, and what `front` was issued by the CA `ca`.
fn directory(mesh: &str, issued: &[(&str, usize)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mesh.yaml"), mesh).unwrap();
    let lines = issued.iter().map(|(serial, ca)| {
        let line = json!({
            "time": "2026-11-21T12:00:00Z", "authority": "pca", "purpose": "leaf",
            "node": "front", "serial": serial, "notAfter": "2026-11-22T12:00:00Z",
            "certificateArn": format!("{ARN}{ca}/certificate/12"),
        });
        format!("{line}\n")
    });
    let lines: String = lines.collect();
    fs::create_dir(directory.path().join("certs")).unwrap();
    fs::write(directory.path().join("certs/issued.jsonl"), lines).unwrap();
    directory
}

#[test]
fn local_authorities_are_listed_before_and_after_they_are_made() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mesh.yaml"), LOCAL).unwrap();
    certctl(directory.path(), "ca list")
        .done()
        .says("ca_1", &["local not made yet"])
        .says("middle", &["local not made yet"]);
    certctl(directory.path(), "issue -o certs").done();
    certctl(directory.path(), "ca list")
        .done()
        .says("ca_1", &["local ready root ec-p256"])
        .says("middle", &["local ready intermediate ec-p256"]);
    let partner = LOCAL.replace(
        "  ca_1: {}\n",
        "  ca_1: {}\n  partner: { trustOnly: { certificates: certs/ca_1_cert.pem } }\n  \
         brought: { local: { certificate: certs/ca_1_cert.pem, key: certs/none.pem } }\n",
    );
    fs::write(directory.path().join("mesh.yaml"), partner).unwrap();
    let run = certctl(directory.path(), "ca list -o json");
    let rows = run.json();
    assert_eq!(rows[1]["kind"], "trustOnly", "{rows}");
    assert_eq!(rows[1]["status"], "trusted");
    assert_eq!(rows[2]["kind"], "imported");
    assert!(rows[2]["problem"].as_str().unwrap().contains("none.pem"), "{rows}");
}

#[test]
fn every_ca_of_aws_is_listed_as_aws_describes_it() {
    let up = Aws::new();
    let down = Aws::answering(|_| {
        let mut answer = active();
        answer["CertificateAuthority"]["Status"] = "DISABLED".into();
        (200, answer)
    });
    let mesh = mesh_of(&[&up.endpoint, &down.endpoint])
        .replace("1000-0'", "1000-0', pricePerCertificate: '0.058', maxCertificatesPerHour: 90");
    let directory = directory(&mesh, &[("0A", 0), ("0B", 0), ("0C", 1)]);
    let rows = certctl(directory.path(), "ca list -o json").done().json();
    let expected = json!({
        "authority": "pca", "kind": "acmPca", "status": "ACTIVE", "type": "intermediate",
        "keyAlgorithm": "ec-p256", "notAfter": "2026-11-21T12:00:00Z",
        "arn": format!("{ARN}0"), "endpoint": up.endpoint, "mode": "short-lived",
        "template": "BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1",
        "issueRate": 25, "getRate": 75, "issuedLastHour": rows[0]["issuedLastHour"], "issued": 2,
        "maxCertificatesPerHour": 90, "pricePerCertificate": "0.058",
    });
    assert_eq!(rows[0], expected);
    assert_eq!((&rows[1]["status"], &rows[1]["issued"]), (&json!("DISABLED"), &json!(1)));
    let table = certctl(directory.path(), "ca list").done();
    table.says("pca", &["acmPca ACTIVE intermediate ec-p256", "short-lived", "0.058 each"]);
}

#[test]
fn a_ca_that_cannot_be_asked_is_listed_with_the_reason() {
    let aws = Aws::answering(|_| {
        let message = "User is not authorized to perform: acm-pca:DescribeCertificateAuthority";
        (400, json!({ "__type": "AccessDeniedException", "message": message }))
    });
    let directory = directory(&mesh_of(&[&aws.endpoint]), &[]);
    certctl(directory.path(), "ca list")
        .says("pca", &["acmPca unknown"])
        .tells("is not authorized to perform: acm-pca:DescribeCertificateAuthority")
        .failed(&["1 authority could not be looked at"]);
    let asked = aws.asked().len();
    certctl(directory.path(), "ca list --offline").done().says("pca", &["not asked"]);
    assert_eq!(aws.asked().len(), asked);
}

/// What was revoked at a CA.
fn revoked(aws: &Aws) -> Vec<Value> {
    let asked = aws.asked().into_iter();
    asked.filter(|asked| asked.operation == "RevokeCertificate").map(|asked| asked.body).collect()
}

#[test]
fn a_certificate_is_revoked_at_the_ca_that_issued_it() {
    let (first, second) = (Aws::new(), Aws::new());
    let mesh = mesh_of(&[&first.endpoint, &second.endpoint]);
    let directory = directory(&mesh, &[("0A01", 0), ("00B2C3", 1)]);
    let run =
        certctl(directory.path(), "ca revoke b2:c3 --authority pca --reason key-compromise").done();
    assert!(run.stderr.contains("front's, until 2026-11-22T12:00:00Z"), "{}", run.stderr);
    assert_eq!(revoked(&first), Vec::<Value>::new());
    let expected = json!({
        "CertificateAuthorityArn": format!("{ARN}1"), "CertificateSerial": "b2:c3",
        "RevocationReason": "KEY_COMPROMISE",
    });
    assert_eq!(revoked(&second), [expected]);
}

#[test]
fn where_the_record_does_not_say_which_ca_it_was_the_user_must() {
    let (first, second) = (Aws::new(), Aws::new());
    let directory = directory(&mesh_of(&[&first.endpoint, &second.endpoint]), &[]);
    let revoke = |arguments: &str| {
        certctl(directory.path(), &format!("ca revoke 0D --authority pca {arguments}"))
    };
    revoke("").failed(&["has several CAs", "--ca-arn", &format!("{ARN}1")]);
    revoke("--ca-arn arn:aws:other").failed(&["pca has no CA \"arn:aws:other\""]);
    assert_eq!((revoked(&first).len(), revoked(&second).len()), (0, 0));
    revoke(&format!("--ca-arn {ARN}0")).done();
    assert_eq!((revoked(&first).len(), revoked(&second).len()), (1, 0));
}

#[test]
fn what_cannot_be_revoked_is_refused_with_what_to_do() {
    let directory = directory(LOCAL, &[]);
    let revoke = |arguments: &str| certctl(directory.path(), &format!("ca revoke {arguments}"));
    revoke("0D --authority ca_1").failed(&["no revocation list", "distrust: [ca_1]"]);
    revoke("0D --authority ca_3").failed(&["the mesh has no authority \"ca_3\""]);
    revoke("front --authority ca_1").failed(&["\"front\" is no serial number"]);
}

#[test]
fn a_refusal_of_aws_is_told() {
    let aws = Aws::answering(|_| (400, json!({ "__type": "ResourceNotFoundException" })));
    let directory = directory(&mesh_of(&[&aws.endpoint]), &[]);
    certctl(directory.path(), "ca revoke 0D --authority pca")
        .failed(&["0D is not revoked", "ResourceNotFoundException"]);
}
