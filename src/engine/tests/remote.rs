//! Authorities at AWS: asked once, kept, passed over when they are down, and never paid twice.

use super::*;
use crate::acm_pca::Pool;
use crate::acm_pca::testing::{Act, Called, Fake, Fakes};
use crate::desired::layout;
use crate::identity::AuthorityName;

/// Nodes whose authority is at AWS, in this order of preference.
fn at_aws(fakes: &[&Arc<Fake>], nodes: &str) -> String {
    let cas: Vec<_> = fakes.iter().map(|fake| format!("{{arn: '{}'}}", fake.ca.arn)).collect();
    format!(
        "version: 1\ntrustDomain: example.org\nauthorities:\n  ca_1: {{}}\n  pca: {{acmPca: [{}]}}\n\
         virtualNodes:\n{nodes}",
        cas.join(", ")
    )
}

const PAIR: &str = "  front: { authority: pca, backends: [blue] }\n  blue: { authority: pca }\n";

fn pool(fakes: &[&Arc<Fake>], clock: &Clock) -> Pool {
    let fakes = fakes.iter().map(|fake| Arc::clone(fake)).collect();
    Pool::new(Arc::new(Fakes(fakes)), clock.clone())
}

async fn world(fakes: &[&Arc<Fake>], text: &str) -> World {
    world_of(Audience::Answers, fakes, text).await
}

async fn world_of(audience: Audience, fakes: &[&Arc<Fake>], text: &str) -> World {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let (clock, hand) = Clock::simulated(BEGAN);
    let pool = pool(fakes, &clock);
    let change = |options: &mut Options| {
        options.pool = pool;
        options.audience = audience;
    };
    World::over(directory, (clock, hand), text, change).await
}

async fn restart(world: World, fakes: &[&Arc<Fake>], text: &str) -> World {
    let pool = pool(fakes, &world.clock);
    world.restart_with(text, |options| options.pool = pool).await
}

fn issuer(leaf: &Certificate) -> String {
    leaf.issuer().trim_start_matches("CN=").to_owned()
}

/// The roots that a node trusts as a whole, by name.
fn trusts(world: &World, node: &str) -> Vec<String> {
    let Some(node) = world.node(node) else { return Vec::new() };
    let anchors = node.trust.both.as_slice().iter();
    anchors.map(|anchor| anchor.certificate.common_name().unwrap().to_owned()).collect()
}

