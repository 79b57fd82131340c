//! The keys of local authorities: sealed, lost, broken, elsewhere; never overwritten, never twice.

use crate::support::site::{COLORAPP, Site, mesh};

fn sealed() -> Site {
    let site =
        Site::with(&COLORAPP.replace("ca_1: {}", "ca_1: { local: { passphraseFile: pass } }"));
    site.write("pass", "correct horse\nsecond line\n");
    site
}

/// Issues; ca_1 cannot sign and its nodes keep what they have, which is good, while ca_2 and its
/// node go on.
#[track_caller]
fn stops_only_ca_1(site: &Site, words: &[&str]) {
    only_ca_1_stops(site, words, "kept");
    // What is asked of it, it cannot do.
    site.issue("--force front").failed(words).says("front", &["FAILED", "cannot sign"]);
}

/// The same where so little is known of ca_1 that its nodes cannot be judged.
#[track_caller]
fn stops_ca_1_and_its_nodes(site: &Site, words: &[&str]) {
    only_ca_1_stops(site, words, "FAILED its authority cannot sign");
}

#[track_caller]
fn only_ca_1_stops(site: &Site, words: &[&str], front: &str) {
    let before = site.everything("certs");
    site.remove("certs/colorapp-green_cert.pem");
    let run = site.issue("").failed(words);
    assert!(run.stderr.contains("mend the reason given for each and run again"), "{}", run.stderr);
    let run = run
        .says("ca_1", &["FAILED"])
        .says("ca_1", words)
        .says("front", &[front])
        .says("ca_2", &["kept"])
        .says("colorapp-green", &["renewed", "colorapp-green_cert.pem is missing"]);
    let told = if front == "kept" { "1" } else { "3" };
    let told = format!("{told} of the mesh's authorities and nodes failed");
    assert!(run.stderr.contains(&told) && run.stderr.contains("ca_1: "), "{}", run.stderr);
    assert!(!run.stderr.contains("front: "), "one cause is told once:\n{}", run.stderr);
    let changed = site.changed(&before, &site.everything("certs"));
    let green = changed.iter().filter(|name| name.starts_with("colorapp-green_")).count();
    assert_eq!((green, changed.len()), (3, 3), "{changed:?}");
    site.verify("ca_2", "colorapp-green");
}

