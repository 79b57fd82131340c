//! `certctl inspect` on files: other tools' and broken ones.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use serde_json::Value;

use crate::support::openssl::Openssl;
use crate::support::program;

mod endpoint;

/// What certs.sh makes: an RSA CA and a leaf with DNS names alone, both for ten years.
fn certs_sh() -> Openssl {
    let openssl = Openssl::new();
    openssl.write("san", "subjectAltName=DNS:front.example\n");
    openssl.run("req -x509 -newkey rsa:2048 -nodes -keyout ca_key.pem -out ca.pem -days 3650 -subj /O=Example/CN=ca_1 -addext basicConstraints=critical,CA:true");
    openssl.run(
        "req -newkey rsa:2048 -nodes -keyout front_key.pem -out front.csr -subj /CN=front.example",
    );
    openssl.run("x509 -req -in front.csr -CA ca.pem -CAkey ca_key.pem -set_serial 0x0abc -days 3650 -sha256 -extfile san -out front.pem");
    openssl.write("chain.pem", [openssl.read("front.pem"), openssl.read("ca.pem")].concat());
    openssl
}

fn inspect(openssl: &Openssl, arguments: &str) -> (Option<i32>, String) {
    let run = program::run(&openssl.path(""), &format!("inspect {arguments}"));
    (run.code, run.text())
}

fn json(openssl: &Openssl, arguments: &str) -> Value {
    program::run(&openssl.path(""), &format!("inspect -o json {arguments}")).done().json()
}

fn codes(item: &Value) -> Vec<&str> {
    item["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect()
}

#[test]
fn a_leaf_of_certs_sh_is_described_with_its_warnings() {
    let openssl = certs_sh();
    let (code, text) = inspect(&openssl, "chain.pem front_key.pem front.csr");
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "1. certificate (leaf)",
        "subject        CN=front.example",
        "issuer         O=Example, CN=ca_1",
        "serial         0ABC",
        "DNS names      front.example",
        "key            rsa-2048",
        "signed with    RSA with SHA-256",
        "! it lives for 3650d: whoever gets hold of its key",
        "! it is no SPIFFE X.509-SVID: it has no URI name",
        "2. certificate (root CA)",
        "private key (PKCS#8)",
        "belongs to     chain.pem, number 1; front.csr",
        "certificate signing request",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let openssl_says = openssl.run("x509 -in front.pem -noout -fingerprint -sha256");
    let fingerprint = openssl_says.trim().rsplit('=').next().unwrap().replace(':', "");
    assert!(text.contains(&format!("fingerprint    sha256 {}", fingerprint.to_lowercase())));
    assert_eq!(inspect(&openssl, "--strict chain.pem").0, Some(3));
    assert_eq!(inspect(&openssl, "--strict ca.pem").0, Some(0));
}

#[test]
fn the_json_is_stable() {
    let openssl = certs_sh();
    let value = json(&openssl, "front.pem front_key.pem front.csr");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&value), ["at", "sources"]);
    assert_eq!(keys(&value["sources"][0]), ["items", "name", "problems"]);
    let certificate = &value["sources"][0]["items"][0];
    assert_eq!(
        keys(certificate).join(" "),
        "authorityKeyId extendedKeyUsage issuer key keyUsage kind names pathLength problems role \
         serial sha256 signatureAlgorithm spiffeId subject subjectKeyId validity"
    );
    assert_eq!(certificate["role"], "leaf");
    assert_eq!(certificate["validity"]["state"], "valid");
    assert_eq!(certificate["names"]["dnsNames"][0], "front.example");
    assert_eq!(codes(certificate), ["long-lived", "not-spiffe"]);
    let key = &value["sources"][1]["items"][0];
    assert_eq!(keys(key).join(" "), "algorithm belongsTo encrypted form kind problems sha256");
    assert_eq!(key["sha256"], certificate["key"]["sha256"]);
    assert_eq!(value["sources"][2]["items"][0]["kind"], "request");
}

#[test]
fn times_are_judged_by_the_moment_asked_about() {
    let openssl = certs_sh();
    let state = |at: &str| {
        let value = json(&openssl, &format!("front.pem --at {at}"));
        let certificate = value["sources"][0]["items"][0].clone();
        (
            certificate["validity"]["state"].as_str().unwrap().to_owned(),
            codes(&certificate)[0].to_owned(),
        )
    };
    assert_eq!(
        state("2000-01-01T00:00:00Z"),
        ("notYetValid".to_owned(), "not-yet-valid".to_owned())
    );
    assert_eq!(state("2100-01-01T00:00:00Z"), ("expired".to_owned(), "expired".to_owned()));
    let (_, text) = inspect(&openssl, "front.pem --at 2100-01-01T00:00:00Z");
    assert!(text.contains("✗ it expired 2"), "{text}");
}