async fn authority_status(world: &World, authority: &str) -> AuthorityStatus {
    let authority = AuthorityName::parse(authority).unwrap();
    let authorities = world.status().await.authorities;
    authorities.into_iter().find(|status| status.name == authority).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_first_start_asks_what_the_ca_is_and_pays_once_for_each_node() {
    let fake = Fake::new("east");
    let text = at_aws(&[&fake], PAIR);
    let world = world(&[&fake], &text).await;
    let began = Instant::now();
    let front = world.leaf_after("front", None).await;
    world.leaf_after("blue", None).await;
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(issuer(&front), "east");
    assert_eq!(trusts(&world, "front"), ["east"]);
    world.settled().await;
    assert_eq!((fake.count(Called::Describe), fake.count(Called::Issue)), (1, 2));
    assert_eq!(authority_status(&world, "pca").await.state, "can sign");
    assert!(
        !world.state().join(layout::authority_key(&AuthorityName::parse("pca").unwrap())).exists()
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_aws_is_away_serves_at_once_and_asks_for_nothing_twice() {
    let fake = Fake::new("east");
    let text = at_aws(&[&fake], PAIR);
    let world = world(&[&fake], &text).await;
    let front = world.leaf_after("front", None).await;
    world.leaf_after("blue", None).await;
    world.settled().await;
    fake.always(Act::Unreachable);
    let world = restart(world, &[&fake], &text).await;
    assert_eq!(world.leaf("front"), Some(front), "when it is ready");
    assert_eq!(trusts(&world, "front"), ["east"]);
    world.settled().await;
    assert_eq!((fake.count(Called::Describe), fake.count(Called::Issue)), (1, 2));
    assert!(world.node_status("front").await.failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_aws_said_is_asked_again_after_an_hour_and_used_on_while_it_is_silent() {
    let fake = Fake::new("east");
    let text = at_aws(&[&fake], PAIR);
    let world = world(&[&fake], &text).await;
    let front = world.leaf_after("front", None).await;
    world.leaf_after("blue", None).await;
    sleep(HOUR + SECOND).await;
    world.settled().await;
    assert_eq!(fake.count(Called::Describe), 2);
    assert_eq!(world.leaf("front"), Some(front.clone()));
    fake.describes(Act::Unreachable);
    sleep(HOUR * 2).await;
    let status = authority_status(&world, "pca").await;
    assert!(status.can_sign && status.state.contains("not all of it is known"), "{status:?}");
    assert!(fake.count(Called::Describe) > 3, "it is asked again and again");
    fake.describes(Act::Well);
    sleep(Duration::from_secs(90)).await;
    assert_eq!(authority_status(&world, "pca").await.state, "can sign");
    assert_eq!(fake.count(Called::Issue), 2, "nothing of that costs a certificate");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_while_the_first_region_hangs_is_there_within_five_seconds() {
    let [east, west] = ["east", "west"].map(Fake::new);
    east.always(Act::Hang);
    let text = at_aws(&[&east, &west], PAIR);
    let began = Instant::now();
    let world = world(&[&east, &west], &text).await;
    let front = world.leaf_after("front", None).await;
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(issuer(&front), "west");
    assert_eq!(trusts(&world, "front"), ["west"]);
    east.always(Act::Well);
    world.until(|| (trusts(&world, "front") == ["east", "west"]).then_some(())).await;
    world.settled().await;
    assert_eq!(world.leaf("front"), Some(front), "what the second signed stays");
}

#[tokio::test(start_paused = true)]
async fn renewals_fail_over_and_return_and_leave_what_is_right_alone() {
    let [east, west] = ["east", "west"].map(Fake::new);
    let text = at_aws(&[&east, &west], PAIR);
    let world = world(&[&east, &west], &text).await;
    let first = world.leaf_after("front", None).await;
    assert_eq!(issuer(&first), "east");
    assert_eq!(trusts(&world, "front"), ["east", "west"], "beforehand");
    east.always(Act::Hang);
    let second = world.leaf_after("front", Some(&first)).await;
    assert_eq!(issuer(&second), "west");
    world.leaf_after("blue", None).await;
    world.settled().await;
    let cas = authority_status(&world, "pca").await.private_cas;
    let [(down, false), (up, true)] = &cas[..] else { panic!("{cas:?}") };
    assert!(down.down.as_ref().unwrap().why.contains("no answer"), "{down:?}");
    assert!(up.down.is_none(), "{up:?}");
    let paid = west.paid();
    assert!(world.status().await.transitions.is_empty(), "{:?}", world.status().await.transitions);
    let world = restart(world, &[&east, &west], &text).await;
    world.settled().await;
    assert_eq!((world.leaf("front"), west.paid()), (Some(second.clone()), paid));
    east.always(Act::Well);
    let third = world.leaf_after("front", Some(&second)).await;
    assert_eq!(issuer(&third), "east");
    let due = second.validity().not_before + time::Duration::hours(10);
    assert!(third.validity().not_before > due, "not before it was due");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_nobody_has_yet_signs_no_renewal_while_another_can() {
    let [east, west] = ["east", "west"].map(Fake::new);
    let world = world_of(Audience::Silent, &[&east, &west], &at_aws(&[&west], PAIR)).await;
    let first = world.leaf_after("front", None).await;
    world.leaf_after("blue", None).await;
    sleep(HOUR).await;
    // Preferred from now on, and its root is on its way.
    world.edit(&at_aws(&[&east, &west], PAIR));
    world.until(|| (trusts(&world, "front") == ["east", "west"]).then_some(())).await;
    world.handle.commands().reissue(vec![name("front")]).await.unwrap().unwrap();
    let second = world.leaf_after("front", Some(&first)).await;
    assert_eq!(issuer(&second), "west");
    sleep(2 * HOUR).await;
    world.handle.commands().reissue(vec![name("front")]).await.unwrap().unwrap();
    let third = world.leaf_after("front", Some(&second)).await;
    assert_eq!(issuer(&third), "east", "everybody has it, or had its time");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_down_holds_its_nodes_together() {
    let fake = Fake::new("east");
    let nodes: String = (0..40).map(|n| format!("  n{n}: {{ authority: pca }}\n")).collect();
    let text = at_aws(&[&fake], &(nodes + "  here: { authority: ca_1, trust: [ca_1] }\n"));
    let world = world(&[&fake], &text).await;
    for n in 0..40 {
        world.leaf_after(&format!("n{n}"), None).await;
    }
    world.leaf_after("here", None).await;
    let paid = fake.paid();
    fake.always(Act::Denied);
    world.handle.commands().reissue(Vec::new()).await.unwrap().unwrap();
    sleep(600 * SECOND).await;
    let status = world.node_status("n7").await;
    assert!(status.failure.unwrap().reason.contains("AWS refuses the caller"));
    let state = authority_status(&world, "pca").await;
    assert!(!state.can_sign && state.state.contains("has not signed since"), "{state:?}");
    assert_eq!(world.node_status("here").await.failure, None);
    fake.always(Act::Well);
    sleep(120 * SECOND).await;
    world.settled().await;
    assert_eq!(fake.paid() - paid, 40, "each once");
    assert_eq!(world.node_status("n7").await.failure, None);
    assert!(authority_status(&world, "pca").await.can_sign);
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_a_certificate_is_being_made_fetches_what_was_paid_for() {
    let fake = Fake::new("east");
    fake.makes_in(60 * SECOND);
    let text = at_aws(&[&fake], "  front: { authority: pca }\n");
    let world = world(&[&fake], &text).await;
    world.until_true(|| fake.count(Called::Issue) == 1).await;
    sleep(SECOND).await;
    let world = restart(world, &[&fake], &text).await;
    world.leaf_after("front", None).await;
    world.settled().await;
    assert_eq!((fake.count(Called::Issue), fake.paid()), (1, 1));
    // Nothing is left to go on with: a renewal is a new one.
    let leaf = world.leaf("front");
    fake.makes_in(SECOND);
    world.handle.commands().reissue(Vec::new()).await.unwrap().unwrap();
    world.leaf_after("front", leaf.as_ref()).await;
    assert_eq!(fake.paid(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_move_from_here_to_aws_goes_roots_then_leaf_then_root() {
    let fake = Fake::new("east");
    let here = at_aws(
        &[&fake],
        "  front: { authority: ca_1, trust: [ca_1] }\n  blue: { authority: ca_1, trust: [ca_1] }\n",
    );
    let there = here
        .replace(
            "front: { authority: ca_1, trust: [ca_1] }",
            "front: { authority: pca, trust: [pca] }",
        )
        .replace(
            "blue: { authority: ca_1, trust: [ca_1] }",
            "blue: { authority: pca, trust: [pca] }",
        );
    let world = world_of(Audience::Silent, &[&fake], &here).await;
    let before = world.leaf_after("front", None).await;
    world.leaf_after("blue", None).await;
    world.settled().await;
    world.edit(&there);
    world.until(|| (trusts(&world, "blue").len() == 2).then_some(())).await;
    let after = world.leaf_after("front", Some(&before)).await;
    assert_eq!(issuer(&after), "east");
    assert_eq!(trusts(&world, "blue").len(), 2, "the old root is not gone yet");
    world.until(|| (trusts(&world, "blue") == ["east"]).then_some(())).await;
    assert!(world.status().await.transitions.is_empty());
    assert_eq!(fake.paid(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_intermediate_under_aws_signs_here_and_is_renewed_before_its_end() {
    let fake = Fake::new("east");
    let text = at_aws(&[&fake], "  front: { authority: low, trust: [low] }\n")
        .replace("ca_1: {}", "low: {local: {parent: pca, lifetime: 4d}}");
    let world = world(&[&fake], &text).await;
    let first = world.leaf_after("front", None).await;
    assert_eq!(issuer(&first), "O=example.org, CN=low");
    assert_eq!(trusts(&world, "front"), ["east"]);
    world.settled().await;
    assert_eq!(fake.paid(), 1);
    let world = restart(world, &[&fake], &text).await;
    world.settled().await;
    assert_eq!((world.leaf("front"), fake.paid()), (Some(first.clone()), 1));

    // It cannot be renewed for a while: it goes on signing.
    sleep(47 * HOUR).await;
    fake.always(Act::Unreachable);
    sleep(12 * HOUR).await;
    let later = world.leaf("front").unwrap();
    assert!(later != first && later.validity().contains(world.clock.now()));
    assert_eq!(fake.paid(), 1);
    fake.always(Act::Well);
    sleep(2 * HOUR).await;
    world.settled().await;
    assert_eq!(fake.paid(), 2);
    sleep(50 * HOUR).await;
    let leaf = world.leaf("front").unwrap();
    assert!(leaf.validity().contains(world.clock.now()), "under the new one");
    assert_eq!(trusts(&world, "front"), ["east"]);
}
