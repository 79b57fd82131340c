//! Who may ask.

use super::told_for_each;

#[test]
fn grants_that_admit_nobody_or_mean_nothing() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {ca_1: }\nvirtualNodes:\n  x: {attest: ";
    told_for_each(
        head,
        &[
            ("}\n", &["5:7 error: `attest` is empty -> give it a value, or remove it"]),
            (
                "[]}\n",
                &[
                    "5:15 error: `attest` is empty: nobody would get anything -> write who may ask, or leave `attest` out for processes of the agent's user",
                ],
            ),
            (
                "everybody}\n",
                &[
                    r#"5:15 error: "everybody" does not say who may ask -> write any, or what holds of the process, such as { uid: 101 }"#,
                ],
            ),
            (
                "{}}\n",
                &[
                    "5:15 error: this asks nothing of a process -> name what must hold of it, such as { uid: 101 }, or write any",
                ],
            ),
            ("[{uid: 1}, ]}\n", &[]),
            (
                "[{uid: 1}, ~]}\n",
                &[
                    "5:26 error: this asks nothing of a process -> name what must hold of it, such as { uid: 101 }, or write any",
                ],
            ),
            ("[[any]]}\n", &["5:16 error: a list within the list of `attest`"]),
            (
                "[{uid: 1}, any]}\n",
                &[
                    "5:26 error: `any` lets everybody in, so that the others mean nothing -> write attest: any alone, or remove it from the list",
                ],
            ),
            ("[any]}\n", &[]),
        ],
    );
}

#[test]
fn selectors_that_no_process_can_have() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {ca_1: }\nvirtualNodes: {x: }\ndefaults:\n  attest: {";
    told_for_each(
        head,
        &[
            (
                "exe: /bin/x, user: 1, uuid: 1}\n",
                &[
                    "6:12 error: `attest` has no field `exe` -> known here: uid, gid, executable, sha256, pod, container",
                    "6:25 error: `attest` has no field `user` -> known here: uid, gid, executable, sha256, pod, container",
                    "6:34 error: `attest` has no field `uuid` -> did you mean `uid`? (known here: uid, gid, executable, sha256, pod, container)",
                ],
            ),
            (
                "uid: envoy, gid: 4294967295}\n",
                &[
                    r#"6:17 error: "envoy" is no user number; write one from 0 to 4294967294, not a name, since a container may have other names"#,
                    r#"6:29 error: "4294967295" is no group number; write one from 0 to 4294967294, not a name, since a container may have other names"#,
                ],
            ),
            (
                "uid: +1, gid: }\n",
                &[
                    r#"6:17 error: "+1" is no user number; write one from 0 to 4294967294, not a name, since a container may have other names"#,
                    "6:21 error: `gid` is empty -> give it a value, or remove it",
                ],
            ),
            (
                "executable: envoy}\n",
                &[
                    r#"6:24 error: "envoy" is no executable; write its whole path, such as /usr/local/bin/envoy"#,
                ],
            ),
            (
                "executable: /usr/../bin/envoy}\n",
                &[
                    r#"6:24 error: "/usr/../bin/envoy" is no executable; write its whole path, such as /usr/local/bin/envoy"#,
                ],
            ),
            (
                "executable: /}\n",
                &[
                    r#"6:24 error: "/" is no executable; write its whole path, such as /usr/local/bin/envoy"#,
                ],
            ),
            (
                "sha256: abc}\n",
                &[
                    r#"6:20 error: "abc" is no SHA-256; write its 64 hexadecimal digits, as sha256sum prints them"#,
                ],
            ),
            (
                "pod: a/b, container: \"docker://ab\"}\n",
                &[
                    r#"6:17 error: "a/b" is no UID of a pod; write what its metadata.uid says"#,
                    r#"6:33 error: "docker://ab" is no id of a container; write it without containerd:// or the like"#,
                ],
            ),
        ],
    );
}

#[test]
fn a_partners_trust_domain_is_one() {
    told_for_each(
        "version: 1\ntrustDomain: d\nvirtualNodes: {x: }\nauthorities:\n  a:\n  p: {trustOnly: {certificates: p, trustDomain: ",
        &[
            (
                "P}}\n",
                &[
                    r#"6:49 error: trust domain "P" has 'P' at byte 0; allowed are lower-case letters, digits, '.', '-' and '_'"#,
                ],
            ),
            ("}}\n", &["6:36 error: `trustDomain` is empty -> give it a value, or remove it"]),
        ],
    );
}