#[test]
fn what_does_not_belong_together_is_marked() {
    let openssl = certs_sh();
    let (front, ca) = (openssl.read("front.pem"), openssl.read("ca.pem"));
    openssl.run("req -x509 -newkey rsa:2048 -nodes -keyout other_key.pem -out same_name.pem -days 3650 -subj /O=Example/CN=ca_1 -addext basicConstraints=critical,CA:true");
    openssl.run("req -x509 -newkey rsa:2048 -nodes -keyout other_key.pem -out other.pem -days 3650 -subj /CN=other -addext basicConstraints=critical,CA:true");
    let (same_name, other) = (openssl.read("same_name.pem"), openssl.read("other.pem"));
    for (parts, code) in [
        (vec![&ca, &front], "ca-first"),
        (vec![&front, &other], "not-linked"),
        (vec![&front, &other, &ca], "out-of-order"),
        (vec![&front, &same_name], "bad-signature"),
        (vec![&front, &front], "duplicate"),
        (vec![&ca, &other, &ca], "duplicate"),
    ] {
        openssl.write("file.pem", parts.into_iter().flatten().copied().collect::<Vec<u8>>());
        let value = json(&openssl, "file.pem");
        let found = codes(&value["sources"][0]);
        assert!(found.contains(&code), "{code}: {found:?}");
    }
    openssl.write("bundle.pem", [&ca[..], &other].concat());
    assert_eq!(json(&openssl, "bundle.pem")["sources"][0]["problems"], Value::Array(vec![]));
    let value = json(&openssl, "front.pem other_key.pem");
    assert_eq!(codes(&value["sources"][1]["items"][0]), ["key-mismatch"]);
    // A key alone is not a mismatch.
    let value = json(&openssl, "other_key.pem");
    assert!(codes(&value["sources"][0]["items"][0]).is_empty());
}

#[test]
fn forms_and_weak_keys_are_told() {
    let openssl = certs_sh();
    openssl.run("x509 -in front.pem -outform der -out front.der");
    openssl.run("pkcs8 -topk8 -nocrypt -in front_key.pem -outform der -out key.der");
    openssl.run("pkcs12 -export -in front.pem -inkey front_key.pem -passout pass:x -out front.p12");
    openssl.run("pkcs8 -topk8 -in front_key.pem -passout pass:x -out sealed.pem");
    openssl.run("rsa -aes128 -passout pass:x -traditional -in front_key.pem -out legacy.pem");
    openssl.run("rsa -traditional -in front_key.pem -out pkcs1.pem");
    openssl.run("genrsa -out weak.pem 1024");
    openssl.run("genpkey -algorithm ed25519 -out ed25519.pem");
    openssl.run("ecparam -genkey -name secp521r1 -noout -out p521.pem");
    openssl.run("ecparam -genkey -name prime256v1 -out p256.pem");
    openssl.run("req -x509 -key weak.pem -sha1 -days 9 -out weak_cert.pem -subj /CN=weak -addext basicConstraints=CA:false");
    let front = openssl.read("front.pem");
    openssl.write("cut.pem", [&front[..], &front[..200]].concat());
    openssl.write("empty.pem", "");
    openssl.write("text.pem", "hello");
    openssl.write("tail.der", [openssl.read("front.der"), vec![0]].concat());
    openssl.write(
        "openssh.pem",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    );
    openssl.write("store.jks", [0xfe, 0xed, 0xfe, 0xed, 0, 0]);
    for (file, expected) in [
        ("front.der", "certificate (leaf)"),
        ("key.der", "private key (PKCS#8)"),
        ("front.p12", "PKCS#12 is not read"),
        ("sealed.pem", "private key (PKCS#8, encrypted)"),
        ("legacy.pem", "obsolete PEM manner"),
        ("pkcs1.pem", "private key (PKCS#1)"),
        ("weak.pem", "RSA with 1024 bits is too weak"),
        ("ed25519.pem", "Envoy does not offer it"),
        ("p521.pem", "algorithm      ec-p521"),
        ("p256.pem", "labelled \"EC PARAMETERS\""),
        ("weak_cert.pem", "signed with RSA with SHA-1, which can be forged"),
        ("weak_cert.pem", "it has no subject alternative name"),
        ("weak_cert.pem", "it issued itself and lacks the CA bit"),
        ("weak_cert.pem", "RSA with 1024 bits is too weak"),
        ("cut.pem", "DNS names      front.example"),
        ("cut.pem", "may be cut short"),
        ("empty.pem", "there is nothing in it"),
        ("text.pem", "neither PEM nor DER"),
        ("tail.der", "bytes after its end that do not belong to it: 1"),
        ("openssh.pem", "keys of SSH are not read"),
        ("store.jks", "JKS is not read"),
    ] {
        let (code, text) = inspect(&openssl, file);
        assert_eq!(code, Some(0), "{file}: {text}");
        assert!(text.contains(expected), "{file}: {expected:?} is not in\n{text}");
    }
}

