//! The pool against an AWS that does as it is told, in paused time.

mod crashes;
mod descriptions;
mod failover;
mod lies;
mod orders;
mod quotas;

use std::time::Duration;

use super::testing::{Act, Called, Fake, Memory, pool, profile};
use super::*;
use crate::x509::credential::Chain;
use crate::x509::key::PrivateKey;

/// Has a leaf of this name signed.
async fn sign(
    (pool, authority): &(Pool, RemoteAuthority),
    name: &str,
    urgency: &Urgency,
    ledger: &Memory,
) -> Result<Signed<Chain>, SigningError> {
    let (profile, key) = (profile(name), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    pool.sign(authority, &order, ledger.read(), urgency, ledger).await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_asked_for_once_and_what_was_asked_is_kept() {
    let fake = Fake::new("us-east-2");
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let signed = sign(&both, "front", &Urgency::awaited(), &ledger).await.unwrap();
    assert_eq!((fake.count(Called::Issue), fake.paid()), (1, 1));
    assert_eq!(signed.ca, fake.ca.arn);
    assert_eq!(signed.signed.leaf().common_name(), Some("front.example.org"));
    let kept = ledger.read().unwrap();
    assert_eq!(kept.made.unwrap().certificate, signed.certificate);
    let health = &both.0.status()[0];
    assert_eq!((health.issued, health.asked_last_hour, health.waiting), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_asked_for() {
    let fake = Fake::new("us-east-2");
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    ledger.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = sign(&both, "front", &Urgency::awaited(), &ledger).await.unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
    assert_eq!(fake.count(Called::Issue), 0);
    assert_eq!(both.0.status()[0].asked_last_hour, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_asked_for_again_and_paid_for_once() {
    let fake = Fake::new("us-east-2");
    fake.next_issues([Act::LoseReply]);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::default();
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    assert!(ledger.read().is_some());
    tokio::time::advance(seconds(200)).await;
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!((fake.count(Called::Issue), fake.paid()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_lost_too_long_ago_is_paid_for_once_more_at_most() {
    let fake = Fake::new("us-east-2");
    fake.next_issues([Act::LoseReply]);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::default();
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    tokio::time::advance(seconds(301)).await;
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!(fake.paid(), 2);
    assert!(ledger.read().unwrap().is_repeated);
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!(fake.paid(), 2, "what is paid for is fetched again as often as it is asked for");
}

#[tokio::test(start_paused = true)]
async fn while_no_reply_arrives_nothing_is_asked_for_anew() {
    let fake = Fake::new("us-east-2");
    fake.always(Act::LoseReply);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::awaited();
    for _ in 0..20 {
        pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap_err();
        tokio::time::advance(seconds(120)).await;
    }
    assert_eq!(fake.paid(), 1, "twenty tries in three quarters of an hour");
    assert_eq!(pool.status()[0].asked_last_hour, 1);
    fake.always(Act::Well);
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!(fake.paid(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_comes_to_nothing_is_asked_for_once_more_at_once() {
    let fake = Fake::new("us-east-2");
    fake.next_gets([Act::Fail]);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    sign(&both, "front", &Urgency::default(), &ledger).await.unwrap();
    assert_eq!(fake.paid(), 2);
    fake.next_gets([Act::Fail, Act::Fail]);
    let ledger = Memory::default();
    let error = sign(&both, "front", &Urgency::default(), &ledger).await.unwrap_err();
    assert!(error.to_string().contains("could not make the certificate"), "{error}");
    assert_eq!((fake.paid(), ledger.read()), (4, None), "and then left to who asks");
    assert_eq!(ledger.wasted.lock().unwrap().len(), 2, "both are written down");
    assert!(error.is_paid_for() && !error.is_outage(), "who asks again pays again");
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_to_come_stays_kept_and_is_fetched_later() {
    let fake = Fake::new("us-east-2");
    fake.makes_in(seconds(45));
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::awaited();
    let error = pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    assert!(error.to_string().contains("is still being made after 3"), "{error}");
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!((fake.count(Called::Issue), fake.paid()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_has_ended_by_now_is_not_fetched() {
    let fake = Fake::new("us-east-2");
    fake.next_gets([Act::Denied]);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::awaited();
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    tokio::time::advance(profile.lifetime.duration()).await;
    let looked = fake.count(Called::Get);
    let signed = pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert!(signed.certificate.ends_with("/certificate/2"), "{signed:?}");
    assert!(fake.count(Called::Get) > looked);
    assert_eq!(ledger.wasted.lock().unwrap()[0].serial, None, "and it is written down");
}

#[tokio::test(start_paused = true)]
async fn the_brake_refuses_the_next_one_with_words_and_lifts_by_itself() {
    let fake = Fake::with("us-east-2", |ca| ca.max_certificates_per_hour = Some(2));
    let both = pool(&[&fake]);
    for name in ["one", "two"] {
        sign(&both, name, &Urgency::default(), &Memory::default()).await.unwrap();
    }
    let refused = sign(&both, "three", &Urgency::default(), &Memory::default()).await;
    let error = refused.unwrap_err().to_string();
    for words in ["2 certificates", "maxCertificatesPerHour", "not before 2026-11-21T09:00:0"] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(fake.count(Called::Issue), 2);
    tokio::time::advance(seconds(3_600)).await;
    sign(&both, "three", &Urgency::default(), &Memory::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ca_of_the_short_lived_mode_is_not_asked_for_more_than_seven_days() {
    let fake = Fake::new("us-east-2");
    let (pool, _) = pool(&[&fake]);
    let known = KnownCa { is_short_lived: true, ..fake.known() };
    let name = crate::identity::AuthorityName::parse("ca_1").unwrap();
    let authority = RemoteAuthority::new(name, vec![known]).unwrap();
    let mut profile = profile("front");
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    for (days, is_fine) in [(7, true), (8, false)] {
        profile.lifetime = crate::time::Lifetime::days(days);
        let order = LeafOrder { profile: &profile, key: &key };
        let ledger = Memory::default();
        let made = pool.sign(&authority, &order, None, &Urgency::default(), &ledger).await;
        assert_eq!(made.is_ok(), is_fine, "{days} days: {made:?}");
        if let Err(error) = made {
            assert!(error.to_string().contains("at most 7d, and 8d is wanted"), "{error}");
        }
    }
    assert_eq!(fake.count(Called::Issue), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_aws_has_forgotten_is_asked_for_anew() {
    let fake = Fake::new("us-east-2");
    fake.next_gets([Act::Denied]);
    let (both, ledger) = (pool(&[&fake]), Memory::default());
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    let (pool, authority) = &both;
    let urgency = Urgency::default();
    pool.sign(authority, &order, None, &urgency, &ledger).await.unwrap_err();
    fake.forget();
    tokio::time::advance(seconds(60)).await;
    pool.sign(authority, &order, ledger.read(), &urgency, &ledger).await.unwrap();
    assert_eq!((fake.count(Called::Issue), fake.paid()), (2, 1));
    assert_eq!(pool.status()[0].down, None, "the CA is not to blame");
}
