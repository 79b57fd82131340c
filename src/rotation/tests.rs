//! Every reason for a new certificate, at fixed times; and years of runs under random changes.

mod simulation;

use std::time::Duration;

use time::macros::datetime;

use super::*;
use crate::authority::Authority;
use crate::desired::LocalAuthority;
use crate::identity::{AuthorityName, DnsName, SpiffeId};
use crate::provisioning::provision;
use crate::time::Lifetime;
use crate::x509::credential::Credential;
use crate::x509::profile::Subject;

const NOW: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);
const SKEW: Duration = Duration::from_secs(300);
const SECOND: time::Duration = time::Duration::SECOND;
const HOUR: time::Duration = time::Duration::HOUR;

fn wanted(name: &str, lifetime: Lifetime) -> LocalAuthority {
    LocalAuthority {
        subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
        key_algorithm: KeyAlgorithm::EcP256,
        lifetime,
        parent: None,
        passphrase_file: None,
    }
}

fn root(name: &str, lifetime: Lifetime) -> Authority {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    with_key(name, lifetime, &key, NOW)
}

/// A root with a key that others may have too.
fn with_key(name: &str, lifetime: Lifetime, key: &PrivateKey, now: OffsetDateTime) -> Authority {
    let certificate = Authority::make_root(&wanted(name, lifetime), SKEW, key, now).unwrap();
    let key = PrivateKey::from_pem(key.to_pem().as_bytes(), None).unwrap();
    Authority::new(AuthorityName::parse("ca").unwrap(), key, vec![certificate]).unwrap()
}

fn profile() -> LeafProfile {
    LeafProfile {
        spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
        dns_names: vec![DnsName::parse("front.example.org").unwrap()],
        lifetime: Lifetime::hours(24),
        clock_skew: SKEW,
    }
}

fn made(authority: &Authority, profile: &LeafProfile, now: OffsetDateTime) -> Credential {
    provision(authority, profile, KeyAlgorithm::EcP256, now).unwrap()
}

/// What a place holds that was given `credential`.
fn held(credential: &Credential) -> Held {
    let chain = credential.chain();
    Held::Pair {
        key: PrivateKey::from_pem(credential.key().to_pem().as_bytes(), None).unwrap(),
        chain: std::iter::once(chain.leaf()).chain(chain.issuers()).cloned().collect(),
    }
}

/// The reason for a new one, in words; none where it is kept.
fn reason(
    authority: &Authority,
    profile: &LeafProfile,
    credential: &Credential,
    now: OffsetDateTime,
) -> Option<String> {
    match decide(profile, KeyAlgorithm::EcP256, authority.certificates(), held(credential), now) {
        Decision::Keep(_) => None,
        Decision::Issue(reason) => Some(reason.to_string()),
    }
}

fn due(authority: &Authority, profile: &LeafProfile, credential: &Credential) -> OffsetDateTime {
    match renewal(credential.leaf(), profile, authority.certificates()) {
        Renewal::Due(at) => at,
        Renewal::WithAuthority { ends } => panic!("with its authority, at {ends}"),
    }
}

#[test]
fn nothing_or_something_broken_is_replaced() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    let decide = |held| match decide(&profile, KeyAlgorithm::EcP256, ca.certificates(), held, NOW) {
        Decision::Issue(reason) => reason.to_string(),
        Decision::Keep(_) => panic!("kept"),
    };
    assert_eq!(decide(Held::Nothing), "there was none");
    let missing = Damage::Missing { name: "front_key.pem".to_owned() };
    assert_eq!(decide(Held::Damaged(missing)), "front_key.pem is missing");
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    assert_eq!(decide(Held::Pair { key, chain: Vec::new() }), "there was none");
}

