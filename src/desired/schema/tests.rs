//! The schema and the reader accept the same files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;

use super::*;
use crate::desired::document::{Node, Value as Yaml, parse_documents};
use crate::desired::mesh_file::{self, MeshFile};
use crate::desired::problem::Problems;

const EVERY_FIELD: &str = include_str!("../../../tests/fixtures/mesh/every-field.yaml");
const COLORAPP: &str = include_str!("../../../tests/fixtures/mesh/colorapp.yaml");

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// What an editor sees: YAML 1.2's core schema, so far as a mesh file needs it.
fn json_of(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Scalar { text, quoted: false } => match (text.as_str(), text.parse::<i64>()) {
            ("true", _) => true.into(),
            ("false", _) => false.into(),
            (_, Ok(number)) => number.into(),
            _ => text.as_str().into(),
        },
        Yaml::Scalar { text, .. } => text.as_str().into(),
        Yaml::Sequence(nodes) => nodes.iter().map(json_of).collect(),
        Yaml::Mapping(entries) => {
            entries.iter().map(|(key, node)| (key.value.clone(), json_of(node))).collect()
        }
    }
}

fn json(text: &str) -> Value {
    json_of(&parse_documents(text, &Problems::new()).unwrap()[0].root)
}

fn accepted(text: &str) -> bool {
    MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).is_ok()
}

/// The mesh files below `directory`, by their names.
fn mesh_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            mesh_files(&path, found);
        } else if name.starts_with("mesh") && name.ends_with(".yaml") {
            found.push(path);
        }
    }
}

#[test]
fn it_is_a_schema_and_its_own_example_is_a_mesh() {
    assert!(jsonschema::meta::is_valid(&schema()));
    let example = &schema()["examples"][0];
    let errors: Vec<_> = validator().iter_errors(example).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    // JSON is YAML.
    assert!(accepted(&example.to_string()));
}

#[test]
fn it_has_the_fields_that_the_reader_asks_for_and_no_others() {
    let places = [
        ("the mesh file", ""),
        ("an authority", "/$defs/authority"),
        ("`local`", "/$defs/local"),
        ("`acmPca`", "/$defs/privateCa"),
        ("`rates`", "/$defs/privateCa/properties/rates"),
        ("`subject`", "/$defs/subject"),
        ("`trustOnly`", "/$defs/trustOnly"),
        ("a virtual node", "/$defs/node"),
        ("a virtual gateway", "/$defs/node"),
        ("`listener`", "/$defs/listener"),
        ("a backend", "/$defs/backend"),
        ("`files`", "/$defs/files"),
        ("`attest`", "/$defs/selectors"),
        ("`defaults`", "/$defs/defaults"),
        ("`defaults.listener`", "/$defs/defaults/properties/listener"),
        ("`defaults.files`", "/$defs/defaults/properties/files"),
    ];
    let asked = mesh_file::fields(EVERY_FIELD);
    let readers: BTreeSet<_> = asked.iter().map(|(what, _)| *what).collect();
    assert_eq!(readers, places.iter().map(|(what, _)| *what).collect());
    let schema = schema();
    for (what, pointer) in places {
        let properties = schema.pointer(&format!("{pointer}/properties")).unwrap();
        let said: BTreeSet<_> =
            properties.as_object().unwrap().keys().map(String::as_str).collect();
        let asked: BTreeSet<_> =
            asked.iter().filter(|(of, _)| *of == what).map(|(_, name)| *name).collect();
        assert_eq!(said, asked, "{what}");
    }
}

#[test]
fn every_mapping_with_fields_refuses_others() {
    fn judge(schema: &Value, at: &str) {
        if let Some(object) = schema.as_object() {
            let is_object = object.get("additionalProperties").is_some();
            if object.contains_key("properties") && !at.ends_with("/then") && !at.ends_with("/not")
            {
                assert!(is_object, "{at} lets unknown fields pass");
            }
            object.iter().for_each(|(name, value)| judge(value, &format!("{at}/{name}")));
        }
    }
    judge(&schema(), "");
}

