//! CAs that were made elsewhere, by openssl: in every form of key, and what is refused of them.

use crate::support::program::Run;
use crate::support::site::Site;

const NODE: &str = "front: { authority: ca }";

/// A mesh whose authority is read from `ca.pem` and `ca.key`.
fn site() -> Site {
    Site::of("ca: { local: { certificate: ca.pem, key: ca.key } }", NODE)
}

/// A site with a self-signed CA.
fn with_ca(key: &str, extra: &str) -> Site {
    let site = site();
    site.run(&format!(
        "req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -days 99 -subj /O=Other/CN=Bought \
         -addext keyUsage=critical,keyCertSign,cRLSign {extra}"
    ));
    site
}

const CA: &str = "-addext basicConstraints=critical,CA:TRUE";
const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// Issues twice, and has openssl verify the first.
#[track_caller]
fn works(site: &Site) {
    site.issue("--force front").done().says("ca", &["kept"]);
    assert!(!site.has("certs/ca_key.pem"), "the key stays where it is");
    site.verify("ca", "front");
    let before = site.everything("certs");
    site.issue("").done().says("front", &["kept"]).tells("0 files written");
    assert_eq!(site.everything("certs"), before);
}

#[track_caller]
fn refused(site: &Site, words: &[&str]) -> Run {
    let run = site.issue("").failed(words).says("ca", &["FAILED"]).says("front", &["FAILED"]);
    assert!(!site.has("certs/front_key.pem"));
    run
}

#[test]
fn every_form_of_key_is_read() {
    for key in [P256, "ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048", "rsa:3072"] {
        let site = with_ca(key, CA);
        works(&site);
        if key.starts_with("ec") {
            // openssl's own habit is to write the parameters before the key.
            site.run("ec -in ca.key -out sec1.key");
            let parameters =
                "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
            site.write("ca.key", parameters.to_owned() + &site.text("sec1.key"));
            assert!(site.text("ca.key").contains("BEGIN EC PRIVATE KEY"));
        } else {
            site.run("rsa -in ca.key -traditional -out pkcs1.key");
            site.rename("pkcs1.key", "ca.key");
            assert!(site.text("ca.key").contains("BEGIN RSA PRIVATE KEY"));
        }
        works(&site);
    }
}

