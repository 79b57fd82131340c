//! `--dry-run`: changes nothing, and says what the real run then does.

use serde_json::Value;

use crate::support::site::{COLORAPP, Site, mesh};

/// The report of a run, in JSON.
fn report(site: &Site, arguments: &str) -> Value {
    serde_json::from_str(&site.issue(&format!("--format json {arguments}")).stdout).unwrap()
}

/// What plan and run must agree on, whatever happened: nothing is left out but serials and times of
/// what is yet to be made, which only the run can know.
fn comparable(mut report: Value) -> Value {
    for line in report["nodes"].as_array_mut().unwrap() {
        if line["action"] != "kept" {
            let line = line.as_object_mut().unwrap();
            ["serial", "notAfter", "due"].iter().for_each(|field| drop(line.remove(*field)));
        }
    }
    for line in report["authorities"].as_array_mut().unwrap() {
        if line["action"] != "kept" {
            line.as_object_mut().unwrap().remove("notAfter");
        }
    }
    report["dryRun"] = Value::Null;
    report
}

#[track_caller]
fn agrees(site: &Site, what: &str) {
    let before = site.has("certs").then(|| site.everything("certs"));
    let plan = report(site, "--dry-run");
    assert_eq!(plan["dryRun"], true);
    assert_eq!(site.has("certs").then(|| site.everything("certs")), before, "{what}: untouched");
    let run = report(site, "");
    assert_eq!(run["dryRun"], false);
    assert_eq!(comparable(plan), comparable(run), "{what}");
}

#[test]
fn plan_and_run_agree_over_the_life_of_a_mesh() {
    let site = Site::colorapp();
    agrees(&site, "nothing is there");
    agrees(&site, "all is there");
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_1, ca_2] }");
    agrees(&site, "addGreen");
    site.edit("  ca_2:\n", "  ca_2:\n  ca_3: { local: { keyAlgorithm: rsa-2048 } }\n");
    site.edit("authority: ca_2", "keyAlgorithm: rsa-2048, authority: ca_3");
    site.edit("[ca_1, ca_2]", "[ca_1, ca_2, ca_3]");
    agrees(&site, "a move to an authority that is yet to be made");
    site.remove("certs/ca_1_cert.pem");
    agrees(&site, "a CA certificate is lost");
    site.remove("certs/ca_3_cert.pem");
    site.remove("certs/ca_3_key.pem");
    agrees(&site, "a CA is lost");
    site.edit("  ca_2:\n", "  ca_2: { local: { parent: ca_4 } }\n  ca_4:\n");
    agrees(&site, "a root becomes an intermediate");
    site.remove("certs/front_key.pem");
    site.write("certs/colorapp-blue_cert.pem", "x");
    site.remove("certs/colorapp-green_trust.pem");
    agrees(&site, "files are broken");
    site.remove("certs/ca_1_key.pem");
    agrees(&site, "a CA's key is lost");
    site.edit("front:          {", "front:          { files: { mode: \"0640\" },");
    agrees(&site, "access");
}

#[test]
fn plan_and_run_agree_when_things_fail() {
    let site = Site::of(
        "good: {}, sealed: { local: { passphraseFile: nowhere } }, \
         partner: { trustOnly: { certificates: nowhere.pem } }",
        "a: { authority: good }, b: { authority: sealed }, c: { authority: good, trust: [partner] }",
    );
    agrees(&site, "a missing passphrase and missing roots");
    site.write("nowhere", "\n");
    agrees(&site, "an empty passphrase");
    site.write("nowhere", "secret\n");
    agrees(&site, "a passphrase");
    site.write("nowhere", "wrong\n");
    agrees(&site, "a wrong passphrase");
    let run = report(&site, "--dry-run");
    assert_eq!(run["authorities"][1]["action"], "failed");
    assert_eq!(site.issue("--dry-run").code, Some(1), "a plan that will fail is a failure too");
}

#[test]
fn a_plan_makes_no_directory() {
    let site = Site::colorapp();
    site.issue("--dry-run")
        .done()
        .says("ca_1", &["would create"])
        .says("front", &["would create", "there was none"])
        .tells("certs: 17 files would be written, 0 right already; dry run: nothing was changed");
    assert!(!site.has("certs"));
    site.issue("--dry-run --live --state elsewhere").done();
    assert!(!site.has("certs") && !site.has("elsewhere"));
}

#[test]
fn a_plan_shows_no_serial_that_will_never_be() {
    let site = Site::colorapp();
    let plan = report(&site, "--dry-run");
    for node in plan["nodes"].as_array().unwrap() {
        assert_eq!(node.get("serial"), None);
    }
}

#[test]
fn a_plan_as_of_another_moment_says_what_will_be_due() {
    let site = Site::issued();
    let before = site.everything("certs");
    let day = 86_400;
    let now = i64::try_from(before[std::path::Path::new("")].2 / 1_000_000_000).unwrap();
    let at = |seconds: i64| site.issue(&format!("--dry-run --at {}", rfc3339(seconds)));
    at(now + day / 3).done().says("front", &["kept"]);
    at(now + day * 2 / 3).done().says("front", &["would renew", "due since "]);
    at(now + day * 2).done().says("front", &["would renew", "it expired at "]);
    at(now - day)
        .failed(&["ca_1_cert.pem is not valid before ", "set this machine's clock"])
        .says("front", &["FAILED", "clock"]);
    at(now + 3_651 * day)
        .failed(&["the issuer's certificate ended at"])
        .tells("note    ca_1 has ended and can sign nothing; add another authority");
    at(now + 3_500 * day + 600)
        .done()
        .tells("note    ca_1 ends in 149d 23h; add another authority");
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn another_moment_is_for_plans_alone() {
    let site = Site::issued();
    let run = site.issue("--at 2030-01-01T00:00:00Z");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--dry-run"), "{}", run.stderr);
    let run = site.issue("--dry-run --at tomorrow");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("write it as 2027-01-31T12:00:00Z"), "{}", run.stderr);
}

#[test]
fn a_plan_reads_while_another_run_works() {
    use std::os::fd::AsFd;
    let site = Site::issued();
    let held = std::fs::File::open(site.path("certs")).unwrap();
    rustix::fs::flock(held.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap();
    site.issue("--dry-run").done().says("front", &["kept"]);
}

#[test]
fn the_walkthrough_written_in_flow_style_is_the_same_mesh() {
    let site = Site::with(COLORAPP);
    site.issue("").done();
    let before = site.everything("certs");
    site.write("other.yaml", mesh("x: {}", "n: { authority: x }"));
    site.certctl("issue -f other.yaml -o certs --dry-run")
        .done()
        .tells("note    front_key.pem belongs to nothing in the mesh file; remove it if so");
    assert_eq!(site.everything("certs"), before);
}

fn rfc3339(seconds: i64) -> String {
    certctl::time::rfc3339(certctl::time::OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}
