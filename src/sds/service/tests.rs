//! The service over real sockets: with Envoy's own messages, and with a client that breaks rules.

mod client;
mod hostile;
mod limits;
mod log;
mod looked_at;
mod raw;
mod served;
mod support;
