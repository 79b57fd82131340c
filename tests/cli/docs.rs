//! What the documentation says, held to what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use certctl::cli::Cli;
use certctl::desired::mesh_file::MeshFile;
use certctl::desired::schema::schema;
use clap::CommandFactory;
use clap::error::ErrorKind;
use serde_json::Value;

/// The README, docs/*.md and the README of each example, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = |directory: &str| {
        fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path())
    };
    let mut paths = vec![root.join("README.md")];
    paths.extend(listed("docs").filter(|path| path.extension().is_some_and(|e| e == "md")));
    paths.extend(listed("certs-example").map(|path| path.join("README.md")));
    paths.retain(|path| path.is_file());
    assert!(paths.len() >= 4, "{paths:?}");
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a document that are marked as one of `languages`.
fn blocks<'a>(text: &'a str, languages: &[&str]) -> Vec<&'a str> {
    let mut pieces = text.split("\n```");
    pieces.next();
    // Beginnings of blocks and ends of blocks take turns.
    pieces
        .step_by(2)
        .filter_map(|piece| piece.split_once('\n'))
        .filter(|(language, _)| languages.contains(language))
        .map(|(_, block)| block)
        .collect()
}

#[test]
fn every_mesh_file_in_the_documents_is_accepted() {
    let mut whole = 0;
    for (path, text) in documents() {
        for block in blocks(&text, &["yaml"]) {
            let at = format!("{}:\n{block}", path.display());
            let field = |name: &str| block.lines().any(|line| line.starts_with(name));
            let fragment = !field("version:");
            let mut mesh = block.to_owned();
            if fragment {
                mesh = format!("version: 1\ntrustDomain: example.org\n{mesh}");
            }
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("mesh.yaml");
            fs::write(&file, &mesh).unwrap();
            let read =
                MeshFile::read(&file, mesh.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{at}"));
            if fragment {
                continue;
            }
            whole += 1;
            assert_eq!(read.files, [], "a whole example names no files: {at}");
            let check = Command::new(env!("CARGO_BIN_EXE_certctl"))
                .args(["config", "check", "-f"])
                .arg(&file)
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&check.stderr);
            assert!(check.status.success() && told.is_empty(), "{told}\n{at}");
        }
    }
    assert!(whole >= 7, "{whole} whole mesh files");
}

/// The steps of "Changing a CA", taken as they are printed: what is loaded before a step and after it
/// accepts each other in every mixture, from one end to the other.
#[test]
fn a_ca_is_changed_as_described_without_a_refused_handshake() {
    let (_, text) =
        documents().into_iter().find(|(path, _)| path.ends_with("docs/mesh-file.md")).unwrap();
    let section = text.split("\n## ").find(|part| part.starts_with("Changing a CA")).unwrap();
    let steps = blocks(section, &["yaml"]);
    assert_eq!(steps.len(), 4);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let certctl = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_certctl"))
            .current_dir(directory.path())
            .args(arguments)
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let mut told = Vec::new();
    for (step, mesh) in steps.iter().enumerate() {
        fs::write(path("mesh.yaml"), mesh).unwrap();
        let (code, text) = certctl(&["issue"]);
        assert_eq!(code, Some(0), "{text}");
        told.push(text);
        for node in ["front", "colors"] {
            for kind in ["trust", "cert_chain"] {
                let file = format!("certs/{node}_{kind}.pem");
                fs::copy(path(&file), path(&format!("{step}_{node}_{kind}.pem"))).unwrap();
            }
        }
    }
    for (step, expected) in [
        (1, "trust that grew: front_trust.pem, colors_trust.pem"),
        (2, "leaves of another authority: front, colors"),
        (3, "trust that shrank: front_trust.pem, colors_trust.pem"),
        (3, "ca_1_key.pem belongs to nothing in the mesh file"),
    ] {
        assert!(told[step].contains(expected), "step {step}: {}", told[step]);
    }
    let accepts = |trusting: usize, signed: usize| {
        [("front", "colors"), ("colors", "front")].map(|(one, other)| {
            let bundle = format!("{trusting}_{one}_trust.pem");
            let (code, _) = certctl(&[
                "verify",
                "--bundle",
                &bundle,
                &format!("{signed}_{other}_cert_chain.pem"),
            ]);
            code == Some(0)
        })
    };
    for before in 0..3 {
        for (trusting, signed) in [(before, before + 1), (before + 1, before), (before, before)] {
            assert_eq!(accepts(trusting, signed), [true; 2], "{trusting} of {signed}");
        }
    }
    // And why no step can be left out.
    assert_eq!(accepts(0, 2), [false; 2]);
    assert_eq!(accepts(3, 1), [false; 2]);
}

