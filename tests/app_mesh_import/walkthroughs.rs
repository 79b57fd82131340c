//! Manifests in the shapes in which people have them.

use certctl::desired::Authority;
use certctl::desired::app_mesh::import;
use certctl::identity::TrustDomain;

use super::*;

#[test]
fn tls_by_file_becomes_the_colorapp_of_certs_sh() {
    let options = signed_by("green", "ca_2");
    let made = import(&fixture("colors.yaml.template"), &colors("ca_1_ca_2_bundle.pem"), &options);
    assert_same(
        &made.unwrap(),
        "version: 1
trustDomain: colors.example
dnsSuffix: colors.svc.cluster.local
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front:
    authority: ca_1
    trust: [ca_1, ca_2]
    backends: { blue: { port: 8080 }, green: { port: 8080 } }
  blue:
    authority: ca_1
    dnsNames: [color-blue.colors.svc.cluster.local]
    callers: [front]
    files: { name: colorapp-blue }
  green:
    authority: ca_2
    dnsNames: [color-green.colors.svc.cluster.local]
    callers: [front]
    trust: [ca_1]
    files: { name: colorapp-green }
",
    );
}

#[test]
fn the_file_says_beside_each_line_what_it_cannot_know() {
    let made = import(
        &fixture("colors.yaml.template"),
        &colors("ca_1_ca_2_bundle.pem"),
        &Options::default(),
    );
    let made = made.unwrap();
    let expected = fs::read_to_string(Path::new(FIXTURES).join("colors.mesh.yaml")).unwrap();
    assert_eq!(made.mesh_file, expected);
    assert_eq!((made.summary.virtual_nodes, made.summary.left_out), (3, 1));
    assert_eq!(made.summary.choices, made.mesh_file.matches("# CHOOSE").count());
    let skipped: Vec<_> = made.summary.skipped.into_iter().collect();
    let skipped: Vec<_> = skipped.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(skipped, [("Deployment", 1), ("Namespace", 1), ("unreadable document", 1)]);
}

#[test]
fn what_only_one_authority_can_sign_is_not_asked() {
    let made =
        import(&fixture("colors.yaml.template"), &colors("ca_1_cert.pem"), &Options::default());
    let made = made.unwrap();
    let mesh = desired(&made.mesh_file);
    assert!(mesh.identities.values().all(|identity| identity.authority.as_str() == "ca_1"));
    assert!(!made.mesh_file.contains("Deduced"), "{}", made.mesh_file);
}

#[test]
fn an_authority_that_a_peer_refuses_is_noted() {
    let options = signed_by("green", "ca_2");
    let made = import(&fixture("colors.yaml.template"), &colors("ca_1_cert.pem"), &options);
    let made = made.unwrap();
    assert_eq!(
        messages(&made),
        [
            "front accepts [ca_1], but green is signed by ca_2: front will refuse it",
            "this document is not YAML and is skipped",
        ]
    );
    assert_eq!(desired(&made.mesh_file).authorities.len(), 2);
}

#[test]
fn tls_by_sds_gives_paths_and_a_trust_domain() {
    let made = import(&fixture("sds.yaml"), &nothing, &Options::default()).unwrap();
    assert_same(
        &made,
        "version: 1
trustDomain: shop.example
authorities: { shop.example: {} }
virtualNodes:
  web:
    authority: shop.example
    dnsNames: [web.shop.local]
    backends: { stock: { port: 9000 } }
  stock:
    authority: shop.example
    spiffePath: /ns/shop/stock
    dnsNames: [stock.shop.svc.cluster.local]
    callers: [web, 'spiffe://partner.example/orders']
    listener: { mode: permissive }
",
    );
    assert_eq!(
        messages(&made),
        [
            "a clientPolicy's tls has no field `mode`; ignored",
            "stock expects the caller spiffe://shop.example/nobody, which no node is",
        ]
    );
    let remark = "# CHOOSE: spiffe://shop.example/nobody may call it, but no node has that name.";
    assert!(made.mesh_file.contains(remark), "{}", made.mesh_file);
}

#[test]
fn identities_of_another_trust_domain_are_left_out_but_may_call() {
    let sds = fixture("sds.yaml").remove(0).text;
    let sds = sds.replace("spiffe://shop.example/web", "spiffe://other.example/web");
    let options = Options {
        trust_domain: Some(TrustDomain::parse("shop.example").unwrap()),
        ..Options::default()
    };
    let made = import(&text(&sds), &nothing, &options).unwrap();
    let mesh = desired(&made.mesh_file);
    assert_eq!(mesh.identities.len(), 1, "{}", made.mesh_file);
    let callers = mesh.identities[0].listener.callers.clone().unwrap();
    assert_eq!(callers.len(), 2, "{callers:?}");
    assert!(made.mesh_file.contains("Left out: web, which is spiffe://other.example/web"));
}

