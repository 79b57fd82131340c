//! What an edit of the mesh does, and what it leaves alone.

use super::*;

fn files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.directory.path().join("state")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn settled(text: &str) -> World {
    let world = World::new(text).await;
    for node in ["front", "blue", "green"] {
        world.leaf_after(node, None).await;
    }
    world.settled().await;
    world
}

#[tokio::test(start_paused = true)]
async fn one_who_is_gone_is_forgotten_wholly_and_its_late_certificate_dropped() {
    let world = settled(MESH).await;
    let without =
        MESH.replace("  green: { authority: ca_2, trust: [ca_1], callers: [front] }\n", "");
    let with = MESH.replace("  green:", "  late: { authority: ca_1 }\n  green:");
    *world.fake.latency.lock().unwrap() = 10 * SECOND;
    world.edit(&with);
    world.until(|| (world.fake.attempts("late").len() == 1).then_some(())).await;
    world.edit(&without);
    world.until(|| world.node("late").is_none().then_some(())).await;
    assert!(world.node("green").is_none());
    sleep(HOUR).await;
    assert!(world.node("late").is_none(), "what came late is dropped");
    let journal = std::fs::read(world.journal()).unwrap();
    let is_stored = |node: &[u8]| journal.windows(node.len()).any(|window| window == node);
    assert!(!is_stored(b"\x04late") && is_stored(b"\x05green"), "what was stored stays");
    let names: Vec<_> = world.status().await.nodes.into_iter().map(|node| node.name).collect();
    assert_eq!(names, [name("front"), name("blue")]);
    // Its failures are forgotten too: who comes back begins anew.
    *world.fake.latency.lock().unwrap() = Duration::ZERO;
    world.edit(&with);
    world.leaf_after("late", None).await;
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_back_has_what_was_stored() {
    let world = settled(MESH).await;
    let leaf = world.leaf("green").unwrap();
    let asked = world.fake.asked().len();
    world
        .edit(&MESH.replace("  green: { authority: ca_2, trust: [ca_1], callers: [front] }\n", ""));
    world.until(|| world.node("green").is_none().then_some(())).await;
    world.edit(MESH);
    assert_eq!(world.leaf_after("green", None).await, leaf);
    world.settled().await;
    assert_eq!(world.fake.asked().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn an_edit_overtakes_what_is_in_the_making() {
    let world = settled(MESH).await;
    let old = world.leaf("blue").unwrap();
    *world.fake.latency.lock().unwrap() = 10 * SECOND;
    let named = |dns: &str| {
        MESH.replace(
            "blue: { authority: ca_1,",
            &format!("blue: {{ authority: ca_1, dnsNames: [{dns}],"),
        )
    };
    world.edit(&named("one.example"));
    world.until(|| (world.fake.attempts("blue").len() == 2).then_some(())).await;
    sleep(5 * SECOND).await;
    world.edit(&named("two.example"));
    let leaf = world.leaf_after("blue", Some(&old)).await;
    assert_eq!(leaf.names().dns_names, ["two.example"]);
    assert_eq!(world.fake.attempts("blue").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_is_taken_back_in_time_changes_nothing() {
    let world = settled(MESH).await;
    let old = world.leaf("blue").unwrap();
    *world.fake.latency.lock().unwrap() = 10 * SECOND;
    world.edit(&MESH.replace("blue: { authority: ca_1,", "blue: { authority: ca_1, lifetime: 2h,"));
    world.until(|| (world.fake.attempts("blue").len() == 2).then_some(())).await;
    world.edit(MESH);
    sleep(HOUR).await;
    assert_eq!(world.leaf("blue"), Some(old));
}

#[tokio::test(start_paused = true)]
async fn a_changed_trust_alone_makes_no_new_certificate() {
    let world = settled(MESH).await;
    let (asked, before) = (world.fake.asked().len(), world.node("front").unwrap());
    assert_eq!(before.trust.both.as_slice().len(), 1);
    world.edit(&MESH.replace("trust: [ca_1], backends: [blue]", "trust: [ca_1, ca_2]"));
    let trust = world
        .until(|| {
            let trust = world.node("front")?.trust.clone();
            (trust.both.as_slice().len() == 2).then_some(trust)
        })
        .await;
    assert!(trust.generation > before.trust.generation);
    assert_eq!(trust.backends, None);
    world.settled().await;
    assert_eq!(world.fake.asked().len(), asked);
    let now = world.node("front").unwrap();
    assert_eq!(
        now.leaf.as_ref().unwrap().generation,
        before.leaf.as_ref().unwrap().generation,
        "who watches the leaf sees no change"
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_call_whom_is_told_by_spiffe_id() {
    let world = settled(MESH).await;
    let expected = |node: &str| world.node(node).unwrap().trust.listener.expected.clone();
    let ids = |node: &str| Some(vec![mesh(MESH).identities[&name(node)].spiffe_id.clone()]);
    assert_eq!(expected("blue"), ids("front"));
    assert_eq!(expected("front"), None);
    let backends = world.node("front").unwrap().trust.backends.clone().unwrap();
    assert_eq!(backends[&name("blue")].expected, ids("blue"));
    world.edit(&MESH.replace(
        "blue: { authority: ca_1, callers: [front] }",
        "blue: { authority: ca_1, callers: [front, green] }",
    ));
    world.until(|| (expected("blue").is_some_and(|ids| ids.len() == 2)).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn only_the_nodes_that_are_named_are_served_and_the_others_count_for_trust() {
    let only = |options: &mut Options| options.only = Some(vec![name("blue")]);
    let world = World::with(MESH, only).await;
    world.leaf_after("blue", None).await;
    world.settled().await;
    assert!(world.node("front").is_none());
    assert_eq!(world.snapshot().mesh().nodes, [name("blue")]);
    assert_eq!(world.fake.asked(), ["blue"]);
    let expected = world.node("blue").unwrap().trust.listener.expected.clone().unwrap();
    assert_eq!(expected[0].as_str(), "spiffe://example.org/front");
}

#[tokio::test(start_paused = true)]
async fn a_new_authority_is_made_and_trusted() {
    let world = settled(MESH).await;
    world.edit(
        &MESH
            .replace("ca_2: {} }", "ca_2: {}, ca_3: {} }")
            .replace("  green:", "  red: { authority: ca_3 }\n  green:"),
    );
    let leaf = world.leaf_after("red", None).await;
    let anchors = world.snapshot().mesh().authorities
        [&crate::identity::AuthorityName::parse("ca_3").unwrap()]
        .clone();
    assert!(leaf.names_as_issuer(&anchors.as_slice()[0].certificate));
    assert!(files(&world).contains(&"ca_3_key.pem".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_a_nodes_files_are_called_changes_nothing_that_is_stored() {
    let world = settled(MESH).await;
    let (leaf, asked) = (world.leaf("blue"), world.fake.asked().len());
    let renamed = MESH
        .replace("blue: { authority: ca_1,", "blue: { authority: ca_1, files: { name: azure },");
    world.edit(&renamed);
    world.settled().await;
    let world = world.restart(&renamed).await;
    assert_eq!(world.leaf("blue"), leaf);
    assert_eq!((asked, world.fake.asked().len()), (3, 0));
}
