//! Requests from outside: each defect that a CA must meet is built, signed so that it is the only
//! one, and refused with its own message.

use certctl::x509::key::{KeyAlgorithm, PrivateKey};

use crate::der::{
    RequestParts, attribute, element, extension, extension_request, names, oid, pem, sequence, set,
    subject,
};

mod endurance;
mod form;
mod front;

use front::{ID, judge};

/// Every row: what it is, the request, and a part of the message that refuses it.
fn refuse(rows: Vec<(&str, Vec<u8>, &str)>) {
    for (what, request, reason) in rows {
        let error = judge(&request).map(|_| what).unwrap_err().to_string();
        assert!(error.contains(reason), "{what}: {error}");
        assert!(!error.chars().any(char::is_control), "{what}: {error:?}");
    }
}

#[test]
fn a_request_gives_its_key_and_nothing_else() {
    for (subject, extensions) in [
        (subject(None), vec![]),
        (subject(Some(b"front")), vec![]),
        (subject(Some(b"Front.Example.org")), vec![]),
        (subject(None), vec![names(&[(6, ID)])]),
        (subject(None), vec![names(&[(2, b"FRONT.local"), (6, ID), (2, b"front.example.org")])]),
    ] {
        let parts = RequestParts {
            subject,
            attributes: vec![extension_request(&extensions)],
            ..RequestParts::default()
        };
        let spki = parts.spki.clone();
        let der = parts.sign();
        let request = judge(&der).unwrap();
        assert_eq!(request.public_key().spki(), spki);
        for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"] {
            assert_eq!(judge(pem(label, &der).as_bytes()).unwrap(), request);
        }
    }
    // rcgen's own, whose default common name is rcgen's.
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let made = rcgen::CertificateParams::new(vec!["front.local".to_owned()])
            .unwrap()
            .serialize_request(&key);
        let error = judge(made.unwrap().der()).unwrap_err().to_string();
        assert!(error.contains("common name \"rcgen self signed cert\""), "{error}");
    }
}

#[test]
fn what_has_no_say_is_set_aside_and_told() {
    let request = judge(
        &RequestParts {
            subject: sequence(&[attribute("2.5.4.10", element(0x0c, b"Example\x1b[31m"))]),
            attributes: vec![
                sequence(&[oid("1.2.840.113549.1.9.7"), set(&[element(0x0c, b"secret")])]),
                extension_request(&[
                    extension("2.5.29.15", true, &element(0x03, &[5, 0xa0])),
                    extension("2.5.29.19", true, &sequence(&[])),
                    extension("2.5.29.37", false, &sequence(&[oid("1.3.6.1.5.5.7.3.1")])),
                    extension("1.2.3.4", false, b"whatever"),
                ]),
            ],
            ..RequestParts::default()
        }
        .sign(),
    )
    .unwrap();
    assert_eq!(
        request.set_aside(),
        [
            "the subject attribute O=Example\\u{1b}[31m",
            "the attribute 1.2.840.113549.1.9.7",
            "the extension keyUsage",
            "the extension basicConstraints",
            "the extension extendedKeyUsage",
            "the extension 1.2.3.4",
        ]
    );
}

#[test]
fn names_that_no_leaf_gets_are_refused() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    let rows: &[(&str, u8, &[u8], &str)] = &[
        ("foreign DNS name", 2, b"bank.example", "\"bank.example\", which front does not have"),
        ("NUL", 2, b"front.local\0.evil.example", "has '\\0' at byte 11"),
        ("newline", 2, b"front\n.local", "has '\\n' at byte 5"),
        ("not ASCII", 2, "frönt.local".as_bytes(), "a DNS name that is not ASCII"),
        ("not UTF-8", 2, b"fr\xffnt.local", "a DNS name that is not ASCII"),
        ("empty label", 2, b"front..local", "has an empty label"),
        ("trailing dot", 2, b"front.local.", "ends with a dot"),
        ("wildcard", 2, b"*.example.org", "is a wildcard"),
        ("empty DNS name", 2, b"", "a DNS name that is empty"),
        ("empty URI", 6, b"", "a URI that is empty"),
        ("IPv4", 7, &[10, 0, 0, 1], "the IP address 10.0.0.1; leaves get"),
        ("IPv6", 7, &[0; 16], "the IP address ::; leaves get"),
        ("5-byte IP", 7, &[10, 0, 0, 1, 2], "an IP address of 5 bytes"),
        ("mail", 1, b"a@example.org", "the mail address \"a@example.org\""),
        ("empty mail", 1, b"", "a mail address that is empty"),
        ("registeredID", 8, &[0x2a, 0x03], "a registeredID"),
        ("otherName", 0x20, &[], "an otherName"),
        ("directory name", 0x24, &[0x30, 0], "a directory name"),
        ("unknown kind", 9, b"x", "the unknown kind [9]"),
        ("DNS name in pieces", 0x22, &[], "the unknown kind [2]"),
        (
            "foreign SPIFFE ID",
            6,
            b"spiffe://example.org/back",
            "SPIFFE ID \"spiffe://example.org/back\", which front",
        ),
        (
            "foreign trust domain",
            6,
            b"spiffe://evil.example/front",
            "which front does not have; it has spiffe://example.org/front",
        ),
        ("..", 6, b"spiffe://example.org/a/../front", "'.' or '..' segment"),
        ("//", 6, b"spiffe://example.org//front", "an empty segment"),
        ("percent", 6, b"spiffe://example.org/fr%6fnt", "has '%'"),
        ("upper case", 6, b"spiffe://Example.org/front", "has 'E'"),
        ("port", 6, b"spiffe://example.org:443/front", "has ':'"),
        ("query", 6, b"spiffe://example.org/front?x=y", "has '?'"),
        ("over-long", 6, long.as_bytes(), "at most 2048"),
        ("another scheme", 6, b"https://example.org/front", "does not begin with spiffe://"),
    ];
    refuse(
        rows.iter()
            .map(|(what, tag, content, reason)| {
                (*what, RequestParts::with_names(&[(*tag, content)]).sign(), *reason)
            })
            .collect(),
    );
    let common_name = |text: &[u8]| {
        RequestParts { subject: subject(Some(text)), ..RequestParts::default() }.sign()
    };
    let in_subject = |kind, value| {
        let subject = sequence(&[attribute(kind, value)]);
        RequestParts { subject, ..RequestParts::default() }.sign()
    };
    refuse(vec![
        ("two URIs", RequestParts::with_names(&[(6, ID), (6, ID)]).sign(), "asks for 2 URIs"),
        (
            "one name twice",
            RequestParts::with_names(&[(2, b"front.local"), (2, b"FRONT.LOCAL")]).sign(),
            "\"front.local\" twice",
        ),
        ("no names", RequestParts::with_names(&[]).sign(), "without any name"),
        (
            "smuggled in the CN",
            common_name(b"bank.example"),
            "common name \"bank.example\", which front does not have",
        ),
        ("newline in the CN", common_name(b"front\nroot"), "common name \"front\\nroot\""),
        ("NUL in the CN", common_name(b"front\0"), "common name \"front\\0\""),
        ("CN beyond ASCII", common_name("frönt".as_bytes()), "a common name that is not ASCII"),
        (
            "CN in UTF-16",
            in_subject("2.5.4.3", element(0x1e, b"\0f")),
            "a common name that is not ASCII",
        ),
        (
            "mail in the subject",
            in_subject("1.2.840.113549.1.9.1", element(0x16, b"a@b")),
            "the mail address \"a@b\"",
        ),
    ]);
}

