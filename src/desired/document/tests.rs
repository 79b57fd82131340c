//! What YAML is read as, and what is said of YAML that is not read.

use proptest::prelude::*;

use super::*;
use crate::desired::problem::Problems;

/// The tree on one line: texts in their quotes, `key: value`, places left out.
fn shape(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".to_owned(),
        Value::Scalar { text, quoted: true } => format!("{text:?}"),
        Value::Scalar { text, .. } => text.clone(),
        Value::Sequence(nodes) => {
            format!("[{}]", nodes.iter().map(shape).collect::<Vec<_>>().join(", "))
        }
        Value::Mapping(entries) => {
            let entry =
                |(key, node): &(Spanned<String>, Node)| format!("{}: {}", key.value, shape(node));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn read(source: &str) -> (Vec<String>, Vec<Problem>) {
    let problems = Problems::new();
    let documents = parse_documents(source, &problems).unwrap_or_default();
    (documents.iter().map(|document| shape(&document.root)).collect(), problems.into_vec())
}

fn every_node(node: &Node, visit: &mut impl FnMut(&Range<usize>)) {
    visit(&node.span);
    match &node.value {
        Value::Sequence(nodes) => nodes.iter().for_each(|node| every_node(node, visit)),
        Value::Mapping(entries) => {
            for (key, node) in entries {
                visit(&key.span);
                every_node(node, visit);
            }
        }
        Value::Null | Value::Scalar { .. } => {}
    }
}

#[test]
fn texts_stay_as_they_are_written() {
    for (source, expected) in [
        (
            "a: on\nb: 1.10\nc: 0777\nd: 24h\ne: 1_000",
            "{a: on, b: 1.10, c: 0777, d: 24h, e: 1_000}",
        ),
        ("a: 'on'\nb: \"\\u00e9\"\nc: !!str 1\nd: ! 2", r#"{a: "on", b: "é", c: "1", d: "2"}"#),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", r#"{a: "x\ny\n", b: "x y"}"#),
        (
            "a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: !!null",
            r#"{a: ~, b: ~, c: ~, d: "", e: "null", f: ~}"#,
        ),
        ("[1, {a: b}, [], {}]", "[1, {a: b}, [], {}]"),
        ("null: 1\n~: 2\n1.10: 3", "{null: 1, ~: 2, 1.10: 3}"),
        ("a: !!int 1\nb: !!map {}\nc: !!seq []", "{a: 1, b: {}, c: []}"),
        ("\u{feff}a: 1", "{a: 1}"),
        ("a: 1\r\nb:\r\n- x\r\n- y\r\n", "{a: 1, b: [x, y]}"),
    ] {
        assert_eq!(read(source), (vec![expected.to_owned()], vec![]), "{source:?}");
    }
}

#[test]
fn a_stream_has_many_documents_and_empty_ones_are_left_out() {
    assert_eq!(read("---\na: 1\n---\n---\n# none\n---\n- b\n...\n").0, ["{a: 1}", "[b]"]);
    assert_eq!(read(""), (vec![], vec![]));
    assert_eq!(read("# only a comment\n"), (vec![], vec![]));
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    for (source, expected) in [
        ("a: &x [1, 2]\nb: *x", "{a: [1, 2], b: [1, 2]}"),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", "{a: {p: 1, q: 2}, b: {q: 3, p: 1}}"),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 3}\nc: {<<: [*x, *y]}",
            "{a: {p: 1}, b: {p: 2, q: 3}, c: {p: 1, q: 3}}",
        ),
        ("a: {'<<': 1}", "{a: {<<: 1}}"),
        ("- &x a\n- {*x : 1}", "[a, {a: 1}]"),
    ] {
        assert_eq!(read(source), (vec![expected.to_owned()], vec![]), "{source:?}");
    }
}

#[test]
fn what_is_not_acceptable_is_refused_at_its_place() {
    let deep = "[".repeat(70);
    let nested = format!("a: &x {}1{}\nb: {}*x", "[".repeat(40), "]".repeat(40), "[".repeat(40));
    let bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}, ", level - 1).repeat(9);
            text += &format!("a{level}: &a{level} [{before}]\n");
        }
        text
    };
    let heavy = format!("a: &x {}\nb: [{}]", "x".repeat(1 << 20), "*x, ".repeat(20));
    for (source, at, expected) in [
        ("a: 1\nb: 2\na: 3", "a: 3", "the key `a` is here twice"),
        ("é: {ü: 1, ü: 2}", "ü: 2", "the key `ü` is here twice"),
        ("a: \u{0}", "\u{0}", "NUL byte"),
        ("a: *b", "*b", "unknown anchor"),
        ("a: &x [*x]", "*x]", "within what it stands for"),
        ("a: !foo 1", "!foo", "the tag `!foo` has no meaning"),
        ("a: !!binary 1", "!!binary", "the tag `!!binary` has no meaning"),
        ("a: !!map 1", "!!map", "the tag `!!map` has no meaning"),
        ("a: !!set {}", "!!set", "the tag `!!set` has no meaning"),
        ("[a]: 1", "[a]", "a key is a list; it must be text"),
        ("a: 1\n: 2", ": 2", "a key is missing here"),
        ("a: {<<: 1}", "1", "`<<` cannot merge a single value"),
        ("a: b: c", ": c", "mapping values are not allowed"),
        ("a:\n\tb: c", "\tb", "indented with a tab"),
        ("ä: [1, 2\nb: 3\n", ": 3", "this is not YAML"),
        (&deep, &deep[64..], "more than 64 levels"),
        (&nested, "*x", "more than 64 levels"),
        (&bomb, "", "more than 1000000 values"),
        (&heavy, "", "repeat more than 16 MiB"),
    ] {
        let (_, problems) = read(source);
        assert_eq!(problems.len(), 1, "{source:?}: {problems:?}");
        assert!(problems[0].message.contains(expected), "{source:?}: {problems:?}");
        let place = &source[problems[0].span.start..];
        assert!(place.starts_with(at), "{source:?}: {place:?}");
    }
}

