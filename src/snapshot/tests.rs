use std::time::Duration;

use super::testing::{COLORAPP, Published, node_name, published};
use super::*;

/// Whether a watcher is woken, now that everything has happened that will. With tokio's clock
/// paused, no time passes by it.
async fn wakes(watcher: &Watcher) -> bool {
    tokio::time::timeout(Duration::from_secs(1), watcher.changed()).await.is_ok()
}

fn watching(mesh: &Published, nodes: &[&str]) -> Watcher {
    let mut watcher = mesh.snapshot.watcher();
    watch(&mut watcher, nodes);
    watcher
}

fn watch(watcher: &mut Watcher, nodes: &[&str]) {
    watcher.watch(&nodes.iter().map(|node| node_name(node)).collect::<Vec<_>>());
}

/// The walkthrough's mesh without `green`.
fn without_green() -> String {
    COLORAPP
        .lines()
        .filter(|line| !line.contains("green"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_watcher_wakes_for_what_it_watches_and_for_nothing_else() {
    let mesh = published(COLORAPP);
    let (front, blue) = (watching(&mesh, &["front"]), watching(&mesh, &["blue"]));
    let (both, none) = (watching(&mesh, &["front", "blue"]), watching(&mesh, &[]));
    let all = mesh.snapshot.watcher_of_all();
    assert!(!wakes(&front).await && !wakes(&all).await, "nothing has happened");
    mesh.set_trust("front", |_| ());
    assert!(wakes(&front).await && wakes(&both).await && wakes(&all).await);
    assert!(!wakes(&blue).await && !wakes(&none).await);
    assert!(!wakes(&front).await, "woken twice for one change");
}

#[tokio::test(start_paused = true)]
async fn several_changes_wake_once() {
    let mesh = published(COLORAPP);
    let watcher = watching(&mesh, &["front", "blue"]);
    mesh.set_trust("front", |_| ());
    mesh.set_trust("blue", |_| ());
    assert!(wakes(&watcher).await);
    assert!(!wakes(&watcher).await);
}

#[tokio::test(start_paused = true)]
async fn a_change_between_watching_and_waiting_is_not_lost() {
    let mesh = published(COLORAPP);
    let mut watcher = mesh.snapshot.watcher();
    watch(&mut watcher, &["front"]);
    mesh.set_trust("front", |_| ());
    // Nor by a wait that was given up.
    drop(watcher.changed());
    watch(&mut watcher, &["front", "blue"]);
    assert!(wakes(&watcher).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_watched_wakes_nobody() {
    let mesh = published(COLORAPP);
    let mut watcher = watching(&mesh, &["front", "blue"]);
    watch(&mut watcher, &["blue"]);
    mesh.set_trust("front", |_| ());
    assert!(!wakes(&watcher).await);
    mesh.set_trust("blue", |_| ());
    assert!(wakes(&watcher).await);
}

#[tokio::test(start_paused = true)]
async fn the_mesh_wakes_everybody_and_drops_the_nodes_that_it_leaves_out() {
    let mut mesh = published(COLORAPP);
    let (mut green, none) = (watching(&mesh, &["green"]), watching(&mesh, &[]));
    let before = mesh.snapshot.generation();
    mesh.edit(&without_green());
    assert!(wakes(&green).await && wakes(&none).await);
    assert!(mesh.snapshot.node(&node_name("green")).is_none());
    assert_eq!(mesh.snapshot.mesh().nodes, [node_name("front"), node_name("blue")]);
    assert_eq!(mesh.snapshot.nodes().len(), 2);
    assert!(mesh.snapshot.generation() > before);
    // One that comes back is another one: who still wants it says so again.
    watch(&mut green, &["green"]);
    mesh.edit(COLORAPP);
    assert!(wakes(&green).await);
    watch(&mut green, &["green"]);
    mesh.set_trust("green", |_| ());
    assert!(wakes(&green).await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_replaced_unseen_is_watched_again() {
    let mut mesh = published(COLORAPP);
    let mut watcher = watching(&mesh, &["green"]);
    mesh.edit(&without_green());
    mesh.edit(COLORAPP);
    assert!(wakes(&watcher).await);
    watch(&mut watcher, &["green"]);
    mesh.set_trust("green", |_| ());
    assert!(wakes(&watcher).await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_came_back_is_watched_though_somebody_still_reads_what_it_was() {
    let mut mesh = published(COLORAPP);
    let mut watcher = watching(&mesh, &["green"]);
    let reading = mesh.snapshot.slot(&node_name("green")).unwrap();
    mesh.edit(&without_green());
    mesh.edit(COLORAPP);
    assert!(wakes(&watcher).await);
    watch(&mut watcher, &["green"]);
    mesh.set_trust("green", |_| ());
    assert!(wakes(&watcher).await);
    drop(reading);
}

#[test]
fn whoever_is_gone_is_forgotten() {
    let mesh = published(COLORAPP);
    for _ in 0..10_000 {
        watching(&mesh, &["front"]);
    }
    let slot = mesh.snapshot.slot(&node_name("front")).unwrap();
    let bells = slot.bells.0.lock().unwrap().len();
    assert!(bells < 100, "{bells} bells for nobody");
}

#[tokio::test]
async fn a_value_that_is_out_is_not_changed_by_what_comes_after() {
    let mesh = published(COLORAPP);
    let old = mesh.snapshot.node(&node_name("front")).unwrap();
    let serial = |node: &Node| node.leaf.as_ref().map(|leaf| leaf.credential.leaf().serial());
    let before = serial(&old);
    mesh.renew("front");
    assert_eq!(serial(&old), before);
    assert_ne!(serial(&mesh.snapshot.node(&node_name("front")).unwrap()), before);
}
