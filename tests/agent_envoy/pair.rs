//! An agent and two nodes: front, which calls, and blue, which is called.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::load::Load;
use crate::node::{Node, Setting};
use crate::support::agent::Agent;
use crate::support::{program, tools, wait};
use crate::wire;

/// Each authority has its place: front's own, and those that blue moves between.
pub const MESH: &str = "\
version: 1
trustDomain: example.org
dnsSuffix: example.org
authorities: { ca_1: {}, ca_2: {}, ca_3: {} }
virtualNodes:
  front: { authority: ca_3, backends: { blue: {} } }
  blue: { authority: ca_1, callers: [front] }
";

/// All three, running. The Envoys go first.
pub struct Pair {
    pub front: Node,
    pub blue: Node,
    pub agent: Agent,
}

/// How often something is done: the many are for the soak.
pub fn series(few: usize, many: usize) -> usize {
    if std::env::var_os("CERTCTL_SOAK").is_some() { many } else { few }
}

impl Pair {
    /// With these flags for the agent.
    pub fn start(flags: &str) -> Self {
        Self::of(flags, tools::envoy())
    }

    /// With another program in the place of Envoy.
    pub fn of(flags: &str, envoy: PathBuf) -> Self {
        Self::with(Agent::start(MESH, flags), envoy)
    }

    /// Of an agent that runs, with a mesh that has both.
    pub fn on(agent: Agent) -> Self {
        Self::with(agent, tools::envoy())
    }

    fn with(agent: Agent, envoy: PathBuf) -> Self {
        let blue = Setting::default().program(envoy.clone()).start(&agent, "blue");
        let front = Setting::default().program(envoy).backend("blue", &blue);
        let front = front.start(&agent, "front");
        let pair = Self { front, blue, agent };
        pair.connected();
        pair
    }

    /// Requests from front to blue.
    pub fn load(&self) -> Load {
        let load = Load::start(self.front.outbound(), &["blue"]);
        load.passes(3);
        load
    }

    /// Has new certificates made for both.
    pub fn renew(&self) {
        program::run(self.agent.directory(), "renew --sds sds.sock --all").done();
    }

    /// Waits until both have other certificates than these: until then the one that is later may still
    /// change under whoever looks.
    pub fn renewed(&self, before: &[String; 2]) {
        self.agent.until("both are renewed", |status| {
            let nodes = status["nodes"].as_array().expect("a list");
            let serial = |place: usize| nodes[place]["certificate"]["serial"].as_str();
            [0, 1].iter().all(|place| serial(*place) != Some(&before[*place]))
        });
    }

    /// Waits until what the agent serves is in use: blue's leaf on the wire, front's in its Envoy.
    /// Returns both serial numbers.
    pub fn in_use(&self) -> [String; 2] {
        let serials = ["front", "blue"].map(|node| self.agent.serial(node));
        wire::shows(self.blue.port(), &serials[1]);
        wait::until("front has its certificate", || {
            self.front.has_loaded(&serials[0]).then_some(())
        });
        serials
    }

    /// Waits until both Envoys have accepted everything that they asked for.
    pub fn connected(&self) {
        self.agent.until("both Envoys have what they ask for", all_accepted);
    }

    /// No Envoy refused anything.
    #[track_caller]
    pub fn nothing_refused(&self) {
        assert_eq!([self.front.refusals(), self.blue.refusals()], [0, 0]);
    }

    /// Starts the agent again after its end; returns how long the streams took to be back.
    pub fn again(&mut self, flags: &str) -> Duration {
        self.agent = self.agent.again(flags);
        let up = Instant::now();
        self.connected();
        up.elapsed()
    }
}

/// Whether both Envoys are there, and have accepted all that they asked for.
pub fn all_accepted(status: &Value) -> bool {
    let recipients = status["recipients"].as_array().expect("a list");
    // Its own certificate, its callers, and front its backend.
    [("front", 3), ("blue", 2)].iter().all(|(node, names)| {
        let own = recipients.iter().filter(|one| one["nodeId"] == *node);
        let secrets: Vec<_> =
            own.flat_map(|one| one["secrets"].as_array().expect("a list")).collect();
        secrets.len() == *names && secrets.iter().all(|secret| secret["state"] == "accepted")
    })
}

/// The middle and the greatest, in milliseconds.
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1_000.0;
    let median = times.get(times.len() / 2).map_or(0.0, milliseconds);
    let worst = times.last().map_or(0.0, milliseconds);
    format!("median {median:.1} ms, worst {worst:.1} ms of {}", times.len())
}
