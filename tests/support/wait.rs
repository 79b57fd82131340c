//! The one place where tests wait: for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long anything on this machine may take before a test gives up: generous, since a machine
/// that is busy with other tests is slow, and only failing tests ever wait so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `probe` until it gives a value, and returns it; panics after [`DEADLINE`], naming `what`.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    look(what, DEADLINE, Duration::from_millis(5), probe)
}

/// The same, for what takes its time by design: waits four times as long.
pub fn patiently<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    look(what, 4 * DEADLINE, Duration::from_millis(50), probe)
}

/// The same, for what is measured: looks again after 0.2 ms.
pub fn closely<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    look(what, DEADLINE, Duration::from_micros(200), probe)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the pause between two looks, and the deadline's clock"
)]
fn look<T>(
    what: &str,
    deadline: Duration,
    pause: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < deadline, "{what}: not within {deadline:?}");
        std::thread::sleep(pause);
    }
}

/// Lets time pass, where the time itself is what a test is about, such as how long something is
/// away.
#[allow(clippy::disallowed_methods, reason = "nothing is waited for")]
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}
