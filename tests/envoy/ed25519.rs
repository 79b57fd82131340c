//! Why certctl issues no Ed25519 leaf: two Envoys as they come refuse the handshake, though they
//! load the certificate. These tests hold the reason to the real Envoy, so that a newer one that
//! changed its mind shows.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

use crate::authority::{Authority, ed25519, p256};
use crate::mutual_tls::{Pair, SERVED};
use crate::support::process::Envoy;

/// The field of `TlsParameters` that makes an Envoy accept Ed25519 from its peer. It replaces
/// Envoy's own list, so the others must be named too.
const ALLOW_ED25519: &str =
    "signature_algorithms: [ed25519, ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256]";

const TLS_1_3: &str =
    "tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3";

#[test]
fn a_server_with_an_ed25519_leaf_cannot_be_reached() {
    let ca = root();
    for version in ["", TLS_1_3] {
        let reply = Pair::start(&ca.side(&p256(), version), &ca.side(&ed25519(), "")).call();
        assert_eq!(reply.status, 503);
        assert!(reply.body.contains("HANDSHAKE_FAILURE_ON_CLIENT_HELLO"), "{}", reply.body);
    }
}

#[test]
fn a_client_with_an_ed25519_leaf_cannot_call() {
    let ca = root();
    for version in ["", TLS_1_3] {
        let reply = Pair::start(&ca.side(&ed25519(), version), &ca.side(&p256(), "")).call();
        assert_eq!(reply.status, 503);
        assert!(reply.body.contains("NO_COMMON_SIGNATURE_ALGORITHMS"), "{}", reply.body);
    }
}

#[test]
fn every_peer_would_have_to_be_told_to_accept_it() {
    let ca = root();
    let told = |version: &str| format!("{ALLOW_ED25519}, {version}");
    for version in ["", TLS_1_3] {
        // It is the one who verifies that must be told; the one who has the leaf need not be.
        let pairs = [
            Pair::start(&ca.side(&p256(), &told(version)), &ca.side(&ed25519(), "")),
            Pair::start(&ca.side(&ed25519(), version), &ca.side(&p256(), ALLOW_ED25519)),
            Pair::start(&ca.side(&ed25519(), &told(version)), &ca.side(&ed25519(), ALLOW_ED25519)),
        ];
        for pair in pairs {
            let reply = pair.call();
            assert_eq!((reply.status, reply.body.as_str()), (200, SERVED));
        }
    }
}

#[test]
fn an_ed25519_ca_above_a_p256_leaf_is_fine() {
    let ca = Authority::root("ed25519", &PKCS_ED25519);
    let reply = Pair::start(&ca.side(&p256(), ""), &ca.side(&p256(), "")).call();
    assert_eq!((reply.status, reply.body.as_str()), (200, SERVED));
}

#[test]
fn a_key_in_version_2_of_pkcs8_is_not_even_loaded() {
    let ca = root();
    // What rcgen with aws-lc-rs writes: RFC 5958, with the public key.
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = ca.side(&key, "").server_config(directory.path());
    let log = Envoy::refusal(directory.path(), "server", &config);
    assert!(log.contains("Failed to load private key"), "{log}");
    assert!(log.contains("SEQUENCE_LENGTH_MISMATCH"), "{log}");
}

fn root() -> Authority {
    Authority::root("root", &PKCS_ECDSA_P256_SHA256)
}
