//! The rules of the house (docs/architecture.md), held to the imports themselves.

#![allow(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room imports. What is not listed is not allowed, what is listed must be used, and
/// a room that is not listed fails the test: whoever adds one decides where it stands.
const ROOMS: &[(&str, &[&str])] = &[
    ("identity", &[]),
    ("time", &[]),
    ("files", &[]),
    ("x509", &["identity", "time"]),
    ("desired", &["identity", "time", "x509"]),
    ("authority", &["desired", "identity", "time", "x509"]),
    ("acm_pca", &["authority", "desired", "identity", "time", "x509"]),
    ("signing", &["authority", "time", "x509"]),
    ("provisioning", &["acm_pca", "authority", "identity", "signing", "store", "time", "x509"]),
    ("store", &["desired", "files", "identity", "time", "x509"]),
    (
        "rotation",
        &["authority", "boards", "desired", "identity", "snapshot", "store", "time", "x509"],
    ),
    (
        "hierarchy",
        &["acm_pca", "authority", "desired", "files", "identity", "store", "time", "x509"],
    ),
    ("snapshot", &["desired", "identity", "x509"]),
    ("boards", &["identity", "snapshot"]),
    ("attest", &["desired", "snapshot", "x509"]),
    ("listening", &["snapshot"]),
    (
        "engine",
        &[
            "acm_pca",
            "authority",
            "boards",
            "desired",
            "files",
            "hierarchy",
            "identity",
            "provisioning",
            "rotation",
            "snapshot",
            "store",
            "time",
            "x509",
        ],
    ),
    ("sds", &["boards", "desired", "identity", "snapshot", "x509"]),
    ("file_sink", &["desired", "files", "snapshot", "store", "x509"]),
    ("status", &[]),
    ("telemetry", &["boards", "engine", "listening", "snapshot", "status", "time"]),
    ("admin", &["identity", "listening", "status"]),
    (
        "agent",
        &[
            "acm_pca",
            "admin",
            "attest",
            "boards",
            "desired",
            "engine",
            "file_sink",
            "hierarchy",
            "identity",
            "listening",
            "sds",
            "snapshot",
            "status",
            "telemetry",
            "time",
        ],
    ),
    ("endpoint", &["x509"]),
    ("envoy", &["desired", "identity"]),
    ("explain", &["desired", "identity", "x509"]),
    (
        "survey",
        &["acm_pca", "authority", "desired", "identity", "rotation", "store", "time", "x509"],
    ),
    (
        "issue",
        &[
            "acm_pca",
            "authority",
            "desired",
            "files",
            "hierarchy",
            "identity",
            "provisioning",
            "rotation",
            "store",
            "time",
            "x509",
        ],
    ),
    (
        "cli",
        &[
            "acm_pca",
            "admin",
            "agent",
            "desired",
            "endpoint",
            "envoy",
            "explain",
            "files",
            "hierarchy",
            "identity",
            "issue",
            "listening",
            "rotation",
            "signing",
            "status",
            "store",
            "survey",
            "telemetry",
            "time",
            "x509",
        ],
    ),
];

/// Crates whose types stop at the edge of the rooms named.
const EDGES: &[(&str, &[&str])] = &[
    ("aws_config", &["acm_pca"]),
    ("aws_credential_types", &["acm_pca"]),
    ("aws_lc_rs", &["attest", "endpoint", "files", "sds", "x509"]),
    ("aws_sdk_acmpca", &["acm_pca"]),
    ("axum", &["admin", "listening", "telemetry"]),
    ("clap", &["cli", "main"]),
    ("comfy_table", &["cli"]),
    ("envoy_types", &["sds"]),
    ("governor", &["acm_pca"]),
    ("humantime", &["time"]),
    ("hyper", &["admin", "sds"]),
    ("hyper_util", &["admin", "sds"]),
    ("indicatif", &["cli"]),
    ("listenfd", &["listening"]),
    ("miette", &["cli"]),
    ("nix", &["attest", "listening", "store"]),
    ("notify", &["desired"]),
    ("pkcs8", &["x509"]),
    ("prometheus_client", &["telemetry"]),
    ("prost", &["sds"]),
    ("rcgen", &["authority", "x509"]),
    ("rustix", &["attest", "files", "listening", "time"]),
    ("rustls", &["endpoint"]),
    ("saphyr_parser", &["desired"]),
    ("serde_saphyr", &["cli"]),
    ("strsim", &["desired"]),
    ("tracing_subscriber", &["telemetry"]),
    ("webpki", &["x509"]),
    ("x509_parser", &["x509"]),
];

