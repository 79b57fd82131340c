//! The task itself: waits for whatever comes first, and lets the state take it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

use super::handle::Command;
use super::keeping::read_transitions;
use super::state::State;
use super::{EngineError, Options};
use crate::files::{Directory, DirectoryOptions, Layout};
use crate::rotation::schedule::Phase;
use crate::snapshot::Publisher;
use crate::time::{Moment, in_words};

/// A clock that differs by less was not set.
const JUMP: time::Duration = time::Duration::SECOND;

/// Runs until it is told to end.
pub(super) async fn run(
    options: Options,
    publisher: Publisher,
    commands: mpsc::UnboundedReceiver<Command>,
    ready: watch::Sender<bool>,
) -> Result<(), EngineError> {
    let directory = Arc::new(open(&options).await?);
    for warning in directory.warnings() {
        tracing::warn!("{warning}");
    }
    let (transitions, damage) = read_transitions(&directory)?;
    if let Some(damage) = damage {
        tracing::error!("{damage}");
    }
    let mut state = State::new(options, directory, publisher, transitions);
    let outcome = turns(&mut state, commands, &ready).await;
    finish_writing(&mut state).await.and(outcome)
}

async fn turns(
    state: &mut State,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: &watch::Sender<bool>,
) -> Result<(), EngineError> {
    let mut has_source = true;
    loop {
        let now = state.turn();
        if !*ready.borrow() && !state.slots_are_unpublished() {
            ready.send_replace(true);
        }
        let alarm = state.next(&now);
        let sleep = async {
            match alarm {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // When all handles are gone it goes on by itself.
            Some(command) = commands.recv() => match command {
                Command::Shutdown => return Ok(()),
                command => state.obey(command),
            },
            outcome = state.options.desired.changed(), if has_source => {
                has_source = outcome.is_ok();
                state.reload.edit |= has_source;
            }
            Some(ended) = state.attempts.join_next() => {
                let now = state.options.clock.moment();
                state.finish(ended, &now);
                // Those that ended meanwhile go into the same batch.
                while let Some(ended) = state.attempts.try_join_next() {
                    state.finish(ended, &now);
                }
            }
            Some(ended) = state.errands.join_next() => {
                let now = state.options.clock.moment();
                state.errand_ended(ended, &now);
            }
            saved = ended(&mut state.saving) => {
                let now = state.options.clock.moment();
                state.saved(saved?, &now);
            }
            prepared = ended(&mut state.preparing) => {
                let now = state.options.clock.moment();
                state.adopt(prepared?, &now);
            }
            recorded = ended(&mut state.trusting.recording) => {
                let now = state.options.clock.moment();
                state.recorded(recorded?, &now);
            }
            () = state.options.demand.changed() => state.hasten(),
            () = state.options.deliveries.changed(), if state.trusting.is_busy => {
                state.trusting.is_stale = true;
            }
            () = state.options.clock_changed.notified() => {}
            () = sleep => {}
        }
        state.options.observer.woke();
    }
}

impl State {
    /// Does all that can be done now.
    fn turn(&mut self) -> Moment {
        let now = self.options.clock.moment();
        let jump = now.jump_since(&self.last);
        self.last = now;
        if jump.abs() >= JUMP {
            self.clock_jumped(jump);
        }
        self.wake(&now);
        self.advance(&now);
        if !self.trusting.is_unpublished {
            self.publish(&now);
            self.advance(&now);
        }
        self.pump(&now);
        self.start_saving();
        self.plan_hierarchy(&now);
        self.start_preparing(&now);
        self.start_errands(&now);
        now
    }

    /// Looks at everything anew after the wall clock was set.
    fn clock_jumped(&mut self, by: time::Duration) {
        let direction = if by.is_negative() { "back" } else { "forward" };
        // A jump is made up of two clocks that were read one after the other.
        let by_words = in_words(by.unsigned_abs().saturating_add(Duration::from_millis(500)));
        tracing::warn!("the clock went {direction} by {by_words}; all deadlines are set anew");
        self.options.observer.clock_jumped();
        self.trusting.shift(by);
        let now = self.last.instant();
        for slot in self.slots.values_mut() {
            // What is being made would be valid by the clock as it was.
            slot.making = None;
            // And what nobody wanted by that clock is wanted from now on, if it is.
            if matches!(slot.schedule.phase(), Phase::Idle(_)) {
                slot.begun = now;
            }
        }
        // An authority may not be valid yet, or no longer: what nodes have is judged after it.
        self.is_clock_set = true;
        self.read_authorities();
    }

    fn obey(&mut self, command: Command) {
        let now = self.options.clock.moment();
        // Whoever asked may have gone away.
        match command {
            Command::Ping(reply) => drop(reply.send(())),
            Command::Reissue { nodes, begun } => drop(begun.send(self.reissue(nodes, &now))),
            Command::Reload => {
                self.read_authorities();
                self.errands.hurry();
                self.forgive_outages();
                let failed = self
                    .slots
                    .iter()
                    .filter(|(_, slot)| matches!(slot.schedule.phase(), Phase::Failed { .. }));
                self.trusting.undecided.extend(failed.map(|(name, _)| name.clone()));
            }
            Command::Shutdown => {}
            Command::Status(reply) => drop(reply.send(self.status(&now))),
        }
    }

    /// Whether what is stored has yet to be published.
    fn slots_are_unpublished(&self) -> bool {
        self.authorities.states.is_empty() && !self.options.desired.borrow().authorities.is_empty()
            || self.slots.values().any(|slot| slot.trust.is_none())
    }
}

/// Waits for a task, if there is one, and takes it away.
async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, EngineError> {
    let Some(running) = task else { return std::future::pending().await };
    let outcome = running.await;
    *task = None;
    outcome.map_err(|cause: JoinError| EngineError::CutOff { cause })
}

/// Sees that what is being written is written, and nothing holds the state directory any more.
async fn finish_writing(state: &mut State) -> Result<(), EngineError> {
    if state.saving.is_some() {
        let now = state.options.clock.moment();
        let saved = ended(&mut state.saving).await?;
        state.saved(saved, &now);
    }
    state.start_saving();
    if state.saving.is_some() {
        drop(ended(&mut state.saving).await?);
    }
    if state.trusting.recording.is_some() {
        drop(ended(&mut state.trusting.recording).await?);
    }
    if state.preparing.is_some() {
        drop(ended(&mut state.preparing).await?);
    }
    Ok(())
}

/// Opens and locks the state directory. On a thread of its own, not of the runtime: that would
/// wait at its end for one that waits for a lock.
async fn open(options: &Options) -> Result<Directory, EngineError> {
    let (opened, directory) = oneshot::channel();
    let path = options.state.clone();
    let thread = std::thread::Builder::new().name("state".to_owned()).spawn(move || {
        let on_wait = || {
            tracing::warn!(
                directory = %path.display(),
                "another process holds the state directory; waiting until it lets go (with \
                 --replace it is asked to)"
            );
        };
        let keys = DirectoryOptions::new(Layout::Flat);
        let _ = opened.send(Directory::open(&path, keys, on_wait));
    });
    thread.map_err(|cause| EngineError::Thread { cause })?;
    match directory.await {
        Ok(directory) => Ok(directory?),
        Err(_) => {
            let cause = std::io::Error::other("it ended without a result");
            Err(EngineError::Thread { cause })
        }
    }
}
