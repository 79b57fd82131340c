//! Meshes against what AWS may say of their CAs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use time::macros::datetime;

use super::*;
use crate::acm_pca::{Answer, CaStatus, IssueRequest, IssuedPem, RevocationReason, Service};
use crate::authority::Authority as Ca;
use crate::desired::LocalAuthority;
use crate::desired::acm_pca::CaArn;
use crate::desired::mesh_file::{MeshFile, Places};
use crate::desired::problem::{Problem, Severity};
use crate::time::{Lifetime, OffsetDateTime, earlier};
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::Subject;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// What AWS says, by ARN; it knows of nothing else.
#[derive(Clone, Debug, Default)]
struct World(HashMap<String, (Description, IssuedPem)>);

impl Connect for World {
    fn service(&self, _: &PrivateCa) -> Arc<dyn Service> {
        Arc::new(self.clone())
    }
}

impl World {
    fn said<T: Clone + Send + 'static>(
        &self,
        ca: &CaArn,
        what: impl Fn(&(Description, IssuedPem)) -> T,
    ) -> Answer<'_, T> {
        let unknown = || ServiceError::NotFound { message: "ResourceNotFoundException".to_owned() };
        let said = self.0.get(ca.as_str()).map(what).ok_or_else(unknown);
        Box::pin(std::future::ready(said))
    }
}

impl Service for World {
    fn describe<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, Description> {
        self.said(ca, |(description, _)| description.clone())
    }
    fn ca_certificate<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, IssuedPem> {
        self.said(ca, |(_, pem)| pem.clone())
    }
    fn issue<'a>(&'a self, _: &'a CaArn, _: &'a IssueRequest) -> Answer<'a, String> {
        unreachable!("a survey issues nothing")
    }
    fn certificate<'a>(&'a self, _: &'a CaArn, _: &'a str) -> Answer<'a, Option<IssuedPem>> {
        unreachable!("a survey fetches nothing")
    }
    fn revoke<'a>(&'a self, _: &'a CaArn, _: &'a str, _: RevocationReason) -> Answer<'a, ()> {
        unreachable!("a survey revokes nothing")
    }
}

fn arn(number: u8) -> String {
    format!("arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/{number}")
}

fn wanted(name: &str, days: u32) -> LocalAuthority {
    LocalAuthority {
        subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
        key_algorithm: KeyAlgorithm::EcP256,
        lifetime: Lifetime::days(days),
        parent: None,
        passphrase_file: None,
    }
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::EcP256).unwrap()
}

/// A root that ends so many days after `at`.
fn root_of(at: OffsetDateTime, days: u32) -> IssuedPem {
    let root = Ca::make_root(&wanted("rented", days), Duration::ZERO, &key(), at).unwrap();
    IssuedPem { certificate: root.to_pem(), chain: String::new() }
}

/// A root that ends in so many days.
fn root(days: u32) -> IssuedPem {
    root_of(NOW, days)
}

fn active() -> Description {
    Description {
        status: CaStatus::Active,
        key_algorithm: Some(KeyAlgorithm::EcP256),
        key_algorithm_name: "EC_prime256v1".to_owned(),
        is_short_lived: false,
        is_root: true,
        not_after: None,
    }
}

/// A mesh whose authority `rented` is the first CA, with more fields of it.
fn mesh(fields: &str, rest: &str) -> String {
    format!(
        "version: 1\ntrustDomain: d\nauthorities:\n  rented: {{acmPca: {{arn: \"{}\"{fields}}}}}\n\
         {rest}",
        arn(1)
    )
}

const NODE: &str = "virtualNodes: {front: {lifetime: 7d}}\n";

/// What is found: severity, the text in question, message and help.
async fn found(world: &World, text: &str) -> Vec<(Severity, String, String)> {
    let path = Path::new("mesh.yaml");
    let desired = MeshFile::read(path, text.as_bytes()).unwrap().desired;
    let surveyed = ask(world, &desired).await;
    let problems = judge(&desired, &surveyed, &Places::of(path, text.as_bytes()), NOW);
    let one = |problem: Problem| {
        let said = format!("{} / {}", problem.message, problem.help.unwrap_or_default());
        (problem.severity, text[problem.span].to_owned(), said)
    };
    problems.into_iter().map(one).collect()
}

