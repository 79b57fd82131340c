//! The form of a request, its key and its signature, each wrong in one way.

use certctl::x509::key::{KeyAlgorithm, PrivateKey};

use super::front::{ID, judge};
use super::refuse;
use crate::der::{RequestParts, bit_string, element, octet_string, oid, pem, sequence};
use crate::support::openssl::Openssl;

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
    let openssl = Openssl::new();
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
        let asks = "-addext subjectAltName=URI:spiffe://example.org/front,DNS:front.local";
        openssl.run(&format!(
            "req -new -nodes -subj /CN=front -newkey {options} {asks} -keyout key.pem -out front.csr"
        ));
        let request = openssl.read("front.csr");
        match (judge(&request), reason) {
            (Ok(_), None) => {}
            (Err(error), Some(reason)) => {
                assert!(error.to_string().contains(reason), "{options}: {error}");
            }
            (result, _) => panic!("{options}: {result:?}"),
        }
    }
}
