//! Who may have what changes while they are connected.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::support::agent::Agent;
use crate::support::program;
use crate::support::sds_client::{Connection, Node, Response, Stream};
use crate::support::wait;

/// `front` is for whoever runs this, and the others for anybody.
fn mesh() -> String {
    format!(
        "\
version: 1
trustDomain: example.org
authorities: {{ ca_1: {{}} }}
defaults: {{ attest: any }}
virtualNodes:
  front: {{ authority: ca_1, attest: {{ uid: {} }} }}
  blue: {{ authority: ca_1 }}
  green: {{ authority: ca_1 }}
",
        rustix::process::geteuid().as_raw()
    )
}

fn granted() -> String {
    format!("attest: {{ uid: {} }}", rustix::process::geteuid().as_raw())
}

/// Granted to a user that nobody here is.
const TO_OTHERS: &str = "attest: { uid: 4000000000 }";

async fn next(stream: &mut Stream) -> Response {
    let response = tokio::time::timeout(wait::DEADLINE, stream.next()).await.expect("no response");
    let response = response.expect("the stream goes on");
    stream.accept(&response).unwrap();
    response
}

fn names(response: &Response) -> Vec<String> {
    response.secrets().into_iter().map(|secret| secret.name).collect()
}

/// Writes a mesh with one more node, and waits until it is served: then all else is in force.
fn put_in_force(agent: &Agent, mesh: &str) {
    agent.write_mesh(&format!("{mesh}  yellow: {{ authority: ca_1 }}\n"));
    agent.until("the edit is in force", |status| {
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().any(|node| node["name"] == "yellow" && node["state"] == "fresh")
    });
}

fn renewed(agent: &Agent, node: &str) {
    let before = agent.serial(node);
    program::run(agent.directory(), &format!("renew --sds sds.sock {node}")).done();
    agent.until("it is renewed", |_| agent.serial(node) != before);
}

#[test]
fn what_is_granted_no_more_is_sent_no_more_and_what_is_granted_again_is() {
    let agent = Agent::start(&mesh(), "");
    agent.settled();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("envoy");
        let mut stream = connection.subscribe(&node, &["front"], "").await.unwrap();
        let first = next(&mut stream).await.key().unwrap();
        put_in_force(&agent, &agent.mesh().replace(&granted(), TO_OTHERS));
        renewed(&agent, "front");
        // Whatever was sent meanwhile would come before the answer to this.
        stream.ask_for(&["front", "blue"]).unwrap();
        assert_eq!(names(&next(&mut stream).await), ["blue"]);
        agent.edit(TO_OTHERS, &granted());
        let response = next(&mut stream).await;
        assert!(names(&response).contains(&"front".to_owned()), "{:?}", names(&response));
        let mut alone = connection.subscribe(&node, &["front"], "").await.unwrap();
        assert_ne!(next(&mut alone).await.key().unwrap(), first);
    });
}

#[test]
fn a_node_that_is_removed_and_comes_back_is_sent_to_whoever_waited_and_may_have_it() {
    let agent = Agent::start(&mesh(), "");
    agent.settled();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("envoy");
        let mut stream = connection.subscribe(&node, &["front"], "").await.unwrap();
        next(&mut stream).await;
        let line = agent.mesh().lines().find(|line| line.contains("front:")).unwrap().to_owned();
        let line = format!("{line}\n");
        put_in_force(&agent, &agent.mesh().replace(&line, ""));
        stream.ask_for(&["front", "green"]).unwrap();
        assert_eq!(names(&next(&mut stream).await), ["green"]);
        // It comes back as somebody else, and for somebody else.
        let other = line.replace(&granted(), &format!("spiffePath: /other, {TO_OTHERS}"));
        let with =
            |line: &str| agent.mesh().replace("virtualNodes:\n", &format!("virtualNodes:\n{line}"));
        agent.write_mesh(&with(&other));
        agent.until("it has its certificate", |status| {
            status["nodes"][0]["spiffeId"] == "spiffe://example.org/other"
                && status["nodes"][0]["state"] == "fresh"
        });
        stream.ask_for(&["front", "green", "blue"]).unwrap();
        assert_eq!(names(&next(&mut stream).await), ["green", "blue"]);
        agent.edit(TO_OTHERS, &granted());
        let response = next(&mut stream).await;
        assert!(names(&response).contains(&"front".to_owned()), "{:?}", names(&response));
    });
}

#[test]
fn connections_that_come_and_go_leave_nothing_open() {
    let agent = Agent::start(&mesh(), "--metrics 127.0.0.1:0");
    agent.settled();
    let open = || fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap().count();
    let before = open();
    for at in 0..600 {
        let socket = if at % 3 == 0 { "sds.sock.admin" } else { "sds.sock" };
        let mut stream = UnixStream::connect(agent.path(socket)).unwrap();
        // Some say nothing, some half of something.
        if at % 2 == 0 {
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0").unwrap();
        }
    }
    wait::until("all are closed", || (open() <= before + 2).then_some(()));
}
