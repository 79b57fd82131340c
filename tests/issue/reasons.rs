//! When a certificate is made anew, and the reason that is printed for it.

use crate::support::program::Run;
use crate::support::site::Site;

/// Issues; only the files of `node` may have changed, and its certificate must.
#[track_caller]
fn reissues(site: &Site, node: &str, reason: &str) -> Run {
    let (before, serials) = (site.everything("certs"), serials(site));
    let planned = site.issue("--dry-run").done();
    assert_eq!(site.everything("certs"), before, "a dry run writes nothing");
    let run = site.issue("").done().says(node, &["renewed", reason]);
    planned.says(node, &["would renew", reason]);
    let after = site.everything("certs");
    let strangers: Vec<_> = site.changed(&before, &after);
    assert!(strangers.iter().all(|name| name.starts_with(&format!("{node}_"))), "{strangers:?}");
    for (other, serial) in serials {
        assert_eq!(serial_of(site, &other) == serial, other != node, "{other}");
    }
    let kept = ["front", "colorapp-blue", "colorapp-green"].into_iter().filter(|n| *n != node);
    kept.for_each(|other| assert!(run.row(other).contains(" kept "), "{other}"));
    let ca = if node == "colorapp-green" && site.text("mesh.yaml").contains("authority: ca_2") {
        "ca_2"
    } else {
        "ca_1"
    };
    site.verify(ca, node);
    let again = site.issue("").done();
    assert!(again.row(node).contains(" kept "), "{}", again.stdout);
    run
}

/// A node's certificate file, where there is one.
fn serial_of(site: &Site, node: &str) -> Option<Vec<u8>> {
    std::fs::read(site.path(&format!("certs/{node}_cert.pem"))).ok()
}

fn serials(site: &Site) -> Vec<(String, Option<Vec<u8>>)> {
    let nodes = ["front", "colorapp-blue", "colorapp-green"];
    nodes.map(|node| (node.to_owned(), serial_of(site, node))).into()
}

#[test]
fn other_names_are_wanted() {
    let site = Site::issued();
    site.edit("[color-blue.howto", "[blue.howto");
    reissues(&site, "colorapp-blue", "has the DNS names [\"color-blue.howto");
    site.edit("colorapp-blue:  {", "colorapp-blue:  { spiffePath: /blue, ");
    reissues(&site, "colorapp-blue", "is for [\"spiffe://howto-k8s-mtls-file-based.aws/colorapp-");
    assert!(site.run("x509 -in certs/colorapp-blue_cert.pem -noout -text").contains("aws/blue"));
    site.edit("[blue.howto", "[a.example, blue.howto");
    reissues(&site, "colorapp-blue", "and not [\"a.example\", \"blue.howto");
    site.edit("[a.example, ", "[");
    reissues(&site, "colorapp-blue", "has the DNS names [\"a.example\", \"blue.howto");
}

#[test]
fn another_key_algorithm_is_wanted() {
    let site = Site::issued();
    for (from, to, kind) in [
        ("front:          {", "front:          { keyAlgorithm: ec-p384,", "P-384"),
        ("keyAlgorithm: ec-p384", "keyAlgorithm: rsa-2048", "2048 bit"),
        ("keyAlgorithm: rsa-2048,", "", "P-256"),
    ] {
        site.edit(from, to);
        reissues(&site, "front", "its key is ");
        let text = site.run("x509 -in certs/front_cert.pem -noout -text");
        assert!(text.contains(kind), "{text}");
    }
}

#[test]
fn another_lifetime_is_wanted() {
    let site = Site::issued();
    for (from, to) in [
        ("front:          {", "front:          { lifetime: 48h,"),
        ("lifetime: 48h", "lifetime: 1h"),
        ("lifetime: 1h,", ""),
    ] {
        site.edit(from, to);
        reissues(&site, "front", "another lifetime or clock skew is wanted");
    }
}

#[test]
fn another_clock_skew_is_wanted() {
    let site = Site::issued();
    site.edit("version: 1\n", "version: 1\nclockSkew: 1h\n");
    let run = site.issue("").done();
    for node in ["front", "colorapp-blue", "colorapp-green"] {
        assert!(run.row(node).contains("clock skew is wanted"), "{}", run.stdout);
    }
    assert!(site.issue("").done().stdout.contains("0 files written"));
}

#[test]
fn another_authority_is_wanted() {
    let site = Site::issued();
    site.edit("authority: ca_2", "authority: ca_1");
    let run = reissues(&site, "colorapp-green", "it was signed by \"O=howto");
    run.tells("CN=ca_2\"").tells("leaves of another authority: colorapp-green");
}

#[test]
fn a_file_is_missing() {
    let site = Site::issued();
    for file in ["key", "cert", "cert_chain"] {
        site.remove(&format!("certs/front_{file}.pem"));
        reissues(&site, "front", &format!("front_{file}.pem is missing"));
    }
    for file in ["key", "cert", "cert_chain"] {
        site.remove(&format!("certs/front_{file}.pem"));
    }
    site.issue("").done().says("front", &["created", "there was none"]);
}

