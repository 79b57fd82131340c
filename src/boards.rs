//! The two boards on which those who serve speak back: who waits, and who has what.
//!
//! Entries are leased: they vanish with the lease, so that nobody waits for somebody who is gone.

mod deliveries;
mod demand;

pub use deliveries::{
    Aspect, Connected, Deliveries, Delivery, GONE_AFTER, Observer, Part, Recipient, RecipientView,
    Rejection, Subscription,
};
pub use demand::{Demand, Wait};
