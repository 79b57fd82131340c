//! What cannot work is refused before anything is begun, with what to do about it.

use std::fs;

use crate::MESH;
use crate::support::program::{self, Run};

/// Runs `certctl agent` in a directory with a mesh file. It is to end by itself.
fn agent(flags: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mesh.yaml"), MESH).unwrap();
    fs::write(directory.path().join("broken.yaml"), MESH.replace("[ca_1]", "[ca_7]")).unwrap();
    program::run(directory.path(), &format!("agent {flags}"))
}

#[test]
fn an_agent_that_serves_nobody_is_refused() {
    let words = ["nobody would get anything from this agent", "--sds PATH", "--files DIR"];
    agent("").ended_with(2, &words);
}

#[test]
fn a_broken_mesh_file_is_refused_at_the_start_and_shown() {
    let run = agent("-f broken.yaml --sds sds.sock");
    run.failed(&["broken.yaml", "ca_7", "did you mean `ca_1`?"]);
}

#[test]
fn a_mesh_file_that_is_not_there_is_refused() {
    agent("-f nowhere.yaml --sds sds.sock").failed(&["there is no file nowhere.yaml", "-f FILE"]);
    agent("-f - --sds sds.sock").ended_with(2, &["standard input", "name a file"]);
}

#[test]
fn a_node_that_the_mesh_does_not_have_is_answered_with_the_nearest() {
    let run = agent("--sds sds.sock --node frnt");
    run.failed(&["the mesh has no node \"frnt\"", "did you mean `front`?"]);
}

#[test]
fn a_log_filter_that_is_none_is_refused() {
    let run = agent("--sds sds.sock --log certctl=loud");
    run.ended_with(2, &["\"certctl=loud\" is no log filter", "info,certctl::sds=debug"]);
}

#[test]
fn two_things_in_one_place_are_refused() {
    let run = agent("--sds sds.sock --admin ./sds.sock");
    run.ended_with(2, &["--sds and --admin both name sds.sock"]);
    let run = agent("--sds sds.sock --state one --files one");
    run.ended_with(2, &["--files and --state both name one"]);
}

#[test]
fn a_place_that_cannot_be_used_is_refused_before_anything_is_begun() {
    // Long enough for the socket itself, not for the one beside it.
    let long = format!("{}/sds.sock", "x".repeat(95));
    agent(&format!("--sds {long}")).failed(&["sds.sock.admin is 110 bytes long", "at most 107"]);
    agent("--sds mesh.yaml").failed(&["mesh.yaml is there and is not a socket", "choose another"]);
    agent("--sds mesh.yaml/sds.sock").failed(&["the directory mesh.yaml", "name another path"]);
    agent("--sds sds.sock --files mesh.yaml")
        .failed(&["mesh.yaml is there and is not a directory"]);
    agent("--sds sds.sock --state mesh.yaml").failed(&["choose another directory"]);
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    agent("--sds-tcp 0.0.0.0:0").failed(&["127.0.0.1"]);
}

#[test]
fn what_is_no_value_of_a_flag_is_wrong_usage() {
    for flags in ["--sds-tcp nowhere", "--settle-within soon", "--node no/node", "--frobnicate"] {
        let run = agent(&format!("--sds sds.sock {flags}"));
        assert_eq!(run.code, Some(2), "{flags}: {}", run.stderr);
    }
    let run = agent("--sds sds.sock --metrics 9464");
    run.ended_with(2, &["such as 127.0.0.1:9464"]);
}

#[test]
fn where_no_agent_runs_the_answer_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["status", "status --watch", "renew --all"] {
        let run = program::run(directory.path(), &format!("{command} --sds sds.sock"));
        run.failed(&["no agent answers at sds.sock.admin", "start one with `certctl agent`"]);
    }
    assert_eq!(program::run(directory.path(), "renew").code, Some(2));
    assert_eq!(program::run(directory.path(), "renew front --all").code, Some(2));
}

#[test]
fn files_for_others_in_the_directory_of_what_is_kept_are_refused() {
    let run = agent("-f mesh.yaml --state kept --files ./kept/");
    run.ended_with(2, &["--files and --state"]);
}