#[test]
fn rooms_import_only_what_stands_before_them() {
    let broken: Vec<_> = sources()
        .iter()
        .flat_map(|source| broken_room_rules(&source.room, &source.text).into_iter())
        .collect();
    assert!(broken.is_empty(), "rules of the house broken:\n  {}", broken.join("\n  "));
}

#[test]
fn foreign_types_stop_at_their_edge() {
    let broken: Vec<_> = sources()
        .iter()
        .flat_map(|source| broken_edges(&source.room, &source.text).into_iter())
        .collect();
    assert!(broken.is_empty(), "rules of the house broken:\n  {}", broken.join("\n  "));
}

#[test]
fn no_grant_goes_unused() {
    let mut unused: BTreeSet<_> =
        ROOMS.iter().flat_map(|(room, rooms)| granted(room, rooms)).collect();
    unused.extend(EDGES.iter().flat_map(|(name, rooms)| granted(name, rooms)));
    for Source { room, text } in sources() {
        for import in imports(&text) {
            unused.remove(&(room.clone(), import));
        }
        for (name, _) in EDGES.iter().filter(|(name, _)| uses(&text, name)) {
            unused.remove(&((*name).to_owned(), room.clone()));
        }
    }
    assert!(unused.is_empty(), "grants that nobody uses: {unused:?}");
}

#[test]
fn every_room_is_listed_and_described() {
    let rooms: BTreeSet<_> = sources().into_iter().map(|source| source.room).collect();
    let listed: BTreeSet<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let expected: BTreeSet<_> =
        rooms.into_iter().filter(|room| room != "lib" && room != "main").collect();
    assert_eq!(expected, listed, "ROOMS and src/ differ");
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for room in listed {
        assert!(page.contains(&format!("`{room}`")), "docs/architecture.md leaves out `{room}`");
    }
}

#[test]
fn the_rules_find_what_breaks_them() {
    let found = broken_room_rules("identity", "use crate::x509::key::PrivateKey;");
    assert_eq!(found, ["identity imports x509"]);
    let found = broken_room_rules("x509", "fn f() -> crate::issue::Report {}");
    assert_eq!(found, ["x509 imports issue"]);
    assert!(broken_room_rules("x509", "use super::pem; use crate::time::Clock;").is_empty());
    let nested = "use crate::{identity::NodeName, cli::Cli};";
    assert_eq!(broken_room_rules("files", nested), ["files imports cli", "files imports identity"]);
    assert_eq!(broken_edges("issue", "use rcgen::Issuer;"), ["issue uses rcgen"]);
    assert!(broken_edges("issue", "let rcgen = 1;").is_empty());
}

struct Source {
    room: String,
    text: String,
}

/// Each grant of a list by itself: what it is about, and the room named.
fn granted(about: &str, rooms: &[&str]) -> Vec<(String, String)> {
    rooms.iter().map(|room| (about.to_owned(), (*room).to_owned())).collect()
}

fn broken_room_rules(room: &str, text: &str) -> Vec<String> {
    if room == "lib" || room == "main" {
        return Vec::new();
    }
    let allowed = ROOMS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, rooms)| rooms);
    imports(text)
        .into_iter()
        .filter(|import| import != room && !allowed.contains(&import.as_str()))
        .map(|import| format!("{room} imports {import}"))
        .collect()
}

fn broken_edges(room: &str, text: &str) -> Vec<String> {
    EDGES
        .iter()
        .filter(|(name, rooms)| !rooms.contains(&room) && uses(text, name))
        .map(|(name, _)| format!("{room} uses {name}"))
        .collect()
}

/// The rooms that a text names after `crate::`, braces included.
fn imports(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let list = &list[..list.find("};").unwrap_or(list.len())];
            rooms.extend(top_level_names(list));
        } else {
            rooms.extend(name_at(rest));
        }
    }
    rooms
}

/// The first names of a brace list's items.
fn top_level_names(list: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut items = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => items.push(String::new()),
            _ => {}
        }
        if let Some(item) = items.last_mut()
            && (c != ',' || depth > 0)
        {
            item.push(c);
        }
    }
    items.iter().filter_map(|item| name_at(item.trim())).collect()
}

fn name_at(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty() && name.starts_with(char::is_lowercase)).then_some(name)
}

fn uses(text: &str, name: &str) -> bool {
    text.match_indices(&format!("{name}::"))
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sources under src/ without their tests, what only tests use (`testing`), and comments.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root().join("src"), &mut sources);
    assert!(sources.len() > 10, "src/ was not found");
    sources
}

fn collect(directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem == "tests" || stem == "testing" {
            continue;
        }
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
            let code: Vec<_> =
                text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let inside = path.strip_prefix(root().join("src")).unwrap();
            let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let room = room.trim_end_matches(".rs").to_owned();
            sources.push(Source { room, text: code.join("\n") });
        }
    }
}
