//! Texts that nobody should write, by the thousand: nothing panics, and what is accepted is whole.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::desired::TrustSet;
use crate::desired::layout;

/// What must hold of every accepted mesh, and of every problem.
fn judge(text: &str) -> Result<(), TestCaseError> {
    let within = |problem: &Problem| {
        text.get(problem.span.clone()).is_some()
            && problem.related.iter().all(|(span, _)| text.get(span.clone()).is_some())
    };
    match MeshFile::read(Path::new("m/mesh.yaml"), text.as_bytes()) {
        Err(error) => {
            prop_assert!(error.problems.iter().any(|p| p.severity == Severity::Error));
            prop_assert!(error.problems.iter().all(within));
            prop_assert!(error.to_string().starts_with("m/mesh.yaml:"));
        }
        Ok(file) => {
            prop_assert!(file.warnings.iter().all(|p| p.severity != Severity::Error && within(p)));
            whole(&file.desired)?;
        }
    }
    Ok(())
}

fn whole(desired: &Desired) -> Result<(), TestCaseError> {
    prop_assert!(!desired.authorities.is_empty());
    for (name, authority) in &desired.authorities {
        desired.root_of(name);
        if let Authority::Local(LocalAuthority { lifetime, parent: Some(parent), .. }) = authority {
            match &desired.authorities[parent] {
                Authority::Local(parent) => prop_assert!(*lifetime <= parent.lifetime),
                Authority::Imported(_) | Authority::AcmPca(_) => {}
                Authority::TrustOnly(_) => prop_assert!(false, "a parent without a key"),
            }
        }
    }
    let known = |set: &TrustSet| {
        !set.names().is_empty() && set.names().iter().all(|n| desired.authorities.contains_key(n))
    };
    for name in &desired.distrust {
        prop_assert!(desired.authorities.contains_key(name));
        let root = desired.root_of(name);
        for identity in desired.identities.values() {
            let mut trusted = identity.trust_sets().flat_map(TrustSet::names);
            prop_assert!(trusted.all(|by| desired.root_of(by) != root), "{name} is trusted still");
            prop_assert!(desired.distrusted(&identity.authority).is_none());
        }
    }
    let mut ids = HashSet::new();
    for (name, identity) in &desired.identities {
        prop_assert_eq!(name, &identity.name);
        prop_assert!(ids.insert(&identity.spiffe_id));
        prop_assert_eq!(identity.spiffe_id.trust_domain(), &desired.trust_domain);
        let distinct: HashSet<_> = identity.dns_names.iter().collect();
        prop_assert_eq!(distinct.len(), identity.dns_names.len());
        prop_assert!(known(&identity.trust) && known(&identity.listener.trust));
        prop_assert_eq!(identity.files.mode & !0o660, 0);
        let nothing = Grant::Process(Selectors::default());
        prop_assert!(!identity.attest.contains(&nothing));
        match &desired.authorities[&identity.authority] {
            Authority::Local(local) => prop_assert!(identity.lifetime <= local.lifetime),
            Authority::Imported(_) | Authority::AcmPca(_) => {}
            Authority::TrustOnly(_) => prop_assert!(false, "an authority without a key"),
        }
        for (backend, settings) in identity.backends.iter().flatten() {
            prop_assert!(desired.identities.contains_key(backend) && known(&settings.trust));
        }
        for caller in identity.listener.callers.iter().flatten() {
            if let Caller::Node(caller) = caller {
                prop_assert!(desired.identities.contains_key(caller));
            }
        }
    }
    let mut files = HashSet::new();
    for file in layout::files(desired) {
        prop_assert!(file.name.len() <= layout::MAX_FILE_NAME && !file.name.contains('/'));
        prop_assert!(files.insert(file.name));
    }
    Ok(())
}

/// A change to a text that often leaves a mesh file: lines and words repeated, dropped, swapped.
#[derive(Clone, Debug)]
enum Change {
    DropLine(usize),
    RepeatLine(usize, usize),
    Replace(usize, usize),
    Insert(usize, char),
    Cut(usize),
}

const CHARACTERS: &str = "abc_1:-,{}[]&*#'\"|>~!% \n\té☃\u{0}./";

fn change() -> impl Strategy<Value = Change> {
    let character = prop::sample::select(CHARACTERS.chars().collect::<Vec<_>>());
    prop_oneof![
        any::<usize>().prop_map(Change::DropLine),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Change::RepeatLine(from, to)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Change::Replace(from, to)),
        (any::<usize>(), character).prop_map(|(at, c)| Change::Insert(at, c)),
        any::<usize>().prop_map(Change::Cut),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let line = |at: usize| at % lines.len().max(1);
    match *change {
        _ if lines.is_empty() => return text.to_owned(),
        Change::DropLine(at) => {
            let at = line(at);
            lines.remove(at);
        }
        Change::RepeatLine(from, to) => {
            let (from, to) = (line(from), line(to));
            lines.insert(to, lines[from]);
        }
        Change::Replace(from, to) => {
            let words: Vec<&str> = text
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|w| !w.is_empty())
                .collect();
            return match words.as_slice() {
                [] => text.to_owned(),
                words => {
                    text.replacen(words[from % words.len()], words[to % words.len()], 1 + to % 3)
                }
            };
        }
        Change::Insert(at, c) => {
            let mut characters: Vec<char> = text.chars().collect();
            characters.insert(at % (characters.len() + 1), c);
            return characters.into_iter().collect();
        }
        Change::Cut(at) => return text.chars().take(at % (text.chars().count() + 1)).collect(),
    }
    lines.join("\n") + "\n"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_accepted_whole_or_refused(text in any::<String>()) {
        judge(&text)?;
    }

    #[test]
    fn changed_mesh_files_are_accepted_whole_or_refused(
        full: bool, changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut text = if full { EVERY_FIELD } else { COLORAPP }.to_owned();
        for change in &changes {
            text = apply(&text, change);
            judge(&text)?;
        }
    }

    #[test]
    fn small_meshes_of_few_names_are_accepted_whole_or_refused(
        parents in prop::collection::vec(prop::option::of(0..4_usize), 1..4),
        nodes in prop::collection::vec((0..4_usize, 0..4_usize, 0..4_usize, any::<bool>()), 0..5),
        distrust in prop::option::of(0..4_usize),
    ) {
        // Names that clash easily in files: `a`, `a_b`, `a_backend_a`, ...
        let names = ["a", "a_b", "b", "a_backend_a"];
        let mut text = "version: 1\ntrustDomain: d\nauthorities:\n".to_owned();
        for (name, parent) in names.iter().zip(&parents) {
            let parent = parent.map(|parent| format!("local: {{parent: {}}}", names[parent]));
            text += &format!("  {name}: {{{}}}\n", parent.unwrap_or_default());
        }
        if let Some(distrust) = distrust {
            text += &format!("distrust: [{}]\n", names[distrust]);
        }
        text += "virtualNodes:\n";
        for (index, (authority, trust, backend, listed)) in nodes.iter().enumerate() {
            let name = names.get(index).copied().unwrap_or("a_listener");
            let peers = if *listed { "backends" } else { "callers" };
            text += &format!(
                "  {name}: {{authority: {}, trust: [{}], {peers}: [{}]}}\n",
                names[*authority], names[*trust], names[*backend]
            );
        }
        judge(&text)?;
    }
}
