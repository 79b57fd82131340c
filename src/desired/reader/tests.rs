//! Single fields, read and refused.

use super::*;
use crate::desired::document::parse_documents;

/// Reads `source` with `read` and gives the answer with what was told.
fn reading<T>(
    source: &str,
    read: impl FnOnce(&mut MappingReader<'_>) -> T,
) -> (Option<T>, Vec<String>) {
    let problems = Problems::new();
    let documents = parse_documents(source, &problems).unwrap();
    let answer = MappingReader::new(&documents[0].root, "a thing", &problems).map(|mut reader| {
        let answer = read(&mut reader);
        reader.finish();
        answer
    });
    let told = problems.into_vec().into_iter().map(|problem| {
        let help = problem.help.map(|help| format!(" -> {help}")).unwrap_or_default();
        format!("{:?} {}{help}", problem.span, problem.message)
    });
    (answer, told.collect())
}

#[test]
fn numbers_are_read_only_from_numbers() {
    let port = |source| {
        let (answer, told) = reading(source, |reader| reader.integer::<u16>("port"));
        (answer.flatten().map(|port| port.value), told.join("; "))
    };
    assert_eq!(port("port: 8080"), (Some(8080), String::new()));
    for (source, reason) in [
        ("port: '8080'", "\"8080\" in quotes is text"),
        ("port: 65536", "this is \"65536\""),
        ("port: -1", "this is \"-1\""),
        ("port: 0x50", "this is \"0x50\""),
        ("port: [80]", "this is a list"),
        ("port:", "`port` is empty -> give it a value"),
    ] {
        let (answer, told) = port(source);
        assert_eq!(answer, None, "{source}");
        assert!(told.contains(reason), "{source}: {told}");
    }
}

#[test]
fn truth_is_true_or_false_and_nothing_else() {
    let truth = |source| {
        let (answer, told) = reading(source, |reader| reader.boolean("enforce"));
        (answer.flatten().map(|truth| truth.value), told.join("; "))
    };
    assert_eq!(truth("enforce: true"), (Some(true), String::new()));
    assert_eq!(truth("enforce: False"), (Some(false), String::new()));
    for source in ["enforce: yes", "enforce: on", "enforce: 1", "enforce: 'true'", "enforce: {}"] {
        let (answer, told) = truth(source);
        assert_eq!(answer, None, "{source}");
        assert!(told.contains("`enforce` must be true or false, and"), "{source}: {told}");
    }
}

#[test]
fn what_is_missing_empty_or_unknown_is_told_where_it_belongs() {
    let (_, told) = reading("b: 1\nc:\n", |reader| {
        assert!(reader.required("a").is_none());
        assert!(reader.required("c").is_none());
        assert!(reader.present("c").is_none());
        assert!(reader.optional("c").is_some());
    });
    assert_eq!(
        told,
        [
            "0..1 a thing has no field `b` -> known here: a, c",
            "0..1 a thing needs a field `a`",
            "5..6 `c` is empty -> give it a value, or remove it",
        ]
    );
    assert_eq!(reading("[x]", |_| ()).1, ["0..3 a thing must be a mapping, and this is a list"]);
}

#[test]
fn a_known_field_that_cannot_be_used_is_refused_but_not_suggested() {
    let (_, told) = reading("acm: 1\nacmm: 2", |reader| {
        reader.optional("local");
        reader.refuse("acm", "`acm` is not for now");
    });
    assert_eq!(
        told,
        ["0..3 `acm` is not for now", "7..11 a thing has no field `acmm` -> known here: local"]
    );
}

#[test]
fn a_tolerant_end_makes_notes_of_unknown_fields() {
    let problems = Problems::new();
    let documents = parse_documents("a: 1\nb: 2", &problems).unwrap();
    let mut reader = MappingReader::new(&documents[0].root, "a resource", &problems).unwrap();
    assert_eq!(reader.text("a").unwrap().value, "1");
    reader.finish_tolerant();
    assert!(!problems.has_errors());
    let notes = problems.into_vec();
    assert_eq!((notes[0].severity, notes[0].span.clone()), (Severity::Note, 5..6));
    assert_eq!(notes[0].message, "`b` of a resource has no bearing here and is ignored");
    assert_eq!(notes.len(), 1);
}