#[test]
fn an_authority_may_be_a_second_off_and_a_wanted_change_is_seen_beyond_that() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    for (off_by, is_kept) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let mut validity = profile.validity(NOW, ca.validity()).unwrap();
        validity.not_after += off_by * SECOND;
        let leaf = ca.sign(&profile, key.public(), validity).unwrap();
        let held = Held::Pair { key, chain: vec![leaf, ca.certificate().clone()] };
        let decision = decide(&profile, KeyAlgorithm::EcP256, ca.certificates(), held, NOW);
        let is_as_said = match &decision {
            Decision::Keep(_) => is_kept,
            Decision::Issue(reason) => !is_kept && matches!(reason, Reason::Lifetime),
        };
        assert!(is_as_said, "off by {off_by} s: {decision:?}");
    }
}

#[test]
fn it_is_kept_until_it_is_due_to_the_second() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    for _ in 0..20 {
        let credential = made(&ca, &profile, NOW);
        let due = due(&ca, &profile, &credential);
        assert!((12 * HOUR..=24 * HOUR * 3 / 5).contains(&(due - NOW)), "{due}");
        assert_eq!(reason(&ca, &profile, &credential, NOW), None);
        assert_eq!(reason(&ca, &profile, &credential, due - SECOND), None);
        let words = Some(format!("due since {}", rfc3339(due)));
        assert_eq!(reason(&ca, &profile, &credential, due), words);
        assert_eq!(reason(&ca, &profile, &credential, NOW + 24 * HOUR), words);
    }
}

#[test]
fn the_moment_is_drawn_once_for_each_certificate() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    let first = made(&ca, &profile, NOW);
    let moments: Vec<_> = (0..10).map(|_| due(&ca, &profile, &first)).collect();
    assert!(moments.iter().all(|moment| *moment == moments[0]), "stable across calls");
    let mut others: Vec<_> =
        (0..20).map(|_| due(&ca, &profile, &made(&ca, &profile, NOW))).collect();
    others.sort();
    others.dedup();
    assert!(others.len() > 15, "spread out over a fleet: {others:?}");
}

#[test]
fn its_age_counts_from_its_issue_whatever_the_skew() {
    let ca = root("ca", Lifetime::days(90));
    let profile = LeafProfile { clock_skew: Duration::from_secs(86_400), ..profile() };
    let credential = made(&ca, &profile, NOW);
    assert_eq!(credential.leaf().validity().not_before, NOW - 24 * HOUR);
    assert!(due(&ca, &profile, &credential) >= NOW + 12 * HOUR);
    assert_eq!(reason(&ca, &profile, &credential, NOW + 11 * HOUR), None);
    // Another skew cannot tell when it was issued.
    let other = LeafProfile { clock_skew: SKEW, ..profile };
    let words = "another lifetime or clock skew is wanted";
    assert_eq!(reason(&ca, &other, &credential, NOW).as_deref(), Some(words));
}

#[test]
fn what_is_wanted_differs() {
    let (ca, wanted) = (root("ca", Lifetime::days(90)), profile());
    let credential = made(&ca, &wanted, NOW);
    let with = |profile: LeafProfile| reason(&ca, &profile, &credential, NOW).unwrap_or_default();
    let names = |names: &[&str]| LeafProfile {
        dns_names: names.iter().map(|name| DnsName::parse(name).unwrap()).collect(),
        ..profile()
    };
    assert!(with(names(&[])).contains("has the DNS names [\"front.example.org\"] and not no name"));
    assert!(with(names(&["a.b", "front.example.org"])).contains("and not [\"a.b\", \"front"));
    let id = SpiffeId::parse("spiffe://example.org/other").unwrap();
    let other = with(LeafProfile { spiffe_id: id, ..profile() });
    assert!(other.contains("is for [\"spiffe://example.org/front\"] and not"), "{other}");
    for lifetime in [Lifetime::hours(23), Lifetime::hours(25)] {
        let other = with(LeafProfile { lifetime, ..profile() });
        assert_eq!(other, "another lifetime or clock skew is wanted");
    }
    let decision = decide(&wanted, KeyAlgorithm::EcP384, ca.certificates(), held(&credential), NOW);
    let Decision::Issue(reason @ Reason::KeyAlgorithm { .. }) = decision else { panic!() };
    assert_eq!(reason.to_string(), "its key is ec-p256, wanted ec-p384");
}

