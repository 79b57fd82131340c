//! `certctl inspect`, as people run it: files of other tools, broken ones, and live endpoints.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers too")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::Value;
use support::openssl::Openssl;

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

fn certctl(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certctl"))
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn inspect(openssl: &Openssl, arguments: &[&str]) -> (Option<i32>, String) {
    let output = certctl(&openssl.path(""), &[&["inspect"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn json(openssl: &Openssl, arguments: &[&str]) -> Value {
    let output = certctl(&openssl.path(""), &[&["inspect", "-o", "json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn codes(item: &Value) -> Vec<&str> {
    item["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect()
}

#[test]
fn a_leaf_of_certs_sh_is_described_with_its_warnings() {
    let openssl = certs_sh();
    let (code, text) = inspect(&openssl, &["chain.pem", "front_key.pem", "front.csr"]);
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
    assert_eq!(inspect(&openssl, &["--strict", "chain.pem"]).0, Some(3));
    assert_eq!(inspect(&openssl, &["--strict", "ca.pem"]).0, Some(0));
}

#[test]
fn the_json_is_stable() {
    let openssl = certs_sh();
    let value = json(&openssl, &["front.pem", "front_key.pem", "front.csr"]);
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
        let value = json(&openssl, &["front.pem", "--at", at]);
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
    let (_, text) = inspect(&openssl, &["front.pem", "--at", "2100-01-01T00:00:00Z"]);
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
        let value = json(&openssl, &["file.pem"]);
        let found = codes(&value["sources"][0]);
        assert!(found.contains(&code), "{code}: {found:?}");
    }
    openssl.write("bundle.pem", [&ca[..], &other].concat());
    assert_eq!(json(&openssl, &["bundle.pem"])["sources"][0]["problems"], Value::Array(vec![]));
    let value = json(&openssl, &["front.pem", "other_key.pem"]);
    assert_eq!(codes(&value["sources"][1]["items"][0]), ["key-mismatch"]);
    // A key alone is not a mismatch.
    let value = json(&openssl, &["other_key.pem"]);
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
        ("tail.der", "1 bytes follow it"),
        ("openssh.pem", "keys of SSH are not read"),
        ("store.jks", "JKS is not read"),
    ] {
        let (code, text) = inspect(&openssl, &[file]);
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
            let (_, text) = inspect(&openssl, &[file, "front.pem", "-o", form]);
            let (_, refused) = {
                let output =
                    certctl(&openssl.path(""), &["verify", "--bundle", file, "--key", file, file]);
                (0, String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
            };
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
    let (code, text) = inspect(&openssl, &["."]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("passed over ./notes.txt"), "{text}");
    assert!(
        text.contains("belongs to     ./chain.pem, number 1; ./front.csr; ./front.pem"),
        "{text}"
    );
    for (arguments, code, expected) in [
        (&["nothing.pem"][..], 1, "there is no file \"nothing.pem\""),
        (&["a:b:443"], 1, "no HOST:PORT"),
        (&["127.0.0.1:0"], 1, "no HOST:PORT"),
        (&["front.pem", "nothing.pem"], 1, "CN=front.example"),
        (&[], 2, "required"),
        (&["front.pem", "--at", "soon"], 2, "is no moment"),
        (&["front.pem", "--cert", "front.pem"], 2, "--key"),
    ] {
        let (found, text) = inspect(&openssl, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    // What exists as a file is one, whatever its name looks like.
    openssl.write("localhost:443", openssl.read("front.pem"));
    assert!(inspect(&openssl, &["localhost:443"]).1.contains("CN=front.example"));
}

#[test]
fn a_key_that_everybody_may_read_is_marked() {
    use std::os::unix::fs::PermissionsExt;
    let openssl = certs_sh();
    for (mode, expected) in [(0o644, true), (0o640, false), (0o600, false)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(openssl.path("front_key.pem"), permissions).unwrap();
        let (_, text) = inspect(&openssl, &["front_key.pem"]);
        assert_eq!(
            text.contains("everybody on this machine may read"),
            expected,
            "{mode:o}: {text}"
        );
    }
}

#[test]
fn a_live_endpoint_shows_its_chain_and_whom_it_asks_for() {
    let openssl = certs_sh();
    let chain = chain(&openssl, &["front.pem", "ca.pem"]);
    let plain = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut plain = plain.with_single_cert(chain.clone(), key(&openssl)).unwrap();
    plain.alpn_protocols = vec![b"h2".to_vec()];
    let (address, server) = serve(plain, 2);
    let value =
        json(&openssl, &[&address.to_string(), "--server-name", "front.example", "--alpn", "h2"]);
    let source = &value["sources"][0];
    let endpoint = &source["endpoint"];
    assert_eq!(endpoint["tlsVersion"], "TLS 1.3");
    assert_eq!(endpoint["serverName"], "front.example");
    assert_eq!(endpoint["protocol"], "h2");
    assert_eq!(endpoint["asksForClientCertificate"], false);
    assert_eq!(endpoint["provesItsKey"], true);
    assert_eq!(endpoint["verdict"], "accepted");
    assert_eq!(source["items"][0]["subject"], "CN=front.example");
    assert_eq!(source["items"].as_array().unwrap().len(), 2);
    let (_, text) = inspect(&openssl, &[&address.to_string()]);
    assert!(text.contains("client cert    not asked for"), "{text}");
    server.join().unwrap();

    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let mut roots = RootCertStore::empty();
        roots.add(chain[1].clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .unwrap();
        let mutual = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key(&openssl))
            .unwrap();
        let (address, server) = serve(mutual, 2);
        let address = address.to_string();
        let (code, text) = inspect(&openssl, &[&address]);
        assert_eq!(code, Some(0), "{text}");
        for line in [
            "client cert    asked for, of O=Example, CN=ca_1; none given",
            "outcome        refused us: ",
            "CN=front.example",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        let value = json(&openssl, &[&address, "--cert", "chain.pem", "--key", "front_key.pem"]);
        let endpoint = &value["sources"][0]["endpoint"];
        assert_eq!(endpoint["gaveClientCertificate"], true);
        assert_eq!(endpoint["verdict"], "accepted", "{value}");
        server.join().unwrap();
    }
}

#[test]
fn what_is_no_tls_endpoint_is_told_in_time() {
    let openssl = Openssl::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, text) = inspect(&openssl, &[&closed.to_string()]);
    assert!(code == Some(1) && text.contains("cannot connect to 127.0.0.1"), "{text}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (code, text) = inspect(&openssl, &[&address, "--timeout", "200ms"]);
    assert!(
        code == Some(1) && text.contains("did not complete a TLS handshake within 0.2 s"),
        "{text}"
    );

    let listener = TcpListener::bind("[::1]:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(socket.read(&mut [0; 4096]));
    });
    let (code, text) = inspect(&openssl, &[&address]);
    assert!(code == Some(1) && text.contains("not with a TLS handshake"), "{text}");
    server.join().unwrap();
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn chain(openssl: &Openssl, files: &[&str]) -> Vec<CertificateDer<'static>> {
    files
        .iter()
        .map(|file| CertificateDer::from(pem::parse(openssl.read(file)).unwrap().into_contents()))
        .collect()
}

fn key(openssl: &Openssl) -> PrivateKeyDer<'static> {
    let der = pem::parse(openssl.read("front_key.pem")).unwrap().into_contents();
    PrivateKeyDer::try_from(der).unwrap()
}

/// A TLS server on a free port of loopback that ends by itself after so many connections.
fn serve(config: ServerConfig, connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    let server = thread::spawn(move || {
        for _ in 0..connections {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut server = ServerConnection::new(config.clone()).unwrap();
            // Refusals are the client's to tell; a goodbye is answered with one.
            while server.complete_io(&mut socket).is_ok_and(|(read, _)| read > 0) {}
            server.send_close_notify();
            drop(server.write_tls(&mut socket));
        }
    });
    (address, server)
}
