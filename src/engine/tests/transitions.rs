//! Roots, certificates, roots: in that order, as published.

use super::*;
use crate::boards::{Aspect, Deliveries, Part, RecipientView};

/// Everybody is to trust and be signed by ca_2 in the end.
fn moved() -> String {
    MESH.replace("authority: ca_1", "authority: ca_2").replace("[ca_1]", "[ca_2]")
}

fn roots(world: &World, node: &str) -> usize {
    world.node(node).unwrap().trust.both.as_slice().len()
}

fn files_alone(options: &mut Options) {
    options.audience = Audience::Silent;
    options.soak = Duration::from_secs(120);
}

async fn settled(change: impl FnOnce(&mut Options)) -> World {
    let world = World::with(MESH, change).await;
    for node in ["front", "blue", "green"] {
        world.leaf_after(node, None).await;
    }
    // What was just made for the first time is on its way too.
    sleep(HOUR).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_move_between_authorities_spreads_roots_then_moves_certificates_then_drops_roots() {
    let world = settled(files_alone).await;
    let leaf = world.leaf("blue").unwrap();
    let began = Instant::now();
    world.edit(&moved());
    world.until(|| (roots(&world, "front") == 2).then_some(())).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(world.leaf("blue").as_ref(), Some(&leaf));
    let transitions = world.status().await.transitions;
    assert!(transitions.iter().any(|it| it.phase == "spread"), "{transitions:?}");
    let new = world.leaf_after("blue", Some(&leaf)).await;
    assert!(new.issuer().ends_with("CN=ca_2"), "{}", new.issuer());
    let moved = began.elapsed();
    assert!((120..=122).contains(&moved.as_secs()), "{moved:?}");
    assert_eq!(
        roots(&world, "front"),
        2,
        "the old root is needed until the new leaf is everywhere"
    );
    world.until(|| (roots(&world, "front") == 1).then_some(())).await;
    let dropped = began.elapsed() - moved;
    assert!((119..=124).contains(&dropped.as_secs()), "{dropped:?}");
    world.settled().await;
    assert_eq!(world.status().await.transitions, []);
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_goes_on_where_it_was() {
    let world = settled(files_alone).await;
    let leaf = world.leaf("blue").unwrap();
    let began = Instant::now();
    world.edit(&moved());
    sleep(Duration::from_secs(60)).await;
    let world = world.restart_with(&moved(), files_alone).await;
    assert_eq!(world.leaf("blue").as_ref(), Some(&leaf), "it has not moved yet");
    assert_eq!(roots(&world, "front"), 2);
    world.leaf_after("blue", Some(&leaf)).await;
    assert!(began.elapsed() >= Duration::from_secs(120));
    let world = world.restart_with(&moved(), files_alone).await;
    assert_eq!(roots(&world, "front"), 2);
    world.until(|| (roots(&world, "front") == 1).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_moves_when_the_last_one_who_must_accept_it_says_that_it_can() {
    let deliveries = Deliveries::default();
    let world = settled(|options| options.deliveries = deliveries.clone()).await;
    let who = RecipientView { node_id: "front-1".to_owned(), ..RecipientView::default() };
    let envoy = deliveries.connect(who);
    let trust = |world: &World| Aspect {
        part: Part::Trust(name("front")),
        generation: world.node("front").unwrap().trust.generation,
    };
    envoy.sent("ROOTCA", "1", &[trust(&world)]);
    envoy.accepted("ROOTCA");
    let leaf = world.leaf("blue").unwrap();
    world.edit(&moved());
    world.until(|| (roots(&world, "front") == 2).then_some(())).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.leaf("blue").as_ref(), Some(&leaf));
    let waiting: Vec<_> =
        world.status().await.transitions.into_iter().flat_map(|it| it.waiting_for).collect();
    assert!(waiting.iter().any(|who| who.contains("front-1")), "{waiting:?}");
    envoy.sent("ROOTCA", "2", &[trust(&world)]);
    envoy.accepted("ROOTCA");
    let said = Instant::now();
    world.leaf_after("blue", Some(&leaf)).await;
    assert!(said.elapsed() < Duration::from_secs(2), "{:?}", said.elapsed());
}

/// The same, without ca_1 in the mesh at all.
fn without_ca_1() -> String {
    moved().replace("ca_1: {}, ", "")
}

#[tokio::test(start_paused = true)]
async fn what_an_authority_signed_that_is_gone_from_the_mesh_outlives_a_restart() {
    let world = settled(files_alone).await;
    let (leaf, began) = (world.leaf("blue").unwrap(), Instant::now());
    world.edit(&without_ca_1());
    world.until(|| (roots(&world, "front") == 2).then_some(())).await;
    sleep(Duration::from_secs(30)).await;
    let world = world.restart_with(&without_ca_1(), files_alone).await;
    assert_eq!(world.leaf("blue").as_ref(), Some(&leaf), "it has not moved yet");
    assert_eq!((roots(&world, "front"), world.fake.asked().len()), (2, 0));
    let new = world.leaf_after("blue", Some(&leaf)).await;
    assert!(new.issuer().ends_with("CN=ca_2") && began.elapsed() >= Duration::from_secs(120));
    world.until(|| (roots(&world, "front") == 1).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_goes_while_nobody_runs_is_trusted_until_its_leaves_have_moved() {
    let world = settled(files_alone).await;
    let leaf = world.leaf("blue").unwrap();
    let world = world.restart_with(&without_ca_1(), files_alone).await;
    assert_eq!(world.leaf("blue").as_ref(), Some(&leaf));
    assert_eq!(roots(&world, "front"), 2);
    world.leaf_after("blue", Some(&leaf)).await;
    world.until(|| (roots(&world, "front") == 1).then_some(())).await;
}