#[test]
fn every_example_and_fixture_fits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    mesh_files(&root.join("certs-example"), &mut files);
    assert!(!files.is_empty(), "certs-example has no mesh file");
    files.extend(
        ["colorapp.yaml", "every-field.yaml"].map(|f| root.join("tests/fixtures/mesh").join(f)),
    );
    let mut examples: Vec<_> = files.iter().map(|f| fs::read_to_string(f).unwrap()).collect();
    for document in ["README.md", "docs/mesh-file.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let blocks =
            text.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        examples.extend(blocks.map(|block| match block.contains("version:") {
            true => block.to_owned(),
            false => format!("version: 1\ntrustDomain: example.org\n{block}"),
        }));
    }
    let validator = validator();
    for text in examples {
        let document = json(&text);
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{text}");
        assert!(accepted(&text), "{text}");
    }
}

/// One change to a file that has every field, to what neither may accept.
#[test]
fn what_one_value_cannot_say_is_refused_by_both() {
    let validator = validator();
    for (from, to) in [
        ("version: 1", "version: 2"),
        ("version: 1", "version: \"1\""),
        ("version: 1\n", ""),
        ("trustDomain: example.org", "trustDomain: Example.org"),
        ("trustDomain: example.org\n", ""),
        ("clockSkew: 10m", "clockSkew: ten"),
        ("clockSkew: 10m", "clockSkew: 10"),
        ("dnsSuffix: mesh.", "dnsSuffix: -mesh."),
        ("dnsSuffix: mesh.", "dnsSufix: mesh."),
        ("defaults:", "default:"),
        ("  lifetime: 12h", "  lifetimes: 12h"),
        ("  lifetime: 12h", "  lifetime: 12"),
        ("ec-p384", "ed25519"),
        ("mode: permissive", "mode: PERMISSIVE"),
        ("mode: permissive", "mode: permissive, callers: [front]"),
        ("owner: envoy", "owner: en voy"),
        ("group: 1337", "group: -1"),
        ("mode: \"0640\"", "mode: \"0644\""),
        ("mode: \"0640\"", "mode: \"0740\""),
        ("mode: \"0640\"", "mode: rw"),
        ("  partner:\n", "  ../partner:\n"),
        ("  partner:\n", "  a/b:\n"),
        ("  partner:\n", "  \"a\\0\":\n"),
        ("{ certificates: partner.pem, trustDomain: partner.example }", "{}"),
        ("trustOnly: {", "acmPca: {"),
        ("trustOnly: {", "local: {}\n    trustOnly: {"),
        ("arn: arn:aws:acm-pca:us-east-2", "arn: arn:aws:acm:us-east-2"),
        ("endpoint: https://", "endpoint: "),
        ("template: EndEntityCertificate_", "template: CodeSigningCertificate_"),
        ("{ issue: 10, get: 30 }", "{ issue: 0, get: 30 }"),
        ("{ issue: 10, get: 30 }", "{ issue: 10, revoke: 30 }"),
        ("maxCertificatesPerHour: 500", "maxCertificatesPerHour: many"),
        ("pricePerCertificate: 0.058", "pricePerCertificate: -1"),
        ("pricePerCertificate: 0.058", "price: 0.058"),
        ("country: DE", "country: Germany"),
        ("organization: Example\n", "organization: \"\"\n"),
        ("key: /etc/bought/key.pem, ", ""),
        ("key: /etc/bought/key.pem,", "key: /etc/bought/key.pem, parent: root,"),
        ("certificate: bought/cert.pem, ", ""),
        ("parent: root", "parent: [root]"),
        ("Front.example.org", "\"*.example.org\""),
        ("Front.example.org", "front_.example.org"),
        ("Front.example.org", "www.example.org"),
        ("spiffePath: /ns", "spiffePath: ns"),
        ("spiffePath: /ns", "spiffePath: /%6es"),
        ("[issuing, bought, stolen]", "[]"),
        ("[issuing, bought, stolen]", "[issuing, issuing]"),
        ("[issuing, bought, stolen]", "issuing"),
        ("distrust: [stolen]", "distrust: stolen"),
        ("distrust: [stolen]", "distrust: [stolen, stolen]"),
        ("distrust: [stolen]", "distrust:"),
        ("spiffe://partner.example/shop", "spiffe://partner.example"),
        ("port: 8080", "port: 0"),
        ("port: 8080", "port: 65536"),
        ("port: 8080", "port: http"),
        ("callers: [front]", "callers: front"),
        ("callers: [front]", "callers: [front]\n    listener: { callers: [front] }"),
        ("backends: [colors]", "backends: colors"),
        ("backends: [colors]", "backends: [colors, colors]"),
        ("name: front-proxy", "name: .front"),
        ("trustDomain: partner.example", "trustDomain: spiffe://partner.example"),
        ("attest: any", "attest: all"),
        ("attest: any", "attest: [any, { uid: 1 }]"),
        ("attest: any", "attest: []"),
        ("attest: any", "attest: {}"),
        ("attest: any", "attest: [{}]"),
        ("attest: { uid: 101 }", "attest:"),
        ("attest: { uid: 101 }", "attest: { user: 101 }"),
        ("attest: { uid: 101 }", "attest: { uid: envoy }"),
        ("attest: { uid: 101 }", "attest: { uid: -1 }"),
        ("attest: { uid: 101 }", "attest: { gid: 4294967295 }"),
        ("attest: { uid: 101 }", "attest: { executable: envoy }"),
        ("sha256: 0123", "sha256: 123"),
        ("pod: 9ad31421", "pod: /9ad31421"),
        ("container: 6d2b5f5c", "container: containerd://6d2b5f5c"),
        ("  colors:\n    dns", "  \"../colors\":\n    dns"),
        ("virtualGateways:", "virtualGateway:"),
    ] {
        assert!(EVERY_FIELD.contains(from), "{from:?} is not in the file");
        let changed = EVERY_FIELD.replacen(from, to, 1);
        assert!(!validator.is_valid(&json(&changed)), "the schema accepts {to:?} for {from:?}");
        assert!(!accepted(&changed), "the reader accepts {to:?} for {from:?}");
    }
}

