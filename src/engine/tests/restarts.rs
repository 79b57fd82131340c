//! What survives a restart.

use super::*;

async fn settled(change: impl FnOnce(&mut Options)) -> World {
    let world = World::with(MESH, change).await;
    for node in ["front", "blue", "green"] {
        world.leaf_after(node, None).await;
    }
    world.settled().await;
    world
}

fn leaves(world: &World) -> Vec<Option<Certificate>> {
    ["front", "blue", "green"].map(|node| world.leaf(node)).into()
}

#[tokio::test(start_paused = true)]
async fn a_restart_makes_nothing_and_serves_at_once_what_is_stored() {
    let world = settled(|_| ()).await;
    let (before, due) = (leaves(&world), world.due("front").await);
    let world = world.restart(MESH).await;
    assert_eq!(leaves(&world), before, "when it is ready");
    assert_eq!(world.due("front").await, due, "the moment does not move");
    world.settled().await;
    assert_eq!(world.fake.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_damaged_is_made_anew_and_the_others_stay() {
    let world = settled(|_| ()).await;
    let before = leaves(&world);
    std::fs::write(world.directory.path().join("state/blue_key.pem"), "damaged").unwrap();
    let world = world.restart(MESH).await;
    let blue = world.leaf_after("blue", None).await;
    assert_ne!(Some(&blue), before[1].as_ref());
    world.settled().await;
    assert_eq!(world.fake.asked(), ["blue"]);
    assert_eq!((&leaves(&world)[0], &leaves(&world)[2]), (&before[0], &before[2]));
}

#[tokio::test(start_paused = true)]
async fn what_another_ca_signed_is_not_served() {
    let world = settled(|_| ()).await;
    let other = settled(|_| ()).await;
    for file in ["blue_key.pem", "blue_cert.pem", "blue_cert_chain.pem"] {
        let path = |world: &World| world.directory.path().join("state").join(file);
        std::fs::copy(path(&other), path(&world)).unwrap();
    }
    let foreign = other.leaf("blue");
    let world = world.restart(MESH).await;
    assert_ne!(world.leaf("blue"), foreign);
    let leaf = world.leaf_after("blue", None).await;
    assert_ne!(Some(leaf), foreign);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_place_holds_a_ca_gets_nothing_and_disturbs_no_other() {
    let world = settled(|_| ()).await;
    let state = world.directory.path().join("state");
    for (from, to) in [("ca_2_key.pem", "red_key.pem"), ("ca_2_cert.pem", "red_cert.pem")] {
        std::fs::copy(state.join(from), state.join(to)).unwrap();
    }
    let key = std::fs::read(state.join("red_key.pem")).unwrap();
    world.edit(&MESH.replace("  green:", RED_AND_PINK));
    world.leaf_after("pink", None).await;
    world.settled().await;
    let failure = world.node_status("red").await.failure.unwrap();
    assert!(failure.reason.contains("is a CA's key"), "{}", failure.reason);
    assert_eq!(std::fs::read(state.join("red_key.pem")).unwrap(), key);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_only_the_authorities_are_kept() {
    let no_store = |options: &mut Options| options.store = false;
    let world = settled(no_store).await;
    let state = world.directory.path().join("state");
    assert!(state.join("ca_1_key.pem").exists() && !state.join("front_key.pem").exists());
    let (before, root) = (leaves(&world), world.node("front").unwrap().trust.both.clone());
    let world = world.restart_with(MESH, no_store).await;
    world.leaf_after("front", None).await;
    assert_ne!(leaves(&world)[0], before[0]);
    assert_eq!(world.node("front").unwrap().trust.both, root);
}

const RED_AND_PINK: &str = "  red: { authority: ca_1 }\n  pink: { authority: ca_1 }\n  green:";

#[tokio::test(start_paused = true)]
async fn what_cannot_be_saved_holds_up_nobody_and_is_made_anew_after_a_restart() {
    let world = settled(|_| ()).await;
    let state = world.directory.path().join("state");
    std::fs::create_dir(state.join("red_key.pem")).unwrap();
    world.edit(
        &MESH.replace(
            "  green:",
            "  red: { authority: ca_1 }\n  pink: { authority: ca_1 }\n  green:",
        ),
    );
    let pink = world.leaf_after("pink", None).await;
    // It has nothing else to show: better one that only this process knows than none.
    let red = world.leaf_after("red", None).await;
    std::fs::remove_dir(state.join("red_key.pem")).unwrap();
    let world = world.restart(&MESH.replace("  green:", RED_AND_PINK)).await;
    assert_eq!(world.leaf_after("pink", None).await, pink);
    assert_ne!(world.leaf_after("red", None).await, red);
}

#[tokio::test(start_paused = true)]
async fn a_successor_waits_for_the_directory_and_then_has_all() {
    let world = settled(|_| ()).await;
    let before = leaves(&world);
    let (_mesh, desired) = watch::channel(Arc::new(mesh(MESH)));
    let mut options = Options::new(desired, world.directory.path().join("state"));
    options.clock = world.clock.clone();
    let mut successor = Engine::start(options);
    world.handle.shutdown().await.unwrap();
    successor.ready().await.unwrap();
    let leaf = successor.snapshot().node(&name("front")).unwrap().leaf.clone().unwrap();
    assert_eq!(Some(leaf.credential.leaf()), before[0].as_ref());
    successor.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_an_error_that_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    std::fs::write(&path, "a file").unwrap();
    let (_mesh, desired) = watch::channel(Arc::new(mesh(MESH)));
    let mut handle = Engine::start(Options::new(desired, path));
    let error = handle.ready().await.unwrap_err().to_string();
    assert!(error.contains("the state directory cannot be used"), "{error}");
    assert!(handle.ended().await.is_ok(), "it is said once");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_of_transitions_stops_nothing() {
    let world = settled(|_| ()).await;
    let before = leaves(&world);
    std::fs::write(world.directory.path().join("state/transitions.json"), "{").unwrap();
    let world = world.restart(MESH).await;
    assert_eq!(leaves(&world), before);
    assert_eq!(world.node("front").unwrap().trust.both.as_slice().len(), 1);
}
