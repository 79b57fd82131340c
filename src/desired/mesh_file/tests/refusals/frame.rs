//! The file's frame and its defaults.

use super::told_for_each;

#[test]
fn what_a_mesh_file_begins_with() {
    let head = "";
    told_for_each(
        head,
        &[
            (
                "",
                &[
                    "1:1 error: the mesh file is empty -> begin with version: 1, trustDomain, authorities and virtualNodes",
                ],
            ),
            (
                "# nothing\n",
                &[
                    "1:1 error: the mesh file is empty -> begin with version: 1, trustDomain, authorities and virtualNodes",
                ],
            ),
            ("- a\n", &["1:1 error: the mesh file must be a mapping, and this is a list"]),
            (
                "a: b: c\n",
                &[
                    "1:5 error: this is not YAML: mapping values are not allowed in this context -> put a text that contains `: ` into quotes, or check the indentation",
                ],
            ),
            (
                "version: 2\nother: 1\n",
                &[
                    r#"1:10 error: `version` is "2"; this certctl reads version 1 -> write version: 1"#,
                ],
            ),
            (
                "version: '1'\n",
                &[
                    r#"1:10 error: `version` is "1" in quotes; this certctl reads version 1 -> write version: 1"#,
                ],
            ),
            (
                "version:\n",
                &[
                    "1:1 error: `version` is empty -> give it a value, or remove it",
                    "1:1 error: the mesh file needs a field `authorities`",
                    "1:1 error: the mesh file needs a field `trustDomain`",
                ],
            ),
            (
                "trustDomain: d\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &["1:1 error: the mesh file needs a field `version`"],
            ),
            (
                "version: 1\n---\nversion: 1\n",
                &[
                    "3:1 error: a second document begins here; a mesh file is one -> remove the line with ---",
                ],
            ),
            (
                "version: 1\ntrustDomain: Example.org\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &[
                    r#"2:14 error: trust domain "Example.org" has 'E' at byte 0; allowed are lower-case letters, digits, '.', '-' and '_'"#,
                ],
            ),
            (
                "version: 1\ntrustDomain: spiffe://d\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &[
                    r#"2:14 error: trust domain "spiffe://d" begins with spiffe://; write the name alone"#,
                ],
            ),
            (
                "version: 1\ntrustDomain: [d]\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &["2:14 error: `trustDomain` must be one text, and this is a list"],
            ),
            (
                "version: 1\ntrustDomain:\nauthorities: {}\n",
                &[
                    "2:1 error: `trustDomain` is empty -> give it a value, or remove it",
                    "3:1 error: `authorities` names no authority -> write ca_1: {} below it for an authority that certctl makes",
                ],
            ),
            (
                "version: 1\ntrustDomain: d\nauthorities:\n",
                &[
                    "3:1 error: `authorities` names no authority -> write ca_1: {} below it for an authority that certctl makes",
                ],
            ),
            (
                "version: 1\ntrustDomain: d\nauthorities: [a]\n",
                &["3:14 error: `authorities` must be a mapping, and this is a list"],
            ),
            (
                "version: 1\ntrustDomain: d\nauthorities: {a: }\n",
                &[
                    "3:15 warning: the mesh has no nodes: only its authorities will be made -> add some under virtualNodes",
                ],
            ),
            (
                "version: 1\ntrustDomain: d\nauthorities: {a: }\nvirtualNodes: []\n",
                &["4:15 error: `virtualNodes` must be a mapping, and this is a list"],
            ),
            (
                "version: 1\ntrustDomain: d\ntrustdomain: e\nauthorities: {a: }\nvirtualNode: {n: }\n",
                &[
                    "3:1 error: the mesh file has no field `trustdomain` -> did you mean `trustDomain`? (known here: version, trustDomain, dnsSuffix, clockSkew, defaults, distrust, authorities, virtualNodes, virtualGateways)",
                    "5:1 error: the mesh file has no field `virtualNode` -> did you mean `virtualNodes`? (known here: version, trustDomain, dnsSuffix, clockSkew, defaults, distrust, authorities, virtualNodes, virtualGateways)",
                ],
            ),
            (
                "version: 1\ntrustDomain: d\ntrustDomain: e\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &["3:1 error: the key `trustDomain` is here twice -> remove one of the two"],
            ),
            (
                "version: 1\ntrustDomain: d\nclockSkew: 25h\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &["3:12 error: a clock skew of 25h is too long; the most is 24h"],
            ),
            (
                "version: 1\ntrustDomain: d\nclockSkew: 5\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &[
                    r#"3:12 error: "5" is no duration; write a number and a unit, such as 30m, 24h or 90d"#,
                ],
            ),
            (
                "version: 1\ntrustDomain: d\ndnsSuffix: a..b\nauthorities: {a: }\nvirtualNodes: {n: }\n",
                &[r#"3:12 error: DNS name "a..b" has an empty label"#],
            ),
            (
                "version: 1\ntrustDomain: d\ndnsSuffix: example.org\nauthorities: {a: }\nvirtualNodes: {n_1: , n_2: {dnsNames: []}}\n",
                &[
                    r#"5:16 error: DNS name "n_1.example.org" has '_' at byte 1; allowed are letters, digits, '-' and '.' -> give the node its `dnsNames`, or dnsNames: [] for none"#,
                ],
            ),
        ],
    );
}

#[test]
fn defaults_that_cannot_be() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {ca_1: , ca_2: }\nvirtualNodes: {a: , b: }\ndefaults:\n";
    told_for_each(
        head,
        &[
            (
                "  authority: ca\n",
                &["6:14 error: there is no authority `ca` -> authorities: ca_1, ca_2"],
            ),
            (
                "  authority: ca_1\n  trust: [ca_3]\n",
                &[
                    "7:11 error: there is no authority `ca_3` -> did you mean `ca_1`? (authorities: ca_1, ca_2)",
                ],
            ),
            (
                "  authority: ca_1\n  listener: {trust: [], callers: [a], mode: none}\n",
                &[
                    "7:21 error: `trust` is empty: nobody would be accepted -> name an authority, or leave `trust` out",
                    "7:25 error: `defaults.listener` has no field `callers` -> known here: trust, mode",
                    r#"7:45 error: "none" is no mode of a listener; write strict or permissive"#,
                ],
            ),
            (
                "  authority: ca_1\n  lifetime: 3651d\n",
                &[
                    "7:13 error: a node would live 3651d, and its authority `ca_1` only 3650d -> choose at most 3650d",
                ],
            ),
            (
                "  authority: ca_1\n  dnsNames: [x]\n  files: {name: x, mode: '0660'}\n",
                &[
                    "7:3 error: `defaults` has no field `dnsNames` -> known here: authority, trust, lifetime, keyAlgorithm, attest, listener, files",
                    "8:11 error: `defaults.files` has no field `name` -> known here: owner, group, mode",
                ],
            ),
            ("  [authority]\n", &["6:3 error: `defaults` must be a mapping, and this is a list"]),
        ],
    );
}