/// Every name of a field in a JSON Schema.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| fields(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn the_reference_has_every_field_and_every_key_algorithm() {
    let (_, text) =
        documents().into_iter().find(|(path, _)| path.ends_with("docs/mesh-file.md")).unwrap();
    let mut expected = BTreeSet::new();
    let schema = schema();
    fields(&schema, &mut expected);
    assert!(expected.len() > 30, "{expected:?}");
    let algorithms = schema["$defs"]["keyAlgorithm"]["enum"].as_array().unwrap();
    expected.extend(algorithms.iter().map(|name| name.as_str().unwrap().to_owned()));
    let examples = blocks(&text, &["yaml"]).concat();
    for name in expected {
        assert!(text.contains(&format!("`{name}`")), "`{name}` is not in docs/mesh-file.md");
        let shown = name.contains('-') || examples.contains(&format!("{name}:"));
        assert!(shown, "no example in docs/mesh-file.md has `{name}`");
    }
}

/// The links within a document, to headings of its own.
#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        let anchors: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .map(|line| line.trim_start_matches('#').trim().to_lowercase())
            .map(|title| title.replace(' ', "-").replace(['`', ',', ':', '.'], ""))
            .collect();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if let Some(anchor) = link.strip_prefix('#') {
                assert!(anchors.iter().any(|a| a == anchor), "{}: #{anchor}", path.display());
            } else if !link.starts_with("http") {
                let target = path.parent().unwrap().join(link);
                assert!(target.exists(), "{}: {link}", path.display());
            }
        }
    }
}

/// The command lines of a document: those of its shell blocks, which must be whole, and those
/// within its text, where arguments may be missing.
fn command_lines(text: &str) -> Vec<(bool, String)> {
    let shell = blocks(text, &["", "sh", "shell", "bash", "console"]).join("\n");
    let shell = shell.replace("\\\n", " ");
    let whole = shell.lines().map(|line| line.trim_start_matches("$ ").trim());
    let whole = whole.filter(|line| line.starts_with("certctl ")).map(|l| (true, l.to_owned()));
    let prose: String = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    let named = prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with("certctl "));
    let named = named.map(|code| (false, code.replace("\\|", "|").replace("SHELL", "bash")));
    whole.chain(named.collect::<Vec<_>>()).collect()
}

#[test]
fn every_command_line_in_the_documents_can_be_typed() {
    let mut count = 0;
    for (path, text) in documents() {
        for (whole, line) in command_lines(&text) {
            let words: Vec<_> = line
                .split_whitespace()
                .take_while(|word| !word.starts_with(['#', '>', '|']) && *word != "&&")
                .collect();
            // `config check|schema|import` names three commands.
            let alternatives = words.iter().map(|word| word.split('|').count()).max().unwrap();
            for alternative in 0..alternatives {
                let words = words.iter().map(|word| {
                    let all: Vec<_> = word.split('|').collect();
                    *all.get(alternative).unwrap_or(&all[0])
                });
                count += 1;
                let Err(error) = Cli::command().try_get_matches_from(words) else { continue };
                let missing = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                let shown = matches!(error.kind(), ErrorKind::DisplayHelp);
                assert!(shown || missing && !whole, "{}: {line}\n{error}", path.display());
            }
        }
    }
    assert!(count > 20, "{count} command lines");
}
