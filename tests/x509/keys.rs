//! Private keys in every form that openssl writes them, and what is said of those we don't take.

use crate::support::openssl::Openssl;
use certctl::x509::key::{KeyAlgorithm, PrivateKey};

const PASSPHRASE: &[u8] = b"correct horse";

/// openssl's arguments that write a key of each algorithm as PKCS#8 to the file `key`.
const ALGORITHMS: [(KeyAlgorithm, &str); 5] = [
    (KeyAlgorithm::EcP256, "EC -pkeyopt ec_paramgen_curve:P-256"),
    (KeyAlgorithm::EcP384, "EC -pkeyopt ec_paramgen_curve:P-384"),
    (KeyAlgorithm::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048"),
    (KeyAlgorithm::Rsa3072, "RSA -pkeyopt rsa_keygen_bits:3072"),
    (KeyAlgorithm::Rsa4096, "RSA -pkeyopt rsa_keygen_bits:4096"),
];

#[test]
fn plain_keys_of_every_algorithm_and_form_are_read() {
    let openssl = Openssl::new();
    for (algorithm, options) in ALGORITHMS {
        generate(&openssl, options);
        let wanted = spki(&openssl, "key");
        openssl.run("pkey -in key -traditional -out traditional");
        for (file, label) in [("key", "PRIVATE KEY"), ("traditional", "")] {
            let label = match (label, algorithm.is_rsa()) {
                ("", true) => "RSA PRIVATE KEY",
                ("", false) => "EC PRIVATE KEY",
                (label, _) => label,
            };
            let pem = openssl.read(file);
            assert!(pem.starts_with(format!("-----BEGIN {label}-----").as_bytes()));
            let key = PrivateKey::from_pem(&pem, None).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.public().spki(), wanted, "{file}, {algorithm}");
            // What we write, openssl reads as the same key.
            openssl.write("ours", key.to_pem().as_bytes());
            assert_eq!(spki(&openssl, "ours"), wanted);
        }
    }
}

#[test]
fn ec_parameters_before_a_key_are_passed_over() {
    let openssl = Openssl::new();
    for curve in ["prime256v1", "secp384r1"] {
        openssl.run(&format!("ecparam -name {curve} -genkey -out key"));
        assert!(openssl.read("key").starts_with(b"-----BEGIN EC PARAMETERS-----"));
        let key = PrivateKey::from_pem(&openssl.read("key"), None).unwrap();
        assert_eq!(key.public().spki(), spki(&openssl, "key"));
    }
}

#[test]
fn keys_encrypted_by_openssl_open_with_their_passphrase_only() {
    let openssl = Openssl::new();
    openssl.write("pass", PASSPHRASE);
    generate(&openssl, "EC -pkeyopt ec_paramgen_curve:P-256");
    let wanted = spki(&openssl, "key");
    for variant in [
        "",
        "-v2 aes-128-cbc -v2prf hmacWithSHA256",
        "-v2 aes-192-cbc -v2prf hmacWithSHA384",
        "-v2 aes-256-cbc -v2prf hmacWithSHA512 -iter 100000",
        "-scrypt",
        "-scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 1",
    ] {
        openssl.run(&format!("pkcs8 -topk8 -in key -out sealed -passout file:pass {variant}"));
        let key = PrivateKey::from_pem(&openssl.read("sealed"), Some(PASSPHRASE))
            .unwrap_or_else(|error| panic!("{variant}: {error}"));
        assert_eq!(key.public().spki(), wanted);
        for wrong in [&b"wrong"[..], b"", b"correct horse\n"] {
            let refusal = refusal(&openssl, "sealed", Some(wrong));
            assert_eq!(refusal, "the passphrase does not open the private key", "{variant}");
        }
        assert!(refusal(&openssl, "sealed", None).contains("name the file with its passphrase"));
    }
}

#[test]
fn other_encryption_is_named_and_so_is_the_way_out() {
    let openssl = Openssl::new();
    openssl.write("pass", PASSPHRASE);
    // Named once for each: openssl takes the second line of a file that is named twice.
    openssl.write("pass-again", PASSPHRASE);
    generate(&openssl, "EC -pkeyopt ec_paramgen_curve:P-256");
    let convert = "convert it with `openssl pkcs8 -topk8 -in OLD -out NEW`";
    for variant in ["-v2 des3", "-v1 PBE-SHA1-3DES", "-v2 aes-256-cbc -v2prf hmacWithSHA1"] {
        openssl.run(&format!("pkcs8 -topk8 -in key -out sealed -passout file:pass {variant}"));
        let refusal = refusal(&openssl, "sealed", Some(PASSPHRASE));
        assert!(refusal.starts_with("the private key is encrypted in a manner"), "{refusal}");
        assert!(refusal.ends_with(convert), "{refusal}");
        // The way out that is named leads out.
        openssl.run(
            "pkcs8 -topk8 -in sealed -out converted -passin file:pass -passout file:pass-again",
        );
        PrivateKey::from_pem(&openssl.read("converted"), Some(PASSPHRASE)).unwrap();
    }
    openssl.run("ec -in key -aes256 -passout file:pass -out sealed");
    assert!(openssl.read("sealed").windows(8).any(|window| window == b"DEK-Info"));
    let refusal = refusal(&openssl, "sealed", Some(PASSPHRASE));
    assert!(refusal.contains("obsolete PEM manner (DEK-Info)"), "{refusal}");
    assert!(refusal.ends_with(convert), "{refusal}");
}

