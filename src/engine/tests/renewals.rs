//! When certificates are renewed.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_node_gets_its_first_certificate_at_once() {
    let world = World::new(MESH).await;
    let began = Instant::now();
    for node in ["front", "blue", "green"] {
        let leaf = world.leaf_after(node, None).await;
        assert_eq!(leaf.names().uris, [format!("spiffe://example.org/{node}")]);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let mesh = world.snapshot().mesh();
    assert_eq!(mesh.nodes, [name("front"), name("blue"), name("green")]);
    assert_eq!(mesh.authorities.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_renewal_of_a_week_comes_at_its_own_moment_to_the_second() {
    let world = World::new(MESH).await;
    let mut leaf = world.leaf_after("front", None).await;
    let mut renewals = 0;
    while world.clock.now() < BEGAN + time::Duration::WEEK {
        let (issued, due) = (world.clock.now(), world.due("front").await);
        let share = (due - issued).as_seconds_f64() / (24.0 * 3_600.0);
        assert!((0.5..=0.6).contains(&share), "at {share} of its life");
        leaf = world.leaf_after("front", Some(&leaf)).await;
        assert_eq!(world.clock.now(), due);
        renewals += 1;
    }
    assert!((12..=14).contains(&renewals), "{renewals}");
}

#[tokio::test(start_paused = true)]
async fn at_rest_the_loop_sleeps() {
    let world = World::new(MESH).await;
    for node in ["front", "blue", "green"] {
        world.leaf_after(node, None).await;
    }
    world.settled().await;
    let woke = world.counts.woke.load(Ordering::Relaxed);
    sleep(11 * HOUR).await;
    assert_eq!(world.counts.woke.load(Ordering::Relaxed), woke);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_lifetimes_are_renewed_without_a_loop() {
    let mesh = MESH.replace("authority: ca_2,", "authority: ca_2, lifetime: 1s,");
    let world = World::new(&mesh).await;
    world.leaf_after("green", None).await;
    sleep(Duration::from_secs(60)).await;
    let attempts = world.fake.attempts("green").len();
    assert!((58..=122).contains(&attempts), "{attempts} in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_renews_at_once_what_is_due_by_then() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let before = Instant::now();
    world.jump(15 * time::Duration::HOUR);
    let renewed = world.leaf_after("front", Some(&leaf)).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(renewed.validity().contains(BEGAN + 15 * time::Duration::HOUR));
    assert_eq!(world.counts.jumps.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_by_less_than_what_is_left_moves_the_deadline_alone() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    let due = world.due("front").await;
    world.jump(2 * time::Duration::HOUR);
    world.settled().await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()));
    world.leaf_after("front", Some(&leaf)).await;
    assert_eq!(world.clock.now(), due, "the moment by the wall is what counts");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_yet_by_a_clock_set_back_is_made_anew_and_begun_then() {
    let world = World::new(MESH).await;
    let first = world.leaf_after("front", None).await;
    world.settled().await;
    world.jump(15 * time::Duration::HOUR);
    let second = world.leaf_after("front", Some(&first)).await;
    sleep(HOUR).await;
    let before = Instant::now();
    world.jump(-15 * time::Duration::HOUR);
    let third = world.leaf_after("front", Some(&second)).await;
    assert!(third.validity().contains(world.clock.now()));
    let begun = world.counts.begun.lock().unwrap().unwrap();
    assert_eq!(begun, before, "nobody wanted it until then");
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_takes_nothing_away() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    world.settled().await;
    let asked = world.fake.asked().len();
    // The authorities are not valid yet either, so that nothing better can be had.
    world.jump(-5 * time::Duration::DAY);
    world.settled().await;
    assert_eq!(world.leaf("front"), Some(leaf.clone()), "it is served on");
    assert_eq!(world.fake.asked().len(), asked);
    let status = world.node_status("front").await;
    let why = status.failure.unwrap().reason;
    assert!(why.contains("set this machine's clock right"), "{why}");
    world.jump(5 * time::Duration::DAY);
    world.settled().await;
    assert_eq!(world.leaf("front"), Some(leaf), "and good again as it is");
    assert_eq!(world.node_status("front").await.state, NodeState::Fresh);
    assert_eq!(world.fake.asked().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_the_making_when_the_clock_was_set_is_made_anew() {
    let world = World::new(MESH).await;
    let leaf = world.leaf_after("front", None).await;
    sleep(10 * HOUR).await;
    *world.fake.latency.lock().unwrap() = 10 * SECOND;
    world.handle.commands().reissue(vec![name("front")]).await.unwrap().unwrap();
    sleep(5 * SECOND).await;
    world.jump(-5 * time::Duration::HOUR);
    let made = world.leaf_after("front", Some(&leaf)).await;
    assert!(made.validity().contains(world.clock.now()), "good by the clock as it is now");
    assert_eq!(world.fake.attempts("front").len(), 3);
}
