//! Public keys that are fit to be certified, and what is said of those that are not.

use crate::support::openssl::Openssl;
use certctl::x509::key::{KeyAlgorithm, PrivateKey, PublicKey};

#[test]
fn what_we_make_is_what_we_accept() {
    for algorithm in KeyAlgorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let read = PublicKey::from_spki(key.public().spki()).unwrap();
        assert_eq!(&read, key.public());
        assert_eq!(read.algorithm(), algorithm);
    }
}

#[test]
fn keys_of_other_kinds_and_forms_are_refused_by_name() {
    let openssl = Openssl::new();
    for (options, form, reason) in [
        ("ED25519", "", "Ed25519 is not used: Envoy does not offer it"),
        ("ED448", "", "the key type 1.3.101.113 is not used; use ec-p256"),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", "", "the elliptic curve 1.3.132.0.10 is not"),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "", "the elliptic curve 1.3.132.0.35 is not"),
        (P256, "-ec_param_enc explicit", "an elliptic curve without a name is not used"),
        (P256, "-ec_conv_form compressed", "its point is not in the uncompressed form"),
        (P256, "-ec_conv_form hybrid", "its point is not in the uncompressed form"),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "", "RSA with 1024 bits is not used"),
        ("RSA -pkeyopt rsa_keygen_bits:2047", "", "RSA with 2047 bits is not used"),
        (
            "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
            "",
            "RSA with the public exponent 3 is not used",
        ),
        (
            "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:4294967297",
            "",
            "RSA with an exponent beyond 32 bits is not used",
        ),
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "", "the key type 1.2.840.113549.1.1.10 is not"),
    ] {
        openssl.run(&format!("genpkey -out key -algorithm {options}"));
        openssl.run(&format!("pkey -in key -pubout -outform DER {form} -out public"));
        assert_refused(&openssl.read("public"), reason);
    }
}

#[test]
fn numbers_that_are_no_key_are_refused() {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let spki = key.public().spki();
    let point = spki.len() - 64;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut spki = spki.to_vec();
        change(&mut spki);
        spki
    };
    let no_key = "its numbers are not those of a key";
    // One coordinate off, the origin, and coordinates beyond the field.
    assert_refused(&changed(&|spki| spki[point + 63] ^= 1), no_key);
    assert_refused(&changed(&|spki| spki[point..].fill(0)), no_key);
    assert_refused(&changed(&|spki| spki[point..].fill(0xff)), no_key);
    // The point at infinity is one zero byte.
    let infinity = changed(&|spki| {
        spki.truncate(point);
        spki[1] -= 64;
        spki[point - 3] -= 64;
        spki[point - 1] = 0;
    });
    assert_refused(&infinity, "its point is not in the uncompressed form");

    let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let spki = key.public().spki();
    let exponent = spki.len() - 3;
    let modulus_end = exponent - 2;
    assert_eq!(spki[exponent..], [1, 0, 1]);
    let mut even = spki.to_vec();
    even[exponent + 2] = 2;
    assert_refused(&even, "RSA with the public exponent 65538 is not used");
    let mut even = spki.to_vec();
    even[modulus_end - 1] ^= 1;
    assert_refused(&even, no_key);
}

#[test]
fn what_is_no_public_key_is_refused() {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let spki = key.public().spki();
    assert_refused(&[spki, &[0][..]].concat(), "the public key is malformed: bytes follow it");
    for end in 0..spki.len() {
        assert_refused(&spki[..end], "the public key is malformed");
    }
    assert_refused(key.to_der().secret_pkcs8_der(), "the public key is malformed");

    // An RSA key's parameters are NULL (RFC 3279 section 2.3.1), not left out.
    let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let spki = key.public().spki();
    let null = spki.windows(2).position(|window| window == [5, 0]).unwrap();
    let mut without = [&spki[..null], &spki[null + 2..]].concat();
    without[3] -= 2;
    without[5] -= 2;
    assert_refused(&without, "the public key is malformed");
}

#[test]
fn debug_shows_no_part_of_a_private_key() {
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let shown = format!("{key:?}");
        let name = if algorithm.is_rsa() { "Rsa2048" } else { "EcP256" };
        assert_eq!(
            shown,
            format!("PrivateKey {{ public: PublicKey {{ algorithm: {name}, .. }}, .. }}")
        );
    }
}

const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

fn assert_refused(spki: &[u8], reason: &str) {
    let refusal = PublicKey::from_spki(spki).unwrap_err().to_string();
    assert!(refusal.contains(reason), "{reason}: {refusal}");
}
