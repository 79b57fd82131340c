//! What is counted and measured, in the OpenMetrics text format.
//!
//! Labels stay few: a node's name appears in one metric alone, its time left, and there for the
//! [`MOST_NODES`] that end soonest.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::standing;
use crate::boards;
use crate::engine;
use crate::snapshot::Generation;
use crate::status::Status;

/// Of so many nodes the time left is shown by name, those that end soonest.
pub const MOST_NODES: usize = 5_000;

/// How long after a change its acceptance still counts as the change's own: an Envoy that starts
/// long afterwards did not wait for it.
const OF_ONE_CHANGE: Duration = Duration::from_secs(60);

/// How many changes are remembered so.
const MOST_CHANGES: usize = 20_000;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    accepted: Histogram,
    changes: Mutex<VecDeque<(Generation, Instant)>>,
    desire_to_acceptance: Histogram,
    issuance: Histogram,
    issued: Family<Issued, Counter>,
    jumps: Counter,
    rejected: Counter,
    streams: Gauge,
    streams_opened: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Issued {
    authority: String,
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        // From 0.5 ms, doubling: a local CA is at the low end, a remote one at the high end.
        let seconds = || Histogram::new((0..18).map(|power| 0.000_5 * f64::from(1 << power)));
        let mut this = Self {
            registry: Registry::with_prefix("certctl"),
            accepted: seconds(),
            changes: Mutex::default(),
            desire_to_acceptance: seconds(),
            issuance: seconds(),
            issued: Family::default(),
            jumps: Counter::default(),
            rejected: Counter::default(),
            streams: Gauge::default(),
            streams_opened: Counter::default(),
        };
        this.register();
        this
    }
}

impl Metrics {
    fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let registry = &mut self.registry;
        registry.register("build", "What this process was built from", build);
        registry.register(
            "issued_certificates",
            "Attempts to make a certificate, by authority and result",
            self.issued.clone(),
        );
        registry.register("clock_jumps", "Times that the wall clock was set", self.jumps.clone());
        registry.register(
            "rejections",
            "Secrets that recipients would not take (NACK)",
            self.rejected.clone(),
        );
        registry.register("streams", "Streams that are open", self.streams.clone());
        registry.register(
            "streams_opened",
            "Streams that were ever opened",
            self.streams_opened.clone(),
        );
        for (name, help, histogram) in [
            ("issuance", "How long making one certificate took", &self.issuance),
            ("acceptance", "From sending a secret to its acceptance (ACK)", &self.accepted),
            (
                "desire_to_acceptance",
                "From the edit or the due moment to the acceptance (ACK) of what it led to",
                &self.desire_to_acceptance,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }

    /// Everything in the OpenMetrics text format, with `status` as how things stand.
    ///
    /// # Errors
    /// Never for what is registered here; the formatter's own.
    pub fn text(&self, status: &Status) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        // Each text ends with a mark of its own, and the whole must have one.
        let end = text.trim_end_matches("# EOF\n").len();
        text.truncate(end);
        encode(&mut text, &standing::registry(status))?;
        Ok(text)
    }

    fn begun(&self, generation: Generation) -> Option<Instant> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = changes.iter().rev().find(|(published, _)| *published == generation);
        found.map(|(_, begun)| *begun).filter(|begun| begun.elapsed() < OF_ONE_CHANGE)
    }
}

impl engine::Observer for Metrics {
    fn attempted(&self, attempt: &engine::Attempt<'_>) {
        let result = if attempt.done { "done" } else { "failed" };
        let labels = Issued { authority: attempt.authority.to_string(), result };
        self.issued.get_or_create(&labels).inc();
        if attempt.done {
            self.issuance.observe(attempt.took.as_secs_f64());
        }
    }

    fn published(&self, generation: Generation, begun: Instant) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() == MOST_CHANGES {
            changes.pop_front();
        }
        changes.push_back((generation, begun));
    }

    fn clock_jumped(&self) {
        self.jumps.inc();
    }
}

impl boards::Observer for Metrics {
    fn connected(&self) {
        self.streams.inc();
        self.streams_opened.inc();
    }

    fn departed(&self) {
        self.streams.dec();
    }