#[test]
fn a_sealed_key_is_never_in_the_clear_and_opens_with_openssl() {
    let site = sealed();
    site.issue("").done();
    assert_eq!(site.mode("certs/ca_1_key.pem"), 0o600);
    let sealed = site.read("certs/ca_1_key.pem");
    assert!(sealed.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    site.fail("pkey -in certs/ca_1_key.pem -passin pass:wrong -noout");
    let public = site.run("pkey -in certs/ca_1_key.pem -passin file:pass -pubout");
    assert_eq!(public, site.run("x509 -in certs/ca_1_cert.pem -noout -pubkey"));
    site.verify("ca_1", "front");
    // The other authority's key is in the clear, and so are the nodes'.
    assert!(site.text("certs/ca_2_key.pem").starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(site.text("certs/front_key.pem").starts_with("-----BEGIN PRIVATE KEY-----"));
    site.issue("--force front").done();
    assert_eq!(site.read("certs/ca_1_key.pem"), sealed, "the same key, sealed once");
    site.verify("ca_1", "front");
}

#[test]
fn without_the_right_passphrase_its_authority_stops_and_the_others_go_on() {
    let site = sealed();
    site.issue("").done();
    let key = site.read("certs/ca_1_key.pem");
    site.write("pass", "wrong\n");
    stops_only_ca_1(&site, &["ca_1_key.pem: the passphrase does not open"]);
    site.write("pass", "\ncorrect horse\n");
    stops_only_ca_1(&site, &["pass is empty; its first line should be the passphrase"]);
    site.remove("pass");
    stops_only_ca_1(&site, &["cannot read", "pass: No such file"]);
    site.edit("{ local: { passphraseFile: pass } }", "{}");
    stops_only_ca_1(&site, &["ca_1_key.pem: the private key is encrypted; name the file"]);
    assert_eq!(site.read("certs/ca_1_key.pem"), key);
    site.edit("ca_1: {}", "ca_1: { local: { passphraseFile: pass } }");
    // A passphrase file may come from Windows.
    site.write("pass", "correct horse\r\n");
    site.issue("--force front").done();
}

#[test]
fn a_new_authority_without_its_passphrase_makes_no_key_at_all() {
    let site = sealed();
    site.write("pass", "");
    site.issue("")
        .failed(&["is empty", "3 of the mesh's authorities and nodes failed"])
        .says("colorapp-green", &["created"])
        .says("front", &["FAILED"]);
    assert!(!site.has("certs/ca_1_key.pem") && !site.has("certs/ca_1_cert.pem"));
    assert!(!site.has("certs/front_key.pem") && !site.has("certs/front_trust.pem"));
    site.issue("").failed(&[]).tells("note    front_trust.pem is not made: ca_1 cannot be used");
    site.write("pass", "now\n");
    site.issue("").done().says("ca_1", &["created"]).says("front", &["created"]);
}

#[test]
fn a_key_that_was_in_the_clear_before_is_used_and_the_user_told() {
    let site = Site::issued();
    let key = site.read("certs/ca_1_key.pem");
    site.edit("ca_1: {}", "ca_1: { local: { passphraseFile: pass } }");
    site.write("pass", "secret\n");
    site.issue("")
        .done()
        .tells("note    ca_1_key.pem is not encrypted")
        .tells("openssl pkcs8 -topk8");
    assert_eq!(site.read("certs/ca_1_key.pem"), key);
    // The advice works.
    site.run("pkcs8 -topk8 -in certs/ca_1_key.pem -out sealed.pem -passout file:pass");
    site.rename("sealed.pem", "certs/ca_1_key.pem");
    let run = site.issue("--force front").done();
    assert!(!run.stdout.contains("not encrypted"), "{}", run.stdout);
    site.verify("ca_1", "front");
}

#[test]
fn a_lost_key_stops_its_authority_and_its_certificate_is_never_replaced() {
    let site = Site::issued();
    site.rename("certs/ca_1_key.pem", "kept-elsewhere.pem");
    let words = ["ca_1_cert.pem is here, but ca_1_key.pem is not; put the key back, or, to begin"];
    stops_only_ca_1(&site, &words);
    stops_only_ca_1(&site, &words);
    assert!(!site.has("certs/ca_1_key.pem"));
    // Trust in it goes on being written.
    site.remove("certs/colorapp-green_trust.pem");
    site.issue("").failed(&[]);
    assert_eq!(site.text("certs/colorapp-green_trust.pem"), site.text("certs/ca_1_cert.pem"));
    site.rename("kept-elsewhere.pem", "certs/ca_1_key.pem");
    site.issue("").done().says("front", &["kept"]);
    // Moving the certificate away as well begins a new CA, as the message says.
    let old = site.read("certs/ca_1_cert.pem");
    site.remove("certs/ca_1_key.pem");
    site.remove("certs/ca_1_cert.pem");
    site.issue("")
        .done()
        .says("ca_1", &["created"])
        .says("front", &["renewed", "its authority is a new CA of the same name"])
        .tells("front_trust.pem: + ca_1 (new) - ca_1 (old)")
        .tells("colorapp-green_trust.pem grew and shrank at once")
        .tells("leaves of another authority: front, colorapp-blue");
    assert_ne!(site.read("certs/ca_1_cert.pem"), old);
    site.verify("ca_1", "front");
}

#[test]
fn a_lost_certificate_is_made_anew_for_the_same_key() {
    let site = Site::issued();
    let key = site.read("certs/ca_1_key.pem");
    let public = site.run("x509 -in certs/ca_1_cert.pem -noout -pubkey");
    let leaf = site.read("certs/front_cert.pem");
    site.write("old_leaf.pem", leaf);
    site.remove("certs/ca_1_cert.pem");
    let run = site.issue("").done().says("ca_1", &["created"]);
    run.says("front", &["renewed", "its authority has a new certificate"]);
    assert_eq!(site.read("certs/ca_1_key.pem"), key);
    assert_eq!(site.run("x509 -in certs/ca_1_cert.pem -noout -pubkey"), public);
    // So that what was issued before is still trusted by the new root, and the other way round.
    site.run("verify -CAfile certs/ca_1_cert.pem old_leaf.pem");
    site.verify("ca_1", "front");
}

#[test]
fn a_broken_key_or_certificate_of_a_ca_is_left_as_it_lies() {
    let site = Site::issued();
    let (key, certificate) = (site.text("certs/ca_1_key.pem"), site.text("certs/ca_1_cert.pem"));
    for (broken, words) in [
        (String::new(), "ca_1_key.pem: there is no private key in it"),
        (key[..100].to_owned(), "ca_1_key.pem: the PEM has a block that begins and does not end"),
        (
            key.replace("PRIVATE", "PUBLIC"),
            "ca_1_key.pem: there is no private key in it, but a block",
        ),
        (key.clone() + &key, "ca_1_key.pem: it holds 2 private keys; leave the one that is meant"),
    ] {
        site.write("certs/ca_1_key.pem", &broken);
        stops_only_ca_1(&site, &[words]);
        assert_eq!(site.text("certs/ca_1_key.pem"), broken);
    }
    // Which of the two is wrong, nobody knows.
    site.write("certs/ca_1_key.pem", site.text("certs/ca_2_key.pem"));
    stops_ca_1_and_its_nodes(&site, &["ca_1_cert.pem: the key does not belong to"]);
    site.write("certs/ca_1_key.pem", &key);
    for (broken, words) in [
        (String::new(), "ca_1_cert.pem: there is no PEM block in it; it should begin with"),
        (certificate[..200].to_owned(), "ca_1_cert.pem: the PEM has a block that begins and does"),
        (key.clone(), "ca_1_cert.pem: it holds a \"PRIVATE KEY\" block where only CERTIFICATE"),
        (site.text("certs/ca_2_cert.pem"), "ca_1_cert.pem: the key does not belong to"),
        (site.text("certs/front_cert.pem"), "is no CA: its basic constraints do not say CA:TRUE"),
    ] {
        site.write("certs/ca_1_cert.pem", &broken);
        stops_ca_1_and_its_nodes(&site, &[words]);
        assert_eq!(site.text("certs/ca_1_cert.pem"), broken);
    }
    assert_eq!(site.text("certs/ca_1_key.pem"), key);
    site.write("certs/ca_1_cert.pem", certificate);
    site.issue("").done();
}

#[test]
fn no_private_key_is_ever_told() {
    let site = Site::issued();
    let key = site.text("certs/ca_1_key.pem");
    let secret: Vec<_> = key.lines().filter(|line| !line.starts_with("---")).collect();
    site.write("certs/ca_1_key.pem", key.replace("END PRIVATE", "END PRIVAT"));
    let run = site.issue("--format json").failed(&[]);
    for told in [&run.stdout, &run.stderr] {
        assert!(secret.iter().all(|line| !told.contains(*line)), "{told}");
    }
}

#[test]
fn a_ca_that_exists_is_not_remade_because_the_mesh_file_changed_its_mind() {
    let site = Site::issued();
    let before = site.everything("certs");
    site.edit(
        "ca_1: {}",
        "ca_1: { local: { keyAlgorithm: rsa-2048, subject: { commonName: x } } }",
    );
    site.issue("").done().says("ca_1", &["kept"]).tells(
        "note    ca_1 exists with the common name \"ca_1\" and a key of ec-p256, which the \
         mesh file wants otherwise; a CA is not remade: add another authority and move to it",
    );
    assert_eq!(site.everything("certs"), before);
    site.edit("keyAlgorithm: rsa-2048, subject: { commonName: x }", "lifetime: 1825d");
    site.issue("").done().tells(
        "note    ca_1 exists with a lifetime of 3650d, which the mesh file wants otherwise; a CA \
         is not remade: add another authority and move to it",
    );
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_lifetime_that_is_as_wanted_is_not_remarked_on() {
    let site = Site::of("a: { local: { lifetime: 1825d } }", "x: {}");
    site.issue("").done();
    for skew in ["clockSkew: 0s", "clockSkew: 24h"] {
        site.write(
            "mesh.yaml",
            format!("{skew}\n{}", mesh("a: { local: { lifetime: 1825d } }", "x: {}")),
        );
        let run = site.issue("").done();
        assert!(!run.stdout.contains("exists with"), "{}", run.stdout);
    }
}

#[test]
fn keys_may_live_in_a_directory_of_their_own() {
    let site = Site::colorapp();
    site.issue("--state secret/state").done();
    assert_eq!(site.mode("secret"), 0o700);
    assert_eq!(site.mode("secret/state/ca_1_key.pem"), 0o600);
    assert!(!site.has("certs/ca_1_key.pem") && site.has("certs/ca_1_cert.pem"));
    assert_eq!(site.read("certs/ca_1_cert.pem"), site.read("secret/state/ca_1_cert.pem"));
    assert!(!site.has("secret/state/front_key.pem"));
    site.verify("ca_1", "front");
    let before = (site.everything("certs"), site.everything("secret"));
    site.issue("--state secret/state").done().tells("0 files written, 15 right already");
    site.issue("--live --state secret/state").done();
    site.issue("--state secret/../secret/./state").done().tells("0 files written");
    assert!(site.changed(&before.0, &site.everything("certs")).is_empty());
    assert_eq!(site.everything("secret"), before.1);
    // A published copy that was lost comes back from there.
    site.remove("certs/ca_2_cert.pem");
    site.issue("--state secret/state").done().tells("1 file written");
    site.verify("ca_2", "colorapp-green");
}

#[test]
fn one_directory_under_two_names_is_one_directory() {
    let site = Site::colorapp();
    std::os::unix::fs::symlink("certs", site.path("link")).unwrap();
    site.issue("--state ./certs").done().tells("17 files written");
    let before = site.everything("certs");
    site.issue("--state link").done().tells("0 files written, 13 right already");
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_wrong_state_directory_does_not_begin_every_ca_anew() {
    let site = Site::colorapp();
    site.issue("--state right").done();
    let before = site.everything("certs");
    let run =
        site.issue("--state wrong").failed(&["certs/ca_1_cert.pem is here, but wrong holds no"]);
    run.says("ca_1", &["FAILED", "name the state directory that does"]).says("front", &["FAILED"]);
    assert_eq!(site.everything("certs"), before);
    assert!(!site.has("wrong/ca_1_key.pem"));
    site.issue("--state wrong --dry-run").failed(&["certs/ca_1_cert.pem is here"]);
    site.issue("").failed(&["ca_1_cert.pem is here, but ca_1_key.pem is not"]);
    // The other way: what lies in the output directory is to be moved.
    let site = Site::issued();
    let before = site.everything("certs");
    site.issue("--state apart")
        .failed(&["certs/ca_1_key.pem is here, but apart holds no key for it"]);
    assert_eq!(site.everything("certs"), before);
    for file in ["ca_1_key", "ca_1_cert", "ca_2_key", "ca_2_cert"] {
        site.rename(&format!("certs/{file}.pem"), &format!("apart/{file}.pem"));
    }
    site.issue("--state apart").done().says("front", &["kept"]).tells("2 files written");
}

#[test]
fn a_node_named_like_an_authority_of_before_does_not_take_its_key() {
    for encrypted in [false, true] {
        let old = if encrypted { "ca: { local: { passphraseFile: pass } }" } else { "ca: {}" };
        let site = Site::of(old, "front: { authority: ca }");
        site.write("pass", "secret");
        site.issue("").done();
        let ca = || ["key", "cert"].map(|kind| site.read(&format!("certs/ca_{kind}.pem")));
        let before = ca();
        site.write(
            "mesh.yaml",
            crate::support::site::mesh(
                "new: {}",
                "ca: { authority: new }, front: { authority: new }",
            ),
        );
        for arguments in ["--dry-run", "", "--force ca", "--live"] {
            site.issue(arguments)
                .failed(&["ca: ca_key.pem is a CA's key, as the certificate beside it says"])
                .says("ca", &["FAILED"]);
            assert_eq!(ca(), before, "{arguments}");
        }
        site.edit("ca: { authority", "ca: { files: { name: node-ca }, authority");
        site.issue("").done();
        assert_eq!(ca(), before);
    }
}

#[test]
fn what_the_mesh_file_names_is_never_written_over() {
    let site = Site::issued();

    for (authority, written) in [
        ("{ local: { certificate: certs/ca_1_cert.pem, key: certs/front_key.pem } }", "the key of"),
        ("{ trustOnly: { certificates: certs/front_trust.pem } }", "as the trust of"),
        ("{ local: { passphraseFile: link } }", "as the certificate of"),
    ] {
        let _ = std::fs::remove_file(site.path("link"));
        std::os::unix::fs::symlink("certs/front_cert.pem", site.path("link")).unwrap();
        let authorities = format!("own: {}, other: {authority}", "{}");
        site.write(
            "mesh.yaml",
            crate::support::site::mesh(&authorities, "front: { authority: own }"),
        );
        for layout in ["", "--live", "--dry-run"] {
            let before = site.everything("certs");
            let words = ["is what the mesh file names for other", written];
            site.issue(layout).failed(&words);
            assert_eq!(site.everything("certs"), before);
        }
    }
}
