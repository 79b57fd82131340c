//! `certctl status` in all its forms.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::MESH;
use crate::support::agent::Agent;
use crate::support::program;
use crate::support::sds_client::{Connection, Node};

#[test]
fn the_table_says_what_there_is_and_ends_well_when_all_is_well() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let run = agent.status("").done();
    for name in ["front", "blue", "green"] {
        let row = run.row(name);
        let serial = agent.serial(name);
        assert!(row.contains(" fresh ") && row.contains(&serial[..12]), "{row}");
    }
    assert!(run.stdout.lines().any(|line| line.starts_with("ca_1  ") && line.contains("can sign")));
    run.tells("mesh file mesh.yaml").tells("unix:sds.sock").tells("0 Envoys with 0 streams");
}

#[test]
fn json_and_yaml_say_the_same() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let json = agent.status_json();
    assert_eq!(json["problems"], Value::Array(Vec::new()));
    assert_eq!(json["process"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["process"]["serves"][0], "unix:sds.sock");
    assert_eq!(json["mesh"]["trustDomain"], "example.org");
    assert_eq!(json["nodes"][2]["spiffeId"], "spiffe://example.org/green");
    assert_eq!(json["nodes"][2]["authority"], "ca_2");
    let yaml = agent.status("-o yaml").done().stdout;
    for line in ["trustDomain: example.org", "spiffeId: spiffe://example.org/green"] {
        assert!(yaml.contains(line), "{line} is not in\n{yaml}");
    }
}

#[test]
fn a_connected_envoy_is_shown_with_what_it_has_and_what_it_would_not_take() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    // The client goes on while this thread waits.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("envoy-1");
        let mut first = connection.subscribe(&node, &["front"], "").await.unwrap();
        let response = first.next().await.unwrap();
        first.accept(&response).unwrap();
        let mut second = connection.subscribe(&node, &["blue"], "").await.unwrap();
        let response = second.next().await.unwrap();
        second.reject(&response, "no\u{1b}[2J thanks").unwrap();
        let _third = connection.subscribe(&node, &["nobody"], "").await.unwrap();
        let status = agent.until("all three are known", |status| {
            let Some(secrets) = status["recipients"][0]["secrets"].as_array() else { return false };
            let states: Vec<_> = secrets.iter().map(|secret| secret["state"].as_str()).collect();
            states == [Some("rejected"), Some("accepted"), Some("held")]
        });
        let envoy = &status["recipients"][0];
        assert_eq!((&envoy["nodeId"], &envoy["streams"]), (&"envoy-1".into(), &3.into()));
        assert_eq!(envoy["agent"], "envoy 1.40.0");
        let own = std::env::current_exe().unwrap();
        let caller = envoy["caller"].as_str().unwrap();
        assert!(caller.contains(&format!("({})", own.display())), "{envoy}");
        let name = own.file_name().unwrap().to_str().unwrap();
        let in_short =
            format!("uid {}, pid {}, {name}", rustix::process::geteuid(), std::process::id());
        assert_eq!(envoy["callerInShort"], in_short);
        assert_eq!(envoy["secrets"][1]["accepted"], envoy["secrets"][1]["sent"]);
        assert_eq!(envoy["secrets"][0]["rejected"], "no\\u{1b}[2J thanks");
        let run = agent.status("");
        assert_eq!(run.code, Some(3));
        assert!(run.stdout.starts_with("problem  envoy-1: rejected blue: no"), "{}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
        let called = format!("envoy-1 (envoy 1.40.0, {in_short})");
        assert!(run.stdout.contains(&called), "{}", run.stdout);
        agent.logs("rejected");
    });
    agent.until("the Envoy is gone", |status| status["recipients"] == Value::Array(Vec::new()));
}

#[test]
fn what_a_removed_node_had_is_shown_as_withdrawn_with_whoever_has_it() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connected = runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let node = Node::bare("envoy-1");
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = connection.subscribe(&node, &["green"], "").await.unwrap();
            let response = stream.next().await.unwrap();
            stream.accept(&response).unwrap();
            streams.push(stream);
        }
        (connection, streams)
    });
    let green = "  green: { authority: ca_2, trust: [ca_1], callers: [front] }\n";
    for (from, to, state) in [(green, "#green\n", "withdrawn"), ("#green\n", green, "accepted")] {
        agent.edit(from, to);
        let status = agent.until(state, |status| {
            let secrets = status["recipients"][0]["secrets"].as_array().unwrap();
            secrets.len() == 1 && secrets[0]["state"] == state
        });
        let envoy = &status["recipients"][0];
        assert_eq!((&envoy["streams"], &envoy["secrets"][0]["name"]), (&2.into(), &"green".into()));
        let version = envoy["secrets"][0]["accepted"].as_str().unwrap();
        if state == "withdrawn" {
            let run = agent.status("").done();
            run.tells(&format!("withdrawn, has {}", &version[..8]));
        }
    }
    drop(connected);
}

#[test]
fn a_watch_prints_what_changes_and_nothing_else() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let mut command = program::command(agent.directory(), "status --sds sds.sock -o json --watch");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let mut text = String::new();
        loop {
            let line = lines.next().expect("the watch goes on").unwrap();
            text += &line;
            if line == "}" {
                return serde_json::from_str::<Value>(&text).unwrap();
            }
        }
    };
    assert_eq!(next()["nodes"].as_array().unwrap().len(), 3);
    agent.edit("  blue:", "  azure:");
    // The change may be seen before it is all done.
    while next()["nodes"][1]["name"] != "azure" {}
    child.kill().unwrap();
    child.wait().unwrap();
}
