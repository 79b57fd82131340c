//! The one place where tests wait: for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long anything on this machine may take before a test gives up: generous, since a machine
/// that is busy with other tests is slow, and only failing tests ever wait so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `probe` until it gives a value, and returns it; panics after [`DEADLINE`], naming `what`.
#[allow(
    clippy::disallowed_methods,
    reason = "the pause between two looks, and the deadline's clock"
)]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
