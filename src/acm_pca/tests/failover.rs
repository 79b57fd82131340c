//! Another CA signs while the first cannot, and the first again when it can.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;

fn two() -> (Arc<Fake>, Arc<Fake>) {
    (Fake::new("us-east-2"), Fake::new("us-west-2"))
}

async fn awaited(both: &(Pool, RemoteAuthority)) -> Result<Signed<Chain>, SigningError> {
    sign(both, "front", &Urgency::awaited(), &Memory::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_hangs_costs_one_request_two_seconds_and_is_used_again_when_it_answers() {
    let (first, second) = two();
    first.always(Act::Hang);
    let both = pool(&[&first, &second]);
    let began = Instant::now();
    assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn);
    assert!(began.elapsed() < seconds(4), "{:?}", began.elapsed());
    assert_eq!(both.0.signing_ca(&both.1).ca.arn, second.ca.arn);
    let status = both.0.status();
    let down = status.iter().find(|health| health.arn == first.ca.arn).unwrap();
    assert!(down.down.as_ref().unwrap().why.contains("no answer within 2s"), "{down:?}");

    let began = Instant::now();
    assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn);
    assert!(began.elapsed() < seconds(2), "nobody else waits for it: {:?}", began.elapsed());
    assert_eq!(first.count(Called::Issue), 1);

    first.always(Act::Well);
    sleep(seconds(90)).await;
    assert_eq!(awaited(&both).await.unwrap().ca, first.ca.arn);
    assert!(both.0.status().iter().all(|health| health.down.is_none()));
}

#[tokio::test(start_paused = true)]
async fn whatever_keeps_a_ca_from_signing_has_the_other_sign() {
    for act in [Act::Denied, Act::InvalidState, Act::LimitExceeded, Act::Unreachable] {
        let (first, second) = two();
        first.always(act);
        let both = pool(&[&first, &second]);
        let began = Instant::now();
        assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn, "{act:?}");
        assert!(began.elapsed() < seconds(2), "{act:?}");
        assert_eq!(first.count(Called::Issue), 1, "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_for_long_has_the_other_sign_and_for_a_moment_does_not() {
    let (first, second) = two();
    first.next_issues([Act::Throttle]);
    let both = pool(&[&first, &second]);
    assert_eq!(awaited(&both).await.unwrap().ca, first.ca.arn);
    first.always(Act::Throttle);
    let began = Instant::now();
    assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn);
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_wrong_is_wrong_everywhere() {
    let (first, second) = two();
    first.always(Act::Refuse);
    let both = pool(&[&first, &second]);
    let error = awaited(&both).await.unwrap_err().to_string();
    assert!(error.contains("AWS refuses the request"), "{error}");
    assert_eq!(second.count(Called::Issue), 0);
    assert!(both.0.status().iter().all(|health| health.down.is_none()));
}

#[tokio::test(start_paused = true)]
async fn those_that_queue_when_their_ca_goes_down_are_signed_by_the_other() {
    let (first, second) = two();
    let both = Arc::new(pool(&[&first, &second]));
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let both = Arc::clone(&both);
        tasks.spawn(async move {
            let name = format!("node-{number:03}");
            sign(&both, &name, &Urgency::default(), &Memory::default()).await.is_ok()
        });
    }
    sleep(seconds(2)).await;
    first.next_issues([Act::InvalidState; 100]);
    let done = tasks.join_all().await;
    assert!(done.into_iter().all(|is_ok| is_ok));
    assert_eq!(first.paid() + second.paid(), 100, "none is lost, none doubled");
    assert!(second.paid() > 40, "{}", second.paid());
    assert!(second.names().is_sorted(), "the order stays: {:?}", second.names());
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_for_is_left_only_where_somebody_waits_or_has_waited_long() {
    let (first, second) = two();
    first.next_gets([Act::Unreachable]);
    let both = pool(&[&first, &second]);
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let (ledger, urgency) = (Memory::default(), Urgency::default());
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    assert_eq!(second.paid(), 0, "nobody waits");
    let signed = pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!((signed.ca, first.paid()), (first.ca.arn.clone(), 1));

    first.next_gets([Act::Unreachable; 20]);
    let began = Instant::now();
    assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn, "somebody waits");
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());

    let (first, second) = two();
    let both = super::pool(&[&first, &second]);
    let (pool, authority) = &both;
    let ledger = Memory::default();
    first.next_gets([Act::Unreachable; 20]);
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    first.always(Act::Unreachable);
    sleep(seconds(400)).await;
    let signed = pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!(signed.ca, second.ca.arn, "it was waited for long enough");
}

#[tokio::test(start_paused = true)]
async fn when_none_signs_it_is_said_of_each_and_a_ca_that_is_down_is_tried_all_the_same() {
    let (first, second) = two();
    first.always(Act::Denied);
    second.always(Act::InvalidState);
    let both = pool(&[&first, &second]);
    for _ in 0..2 {
        let error = awaited(&both).await.unwrap_err().to_string();
        for words in
            ["no CA of ca_1", "us-east-2", "refuses the caller", "us-west-2", "in no state"]
        {
            assert!(error.contains(words), "{error}");
        }
    }
    second.next_issues([Act::Well]);
    second.next_gets([Act::Well; 9]);
    assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_only_says_that_it_is_well_is_asked_less_and_less() {
    let (first, second) = two();
    first.always(Act::LimitExceeded);
    first.describes(Act::Well);
    let both = pool(&[&first, &second]);
    for _ in 0..600 {
        assert_eq!(awaited(&both).await.unwrap().ca, second.ca.arn);
        sleep(seconds(1)).await;
    }
    let tried = first.count(Called::Issue);
    assert!((8..=40).contains(&tried), "{tried} times in a quarter of an hour");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_how_it_is_for_an_authority_that_nobody_uses() {
    let (first, second) = two();
    first.always(Act::Hang);
    let both = pool(&[&first, &second]);
    awaited(&both).await.unwrap();
    sleep(seconds(1_200)).await;
    let asked = first.count(Called::Describe);
    assert!((3..40).contains(&asked), "{asked}");
    sleep(seconds(3_600)).await;
    assert_eq!(first.count(Called::Describe), asked);
    awaited(&both).await.unwrap();
    first.always(Act::Well);
    sleep(seconds(90)).await;
    assert_eq!(awaited(&both).await.unwrap().ca, first.ca.arn, "and again when somebody does");
}
