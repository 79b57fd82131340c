//! The meshes, and the real agent that keeps them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Process;
use crate::sds_fleet::Member;

/// The agent's program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_certctl");

/// Where the agent listens, in its directory.
pub const SOCKET: &str = "sds.sock";

/// So many nodes of one authority; another one waits to be trusted.
pub fn text(count: usize) -> String {
    let mut mesh = "version: 1\ntrustDomain: mesh.example\n\
                    authorities: { ca_1: {}, ca_2: {} }\ndefaults: { trust: [ca_1] }\n\
                    virtualNodes:\n"
        .to_owned();
    for node in 0..count {
        writeln!(mesh, "  {}: {{ authority: ca_1 }}", name(node)).unwrap();
    }
    mesh
}

/// What a node is called.
pub fn name(node: usize) -> String {
    format!("node-{node:04}")
}

/// An Envoy for each node: its own certificate on one stream, what it trusts on another.
pub fn envoys(count: usize) -> Vec<Member> {
    let names = || vec!["default".to_owned(), "ROOTCA".to_owned()];
    (0..count).map(|node| Member { id: name(node), names: names() }).collect()
}

/// Writes the mesh file as editors do.
pub fn save(directory: &Path, mesh: &str) {
    fs::write(directory.join("mesh.new"), mesh).unwrap();
    fs::rename(directory.join("mesh.new"), directory.join("mesh.yaml")).unwrap();
}

/// Starts the agent in a directory that has a mesh file.
pub fn agent(directory: &Path) -> Process {
    let arguments = ["agent", "-f", "mesh.yaml", "--sds", SOCKET, "--state", "state"];
    Process::start(PROGRAM, &arguments, directory)
}

/// Where an operator asks the agent.
pub fn admin(directory: &Path) -> PathBuf {
    directory.join(format!("{SOCKET}.admin"))
}
