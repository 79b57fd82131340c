//! Thousands of nodes, each with an Envoy of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use certctl::admin::client::Client;

use crate::process::{Process, processor_time};
use crate::sds_client::{Connection, Node};
use crate::sds_fleet::{Arrival, Fleet, Manners};
use crate::{Place, heading, least, mesh, milliseconds, quantile, row, sidecar};

/// How many more connect, one after the other, when all are connected.
const LATE: usize = 500;

/// What was measured of a server.
#[derive(Debug, Default)]
struct Figures {
    /// Every Envoy connects at the same moment: until the middle one and the last have both secrets.
    burst: [f64; 2],
    /// The time that it took of processors until it was at rest again, and that the clients took.
    worked: [f64; 2],
    /// One more connects: the middle one and the slowest of a hundred.
    late: [f64; 2],
    /// Memory for each connection, in KiB.
    memory: f64,
    /// Something changes for all: until the first and the last have it, and the server is at rest.
    pushed: [f64; 3],
}

/// Measures and prints.
pub async fn run(count: usize) {
    let (least, ours) = (least_of(count).await, Place::fresh());
    let directory = ours.0.path();
    mesh::save(directory, &mesh::text(count));
    let begun = Instant::now();
    let agent = mesh::agent(directory);
    let client = Client::new(&mesh::admin(directory));
    let issued = all_issued(&agent, &client, count, begun).await;
    let socket = directory.join(mesh::SOCKET);
    let (mut fleet, mut figures) = connected(&agent, &socket, count).await;

    let wider = mesh::text(count).replace("trust: [ca_1]", "trust: [ca_1, ca_2]");
    figures.pushed = pushed(&agent, &mut fleet, count, || mesh::save(directory, &wider)).await;

    heading(&format!("{count} nodes, each with an Envoy and two streams"));
    row("start until every node has a certificate", "ms", issued, None);
    let of = |pick: fn(&Figures) -> f64| (pick(&figures), Some(pick(&least)));
    for (what, unit, (ours, least)) in [
        ("all connect at once: half of them have both", "ms", of(|f| f.burst[0])),
        ("all connect at once: the last has both", "ms", of(|f| f.burst[1])),
        ("all connect at once: processors of the server", "ms", of(|f| f.worked[0])),
        ("all connect at once: processors of the clients", "ms", of(|f| f.worked[1])),
        ("one more connects, median", "ms", of(|f| f.late[0])),
        ("one more connects, 99th percentile", "ms", of(|f| f.late[1])),
        ("memory for each connection", "KiB", of(|f| f.memory)),
        ("a new root for all: the first has it", "ms", of(|f| f.pushed[0])),
        ("a new root for all: the last has it", "ms", of(|f| f.pushed[1])),
        ("a new root for all: all acknowledgements read", "ms", of(|f| f.pushed[2])),
    ] {
        row(what, unit, ours, least);
    }

    // One certificate: its own stream, and no other.
    let before = (agent.switches(), agent.processor_time(), Instant::now());
    client.reissue(&[mesh::name(count / 2)]).await.unwrap();
    let arrival = fleet.arrivals(1).await.remove(0);
    agent.at_rest().await;
    assert!(arrival.member == count / 2 && fleet.is_quiet(), "others were sent something");
    let time = arrival.at.into_std() - before.2;
    row("one certificate renewed: its Envoy has it", "ms", milliseconds(time), None);
    let worked = agent.processor_time().saturating_sub(before.1);
    row("one certificate renewed: processor", "ms", milliseconds(worked), None);
    row(
        "one certificate renewed: woken",
        "times",
        (agent.switches().saturating_sub(before.0)) as f64,
        None,
    );

    // All of them.
    let begun = Instant::now();
    client.reissue(&[]).await.unwrap();
    let arrivals = fleet.arrivals(count).await;
    let rested = agent.at_rest().await;
    let [first, last] = ends(&arrivals, begun);
    row("all renewed: the first has its own", "ms", first, None);
    row("all renewed: the last has its own", "ms", last, None);
    row("all renewed: all acknowledgements read", "ms", milliseconds(rested - begun), None);
    row("memory at the end", "MiB", agent.memory() / 1_024.0, None);
    drop(fleet);
    let again = sidecar::again(agent, directory).await;
    row("start to first secret, all stored, no CA key there", "ms", again, None);
}

