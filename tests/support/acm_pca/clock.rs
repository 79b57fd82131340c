//! The fake's clock: the system's, moved by whom the test likes.

use std::time::SystemTime;

use time::{Duration, OffsetDateTime};

/// Tells the time of day.
#[derive(Debug, Default)]
pub struct Clock {
    ahead: Duration,
}

impl Clock {
    /// Now.
    #[allow(clippy::disallowed_methods, reason = "the fake is a world of its own")]
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from(SystemTime::now()) + self.ahead
    }

    /// Moves it, back when negative.
    pub fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }
}
