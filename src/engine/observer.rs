//! What happens in the loop, told to whoever counts it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::{AuthorityName, NodeName};
use crate::snapshot::Generation;

/// Told of what happens in the loop: for metrics. Called from within it, so it must be quick.
pub trait Observer: Send + Sync + fmt::Debug {
    /// An attempt to make a certificate has ended so after so long.
    fn attempted(&self, _attempt: &Attempt<'_>) {}

    /// What was published as `generation` began, with an edit or a due moment, at `begun`.
    fn published(&self, _generation: Generation, _begun: Instant) {}

    /// The wall clock was set.
    fn clock_jumped(&self) {}

    /// The loop has woken up. At rest it does not.
    fn woke(&self) {}
}

/// One attempt to make a certificate.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Whose.
    pub node: &'a NodeName,
    /// Who was to sign it.
    pub authority: &'a AuthorityName,
    /// Whether that went well.
    pub done: bool,
    /// How long it took.
    pub took: Duration,
}

/// Counts nothing.
#[derive(Debug)]
pub struct Nobody;

impl Observer for Nobody {}
