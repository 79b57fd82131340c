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
    let mut gauge = |name: &str, help: &str, value: fn(&PrivateCa) -> i64| {
        let family: Family<OfPrivateCa, Gauge> = Family::default();
        for (labels, ca) in &cas {
            family.get_or_create(labels).set(value(ca));
        }
        registry.register(name, help, family);
    };
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
