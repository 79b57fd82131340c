//! Changed trust: written at once, re-mints nothing, and is told in the order of its roll-out.

use crate::support::site::Site;

/// Issues, and asserts which files changed.
#[track_caller]
fn changes(site: &Site, files: &[&str]) -> String {
    let before = site.everything("certs");
    let planned = site.issue("--dry-run").done().stdout;
    let run = site.issue("").done();
    assert_eq!(site.changed(&before, &site.everything("certs")), files, "{}", run.stdout);
    let told = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|l| ["trust ", "roll out ", "  "].iter().any(|start| l.starts_with(start)));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(told(&planned), told(&run.stdout), "the plan tells the same");
    told(&run.stdout).join("\n")
}

#[test]
fn add_green_changes_one_file_and_re_mints_nothing() {
    let site = Site::issued();
    site.fail("verify -CAfile certs/front_trust.pem certs/colorapp-green_cert.pem");
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_1, ca_2] }");
    let told = changes(&site, &["front_trust.pem"]);
    assert_eq!(
        told,
        "trust   front_trust.pem: + ca_2\n\
         roll out in this order:\n  \
         1. trust that grew: front_trust.pem; wait until every proxy has loaded it"
    );
    site.run("verify -CAfile certs/front_trust.pem certs/colorapp-green_cert.pem");
    assert_eq!(site.read("certs/front_trust.pem"), site.read("certs/ca_1_ca_2_bundle.pem"));
    assert_eq!(changes(&site, &[]), "", "told once");
}

#[test]
fn trust_that_shrinks_comes_last() {
    let site = Site::issued();
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_2, ca_1] }");
    site.issue("").done();
    assert_eq!(site.read("certs/front_trust.pem"), site.read("certs/ca_1_ca_2_bundle.pem"));
    site.edit("trust: [ca_2, ca_1]", "trust: [ca_1]");
    let told = changes(&site, &["front_trust.pem"]);
    let shrank = "1. trust that shrank: front_trust.pem; live connections stay until they";
    assert!(told.contains("front_trust.pem: - ca_2"), "{told}");
    assert!(told.contains(shrank), "{told}");
}

#[test]
fn a_file_that_grows_and_shrinks_at_once_is_warned_of() {
    let site = Site::issued();
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_2] }");
    let told = changes(&site, &["front_trust.pem"]);
    assert!(told.contains("front_trust.pem: + ca_2 - ca_1"), "{told}");
    assert!(!told.contains("trust that grew"), "{told}");
    assert!(
        told.contains(
            "1. front_trust.pem grew and shrank at once: peers with old leaves are refused as soon \
             as it is loaded; to avoid that, trust old and new authorities together first"
        ),
        "{told}"
    );
}

#[test]
fn the_steps_of_a_move_are_told_in_their_order() {
    let site = Site::issued();
    // One peer learns to trust, one node moves, one peer forgets.
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_1, ca_2] }");
    site.issue("").done();
    site.edit("trust: [ca_1, ca_2] }", "trust: [ca_1] }");
    site.edit("authority: ca_2", "authority: ca_1");
    site.edit("callers: [front] }\n", "callers: [front], trust: [ca_1, ca_2] }\n");
    let told = changes(
        &site,
        &[
            "colorapp-blue_trust.pem",
            "colorapp-green_cert.pem",
            "colorapp-green_cert_chain.pem",
            "colorapp-green_key.pem",
            "front_trust.pem",
        ],
    );
    let steps: Vec<_> = told.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(
        steps,
        [
            "  1. trust that grew: colorapp-blue_trust.pem; wait until every proxy has \
             loaded it",
            "  2. leaves of another authority: colorapp-green",
            "  3. trust that shrank: front_trust.pem; live connections stay until they end",
        ]
    );
}

#[test]
fn listeners_and_backends_have_files_of_their_own_where_their_trust_differs() {
    let site = Site::of(
        "a: {}, b: {}, c: {}",
        "front: { authority: a, trust: [a], listener: { trust: [b] }, \
         backends: { blue: { trust: [b, c] }, green: {} } }, \
         blue: { authority: b }, green: { authority: a }",
    );
    site.issue("").done();
    let pem = |name: &str| site.text(&format!("certs/{name}.pem"));
    assert_eq!(pem("front_trust"), pem("a_cert"));
    assert_eq!(pem("front_listener_trust"), pem("b_cert"));
    assert_eq!(pem("front_backend_blue_trust"), pem("b_cert") + &pem("c_cert"));
    assert_eq!(pem("b_c_bundle"), pem("b_cert") + &pem("c_cert"));
    assert_eq!(pem("a_b_c_bundle"), pem("a_cert") + &pem("b_cert") + &pem("c_cert"));
    assert!(!site.has("certs/front_backend_green_trust.pem"));
    site.edit("listener: { trust: [b] }", "listener: { trust: [b, c] }");
    let told = changes(&site, &["front_listener_trust.pem"]);
    assert!(told.contains("trust   front_listener_trust.pem: + c"), "{told}");
    // Where it no longer differs, the file of its own is left over, and that is told.
    site.edit("listener: { trust: [b, c] }, ", "listener: { trust: [a] }, ");
    let run = site.issue("").done();
    run.tells("note    front_listener_trust.pem belongs to nothing in the mesh file; remove it");
}

