//! One clock, lifetimes as people write them, and the moment at which a certificate is due.
//!
//! Nothing else in the crate reads the system clock, so that every test of time is exact.

pub mod jumps;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
pub use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

mod clock;

pub use clock::{Clock, Moment, Simulation};

/// Why a text is not a lifetime or a moment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TimeError {
    /// Not a number with a unit.
    #[error("{text:?} is no duration; write a number and a unit, such as 30m, 24h or 90d")]
    Duration {
        /// The text as given.
        text: String,
    },
    /// Zero, or finer than a certificate can say.
    #[error("{text:?} is too short; the least is {least}")]
    TooShort {
        /// The text as given.
        text: String,
        /// The least that is allowed.
        least: Lifetime,
    },
    /// Beyond what RFC 5280's dates and common sense allow.
    #[error("{text:?} is too long; the most is {most}")]
    TooLong {
        /// The text as given.
        text: String,
        /// The most that is allowed.
        most: Lifetime,
    },
    /// Not an RFC 3339 moment.
    #[error("{text:?} is no moment; write it as 2027-01-31T12:00:00Z")]
    Moment {
        /// The text as given.
        text: String,
    },
}

/// How long a certificate lives, in whole seconds: at least 1 s, at most 36,500 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(Duration);

impl Lifetime {
    const LEAST: Self = Self(Duration::from_secs(1));
    const MOST: Self = Self::days(36_500);

    /// A lifetime of so many days.
    pub const fn days(days: u32) -> Self {
        Self(Duration::from_secs(days as u64 * 86_400))
    }

    /// A lifetime of so many hours.
    pub const fn hours(hours: u32) -> Self {
        Self(Duration::from_secs(hours as u64 * 3_600))
    }

    /// Parses `90s`, `30m`, `24h`, `90d`, `1y`, or several of them added up: `1h 30m`.
    ///
    /// # Errors
    /// When the text is no duration, is below 1 s or beyond 36,500 days.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let duration = parse_duration(text)?;
        let text = || text.trim().to_owned();
        if duration < Self::LEAST.0 || duration.subsec_nanos() != 0 {
            return Err(TimeError::TooShort { text: text(), least: Self::LEAST });
        }
        if duration > Self::MOST.0 {
            return Err(TimeError::TooLong { text: text(), most: Self::MOST });
        }
        Ok(Self(duration))
    }

    /// The length of this lifetime.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Lifetime {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&in_words(self.0))
    }
}

/// Parses a duration of any length, zero included, in the same notation as [`Lifetime::parse`].
///
/// # Errors
/// When the text is no duration.
pub fn parse_duration(text: &str) -> Result<Duration, TimeError> {
    humantime::parse_duration(text.trim())
        .map_err(|_| TimeError::Duration { text: text.trim().to_owned() })
}

/// A duration in the largest unit that loses nothing: `90d`, `36h`, `30m`, `5s`.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        // A day is written as the 24 hours that it is usually asked for.
        let floor = if length == 86_400 { 2 * length } else { length };
        if seconds >= floor && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// Roughly how long, for people: the two largest units, `89d 23h`, `4h 12m`, `31s`.
pub fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60)];
    let Some(first) = units.iter().position(|(_, count)| *count > 0) else {
        return format!("{seconds}s");
    };
    let (unit, count) = units[first];
    match units.get(first + 1) {
        Some((smaller, rest)) if *rest > 0 => format!("{count}{unit} {rest}{smaller}"),
        _ => format!("{count}{unit}"),
    }
}

/// A moment as RFC 3339 has it, in UTC: `2027-01-31T12:00:00Z`.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

/// Parses an RFC 3339 moment.
///
/// # Errors
/// When the text is no such moment.
pub fn parse_moment(text: &str) -> Result<OffsetDateTime, TimeError> {
    OffsetDateTime::parse(text.trim(), &Rfc3339)
        .map_err(|_| TimeError::Moment { text: text.trim().to_owned() })
}

/// The span in which a certificate is valid, both ends included (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: OffsetDateTime,
    /// The last second.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Whether `at` lies within.
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// From the first second to the last.
    pub fn length(&self) -> Duration {
        Duration::try_from(self.not_after - self.not_before).unwrap_or(Duration::ZERO)
    }
}

