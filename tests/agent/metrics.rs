//! What probes and scrapers get.

use std::net::TcpListener;

use crate::MESH;
use crate::support::agent::Agent;
use crate::support::http;
use crate::support::program::unwrapped;

/// The port that the agent serves probes and scrapers on.
pub fn port(agent: &Agent) -> u16 {
    let line = agent.logs("answers probes and scrapers");
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    event["address"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

/// The value of a metric by its name and labels.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn the_metrics_of_an_agent_are_openmetrics_and_say_how_it_stands() {
    let agent = Agent::start(MESH, "--metrics 127.0.0.1:0");
    agent.settled();
    let answer = http::get(port(&agent), "/metrics").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text"));
    let text = answer.body;
    for line in text.lines() {
        let sound = line.starts_with("# HELP ")
            || line.starts_with("# TYPE ")
            || line.starts_with("# UNIT ")
            || line == "# EOF"
            || line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(sound, "{line}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(value(&text, "certctl_nodes{state=\"fresh\"}"), 3.0);
    let left = value(&text, "certctl_certificate_remaining_seconds{node=\"front\"}");
    assert!((80_000.0..=86_400.0).contains(&left), "{left}");
    let issued = |authority: &str| {
        let labels = format!("{{authority=\"{authority}\",result=\"done\"}}");
        value(&text, &format!("certctl_issued_certificates_total{labels}"))
    };
    assert_eq!((issued("ca_1"), issued("ca_2")), (2.0, 1.0));
    assert_eq!(value(&text, "certctl_issuance_seconds_count"), 3.0);
    assert_eq!(value(&text, "certctl_authority_can_sign{authority=\"ca_2\"}"), 1.0);
    assert_eq!(value(&text, "certctl_mesh_file_in_force"), 1.0);
    assert_eq!(http::get(port(&agent), "/healthz").unwrap().body, "alive\n");
    assert_eq!(http::get(port(&agent), "/readyz").unwrap().body, "ready\n");
    agent.edit("version: 1", "version: 7");
    agent.until("the edit is told", |status| !status["mesh"]["problem"].is_null());
    let text = http::get(port(&agent), "/metrics").unwrap().body;
    assert_eq!(value(&text, "certctl_mesh_file_in_force"), 0.0);
}

#[test]
fn without_metrics_asked_for_no_port_is_open_and_one_in_use_is_told() {
    let agent = Agent::start(MESH, "");
    assert!(!agent.log().contains("probes and scrapers"), "{}", agent.log());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let flags = format!("-f mesh.yaml --sds other.sock --state other --metrics {address}");
    let mut second = Agent::begin(agent.place(), &flags);
    assert_eq!(second.end().code(), Some(1));
    let told = unwrapped(&second.log());
    assert!(told.contains(&format!("cannot listen on {address} for --metrics")), "{told}");
    assert!(!agent.path("other.sock").exists(), "what could not start leaves no socket");
}
