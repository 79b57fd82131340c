//! One node, one Envoy: how soon it starts, and what it costs at rest.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::sds_client::{Connection, Node, Stream};
use crate::{Place, heading, least, mesh, milliseconds, quantile, row};

const ROUNDS: usize = 15;
/// How long after its start a server is taken to rest.
const SETTLED: Duration = Duration::from_secs(12);
/// How long rest is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Measures and prints.
pub async fn run() {
    let [mut first, mut stored, mut bare] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let place = Place::fresh();
        let directory = place.0.path();
        mesh::save(directory, &mesh::text(1));
        let (agent, time, ..) = started(directory, || mesh::agent(directory)).await;
        first.push(milliseconds(time));
        agent.at_rest().await;
        stored.push(again(agent, directory).await);
        let place = Place::fresh();
        let directory = place.0.path();
        bare.push(milliseconds(
            started(directory, || least::start(directory, mesh::SOCKET)).await.1,
        ));
    }
    heading(&format!("one node, one Envoy; medians of {ROUNDS}"));
    let bare = quantile(&mut bare, 0.5);
    row("start to first secret, CA and leaf made", "ms", quantile(&mut first, 0.5), Some(bare));
    row("start to first secret, no CA key there", "ms", quantile(&mut stored, 0.5), Some(bare));
    rest().await;
    let size = fs::metadata(mesh::PROGRAM).unwrap().len();
    row("the program", "MiB", size as f64 / 1_048_576.0, None);
}

/// Kills an agent and starts it where nobody can sign: until an Envoy has what there was, in
/// milliseconds.
pub async fn again(agent: Process, directory: &Path) -> f64 {
    agent.kill();
    for name in ["ca_1", "ca_2"] {
        fs::remove_file(directory.join(format!("state/{name}_key.pem"))).unwrap();
    }
    fs::remove_file(directory.join(mesh::SOCKET)).unwrap();
    milliseconds(started(directory, || mesh::agent(directory)).await.1)
}

async fn rest() {
    let (ours, least) = (Place::fresh(), Place::fresh());
    mesh::save(ours.0.path(), &mesh::text(1));
    let (agent, _, _open) = started(ours.0.path(), || mesh::agent(ours.0.path())).await;
    let start = || least::start(least.0.path(), mesh::SOCKET);
    let (bare, _, _bare_open) = started(least.0.path(), start).await;
    agent.at_rest().await;
    bare.at_rest().await;
    row("resident memory", "MiB", agent.memory() / 1_024.0, Some(bare.memory() / 1_024.0));
    // Threads that were needed at the start end by themselves, and take their counts with them.
    tokio::time::sleep(SETTLED).await;
    agent.at_rest().await;
    let before = (agent.switches(), agent.processor_time());
    tokio::time::sleep(WATCHED).await;
    let woken = agent.switches().saturating_sub(before.0);
    let worked = agent.processor_time().saturating_sub(before.1);
    row("at rest for 10 s: woken", "times", woken as f64, None);
    row("at rest for 10 s: processor", "ms", milliseconds(worked), None);
}

/// Starts a server, and measures the time until an Envoy has its certificate.
async fn started(
    directory: &Path,
    start: impl FnOnce() -> Process,
) -> (Process, Duration, (Connection, Stream)) {
    let socket = directory.join(mesh::SOCKET);
    let node = Node::whole(&mesh::name(0));
    let begun = Instant::now();
    let process = start();
    let connection = loop {
        match Connection::open(&socket).await {
            Ok(connection) => break connection,
            Err(_) => tokio::time::sleep(Duration::from_micros(200)).await,
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", log(directory));
    };
    let mut stream = connection.subscribe(&node, &["default"], "").await.unwrap();
    let response = stream.next().await.unwrap_or_else(|| panic!("{}", log(directory)));
    let time = begun.elapsed();
    stream.accept(&response).unwrap();
    (process, time, (connection, stream))
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}
