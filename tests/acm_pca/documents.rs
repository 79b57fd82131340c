//! The commands of AWS's own command line in the documents, held to AWS's own description of the
//! service: it comes with botocore, of which that command line is made.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::tools;

/// What every command takes.
const GLOBAL: [&str; 3] = ["output", "query", "region"];

/// A file of the description, unpacked.
fn described(file: &str) -> Value {
    let path = tools::moto().join("botocore/data/acm-pca/2017-08-22").join(file);
    let script = "import gzip, sys; name = sys.argv[1]; \
                  file = gzip.open(name) if name.endswith('.gz') else open(name, 'rb'); \
                  sys.stdout.buffer.write(file.read())";
    let output = Command::new(tools::tool_python()).args(["-c", script]).arg(&path).output();
    let output = output.expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// `AuthorityCSRCreated` as the command line has it: `authority-csr-created`.
fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (place, c) in letters.iter().enumerate() {
        let is_small = |place: Option<usize>| {
            place.and_then(|place| letters.get(place)).is_some_and(char::is_ascii_lowercase)
        };
        let begins = is_small(place.checked_sub(1)) || is_small(Some(place + 1));
        if place > 0 && c.is_ascii_uppercase() && begins {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The members of an operation's request, as options.
fn options(service: &Value, operation: &str) -> BTreeSet<String> {
    let input = service["operations"][operation]["input"]["shape"].as_str().expect("a request");
    let members = service["shapes"][input]["members"].as_object().expect("its members");
    members.keys().map(|name| kebab(name)).collect()
}

/// The words of each `aws acm-pca …` in a document's shell blocks and help texts.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().flat_map(|line| line.split("aws acm-pca ").skip(1));
    lines
        .map(|command| {
            let end = command.find(['`', '|', '>', ',']).unwrap_or(command.len());
            command[..end].split_whitespace().map(|word| word.replace([')', '"'], "")).collect()
        })
        .collect()
}

#[test]
fn the_commands_of_aws_in_the_documents_exist_and_take_these_options() {
    let service = described("service-2.json.gz");
    let waiters = described("waiters-2.json");
    let operations = service["operations"].as_object().expect("operations");
    let mut count = 0;
    for file in ["certs-example/acm-pca/README.md", "docs/acm-pca.md", "src/survey/judge.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        for words in commands(&std::fs::read_to_string(path).expect("a document")) {
            let (name, rest) = match &words[..] {
                [wait, name, rest @ ..] if wait == "wait" => (name, rest),
                [name, rest @ ..] => (name, rest),
                [] => panic!("{file}: a command without a name"),
            };
            let operation = if words[0] == "wait" {
                let waiters = waiters["waiters"].as_object().expect("waiters");
                let found = waiters.iter().find(|(waiter, _)| kebab(waiter) == *name);
                found.and_then(|(_, waiter)| waiter["operation"].as_str())
            } else {
                operations.keys().map(String::as_str).find(|known| kebab(known) == *name)
            };
            let operation = operation.unwrap_or_else(|| panic!("{file}: no `{name}`: {words:?}"));
            let known = options(&service, operation);
            for option in rest.iter().filter_map(|word| word.strip_prefix("--")) {
                let is_known = known.contains(option) || GLOBAL.contains(&option);
                assert!(is_known, "{file}: {operation} has no {option}: {known:?}");
            }
            count += 1;
        }
    }
    assert!(count >= 12, "{count} commands");
}
