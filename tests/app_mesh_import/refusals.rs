//! What cannot be imported, and what is said about it.

use certctl::desired::app_mesh::{ImportError, import, place};

use super::*;

#[test]
fn unset_variables_are_all_named_and_those_that_nobody_reads_do_not_matter() {
    let manifests = fixture("colors.yaml.template");
    let Err(ImportError::Unset(unset)) = import(&manifests, &nothing, &Options::default()) else {
        panic!("nothing is set");
    };
    let unset: Vec<_> = unset
        .iter()
        .map(|v| (v.name.as_str(), v.places.len(), place(&manifests, v.places[0])))
        .collect();
    assert_eq!(
        unset,
        [
            ("MESH", 1, "colors.yaml.template:11".to_owned()),
            ("NAMESPACE", 16, "colors.yaml.template:20".to_owned()),
            ("FRONT_TRUST", 1, "colors.yaml.template:38".to_owned()),
        ]
    );
}

#[test]
fn a_value_cannot_add_structure() {
    let hostile = |name: &str| match name {
        "NAMESPACE" => Some("x\n  tls: { mode: DISABLED }\n# ".to_owned()),
        name => colors("ca_1_cert.pem")(name),
    };
    let manifests = fixture("colors.yaml.template");
    let made = import(&manifests, &hostile, &Options::default()).unwrap();
    let mesh = desired(&made.mesh_file);
    assert_eq!(mesh.identities.len(), 3);
    assert!(mesh.identities.values().all(|identity| identity.dns_names.is_empty()));
    let remark = "# CHOOSE: no name for a certificate: DNS name";
    assert!(made.mesh_file.contains(remark), "{}", made.mesh_file);
}

#[test]
fn nodes_of_one_name_are_told_apart_by_namespace_and_clashing_ones_refused() {
    let acm = fixture("acm.yaml").remove(0).text;
    let other = acm.replace("namespace: shop", "namespace: depot");
    let made = import(&text(&format!("{acm}---\n{other}")), &nothing, &Options::default()).unwrap();
    let names: Vec<_> =
        desired(&made.mesh_file).identities.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["web_shop", "stock_shop", "web_depot", "stock_depot"]);

    // The same one twice is one.
    let made = import(&text(&format!("{acm}---\n{acm}")), &nothing, &Options::default()).unwrap();
    assert_eq!(made.summary.virtual_nodes, 2);

    let other = acm.replace("port: 8080", "port: 9090");
    let twice = text(&format!("{acm}---\n{other}"));
    let Err(ImportError::Manifests(problems)) = import(&twice, &nothing, &Options::default())
    else {
        panic!("one of the two must not be chosen in silence");
    };
    let (_, problem) = &problems[0];
    assert!(problem.message.contains("defined here and, differently, in m.yaml:20"), "{problem:?}");
}

#[test]
fn manifests_without_anything_to_import_are_refused_with_a_reason() {
    let plain = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\n\
                 metadata: { name: a }\nspec: { listeners: [{ portMapping: { port: 1 } }] }\n";
    let old = "apiVersion: appmesh.k8s.aws/v1beta1\nkind: VirtualNode\nmetadata: { name: a }\n";
    for (manifest, reason) in [
        ("", "no VirtualNode and no VirtualGateway"),
        ("kind: Pod\napiVersion: v1\n", "(found: 1 Pod)"),
        (old, "(found: 1 VirtualNode (v1beta1))"),
        (plain, "none of the nodes and gateways here (1) uses TLS"),
        ("- a\n- b\n", "(found: 1 document without a kind)"),
        ("a: 1\n---\nb: 1\n", "(found: 2 documents without a kind)"),
    ] {
        let error = import(&text(manifest), &nothing, &Options::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let all = Options { all: true, ..Options::default() };
    let made = import(&text(plain), &nothing, &all).unwrap();
    assert_eq!(desired(&made.mesh_file).identities.len(), 1);
}

#[test]
fn garbage_in_app_mesh_resources_is_an_error_at_its_place() {
    let node = |spec: &str| {
        format!(
            "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\n\
             metadata: {{ name: a, namespace: n }}\nspec: {spec}\n"
        )
    };
    let listener = |tls: &str| node(&format!("{{ listeners: [{{ tls: {tls} }}] }}"));
    for (manifest, reason) in [
        (node("[]"), "`spec` is a list; it must be a mapping"),
        (node("{ listeners: 5 }"), "`listeners` is a single value; it must be a list"),
        (node("{ listeners: [{ portMapping: { port: 99999 } }] }"), "no number from 1 to 65535"),
        (listener("{ mode: LOOSE }"), "the TLS mode is \"LOOSE\""),
        (listener("{ mode: [STRICT] }"), "`mode` is a list; it must be text"),
        (listener("{ mode: STRICT, certificate: { vault: {} } }"), "neither `acm`, `file` nor"),
        (listener("{ mode: STRICT, mode: STRICT }"), "the key `mode` is here twice"),
        (node("{ listeners: ["), "this is not YAML"),
        (node("").replace("name: a, ", ""), "this VirtualNode has no name"),
        (node("{}").replace("name: a", "name: ../x"), "is no name for a VirtualNode"),
        (node("").replace("spec:", ""), "VirtualNode a has no spec"),
    ] {
        let manifests = text(&manifest);
        match import(&manifests, &nothing, &Options::default()) {
            Err(ImportError::Manifests(problems)) => {
                let all: Vec<_> = problems.iter().map(|(_, p)| p.message.as_str()).collect();
                assert!(all.iter().any(|message| message.contains(reason)), "{reason}: {all:?}");
            }
            other => panic!("{manifest}: {other:?}"),
        }
    }
}

#[test]
fn nothing_from_a_manifest_reaches_the_terminal_raw() {
    let escape = "\"\\x1b[2J\"";
    let sds = fixture("sds.yaml").remove(0).text;
    let skipped = format!("---\nkind: {escape}\n");
    let named = sds.replace("mode: STRICT", &format!("{escape}: 1"));
    let made = import(&text(&format!("{named}{skipped}")), &nothing, &Options::default()).unwrap();
    let everything = format!("{}{:?}", messages(&made).join(""), made.summary.skipped);
    assert!(everything.contains("u{1b}"), "{everything}");
    assert!(!everything.contains('\u{1b}') && !made.mesh_file.contains('\u{1b}'));

    let kind = sds.replace("mode: PERMISSIVE", &format!("mode: [{escape}]"));
    let namespace = kind.replace("namespace: shop }", &format!("namespace: {escape} }}"));
    let Err(ImportError::Manifests(problems)) =
        import(&text(&namespace), &nothing, &Options::default())
    else {
        panic!("a list is no mode");
    };
    assert!(problems.iter().all(|(_, problem)| !problem.message.contains('\u{1b}')));
}

#[test]
fn what_to_do_is_said_where_it_can_be() {
    let helm = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nspec: {{ .Values.spec }}\n";
    let Err(ImportError::Manifests(problems)) = import(&text(helm), &nothing, &Options::default())
    else {
        panic!("a template of Helm is no manifest");
    };
    let help = problems[0].1.help.as_deref().unwrap_or_default();
    assert!(help.contains("helm template"), "{problems:?}");

    let nameless = fixture("acm.yaml").remove(0).text.replace("namespace: shop", "namespace: ''");
    let error = import(&text(&nameless), &nothing, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("the name of the trust domain; say which"), "{error}");
}
