//! One CA as it is used: its service, its share of the quotas, its health and its brake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::brake::Brake;
use super::collect::Pace;
use super::doubt::Doubt;
use super::health::{Down, Health};
use super::quota::Lane;
use super::{CaStatus, Service, ServiceError, SigningError};
use crate::desired::acm_pca::{CaArn, PrivateCa};
use crate::time::{Clock, rfc3339, roughly};

/// How long a probe may take, which nobody waits for.
const PROBE: Duration = Duration::from_secs(20);

/// How long nobody has asked for an authority until its CAs are probed no more.
const UNUSED: Duration = Duration::from_secs(600);

/// The quotas that a CA shares with others.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) issue: Arc<Lane>,
    pub(super) get: Arc<Lane>,
}

/// One CA, and what has become of it in this process.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) arn: CaArn,
    pub(super) service: Arc<dyn Service>,
    pub(super) lanes: Lanes,
    clock: Clock,
    is_down: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) health: Health,
    pub(super) brake: Brake,
    pub(super) doubt: Doubt,
    pub(super) pace: Pace,
    pub(super) limit: Option<u32>,
    pub(super) issued: u64,
    pub(super) refused: u64,
    used: Instant,
    is_probed: bool,
}

/// How a CA stands, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaHealth {
    /// Which CA.
    pub arn: CaArn,
    /// Why it is passed over, and since when; none while it signs.
    pub down: Option<Down>,
    /// Certificates asked for within the last hour.
    pub asked_last_hour: u32,
    /// The most that may be, by the mesh file.
    pub most_per_hour: Option<u32>,
    /// Certificates that it signed and that were accepted, since the process began.
    pub issued: u64,
    /// Certificates that were refused when they came.
    pub refused: u64,
    /// Requests that wait for their turn on the quotas that it shares.
    pub waiting: u32,
}

impl Contact {
    pub(super) fn new(arn: CaArn, service: Arc<dyn Service>, lanes: Lanes, clock: Clock) -> Self {
        let state = State {
            health: Health::default(),
            brake: Brake::default(),
            doubt: Doubt::default(),
            pace: Pace::default(),
            limit: None,
            issued: 0,
            refused: 0,
            used: Instant::now(),
            is_probed: false,
        };
        let is_down = watch::Sender::new(false);
        Self { arn, service, lanes, clock, is_down, state: Mutex::new(state) }
    }