#[test]
fn what_we_encrypt_openssl_opens() {
    let openssl = Openssl::new();
    openssl.write("pass", PASSPHRASE);
    openssl.write("wrong", b"wrong");
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let sealed = key.to_encrypted_pem(PASSPHRASE).unwrap();
        openssl.write("sealed", sealed.as_bytes());
        openssl.run("pkey -in sealed -passin file:pass -out opened");
        assert_eq!(spki(&openssl, "opened"), key.public().spki());
        openssl.fail("pkey -in sealed -passin file:wrong -noout");
        let read = PrivateKey::from_pem(sealed.as_bytes(), Some(PASSPHRASE)).unwrap();
        assert_eq!(read.public(), key.public());
    }
}

#[test]
fn keys_of_other_kinds_are_refused_by_name() {
    let openssl = Openssl::new();
    for (options, reason) in [
        ("ED25519", "Ed25519 is not used: Envoy does not offer it"),
        ("ED448", "the key type 1.3.101.113 is not used; use ec-p256"),
        ("X25519", "the key type 1.3.101.110 is not used"),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", "the elliptic curve 1.3.132.0.10 is not used"),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "the elliptic curve 1.3.132.0.35 is not used"),
        (
            "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            "an elliptic curve without a name is not used",
        ),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "RSA with 1024 bits is not used"),
        ("RSA -pkeyopt rsa_keygen_bits:2047", "RSA with 2047 bits is not used"),
        ("RSA -pkeyopt rsa_keygen_bits:2056", "RSA with 2056 bits is not used"),
        // Four primes, since two of such a size take half a minute to find.
        (
            "RSA -pkeyopt rsa_keygen_bits:8192 -pkeyopt rsa_keygen_primes:4",
            "RSA with 8192 bits is not used",
        ),
        (
            "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
            "RSA with the public exponent 3 is not used",
        ),
        (
            "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3",
            "the private key is malformed or inconsistent (PKCS#1)",
        ),
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "the key type 1.2.840.113549.1.1.10 is not used"),
    ] {
        generate(&openssl, options);
        let refusal = refusal(&openssl, "key", None);
        assert!(refusal.starts_with(reason), "{options}: {refusal}");
    }

    for (options, reason) in [
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", "only P-256 and P-384 are used"),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "only P-256 and P-384 are used"),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "RSA with 1024 bits is not used"),
    ] {
        generate(&openssl, options);
        openssl.run("pkey -in key -traditional -out traditional");
        let refusal = refusal(&openssl, "traditional", None);
        assert!(refusal.contains(reason), "{options}: {refusal}");
    }
}

#[test]
fn a_file_holds_one_key_and_says_what_it_holds_instead() {
    let openssl = Openssl::new();
    generate(&openssl, "EC -pkeyopt ec_paramgen_curve:P-256");
    let key = openssl.read("key");
    openssl.run("pkey -in key -pubout -out public");
    openssl.run("req -x509 -key key -subj /CN=ca -out certificate");
    let text = |parts: &[&[u8]]| PrivateKey::from_pem(&parts.concat(), None).map(drop);
    let certificate = openssl.read("certificate");
    text(&[&certificate, &key]).unwrap();
    text(&[b"Bag Attributes\n", &key, b"# the end\n"]).unwrap();

    let broken = [&key[..60], b"*", &key[61..]].concat();
    let other = String::from_utf8(key.clone()).unwrap().replace("PRIVATE", "OPENSSH PRIVATE");
    for (parts, reason) in [
        (&[&key[..], &key[..]][..], "it holds 2 private keys; leave the one that is meant"),
        (
            &[&certificate[..]],
            "there is no private key in it, but a block labelled \"CERTIFICATE\"",
        ),
        (&[&openssl.read("public")[..]], "a block labelled \"PUBLIC KEY\""),
        (&[b""], "there is no private key in it, but nothing in PEM"),
        (&[other.as_bytes()], "a block labelled \"OPENSSH PRIVATE KEY\" is not used"),
        (&[&broken[..]], "the PEM is broken"),
        (&[&key[..key.len() - 20]], "PEM"),
    ] {
        let refusal = text(parts).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{reason}: {refusal}");
        assert!(!refusal.contains(std::str::from_utf8(&key[40..60]).unwrap()), "{refusal}");
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let openssl = Openssl::new();
    for options in [ALGORITHMS[0].1, ALGORITHMS[2].1] {
        generate(&openssl, options);
        openssl.run("pkcs8 -topk8 -nocrypt -in key -outform DER -out whole");
        let mut der = openssl.read("whole");
        PrivateKey::from_pkcs8(&der).unwrap();
        // Both forms end in numbers that depend on each other: the public point, or the last of
        // the RSA numbers.
        *der.last_mut().unwrap() ^= 1;
        let refusal = PrivateKey::from_pkcs8(&der).unwrap_err().to_string();
        assert!(refusal.contains("malformed or inconsistent"), "{options}: {refusal}");
        der.truncate(der.len() - 1);
        assert!(PrivateKey::from_pkcs8(&der).is_err());
    }
}

fn generate(openssl: &Openssl, options: &str) {
    openssl.run(&format!("genpkey -out key -algorithm {options}"));
}

fn spki(openssl: &Openssl, file: &str) -> Vec<u8> {
    openssl.run(&format!("pkey -in {file} -pubout -outform DER -out public"));
    openssl.read("public")
}

fn refusal(openssl: &Openssl, file: &str, passphrase: Option<&[u8]>) -> String {
    PrivateKey::from_pem(&openssl.read(file), passphrase).unwrap_err().to_string()
}