#[test]
fn what_the_reader_accepts_fits() {
    let validator = validator();
    for (from, to) in [
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, backends: {} }"),
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, backends: [], callers: [] }"),
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, files: , listener: }"),
        (
            "{ authority: ca_1, trust: [ca_1] }",
            "{ authority: ca_1, files: { mode: 0640, owner: \"7\" } }",
        ),
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, attest: [any] }"),
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, attest: [{ uid: \"7\" }] }"),
        (
            "{ authority: ca_1, trust: [ca_1] }",
            "{ authority: ca_1, lifetime: 1h 30min, dnsNames: [A-b.c] }",
        ),
        ("{ authority: ca_1, trust: [ca_1] }", "{ authority: ca_1, lifetime: ' 5 days ' }"),
        ("version: 1", "version: 1\nclockSkew: 0"),
        ("version: 1", "version: 1\nclockSkew: 1.5h"),
        ("version: 1", "version: 1\ndefaults:\nvirtualGateways:"),
        ("version: 1", "version: 1\ndistrust: []"),
        ("ca_1: {}", "ca_1: { local: { subject: } }"),
    ] {
        assert!(COLORAPP.contains(from), "{from:?} is not in the file");
        let changed = COLORAPP.replacen(from, to, 1);
        assert!(accepted(&changed), "the reader refuses {to:?}");
        assert!(validator.is_valid(&json(&changed)), "the schema refuses {to:?}");
    }
}
