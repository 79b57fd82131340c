//! How things stand, as gauges made at the moment of a scrape.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::MOST_NODES;
use crate::status::{NodeState, PrivateCa, Status};
use crate::time::{OffsetDateTime, parse_moment};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNode {
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAuthority {
    authority: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPrivateCa {
    authority: String,
    ca: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// Gauges of `status`, registered.
pub(super) fn registry(status: &Status) -> Registry {
    let mut registry = Registry::with_prefix("certctl");
    nodes(status, &mut registry);
    authorities(status, &mut registry);
    private_cas(status, &mut registry);
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("recipients", "Connected Envoys and other clients", status.recipients.len());
    gauge("transitions", "Changes of trust or signer under way", status.transitions.len());
    gauge(
        "mesh_file_in_force",
        "1 when the mesh file as it stands is in force, 0 when the last good one is",
        usize::from(status.mesh.problem.is_none()),
    );
    if let Some(files) = &status.files {
        gauge(
            "files_up_to_date",
            "1 when the last attempt to write the files succeeded",
            usize::from(files.problem.is_none()),
        );
    }
    if let Some(bytes) = status.process.memory_bytes {
        let memory: Gauge = Gauge::default();
        memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, memory);
    }
    registry
}

fn nodes(status: &Status, registry: &mut Registry) {
    let states: Family<InState, Gauge> = Family::default();
    for state in [NodeState::Expired, NodeState::Failed, NodeState::Fresh, NodeState::Issuing] {
        let count = status.nodes.iter().filter(|node| node.state == state).count();
        let gauge = states.get_or_create(&InState { state: state.as_str() });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("nodes", "Nodes that this agent keeps, by state", states);
    let mut left: Vec<_> = status
        .nodes
        .iter()
        .filter_map(|node| {
            let end = node.certificate.as_ref()?.not_after.as_str();
            Some((remaining(end, status)?, node.name.as_str()))
        })
        .collect();
    left.sort_unstable();
    let remaining: Family<OfNode, Gauge> = Family::default();
    for (seconds, node) in left.into_iter().take(MOST_NODES) {
        remaining.get_or_create(&OfNode { node: node.to_owned() }).set(seconds);
    }
    registry.register_with_unit(
        "certificate_remaining",
        "Time until the served certificate ends, below 0 once it has ended",
        Unit::Seconds,
        remaining,
    );
}

fn authorities(status: &Status, registry: &mut Registry) {
    let can_sign: Family<OfAuthority, Gauge> = Family::default();
    let left: Family<OfAuthority, Gauge> = Family::default();
    for authority in &status.authorities {
        let labels = OfAuthority { authority: authority.name.clone() };
        if !authority.trust_only {
            can_sign.get_or_create(&labels).set(i64::from(authority.can_sign));
        }
        if let Some(seconds) = authority.not_after.as_ref().and_then(|end| remaining(end, status)) {
            left.get_or_create(&labels).set(seconds);
        }
    }
    registry.register("authority_can_sign", "1 when the authority signs, else 0", can_sign);
    registry.register_with_unit(
        "authority_remaining",
        "Time until the authority's own certificate ends",
        Unit::Seconds,
        left,
    );
}

fn private_cas(status: &Status, registry: &mut Registry) {
    let cas = status.authorities.iter().flat_map(|authority| {
        let label =
            |ca: &PrivateCa| OfPrivateCa { authority: authority.name.clone(), ca: ca.arn.clone() };
        authority.private_cas.iter().map(move |ca| (label(ca), ca))
    });
    let cas: Vec<_> = cas.collect();
    if cas.is_empty() {
        return;
    }
    let mut counter = |name: &str, help: &str, value: fn(&PrivateCa) -> u64| {
        let family: Family<OfPrivateCa, Counter> = Family::default();
        for (labels, ca) in &cas {
            family.get_or_create(labels).inc_by(value(ca));
        }
        registry.register(name, help, family);
    };
    counter("private_ca_issued", "Certificates that a private CA signed", |ca| ca.issued);
    counter("private_ca_refused", "Certificates of a private CA that were refused", |ca| {
        ca.refused
    });
    let down: Family<OfPrivateCa, Gauge> = Family::default();
    for (labels, ca) in &cas {
        let since = ca.down.as_ref().and_then(|down| remaining(&down.since, status));
        down.get_or_create(labels).set(since.map_or(0, |left| (-left).max(0)));
    }
    let help = "For how long a private CA has been passed over; 0 while it is asked";
    registry.register_with_unit("private_ca_down", help, Unit::Seconds, down);
    let mut gauge = |name: &str, help: &str, value: fn(&PrivateCa) -> i64| {
        let family: Family<OfPrivateCa, Gauge> = Family::default();
        for (labels, ca) in &cas {
            family.get_or_create(labels).set(value(ca));
        }
        registry.register(name, help, family);
    };
    gauge("private_ca_signs", "1 for the private CA that signs for its authority", |ca| {
        i64::from(ca.signs)
    });
    gauge("private_ca_is_up", "1 while a private CA is asked, 0 while it is passed over", |ca| {
        i64::from(ca.down.is_none())
    });
    gauge("private_ca_waiting", "Requests that wait for their turn at a private CA", |ca| {
        i64::from(ca.waiting)
    });
    gauge(
        "private_ca_asked_last_hour",
        "Certificates that a private CA was asked for within the last hour",
        |ca| i64::from(ca.asked_last_hour),
    );
}

/// The seconds from the status's own moment until `end`.
fn remaining(end: &str, status: &Status) -> Option<i64> {
    let moment = |text: &str| -> Option<OffsetDateTime> { parse_moment(text).ok() };
    Some((moment(end)? - moment(&status.process.now)?).whole_seconds())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::status::{Authority, Down, Process};

    #[test]
    fn private_cas_tell_which_signs_and_for_how_long_the_other_is_passed_over() {
        let since = "2026-11-21T08:00:00Z".to_owned();
        let first = PrivateCa {
            arn: "arn:first".to_owned(),
            down: Some(Down { since, why: "hangs".to_owned() }),
            refused: 2,
            ..PrivateCa::default()
        };
        let second = PrivateCa {
            arn: "arn:second".to_owned(),
            signs: true,
            issued: 3,
            ..PrivateCa::default()
        };
        let authority = Authority {
            name: "rented".to_owned(),
            private_cas: vec![first, second],
            ..Authority::default()
        };
        let process = Process { now: "2026-11-21T08:01:30Z".to_owned(), ..Process::default() };
        let status = Status { authorities: vec![authority], process, ..Status::default() };
        let mut text = String::new();
        encode(&mut text, &registry(&status)).unwrap();
        for line in [
            "down_seconds{authority=\"rented\",ca=\"arn:first\"} 90",
            "down_seconds{authority=\"rented\",ca=\"arn:second\"} 0",
            "signs{authority=\"rented\",ca=\"arn:first\"} 0",
            "signs{authority=\"rented\",ca=\"arn:second\"} 1",
            "is_up{authority=\"rented\",ca=\"arn:first\"} 0",
            "issued_total{authority=\"rented\",ca=\"arn:second\"} 3",
            "refused_total{authority=\"rented\",ca=\"arn:first\"} 2",
        ] {
            assert!(text.contains(&format!("certctl_private_ca_{line}\n")), "{line} in {text}");
        }
    }
}
