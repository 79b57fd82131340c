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
fn what_is_missing_empty_or_unknown_is_told_where_it_belongs() {
    let (_, told) = reading("b: 1\nc:\n", |reader| {
        assert!(reader.required("a").is_none());
        assert!(reader.required("c").is_none());
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