#[test]
fn tabs_brackets_and_duplicates_come_with_what_helps() {
    let help = |source: &str| read(source).1.remove(0).help.unwrap_or_default();
    assert!(help("a:\n\tb: c").contains("indent with spaces"));
    assert!(help("a: b: c").contains("into quotes"));
    assert!(help("a: *b").contains("define it"));
    let unclosed = read("a: [1, 2\nb: 3\n").1.remove(0);
    assert_eq!(unclosed.related, [(3..4, "opened here and not closed before".to_owned())]);
    let twice = read("a: 1\nb: 2\na: 3").1.remove(0);
    assert_eq!(twice.related, [(0..1, "first here".to_owned())]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(decode("é".as_bytes()), Ok("é"));
    let error = decode(b"a: \xff").unwrap_err();
    assert_eq!((error.span.clone(), error.message.contains("not UTF-8: byte 3")), (3..3, true));
    for marked in [&b"\xff\xfev\0"[..], b"\xfe\xff\0v"] {
        assert_eq!(decode(marked).unwrap_err().message, "the file is UTF-16, not UTF-8");
    }
    let error = decode(&vec![b' '; MAX_BYTES + 1]).unwrap_err();
    assert!(error.message.contains("longer than 16 MiB"), "{}", error.message);
    assert!(read(&" ".repeat(MAX_BYTES + 1)).1[0].message.contains("longer than 16 MiB"));
}

#[test]
fn places_are_byte_offsets_also_after_wider_characters() {
    let source = "\u{feff}# ☃ snow\r\nä: {ö: [ü, 'ß']}\r\n\
         list:\r\n  - é # ☃\r\n  - |\r\n    ☃\r\n\r\nend: {}\r\n";
    let problems = Problems::new();
    let documents = parse_documents(source, &problems).unwrap();
    let mut texts = Vec::new();
    every_node(&documents[0].root, &mut |span| texts.push(&source[span.clone()]));
    assert_eq!(
        texts[1..],
        [
            "ä",
            "{ö: [ü, 'ß']}",
            "ö",
            "[ü, 'ß']",
            "ü",
            "'ß'",
            "list",
            "- é # ☃\r\n  - |\r\n    ☃",
            "é",
            "☃",
            "end",
            "{}"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused_with_places_within_it(
        source in prop_oneof![
            any::<String>(),
            "([a-c:&*\\-\\[\\]{}#|>'\"!%,? \n\t<é☃]|: |- |\n  |<<: |\\*a|&a ){0,60}",
        ],
    ) {
        let problems = Problems::new();
        let documents = parse_documents(&source, &problems).unwrap_or_default();
        let mut within = true;
        let mut check = |span: &Range<usize>| within &= source.get(span.clone()).is_some();
        documents.iter().for_each(|document| every_node(&document.root, &mut check));
        for problem in problems.into_vec() {
            check(&problem.span);
            problem.related.iter().for_each(|(span, _)| check(span));
        }
        prop_assert!(within);
    }
}
