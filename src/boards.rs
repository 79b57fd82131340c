//! The two boards on which those who serve speak back: who waits, and who has what.
//!
//! Entries are leased: they vanish with the lease, so that nobody waits for somebody who is gone.

mod away;
mod deliveries;
mod demand;

pub use away::{GONE_AFTER, MOST_AWAY};
pub use deliveries::{
    Aspect, Connected, Deliveries, Delivery, Observer, Part, Recipient, RecipientView, Rejection,
    Subscription,
};
pub use demand::{Demand, Wait};

#[cfg(test)]
mod tests;
