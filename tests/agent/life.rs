//! Starting, ending, starting again, and taking another one's place.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::process::Signal;

use crate::MESH;
use crate::support::agent::{self, Agent};
use crate::support::program::{self, unwrapped};
use crate::support::wait;

#[test]
fn an_agent_that_is_told_to_end_ends_well_and_leaves_no_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = Agent::start(MESH, "");
        agent.settled();
        let mode =
            |name: &str| fs::metadata(agent.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("sds.sock"), mode("sds.sock.admin")), (0o600, 0o600));
        agent.signal(signal);
        assert!(agent.end().success(), "{}", agent.log());
        for name in ["sds.sock", "sds.sock.admin"] {
            assert!(!agent.path(name).exists(), "{name} is left");
        }
    }
}

#[test]
fn a_first_start_makes_what_is_missing_and_warns_of_nothing() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    let events = agent.events();
    assert!(events.iter().any(|event| event["message"] == "new certificate"), "{events:#?}");
    let loud = events.iter().find(|event| event["level"] != "INFO");
    assert!(loud.is_none(), "{loud:?}");
}

#[test]
fn an_agent_that_is_told_to_end_while_it_starts_leaves_no_socket() {
    let first = Agent::start(MESH, "");
    // The state is the other's: it waits, with its socket bound.
    let waiting = "-f mesh.yaml --sds other.sock --state state";
    let mut second = Agent::begin(first.place(), waiting);
    second.logs("another process holds the state directory");
    assert!(second.path("other.sock").exists());
    assert!(second.stop().success(), "{}", second.log());
    assert!(!second.path("other.sock").exists(), "{}", second.log());
    first.settled();
}

#[test]
fn an_agent_that_starts_again_serves_the_same_certificates() {
    let mut agent = Agent::start(MESH, "");
    let serials = |agent: &Agent| ["front", "blue", "green"].map(|node| agent.serial(node));
    agent.settled();
    let before = serials(&agent);
    agent.stop();
    let mut second = agent.again("");
    assert_eq!(serials(&second), before);
    second.kill();
    assert!(second.path("sds.sock").exists(), "a killed agent can remove nothing");
    let third = second.again("");
    assert_eq!(serials(&third), before);
}

#[test]
fn an_agent_that_stores_nothing_makes_new_certificates_under_the_same_authorities() {
    let mut agent = Agent::start(MESH, "--no-store");
    agent.settled();
    let before = agent.serial("front");
    let root = fs::read(agent.path("state/ca_1_cert.pem")).unwrap();
    agent.stop();
    let names: Vec<_> = fs::read_dir(agent.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.starts_with("front")), "{names:?}");
    let second = agent.again("--no-store");
    second.settled();
    assert_ne!(second.serial("front"), before);
    assert_eq!(fs::read(second.path("state/ca_1_cert.pem")).unwrap(), root);
}

#[test]
fn a_second_agent_on_the_same_socket_is_refused_and_the_first_goes_on() {
    let first = Agent::start(MESH, "");
    let mut second = Agent::begin(first.place(), "-f mesh.yaml --sds sds.sock --state other-state");
    assert_eq!(second.end().code(), Some(1), "{}", second.log());
    let told = unwrapped(&second.log());
    assert!(told.contains("in use by process") && told.contains("--replace"), "{told}");
    assert!(told.contains(&first.pid().to_string()), "{told}");
    first.settled();
}

#[test]
fn an_agent_that_replaces_another_serves_the_same_from_the_same_socket() {
    let mut first = Agent::start(MESH, "");
    first.settled();
    let before = first.serial("front");
    let inode = |agent: &Agent| fs::metadata(agent.socket()).unwrap().ino();
    let socket = inode(&first);
    let second = first.again("--replace");
    assert!(first.end().success(), "{}", first.log());
    assert_eq!((second.serial("front"), inode(&second)), (before, socket));
    second.settled();
}

#[test]
fn an_agent_that_cannot_take_over_leaves_the_first_at_work() {
    let first = Agent::start(MESH, "");
    first.settled();
    let before = first.serial("front");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let flags = format!(
        "-f mesh.yaml --sds sds.sock --state state --replace --metrics {}",
        taken.local_addr().unwrap()
    );
    let mut second = Agent::begin(first.place(), &flags);
    assert_eq!(second.end().code(), Some(1), "{}", second.log());
    first.logs("takes up the loop again");
    let status = first.until("the first answers again", |status| {
        status["nodes"][0]["certificate"]["serial"] == before.as_str()
    });
    assert_eq!(status["process"]["pid"], first.pid());
    // And it works: what is edited is made, and a later successor takes over.
    first.edit("  blue:", "  azure:");
    first.until("the edit is in force", |status| status["nodes"][1]["name"] == "azure");
    first.settled();
    let third = first.again("--replace");
    assert_eq!(third.serial("front"), before);
}

#[test]
fn replacing_where_nobody_runs_is_starting() {
    let agent = Agent::start(MESH, "--replace");
    agent.settled();
}

#[test]
fn a_hangup_reads_everything_again() {
    let agent = Agent::start(MESH, "");
    agent.settled();
    agent.signal(Signal::HUP);
    agent.logs("reload");
    agent.settled();
}

#[test]
fn an_agent_that_is_told_to_reload_while_it_is_replaced_still_lets_go() {
    let mut first = Agent::start(MESH, "");
    first.settled();
    // Half a request holds the admin socket's end up for a while, and the signal finds it so.
    let mut admin = UnixStream::connect(first.path("sds.sock.admin")).unwrap();
    admin.write_all(b"GET /status HTTP/1.1\r\n").unwrap();
    let second = Agent::begin(first.place(), "-f mesh.yaml --sds sds.sock --state state --replace");
    first.logs("puts down the loop");
    first.signal(Signal::HUP);
    first.logs("told to reload");
    assert!(first.end().success(), "{}", first.log());
    second.ready().settled();
}

#[test]
fn an_agent_for_readers_of_files_needs_no_socket_for_envoys() {
    let place = agent::prepare(MESH);
    let mut agent = Agent::begin(Arc::clone(&place), "-f mesh.yaml --state state --files files");
    wait::until("the files are there", || {
        let chains = ["front", "blue", "green"].map(|node| format!("files/{node}_cert_chain.pem"));
        chains.iter().all(|name| place.path().join(name).is_file()).then_some(())
    });
    let run = program::run(place.path(), "status --state state -o json").done();
    assert_eq!(run.json()["process"]["pid"], agent.pid());
    assert!(run.json()["files"]["problem"].is_null());
    assert!(agent.stop().success(), "{}", agent.log());
}
