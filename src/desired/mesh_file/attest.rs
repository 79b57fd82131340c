//! Who may ask a running agent for a node's credential, as it is written.

use std::path::{Component, Path, PathBuf};

use crate::desired::document::{Node, Value};
use crate::desired::problem::{Problem, Problems};
use crate::desired::reader::MappingReader;
use crate::desired::{Grant, Selectors};

const MAX_POD: usize = 64;
const MAX_CONTAINER: usize = 128;

/// Reads `attest`: `any`, what must hold of a process, or a list of such.
pub fn attest(reader: &mut MappingReader<'_>) -> Option<Vec<Grant>> {
    let problems = reader.problems();
    reader.optional("attest")?;
    let node = reader.required("attest")?;
    let Value::Sequence(nodes) = &node.value else {
        return Some(vec![grant(node, problems)?]);
    };
    if nodes.is_empty() {
        problems.push(
            Problem::error(node.span.clone(), "`attest` is empty: nobody would get anything")
                .help("write who may ask, or leave `attest` out for processes of the agent's user"),
        );
    }
    let grants: Vec<_> = nodes.iter().map(|node| grant(node, problems)).collect();
    if let Some(any) = grants.iter().position(|grant| *grant == Some(Grant::Any))
        && grants.len() > 1
    {
        let message = "`any` lets everybody in, so that the others mean nothing";
        problems.push(
            Problem::error(nodes[any].span.clone(), message)
                .help("write attest: any alone, or remove it from the list"),
        );
    }
    grants.into_iter().collect()
}

fn grant(node: &Node, problems: &Problems) -> Option<Grant> {
    match &node.value {
        Value::Scalar { text, .. } if text == "any" => Some(Grant::Any),
        Value::Scalar { text, .. } => {
            let message = format!("{text:?} does not say who may ask");
            problems.push(
                Problem::error(node.span.clone(), message)
                    .help("write any, or what holds of the process, such as { uid: 101 }"),
            );
            None
        }
        Value::Mapping(entries) if !entries.is_empty() => {
            MappingReader::new(node, "`attest`", problems)
                .map(|reader| Grant::Process(selectors(reader)))
        }
        Value::Mapping(_) | Value::Null => {
            problems.push(
                Problem::error(node.span.clone(), "this asks nothing of a process")
                    .help("name what must hold of it, such as { uid: 101 }, or write any"),
            );
            None
        }
        Value::Sequence(_) => {
            problems.error(node.span.clone(), "a list within the list of `attest`")
        }
    }
}

fn selectors(mut reader: MappingReader<'_>) -> Selectors {
    let selectors = Selectors {
        uid: reader.parsed("uid", |text| id("user", text)).map(|uid| uid.value),
        gid: reader.parsed("gid", |text| id("group", text)).map(|gid| gid.value),
        executable: reader.parsed("executable", executable).map(|path| path.value),
        sha256: reader.parsed("sha256", sha256).map(|digits| digits.value),
        pod: reader.parsed("pod", pod).map(|uid| uid.value),
        container: reader.parsed("container", container).map(|id| id.value),
    };
    reader.finish();
    selectors
}

/// Numbers alone: whose `/etc/passwd` a name would be looked up in is not clear where each
/// container has one.
fn id(what: &str, text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(id) if digits && id < u32::MAX => Ok(id),
        _ => Err(format!(
            "{text:?} is no {what} number; write one from 0 to {}, not a name, since a container \
             may have other names",
            u32::MAX - 1
        )),
    }
}

fn executable(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    if !path.is_absolute() || !plain || text.ends_with('/') || text.contains('\0') {
        return Err(format!(
            "{text:?} is no executable; write its whole path, such as /usr/local/bin/envoy"
        ));
    }
    Ok(path.components().collect())
}

fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "{text:?} is no SHA-256; write its 64 hexadecimal digits, as sha256sum prints them"
    ))
}

fn pod(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.len() <= MAX_POD && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no UID of a pod; write what its metadata.uid says"))
}

fn container(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= MAX_CONTAINER && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no id of a container; write it without containerd:// or the like"))
}
