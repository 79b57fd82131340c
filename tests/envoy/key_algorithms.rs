//! Which leaf keys two Envoys as they come speak mutual TLS with. P-384 has a condition that
//! certctl must tell its user: an Envoy that calls offers TLS 1.2 at most and no P-384 curve,
//! unless it is told to.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, RsaKeySize};

use crate::authority::{Authority, p256, p384, rsa};
use crate::mutual_tls::{Pair, SERVED};

#[test]
fn p256_and_rsa_work_at_both_ends() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    for key in [p256(), rsa(RsaKeySize::_2048), rsa(RsaKeySize::_3072), rsa(RsaKeySize::_4096)] {
        let reply = Pair::start(&ca.side(&key, ""), &ca.side(&key, "")).call();
        assert_eq!((reply.status, reply.body.as_str()), (200, SERVED), "{:?}", key.algorithm());
    }
}

#[test]
fn p384_works_for_a_client_and_for_a_ca() {
    let ca = Authority::root("root", &PKCS_ECDSA_P384_SHA384);
    let reply = Pair::start(&ca.side(&p384(), ""), &ca.side(&p256(), "")).call();
    assert_eq!((reply.status, reply.body.as_str()), (200, SERVED));
}

#[test]
fn p384_does_not_work_for_a_server() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    let pair = Pair::start(&ca.side(&p256(), ""), &ca.side(&p384(), ""));
    let reply = pair.call();
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("HANDSHAKE_FAILURE_ON_CLIENT_HELLO"), "{}", reply.body);
}

#[test]
fn p384_works_for_a_server_whose_callers_are_told() {
    let ca = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    for told in ["tls_maximum_protocol_version: TLSv1_3", "ecdh_curves: [X25519, P-256, P-384]"] {
        let reply = Pair::start(&ca.side(&p256(), told), &ca.side(&p384(), "")).call();
        assert_eq!((reply.status, reply.body.as_str()), (200, SERVED), "{told}");
    }
}