#[test]
fn extensions_and_attributes_that_no_leaf_gets_are_refused() {
    let with = |list: &[Vec<u8>]| RequestParts::with_extensions(list).sign();
    let attributes = |attributes| RequestParts { attributes, ..RequestParts::default() }.sign();
    let usage = |bits: u8| extension("2.5.29.15", true, &element(0x03, &[1, bits]));
    let purpose = |purpose| extension("2.5.29.37", false, &sequence(&[oid(purpose)]));
    let is_ca = element(0x01, &[0xff]);
    let none = extension_request(&[]);
    refuse(vec![
        ("CA:true", with(&[extension("2.5.29.19", true, &sequence(&[is_ca]))]), "being a CA"),
        (
            "path length",
            with(&[extension("2.5.29.19", true, &sequence(&[element(0x02, &[1])]))]),
            "a CA's path length",
        ),
        ("keyCertSign", with(&[usage(0b1000_0100)]), "keyCertSign"),
        ("cRLSign", with(&[usage(0b1000_0010)]), "cRLSign"),
        ("codeSigning", with(&[purpose("1.3.6.1.5.5.7.3.3")]), "usage codeSigning"),
        ("any usage", with(&[purpose("2.5.29.37.0")]), "usage any"),
        (
            "unknown critical",
            with(&[extension("1.2.3.4", true, b"")]),
            "critical extension 1.2.3.4",
        ),
        (
            "critical name constraints",
            with(&[extension("2.5.29.30", true, b"")]),
            "critical extension 2.5.29.30",
        ),
        (
            "two SANs",
            with(&[names(&[(6, ID)]), names(&[(6, ID)])]),
            "the extension subjectAltName twice",
        ),
        (
            "unknown twice",
            with(&[extension("1.2.3", false, b""), extension("1.2.3", false, b"")]),
            "the extension 1.2.3 twice",
        ),
        (
            "two lists of extensions",
            attributes(vec![none.clone(), none]),
            "attribute 1.2.840.113549.1.9.14 twice",
        ),
        (
            "Microsoft's list",
            attributes(vec![sequence(&[oid("1.3.6.1.4.1.311.2.1.14"), set(&[sequence(&[])])])]),
            "old Windows",
        ),
        (
            "two values",
            attributes(vec![sequence(&[
                oid("1.2.840.113549.1.9.14"),
                set(&[sequence(&[]), sequence(&[])]),
            ])]),
            "an attribute is not as",
        ),
        (
            "no set",
            attributes(vec![sequence(&[oid("1.2.840.113549.1.9.14"), sequence(&[])])]),
            "an attribute is not as",
        ),
        ("bad usage", with(&[extension("2.5.29.15", false, &[1, 2])]), "its keyUsage is not as"),
        (
            "bad constraints",
            with(&[extension("2.5.29.19", false, &[0x30, 9])]),
            "its basicConstraints is not as",
        ),
        (
            "bad names",
            with(&[extension("2.5.29.17", false, &element(0x30, &[0x82, 9, b'a']))]),
            "its subject alternative name is not as",
        ),
        (
            "names in a set",
            with(&[extension("2.5.29.17", false, &set(&[]))]),
            "its subject alternative name is not as",
        ),
        (
            "surplus in the names",
            with(&[extension("2.5.29.17", false, &[0x30, 0, 5, 0])]),
            "its subject alternative name is not as",
        ),
    ]);
}
