//! What operators see of a running process from afar: its log, its metrics, its health.
//!
//! Is told what happens through the observers of other rooms and is asked by whoever scrapes. Knows
//! nothing of how anything is done, and no key ever comes near it.

pub mod logs;
pub mod metrics;
pub mod pages;
mod standing;
