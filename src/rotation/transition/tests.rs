//! Every kind of change, every order of events.

mod by_name;
mod changes;
mod envoys;
mod restarts;
mod simulation;
mod waits;
mod world;