    fn accepted(&self, aspects: &[boards::Aspect], took: Duration) {
        self.accepted.observe(took.as_secs_f64());
        let newest = aspects.iter().map(|aspect| aspect.generation).max();
        if let Some(begun) = newest.and_then(|generation| self.begun(generation)) {
            self.desire_to_acceptance.observe(begun.elapsed().as_secs_f64());
        }
    }

    fn rejected(&self, _: &[boards::Aspect]) {
        self.rejected.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::{Aspect, Deliveries, Part, RecipientView};
    use crate::engine::{Attempt, Observer as _};
    use crate::identity::{AuthorityName, NodeName};
    use crate::status::{Certificate, Node, NodeState};
    use std::sync::Arc;

    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_on_the_board_is_counted() {
        let metrics = Arc::new(Metrics::default());
        let board = Deliveries::observed(Arc::clone(&metrics) as _);
        let recipient = board.connect(RecipientView::default());
        let node = NodeName::parse("front").unwrap();
        let aspects = [Aspect { part: Part::Leaf(node), generation: 7 }];
        metrics.published(7, Instant::now());
        tokio::time::advance(Duration::from_millis(10)).await;
        recipient.sent("default", "v", &aspects);
        tokio::time::advance(Duration::from_millis(2)).await;
        recipient.accepted("default");
        recipient.rejected("default", "no");
        let text = metrics.text(&Status::default()).unwrap();
        assert_eq!(value(&text, "certctl_streams"), 1.0);
        assert_eq!(value(&text, "certctl_acceptance_seconds_sum"), 0.002);
        assert_eq!(value(&text, "certctl_desire_to_acceptance_seconds_sum"), 0.012);
        assert_eq!(value(&text, "certctl_rejections_total"), 1.0);
        // Who comes long afterwards did not wait for it.
        tokio::time::advance(Duration::from_secs(61)).await;
        recipient.sent("default", "v", &aspects);
        recipient.accepted("default");
        drop(recipient);
        let text = metrics.text(&Status::default()).unwrap();
        assert_eq!(value(&text, "certctl_streams"), 0.0);
        assert_eq!(value(&text, "certctl_streams_opened_total"), 1.0);
        assert_eq!(value(&text, "certctl_acceptance_seconds_count"), 2.0);
        assert_eq!(value(&text, "certctl_desire_to_acceptance_seconds_count"), 1.0);
    }

    #[test]
    fn a_failure_counts_as_one_and_has_no_duration() {
        let metrics = Metrics::default();
        let node = NodeName::parse("front").unwrap();
        let authority = AuthorityName::parse("ca_1").unwrap();
        for (done, seconds) in [(true, 1), (false, 30)] {
            let took = Duration::from_secs(seconds);
            metrics.attempted(&Attempt { node: &node, authority: &authority, done, took });
        }
        let text = metrics.text(&Status::default()).unwrap();
        let count = |result| {
            let labels = format!("{{authority=\"ca_1\",result=\"{result}\"}}");
            value(&text, &format!("certctl_issued_certificates_total{labels}"))
        };
        assert_eq!((count("done"), count("failed")), (1.0, 1.0));
        assert_eq!(value(&text, "certctl_issuance_seconds_sum"), 1.0);
    }

    #[test]
    fn the_text_ends_once_and_has_the_nodes_that_end_soonest() {
        let now = "2026-11-21T12:00:00Z";
        let node = |number: usize| Node {
            name: format!("node-{number}"),
            state: NodeState::Fresh,
            certificate: Some(Certificate {
                not_after: crate::time::rfc3339(
                    crate::time::parse_moment(now).unwrap()
                        + Duration::from_secs(number as u64 + 60),
                ),
                ..Certificate::default()
            }),
            ..Node::default()
        };
        let mut status =
            Status { nodes: (0..MOST_NODES + 10).map(node).collect(), ..Status::default() };
        status.process.now = now.to_owned();
        let text = Metrics::default().text(&status).unwrap();
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
        let left = |name: &str| format!("certctl_certificate_remaining_seconds{{node=\"{name}\"}}");
        assert_eq!(value(&text, &left("node-0")), 60.0);
        assert_eq!(text.matches("certctl_certificate_remaining_seconds{").count(), MOST_NODES);
        assert!(!text.contains(&left("node-5009")));
        assert_eq!(value(&text, "certctl_nodes{state=\"fresh\"}"), 5_010.0);
        assert_eq!(value(&text, "certctl_nodes{state=\"expired\"}"), 0.0);
    }
}
