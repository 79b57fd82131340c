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
    let mut journal = std::fs::read(world.journal()).unwrap();
    let at = journal.windows(5).rposition(|window| window == b"\x04blue").unwrap();
    journal[at + 50] ^= 1;
    std::fs::write(world.journal(), journal).unwrap();
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
    std::fs::copy(other.journal(), world.journal()).unwrap();
    let foreign = other.leaf("blue");
    let world = world.restart(MESH).await;
    assert_ne!(world.leaf("blue"), foreign);
    let leaf = world.leaf_after("blue", None).await;
    assert_ne!(Some(leaf), foreign);
}

#[tokio::test(start_paused = true)]
async fn a_ca_where_a_nodes_files_would_be_is_left_alone() {
    let world = settled(|_| ()).await;
    let state = world.state();
    for (from, to) in [("ca_2_key.pem", "red_key.pem"), ("ca_2_cert.pem", "red_cert.pem")] {
        std::fs::copy(state.join(from), state.join(to)).unwrap();
    }
    let key = std::fs::read(state.join("red_key.pem")).unwrap();
    world.edit(&MESH.replace("  green:", RED_AND_PINK));
    let red = world.leaf_after("red", None).await;
    assert_eq!(red.ca_constraint(), None);
    world.settled().await;
    assert_eq!(std::fs::read(state.join("red_key.pem")).unwrap(), key);
}

/// Lets the files of a node lie there as `issue` makes them.
fn write_files(world: &World, node: &str) {
    let credential = Arc::clone(&world.node(node).unwrap().leaf.as_ref().unwrap().credential);
    let write = |part: &str, text: &str| {
        std::fs::write(world.state().join(format!("{node}_{part}.pem")), text).unwrap();
    };
    write("key", &credential.key().to_pem());
    write("cert", &credential.leaf().to_pem());
    write("cert_chain", &credential.chain().to_pem());
}

#[tokio::test(start_paused = true)]
async fn what_issue_made_is_taken_up_into_the_store() {
    let world = settled(|_| ()).await;
    let before = leaves(&world);
    for node in ["front", "blue", "green"] {
        write_files(&world, node);
    }
    std::fs::remove_file(world.journal()).unwrap();
    let world = world.restart(MESH).await;
    assert_eq!(leaves(&world), before, "when it is ready");
    world.settled().await;
    for node in ["front", "blue", "green"] {
        std::fs::remove_file(world.state().join(format!("{node}_key.pem"))).unwrap();
    }
    let world = world.restart(MESH).await;
    assert_eq!(leaves(&world), before, "the files are needed no more");
    assert_eq!(world.fake.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn of_what_is_stored_and_what_issue_made_the_later_counts() {
    let world = settled(|_| ()).await;
    let old = world.leaf("front").unwrap();
    let older_journal = std::fs::read(world.journal()).unwrap();
    write_files(&world, "front");
    sleep(HOUR).await;
    world.handle.commands().reissue(vec![name("front")]).await.unwrap().unwrap();
    let new = world.leaf_after("front", Some(&old)).await;
    world.settled().await;
    let world = world.restart(MESH).await;
    assert_eq!(world.leaf("front").as_ref(), Some(&new), "the store has the later one");
    write_files(&world, "front");
    std::fs::write(world.journal(), older_journal).unwrap();
    let world = world.restart(MESH).await;
    assert_eq!(world.leaf("front"), Some(new), "the files have it");
    world.settled().await;
    assert_eq!(world.fake.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_only_the_authorities_are_kept() {
    let no_store = |options: &mut Options| options.store = false;
    let world = settled(no_store).await;
    let state = world.directory.path().join("state");
    assert!(state.join("ca_1_key.pem").exists() && !world.journal().exists());
    let (before, root) = (leaves(&world), world.node("front").unwrap().trust.both.clone());
    let world = world.restart_with(MESH, no_store).await;
    world.leaf_after("front", None).await;
    assert_ne!(leaves(&world)[0], before[0]);
    assert_eq!(world.node("front").unwrap().trust.both, root);
}

const RED_AND_PINK: &str = "  red: { authority: ca_1 }\n  pink: { authority: ca_1 }\n  green:";

#[tokio::test(start_paused = true)]
async fn what_cannot_be_saved_is_served_where_there_is_nothing_else() {
    let world = settled(|_| ()).await;
    let before = leaves(&world);
    let unblock = world.block_the_store();
    world.edit(&MESH.replace("  green:", RED_AND_PINK));
    // It has nothing else to show: better one that only this process knows than none.
    let red = world.leaf_after("red", None).await;
    unblock();
    let world = world.restart(&MESH.replace("  green:", RED_AND_PINK)).await;
    assert_ne!(world.leaf_after("red", None).await, red);
    assert_eq!(leaves(&world), before);
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

/// Lets go whoever waits for a pipe, however the test ends.
struct Released(PathBuf);

impl Drop for Released {
    fn drop(&mut self) {
        // Open for both, it waits for nobody.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&self.0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_served_before_a_ca_key_is_read() {
    let home = tempfile::tempdir().unwrap();
    let passphrase = home.path().join("passphrase");
    std::fs::write(&passphrase, "a secret\n").unwrap();
    let encrypted = format!("ca_1: {{ local: {{ passphraseFile: {} }} }}", passphrase.display());
    let mesh = MESH.replace("ca_1: {}", &encrypted);
    let world = World::new(&mesh).await;
    for node in ["front", "blue", "green"] {
        world.leaf_after(node, None).await;
    }
    world.settled().await;
    let before = leaves(&world);

    // Who opens a pipe waits until somebody writes to it.
    std::fs::remove_file(&passphrase).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&passphrase).status().unwrap();
    assert!(made.success());
    let released = Released(passphrase.clone());
    let with = mesh.replace("  green:", "  red: { authority: ca_1 }\n  green:");
    let world = world.restart(&with).await;
    assert_eq!(leaves(&world), before, "when it is ready");
    let status = world.status().await;
    let authority = &status.authorities[0];
    assert!(!authority.can_sign, "{authority:?}");
    assert_eq!(authority.state, "cannot sign: its key is yet to be read");
    let red = world.node_status("red").await;
    assert!(red.certificate.is_none() && red.failure.is_none(), "it waits, and nothing failed");

    // Which in turn waits until somebody reads.
    std::thread::spawn(move || std::fs::write(passphrase, "a secret\n").unwrap()).join().unwrap();
    drop(released);
    world.leaf_after("red", None).await;
    assert!(world.status().await.authorities[0].can_sign);
    world.settled().await;
    assert_eq!(world.fake.asked(), ["red"]);
    assert_eq!(leaves(&world), before);
}
