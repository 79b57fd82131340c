//! Who is calling, by the kernel's word, and which nodes are theirs.
//!
//! What is known of a caller is what the kernel says of the process that connected: its effective
//! user and group (`SO_PEERCRED`), its executable, cgroup and mount namespace (proc(5)). It is read
//! once, when the connection is made, through a process that is pinned meanwhile; what the mesh
//! grants is asked again whenever the mesh changes. A caller that nothing fits sees nothing, and is
//! told of in the log once.
//!
//! What this cannot tell: a process that hands its connection to another, or that executes another
//! program between connecting and being looked at, is taken for the one that is looked at. And the
//! path of an executable is as its own mount namespace has it, which any user may make
//! (unshare(1)). So a `sha256` alone lets in everybody who may run that program, and an `executable`
//! alone everybody; name a `uid`, `pod` or `container` beside it. Knows nothing of sockets that listen, nor of what is served.

mod attestor;
mod caller;
mod cgroup;
mod executable;
mod grants;
mod held;
mod index;
mod process;

pub use attestor::Attestor;

#[cfg(test)]
mod tests;
