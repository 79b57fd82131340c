//! Nodes.

use super::told_for_each;

#[test]
fn nodes_that_cannot_be() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {ca_1: , ca_2: , p: {trustOnly: {certificates: p}}}\nvirtualNodes:\n";
    told_for_each(
        head,
        &[
            (
                "  ../x: {authority: ca_1}\n",
                &[
                    r#"5:3 error: node name "../x" has '/' at byte 2; allowed are letters, digits, '.', '-' and '_'"#,
                ],
            ),
            (
                "  a/b: {authority: ca_1}\n",
                &[
                    r#"5:3 error: node name "a/b" has '/' at byte 1; allowed are letters, digits, '.', '-' and '_'"#,
                ],
            ),
            (
                "  \"a\\0\": {authority: ca_1}\n",
                &[
                    "5:3 error: node name \"a\\0\" has '\\0' at byte 1; allowed are letters, digits, '.', '-' and '_'",
                ],
            ),
            (
                "  LONG300: {authority: ca_1}\n",
                &["5:3 error: node name is 300 bytes long; at most 200 are allowed"],
            ),
            (
                "  a: {authority: ca_1}\n  a: {authority: ca_1}\n",
                &["6:3 error: the key `a` is here twice -> remove one of the two"],
            ),
            (
                "  a: {authority: ca_1}\nvirtualGateways:\n  a: {authority: ca_1}\n",
                &[
                    "7:3 error: there are two nodes `a` -> rename one of the two: gateways and nodes share their names",
                ],
            ),
            (
                "  a: x\n",
                &["5:6 error: a virtual node must be a mapping, and this is a single value"],
            ),
            (
                "  a:\n",
                &[
                    "5:3 error: which authority signs `a`? `ca_1`, `ca_2` could -> give it an `authority`, or all of them with `defaults.authority`",
                ],
            ),
            (
                "  a: {authority: }\n",
                &["5:7 error: `authority` is empty -> give it a value, or remove it"],
            ),
            (
                "  a: {authority: [ca_1]}\n",
                &["5:18 error: `authority` must be one text, and this is a list"],
            ),
            (
                "  a: {authority: ca1}\n",
                &[
                    "5:18 error: there is no authority `ca1` -> did you mean `ca_1`? (authorities: ca_1, ca_2, p)",
                ],
            ),
            (
                "  a: {authority: p}\n",
                &[
                    "5:18 error: `p` signs nothing: it is trusted only, and has no key -> those that sign: ca_1, ca_2",
                ],
            ),
            (
                "  a: {authority: ca_1, trsut: [ca_1], secrets: x}\n",
                &[
                    "5:24 error: a virtual node has no field `trsut` -> did you mean `trust`? (known here: authority, trust, lifetime, keyAlgorithm, attest, dnsNames, spiffePath, callers, listener, backends, files)",
                    "5:39 error: a virtual node has no field `secrets` -> known here: authority, trust, lifetime, keyAlgorithm, attest, dnsNames, spiffePath, callers, listener, backends, files",
                ],
            ),
            (
                "  a: {authority: ca_1, trust: []}\n",
                &[
                    "5:31 error: `trust` is empty: nobody would be accepted -> name an authority, or leave `trust` out",
                ],
            ),
            (
                "  a: {authority: ca_1, trust: ca_1}\n",
                &["5:31 error: `trust` must be a list, and this is a single value -> write [ca_1]"],
            ),
            (
                "  a: {authority: ca_1, trust: [ca_1, ca_1, ca_3]}\n",
                &[
                    "5:38 error: `ca_1` is in `trust` twice -> remove one of the two",
                    "5:44 error: there is no authority `ca_3` -> did you mean `ca_1`? (authorities: ca_1, ca_2, p)",
                ],
            ),
            (
                "  a: {authority: ca_1, trust: [[ca_1]]}\n",
                &["5:32 error: `trust` must be one text, and this is a list"],
            ),
            (
                "  a: {authority: ca_1, listener: {trust: [], mode: STRICT, port: 1}}\n",
                &[
                    "5:42 error: `trust` is empty: nobody would be accepted -> name an authority, or leave `trust` out",
                    r#"5:52 error: "STRICT" is no mode of a listener; write strict or permissive"#,
                    "5:60 error: `listener` has no field `port` -> known here: trust, mode, callers",
                ],
            ),
            (
                "  a: {authority: ca_1, callers: [b, c, spiffe://x, 'spiffe://d/%41']}\n  bb: {authority: ca_1}\n",
                &[
                    "5:34 error: there is no node `b` -> nodes: a, bb",
                    "5:37 error: there is no node `c` -> nodes: a, bb",
                    r#"5:40 error: SPIFFE ID "spiffe://x" has no path after its domain"#,
                    r#"5:52 error: SPIFFE path "/%41" has '%' at byte 1; allowed are letters, digits, '.', '-', '_' between slashes"#,
                ],
            ),
            (
                "  a: {authority: ca_1, callers: [a], listener: {callers: [a]}}\n",
                &[
                    "5:24 error: `callers` is short for `listener.callers`, and both are here -> keep one of the two",
                ],
            ),
            (
                "  a: {authority: ca_1, callers: a}\n",
                &["5:33 error: `callers` must be a list, and this is a single value -> write [a]"],
            ),
            (
                "  a: {authority: ca_1, backends: [b, a, a]}\n",
                &[
                    "5:35 error: there is no node `b` -> nodes: a",
                    "5:41 error: `a` is in `backends` twice -> remove one of the two",
                ],
            ),
            (
                "  a: {authority: ca_1, backends: a}\n",
                &[
                    "5:34 error: `backends` must be a list or a mapping, and this is a single value -> write [a]",
                ],
            ),
            (
                "  a: {authority: ca_1, backends: }\n",
                &["5:24 error: `backends` is empty -> give it a value, or remove it"],
            ),
            (
                "  a: {authority: ca_1, backends: {a: {port: 0, trust: []}, b: {port: 65536}, c: x}}\n",
                &[
                    r#"5:45 error: "0" is no TCP port; write a number from 1 to 65535"#,
                    "5:55 error: `trust` is empty: nobody would be accepted -> name an authority, or leave `trust` out",
                    "5:60 error: there is no node `b` -> nodes: a",
                    r#"5:70 error: "65536" is no TCP port; write a number from 1 to 65535"#,
                    "5:81 error: a backend must be a mapping, and this is a single value",
                ],
            ),
            (
                "  a: {authority: ca_1, lifetime: 0s}\n",
                &[r#"5:34 error: "0s" is too short; the least is 1s"#],
            ),
            (
                "  a: {authority: ca_1, lifetime: 3651d}\n",
                &[
                    "5:34 error: `a` would live 3651d, and its authority `ca_1` only 3650d -> choose at most 3650d",
                ],
            ),
            (
                "  a: {authority: ca_1, keyAlgorithm: rsa-1024}\n",
                &[
                    r#"5:38 error: "rsa-1024" is no key algorithm; use ec-p256, ec-p384, rsa-2048, rsa-3072 or rsa-4096"#,
                ],
            ),
            (
                "  a: {authority: ca_1, spiffePath: b}\n",
                &[r#"5:36 error: SPIFFE path "b" does not begin with '/'"#],
            ),
            (
                "  a: {authority: ca_1, spiffePath: /b}\n  b: {authority: ca_1}\n",
                &[
                    "6:3 error: `a` and `b` would both be spiffe://d/b -> give one of them another spiffePath",
                ],
            ),
            (
                "  a: {authority: ca_1, spiffePath: /../b}\n",
                &[r#"5:36 error: SPIFFE path "/../b" has a '.' or '..' segment"#],
            ),
            (
                "  a: {authority: ca_1, dnsNames: [x.org, '*.x.org', 10.0.0.1, X.org, x_y]}\n",
                &[
                    r#"5:42 error: DNS name "*.x.org" is a wildcard; name each host"#,
                    r#"5:53 error: DNS name "10.0.0.1" ends in a number, as an IP address does"#,
                    "5:63 error: `x.org` is in `dnsNames` twice -> remove one of the two; case makes no difference in DNS",
                    r#"5:70 error: DNS name "x_y" has '_' at byte 1; allowed are letters, digits, '-' and '.'"#,
                ],
            ),
            (
                "  a: {authority: ca_1, dnsNames: x.org}\n",
                &[
                    "5:34 error: `dnsNames` must be a list, and this is a single value -> write [x.org]",
                ],
            ),
            (
                "  a: {authority: ca_1, dnsNames: [x.org]}\n  b: {authority: ca_1, dnsNames: [y.org, x.org]}\n",
                &["6:42 warning: `a` and `b` both answer to x.org"],
            ),
            (
                "  a: {authority: ca_1, files: {name: ../x, mode: 0644, owner: a b, group: 4294967295, user: x}}\n",
                &[
                    r#"5:38 error: node name "../x" has '/' at byte 2; allowed are letters, digits, '.', '-' and '_'"#,
                    "5:50 error: the mode 0644 would open the private key to every user; use 0600, 0640 or 0660",
                    r#"5:63 error: "a b" is no name of a user or group"#,
                    "5:75 error: 4294967295 is too large for a user or group number",
                    "5:87 error: `files` has no field `user` -> known here: name, owner, group, mode",
                ],
            ),
        ],
    );
}