/// The last second that a certificate can name (RFC 5280 section 4.1.2.5).
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// `at` and so long after it, or the last second that a certificate can name.
pub fn later(at: OffsetDateTime, by: Duration) -> OffsetDateTime {
    let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
    at.saturating_add(by).min(LAST)
}

/// `at` and so long before it, or 1970: verifiers read nothing earlier.
pub fn earlier(at: OffsetDateTime, by: Duration) -> OffsetDateTime {
    let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
    at.saturating_sub(by).max(OffsetDateTime::UNIX_EPOCH)
}

/// When a certificate issued at `issued_at` and ending at `not_after` is to be renewed: when 50 to
/// 60 % of that span is gone. The point within is drawn from `seed`, which must be the
/// certificate's own and stay the same, so that runs and replicas agree and a fleet spreads out.
pub fn renewal_due(
    issued_at: OffsetDateTime,
    not_after: OffsetDateTime,
    seed: &[u8; 32],
) -> OffsetDateTime {
    let mut high = [0; 4];
    high.copy_from_slice(&seed[..4]);
    let share = 0.5 + 0.1 * f64::from(u32::from_be_bytes(high)) / f64::from(u32::MAX);
    let span = (not_after - issued_at).max(time::Duration::ZERO);
    issued_at + time::Duration::seconds_f64((span.as_seconds_f64() * share).floor())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(Lifetime::parse("24h"), Ok(Lifetime::hours(24)));
        assert_eq!(Lifetime::parse(" 90d "), Ok(Lifetime::days(90)));
        assert_eq!(Lifetime::parse("1h 30m").unwrap().duration().as_secs(), 5_400);
        for (lifetime, text) in [
            (Lifetime::hours(24), "24h"),
            (Lifetime::days(90), "90d"),
            (Lifetime::hours(36), "36h"),
            (Lifetime(Duration::from_secs(90)), "90s"),
        ] {
            assert_eq!(lifetime.to_string(), text);
        }
        assert_eq!(roughly(Duration::from_secs(90_061)), "1d 1h");
        assert_eq!(roughly(Duration::from_secs(86_400)), "1d");
        assert_eq!(roughly(Duration::from_secs(59)), "59s");
    }

    #[test]
    fn lifetimes_that_make_no_certificate_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "no duration"),
            ("24", "no duration"),
            ("-5h", "no duration"),
            ("soon", "no duration"),
            ("0s", "too short"),
            ("1ms", "too short"),
            ("1500ms", "too short"),
            ("36501d", "too long"),
            ("99999999999999999999d", "no duration"),
        ] {
            let error = Lifetime::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn moments_stay_within_what_certificates_can_name() {
        let century = Lifetime::MOST.duration();
        let at = datetime!(2026-11-21 8:00 UTC);
        assert_eq!(later(at, Duration::from_secs(60)), datetime!(2026-11-21 8:01 UTC));
        assert_eq!(earlier(at, Duration::from_secs(60)), datetime!(2026-11-21 7:59 UTC));
        for at in [LAST, datetime!(9950-01-01 0:00 UTC)] {
            assert_eq!(later(at, century), LAST);
            assert_eq!(later(at, Duration::MAX), LAST);
        }
        for at in [datetime!(-9999-01-01 0:00 UTC), datetime!(1970-01-01 0:00:01 UTC)] {
            assert_eq!(earlier(at, century), OffsetDateTime::UNIX_EPOCH);
            assert_eq!(earlier(at, Duration::MAX), OffsetDateTime::UNIX_EPOCH);
        }
    }

    proptest! {
        #[test]
        fn a_renewal_falls_between_half_and_sixty_percent(
            seconds in 1_i64..1_000_000_000, seed: [u8; 32],
        ) {
            let issued_at = datetime!(2026-01-01 0:00 UTC);
            let not_after = issued_at + time::Duration::seconds(seconds);
            let due = renewal_due(issued_at, not_after, &seed);
            let share = (due - issued_at).as_seconds_f64() / seconds as f64;
            prop_assert!(share <= 0.6 && (due - issued_at).as_seconds_f64() + 1.0 >= seconds as f64 / 2.0);
            prop_assert_eq!(due, renewal_due(issued_at, not_after, &seed));
        }

        #[test]
        fn a_lifetime_prints_what_parses_back(seconds in 1_u64..3_000_000_000) {
            let lifetime = Lifetime(Duration::from_secs(seconds));
            prop_assert_eq!(Lifetime::parse(&lifetime.to_string()), Ok(lifetime));
        }
    }
}
