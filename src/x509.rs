//! Keys and certificates: what we put in, what we accept, and what is in one.

pub mod certificate;
pub mod credential;
pub mod describe;
pub mod key;
pub mod pem;
pub mod printable;
pub mod profile;
pub mod request;
pub mod signing_request;
pub mod verdict;
pub mod verification;