    /// Takes over what the mesh says of it now.
    pub(super) fn adjust(&self, ca: &PrivateCa) {
        self.lanes.issue.set_rate(&ca.arn, ca.rates.issue);
        self.lanes.get.set_rate(&ca.arn, ca.rates.get);
        self.state().limit = ca.max_certificates_per_hour;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody uses its authority: it is worth while to know how it is.
    pub(super) fn use_it(self: &Arc<Self>) {
        let mut state = self.state();
        state.used = Instant::now();
        self.probe_if_down(&mut state);
    }

    pub(super) fn is_down(&self) -> bool {
        *self.is_down.borrow()
    }

    /// Whether it is asked for nothing, since what it signed was wrong.
    pub(super) fn is_doubted(&self) -> bool {
        self.state().doubt.holds(Instant::now()).is_some()
    }

    /// Until it is down.
    pub(super) async fn down(&self) {
        // The sender is here, so this ends only when it is so.
        let _ = self.is_down.subscribe().wait_for(|is_down| *is_down).await;
    }

    /// Why it is passed over.
    pub(super) fn passed_over(&self) -> SigningError {
        let why = self.state().health.down().map(|down| down.why.clone()).unwrap_or_default();
        SigningError::Down { ca: self.arn.clone(), why }
    }

    /// It does not do what it is for: others do from now on, and it is asked now and then.
    pub(super) fn fell(self: &Arc<Self>, why: String) {
        let mut state = self.state();
        if state.health.fell(why.clone(), self.clock.now()) {
            tracing::warn!(ca = %self.arn, "the CA is passed over where another can sign: {why}");
        }
        self.is_down.send_replace(true);
        self.probe_if_down(&mut state);
    }

    /// It signed what was asked for.
    pub(super) fn accepted(&self) {
        let down = {
            let mut state = self.state();
            state.issued += 1;
            state.doubt.accepted();
            self.is_down.send_replace(false);
            state.health.signed()
        };
        self.tell_up(down);
    }

    /// It signed something else.
    pub(super) fn refused(&self) {
        let mut state = self.state();
        state.refused += 1;
        if state.doubt.refused(Instant::now()) {
            tracing::error!(
                ca = %self.arn,
                "one certificate after the other is refused, and paid for: no more are asked for \
                 until one that is tried now and then is right"
            );
        }
    }

    /// AWS says that it signs.
    fn rose(&self) {
        let down = {
            let mut state = self.state();
            self.is_down.send_replace(false);
            state.health.rose()
        };
        self.tell_up(down);
    }

    fn tell_up(&self, down: Option<Down>) {
        if let Some(Down { why, since }) = down {
            let lasted = Duration::try_from(self.clock.now() - since).unwrap_or_default();
            tracing::info!(
                ca = %self.arn, since = %rfc3339(since), lasted = %roughly(lasted),
                "the CA is used again; it had been passed over: {why}"
            );
        }
    }

    /// What AWS says of it.
    pub(super) fn described(self: &Arc<Self>, status: &CaStatus) {
        match status {
            CaStatus::Active => self.rose(),
            CaStatus::Other(status) => self.fell(not_active(status)),
        }
    }

    fn probe_if_down(self: &Arc<Self>, state: &mut State) {
        if state.health.down().is_none() || state.is_probed {
            return;
        }
        state.is_probed = true;
        let (contact, first) = (Arc::downgrade(self), state.health.next_probe());
        tokio::spawn(async move {
            let mut wait = first;
            loop {
                sleep(wait).await;
                let Some(contact) = contact.upgrade() else { return };
                match contact.probe().await {
                    Some(next) => wait = next,
                    None => return,
                }
            }
        });
    }

    /// Asks once how it is, unless that is known or nobody wants to know. When to ask again.
    async fn probe(&self) -> Option<Duration> {
        if self.rests() {
            return None;
        }
        let why = match timeout(PROBE, self.service.describe(&self.arn)).await {
            Ok(Ok(description)) => match description.status {
                CaStatus::Active => {
                    self.rose();
                    None
                }
                CaStatus::Other(status) => Some(not_active(&status)),
            },
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(silent(PROBE).to_string()),
        };
        if let Some(why) = why {
            self.state().health.fell(why, self.clock.now());
        }
        if self.rests() {
            return None;
        }
        Some(self.state().health.next_probe())
    }

    /// Whether there is nothing to probe for; nobody does then.
    fn rests(&self) -> bool {
        let mut state = self.state();
        let rests = state.health.down().is_none() || state.used.elapsed() > UNUSED;
        state.is_probed &= !rests;
        rests
    }

    pub(super) fn health(&self) -> CaHealth {
        let now = self.clock.moment();
        let mut state = self.state();
        let doubted = state.doubt.holds(now.instant()).map(|held| Down {
            why: format!("the last {} certificates that it signed were refused", held.in_a_row),
            since: (now.wall() - now.instant().saturating_duration_since(held.since))
                .truncate_to_second(),
        });
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        CaHealth {
            arn: self.arn.clone(),
            down: state.health.down().cloned().or(doubted),
            asked_last_hour: count(state.brake.count(Instant::now())),
            most_per_hour: state.limit,
            issued: state.issued,
            refused: state.refused,
            waiting: count(self.lanes.issue.waiting() + self.lanes.get.waiting()),
        }
    }
}

fn not_active(status: &str) -> String {
    format!("it is {status}")
}

/// No answer in time.
pub(super) fn silent(patience: Duration) -> ServiceError {
    ServiceError::Unreachable { message: format!("no answer within {}", roughly(patience)) }
}
