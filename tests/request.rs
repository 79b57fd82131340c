//! Requests from outside: each defect that a CA must meet is built, signed so that it is the only
//! one, and refused with its own message.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, missing_docs, reason = "a test")]

mod support {
    pub mod der;
    pub mod front;
}

use std::path::Path;
use std::process::Command;

use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use support::der::{
    RequestParts, attribute, bit_string, element, extension, extension_request, names,
    octet_string, oid, sequence, set, subject,
};
use support::front::{ID, judge, pem};

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

#[test]
fn armour_and_form_are_held_to() {
    let good = || RequestParts::with_names(&[(6, ID)]).sign();
    let text = pem("CERTIFICATE REQUEST", &good());
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap().to_pem();
    let mut tampered = good();
    let position = tampered.windows(5).position(|bytes| bytes == b"front").unwrap();
    tampered[position..position + 5].copy_from_slice(b"bank1");
    let flag = sequence(&[]);
    let information = sequence(&[element(0x02, &[0])]);
    refuse(vec![
        ("nothing", vec![], "begin with -----BEGIN CERTIFICATE REQUEST-----"),
        ("garbage", b"hello".to_vec(), "begin with -----BEGIN CERTIFICATE REQUEST-----"),
        (
            "a certificate",
            pem("CERTIFICATE", &good()).into_bytes(),
            "holds a \"CERTIFICATE\" block",
        ),
        ("two requests", format!("{text}{text}").into_bytes(), "it holds 2 PEM blocks"),
        ("a key too", format!("{text}{}", key.as_str()).into_bytes(), "it holds a private key"),
        ("a key alone", key.as_bytes().to_vec(), "it holds a private key"),
        ("bad base64", text.replacen("MI", "M*", 1).into_bytes(), "the PEM is broken"),
        ("an unfinished block", text.as_bytes()[..text.len() - 40].to_vec(), "PEM"),
        ("trailing bytes", [good(), vec![0; 3]].concat(), "followed by 3 bytes"),
        (
            "trailing bytes in PEM",
            pem("CERTIFICATE REQUEST", &[good(), vec![5, 0]].concat()).into_bytes(),
            "followed by 2 bytes",
        ),
        ("over-large", vec![0x30; 32 * 1024 + 1], "larger than 32768 bytes"),
        (
            "over-large PEM",
            [b"x".repeat(32 * 1024), text.clone().into_bytes()].concat(),
            "larger than 32768 bytes",
        ),
        (
            "version 1",
            RequestParts { version: element(0x02, &[1]), ..RequestParts::default() }.sign(),
            "has version 1",
        ),
        (
            "surplus inside",
            RequestParts { surplus: element(0x05, &[]), ..RequestParts::default() }.sign(),
            "its signed part is not as",
        ),
        (
            "surplus outside",
            sequence(&[information.clone(), flag.clone(), bit_string(b""), flag.clone()]),
            "its outermost layer is not as",
        ),
        (
            "indefinite length",
            [&[0x30, 0x80][..], &good()[2..], &[0, 0]].concat(),
            "its outermost layer is not as",
        ),
        (
            "subject is no name",
            RequestParts { subject: octet_string(b""), ..RequestParts::default() }.sign(),
            "its subject is not as",
        ),
        ("tampered", tampered, "signature is not that of the key"),
    ]);
    let mut cut = good();
    cut.truncate(cut.len() - 1);
    refuse(vec![("cut short", cut, "its outermost layer is not as")]);
    // Text around the one block is what `openssl req -text` writes.
    judge(format!("Certificate Request:\n    Data: …\n{text}\n").as_bytes()).unwrap();
}