#[track_caller]
fn one(found: &[(Severity, String, String)], severity: Severity, place: &str, words: &[&str]) {
    let [(its, at, said)] = found else { panic!("{found:?}") };
    assert_eq!(*its, severity, "{said}");
    assert!(at.contains(place), "{at}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

fn world(description: Description, pem: IssuedPem) -> World {
    World(HashMap::from([(arn(1), (description, pem))]))
}

#[tokio::test]
async fn a_ca_that_does_what_is_wanted_is_passed_in_silence() {
    let world = world(active(), root(365));
    assert_eq!(found(&world, &mesh("", NODE)).await, []);
    let local = "virtualNodes: {front: {}}\nauthorities: {a: {}}\nversion: 1\ntrustDomain: d\n";
    assert_eq!(found(&world, local).await, []);
}

#[tokio::test]
async fn a_ca_that_is_not_there_is_an_error_at_its_arn() {
    let found = found(&World::default(), &mesh("", NODE)).await;
    let words = ["DescribeCertificateAuthority: ", "ResourceNotFoundException"];
    one(&found, Severity::Error, &arn(1), &words);
}

#[tokio::test]
async fn a_ca_that_does_not_sign_now_is_an_error_with_its_remedy() {
    for (status, remedy) in [
        ("DISABLED", "--status ACTIVE"),
        ("PENDING_CERTIFICATE", "import-certificate-authority-certificate"),
        ("DELETED", "restore-certificate-authority"),
        ("EXPIRED", "new certificate"),
    ] {
        let description = Description { status: CaStatus::Other(status.to_owned()), ..active() };
        let found = found(&world(description, root(365)), &mesh("", NODE)).await;
        one(&found, Severity::Error, &arn(1), &[status, remedy]);
    }
}

#[tokio::test]
async fn a_key_that_envoy_cannot_judge_or_no_certificate_is_an_error() {
    let name = "ML_DSA_65".to_owned();
    let description = Description { key_algorithm: None, key_algorithm_name: name, ..active() };
    let of_key = found(&world(description, root(365)), &mesh("", NODE)).await;
    one(&of_key, Severity::Error, &arn(1), &["ML_DSA_65", "Envoy"]);
    let garbage = IssuedPem { certificate: "-".to_owned(), chain: String::new() };
    let of_garbage = found(&world(active(), garbage), &mesh("", NODE)).await;
    one(&of_garbage, Severity::Error, &arn(1), &["cannot be used"]);
}

#[tokio::test]
async fn what_lives_too_long_for_the_short_lived_mode_is_told_at_its_lifetime() {
    let description = Description { is_short_lived: true, ..active() };
    let world = world(description, root(365));
    assert_eq!(found(&world, &mesh("", NODE)).await, [], "7d are just allowed");
    let long = found(&world, &mesh("", "virtualNodes: {front: {lifetime: 8d}}\n")).await;
    one(&long, Severity::Error, "8d", &["8d is wanted", "at most 7d", "general-purpose"]);
    // Said once by default, it is told once.
    let nodes = "defaults: {lifetime: 30d}\nvirtualNodes: {front: , blue: }\n";
    one(&found(&world, &mesh("", nodes)).await, Severity::Error, "30d", &["at most 7d"]);
    let below = "  own: {local: {parent: rented, lifetime: 90d}}\n\
                 virtualNodes: {front: {authority: own}}\n";
    one(&found(&world, &mesh("", below)).await, Severity::Error, "90d", &["at most 7d"]);
}

#[tokio::test]
async fn a_ca_that_ends_sooner_than_what_it_signs_is_a_warning_and_one_that_has_ended_an_error() {
    let soon = found(&world(active(), root(5)), &mesh("", NODE)).await;
    one(&soon, Severity::Warning, "7d", &["ends on 2026-11-26", "is cut to that"]);
    let past = root_of(earlier(NOW, Duration::from_hours(72)), 2);
    let ended = found(&world(active(), past), &mesh("", NODE)).await;
    one(&ended, Severity::Error, &arn(1), &["has ended"]);
}

#[tokio::test]
async fn a_ca_that_allows_none_below_it_is_no_parent() {
    let directory = tempfile::tempdir().unwrap();
    let root_key = key();
    let top = Ca::make_root(&wanted("top", 3_650), Duration::ZERO, &root_key, NOW).unwrap();
    let top_pem = top.to_pem();
    let name = AuthorityName::parse("top").unwrap();
    let authority = Ca::new(name, root_key, vec![top]).unwrap();
    let key = key();
    let rented = wanted("rented", 999);
    let sign = || authority.make_intermediate(&rented, Duration::ZERO, 1, key.public(), NOW);
    let under = sign().unwrap();
    let pem = IssuedPem { certificate: under.to_pem(), chain: top_pem.clone() };
    let world = world(active(), pem.clone());
    let below = |rest: &str| {
        mesh("", &format!("  own: {{local: {{parent: rented, lifetime: 90d}}}}\n{rest}"))
    };
    assert_eq!(found(&world, &below("virtualNodes: {front: {authority: own}}\n")).await, []);
    let deeper = below(
        "  deeper: {local: {parent: own, lifetime: 30d}}\n\
         virtualNodes: {front: {authority: deeper}}\n",
    );
    let told = found(&world, &deeper).await;
    one(&told, Severity::Error, "own", &["allows 1 CAs below it, and here are 2"]);

    // The mesh's own file is held to what AWS says.
    let file = directory.path().join("rented.pem");
    let named = mesh(&format!(", certificates: {}", file.display()), NODE);
    std::fs::write(&file, format!("{}{top_pem}", pem.certificate)).unwrap();
    assert_eq!(found(&world, &named).await, []);
    std::fs::write(&file, format!("{}{top_pem}", sign().unwrap().to_pem())).unwrap();
    let older = found(&world, &named).await;
    one(&older, Severity::Warning, "rented.pem", &["AWS has for this CA now", "get-certificate"]);
    std::fs::write(&file, root(9).certificate).unwrap();
    one(&found(&world, &named).await, Severity::Error, "rented.pem", &["another root"]);
    std::fs::write(&file, "nothing").unwrap();
    one(&found(&world, &named).await, Severity::Error, "rented.pem", &["not a CA's"]);
}

#[tokio::test]
async fn quotas_have_their_say() {
    let world = world(active(), root(3_650));
    let fast = found(&world, &mesh(", rates: {issue: 50}", NODE)).await;
    one(&fast, Severity::Note, &arn(1), &["25 for IssueCertificate", "Service Quotas"]);
    let nodes: Vec<_> = (0..200).map(|number| format!("n{number}: {{}}")).collect();
    let slow = format!("virtualNodes: {{{}}}\n", nodes.join(", "));
    let slow = found(&world, &mesh(", rates: {issue: 1}", &slow)).await;
    one(&slow, Severity::Note, &arn(1), &["200 certificates of a new mesh take"]);
    let many: Vec<_> = (0..5).map(|number| format!("n{number}: {{lifetime: 2m}}")).collect();
    let many = format!("virtualNodes: {{{}}}\n", many.join(", "));
    let many = found(&world, &mesh("", &many)).await;
    one(&many, Severity::Warning, &arn(1), &["in a year", "1000000", "parent"]);
}
