//! Which chains and anchors Envoy's default validator accepts: what `certctl explain` and the order
//! of a chain file rest on. All are judged by the client; the server's own certificate is the one
//! that varies.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::authority::{Authority, p256};
use crate::mutual_tls::{Pair, SERVED, Side};

#[test]
fn an_intermediate_must_be_in_the_chain_and_its_root_need_not_be() {
    let (root, issuing) = two_tiers();
    let key = p256();
    let leaf = issuing.leaf(&key);
    let [root, issuing] = [&root.certificate, &issuing.certificate];
    for chain in [
        format!("{leaf}{issuing}"),
        format!("{leaf}{issuing}{root}"),
        format!("{leaf}{root}{issuing}"),
    ] {
        assert_eq!(judge(root, &chain, &key), Ok(()));
    }
    for chain in [leaf.clone(), format!("{leaf}{root}")] {
        let reason = judge(root, &chain, &key).expect_err("no way from leaf to root");
        assert!(reason.contains("unable_to_get_local_issuer_certificate"), "{reason}");
    }
}

#[test]
fn an_intermediate_alone_is_an_anchor() {
    let (root, issuing) = two_tiers();
    let lower = issuing.intermediate("lower");
    let key = p256();
    let leaf = issuing.leaf(&key);
    let [root, anchor] = [&root.certificate, &issuing.certificate];
    for chain in [leaf.clone(), format!("{leaf}{anchor}"), format!("{leaf}{anchor}{root}")] {
        assert_eq!(judge(anchor, &chain, &key), Ok(()));
    }
    let below = format!("{}{}", lower.leaf(&key), lower.certificate);
    assert_eq!(judge(anchor, &below, &key), Ok(()));
}

#[test]
fn an_anchor_says_nothing_of_its_siblings() {
    let (root, issuing) = two_tiers();
    let sibling = root.intermediate("sibling");
    let key = p256();
    let chain = format!("{}{}{}", sibling.leaf(&key), sibling.certificate, root.certificate);
    let reason = judge(&issuing.certificate, &chain, &key)
        .expect_err("another intermediate of the same root");
    assert!(reason.contains("CERTIFICATE_VERIFY_FAILED"), "{reason}");
}

fn two_tiers() -> (Authority, Authority) {
    let root = Authority::root("root", &PKCS_ECDSA_P256_SHA256);
    let issuing = root.intermediate("issuing");
    (root, issuing)
}

/// Whether a client Envoy that trusts `anchor` accepts a server Envoy with `chain`, or Envoy's
/// reason. The client has a certificate of its own that the server trusts, so only the client can
/// object.
fn judge(anchor: &str, chain: &str, key: &KeyPair) -> Result<(), String> {
    let clients = Authority::root("clients", &PKCS_ECDSA_P256_SHA256);
    let client = Side { trusted_ca: anchor.to_owned(), ..clients.side(&p256(), "") };
    let server =
        Side { chain: chain.to_owned(), key: key.serialize_pem(), ..clients.side(key, "") };
    let pair = Pair::start(&client, &server);
    let reply = pair.call();
    match reply.status {
        200 => {
            assert_eq!(reply.body, SERVED);
            Ok(())
        }
        _ => {
            assert_eq!(pair.client.stat("cluster.server.ssl.fail_verify_error"), 1);
            Err(reply.body)
        }
    }
}
