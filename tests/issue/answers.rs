//! What a run prints, in every format, and the exit codes.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::site::Site;

#[test]
fn the_table_is_plain_and_aligned() {
    let site = Site::issued();
    let run = site.issue("").done();
    assert_eq!(run.stderr, "");
    let lines: Vec<_> = run.stdout.lines().collect();
    for (table, columns) in [
        (&lines[..3], &["AUTHORITY", "ACTION", "ENDS IN", "WHY"][..]),
        (&lines[4..8], &["NODE", "AUTHORITY", "ACTION", "ENDS IN", "RENEWS IN", "WHY"][..]),
    ] {
        for column in columns {
            let at = table[0].find(column).unwrap_or_else(|| panic!("{column}: {}", table[0]));
            for line in table.iter().filter(|line| line.len() > at) {
                assert_ne!(&line[at..=at], " ", "{column} in {line:?}");
                assert!(at == 0 || line[..at].ends_with("  "), "{column} in {line:?}");
            }
        }
    }
    assert_eq!((lines[3], lines[8]), ("", ""));
    assert!(lines[5].starts_with("front           ca_1       kept    "), "{}", lines[5]);
    assert!(run.stdout.is_ascii() && run.stdout.ends_with("right already\n"));
    assert!(run.stdout.lines().all(|line| line.trim_end() == line));
}

#[test]
fn json_says_everything_and_says_it_again_the_same() {
    let site = Site::issued();
    let run = || site.issue("--format json").done().stdout;
    let text = run();
    assert_eq!(text, run());
    let report: Value = serde_json::from_str(&text).unwrap();
    let node = &report["nodes"][0];
    let serial = site.serial("front");
    assert_eq!(serial.trim(), format!("serial={}", node["serial"].as_str().unwrap()));
    let end = site.run("x509 -in certs/front_cert.pem -noout -enddate -dateopt iso_8601");
    let end = end.trim().trim_start_matches("notAfter=").replace(' ', "T");
    assert_eq!(node["notAfter"], json!(end));
    assert_eq!(node["action"], "kept");
    assert_eq!(node["authority"], "ca_1");
    assert!(node["due"].as_str().unwrap() < node["notAfter"].as_str().unwrap());
    let fields: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "dryRun",
        "authorities",
        "nodes",
        "filesWritten",
        "filesKept",
        "filesAccessChanged",
        "trustChanges",
        "rollOut",
        "leftOver",
        "notes",
    ];
    wanted.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, wanted);
    assert_eq!(report["filesKept"], 13);
}

#[test]
fn yaml_says_what_json_says() {
    let site = Site::issued();
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_1, ca_2] }");
    let json: Value = serde_json::from_str(&site.issue("--dry-run --format json").stdout).unwrap();
    let yaml = site.issue("--dry-run --format yaml").done().stdout;
    assert!(yaml.starts_with("dryRun: true\n"), "{yaml}");
    let serial = json["nodes"][0]["serial"].as_str().unwrap();
    assert!(yaml.contains(&format!("serial: {serial}")) || yaml.contains(&format!("\"{serial}\"")));
    assert!(yaml.contains("file: front_trust.pem"), "{yaml}");
    assert!(yaml.contains("front_trust.pem; wait until every proxy has loaded it"), "{yaml}");
}

#[test]
fn failures_are_in_the_answer_and_in_the_exit_code_in_every_format() {
    let site = Site::issued();
    site.remove("certs/ca_2_key.pem");
    site.remove("certs/colorapp-green_key.pem");
    let run =
        site.issue("--format json").failed(&["ca_2: ca_2_cert.pem is here, but ca_2_key.pem"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["nodes"][2]["action"], "failed");
    assert_eq!(report["authorities"][1]["action"], "failed");
    site.issue("--format yaml").failed(&[]).tells("action: failed");
    let run = site.issue("-q").failed(&["2 of the mesh's authorities and nodes failed", "ca_2: "]);
    assert_eq!(run.stdout, "");
}

#[test]
fn quiet_prints_nothing_but_what_was_asked_for() {
    let site = Site::colorapp();
    let run = site.issue("-q").done();
    assert_eq!((run.stdout, run.stderr), (String::new(), String::new()));
    let run = site.issue("-q --format json").done();
    assert!(serde_json::from_str::<Value>(&run.stdout).is_ok());
}

#[test]
fn a_reader_that_goes_away_stops_no_work_and_hides_no_failure() {
    let run = |site: &Site, arguments: &str| {
        let mut child = site
            .command(&format!("issue -f mesh.yaml -o certs {arguments}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (child.wait().unwrap().code(), stderr)
    };
    let site = Site::colorapp();
    assert_eq!(run(&site, ""), (Some(0), String::new()));
    site.verify("ca_1", "front");
    assert_eq!(run(&site, "--format json"), (Some(0), String::new()));
    site.remove("certs/ca_1_key.pem");
    for arguments in ["", "--format json", "--format yaml"] {
        let (code, stderr) = run(&site, arguments);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("ca_1_key.pem is not"), "{stderr}");
    }
}

#[test]
fn a_closed_standard_output_is_no_excuse() {
    let site = Site::colorapp();
    site.shell("exec \"$@\" >&-", "issue -f mesh.yaml -o certs");
    site.verify("ca_1", "front");
    site.shell("exec \"$@\" >/dev/full", "issue -f mesh.yaml -o certs")
        .failed(&["cannot print the answer", "No space left on device"]);
}

#[test]
fn settings_come_from_flag_then_environment_then_default() {
    let site = Site::colorapp();
    site.shell("CERTCTL_OUT=one CERTCTL_FILE=mesh.yaml exec \"$@\"", "issue -q").done();
    assert!(site.has("one/front_key.pem") && !site.has("certs"));
    site.shell("CERTCTL_OUT=one CERTCTL_STATE=state exec \"$@\"", "issue -q -o two").done();
    assert!(site.has("two/front_key.pem") && site.has("state/ca_1_key.pem"));
    site.certctl("issue -q").done();
    assert!(site.has("certs/front_key.pem"), "mesh.yaml and certs are the defaults");
}

#[test]
fn names_of_files_act_upon_no_terminal() {
    let site = Site::issued();
    site.write("certs/\u{1b}]0;x\u{7}_key.pem", "");
    site.issue("").done().tells("note    \\u{1b}]0;x\\u{7}_key.pem belongs to nothing");
    site.edit(
        "  ca_1: {}",
        "  ca_3: { local: { certificate: \"\\e[31m.pem\", key: x } }\n  ca_1: {}",
    );
    let run = site.issue("").failed(&["\\u{1b}[31m.pem: No such file"]);
    assert!(!(run.stdout + &run.stderr).contains('\u{1b}'));
}
