//! When to look whether a certificate is made: pure. AWS takes 0.3 to 2 s; each look is a request
//! on the account's quota, and each wait is one that a pod may be sitting through.

use std::time::Duration;

/// The soonest first look where somebody waits.
const SOONEST: Duration = Duration::from_millis(100);

/// The soonest first look where nobody does.
const UNHURRIED: Duration = Duration::from_millis(500);

/// The longest time between looks.
const LONGEST: Duration = Duration::from_secs(3);

/// How long a CA has taken lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Option<Duration>);

/// The waits before each look at one certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    first: Option<Duration>,
    next: Duration,
}

impl Pace {
    /// A certificate was there at the `looks`-th look, `after` so long.
    pub(super) fn made(&mut self, after: Duration, looks: u32) {
        // Seen at the first look, it may have been there for long: the next look comes sooner.
        let after = if looks <= 1 { after.mul_f64(0.9) } else { after };
        self.0 = Some(self.0.map_or(after, |pace| pace.mul_f64(0.7) + after.mul_f64(0.3)));
    }

    /// The looks at the next certificate.
    pub(super) fn looks(self, is_awaited: bool) -> Looks {
        let pace = self.0.unwrap_or_default();
        let first = if is_awaited {
            pace.clamp(SOONEST, LONGEST)
        } else {
            pace.mul_f64(1.25).clamp(UNHURRIED, LONGEST)
        };
        // Who waits for it looks often around the time that it usually takes.
        let next = if is_awaited { (first / 4).max(SOONEST) } else { first };
        Looks { first: Some(first), next }
    }

    /// The looks at one that was asked for long ago: at once, and then as ever.
    pub(super) fn looks_at_old(self, is_awaited: bool) -> Looks {
        Looks { first: Some(Duration::ZERO), ..self.looks(is_awaited) }
    }
}

impl Looks {
    /// How long to wait before the next look.
    pub(super) fn wait(&mut self) -> Duration {
        if let Some(first) = self.first.take() {
            return first;
        }
        let wait = self.next.mul_f64(1.5).min(LONGEST);
        self.next = wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many looks it takes to see what is made after `takes`, and when that is.
    fn seen(pace: Pace, is_awaited: bool, takes: Duration) -> (u32, Duration) {
        let (mut looks, mut at) = (pace.looks(is_awaited), Duration::ZERO);
        for count in 1.. {
            at += looks.wait();
            if at >= takes {
                return (count, at);
            }
        }
        unreachable!()
    }

    #[test]
    fn the_first_look_of_one_who_waits_is_soon_and_later_ones_are_not_far() {
        let mut looks = Pace::default().looks(true);
        let waits: Vec<_> = (0..12).map(|_| looks.wait().as_millis()).collect();
        assert_eq!(waits[..4], [100, 150, 225, 337]);
        assert_eq!(waits[11], 3_000);
    }

    #[test]
    fn three_looks_do_once_it_is_known_how_long_a_ca_takes() {
        for millis in [50, 300, 700, 1_200, 2_000] {
            let takes = Duration::from_millis(millis);
            assert!(seen(Pace::default(), false, takes).0 <= 3, "background, {millis} ms");
            for is_awaited in [false, true] {
                let mut pace = Pace::default();
                let mut worst = (0, Duration::ZERO);
                for round in 0..60 {
                    let (looks, at) = seen(pace, is_awaited, takes);
                    pace.made(at, looks);
                    if round >= 20 {
                        worst = (worst.0.max(looks), worst.1.max(at));
                    }
                }
                assert!(worst.0 <= 3, "{millis} ms takes {} looks", worst.0);
                if is_awaited {
                    assert!(worst.1 <= takes.mul_f64(1.6).max(SOONEST), "{millis}: {:?}", worst.1);
                }
            }
        }
    }
}
