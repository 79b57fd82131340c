//! Whether a CA signs, as far as is known, and when to ask again: pure.

use std::time::Duration;

use super::ServiceError;
use crate::time::OffsetDateTime;

/// How soon a CA that went down is asked whether it is up again.
const FIRST_PROBE: Duration = Duration::from_secs(5);

/// What the time between probes grows to.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// Why a CA is passed over, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// What it did not do.
    pub why: String,
    /// Since when.
    pub since: OffsetDateTime,
}

/// One CA's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
    probes: u32,
}

impl Health {
    /// How it is down; none while it is not.
    pub(super) fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// It does not do what it is for. Whether that is new.
    pub(super) fn fell(&mut self, why: String, at: OffsetDateTime) -> bool {
        let is_new = self.down.is_none();
        let since = self.down.as_ref().map_or(at, |down| down.since);
        self.down = Some(Down { why, since });
        is_new
    }

    /// A probe found it ready. It is asked no sooner the next time all the same, until it has
    /// signed: a CA may well say that it is active and yet sign nothing. How it was down.
    pub(super) fn rose(&mut self) -> Option<Down> {
        self.down.take()
    }

    /// It signed. How it was down.
    pub(super) fn signed(&mut self) -> Option<Down> {
        self.probes = 0;
        self.down.take()
    }

    /// How long to wait before the next probe, which is counted.
    pub(super) fn next_probe(&mut self) -> Duration {
        let wait = FIRST_PROBE.saturating_mul(1 << self.probes.min(10)).min(LONGEST_PROBE);
        self.probes = self.probes.saturating_add(1);
        wait
    }
}

/// Whether an error is the CA's, so that another might sign, and not the request's own.
pub(super) fn is_of_the_ca(error: &ServiceError) -> bool {
    match error {
        ServiceError::Denied { .. }
        | ServiceError::InvalidState { .. }
        | ServiceError::LimitExceeded { .. }
        | ServiceError::NoCredentials { .. }
        | ServiceError::NotFound { .. }
        | ServiceError::Throttled { .. }
        | ServiceError::Unreachable { .. } => true,
        ServiceError::Failed { .. } | ServiceError::Refused { .. } => false,
    }
}

/// Whether an answer leaves open that the request was taken.
pub(super) fn may_have_been_taken(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Unreachable { .. })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);

    #[test]
    fn probes_come_less_often_until_the_ca_has_signed_again() {
        let mut health = Health::default();
        assert!(health.fell("hangs".to_owned(), AT));
        let waits: Vec<_> = (0..6).map(|_| health.next_probe().as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert!(health.rose().is_some());
        assert!(health.fell("signs nothing".to_owned(), AT));
        assert_eq!(health.next_probe().as_secs(), 60, "it only said that it was well");
        assert!(health.signed().is_some());
        health.fell("hangs".to_owned(), AT);
        assert_eq!(health.next_probe().as_secs(), 5);
    }

    #[test]
    fn it_is_down_since_it_fell_and_for_the_latest_reason() {
        let mut health = Health::default();
        health.fell("hangs".to_owned(), AT);
        assert!(!health.fell("denied".to_owned(), AT + time::Duration::HOUR));
        assert_eq!(health.down(), Some(&Down { why: "denied".to_owned(), since: AT }));
    }
}
