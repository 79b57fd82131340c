//! Cut off at every await, and gone on with from what was kept: paid for once.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::testing::{NOW, pool_at};
use super::*;
use crate::time::Clock;

/// A future that is dropped after so many polls.
struct CutOff<F> {
    inner: Pin<Box<F>>,
    polls: usize,
}

/// What comes of `inner`, or nothing if it is not done after so many polls.
fn cut_off<F: Future>(inner: F, polls: usize) -> CutOff<F> {
    CutOff { inner: Box::pin(inner), polls }
}

impl<F: Future> Future for CutOff<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// One certificate, cut off after so many polls each time, with so long between; how many were
/// paid for, and how often it was cut off.
async fn paid(cuts: &[usize], between: Duration, first: &[Act]) -> (usize, usize) {
    let fake = Fake::new("us-east-2");
    fake.next_issues(first.iter().copied());
    let (clock, _) = Clock::simulated(NOW);
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (ledger, mut count) = (Memory::default(), 0);
    for polls in cuts.iter().copied().chain(std::iter::repeat(usize::MAX)) {
        // A new process knows nothing but what was kept.
        let (pool, authority) = pool_at(&[&fake], clock.clone());
        let urgency = Urgency::awaited();
        let signing = pool.sign(&authority, &order, ledger.read(), &urgency, &ledger);
        match cut_off(signing, polls).await {
            Some(Ok(signed)) => {
                assert_eq!(signed.signed.leaf().spki(), key.public().spki());
                return (fake.paid(), count);
            }
            Some(Err(_)) => {}
            None => count += 1,
        }
        tokio::time::sleep(between).await;
    }
    unreachable!("the last attempt is not cut off")
}

#[tokio::test(start_paused = true)]
async fn cut_off_once_anywhere_it_is_paid_for_once() {
    for polls in 1.. {
        let (paid, cuts) = paid(&[polls], seconds(1), &[]).await;
        assert_eq!(paid, 1, "cut off after {polls} polls");
        if cuts == 0 {
            assert!(polls > 8, "there are more awaits than {polls}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cut_off_twice_anywhere_it_is_paid_for_once() {
    for first in 1..16 {
        for second in 1..16 {
            let (paid, _) = paid(&[first, second], seconds(1), &[]).await;
            assert_eq!(paid, 1, "cut off after {first} polls, then {second}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cut_off_anywhere_for_longer_than_aws_remembers_it_is_paid_for_twice_at_most() {
    let mut most = 0;
    for polls in 1..16 {
        let (paid, _) = paid(&[polls], seconds(600), &[]).await;
        assert!(paid <= 2, "cut off after {polls} polls: {paid}");
        most = most.max(paid);
    }
    assert_eq!(most, 2, "AWS has forgotten what it did not answer");
}

#[tokio::test(start_paused = true)]
async fn throttled_or_unanswered_and_then_cut_off_it_is_paid_for_once() {
    for acts in [&[Act::Throttle][..], &[Act::LoseReply], &[Act::Denied], &[Act::Unreachable]] {
        for polls in 1..24 {
            let (paid, _) = paid(&[polls], seconds(1), acts).await;
            assert_eq!(paid, 1, "{acts:?}, cut off after {polls} polls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cut_off_anywhere_while_the_first_ca_hangs_the_other_signs_once() {
    for polls in 1..24 {
        let (first, second) = (Fake::new("us-east-2"), Fake::new("us-west-2"));
        first.always(Act::Hang);
        let (clock, _) = Clock::simulated(NOW);
        let (profile, key) =
            (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
        let order = LeafOrder { profile: &profile, key: &key };
        let (ledger, urgency) = (Memory::default(), Urgency::awaited());
        let (pool, authority) = pool_at(&[&first, &second], clock.clone());
        let signing = pool.sign(&authority, &order, None, &urgency, &ledger);
        drop(cut_off(signing, polls).await);
        let (pool, authority) = pool_at(&[&first, &second], clock);
        let signing = pool.sign(&authority, &order, ledger.read(), &urgency, &ledger);
        assert_eq!(signing.await.unwrap().ca, second.ca.arn);
        assert_eq!((first.paid(), second.paid()), (0, 1), "cut off after {polls} polls");
    }
}
