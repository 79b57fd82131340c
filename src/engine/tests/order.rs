//! How many at once, and in which order.

use super::*;

fn many(count: usize) -> String {
    let nodes: String = (0..count).map(|i| format!("  n{i}: {{ authority: ca_1 }}\n")).collect();
    format!(
        "version: 1\ntrustDomain: example.org\nauthorities: {{ ca_1: {{}} }}\nvirtualNodes:\n{nodes}"
    )
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_the_making_at_once_than_is_allowed() {
    let world = World::new(&many(1)).await;
    world.leaf_after("n0", None).await;
    *world.fake.latency.lock().unwrap() = SECOND;
    let began = Instant::now();
    world.edit(&many(41));
    for node in 1..41 {
        world.leaf_after(&format!("n{node}"), None).await;
    }
    assert_eq!(world.fake.most_at_once.load(Ordering::Relaxed), 4);
    // Forty, four at a time.
    assert!((10.0..10.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_is_waited_for_comes_first_then_new_ones_then_renewals() {
    let world = World::with(&many(3), |options| options.at_once = 1).await;
    for node in ["n0", "n1", "n2"] {
        world.leaf_after(node, None).await;
    }
    *world.fake.latency.lock().unwrap() = SECOND;
    world.fake.asked.lock().unwrap().clear();
    for node in ["n0", "n1", "n2"] {
        let begun = world.handle.commands().reissue(vec![name(node)]).await.unwrap();
        assert_eq!(begun, Ok(1));
    }
    world.edit(&many(6));
    sleep(Duration::from_millis(100)).await;
    let _wait = world.demand.wait_for(&name("n5"));
    let _too = world.demand.wait_for(&name("n2"));
    for node in ["n3", "n4", "n5"] {
        world.leaf_after(node, None).await;
    }
    world.until(|| (world.fake.asked().len() == 6).then_some(())).await;
    let asked = world.fake.asked();
    assert_eq!(asked[0], "n0", "it was in the making already");
    // Among those who are waited for, the earliest due comes first: n2's renewal was yet to be.
    assert_eq!(asked[1..3], ["n5", "n2"]);
    assert_eq!(asked[3..], ["n3", "n4", "n1"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_renews_whom_he_names_and_nobody_if_one_is_unknown() {
    let world = World::new(&many(3)).await;
    let leaves: Vec<_> = [
        world.leaf_after("n0", None).await,
        world.leaf_after("n1", None).await,
        world.leaf_after("n2", None).await,
    ]
    .into();
    let commands = world.handle.commands();
    let unknown = commands.reissue(vec![name("n0"), name("n9")]).await.unwrap();
    assert_eq!(unknown, Err(vec![name("n9")]));
    assert_eq!(commands.reissue(vec![name("n1")]).await.unwrap(), Ok(1));
    world.leaf_after("n1", Some(&leaves[1])).await;
    world.settled().await;
    assert_eq!(world.leaf("n0").as_ref(), Some(&leaves[0]));
    assert_eq!(world.leaf("n2").as_ref(), Some(&leaves[2]));
}