#[test]
fn every_usual_encryption_is_opened() {
    let site = with_ca(P256, CA);
    site.run("pkey -in ca.key -out plain.key");
    site.edit("key: ca.key", "key: ca.key, passphraseFile: pass");
    site.write("pass", "open sesame\n");
    for how in [
        "-v2 aes-256-cbc -v2prf hmacWithSHA256",
        "-v2 aes-128-cbc -v2prf hmacWithSHA512",
        "-v2 aes-256-cbc -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 1",
    ] {
        site.run(&format!("pkcs8 -topk8 -in plain.key -out ca.key -passout file:pass {how}"));
        works(&site);
    }
    let before = site.everything("certs");
    for how in ["-v2 aes-128-cbc -v2prf hmacWithSHA1", "-v2 des3", "-v2 camellia-128-cbc"] {
        site.run(&format!("pkcs8 -topk8 -in plain.key -out ca.key -passout file:pass {how}"));
        site.issue("")
            .failed(&["ca.key: the private key is encrypted in a manner that is not read"]);
    }
    // The advice works.
    site.run("pkcs8 -topk8 -in plain.key -out ca.key -passout file:pass -v2 des3");
    let passphrase = "'pass:open sesame'";
    site.run(&format!(
        "pkcs8 -topk8 -in ca.key -passin {passphrase} -out new.key -passout {passphrase}"
    ));
    site.rename("new.key", "ca.key");
    site.issue("").done();
    site.write("pass", "close sesame");
    site.issue("").failed(&["ca.key: the passphrase does not open the private key"]);
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn old_encryption_and_foreign_keys_are_refused_with_a_way_out() {
    let site = with_ca(P256, CA);
    site.run("ec -in ca.key -aes128 -passout pass:x -out old.key");
    site.rename("old.key", "ca.key");
    refused(&site, &["encrypted in the obsolete PEM manner (DEK-Info); convert it with"]);
    let site = with_ca(P256, CA);
    site.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    refused(
        &site,
        &["ca.pem: the key does not belong to the certificate of \"O=Other, CN=Bought\""],
    );
    let site = with_ca("ed25519", CA);
    refused(&site, &["ca.pem: the key of \"O=Other, CN=Bought\": Ed25519 is not used: Envoy does"]);
    let site = with_ca("rsa:1024", CA);
    refused(&site, &["RSA with 1024 bits is not used; use ec-p256"]);
    let site = with_ca("ec -pkeyopt ec_paramgen_curve:secp256k1", CA);
    refused(&site, &["the elliptic curve 1.3.132.0.10 is not used"]);
    let site = with_ca(P256, CA);
    site.remove("ca.key");
    refused(&site, &["cannot read", "ca.key: No such file"]);
    site.remove("ca.pem");
    refused(&site, &["cannot read", "ca.pem: No such file"]);
}

#[test]
fn what_is_no_usable_ca_is_refused_with_the_reason() {
    let lossy = "-subj /DC=com/DC=example/CN=x -multivalue-rdn";
    for (extra, words) in [
        (
            "-addext basicConstraints=critical,CA:FALSE",
            "is no CA: its basic constraints do not say",
        ),
        ("", "is no CA: its basic constraints do not say CA:TRUE"),
        (&format!("{CA} -sha1"), "is signed with SHA-1, which can be forged"),
        (&format!("{CA} {lossy}"), "cannot be written back byte for byte"),
    ] {
        let site = with_ca("rsa:2048", extra);
        refused(&site, &[words]);
    }
    let site = site();
    site.run(&format!(
        "req -x509 -newkey {P256} -nodes -keyout ca.key -out ca.pem -days 99 -subj /CN=x {CA} \
         -addext keyUsage=critical,digitalSignature"
    ));
    refused(&site, &["is no CA: its key usage lacks keyCertSign"]);
    // Over, and not yet begun.
    for (from, to) in
        [("20200101000000Z", "20210101000000Z"), ("20900101000000Z", "21000101000000Z")]
    {
        let site = with_ca(P256, CA);
        site.run("req -new -key ca.key -subj /CN=x -out ca.csr");
        site.write("index", "");
        site.write(
            "ca.cnf",
            "[ca]\ndefault_ca = it\n[it]\ndatabase = index\nnew_certs_dir = .\npolicy = any\n\
             default_md = sha256\nx509_extensions = extensions\nrand_serial = yes\n[any]\n\
             commonName = supplied\n[extensions]\nbasicConstraints = critical,CA:TRUE\n",
        );
        site.run(&format!(
            "ca -batch -selfsign -config ca.cnf -in ca.csr -keyfile ca.key -notext -out ca.pem \
             -startdate {from} -enddate {to}"
        ));
        // It is refused, and trust in it goes on being written.
        let words =
            format!("ca.pem: the certificate of \"CN=x\" is valid from {}-01-01", &from[..4]);
        let run = site.issue("").failed(&[&words]);
        run.says("ca", &["FAILED", &words]).says("front", &["FAILED", &words]);
        assert!(!site.has("certs/front_key.pem"));
        assert_eq!(site.text("certs/front_trust.pem"), site.text("ca.pem"));
    }
}

#[test]
fn an_imported_ca_without_its_key_keeps_its_leaves_and_its_trust() {
    let site = with_ca(P256, CA);
    site.issue("").done();
    site.rename("ca.key", "away");
    site.remove("certs/front_trust.pem");
    site.issue("")
        .failed(&["ca: cannot read", "ca.key", "1 of the mesh's authorities and nodes failed"])
        .says("ca", &["FAILED"])
        .says("front", &["kept"])
        .tells("note    ca cannot sign now, and 1 of its nodes keep good certificates");
    assert_eq!(site.text("certs/front_trust.pem"), site.text("ca.pem"));
    site.remove("certs/front_key.pem");
    site.issue("").failed(&[]).says("front", &["FAILED", "its authority cannot sign"]);
    site.rename("away", "ca.key");
    site.issue("").done().says("front", &["renewed"]);
}

#[test]
fn a_ca_without_key_identifiers_is_used_and_does_not_cause_a_storm() {
    let ids = "-addext subjectKeyIdentifier=none -addext authorityKeyIdentifier=none";
    let site = with_ca(P256, &format!("{CA} {ids}"));
    let text = site.run("x509 -in ca.pem -noout -text");
    assert!(!text.contains("Key Identifier"), "{text}");
    site.issue("").done();
    site.run("verify -CAfile certs/ca_cert.pem certs/front_cert.pem");
    let before = site.everything("certs");
    site.issue("").done().says("front", &["kept"]);
    assert_eq!(site.everything("certs"), before);
    // An intermediate below it is kept as well.
    site.edit("authorities: {", "authorities: { below: { local: { parent: ca } },");
    site.edit("authority: ca ", "authority: below ");
    site.issue("").done().says("below", &["created"]);
    let before = site.everything("certs");
    site.issue("").done().says("below", &["kept"]).says("front", &["kept"]);
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn an_imported_intermediate_comes_with_its_chain() {
    let site = with_ca(P256, CA);
    site.rename("ca.pem", "root.pem");
    site.rename("ca.key", "root.key");
    site.run(&format!(
        "req -newkey {P256} -nodes -keyout ca.key -out ca.csr -subj /O=Other/CN=Below"
    ));
    site.write("ca.cnf", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    site.run(
        "x509 -req -in ca.csr -CA root.pem -CAkey root.key -days 50 -extfile ca.cnf -out ca.pem",
    );
    refused(
        &site,
        &["the chain ends with \"O=Other, CN=Below\"", "append the certificates above it"],
    );
    let own = site.text("ca.pem");
    site.write("ca.pem", own.clone() + &own);
    refused(&site, &["was issued by \"O=Other, CN=Bought\", but \"O=Other, CN=Below\" follows it"]);
    site.write("ca.pem", own.clone() + &site.text("root.pem"));
    site.issue("").done();
    assert_eq!(site.text("certs/ca_cert.pem"), own);
    assert_eq!(site.text("certs/ca_bundle.pem"), site.text("root.pem"));
    assert_eq!(site.text("certs/front_trust.pem"), site.text("root.pem"));
    assert_eq!(site.text("certs/front_cert_chain.pem"), site.text("certs/front_cert.pem") + &own);
    site.run("verify -x509_strict -CAfile root.pem -untrusted certs/front_cert_chain.pem certs/front_cert.pem");
    // It allows no CA below.
    site.edit("authorities: {", "authorities: { below: { local: { parent: ca } },");
    site.issue("")
        .failed(&["\"O=Other, CN=Below\" allows 0 CAs below it, so it cannot be the parent"]);
}

#[test]
fn a_ca_that_is_replaced_in_its_file_re_issues_its_leaves() {
    let site = with_ca(P256, CA);
    site.issue("").done();
    let other = with_ca(P256, CA);
    for file in ["ca.pem", "ca.key"] {
        site.write(file, other.read(file));
    }
    let run = site.issue("").done().says("ca", &["kept"]);
    run.says("front", &["renewed", "its authority is a new CA of the same name"]);
    site.verify("ca", "front");
}

#[test]
fn a_ca_in_the_output_directory_itself_is_not_written_over() {
    let site =
        Site::of("ca: { local: { certificate: certs/ca_cert.pem, key: certs/ca_key.pem } }", NODE);
    let made = with_ca(P256, CA);
    std::fs::create_dir(site.path("certs")).unwrap();
    let text = made.run("x509 -in ca.pem -text");
    assert!(text.contains("Certificate:"), "with words around it");
    site.write("certs/ca_cert.pem", &text);
    site.write("certs/ca_key.pem", made.read("ca.key"));
    for arguments in ["", "", "--live", "--force front", ""] {
        site.issue(arguments).done();
        assert_eq!(site.text("certs/ca_cert.pem"), text, "{arguments}");
        assert_eq!(site.read("certs/ca_key.pem"), made.read("ca.key"));
        site.verify("ca", "front");
    }
}
