//! Runs over weeks, with wishes that change at random.

use proptest::prelude::*;

use super::*;
use crate::x509::verification::check_signature;

/// A thing that happens between two runs.
#[derive(Clone, Debug)]
enum Event {
    /// So many minutes pass.
    Pass(i64),
    Lifetime(u32),
    Skew(u64),
    Names(u8),
    Algorithm(bool),
    Authority(usize),
    /// The files are lost.
    Lose,
    /// The clock is set back by so many minutes.
    SetBack(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1_i64..600).prop_map(Event::Pass),
        1 => (1_i64..100_000).prop_map(Event::Pass),
        1 => (1_u32..200).prop_map(Event::Lifetime),
        1 => (0_u64..4000).prop_map(Event::Skew),
        1 => (0_u8..3).prop_map(Event::Names),
        1 => any::<bool>().prop_map(Event::Algorithm),
        1 => (0_usize..3).prop_map(Event::Authority),
        1 => Just(Event::Lose),
        1 => (1_i64..3000).prop_map(Event::SetBack),
    ]
}

/// Judges a credential without `decide`'s help: is it what is wanted, and does it hold now?
fn is_right(
    credential: &Credential,
    profile: &LeafProfile,
    algorithm: KeyAlgorithm,
    ca: &Authority,
    now: OffsetDateTime,
) -> bool {
    let leaf = credential.leaf();
    let wanted = profile.lifetime.duration() + profile.clock_skew;
    credential.key().algorithm() == algorithm
        && leaf.validity().contains(now)
        && check_signature(leaf, ca.certificate()).is_ok()
        && leaf.names().uris == [profile.spiffe_id.as_str()]
        && leaf.names().dns_names
            == profile.dns_names.iter().map(|n| n.as_str()).collect::<Vec<_>>()
        // A wish that differs by a second is no other wish.
        && (leaf.validity().length().abs_diff(wanted) <= Duration::from_secs(1)
            || leaf.validity().not_after == ca.ends())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTCTL_SOAK").is_some() {
        2_000
    } else {
        48
    }))]

    #[test]
    fn whatever_happens_what_is_held_is_right_and_seldom_made(
        events in prop::collection::vec(event(), 1..80)
    ) {
        let start = NOW + 100 * 24 * HOUR;
        let cas = [
            root("one", Lifetime::days(3650)),
            root("two", Lifetime::days(3650)),
            // Ends while the mesh lives.
            root("ending", Lifetime::days(110)),
        ];
        let (mut now, mut profile, mut algorithm, mut ca) =
            (start, profile(), KeyAlgorithm::EcP256, &cas[0]);
        let mut held: Option<Credential> = None;
        let mut quiet_since_issue = None;
        for event in events {
            let mut quiet = false;
            match event {
                Event::Pass(minutes) => {
                    now += time::Duration::minutes(minutes);
                    quiet = true;
                }
                Event::Lifetime(hours) => profile.lifetime = Lifetime::hours(hours),
                Event::Skew(seconds) => profile.clock_skew = Duration::from_secs(seconds),
                Event::Names(count) => {
                    let names = (0..count).map(|n| DnsName::parse(&format!("n{n}.example")).unwrap());
                    profile.dns_names = names.collect();
                }
                Event::Algorithm(other) => {
                    algorithm = if other { KeyAlgorithm::EcP384 } else { KeyAlgorithm::EcP256 };
                }
                Event::Authority(number) => ca = &cas[number],
                Event::Lose => held = None,
                Event::SetBack(minutes) => {
                    now = std::cmp::max(now - time::Duration::minutes(minutes), NOW + HOUR);
                }
            }
            if !quiet {
                quiet_since_issue = None;
            }
            let place = held.as_ref().map_or(Held::Nothing, super::held);
            match decide(&profile, algorithm, ca.certificates(), place, now) {
                Decision::Keep(renewal) => {
                    let held = held.as_ref().unwrap();
                    prop_assert!(is_right(held, &profile, algorithm, ca, now));
                    match renewal {
                        Renewal::Due(due) => prop_assert!(due > now),
                        Renewal::WithAuthority { ends } => {
                            prop_assert_eq!(ends, held.leaf().validity().not_after);
                        }
                    }
                }
                Decision::Issue(_) => match provision(ca, &profile, algorithm, now) {
                    Ok(made) => {
                        prop_assert!(is_right(&made, &profile, algorithm, ca, now));
                        // Nothing but time went by, so a half of its life must have.
                        if let Some((at, end)) = quiet_since_issue {
                            prop_assert!(now - at >= (end - at) / 2 - SECOND, "{at} to {now}");
                        }
                        quiet_since_issue = Some((now, made.leaf().validity().not_after));
                        // What is just made is kept.
                        let again = decide(&profile, algorithm, ca.certificates(), super::held(&made), now);
                        let kept = matches!(again, Decision::Keep(_));
                        prop_assert!(kept, "{again:?}");
                        held = Some(made);
                    }
                    // Only an authority that has ended signs nothing; what is held stays.
                    Err(error) => prop_assert!(ca.ends() <= now, "{error}"),
                },
            }
        }
    }
}

#[test]
fn a_ca_near_its_end_is_asked_a_handful_of_times_in_weeks_of_hourly_runs() {
    for lifetime in [Lifetime::hours(1), Lifetime::hours(24), Lifetime::days(7), Lifetime::days(60)]
    {
        let ca = root("ca", Lifetime::days(21));
        let profile = LeafProfile { lifetime, ..profile() };
        let (mut held, mut issues, mut refusals) = (None, 0_u32, 0);
        for hour in 0..28 * 24 {
            let now = NOW + hour * HOUR;
            let place = held.as_ref().map_or(Held::Nothing, super::held);
            let Decision::Issue(_) =
                decide(&profile, KeyAlgorithm::EcP256, ca.certificates(), place, now)
            else {
                continue;
            };
            match provision(&ca, &profile, KeyAlgorithm::EcP256, now) {
                Ok(made) => {
                    issues += 1;
                    held = Some(made);
                }
                Err(_) => refusals += 1,
            }
        }
        let life = ca.ends() - NOW;
        let most = life.whole_seconds() as u64 * 2 / lifetime.duration().as_secs() + 2;
        let runs = 21 * 24;
        assert!(u64::from(issues) <= most.min(runs), "{lifetime}: {issues} of at most {most}");
        assert!(refusals > 0, "and after its end, nothing");
    }
}