async fn least_of(count: usize) -> Figures {
    let place = Place::fresh();
    let mut process = least::start(place.0.path(), mesh::SOCKET);
    let socket = place.0.path().join(mesh::SOCKET);
    while Connection::open(&socket).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut fleet, mut figures) = connected(&process, &socket, count).await;
    // It has one text for both streams of an Envoy.
    let begun = Instant::now();
    process.tell("push");
    let arrivals = fleet.arrivals(2 * count).await;
    let rested = process.at_rest().await;
    let [first, last] = ends(&arrivals, begun);
    figures.pushed = [first, last / 2.0, milliseconds(rested - begun) / 2.0];
    figures
}

async fn connected(process: &Process, socket: &Path, count: usize) -> (Fleet, Figures) {
    process.at_rest().await;
    let before = process.memory();
    let own = || processor_time(std::process::id());
    let worked = [process.processor_time(), own()];
    let begun = Instant::now();
    let mut fleet = Fleet::connect(socket, mesh::envoys(count), Manners::Acknowledges);
    let arrivals = fleet.arrivals(2 * count).await;
    let clients = own() - worked[1];
    process.at_rest().await;
    let worked = [process.processor_time() - worked[0], clients].map(milliseconds);
    let memory = (process.memory() - before) / count as f64;
    let mut both = vec![0.0_f64; count];
    for arrival in &arrivals {
        let time = milliseconds(arrival.at.into_std() - begun);
        both[arrival.member] = both[arrival.member].max(time);
    }
    let burst = [quantile(&mut both, 0.5), quantile(&mut both, 1.0)];
    let mut late = Vec::new();
    for number in 0..LATE {
        late.push(one_more(socket, number % count).await);
    }
    let late = [quantile(&mut late, 0.5), quantile(&mut late, 0.99)];
    (fleet, Figures { burst, worked, late, memory, pushed: [0.0; 3] })
}

/// One Envoy connects and asks for its certificate; it is gone thereafter.
async fn one_more(socket: &Path, node: usize) -> f64 {
    let node = Node::whole(&mesh::name(node));
    let begun = Instant::now();
    let connection = Connection::open(socket).await.unwrap();
    let mut stream = connection.subscribe(&node, &["default"], "").await.unwrap();
    stream.next().await.unwrap();
    milliseconds(begun.elapsed())
}

/// Until a change has reached the first and the last of all, and the server is at rest.
async fn pushed(
    process: &Process,
    fleet: &mut Fleet,
    count: usize,
    change: impl FnOnce(),
) -> [f64; 3] {
    let begun = Instant::now();
    change();
    let arrivals = fleet.arrivals(count).await;
    let rested = process.at_rest().await;
    assert!(arrivals.iter().all(|arrival| arrival.stream == 1), "trust alone is sent");
    let [first, last] = ends(&arrivals, begun);
    [first, last, milliseconds(rested - begun)]
}

fn ends(arrivals: &[Arrival], begun: Instant) -> [f64; 2] {
    let times = arrivals.iter().map(|arrival| milliseconds(arrival.at.into_std() - begun));
    let mut times: Vec<_> = times.collect();
    [quantile(&mut times, 0.0), quantile(&mut times, 1.0)]
}

/// Until every node had a certificate. Asked only when the agent rests: to answer costs it time.
async fn all_issued(agent: &Process, client: &Client, count: usize, begun: Instant) -> f64 {
    loop {
        let rested = agent.at_rest().await;
        if let Ok(status) = client.status().await {
            let issued = status.nodes.iter().filter(|node| node.certificate.is_some()).count();
            if issued == count {
                return milliseconds(rested - begun);
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "not all have certificates");
    }
}
