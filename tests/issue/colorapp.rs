//! The walkthrough's mesh: files, names and modes as certs.sh has them, and nothing done twice.

use crate::support::site::Site;

const FILES: [(&str, u32); 17] = [
    ("ca_1_ca_2_bundle.pem", 0o644),
    ("ca_1_cert.pem", 0o644),
    ("ca_1_key.pem", 0o600),
    ("ca_2_cert.pem", 0o644),
    ("ca_2_key.pem", 0o600),
    ("colorapp-blue_cert.pem", 0o644),
    ("colorapp-blue_cert_chain.pem", 0o644),
    ("colorapp-blue_key.pem", 0o600),
    ("colorapp-blue_trust.pem", 0o644),
    ("colorapp-green_cert.pem", 0o644),
    ("colorapp-green_cert_chain.pem", 0o644),
    ("colorapp-green_key.pem", 0o600),
    ("colorapp-green_trust.pem", 0o644),
    ("front_cert.pem", 0o644),
    ("front_cert_chain.pem", 0o644),
    ("front_key.pem", 0o600),
    ("front_trust.pem", 0o644),
];

#[test]
fn the_shipped_mesh_is_the_one_tested_here() {
    let shipped = include_str!("../../certs-example/colorapp/mesh.yaml");
    let site = Site::with(shipped);
    site.issue("").done();
    assert_eq!(names(&site), FILES.map(|(name, _)| name));
}

#[test]
fn openssl_verifies_what_certs_sh_would_have_made() {
    let site = Site::issued();
    // Word for word what issue 3 asks for.
    site.run(
        "verify -CAfile certs/ca_1_cert.pem certs/front_cert.pem certs/colorapp-blue_cert.pem",
    );
    site.run("verify -CAfile certs/ca_2_cert.pem certs/colorapp-green_cert.pem");
    site.fail("verify -CAfile certs/ca_1_cert.pem certs/colorapp-green_cert.pem");
    for (node, ca) in [("front", "ca_1"), ("colorapp-blue", "ca_1"), ("colorapp-green", "ca_2")] {
        let file = |name: String| site.text(&format!("certs/{name}.pem"));
        let (leaf, root) = (file(format!("{node}_cert")), file(format!("{ca}_cert")));
        assert_eq!(file(format!("{node}_cert_chain")), leaf + &root, "leaf, then CA");
        site.verify(ca, node);
    }
    let bundle = site.text("certs/ca_1_cert.pem") + &site.text("certs/ca_2_cert.pem");
    assert_eq!(site.text("certs/ca_1_ca_2_bundle.pem"), bundle);
    for node in ["front", "colorapp-blue", "colorapp-green"] {
        let trust = site.text(&format!("certs/{node}_trust.pem"));
        assert_eq!(trust, site.text("certs/ca_1_cert.pem"), "{node}");
    }
}

#[test]
fn the_names_are_those_of_the_mesh() {
    let site = Site::issued();
    let names = |node: &str| {
        let command = format!("x509 -in certs/{node}_cert.pem -noout -subject -ext subjectAltName");
        site.run(&command)
    };
    let suffix = "howto-k8s-mtls-file-based.svc.cluster.local";
    for (node, host) in
        [("front", "front"), ("colorapp-blue", "color-blue"), ("colorapp-green", "color-green")]
    {
        let names = names(node);
        assert!(names.contains(&format!("URI:spiffe://howto-k8s-mtls-file-based.aws/{node}")));
        assert!(names.contains(&format!("DNS:{host}.{suffix}")), "{names}");
        assert_eq!(names.matches("DNS:").count() + names.matches("URI:").count(), 2, "{names}");
    }
    let keys: Vec<_> = ["ca_1", "ca_2", "front", "colorapp-blue", "colorapp-green"]
        .iter()
        .map(|name| site.read(&format!("certs/{name}_key.pem")))
        .collect();
    assert!((1..keys.len()).all(|at| !keys[..at].contains(&keys[at])), "each has its own key");
}

#[test]
fn names_and_modes_are_right_whatever_the_umask() {
    for umask in ["000", "077", "027", "777"] {
        let site = Site::colorapp();
        let run = site.shell(
            &format!("umask {umask}; exec \"$@\""),
            "issue -f mesh.yaml -o new/deeper/certs",
        );
        run.done();
        let modes: Vec<_> = names_in(&site, "new/deeper/certs")
            .into_iter()
            .map(|name| {
                let mode = site.mode(&format!("new/deeper/certs/{name}"));
                (name, mode)
            })
            .collect();
        let wanted: Vec<_> = FILES.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect();
        assert_eq!(modes, wanted, "umask {umask}");
        for directory in ["new", "new/deeper", "new/deeper/certs"] {
            assert_eq!(site.mode(directory), 0o700, "{directory}, umask {umask}");
        }
    }
}

#[test]
fn a_second_run_changes_no_byte_no_time_and_no_inode() {
    let site = Site::colorapp();
    site.issue("")
        .done()
        .says("ca_1", &["created"])
        .says("front", &["ca_1 created", "there was none"])
        .tells("17 files written, 0 right already");
    let before = site.everything("certs");
    for _ in 0..2 {
        let run = site.issue("").done().tells("0 files written, 13 right already");
        for (node, ca) in [("front", "ca_1"), ("colorapp-blue", "ca_1"), ("colorapp-green", "ca_2")]
        {
            assert!(run.row(node).starts_with(&format!("{ca} kept ")), "{}", run.stdout);
        }
        assert!(run.row("ca_1").starts_with("kept"), "{}", run.stdout);
        assert_eq!(site.everything("certs"), before);
    }
}

#[test]
fn a_mesh_of_300_nodes_is_made_in_one_run() {
    let nodes: Vec<_> = (0..300).map(|n| format!("node-{n}: {{ authority: ca }}")).collect();
    let site = Site::of("ca: {}", &nodes.join(", "));
    site.issue("").done().tells("1202 files written, 0 right already");
    for node in ["node-0", "node-150", "node-299"] {
        site.verify("ca", node);
    }
    let serials: std::collections::BTreeSet<_> =
        (0..300).map(|n| site.read(&format!("certs/node-{n}_cert.pem"))).collect();
    assert_eq!(serials.len(), 300);
    let before = site.everything("certs");
    site.issue("").done().tells("0 files written, 1200 right already");
    assert_eq!(site.everything("certs"), before);
    site.issue("--force node-7").done().says("node-7", &["renewed", "asked for"]).tells("3 files");
}

fn names(site: &Site) -> Vec<String> {
    names_in(site, "certs")
}

fn names_in(site: &Site, directory: &str) -> Vec<String> {
    let names = site.everything(directory).into_keys().map(|path| path.display().to_string());
    names.filter(|name| !name.is_empty()).collect()
}
