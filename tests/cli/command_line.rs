//! The command line as a newcomer meets it: its help, its shell files, and what it says to mistakes.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use certctl::cli::Cli;
use clap::CommandFactory;

const MESH: &str = "\
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1] }
  colors: { authority: ca_2, trust: [ca_1], callers: [front] }
";

fn certctl(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mesh.yaml"), MESH).unwrap();
    Command::new(env!("CARGO_BIN_EXE_certctl"))
        .current_dir(directory.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = certctl(arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each command with its path from the root: `["config", "check"]`.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn walk(
        command: &clap::Command,
        path: &[String],
        found: &mut Vec<(Vec<String>, clap::Command)>,
    ) {
        for below in command.get_subcommands() {
            let path = [path, &[below.get_name().to_owned()]].concat();
            walk(below, &path, found);
            found.push((path, below.clone()));
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &[], &mut found);
    assert!(found.len() >= 11, "{found:?}");
    found
}

#[test]
fn every_command_has_a_summary_of_one_line_and_examples() {
    for (path, command) in commands() {
        let name = path.join(" ");
        let about = command.get_about().unwrap().to_string();
        assert!(about.len() <= 80 && !about.ends_with('.'), "{name}: {about}");
        assert!(about.starts_with(|c: char| c.is_ascii_uppercase()), "{name}: {about}");
        let end = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(end.starts_with("Examples:\n  "), "{name}: {end}");
        assert!(end.contains(&format!("certctl {name}")) || name == "config", "{name}: {end}");
        // A line that has to be wrapped cannot be copied into a shell.
        assert!(end.lines().all(|line| line.chars().count() <= 100), "{name}: {end}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {}", argument.get_id());
        }
    }
}

#[test]
fn exit_codes_and_the_environment_are_told() {
    let help = stdout(&["--help"]);
    for word in ["CERTCTL_FILE", "CERTCTL_OUT", "CERTCTL_STATE", "NO_COLOR", "Exit codes: 0 done"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
    let environment: Vec<_> = commands()
        .iter()
        .flat_map(|(_, command)| command.get_arguments().cloned().collect::<Vec<_>>())
        .filter_map(|argument| argument.get_env().map(|name| name.to_os_string()))
        .collect();
    assert!(!environment.is_empty());
    for name in environment {
        assert!(help.contains(name.to_str().unwrap()), "{name:?} is not in {help}");
    }
    for command in ["explain", "inspect", "verify"] {
        let help = stdout(&[command, "--help"]);
        assert!(help.contains("Exit codes: 0 ") && help.contains(", 3 "), "{help}");
    }
}

#[test]
fn completions_and_the_manual_have_every_command() {
    let manual = stdout(&["man"]);
    assert_eq!(manual.matches(".TH ").count(), 1);
    let scripts = ["bash", "elvish", "fish", "powershell", "zsh"]
        .map(|shell| stdout(&["completions", shell]));
    for (path, _) in commands() {
        let heading = format!(".SH \"CERTCTL {}\"", path.join(" ").to_uppercase());
        assert!(manual.contains(&heading), "{heading} is not in the manual");
        for script in &scripts {
            assert!(script.contains(path.last().unwrap().as_str()), "{path:?} is not in {script}");
        }
    }
    // Line by line, as in the help.
    assert!(manual.contains("\n  certctl issue \\-f mesh.yaml \\-o certs \\-\\-live"), "{manual}");
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(scripts[0].as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn a_name_that_the_mesh_does_not_have_is_answered_with_the_nearest() {
    for (arguments, message, help) in [
        (&["explain", "front", "colours"][..], "no node \"colours\"", "did you mean `colors`?"),
        (&["explain", "x\u{1b}[2J", "colors"], "no node \"x\\u{1b}[2J\"", "it has: front, colors"),
        (&["sign", "--csr", "-", "--node", "frnt"], "no node \"frnt\"", "did you mean `front`?"),
        (
            &["sign", "--csr", "-", "--node", "front", "--authority", "ca1"],
            "no authority \"ca1\"",
            "did you mean `ca_1`?",
        ),
    ] {
        let output = certctl(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(message) && told.contains(help), "{told}");
    }
}

#[test]
fn explain_ends_with_3_where_a_handshake_would_fail() {
    let output = certctl(&["explain", "front", "colors"]);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("front → colors: refused: front trusts ca_1;"), "{told}");
    assert!(told.contains("to change that: add ca_2 to front.trust"), "{told}");
    assert_eq!(certctl(&["explain", "colors", "colors"]).status.code(), Some(3));
    assert_eq!(certctl(&["explain", "front", "front"]).status.code(), Some(0));
}

#[test]
fn an_answer_that_cannot_be_printed_is_a_failure_and_a_reader_that_has_enough_is_none() {
    for arguments in [&["config", "check"][..], &["config", "schema"], &["man"]] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mesh.yaml"), MESH).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_certctl"));
        command.current_dir(directory.path()).args(arguments);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(told.contains("cannot print the answer"), "{told}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_file_name_reaches_the_terminal_without_what_that_would_act_upon() {
    let name = "no\u{1b}[2Jsuch";
    for arguments in [
        &["config", "check", "-f", name][..],
        &["config", "import", name],
        &["inspect", name],
        &["issue", "-f", name],
        &["sign", "--csr", name, "--node", "front"],
        &["verify", "--bundle", name, name],
    ] {
        let output = certctl(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("no\\u{1b}[2Jsuch") && !told.contains('\u{1b}'), "{told}");
    }
}