#[test]
fn keys_and_signatures_that_are_weak_or_do_not_fit_are_refused() {
    let rsa = |bits: usize, exponent: &[u8]| {
        let mut modulus = vec![0xff; bits / 8];
        modulus.insert(0, 0);
        let key = sequence(&[element(0x02, &modulus), element(0x02, exponent)]);
        let null = element(0x05, &[]);
        sequence(&[sequence(&[oid("1.2.840.113549.1.1.1"), null]), bit_string(&key)])
    };
    let point = |parameters: Vec<u8>, point: &[u8]| {
        sequence(&[sequence(&[oid("1.2.840.10045.2.1"), parameters]), bit_string(point)])
    };
    let usual = [1, 0, 1];
    let p256 = oid("1.2.840.10045.3.1.7");
    let other = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap().public().spki().to_vec();
    let (x, compressed) = (&other[27..59], 2 + (other[90] & 1));
    let key = |spki| RequestParts { spki, ..RequestParts::default() }.sign();
    let signed = |algorithm| {
        let signature_algorithm = sequence(&[oid(algorithm)]);
        RequestParts { signature_algorithm, ..RequestParts::default() }.sign()
    };
    let with_null = RequestParts {
        signature_algorithm: sequence(&[oid("1.2.840.10045.4.3.2"), element(0x05, &[])]),
        ..RequestParts::default()
    };
    refuse(vec![
        ("RSA-1024", key(rsa(1024, &usual)), "RSA with 1024 bits is not used"),
        ("RSA-16384", key(rsa(16384, &usual)), "RSA with 16384 bits is not used"),
        ("RSA-2056", key(rsa(2056, &usual)), "RSA with 2056 bits is not used"),
        ("exponent 3", key(rsa(2048, &[3])), "exponent 3 is not used"),
        ("even exponent", key(rsa(2048, &[1, 0, 2])), "exponent 65538 is not used"),
        ("huge exponent", key(rsa(2048, &[0x7f; 256])), "an exponent beyond 32 bits"),
        (
            "secp256k1",
            key(point(oid("1.3.132.0.10"), &other[26..])),
            "the elliptic curve 1.3.132.0.10",
        ),
        ("P-521", key(point(oid("1.3.132.0.35"), &[4; 133])), "the elliptic curve 1.3.132.0.35"),
        (
            "Ed25519",
            key(sequence(&[sequence(&[oid("1.3.101.112")]), bit_string(&[1; 32])])),
            "Envoy does not offer it",
        ),
        (
            "ML-DSA",
            key(sequence(&[sequence(&[oid("2.16.840.1.101.3.4.3.18")]), bit_string(&[1; 1952])])),
            "the key type 2.16.840.1.101.3.4.3.18",
        ),
        (
            "no point of the curve",
            key(point(p256.clone(), &[&[4], &[7; 64][..]].concat())),
            "not those of a key",
        ),
        (
            "compressed point",
            key(point(p256.clone(), &[&[compressed], x].concat())),
            "uncompressed",
        ),
        ("the point at infinity", key(point(p256, &[0])), "malformed"),
        ("another's key", key(other.clone()), "signature is not that of the key"),
        (
            "P-256 says SHA-384",
            signed("1.2.840.10045.4.3.3"),
            "signed with ECDSA with SHA-384; a request for an ec-p256 key must use ECDSA with SHA-256",
        ),
        ("P-256 says SHA-1", signed("1.2.840.10045.4.1"), "signed with ECDSA with SHA-1"),
        ("P-256 says RSA", signed("1.2.840.113549.1.1.11"), "signed with RSA with SHA-256"),
        ("P-256 says ML-DSA", signed("2.16.840.1.101.3.4.3.18"), "signed with ML-DSA-65"),
        ("parameters to ECDSA", with_null.sign(), "must use ECDSA with SHA-256"),
    ]);
}

/// Requests whose signatures our own library cannot make, made by OpenSSL.
#[test]
fn openssl_requests_are_read_and_the_unfit_ones_refused() {
    let directory = tempfile::tempdir().unwrap();
    let curve = |name| format!("ec -pkeyopt ec_paramgen_curve:{name}");
    let rows = [
        ("rsa:2048 -sha1".to_owned(), Some("signed with RSA with SHA-1")),
        ("rsa:2048 -sha256 -sigopt rsa_padding_mode:pss".to_owned(), Some("signed with RSA-PSS")),
        ("rsa:1024 -sha256".to_owned(), Some("RSA with 1024 bits")),
        ("rsa:2048 -sha512".to_owned(), None),
        (
            "rsa -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3".to_owned(),
            Some("exponent 3"),
        ),
        (
            curve("P-384") + " -sha256",
            Some("a request for an ec-p384 key must use ECDSA with SHA-384"),
        ),
        (curve("P-384") + " -sha384", None),
        (curve("P-256") + " -sha384", Some("must use ECDSA with SHA-256")),
        (curve("P-256") + " -sha256", None),
        (curve("secp256k1") + " -sha256", Some("the elliptic curve")),
        (curve("P-521") + " -sha512", Some("the elliptic curve")),
        ("ed25519".to_owned(), Some("Ed25519 is not used")),
    ];
    for (options, reason) in rows {
        let request = openssl_request(directory.path(), &options);
        match (judge(&request), reason) {
            (Ok(_), None) => {}
            (Err(error), Some(reason)) => {
                assert!(error.to_string().contains(reason), "{options}: {error}");
            }
            (result, _) => panic!("{options}: {result:?}"),
        }
    }
}

fn openssl_request(directory: &Path, options: &str) -> Vec<u8> {
    let key = directory.join("key.pem");
    let output = Command::new("openssl")
        .args(["req", "-new", "-nodes", "-subj", "/CN=front", "-newkey"])
        .args(options.split(' '))
        .args(["-addext", "subjectAltName=URI:spiffe://example.org/front,DNS:front.local"])
        .env("OPENSSL_CONF", "/dev/null")
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap_or_else(|error| panic!("openssl is needed (apt-get install openssl): {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
