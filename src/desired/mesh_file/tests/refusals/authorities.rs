//! Authorities.

use super::told_for_each;

#[test]
fn authorities_that_cannot_be() {
    let head = "version: 1\ntrustDomain: d\nvirtualNodes: {n: {authority: a}}\nauthorities:\n";
    told_for_each(
        head,
        &[
            (
                "  a: x\n",
                &["5:6 error: an authority must be a mapping, and this is a single value"],
            ),
            (
                "  a: {locl: {}}\n",
                &[
                    "5:7 error: an authority has no field `locl` -> did you mean `local`? (known here: local, acmPca, trustOnly)",
                ],
            ),
            (
                "  a: {daemon: {address: x}}\n",
                &[
                    "5:7 error: `daemon` is not in this version of certctl; it knows local, acmPca and trustOnly",
                ],
            ),
            (
                "  a: {local: {}, trustOnly: {certificates: x}}\n  b: {}\n",
                &[
                    "5:18 error: an authority is of one kind, and this has two -> make it two authorities, or remove one of the two",
                ],
            ),
            (
                "  a:\n  ../x: {}\n",
                &[
                    r#"6:3 error: authority name "../x" has '/' at byte 2; allowed are letters, digits, '.', '-' and '_'"#,
                ],
            ),
            (
                "  a:\n  a/b: {}\n",
                &[
                    r#"6:3 error: authority name "a/b" has '/' at byte 1; allowed are letters, digits, '.', '-' and '_'"#,
                ],
            ),
            (
                "  a:\n  \"a\\0\": {}\n",
                &[
                    "6:3 error: authority name \"a\\0\" has '\\0' at byte 1; allowed are letters, digits, '.', '-' and '_'",
                ],
            ),
            (
                "  a:\n  .a: {}\n",
                &[r#"6:3 error: authority name ".a" does not begin with a letter or digit"#],
            ),
            (
                "  a:\n  LONG300: {}\n",
                &["6:3 error: authority name is 300 bytes long; at most 200 are allowed"],
            ),
            (
                "  a:\n  LONG100: {}\n",
                &[
                    "6:3 error: the name is too long for a common name of 64 characters -> give it a subject.commonName",
                ],
            ),
            ("  a:\n  a: {}\n", &["6:3 error: the key `a` is here twice -> remove one of the two"]),
            (
                "  a: {local: {keyAlgorithm: ed25519}}\n",
                &[
                    "5:29 error: Ed25519 is not used: Envoy does not offer it in its TLS signature algorithms, so a handshake fails; use ec-p256",
                ],
            ),
            (
                "  a: {local: {lifetime: 0d}}\n",
                &[r#"5:25 error: "0d" is too short; the least is 1s"#],
            ),
            (
                "  a: {local: {lifetime: 200y}}\n",
                &[r#"5:25 error: "200y" is too long; the most is 36500d"#],
            ),
            (
                "  a: {local: {lifetime: soon}}\n",
                &[
                    r#"5:25 error: "soon" is no duration; write a number and a unit, such as 30m, 24h or 90d"#,
                ],
            ),
            (
                "  a: {local: {lifetime: 12h}}\n",
                &[
                    "3:16 error: `n` would live 24h, and its authority `a` only 12h -> choose at most 12h",
                ],
            ),
            (
                "  a: {local: {lifetime: 30d}}\n  b: {local: {parent: a}}\n",
                &[
                    "6:3 error: `b` would live 365d, and its parent `a` only 30d -> give `b` a lifetime of at most 30d",
                ],
            ),
            (
                "  a: {local: {lifetime: 30d}}\n  b: {local: {parent: a, lifetime: 31d}}\n",
                &[
                    "6:36 error: `b` would live 31d, and its parent `a` only 30d -> give `b` a lifetime of at most 30d",
                ],
            ),
            (
                "  a: {local: {parent: b}}\n",
                &["5:23 error: there is no authority `b` -> authorities: a"],
            ),
            (
                "  a: {local: {parent: aa}}\n  aaa:\n",
                &[
                    "5:23 error: there is no authority `aa` -> did you mean `aaa`? (authorities: a, aaa)",
                ],
            ),
            (
                "  a: {local: {parent: a}}\n",
                &[
                    "5:23 error: `a` is its own parent -> remove `parent` from the one that is to be the root",
                ],
            ),
            (
                "  a: {local: {parent: b}}\n  b: {local: {parent: c}}\n  c: {local: {parent: a}}\n  d: {local: {parent: a}}\n",
                &[
                    "5:23 error: these are parents of each other: `a`, `b`, `c` -> remove `parent` from the one that is to be the root",
                ],
            ),
            (
                "  a: {local: {parent: p}}\n  p: {trustOnly: {certificates: x}}\n",
                &["5:23 error: `p` cannot sign `a` -> choose one that signs as parent"],
            ),
            (
                "  a: {trustOnly: {certificates: x}}\n",
                &[
                    "3:31 error: `a` signs nothing: it is trusted only, and has no key -> add a local authority: ca_1: {}",
                ],
            ),
            (
                "  a: {trustOnly: {}}\n  b:\n",
                &[
                    "3:31 error: `a` signs nothing: it is trusted only, and has no key -> those that sign: b",
                    "5:18 error: `trustOnly` needs a field `certificates`",
                ],
            ),
            (
                "  a: {trustOnly: {certificates: ''}}\n  b:\n",
                &[
                    "3:31 error: `a` signs nothing: it is trusted only, and has no key -> those that sign: b",
                    "5:33 error: `certificates` names no file",
                ],
            ),
            (
                "  a: {trustOnly: {certificates: \"x\\0\"}}\n  b:\n",
                &[
                    "3:31 error: `a` signs nothing: it is trusted only, and has no key -> those that sign: b",
                    "5:33 error: `certificates` has a NUL byte in its path",
                ],
            ),
            (
                "  a: {trustOnly: [x]}\n  b:\n",
                &["5:18 error: `trustOnly` must be a mapping, and this is a list"],
            ),
            (
                "  a: {local: {certificate: x}}\n",
                &[
                    "5:15 error: `certificate` needs `key` -> an imported authority has both its certificate and its key",
                ],
            ),
            (
                "  a: {local: {key: x}}\n",
                &[
                    "5:15 error: `key` needs `certificate` -> an imported authority has both its certificate and its key",
                ],
            ),
            (
                "  a: {local: {certificate: x, key: y, lifetime: 1d, parent: b}}\n  b:\n",
                &[
                    "5:39 error: `lifetime` is for an authority that certctl makes; this one exists -> remove `lifetime`, or `certificate` and `key`",
                    "5:53 error: `parent` is for an authority that certctl makes; this one exists -> remove `parent`, or `certificate` and `key`",
                ],
            ),
            (
                "  a: {local: {passphraseFile: }}\n",
                &["5:15 error: `passphraseFile` is empty -> give it a value, or remove it"],
            ),
            (
                "  a: {local: {subject: {commonName: ' ', country: de, province: \"\\n\", CN: x}}}\n",
                &[
                    "5:37 error: an attribute of a subject cannot be blank; leave it out",
                    r#"5:51 error: "de" is no country; write its two upper-case letters, as DE or US"#,
                    "5:65 error: an attribute of a subject cannot be blank; leave it out",
                    "5:71 error: `subject` has no field `CN` -> known here: commonName, organization, organizationalUnit, province, locality, country",
                ],
            ),
            (
                "  a: {local: {subject: {organization: LONG100}}}\n",
                &["5:39 error: this is 100 characters long; a certificate takes 64 here"],
            ),
            (
                "  a: {local: {subject: {commonName: x}}}\n  b: {local: {subject: {commonName: x}}}\n",
                &[
                    "6:3 warning: `a` and `b` have the same subject, so that verifiers may take one for the other -> give one of them another subject.commonName",
                ],
            ),
            (
                "  a: {local: {subject: {commonName: x}}}\n  b: {local: {parent: a, subject: {commonName: x}}}\n",
                &[
                    "6:3 error: `a` and `b` have the same subject, so that one would look self-signed -> give one of them another subject.commonName",
                ],
            ),
        ],
    );
}

#[test]
fn private_cas_that_cannot_be() {
    const REGION: &str = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority";
    let head = "version: 1\ntrustDomain: d\nvirtualNodes: {n: {authority: a}}\nauthorities:\n";
    let example = format!("{REGION}/11223344-1234-1122-2233-112233445566");
    let is_no_arn = format!(
        "5:21 error: \"x\" is no ARN of a private CA: it has not six parts; it should be like {example}"
    );
    let cases: &[(String, &[&str])] = &[
        ("  a: {acmPca: }\n".into(), &["5:13 error: `acmPca` needs a field `arn`"]),
        (
            "  a: {acmPca: []}\n".into(),
            &["5:15 error: `acmPca` lists no CA -> write `acmPca: {arn: …}`, or remove it"],
        ),
        ("  a: {acmPca: {arn: x}}\n".into(), &[&is_no_arn]),
        (
            format!("  a: {{acmPca: {{arn: {REGION}/1}}, local: {{}}}}\n"),
            &[
                "5:7 error: an authority is of one kind, and this has two -> make it two authorities, or remove one of the two",
            ],
        ),
        (
            format!("  a: {{acmPca: {{arn: {REGION}/1, region: us-west-2}}}}\n"),
            &[
                "5:93 error: the CA is in us-east-2, as its ARN says -> remove `region`: the ARN has it",
            ],
        ),
        (
            format!("  a:\n    acmPca:\n    - {{arn: {REGION}/1}}\n    - {{arn: {REGION}/1}}\n"),
            &["8:13 error: this CA is in the list twice -> remove one of the two"],
        ),
        (
            format!("  a: {{acmPca: {{arn: {REGION}/1}}}}\n  b: {{acmPca: {{arn: {REGION}/1}}}}\n"),
            &["6:21 error: this CA is `a` already -> let its nodes have the authority `a`"],
        ),
        (
            format!(
                "  a:\n    acmPca:\n      arn: {REGION}/1\n      rates: {{issue: 0, get: 1e9}}\n      maxCertificatesPerHour: no\n      pricePerCertificate: $1\n      endpoint: localhost\n      template: RootCACertificate/V1\n      tmplate: x\n"
            ),
            &[
                r#"8:22 error: "0" is not a whole number from 1 to 10000"#,
                r#"8:30 error: "1e9" is not a whole number from 1 to 10000"#,
                r#"9:31 error: "no" is not a whole number from 1 to 4294967295"#,
                r#"10:28 error: "$1" is no price; write a number with a point, as 0.058"#,
                r#"11:17 error: "localhost" does not begin with https:// or http://; write the service's URL, as https://acm-pca.example.com"#,
                r#"12:17 error: "RootCACertificate/V1" is no template that leaves are made from; there are BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1, EndEntityCertificate_APIPassthrough/V1, EndEntityCertificate/V1"#,
                "13:7 error: `acmPca` has no field `tmplate` -> did you mean `template`? (known here: arn, region, endpoint, certificates, template, rates, maxCertificatesPerHour, pricePerCertificate)",
            ],
        ),
        (
            format!(
                "  a: {{acmPca: {{arn: {REGION}/1}}}}\n  b: {{local: {{parent: a}}}}\n  c: {{local: {{parent: b}}}}\n  d: {{local: {{parent: c}}}}\n  e: {{local: {{parent: d}}}}\n  f: {{local: {{parent: e}}}}\n"
            ),
            &[
                "10:3 error: `f` stands below more than 4 CAs; AWS Private CA signs for no more -> choose a parent that is closer to the root",
            ],
        ),
    ];
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(text, told)| (text.as_str(), *told)).collect();
    told_for_each(head, &cases);
}
