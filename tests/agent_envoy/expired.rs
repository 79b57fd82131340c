//! A certificate whose end came because nobody could sign another.

use std::fs;

use crate::node::Setting;
use crate::support::agent::Agent;
use crate::support::wait;

const MESH: &str = "\
version: 1
trustDomain: example.org
defaults: { lifetime: 4s }
authorities: { ca_1: {} }
virtualNodes: { front: { authority: ca_1 } }
";

#[test]
fn what_has_expired_is_still_served_and_envoy_takes_it() {
    let mut agent = Agent::start(MESH, "");
    agent.settled();
    agent.stop();
    fs::remove_file(agent.path("state/ca_1_key.pem")).unwrap();
    let agent = agent.again("");
    let serial = agent.serial("front");
    agent.until("it has expired", |status| status["nodes"][0]["state"] == "expired");
    assert_eq!(agent.serial("front"), serial, "nothing else is served in its place");
    let front = Setting::default().start(&agent, "front");
    wait::until("Envoy has it", || front.has_loaded(&serial).then_some(()));
    assert_eq!(front.refusals(), 0);
    agent.logs("its certificate has expired, and is served on");
}
