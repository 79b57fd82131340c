//! What is refused outright: wrong usage, mesh files and directories; each message says what, where
//! and what to do, and nothing is made.

use crate::support::program::Run;
use crate::support::site::Site;

#[track_caller]
fn makes_nothing(site: &Site, run: Run, words: &[&str]) {
    run.failed(words);
    assert!(!site.has("certs"));
}

#[test]
fn a_mesh_file_that_cannot_be_read() {
    let site = Site::colorapp();
    let run = site.certctl("issue -f nowhere.yaml");
    makes_nothing(
        &site,
        run,
        &["there is no file nowhere.yaml", "name the mesh file with -f FILE"],
    );
    let run = site.certctl("issue -f .");
    makes_nothing(&site, run, &["cannot read .", "Is a directory"]);
    site.write("mesh.yaml", "");
    let run = site.issue("");
    makes_nothing(&site, run, &["mesh.yaml has 1 error"]);
    site.write("mesh.yaml", [0xff, 0xfe, 0x00]);
    let run = site.issue("");
    makes_nothing(&site, run, &["mesh.yaml has 1 error"]);
}

#[test]
fn a_mesh_file_with_mistakes_shows_each_line_and_what_to_do() {
    let site = Site::colorapp();
    site.edit("authority: ca_2", "authority: ca_3");
    site.edit("callers: [front] }\n", "callers: [frnt] }\n");
    let run = site.issue("");
    makes_nothing(
        &site,
        run,
        &[
            "mesh.yaml has 2 errors",
            "there is no authority `ca_3`",
            "did you mean `ca_",
            "frnt",
            "mesh.yaml:9:",
            "colorapp-green:",
        ],
    );
    // A mistake stops a mesh that runs, and changes nothing of it.
    let site = Site::issued();
    let before = site.everything("certs");
    site.edit("authority: ca_2", "authority: ca_3");
    site.issue("").failed(&["there is no authority `ca_3`"]);
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn the_mesh_may_come_from_standard_input() {
    let site = Site::colorapp();
    site.shell("exec \"$@\" <mesh.yaml", "issue -f - -o certs").done();
    site.verify("ca_1", "front");
    site.shell("echo nonsense | \"$@\"", "issue -f - -o other").failed(&["standard input has"]);
    assert!(!site.has("other"));
}

#[test]
fn an_output_that_is_no_directory() {
    let site = Site::colorapp();
    site.write("file", "precious");
    let words =
        ["cannot open the directory file: there is a file, not a directory; choose another"];
    site.certctl("issue -f mesh.yaml -o file").failed(&words);
    site.certctl("issue -f mesh.yaml -o file --dry-run").failed(&words);
    site.certctl("issue -f mesh.yaml -o file/below").failed(&["file"]);
    let run = site.certctl("issue -f mesh.yaml -o certs --state file");
    run.failed(&["cannot open the directory file: there is a file, not a directory"]);
    assert_eq!(site.text("file"), "precious");
    site.certctl("issue -f mesh.yaml -o /proc/certs").failed(&["/proc/certs"]);
    let told = site.certctl("issue -f mesh.yaml -o file").stderr;
    assert!(!told.contains("os error"), "a cause is told once:\n{told}");
}

#[test]
fn things_in_the_way_of_files_are_named_and_left_alone() {
    let site = Site::issued();
    site.remove("certs/front_cert.pem");
    std::fs::create_dir(site.path("certs/front_cert.pem")).unwrap();
    site.issue("").failed(&["front", "certs/front_cert.pem is a directory, not a regular file"]);
    std::fs::remove_dir(site.path("certs/front_cert.pem")).unwrap();
    // A symlink is not followed: it might lead to anybody's file.
    site.write("elsewhere.pem", "precious");
    std::os::unix::fs::symlink("../elsewhere.pem", site.path("certs/front_cert.pem")).unwrap();
    site.issue("").failed(&["certs/front_cert.pem is a symlink that certctl did not make"]);
    assert_eq!(site.text("elsewhere.pem"), "precious");
    site.remove("certs/front_cert.pem");
    site.issue("").done().says("front", &["renewed", "front_cert.pem is missing"]);
    site.remove("certs/ca_2_key.pem");
    std::os::unix::fs::symlink("../elsewhere.pem", site.path("certs/ca_2_key.pem")).unwrap();
    site.issue("").failed(&["ca_2: certs/ca_2_key.pem is a symlink that certctl did not make"]);
    assert_eq!(site.text("elsewhere.pem"), "precious");
}

#[test]
fn a_file_too_large_to_be_ours_is_not_read() {
    let site = Site::issued();
    let file = std::fs::File::create(site.path("certs/front_cert.pem")).unwrap();
    file.set_len(1 << 40).unwrap();
    site.issue("")
        .failed(&["front: certs/front_cert.pem has 1099511627776 bytes; at most 16777216"]);
}

#[test]
fn wrong_usage_exits_with_2_and_says_how() {
    let site = Site::colorapp();
    for (arguments, words) in [
        ("issue --bogus", "unexpected argument '--bogus'"),
        ("issue extra", "unexpected argument 'extra'"),
        ("issue -o json", "-o names the directory here; write --format json or -o ./json"),
        ("issue --format xml", "[possible values: table, json, yaml]"),
        ("issue -f", "a value is required for '--file <FILE>'"),
        ("isue", "tip: some similar subcommands exist"),
    ] {
        let run = site.certctl(arguments);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments}: {}", run.stderr);
    }
    assert!(!site.has("certs"));
    let help = site.certctl("issue --help").done().stdout;
    assert!(help.contains("certctl issue -f mesh.yaml -o certs --dry-run"), "{help}");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let site = Site::of("ca: { local: { passphraseFile: /dev/zero } }", "front: { authority: ca }");
    site.issue("").failed(&["cannot read /dev/zero: it has more than 16777216 bytes"]);
}
