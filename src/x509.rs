//! Keys and certificates: what we put in, what we accept, and what is in one.

pub mod key;
pub mod profile;
