//! Every kind of change, every order of events.

mod changes;
mod envoys;
mod restarts;
mod simulation;
mod waits;
mod world;
