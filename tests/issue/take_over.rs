//! The way from certs.sh: a directory that openssl commands filled is taken over as it is.

use crate::support::site::Site;

/// Fills `certs` as certs.sh does: RSA-2048 for everything, ten years, DNS names alone.
fn by_openssl() -> Site {
    let site = Site::colorapp();
    std::fs::create_dir(site.path("certs")).unwrap();
    for ca in ["ca_1", "ca_2"] {
        site.run(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout certs/{ca}_key.pem \
             -out certs/{ca}_cert.pem -subj '/C=US/ST=WA/L=Seattle/O=Mesh/CN={ca}' \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign"
        ));
    }
    for (node, ca, name) in [
        ("front", "ca_1", "front"),
        ("colorapp-blue", "ca_1", "color-blue"),
        ("colorapp-green", "ca_2", "color-green"),
    ] {
        let name = format!("{name}.howto-k8s-mtls-file-based.svc.cluster.local");
        site.write("leaf.cnf", format!("subjectAltName=DNS:{name}\n"));
        site.run(&format!(
            "req -newkey rsa:2048 -nodes -keyout certs/{node}_key.pem -out {node}.csr -subj /CN=x"
        ));
        site.run(&format!(
            "x509 -req -days 3650 -in {node}.csr -CA certs/{ca}_cert.pem -CAkey certs/{ca}_key.pem \
             -CAcreateserial -extfile leaf.cnf -out certs/{node}_cert.pem"
        ));
        let chain = site.text(&format!("certs/{node}_cert.pem"))
            + &site.text(&format!("certs/{ca}_cert.pem"));
        site.write(&format!("certs/{node}_cert_chain.pem"), chain);
    }
    let both = site.text("certs/ca_1_cert.pem") + &site.text("certs/ca_2_cert.pem");
    site.write("certs/ca_1_ca_2_bundle.pem", both);
    let _ = std::fs::remove_file(site.path("certs/ca_1_cert.srl"));
    let _ = std::fs::remove_file(site.path("certs/ca_2_cert.srl"));
    site
}

#[test]
fn cas_are_kept_byte_for_byte_and_leaves_re_issued_with_the_reason() {
    let site = by_openssl();
    let ca_files = ["ca_1_key", "ca_1_cert", "ca_2_key", "ca_2_cert", "ca_1_ca_2_bundle"];
    let cas = || ca_files.map(|name| site.read(&format!("certs/{name}.pem")));
    let (before, look) = (cas(), site.everything("certs"));
    let plan = site.issue("--dry-run").done();
    assert_eq!(site.everything("certs"), look);
    for run in [plan, site.issue("").done()] {
        for (node, action) in [("ca_1", "kept"), ("ca_2", "kept")] {
            assert!(run.row(node).starts_with(action), "{}", run.stdout);
        }
        for node in ["front", "colorapp-blue", "colorapp-green"] {
            let why =
                format!("is for no name and not \"spiffe://howto-k8s-mtls-file-based.aws/{node}\"");
            assert!(run.row(node).contains(&why), "{}", run.stdout);
        }
        // Nobody wrote that the CAs should be otherwise than they are.
        assert!(!run.stdout.contains("ca_1 exists with"), "{}", run.stdout);
    }
    assert_eq!(cas(), before);
    for (node, ca) in [("front", "ca_1"), ("colorapp-blue", "ca_1"), ("colorapp-green", "ca_2")] {
        site.verify(ca, node);
        // Peers that still have what certs.sh gave them accept the new leaves.
        site.run(&format!("verify -CAfile certs/ca_1_ca_2_bundle.pem certs/{node}_cert.pem"));
        assert_eq!(site.mode(&format!("certs/{node}_key.pem")), 0o600);
    }
    let look = site.everything("certs");
    let run = site.issue("").done();
    assert!(run.row("front").contains(" kept "));
    assert_eq!(site.everything("certs"), look);
}

#[test]
fn a_leaf_with_the_right_names_but_made_for_ten_years_is_made_anew() {
    let site = by_openssl();
    site.issue("").done();
    // As certs.sh would have made it, had it known SPIFFE.
    let names = site.run("x509 -in certs/front_cert.pem -noout -ext subjectAltName");
    let names = names.lines().last().unwrap().replace(' ', "");
    site.write(
        "leaf.cnf",
        format!(
            "subjectAltName={names}\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\n"
        ),
    );
    let common_name = "front.howto-k8s-mtls-file-based.svc.cluster.local";
    site.run(&format!("req -new -key certs/front_key.pem -subj /CN={common_name} -out front.csr"));
    site.run(
        "x509 -req -days 3000 -in front.csr -CA certs/ca_1_cert.pem -CAkey certs/ca_1_key.pem \
         -extfile leaf.cnf -out certs/front_cert.pem -set_serial 77",
    );
    let chain = site.text("certs/front_cert.pem") + &site.text("certs/ca_1_cert.pem");
    site.write("certs/front_cert_chain.pem", chain);
    site.issue("").done().says("front", &["renewed", "another lifetime or clock skew is wanted"]);
}

#[test]
fn what_the_old_tool_left_beside_is_not_touched() {
    let site = by_openssl();
    site.write("certs/ca_1_cert.srl", "1234\n");
    site.write("certs/notes.txt", "ours");
    site.write("certs/gateway_key.pem", "old");
    let run = site.issue("").done();
    run.tells("note    gateway_key.pem belongs to nothing in the mesh file; remove it if so");
    assert_eq!(site.text("certs/notes.txt"), "ours");
    assert_eq!(site.text("certs/ca_1_cert.srl"), "1234\n");
}