/// Base64 of every stretch of a key's secret numbers, in every form of answer.
#[test]
fn no_private_part_of_a_key_is_ever_printed() {
    let openssl = certs_sh();
    openssl.run("ecparam -genkey -name prime256v1 -noout -out ec.pem");
    openssl.run("rsa -traditional -in front_key.pem -out pkcs1.pem");
    openssl.run("rsa -in front_key.pem -outform der -out key.der");
    let key = openssl.read("front_key.pem");
    let text = String::from_utf8(key.clone()).unwrap();
    // Broken in every way that a parser might quote.
    openssl.write("blank.pem", text.replacen('\n', "\n\n", 3));
    openssl.write("dashes.pem", text.replacen("KEY-----", "KEY", 1));
    openssl.write("label.pem", text.replace("PRIVATE KEY", "CERTIFICATE"));
    openssl.write("request.pem", text.replace("PRIVATE KEY", "CERTIFICATE REQUEST"));
    openssl.write("cut.pem", &text[..800]);
    openssl.write("star.pem", text.replacen('A', "*", 1));
    openssl.write("bare.pem", text.lines().filter(|l| !l.starts_with('-')).collect::<String>());
    openssl.write("public.pem", text.replace("PRIVATE KEY", "PUBLIC KEY"));
    let secrets: Vec<String> = ["front_key.pem", "pkcs1.pem", "ec.pem"]
        .iter()
        .flat_map(|file| {
            let text = String::from_utf8(openssl.read(file)).unwrap();
            let base64: String = text.lines().filter(|l| !l.starts_with('-')).collect();
            // The beginning is the algorithm's, and an EC key ends with its public point.
            let secret = base64.get(40..base64.len() * 2 / 5).unwrap().to_owned();
            secret
                .as_bytes()
                .windows(12)
                .step_by(4)
                .map(|w| String::from_utf8(w.to_vec()).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(secrets.len() > 50);
    for file in [
        "front_key.pem",
        "pkcs1.pem",
        "ec.pem",
        "key.der",
        "blank.pem",
        "dashes.pem",
        "label.pem",
        "request.pem",
        "cut.pem",
        "star.pem",
        "bare.pem",
        "public.pem",
    ] {
        for form in ["table", "json", "yaml"] {
            let (_, text) = inspect(&openssl, &format!("{file} front.pem -o {form}"));
            let verify = format!("verify --bundle {file} --key {file} {file}");
            let refused = program::run(&openssl.path(""), &verify).text();
            for secret in &secrets {
                assert!(
                    !text.contains(secret) && !refused.contains(secret),
                    "{file} {form}:\n{text}{refused}"
                );
            }
        }
    }
}

#[test]
fn a_directory_is_read_whole_and_misuse_is_refused() {
    let openssl = certs_sh();
    openssl.write("notes.txt", "hello");
    let (code, text) = inspect(&openssl, ".");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("passed over ./notes.txt"), "{text}");
    assert!(
        text.contains("belongs to     ./chain.pem, number 1; ./front.csr; ./front.pem"),
        "{text}"
    );
    for (arguments, code, expected) in [
        ("nothing.pem", 1, "there is no file \"nothing.pem\""),
        ("a:b:443", 1, "no HOST:PORT"),
        ("127.0.0.1:0", 1, "no HOST:PORT"),
        ("front.pem nothing.pem", 1, "CN=front.example"),
        ("", 2, "required"),
        ("front.pem --at soon", 2, "is no moment"),
        ("front.pem --cert front.pem", 2, "--key"),
    ] {
        let (found, text) = inspect(&openssl, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    // What cannot be read hides nothing of what lies beside it.
    std::fs::File::create(openssl.path("huge.pem")).unwrap().set_len(17 << 20).unwrap();
    let (code, text) = inspect(&openssl, ". nothing.pem");
    assert_eq!(code, Some(1), "{text}");
    for expected in ["CN=front.example", "cannot read ./huge.pem", "no file \"nothing.pem\""] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    std::fs::create_dir(openssl.path("hollow")).unwrap();
    let (code, text) = inspect(&openssl, "hollow");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("there is nothing to inspect in hollow"), "{text}");
    // What exists as a file is one, whatever its name looks like.
    let foreign = OsStr::from_bytes(b"front\xff.pem");
    std::fs::copy(openssl.path("front.pem"), openssl.path("").join(foreign)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_certctl"))
        .current_dir(openssl.path(""))
        .arg("inspect")
        .arg(foreign)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("CN=front.example"), "{output:?}");
    openssl.write("localhost:443", openssl.read("front.pem"));
    assert!(inspect(&openssl, "localhost:443").1.contains("CN=front.example"));
}

#[test]
fn a_key_that_everybody_may_read_is_marked() {
    use std::os::unix::fs::PermissionsExt;
    let openssl = certs_sh();
    for (mode, expected) in [(0o644, true), (0o640, false), (0o600, false)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(openssl.path("front_key.pem"), permissions).unwrap();
        let (_, text) = inspect(&openssl, "front_key.pem");
        assert_eq!(
            text.contains("everybody on this machine may read"),
            expected,
            "{mode:o}: {text}"
        );
    }
}
