//! What follows failures.

use super::*;

fn gaps(attempts: &[Instant]) -> Vec<f64> {
    attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_first_certificate_is_tried_again_after_twice_as_long_each_time() {
    let world = World::with(MESH, |options| options.clock_changed = Arc::default()).await;
    world.leaf_after("blue", None).await;
    let mesh = MESH.replace("  green:", "  late: { authority: ca_1 }\n  green:");
    world.fake.failing.lock().unwrap().insert("late".to_owned(), 12);
    world.edit(&mesh);
    world.leaf_after("late", None).await;
    let gaps = gaps(&world.fake.attempts("late"));
    let whole = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 150.0, 150.0, 150.0];
    assert_eq!(gaps.len(), whole.len());
    for (gap, whole) in gaps.iter().zip(whole) {
        assert!((0.799 * whole..=1.201 * whole + 0.002).contains(gap), "{gap} after {whole}");
    }
    assert_eq!(world.node_status("late").await.failure, None, "success clears it");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_what_is_good_and_is_told() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    let due = world.due("front").await;
    world.fake.failing.lock().unwrap().insert("front".to_owned(), 3);
    let first = world.until(|| world.fake.attempts("front").get(1).copied());
    let mut watching = Box::pin(first);
    // The loop publishes nothing while it fails, so its clock is asked.
    let _ = tokio::time::timeout(Duration::ZERO, &mut watching).await;
    sleep(world.clock.moment().until(due) + Duration::from_millis(100)).await;
    let status = world.node_status("front").await;
    assert_eq!(status.state, NodeState::Failed);
    let failure = status.failure.unwrap();
    assert_eq!(failure.reason, "the signer cannot sign now: told to fail");
    assert_eq!(failure.failures, 1);
    assert!(failure.retry_at.unwrap() <= due + time::Duration::seconds(1));
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    drop(watching);
    world.leaf_after("front", Some(&leaf)).await;
    assert!(world.clock.now() - due < time::Duration::seconds(6));
}

#[tokio::test(start_paused = true)]
async fn what_expires_for_want_of_a_signer_is_served_on_and_tried_on() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    *world.fake.is_down.lock().unwrap() = true;
    sleep(36 * HOUR).await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    assert_eq!(world.node_status("front").await.state, NodeState::Expired);
    let attempts = world.fake.attempts("front");
    let gaps = gaps(&attempts[1..]);
    assert!(gaps.iter().all(|gap| *gap < 181.0), "always tried again: {gaps:?}");
    let expiry: OffsetDateTime = BEGAN + time::Duration::DAY;
    let until = world.clock.moment();
    let before = attempts.iter().filter(|at| {
        let ago = until.instant().duration_since(**at);
        let at: OffsetDateTime = until.wall() - ago;
        (at - expiry).abs() < time::Duration::seconds(2)
    });
    assert!(before.count() >= 1, "and just before the end too");
    *world.fake.is_down.lock().unwrap() = false;
    world.leaf_after("front", Some(&leaf)).await;
    assert_eq!(world.node_status("front").await.state, NodeState::Fresh);
}

#[tokio::test(start_paused = true)]
async fn an_authority_without_its_key_is_served_from_what_is_stored_and_mended() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let key = world.directory.path().join("state/ca_1_key.pem");
    let away = world.directory.path().join("away.pem");
    std::fs::rename(&key, &away).unwrap();
    let world = world.restart(MESH).await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    world.settled().await;
    let status = world.status().await;
    assert!(!status.authorities[0].can_sign && status.authorities[1].can_sign);
    assert!(status.authorities[0].state.contains("put the key back"), "{status:?}");
    sleep(20 * HOUR).await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    let failure = world.node_status("front").await.failure.unwrap();
    assert!(failure.reason.contains("ca_1 cannot sign"), "{}", failure.reason);
    std::fs::rename(&away, &key).unwrap();
    let began = Instant::now();
    world.leaf_after("front", Some(&leaf)).await;
    assert!(began.elapsed() < Duration::from_secs(181), "{:?}", began.elapsed());
    assert!(world.status().await.authorities[0].can_sign);
}

#[tokio::test(start_paused = true)]
async fn a_reload_tries_at_once_what_failed() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    *world.fake.is_down.lock().unwrap() = true;
    sleep(16 * HOUR).await;
    *world.fake.is_down.lock().unwrap() = false;
    let began = Instant::now();
    world.handle.commands().reload();
    world.leaf_after("front", Some(&leaf)).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_saved_waits_and_is_served_all_the_same_before_the_end() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    let unblock = world.block_the_store();
    sleep(world.clock.moment().until(world.due("front").await) + HOUR).await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()), "there is time to mend the directory");
    let failure = world.node_status("front").await.failure.unwrap();
    assert!(failure.reason.contains("cannot be saved"), "{}", failure.reason);
    assert!(failure.failures > 20 && world.fake.attempts("front").len() == 2, "{failure:?}");

    let renewed = world.leaf_after("front", Some(&leaf)).await;
    let left = leaf.validity().not_after - world.clock.now();
    assert!(left.is_positive() && left < time::Duration::hours(5), "{left}");

    assert_eq!(world.fake.attempts("front").len(), 2, "it is the one that could not be saved");
    // Once mended, what follows is saved again.
    unblock();
    let saved = world.leaf_after("front", Some(&renewed)).await;
    let world = world.restart(MESH).await;
    assert_eq!(world.leaf("front"), Some(saved));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_is_saved_later_and_not_made_again() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let unblock = world.block_the_store();
    let due = world.due("front").await;
    sleep(world.clock.moment().until(due) + HOUR).await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    unblock();
    let began = Instant::now();
    let renewed = world.leaf_after("front", Some(&leaf)).await;
    assert!(began.elapsed() < Duration::from_secs(181), "{:?}", began.elapsed());
    let made_at = BEGAN + (renewed.validity().not_before - leaf.validity().not_before);
    assert!(
        (made_at - due).abs() <= time::Duration::SECOND,
        "made when it was due, and kept: {made_at} {due}"
    );
    assert_eq!(world.fake.attempts("front").len(), 2);
    assert_eq!(world.node_status("front").await.failure, None);
    world.settled().await;
    assert_eq!(world.restart(MESH).await.leaf("front"), Some(renewed));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_is_dropped_when_something_else_is_wanted() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let unblock = world.block_the_store();
    sleep(world.clock.moment().until(world.due("front").await) + HOUR).await;
    assert_eq!(world.fake.attempts("front").len(), 2);
    let edited = MESH.replace(
        "front: { authority: ca_1,",
        "front: { authority: ca_1, dnsNames: [front.example],",
    );
    world.edit(&edited);
    world.until_asked("front", 3).await;
    unblock();
    let renewed = world.leaf_after("front", Some(&leaf)).await;
    assert_eq!(renewed.names().dns_names, ["front.example"]);
    assert_eq!(world.fake.attempts("front").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_reload_saves_at_once_what_could_not_be_saved() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let unblock = world.block_the_store();
    sleep(world.clock.moment().until(world.due("front").await) + HOUR).await;
    unblock();
    let began = Instant::now();
    world.handle.commands().reload();
    world.leaf_after("front", Some(&leaf)).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(world.fake.attempts("front").len(), 2);
}
