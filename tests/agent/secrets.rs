//! No private key leaves the agent but to whom it belongs.

use std::fs;

use crate::MESH;
use crate::metrics::port;
use crate::support::agent::Agent;
use crate::support::http;
use crate::support::sds_client::{Connection, Node};

/// What a text must not have in it: the key's lines, in PEM, and how bytes are printed by programs
/// that mean no harm.
fn traces(key: &str) -> Vec<String> {
    let lines = key.lines().filter(|line| !line.starts_with('-') && line.len() > 20);
    let bytes = |from: &str| {
        let numbers: Vec<_> = from.bytes().take(12).map(|byte| byte.to_string()).collect();
        numbers.join(", ")
    };
    lines.flat_map(|line| [line.to_owned(), bytes(line)]).collect()
}

#[test]
fn no_key_is_in_a_log_at_its_most_talkative_nor_in_any_answer() {
    let agent = Agent::start(MESH, "--log trace --metrics 127.0.0.1:0");
    agent.settled();
    // The client goes on while this thread waits.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("envoy-1");
        let mut keys = Vec::new();
        for name in ["front", "blue", "green"] {
            let mut stream = connection.subscribe(&node, &[name], "").await.unwrap();
            let response = stream.next().await.unwrap();
            keys.push(response.key().unwrap());
            match name {
                "front" => stream.accept(&response).unwrap(),
                _ => stream.reject(&response, "Failed to load private key").unwrap(),
            }
            let state = if name == "front" { "accepted" } else { "rejected" };
            agent.until("the answer has arrived", |status| {
                let recipients = status["recipients"].as_array().unwrap();
                let mut secrets =
                    recipients.iter().flat_map(|one| one["secrets"].as_array().unwrap());
                secrets.any(|secret| secret["name"] == name && secret["state"] == state)
            });
        }
        keys
    });
    let mut keys = served;
    for entry in fs::read_dir(agent.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with("_key.pem") {
            keys.push(fs::read_to_string(path).unwrap());
        }
    }
    assert!(keys.len() >= 5, "{}", keys.len());
    let told = [
        agent.log(),
        agent.status("").text(),
        agent.status("-o json").text(),
        agent.status("-o yaml").text(),
        http::get(port(&agent), "/metrics").unwrap().body,
        http::get(port(&agent), "/readyz").unwrap().body,
    ];
    assert!(told[0].lines().count() > 50, "the log says little: {}", told[0]);
    for key in &keys {
        let traces = traces(key);
        assert!(traces.len() >= 2, "a key has lines");
        for trace in traces {
            assert!(!told.iter().any(|text| text.contains(&trace)), "{trace:?} was told");
        }
    }
    for text in &told {
        assert!(!text.contains("PRIVATE KEY"), "a key was told");
    }
}
