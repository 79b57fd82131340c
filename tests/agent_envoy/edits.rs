//! Edits of the mesh file reach running Envoys at once: addGreen, and who may call whom.

use crate::node::{Node, Setting};
use crate::support::agent::Agent;
use crate::support::http;
use crate::support::{tools, wait};

const MESH: &str = "\
version: 1
trustDomain: example.org
dnsSuffix: example.org
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1] }
  blue: { authority: ca_1, callers: [front] }
  green: { authority: ca_2, callers: [front], trust: [ca_1] }
";

fn status(front: &Node, host: &str) -> u16 {
    http::get_from(front.outbound(), host, "/").expect("front answers").status
}

/// Waits until a call is answered with this status.
fn comes_to(front: &Node, host: &str, wanted: u16) {
    wait::until(&format!("{host} answers {wanted}"), || {
        (status(front, host) == wanted).then_some(())
    });
}

#[test]
fn adding_green_to_what_front_trusts_reaches_it_at_once() {
    let agent = Agent::start(MESH, "");
    let [blue, green] = ["blue", "green"].map(|name| Setting::default().start(&agent, name));
    let front = Setting::default().backend("blue", &blue).backend("green", &green);
    let front = front.start(&agent, "front");
    assert_eq!((status(&front, "blue"), status(&front, "green")), (200, 503));
    let serials = ["front", "blue", "green"].map(|node| agent.serial(node));
    agent.edit("trust: [ca_1] }\n  blue", "trust: [ca_1, ca_2] }\n  blue");
    comes_to(&front, "green", 200);
    assert_eq!(status(&front, "blue"), 200);
    agent.edit("trust: [ca_1, ca_2] }\n  blue", "trust: [ca_1] }\n  blue");
    comes_to(&front, "green", 503);
    assert_eq!(status(&front, "blue"), 200);
    let now = ["front", "blue", "green"].map(|node| agent.serial(node));
    assert_eq!(now, serials, "trust alone makes no new certificate");
}

#[test]
fn who_may_call_whom_is_changed_by_an_edit() {
    works_with(Setting::default);
}

/// What older Envoys must do as well: fetch, call, be edited, renew.
#[test]
fn an_older_supported_envoy_works_as_well() {
    works_with(|| Setting::default().program(tools::older_envoy()));
}

#[track_caller]
fn works_with(setting: impl Fn() -> Setting) {
    let agent = Agent::start(MESH, "");
    let blue = setting().start(&agent, "blue");
    let front = setting().backend("blue", &blue).start(&agent, "front");
    assert_eq!(status(&front, "blue"), 200);
    for nobody in ["[]", "[green]"] {
        let callers = format!("blue: {{ authority: ca_1, callers: {nobody}");
        agent.edit("blue: { authority: ca_1, callers: [front]", &callers);
        comes_to(&front, "blue", 503);
        agent.edit(&callers, "blue: { authority: ca_1, callers: [front]");
        comes_to(&front, "blue", 200);
    }
    let before = agent.serial("blue");
    crate::support::program::run(agent.directory(), "renew --sds sds.sock blue").done();
    agent.until("blue is renewed", |_| agent.serial("blue") != before);
    crate::wire::shows(blue.port(), &agent.serial("blue"));
    assert_eq!((status(&front, "blue"), front.refusals(), blue.refusals()), (200, 0, 0));
}

#[test]
fn an_envoy_that_reads_files_gets_the_same_as_one_that_asks() {
    let agent = Agent::start(MESH, "--files certs");
    agent.settled();
    wait::until("the files are there", || {
        agent.path("certs/blue_cert_chain.pem").exists().then_some(())
    });
    let blue = Setting::default().files("certs").start(&agent, "blue");
    let front = Setting::default().backend("blue", &blue).start(&agent, "front");
    assert_eq!(status(&front, "blue"), 200);
    for _ in 0..3 {
        let before = agent.serial("blue");
        crate::support::program::run(agent.directory(), "renew --sds sds.sock --all").done();
        agent.until("blue is renewed", |_| agent.serial("blue") != before);
        crate::wire::shows(blue.port(), &agent.serial("blue"));
        assert_eq!(status(&front, "blue"), 200);
    }
    assert_eq!(blue.refusals(), 0);
}
