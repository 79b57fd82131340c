use std::time::Duration;

use super::super::limits::*;

#[test]
fn each_has_its_free_share_when_all_is_drawn() {
    let allowance = Allowance::default();
    let mut greedy = allowance.share(100);
    assert!(greedy.resize(SHARED_BYTES + 100));
    let mut other = allowance.share(100);
    assert!(other.resize(100));
    assert!(!other.resize(101));
    assert!(!greedy.resize(SHARED_BYTES + 101));
    // Refused or not, one may always have less.
    assert!(greedy.resize(SHARED_BYTES));
    assert!(other.resize(200));
    drop(greedy);
    assert!(other.resize(SHARED_BYTES));
    drop(other);
    assert!(allowance.share(0).resize(SHARED_BYTES));
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_what_follows_keeps_the_pace() {
    let pace = Pace::of_requests();
    for _ in 0..REQUESTS_AT_ONCE {
        assert_eq!(pace.take(), Duration::ZERO);
    }
    let every = Duration::from_secs(1) / REQUESTS_PER_SECOND;
    assert_eq!(pace.take(), every);
    // Who is told to wait has taken nothing.
    assert_eq!(pace.take(), every);
    tokio::time::advance(every).await;
    assert_eq!(pace.take(), Duration::ZERO);
    assert_eq!(pace.take(), every);
    tokio::time::advance(Duration::from_secs(3600)).await;
    let taken = (0..2 * REQUESTS_AT_ONCE).filter(|_| pace.take().is_zero()).count();
    assert_eq!(taken, REQUESTS_AT_ONCE as usize);
}

#[tokio::test(start_paused = true)]
async fn what_counts_for_many_takes_the_pace_of_many() {
    let pace = Pace::of_requests();
    let every = Duration::from_secs(1) / REQUESTS_PER_SECOND;
    let half = REQUESTS_AT_ONCE / 2;
    assert_eq!((pace.take_many(half), pace.take_many(half)), (Duration::ZERO, Duration::ZERO));
    assert_eq!(pace.take_many(63), every * 63);
    tokio::time::advance(every * 63).await;
    assert_eq!(pace.take_many(63), Duration::ZERO);
    // However much it is, it passes once everything before it is paid.
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(pace.take_many(u32::MAX), Duration::ZERO);
}
