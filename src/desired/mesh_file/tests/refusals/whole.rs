//! What only the whole mesh shows: clashes of files, peers that do not fit.

use super::told_for_each;

#[test]
fn file_names_that_clash() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {a: , b: , a_b: }\ndefaults: {authority: a}\nvirtualNodes:\n";
    told_for_each(
        head,
        &[
            (
                "  a:\n",
                &[
                    "6:3 error: the key of authority `a` and the key of `a` would both be in `a_key.pem` -> rename one of the two, or give a node another files.name",
                ],
            ),
            (
                "  x: {files: {name: y}}\n  y:\n",
                &[
                    "7:3 error: the key of `x` and the key of `y` would both be in `y_key.pem` -> rename one of the two, or give a node another files.name",
                ],
            ),
            (
                "  x: {listener: {trust: [b]}}\n  x_listener:\n",
                &[
                    "7:3 error: the listener's trust of `x` and the trust of `x_listener` would both be in `x_listener_trust.pem` -> rename one of the two, or give a node another files.name",
                ],
            ),
            (
                "  x: {backends: {y: {trust: [b]}}}\n  y:\n  x_backend_y:\n",
                &[
                    "6:18 warning: `x` would refuse `y`: that is signed by `a`, which `x` does not trust -> add `a` to the trust of `x`",
                    "8:3 error: the trust of `x` in its backend `y` and the trust of `x_backend_y` would both be in `x_backend_y_trust.pem` -> rename one of the two, or give a node another files.name",
                ],
            ),
            (
                "  LONG150:\n  x: {files: {name: LONG100}, backends: {LONG150: {trust: [b]}}}\n",
                &[
                    "7:21 error: the file name of the trust of `x` in its backend `LONG150` would be 269 bytes long; file systems take 255 -> choose a shorter name, or a shorter files.name",
                    "7:135 warning: `x` would refuse `LONG150`: that is signed by `a`, which `x` does not trust -> add `a` to the trust of `x`",
                ],
            ),
            ("  x: {trust: [a, b]}\n  y: {trust: [a_b]}\n", &[]),
        ],
    );
}

#[test]
fn bundle_names_that_clash() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {a: , b_c: , a_b: , c: }\ndefaults: {authority: a}\nvirtualNodes:\n";
    told_for_each(
        head,
        &[
            (
                "  x: {trust: [a, b_c]}\n  y: {trust: [a_b, c]}\n",
                &[
                    "3:27 error: the bundle of `a` and `b_c` and the bundle of `a_b` and `c` would both be in `a_b_c_bundle.pem` -> rename one of these authorities",
                ],
            ),
            ("  x: {trust: [a, b_c]}\n  y: {trust: [a, b_c]}\n", &[]),
        ],
    );
}

