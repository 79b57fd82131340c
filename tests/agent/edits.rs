//! The mesh file changes while the agent runs.

use serde_json::Value;

use crate::MESH;
use crate::support::agent::Agent;

fn names(status: &Value) -> Vec<&str> {
    let nodes = status["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[test]
fn a_broken_edit_is_told_and_the_last_good_mesh_stays_until_it_is_mended() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let before = agent.serial("front");
    agent.edit("green:", "gr een:");
    let status = agent.until("the edit is told", |status| !status["mesh"]["problem"].is_null());
    assert_eq!(names(&status), ["front", "blue", "green"]);
    let told = status["problems"][0].as_str().unwrap();
    assert!(told.contains("mesh.yaml: not in force as it stands") && told.contains("8:"), "{told}");
    assert_eq!(agent.status("").code, Some(3));
    let logged = agent.logs("the mesh file is not used as it stands");
    assert!(logged.contains("mesh.yaml:8:"), "{logged}");
    agent.edit("gr een:", "yellow:");
    agent.logs("the mesh file can be used again");
    let status = agent.until("the mended mesh is in force", |status| {
        status["mesh"]["problem"].is_null() && names(status).contains(&"yellow")
    });
    assert_eq!(names(&status), ["front", "blue", "yellow"]);
    agent.settled();
    assert_eq!(agent.serial("front"), before, "an edit elsewhere makes no new certificate");
}

#[test]
fn an_agent_for_one_node_keeps_that_node_alone() {
    let agent = Agent::start(MESH, "--node front");
    assert_eq!(names(&agent.settled()), ["front"]);
    let before = agent.serial("front");
    agent.edit("blue:", "azure:");
    agent.edit("front: {", "front: { dnsNames: [front.example.org],");
    let status = agent.until("the new name", |status| {
        status["nodes"][0]["certificate"]["serial"].as_str().is_some_and(|now| now != before)
    });
    assert_eq!(names(&status), ["front"]);
}

#[test]
fn an_operator_renews_what_is_named_and_nothing_else() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let before = ["front", "blue", "green"].map(|node| agent.serial(node));
    let renew = |what: &str| {
        crate::support::program::run(agent.directory(), &format!("renew --sds sds.sock {what}"))
    };
    let run = renew("front");
    assert_eq!(run.clone().done().stderr, "1 renewal begun\n");
    agent.until("front is another one", |_| agent.serial("front") != before[0]);
    assert_eq!(["blue", "green"].map(|node| agent.serial(node)), before[1..]);
    renew("frnt").failed(&["this agent keeps no node frnt"]);
    renew("--all").done();
    agent.until("all are others", |_| {
        ["blue", "green"]
            .map(|node| agent.serial(node))
            .iter()
            .zip(&before[1..])
            .all(|(a, b)| a != b)
    });
}
