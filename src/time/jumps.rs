//! Deadlines by the wall clock, and the moments at which somebody sets it.
//!
//! Tokio's timers follow a clock that nobody sets and that stands still while the machine sleeps.
//! A timer of the kernel's on `CLOCK_REALTIME` goes off by the wall, and ends early when the wall
//! clock steps against the other one (`TFD_TIMER_CANCEL_ON_SET`, timerfd_create(2)): when it is
//! set, forward or back, and when the machine comes back from suspend. Nothing wakes up meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::{LAST, OffsetDateTime};

/// Why there is no alarm.
#[derive(Debug, Error)]
#[error(
    "the kernel gives no timer that tells when the clock is set (timerfd), so that a jump of the \
     clock is noticed at the next deadline only"
)]
pub struct AlarmError(#[from] io::Error);

/// Why an alarm went off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Somebody set the wall clock, or the machine was suspended: what was reckoned from the time
    /// before is wrong.
    ClockChanged,
    /// The wall shows the time.
    Due,
}

/// An alarm by the wall clock.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that notes from now on when the clock is set. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the kernel has no such timers, or no descriptor is free.
    pub fn new() -> Result<Self, AlarmError> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags).map_err(io::Error::from)?;
        let mut alarm = Self(registered(timer)?);
        // The kernel takes note only from the first time that it is set.
        alarm.set(LAST)?;
        Ok(alarm)
    }

    /// Waits until the wall shows `at`, to the nanosecond, or somebody sets it: since the last call
    /// too, so that nothing is missed between two of them. Forgetting the future leaves the alarm
    /// as good as new.
    ///
    /// # Errors
    /// When the kernel refuses the timer.
    pub async fn until(&mut self, at: OffsetDateTime) -> Result<Fired, AlarmError> {
        if let Some(fired) = self.set(at)? {
            return Ok(fired);
        }
        let mut ticks = [0; 8];
        let read = self.0.async_io(Interest::READABLE, |timer| {
            told(rustix::io::read(timer, &mut ticks).map(drop))
        });
        Ok(read.await?)
    }

    /// Sets the timer; that the clock was set since it last told is told at once.
    fn set(&mut self, at: OffsetDateTime) -> Result<Option<Fired>, AlarmError> {
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let once =
            Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: timespec(at) };
        match told(timerfd_settime(self.0.get_ref(), flags, &once).map(drop)) {
            Ok(Fired::Due) => Ok(None),
            Ok(Fired::ClockChanged) => Ok(Some(Fired::ClockChanged)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Rings `changed` each time that the wall clock is set, or the machine comes back from suspend,
/// within milliseconds. For one who waits: [`Notify::notify_one`].
///
/// # Errors
/// Ends only when the kernel refuses the timer.
pub async fn tell_of_jumps(mut alarm: Alarm, changed: Arc<Notify>) -> Result<(), AlarmError> {
    loop {
        if alarm.until(LAST).await? == Fired::ClockChanged {
            changed.notify_one();
        }
    }
}

#[expect(
    deprecated,
    reason = "it is for descriptors that may close while in use, which an owned one cannot; what \
              replaces it is unsafe"
)]
fn registered(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(timer, Interest::READABLE)
}

/// What the kernel says of a timer, when it is set or read.
fn told(answer: rustix::io::Result<()>) -> io::Result<Fired> {
    match answer {
        Ok(()) => Ok(Fired::Due),
        Err(rustix::io::Errno::CANCELED) => Ok(Fired::ClockChanged),
        Err(error) => Err(error.into()),
    }
}

/// `at` for the kernel, to which nothing means never and anything before 1970 is wrong.
fn timespec(at: OffsetDateTime) -> Timespec {
    let at = at.max(OffsetDateTime::UNIX_EPOCH + time::Duration::NANOSECOND);
    Timespec { tv_sec: at.unix_timestamp(), tv_nsec: at.nanosecond().into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::io::Errno;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Only a test that fails waits so long.
    const HANG: Duration = Duration::from_secs(30);

    #[expect(clippy::disallowed_methods, reason = "finer than certificates know it")]
    fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    // That the kernel cancels a timer when the clock is set cannot be shown here: it would take
    // setting the clock of the whole machine.
    #[test]
    fn a_cancelled_timer_means_that_the_clock_was_set() {
        assert_eq!(told(Ok(())).unwrap(), Fired::Due);
        assert_eq!(told(Err(Errno::CANCELED)).unwrap(), Fired::ClockChanged);
        assert_eq!(told(Err(Errno::AGAIN)).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(told(Err(Errno::INVAL)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn an_alarm_goes_off_at_its_time_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        for milliseconds in [50, 1, 0] {
            let at = now() + Duration::from_millis(milliseconds);
            let fired = timeout(HANG, alarm.until(at)).await.unwrap().unwrap();
            assert!(fired == Fired::ClockChanged || now() >= at, "{fired:?} too early");
        }
        for over in [now() - Duration::from_secs(9), OffsetDateTime::UNIX_EPOCH] {
            timeout(HANG, alarm.until(over)).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn an_alarm_that_nobody_waited_for_goes_off_for_the_next_deadline_alone() {
        let mut alarm = Alarm::new().unwrap();
        let soon = now() + Duration::from_millis(20);
        let forgotten = timeout(Duration::from_millis(1), alarm.until(soon)).await;
        assert!(forgotten.is_err() || now() >= soon);
        let later = now() + Duration::from_millis(60);
        let fired = timeout(HANG, alarm.until(later)).await.unwrap().unwrap();
        assert!(fired == Fired::ClockChanged || now() >= later, "{fired:?} too early");
    }

    #[tokio::test]
    async fn the_kernel_takes_deadlines_however_far() {
        let mut alarm = Alarm::new().unwrap();
        let started = Instant::now();
        let never = timeout(Duration::from_millis(20), alarm.until(LAST)).await;
        assert!(!matches!(never, Ok(Ok(Fired::Due))), "after {:?}", started.elapsed());
        assert!(!matches!(never, Ok(Err(_))), "{never:?}");
    }
}
