//! Within the account's rates, in order, and with nothing lost.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;

/// Begins a certificate for each of so many names; when each was done, by name.
fn begin(
    both: &Arc<(Pool, RemoteAuthority)>,
    count: usize,
    urgency: &Urgency,
) -> JoinSet<(usize, Instant)> {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (both, urgency) = (Arc::clone(both), urgency.clone());
        tasks.spawn(async move {
            let name = format!("node-{number:03}");
            sign(&both, &name, &urgency, &Memory::default()).await.unwrap();
            (number, Instant::now())
        });
    }
    tasks
}

/// The most of these within any second.
fn most_in_a_second(calls: &[Instant]) -> usize {
    let within =
        |from: &Instant| calls.iter().filter(|at| *at >= from && **at - *from < seconds(1)).count();
    calls.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn five_hundred_due_at_once_are_made_in_order_within_the_rates_and_in_few_calls() {
    let fake = Fake::new("us-east-2");
    let both = Arc::new(pool(&[&fake]));
    let began = Instant::now();
    let done = begin(&both, 500, &Urgency::default()).join_all().await;
    assert_eq!(done.len(), 500);
    assert!(began.elapsed() < seconds(25), "{:?}", began.elapsed());
    assert_eq!((fake.count(Called::Issue), fake.paid()), (500, 500));
    assert!(fake.most_gets() <= 3, "{} looks at one", fake.most_gets());
    let issues = most_in_a_second(&fake.calls(Called::Issue));
    assert!(issues <= 25, "{issues} in a second");
    let gets = most_in_a_second(&fake.calls(Called::Get));
    assert!(gets <= 75, "{gets} in a second");
    let names = fake.names();
    assert!(names.is_sorted(), "the oldest first: {names:?}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_overtakes_what_nobody_does() {
    let fake = Fake::new("us-east-2");
    let both = Arc::new(pool(&[&fake]));
    let tasks = begin(&both, 300, &Urgency::default());
    let hastened = Urgency::default();
    let mut one = begin(&both, 1, &hastened);
    sleep(seconds(2)).await;
    let began = Instant::now();
    sign(&both, "live", &Urgency::awaited(), &Memory::default()).await.unwrap();
    assert!(began.elapsed() < seconds(2), "{:?}", began.elapsed());
    assert!(both.0.status()[0].waiting > 200, "the others still wait");
    let began = Instant::now();
    hastened.hasten();
    one.join_next().await.unwrap().unwrap();
    assert!(began.elapsed() < seconds(2), "{:?}", began.elapsed());
    assert!(both.0.status()[0].waiting > 150, "the others still wait");
    assert_eq!(tasks.join_all().await.len(), 300, "and none is forgotten");
}

#[tokio::test(start_paused = true)]
async fn throttling_slows_down_and_loses_nothing() {
    let fake = Fake::new("us-east-2");
    fake.next_issues([Act::Throttle; 12]);
    fake.next_gets([Act::Throttle; 6]);
    let both = Arc::new(pool(&[&fake]));
    let began = Instant::now();
    let done = begin(&both, 100, &Urgency::default()).join_all().await;
    assert_eq!((done.len(), fake.paid()), (100, 100));
    let calls = fake.count(Called::Issue);
    assert_eq!(calls, 112, "each that was throttled is sent once more");
    let first = fake.calls(Called::Issue);
    assert!(first[11] - first[0] > seconds(3), "fewer and fewer: {:?}", first[11] - first[0]);
    assert!(began.elapsed() < seconds(150), "and then as before: {:?}", began.elapsed());
    assert_eq!(both.0.status()[0].down, None);
    let last: Vec<_> = first[100..].windows(2).map(|two| two[1] - two[0]).collect();
    assert!(last.iter().all(|gap| *gap < Duration::from_millis(60)), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_no_throttling() {
    let fake = Fake::new("us-east-2");
    fake.always(Act::LimitExceeded);
    let both = pool(&[&fake]);
    let began = Instant::now();
    let refused = sign(&both, "front", &Urgency::default(), &Memory::default()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("waiting will not help"), "{error}");
    assert_eq!(fake.count(Called::Issue), 1);
    assert!(began.elapsed() < seconds(1));
    assert_eq!(both.0.status()[0].asked_last_hour, 0, "nothing is paid for");
}

#[tokio::test(start_paused = true)]
async fn the_cas_of_an_account_in_a_region_share_its_rate_and_those_of_others_do_not() {
    for (other, shares) in [("us-east-2:111122223333", true), ("us-east-2:999922223333", false)] {
        let one = Fake::new("us-east-2");
        let other = Fake::with("other", |ca| {
            let arn = format!("arn:aws:acm-pca:{other}:certificate-authority/other");
            ca.arn = crate::desired::acm_pca::CaArn::parse(&arn).unwrap();
        });
        let (pool, _) = pool(&[&one, &other]);
        let name = || crate::identity::AuthorityName::parse("ca").unwrap();
        let by = |fake: &Arc<Fake>| RemoteAuthority::new(name(), vec![fake.known()]).unwrap();
        let mut tasks = JoinSet::new();
        for fake in [&one, &other] {
            let both = Arc::new((pool.clone(), by(fake)));
            let mut begun = begin(&both, 50, &Urgency::default());
            tasks.spawn(async move { while begun.join_next().await.is_some() {} });
        }
        tasks.join_all().await;
        let calls = [one.calls(Called::Issue), other.calls(Called::Issue)].concat();
        assert_eq!(calls.len(), 100);
        assert_eq!(most_in_a_second(&calls) <= 25, shares);
    }
}
