//! Manifests with random damage.

use certctl::desired::app_mesh::import;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const NAMES: [&str; 5] =
    ["colors.yaml.template", "sds.yaml", "gateway.yaml", "acm.yaml", "colors.mesh.yaml"];
const HOSTILE: [&str; 24] = [
    "[]",
    "{}",
    "null",
    "-1",
    "a b",
    "../../x",
    "true",
    "\"\\u0000\"",
    "\"a\\nb: c\"",
    "front",
    "stock",
    "web",
    "ca_1",
    "*.example.org",
    "spiffe://",
    "spiffe://shop.example/web",
    "spiffe://x/..",
    "/certs/front_cert.pem",
    "/certs/ca_1_ca_1_bundle.pem",
    "/certs/stock_trust_cert.pem",
    "10.0.0.1",
    "host.",
    "${NAMESPACE}",
    "é",
];

#[derive(Clone, Debug)]
enum Change {
    Drop(Index),
    Double(Index),
    Replace(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<Index>().prop_map(Change::Drop),
        any::<Index>().prop_map(Change::Double),
        (any::<Index>(), 0..HOSTILE.len()).prop_map(|(line, with)| Change::Replace(line, with)),
    ]
}

fn apply(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in changes {
        match change {
            Change::Drop(at) => drop(lines.remove(at.index(lines.len()))),
            Change::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
            }
            Change::Replace(at, with) => {
                let at = at.index(lines.len());
                let with = HOSTILE[*with];
                let line = &mut lines[at];
                match (line.rfind(": "), line.rfind("- ")) {
                    (Some(colon), _) => line.replace_range(colon + 2.., with),
                    (None, Some(dash)) => line.replace_range(dash + 2.., with),
                    (None, None) => {}
                }
                // What was cut off within brackets is closed again.
                for (open, close) in [("{", "}"), ("[", "]")] {
                    let missing =
                        line.matches(open).count().saturating_sub(line.matches(close).count());
                    line.push_str(&close.repeat(missing));
                }
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases.max(1_000),
        ..ProptestConfig::default()
    })]
    /// Whatever becomes of a manifest, it is refused or becomes a mesh file; only for a
    /// certificate of ACM may that ask for an authority.
    #[test]
    fn manifests_are_refused_or_become_a_mesh_file(
        which in 0..NAMES.len(), changes in prop::collection::vec(change(), 1..6), all: bool,
    ) {
        let manifest = fixture(NAMES[which]).remove(0).text;
        let manifests = text(&apply(&manifest, &changes));
        let options = Options { all, ..Options::default() };
        let Ok(made) = import(&manifests, &colors("ca_1_ca_2_bundle.pem"), &options) else {
            return Ok(());
        };
        if let Err(error) = MeshFile::read(Path::new("mesh.yaml"), made.mesh_file.as_bytes()) {
            let asks = error.to_string().contains("which authority signs");
            prop_assert!(
                asks && made.mesh_file.contains("CHOOSE an authority"),
                "{error}\n{}\n{}", made.mesh_file, manifests[0].text
            );
        }
    }
}
