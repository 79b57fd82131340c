//! Nothing is accepted that was not verified.

use super::super::testing::{Lie, SKEW, local};
use super::*;
use crate::time::Lifetime;
use crate::x509::certificate::Certificate;
use crate::x509::profile::CaProfile;

#[tokio::test(start_paused = true)]
async fn every_lie_is_refused_with_words_and_the_next_try_is_a_new_request() {
    for (lie, words) in Lie::ALL {
        let fake = Fake::new("us-east-2");
        fake.next_issues([Act::Lie(lie)]);
        let (both, ledger) = (pool(&[&fake]), Memory::default());
        let refused = sign(&both, "front", &Urgency::default(), &ledger).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(words), "{lie:?}: {error}");
        assert!(error.contains("/certificate/1 is refused"), "{lie:?}: {error}");
        assert_eq!(ledger.read(), None, "{lie:?}: nothing comes of it");
        let wasted = ledger.wasted.lock().unwrap().clone();
        assert_eq!(wasted.len(), 1, "{lie:?}");
        assert!(wasted[0].certificate.ends_with("/certificate/1"), "{lie:?}: {wasted:?}");
        let is_unreadable = matches!(lie, Lie::Garbage | Lie::Nothing);
        assert_eq!(wasted[0].serial.is_none(), is_unreadable, "{lie:?}: {wasted:?}");
        assert_eq!(both.0.status()[0].refused, 1);
        assert_eq!(both.0.status()[0].down, None, "it answers; another would be paid for as well");
        let signed = sign(&both, "front", &Urgency::default(), &ledger).await.unwrap();
        assert!(signed.certificate.ends_with("/certificate/2"), "{lie:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_signs_all_wrong_is_tried_by_one_alone_now_and_then() {
    let fake = Fake::new("us-east-2");
    fake.next_issues([Act::Lie(Lie::Longer); 6]);
    let both = pool(&[&fake]);
    for _ in 0..5 {
        sign(&both, "front", &Urgency::default(), &Memory::default()).await.unwrap_err();
    }
    for (pause, paid) in [(0, 5), (60, 6), (60, 6), (60, 7)] {
        tokio::time::advance(seconds(pause)).await;
        let ledgers: Vec<_> = (0..20).map(|_| Memory::default()).collect();
        let urgency = Urgency::default();
        let all = ledgers.iter().map(|ledger| sign(&both, "front", &urgency, ledger));
        let done = futures_util::future::join_all(all).await;
        assert_eq!(fake.paid(), paid, "{:?}", done[1]);
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), usize::from(paid == 7));
    }
    sign(&both, "front", &Urgency::default(), &Memory::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ca_may_count_from_when_it_got_the_request_and_no_later() {
    for (off_by, is_fine) in [(0, true), (1, true), (3, false), (60, false)] {
        let fake = Fake::new("us-east-2");
        fake.is_off_by(seconds(off_by));
        let made = sign(&pool(&[&fake]), "front", &Urgency::default(), &Memory::default()).await;
        assert_eq!(made.is_ok(), is_fine, "off by {off_by} s: {made:?}");
    }
}

/// The certificates of a CA that the fake has signed, with so many below it.
async fn signed_below(
    fake: &std::sync::Arc<Fake>,
    key: &PrivateKey,
    below: u8,
) -> Vec<Certificate> {
    let (pool, authority) = pool(&[fake]);
    let profile = CaProfile {
        subject: local("between").subject,
        lifetime: Lifetime::days(30),
        clock_skew: SKEW,
        path_length: Some(below),
    };
    let order = CaOrder { profile: &profile, below, key };
    let (urgency, ledger) = (Urgency::default(), Memory::default());
    let signed = pool.sign(&authority, &order, None, &urgency, &ledger).await.unwrap();
    signed.signed.certificates().to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_ca_of_our_own_is_signed_and_bounded() {
    let fake = Fake::new("us-east-2");
    let (pool, authority) = pool(&[&fake]);
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let mut profile = CaProfile {
        subject: local("ours").subject,
        lifetime: Lifetime::days(30),
        clock_skew: SKEW,
        path_length: Some(0),
    };
    for below in [0, 3] {
        let order = CaOrder { profile: &profile, below, key: &key };
        let ledger = Memory::default();
        let signed = pool.sign(&authority, &order, None, &Urgency::default(), &ledger).await;
        let chain = signed.unwrap().signed;
        assert_eq!(chain.certificates().len(), 2);
        let allowed = chain.own().ca_constraint().unwrap().path_length;
        assert_eq!(allowed, Some(u32::from(below)));
        let kept = ledger.read().unwrap().request.template;
        assert_eq!(kept, format!("SubordinateCACertificate_PathLen{below}/V1"));
    }
    let order = CaOrder { profile: &profile, below: 4, key: &key };
    let urgency = Urgency::default();
    let refused = pool.sign(&authority, &order, None, &urgency, &Memory::default()).await;
    assert!(refused.unwrap_err().to_string().contains("at most 3 below"));
    let intermediate = KnownCa {
        chain: crate::authority::CaChain::new(signed_below(&fake, &key, 0).await).unwrap(),
        ..fake.known()
    };
    let narrow = RemoteAuthority::new(authority.name().clone(), vec![intermediate]).unwrap();
    let order = CaOrder { profile: &profile, below: 0, key: &key };
    let paid = fake.paid();
    let refused = pool.sign(&narrow, &order, None, &urgency, &Memory::default()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("allows 0 CAs below it, and 1 are wanted"), "{error}");
    assert_eq!(fake.paid(), paid, "nothing is paid for what would be of no use");
    for (lie, words) in [
        (Lie::Key, "it is for another key"),
        (Lie::Issuer, "issued by"),
        (Lie::Longer, "it is valid from"),
        (Lie::Garbage, "malformed"),
    ] {
        fake.next_issues([Act::Lie(lie)]);
        profile.path_length = None;
        let order = CaOrder { profile: &profile, below: 0, key: &key };
        let refused = pool.sign(&authority, &order, None, &urgency, &Memory::default()).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(words), "{lie:?}: {error}");
    }
}
