//! A node of the mesh as it runs: its application, and its Envoy, which boots from what `certctl
//! envoy` prints for it.

use std::path::{Path, PathBuf};

use crate::support::agent::Agent;
use crate::support::application::Application;
use crate::support::process::Envoy;
use crate::support::{program, tools};

/// How a node's Envoy is started.
pub struct Setting {
    program: PathBuf,
    flags: String,
}

/// A running node.
pub struct Node {
    pub envoy: Envoy,
    _application: Application,
}

impl Default for Setting {
    fn default() -> Self {
        Self { program: tools::envoy(), flags: String::new() }
    }
}

impl Setting {
    /// With files of this directory instead of SDS.
    pub fn files(mut self, directory: &str) -> Self {
        self.flags += &format!(" --files {directory}");
        self
    }

    /// With a backend, where it listens.
    pub fn backend(mut self, name: &str, node: &Node) -> Self {
        self.flags += &format!(" --backend {name}=127.0.0.1:{}", node.port());
        self
    }

    /// By another program.
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Starts the node in the agent's directory, and waits until its Envoy is ready.
    pub fn start(self, agent: &Agent, name: &'static str) -> Node {
        let (application, config) = self.prepare(agent.directory(), name);
        let envoy = Envoy::begin(&self.program, agent.directory(), name, &config).ready();
        Node { envoy, _application: application }
    }

    fn prepare(&self, directory: &Path, name: &'static str) -> (Application, String) {
        let application = Application::start(name);
        let address = application.address();
        let source = if self.flags.contains("--files") { "" } else { "--sds sds.sock" };
        let flags = &self.flags;
        let printed = program::run(
            directory,
            &format!(
                "envoy {name} -f mesh.yaml {source} -o envoys --listen 127.0.0.1:0 \
                 --outbound 127.0.0.1:0 --application {address}{flags}"
            ),
        );
        printed.done();
        let config = std::fs::read_to_string(directory.join(format!("envoys/{name}.yaml")));
        let config = config.expect("what was printed");
        // Each request makes a connection of its own, so that none is without a handshake.
        let once = "common_http_protocol_options: { max_requests_per_connection: 1, ";
        (application, config.replace("common_http_protocol_options: { ", once))
    }
}

impl Node {
    /// Where it takes calls.
    pub fn port(&self) -> u16 {
        self.envoy.port("inbound")
    }

    /// Where its own calls go out.
    pub fn outbound(&self) -> u16 {
        self.envoy.port("outbound")
    }

    /// How many secrets its Envoy has refused.
    pub fn refusals(&self) -> u64 {
        let stats = self.envoy.admin("/stats?filter=sds");
        let counters = stats.lines().filter_map(|line| line.split_once(".update_rejected: "));
        counters.map(|(_, count)| count.parse::<u64>().expect("a number")).sum()
    }

    /// Whether its Envoy has loaded the certificate with this serial number, as its own or as one
    /// that it trusts.
    pub fn has_loaded(&self, serial: &str) -> bool {
        let text = self.envoy.admin("/certs").to_ascii_lowercase();
        text.contains(&format!("\"{}\"", serial.to_ascii_lowercase()))
    }
}
