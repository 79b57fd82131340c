//! Single features of the resources.

use certctl::desired::app_mesh::import;

use super::*;

/// A resource of namespace `n`; `spec` is YAML in flow style.
fn resource(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: {kind}\n\
         metadata: {{ name: {name}, namespace: n }}\nspec: {spec}\n"
    )
}

/// A listener with files of the usual names.
fn listener(port: u16, base: &str, validation: &str) -> String {
    format!(
        "{{ portMapping: {{ port: {port} }}, tls: {{ mode: STRICT, certificate: {{ file: {{ \
         certificateChain: /c/{base}_cert_chain.pem, privateKey: /c/{base}_key.pem }} }}{validation} \
         }} }}"
    )
}

fn validation(trust: &str, names: &str) -> String {
    format!(
        ", validation: {{ trust: {{ file: {{ certificateChain: /c/{trust}.pem }} }}, \
         subjectAlternativeNames: {{ match: {{ exact: [{names}] }} }} }}"
    )
}

#[test]
fn listeners_that_differ_are_put_together_and_said_so() {
    let one = listener(1, "a", ", validation: { trust: { file: { certificateChain: x.pem } } }");
    let two = listener(2, "a", ", validation: { trust: { file: { certificateChain: y.pem } } }");
    let two = two.replace("STRICT", "PERMISSIVE");
    let node = resource("VirtualNode", "a", &format!("{{ listeners: [{one}, {two}] }}"));
    let made = import(&text(&node), &nothing, &Options::default()).unwrap();
    let mesh = desired(&made.mesh_file);
    assert_eq!(mesh.identities[0].listener.trust.names().len(), 2);
    assert_eq!(messages(&made), ["the listeners of a differ: port 1 [x], port 2 [y]"]);
    assert!(made.mesh_file.contains("only some of its listeners are PERMISSIVE"));
}

#[test]
fn callers_that_nobody_is_leave_a_listener_that_admits_nobody() {
    let spec = format!("{{ listeners: [{}] }}", listener(1, "a", &validation("x", "unknown.n")));
    let made =
        import(&text(&resource("VirtualNode", "a", &spec)), &nothing, &Options::default()).unwrap();
    assert_eq!(desired(&made.mesh_file).identities[0].listener.callers, Some(Vec::new()));
    assert!(made.mesh_file.contains("# CHOOSE: unknown.n may call it, but no node has that name."));
}

#[test]
fn the_name_of_a_service_is_a_name_of_the_nodes_behind_it() {
    let client = "{ backendGroups: [{ name: g }], backendDefaults: { clientPolicy: { tls: { \
                  validation: { trust: { file: { certificateChain: x.pem } }, \
                  subjectAlternativeNames: { match: { exact: [svc.local] } } } } } } }";
    let server = |host: &str| {
        let discovery = format!("serviceDiscovery: {{ dns: {{ hostname: {host} }} }}");
        format!("{{ listeners: [{}], {discovery} }}", listener(1, "s", ""))
    };
    let manifest = [
        resource("VirtualNode", "client", client),
        resource("VirtualNode", "one", &server("one.local.")),
        resource("VirtualNode", "two", &server("10.1.2.3")),
        resource("BackendGroup", "g", "{ virtualservices: [{ name: svc }] }"),
        resource(
            "VirtualService",
            "svc",
            "{ awsName: svc.local, provider: { virtualRouter: { virtualRouterRef: { name: r } } } }",
        ),
        resource(
            "VirtualRouter",
            "r",
            "{ routes: [{ tcpRoute: { action: { weightedTargets: [ \
             { virtualNodeRef: { name: one } }, \
             { virtualNodeARN: 'arn:aws:appmesh:x:1:mesh/m/virtualNode/two_n' }] } } }] }",
        ),
    ];
    let made = import(&text(&manifest.concat()), &nothing, &Options::default()).unwrap();
    let mesh = desired(&made.mesh_file);
    let names = |i: usize| -> Vec<&str> {
        mesh.identities[i].dns_names.iter().map(|name| name.as_str()).collect()
    };
    assert_eq!(names(1), ["one.local", "svc.local"]);
    assert_eq!(names(2), ["svc.local"]);
    let backends: Vec<_> = mesh.identities[0].backends.iter().flatten().map(|(n, _)| n).collect();
    assert_eq!(backends.len(), 2);
    assert!(made.mesh_file.contains("10.1.2.3"));
    // Two nodes cannot both write s_key.pem.
    assert!(mesh.identities.values().all(|identity| identity.files.base == identity.name));
}

#[test]
fn a_server_that_asked_no_client_accepts_the_authorities_of_its_clients() {
    let policy = "{ backends: [{ virtualService: { virtualServiceRef: { name: s } } }], \
                  backendDefaults: { clientPolicy: { tls: { validation: { trust: { file: { \
                  certificateChain: ca_2_cert.pem } } } } } } }";
    let manifest = [
        resource("VirtualNode", "client", policy),
        resource("VirtualNode", "s", &format!("{{ listeners: [{}] }}", listener(1, "s", ""))),
        resource(
            "VirtualService",
            "s",
            "{ provider: { virtualNode: { virtualNodeRef: { name: s } } } }",
        ),
    ];
    let options = signed_by("client", "ca_1");
    let made = import(&text(&manifest.concat()), &nothing, &options).unwrap();
    let server = &desired(&made.mesh_file).identities[1];
    assert_eq!(server.authority.as_str(), "ca_2");
    assert!(server.listener.trust.contains(&AuthorityName::parse("ca_1").unwrap()), "{server:?}");
}

#[test]
fn what_kubectl_prints_as_json_is_read() {
    let json = r#"{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[
        {"apiVersion":"appmesh.k8s.aws/v1beta2","kind":"VirtualNode",
         "metadata":{"name":"a","namespace":"n","uid":"1","managedFields":[{"manager":"x"}]},
         "spec":{"awsName":"a_n","listeners":[{"portMapping":{"port":1,"protocol":"http"},
           "tls":{"mode":"STRICT","certificate":{"sds":{"secretName":"spiffe://d/a"}}}}],
           "serviceDiscovery":{"dns":{"hostname":"a.n"}}},
         "status":{"conditions":[]}}]}"#;
    let made = import(&text(json), &nothing, &Options::default()).unwrap();
    assert_eq!(desired(&made.mesh_file).identities[0].spiffe_id.as_str(), "spiffe://d/a");
    assert!(made.notes.is_empty(), "{:?}", made.notes);
}

#[test]
fn the_spelling_of_app_meshs_own_api_is_understood() {
    let acm = fixture("acm.yaml").remove(0).text;
    let acm = acm
        .replace("certificateARN", "certificateArn")
        .replace("certificateAuthorityARNs", "certificateAuthorityArns");
    let made = import(&text(&acm), &nothing, &Options::default()).unwrap();
    assert_eq!(made.summary.authorities, 1);
    assert_eq!(made.notes.len(), 2, "{:?}", made.notes);
}