#[test]
fn its_authority_differs() {
    let profile = profile();
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let ca = with_key("ca", Lifetime::days(90), &key, NOW);
    let credential = made(&ca, &profile, NOW);
    let under = |authority: &Authority| reason(authority, &profile, &credential, NOW);
    let other = root("other", Lifetime::days(90));
    assert_eq!(under(&other).as_deref(), Some("it was signed by \"CN=ca\""));
    let namesake = root("ca", Lifetime::days(90));
    assert_eq!(under(&namesake).as_deref(), Some("its authority is a new CA of the same name"));
    let renewed = with_key("ca", Lifetime::days(91), &key, NOW);
    assert_eq!(under(&renewed).as_deref(), Some("its authority has a new certificate"));
    assert_eq!(under(&ca), None);
}

#[test]
fn a_chain_that_does_not_hold_is_damaged() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    let credential = made(&ca, &profile, NOW);
    let mut der = credential.leaf().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(der).unwrap();
    let Held::Pair { key, mut chain } = held(&credential) else { panic!() };
    chain[0] = forged;
    let decision =
        decide(&profile, KeyAlgorithm::EcP256, ca.certificates(), Held::Pair { key, chain }, NOW);
    let Decision::Issue(reason @ Reason::Untrusted(_)) = decision else { panic!() };
    assert!(reason.to_string().contains("its signature is not that of"), "{reason}");
}

#[test]
fn a_clock_that_was_set_back_or_stood_still() {
    let (ca, profile) = (root("ca", Lifetime::days(90)), profile());
    let credential = made(&ca, &profile, NOW + 48 * HOUR);
    let not_before = credential.leaf().validity().not_before;
    // Less than the skew is nothing.
    assert_eq!(reason(&ca, &profile, &credential, not_before), None);
    let words = format!("it is not valid before {}", rfc3339(not_before));
    assert_eq!(reason(&ca, &profile, &credential, not_before - SECOND), Some(words));
    let end = credential.leaf().validity().not_after;
    let words = format!("it expired at {}", rfc3339(end));
    assert_eq!(reason(&ca, &profile, &credential, end + SECOND), Some(words));
}

#[test]
fn one_cut_short_by_its_ca_is_kept_to_the_end() {
    let (ca, profile) = (root("ca", Lifetime::hours(30)), profile());
    let whole = made(&ca, &profile, NOW);
    assert!(matches!(renewal(whole.leaf(), &profile, ca.certificates()), Renewal::Due(_)));
    let cut = made(&ca, &profile, NOW + 7 * HOUR);
    assert_eq!(cut.leaf().validity().not_after, ca.ends());
    let ends = Renewal::WithAuthority { ends: NOW + 30 * HOUR };
    assert_eq!(renewal(cut.leaf(), &profile, ca.certificates()), ends);
    for hour in 7..=30 {
        assert_eq!(reason(&ca, &profile, &cut, NOW + hour * HOUR), None, "hour {hour}");
    }
    assert!(reason(&ca, &profile, &cut, ca.ends() + SECOND).unwrap().starts_with("it expired"));
    // A longer lifetime would gain nothing either; a shorter one is another wish.
    let longer = LeafProfile { lifetime: Lifetime::days(9), ..super::tests::profile() };
    assert_eq!(reason(&ca, &longer, &cut, NOW + 8 * HOUR), None);
    let shorter = LeafProfile { lifetime: Lifetime::hours(2), ..super::tests::profile() };
    assert!(reason(&ca, &shorter, &cut, NOW + 8 * HOUR).unwrap().contains("another lifetime"));
}