#[test]
fn roots_of_another_trust_domain_can_only_be_trusted() {
    let sds = fixture("sds.yaml").remove(0).text;
    let (front, back) = sds.split_at(sds.find("mode: PERMISSIVE").unwrap());
    let back = back.replace("\"spiffe://shop.example\"", "\"spiffe://partner.example\"");
    let made = import(&text(&format!("{front}{back}")), &nothing, &Options::default()).unwrap();
    let mesh = desired(&made.mesh_file);
    let stock = &mesh.identities["stock".parse::<NodeName>().as_ref().unwrap()];
    assert_eq!(stock.listener.trust.names()[0].as_str(), "partner.example");
    assert_eq!(stock.authority.as_str(), "shop.example");
    assert!(made.mesh_file.contains("trustOnly: { certificates: partner.example_roots.pem }"));
}

#[test]
fn gateways_and_the_policies_of_single_backends_keep_their_trust_apart() {
    let made = import(&fixture("gateway.yaml"), &nothing, &Options::default()).unwrap();
    assert_same(
        &made,
        "version: 1
trustDomain: shop
authorities: { inner: {}, partners: {}, vault: {} }
virtualNodes:
  web:
    authority: inner
    dnsNames: [web.shop.svc.cluster.local]
    trust: [inner]
    backends: { stock: { trust: [vault], port: 9443 }, mail: { port: 25 } }
  stock:
    authority: vault
    dnsNames: [stock.shop.svc.cluster.local, stock.internal]
    trust: [inner]
    callers: [web]
  mail: { authority: inner, dnsNames: [mail.shop.svc.cluster.local] }
virtualGateways:
  edge:
    authority: inner
    trust: [inner]
    listener: { trust: [partners] }
    backends: { web: { port: 8080 } }
",
    );
    for remark in ["`enforce: false`", "/certs/tls.crt", "asks for no client certificate"] {
        assert!(made.mesh_file.contains(remark), "{remark} in\n{}", made.mesh_file);
    }
}

#[test]
fn a_private_ca_of_acm_goes_on_signing() {
    let made = import(&fixture("acm.yaml"), &nothing, &Options::default()).unwrap();
    assert_same(
        &made,
        "version: 1
trustDomain: shop
authorities:
  pca-0a1b2c3d:
    acmPca:
      arn: arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/0a1b2c3d-0000-0000
virtualNodes:
  web:
    authority: pca-0a1b2c3d
    dnsNames: [web.shop.svc.cluster.local]
    trust: [pca-0a1b2c3d]
    backends: { stock: { port: 8080 } }
  stock:
    authority: pca-0a1b2c3d
    dnsNames: [stock.shop.svc.cluster.local]
",
    );
    assert!(!made.mesh_file.contains("made on first use"), "{}", made.mesh_file);
    assert!(made.mesh_file.contains("# AWS signs, as before"), "{}", made.mesh_file);
}

#[test]
fn what_acm_signed_under_one_of_several_cas_is_told_by_those_who_accept_it() {
    let one = fixture("acm.yaml").remove(0).text;
    let other = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/99999999-0000-0000";
    // With another authority for somebody else, it still is only one CA that web accepts.
    let mail = one.split("---\n").next().unwrap().replace("name: web", "name: mail");
    let mail = mail.replace("name: stock", "name: post").replace("0a1b2c3d", "99999999");
    let made = import(&text(&format!("{one}---\n{mail}")), &nothing, &Options::default()).unwrap();
    let mesh = desired(&made.mesh_file);
    assert_eq!(mesh.identities[1].authority.as_str(), "pca-0a1b2c3d", "{}", made.mesh_file);
    assert!(made.mesh_file.contains("# Deduced: ACM made its certificate,"), "{}", made.mesh_file);

    // Where web accepts two, the file asks.
    let two = one
        .replace("0a1b2c3d-0000-0000", &format!("0a1b2c3d-0000-0000\n                - {other}"));
    let made = import(&text(&two), &nothing, &Options::default()).unwrap();
    assert!(made.mesh_file.contains("CHOOSE an authority: ACM made its certificate,"));
    assert!(messages(&made)[0].contains("stock has a certificate of ACM"), "{:?}", made.notes);
    let error = MeshFile::read(Path::new("mesh.yaml"), made.mesh_file.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("which authority signs `stock`?"), "{error}");
    let made = import(&text(&two), &nothing, &signed_by("stock", "pca-99999999")).unwrap();
    assert_eq!(desired(&made.mesh_file).identities[1].authority.as_str(), "pca-99999999");
}

#[test]
fn cas_whose_arns_begin_alike_are_told_apart_and_what_is_no_arn_is_stood_in_for() {
    let one = fixture("acm.yaml").remove(0).text;
    let alike = one.replace(
        "0a1b2c3d-0000-0000",
        "0a1b2c3d-0000-0000\n                - \
         arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/0a1b2c3d-0000-0001",
    );
    let made = import(&text(&alike), &nothing, &signed_by("stock", "pca-0a1b2c3d-ca")).unwrap();
    let mesh = desired(&made.mesh_file);
    assert_eq!(mesh.authorities.len(), 2, "{}", made.mesh_file);

    let wrong = one.replace("certificate-authority/", "certificate/");
    let made = import(&text(&wrong), &nothing, &Options::default()).unwrap();
    let authorities = desired(&made.mesh_file).authorities;
    assert!(matches!(authorities[0], Authority::Local(_)), "{}", made.mesh_file);
    assert!(made.mesh_file.contains("# CHOOSE: this is no ARN of a private CA"));
    assert!(made.mesh_file.contains("CHOOSE an authority: ACM made its certificate,"));
}