#[test]
fn partners_are_trusted_and_never_sign() {
    let site = Site::of(
        "ca: {}, partner: { trustOnly: { certificates: partner.pem } }",
        "front: { authority: ca, trust: [ca, partner] }",
    );
    site.run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
         -subj /CN=one -days 9 -addext basicConstraints=critical,CA:TRUE -out one.pem",
    );
    site.run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
         -subj /CN=two -days 9 -addext basicConstraints=critical,CA:TRUE -out two.pem",
    );
    site.issue("")
        .failed(&["partner: cannot read", "partner.pem: No such file"])
        .says("front", &["created"])
        .tells("note    front_trust.pem is not made: partner cannot be used");
    site.write("partner.pem", site.text("one.pem") + &site.text("two.pem"));
    let run = site.issue("").done();
    assert!(run.row("partner").starts_with("trusted "), "{}", run.stdout);
    let both = site.text("one.pem") + &site.text("two.pem");
    assert_eq!(site.text("certs/partner_cert.pem"), both);
    assert_eq!(site.text("certs/front_trust.pem"), site.text("certs/ca_cert.pem") + &both);
    assert!(!site.has("certs/partner_key.pem"));
    // The partner takes one of its roots back.
    site.write("partner.pem", site.text("two.pem"));
    let told = changes(&site, &["ca_partner_bundle.pem", "front_trust.pem", "partner_cert.pem"]);
    assert!(told.contains("trust   front_trust.pem: - one"), "{told}");
    // What cannot be read leaves every trust as it lies.
    site.write("partner.pem", "nonsense");
    let before = site.everything("certs");
    site.issue("")
        .failed(&["partner.pem: there is no PEM block in it"])
        .tells("note    front_trust.pem stays as it is: partner cannot be used");
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_partners_certificate_that_is_no_ca_is_told_of() {
    let site = Site::issued();
    site.write("partner.pem", site.text("certs/front_cert.pem"));
    site.write(
        "mesh.yaml",
        crate::support::site::mesh(
            "own: {}, partner: { trustOnly: { certificates: partner.pem } }",
            "front: { authority: own, trust: [own, partner] }",
        ),
    );
    site.certctl("issue -f mesh.yaml -o other")
        .done()
        .tells("note    partner trusts \"CN=front.")
        .tells("which is no CA");
}

#[test]
fn a_distrusted_authority_is_in_no_trust_file_at_once() {
    let site = Site::with(
        "version: 1\ntrustDomain: d\nauthorities: { a: {}, b: {} , c: {} }\nvirtualNodes:\n  \
         x: { authority: a, trust: [a, b] }\n  y: { authority: b, trust: [a] }\n",
    );
    site.issue("").done();
    site.run("verify -CAfile certs/x_trust.pem certs/y_cert.pem");
    site.edit("authorities:", "distrust: [b]\nauthorities:");
    site.issue("").failed(&["`b` may not sign: it is distrusted"]);

    let old = site.read("certs/b_cert.pem");
    site.edit("y: { authority: b", "y: { authority: c");
    let run = site.issue("").done();
    assert_eq!(site.read("certs/x_trust.pem"), site.read("certs/a_cert.pem"));
    let told = "roll out in this order:\n  1. no order, since b is distrusted: have every proxy";
    assert!(run.text().contains(told), "{}", run.text());
    assert_eq!(site.read("certs/b_cert.pem"), old, "the authority itself stays as it is");
    for bundle in ["a_b_bundle.pem", "a_b_c_bundle.pem"] {
        let note = format!("{bundle} is left over and holds the root of b, which is distrusted");
        assert!(run.text().contains(&note), "{}", run.text());
        site.remove(&format!("certs/{bundle}"));
    }
    assert!(site.has("certs/a_c_bundle.pem"));
    let again = site.issue("").done();
    assert!(!again.text().contains("distrusted"), "{}", again.text());
}

#[test]
fn a_distrusted_root_that_comes_by_another_name_is_told() {
    let site = Site::of("a: {}, b: {}", "x: { authority: a, trust: [a, b] }");
    site.issue("").done();
    site.edit("a: {}, b: {}", "a: {}, b: {}, again: { trustOnly: { certificates: b.pem } }");
    site.write("b.pem", site.text("certs/b_cert.pem"));
    site.edit("trust: [a, b]", "trust: [a, b, again]");
    site.edit("authorities:", "distrust: [b]\nauthorities:");
    let run = site.issue("").done();
    let told = "b is distrusted, and x trusts its root all the same: another authority has that \
                root too";
    assert!(run.text().contains(told), "{}", run.text());
}