#[test]
fn distrust_that_cuts_off_too_much_or_nothing() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {a: , b: , sub: {local: {parent: b}}, other: {local: {parent: b}}}\n";
    told_for_each(
        head,
        &[
            (
                "distrust: [c, subb]\nvirtualNodes: {x: {authority: a}}\n",
                &[
                    "4:12 error: there is no authority `c` -> authorities: a, b, sub, other",
                    "4:15 error: there is no authority `subb` -> did you mean `sub`? (authorities: a, b, sub, other)",
                ],
            ),
            (
                "distrust: [b]\nvirtualNodes: {x: {authority: b}, y: {authority: sub}, z: {authority: a}}\n",
                &[
                    "5:31 error: `b` may not sign: it is distrusted -> those that sign: a",
                    "5:50 error: `sub` may not sign: it stands under `b`, distrusted -> those that sign: a",
                ],
            ),
            (
                "distrust: [b]\ndefaults: {authority: b}\nvirtualNodes: {x: , y: }\n",
                &["5:23 error: `b` may not sign: it is distrusted -> those that sign: a"],
            ),
            (
                "distrust: [a, b]\nvirtualNodes: {x: , y: {authority: a}}\n",
                &[
                    "5:16 error: nobody can sign `x`: no authority here has a key and is trusted -> add a local authority: ca_1: {}",
                    "5:36 error: `a` may not sign: it is distrusted -> add a local authority: ca_1: {}",
                ],
            ),
            (
                "distrust: [b]\ndefaults: {trust: [b]}\nvirtualNodes: {x: {authority: a, trust: [sub, b]}}\n",
                &[
                    "5:19 error: `trust` names only what is distrusted: nobody would be accepted -> name an authority that is not, or leave `trust` out",
                    "6:41 error: `trust` names only what is distrusted: nobody would be accepted -> name an authority that is not, or leave `trust` out",
                ],
            ),
            (
                "distrust: [sub]\nvirtualNodes: {x: {authority: a, trust: [a, sub, other]}}\n",
                &[
                    "4:12 error: `sub` cannot be distrusted alone: it stands under `b`, which `x` trusts through `other` -> what is trusted is always a root, with all that stands under it: move the nodes to another one, and distrust `b`",
                ],
            ),
            (
                "distrust: [sub]\nvirtualNodes: {x: {authority: a, backends: {y: {trust: [b]}}}, y: {authority: a}}\n",
                &[
                    "4:12 error: `sub` cannot be distrusted alone: it stands under `b`, which `x` trusts -> what is trusted is always a root, with all that stands under it: move the nodes to another one, and distrust `b`",
                    "5:45 warning: `x` would refuse `y`: that is signed by `a`, which `x` does not trust -> add `a` to the trust of `x`",
                ],
            ),
            ("distrust: [sub, b]\nvirtualNodes: {x: , y: {trust: [a, other]}}\n", &[]),
            ("distrust: [sub]\nvirtualNodes: {x: {authority: a, trust: [a, sub]}}\n", &[]),
        ],
    );
}

#[test]
fn peers_that_would_refuse_each_other() {
    let head = "version: 1\ntrustDomain: d\nauthorities: {root: , sub: {local: {parent: root}}, other: , p: {trustOnly: {certificates: p}}, i: {local: {certificate: c, key: k}}}\nvirtualNodes:\n";
    told_for_each(
        head,
        &[
            (
                "  x: {authority: root, trust: [other], callers: [y]}\n  y: {authority: sub}\n",
                &[
                    "5:50 warning: `x` would refuse `y`: that is signed by `sub`, which the listener does not trust -> add `sub` to the trust of `x`",
                ],
            ),
            ("  x: {authority: root, trust: [sub], callers: [y]}\n  y: {authority: root}\n", &[]),
            (
                "  x: {authority: root, trust: [root], backends: [y]}\n  y: {authority: other}\n",
                &[
                    "5:50 warning: `x` would refuse `y`: that is signed by `other`, which `x` does not trust -> add `other` to the trust of `x`",
                ],
            ),
            (
                "  x: {authority: root, backends: [y]}\n  y: {authority: root, callers: []}\n",
                &[
                    "5:35 warning: `y` would refuse `x`, which is not among its callers -> add `x` to the callers of `y`",
                ],
            ),
            (
                "  x: {authority: root, backends: [y]}\n  y: {authority: root, callers: ['spiffe://d/x']}\n",
                &[],
            ),
            (
                "  x: {authority: root, keyAlgorithm: ec-p384}\n",
                &[
                    "5:3 warning: an Envoy that calls `x` with default TLS settings refuses its ec-p384 key -> use ec-p256, or set tls_maximum_protocol_version: TLSv1_3 in the clusters of its callers",
                ],
            ),
            ("  x: {authority: root, trust: [p], callers: [y]}\n  y: {authority: i}\n", &[]),
            (
                "  x: {authority: root, trust: [root], callers: [y]}\n  y: {authority: i}\n",
                &[
                    "5:49 warning: `x` would refuse `y`: that is signed by `i`, which the listener does not trust -> add `i` to the trust of `x`",
                ],
            ),
            (
                "  x: {authority: root, callers: ['spiffe://d/yy', 'spiffe://e/yy']}\n  y: {authority: root}\n",
                &[
                    "5:34 warning: no node of this mesh has this SPIFFE ID, though it is of its trust domain -> did you mean `spiffe://d/y`? (IDs here: spiffe://d/x, spiffe://d/y)",
                ],
            ),
        ],
    );
}