#[test]
fn a_trust_file_or_bundle_that_is_missing_is_no_reason_for_a_new_certificate() {
    let site = Site::issued();
    let before = site.everything("certs");
    site.remove("certs/front_trust.pem");
    site.write("certs/ca_1_ca_2_bundle.pem", "");
    let run = site.issue("").done().tells("2 files written, 11 right already");
    assert!(run.row("front").contains(" kept "));
    assert!(site.changed(&before, &site.everything("certs")).is_empty());
}

#[test]
fn a_file_is_cut_short_or_corrupt() {
    let site = Site::issued();
    let whole = site.text("certs/front_key.pem");
    let flipped = whole.replacen("MIGH", "MIGX", 1);
    assert_ne!(whole, flipped);
    for (file, content, reason) in [
        (
            "key",
            whole[..whole.len() / 2].to_owned(),
            "front_key.pem is corrupt: the PEM has a block",
        ),
        ("key", flipped, "front_key.pem is corrupt: the private key is malformed"),
        ("key", String::new(), "front_key.pem is corrupt: there is no private key in it"),
        ("key", "\0".repeat(300), "front_key.pem is corrupt: there is no private key in it"),
        ("cert", String::new(), "front_cert.pem is corrupt: there is no PEM block in it"),
        ("cert", "-----BEGIN CERTIFICATE-----\n".to_owned(), "front_cert.pem is corrupt: the PEM"),
        ("cert_chain", "x".repeat(2000), "front_cert_chain.pem is corrupt: there is no PEM block"),
    ] {
        site.write(&format!("certs/front_{file}.pem"), content);
        reissues(&site, "front", reason);
    }
    for part in ["cert", "cert_chain"] {
        let text = site.text(&format!("certs/front_{part}.pem"));
        site.write(&format!("certs/front_{part}.pem"), &text[..text.len() - 30]);
        reissues(&site, "front", &format!("front_{part}.pem is corrupt: the PEM has a block that"));
    }
    // One bit of the signature.
    let text = site.text("certs/front_cert.pem");
    let end = text.find("\n-----END").unwrap() - 8;
    let other = if &text[end..=end] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &text[..end], &text[end + 1..]);
    site.write("certs/front_cert.pem", &forged);
    site.write("certs/front_cert_chain.pem", forged + &site.text("certs/ca_1_cert.pem"));
    let run = site.issue("").done();
    assert!(run.row("front").contains(" renewed "), "{}", run.stdout);
    site.verify("ca_1", "front");
}

#[test]
fn files_do_not_belong_together() {
    let site = Site::issued();
    let take = |from: &str, to: &str| site.write(to, site.read(from));
    take("certs/colorapp-blue_key.pem", "certs/front_key.pem");
    reissues(&site, "front", "front_key.pem does not belong to front_cert.pem");
    take("certs/colorapp-blue_cert.pem", "certs/front_cert.pem");
    reissues(&site, "front", "front_cert_chain.pem does not belong to front_cert.pem");
    take("certs/ca_1_cert.pem", "certs/front_cert_chain.pem");
    reissues(&site, "front", "front_cert_chain.pem does not belong to front_cert.pem");
    for part in ["key", "cert", "cert_chain"] {
        take(&format!("certs/colorapp-blue_{part}.pem"), &format!("certs/front_{part}.pem"));
    }
    reissues(&site, "front", "is for [\"spiffe://howto-k8s-mtls-file-based.aws/colorapp-blue\"]");
    // The right leaf beside another CA.
    let chain = site.text("certs/front_cert.pem") + &site.text("certs/ca_2_cert.pem");
    site.write("certs/front_cert_chain.pem", chain);
    reissues(&site, "front", "its authority has a new certificate");
}

#[test]
fn somebody_asks_for_it() {
    let site = Site::issued();
    let before = site.everything("certs");
    site.issue("--force front --force colorapp-green --force front")
        .done()
        .says("front", &["renewed", "asked for"])
        .says("colorapp-green", &["renewed", "asked for"])
        .says("colorapp-blue", &["kept"])
        .tells("6 files written, 7 right already");
    let changed = site.changed(&before, &site.everything("certs"));
    assert_eq!(changed.len(), 6, "{changed:?}");
    site.verify("ca_1", "front");
    site.verify("ca_2", "colorapp-green");
}

#[test]
fn a_forced_node_must_be_in_the_mesh() {
    let site = Site::issued();
    let before = site.everything("certs");
    site.issue("--force frnt").failed(&["--force frnt: the mesh has no such node", "mean front?"]);
    site.issue("--force ca_1").failed(&["--force ca_1: the mesh has no such node"]);
    let run = site.issue("--force ../front");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("'../front' for '--force <NODE>'"), "{}", run.stderr);
    assert_eq!(site.everything("certs"), before);
    // Nor is a directory made for an order that cannot be carried out.
    let site = Site::colorapp();
    site.issue("--force frnt").failed(&[]);
    assert!(!site.has("certs"));
}
