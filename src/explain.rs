//! Whether two nodes of a mesh accept each other, rule by rule, and what to change if not.
//!
//! Reads the mesh alone: what certificates on disk say is `inspect`'s and `verify`'s to tell.

use serde::Serialize;

use crate::desired::{Admission, Authority, Caller, Desired, Identity, ListenerMode, TrustSet};
use crate::identity::AuthorityName;
use crate::x509::key::KeyAlgorithm;

/// What decides whether a handshake between a client and a server succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The client.
    pub from: String,
    /// The server.
    pub to: String,
    /// Whether each accepts the other.
    pub accepted: bool,
    /// Every rule, in the order in which the two apply them.
    pub rules: Vec<Rule>,
    /// What else should be known.
    pub notes: Vec<String>,
}

/// One rule and how it turns out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Whether it holds.
    pub holds: bool,
    /// What it compares, in words: `front trusts ca_1; colorapp-green is signed by ca_2`.
    pub finding: String,
    /// What to change in the mesh file so that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// Explains the mutual TLS handshake of `from`, as a client, with `to`, as a server.
pub fn explain(desired: &Desired, from: &Identity, to: &Identity) -> Explanation {
    let backend = from.backends.as_ref().and_then(|backends| backends.get(&to.name));
    let client_trust = backend.map_or(&from.trust, |backend| &backend.trust);
    let client_field = match backend {
        Some(backend) if backend.trust != from.trust => {
            format!("{}.backends.{}.trust", from.name, to.name)
        }
        _ => format!("{}.trust", from.name),
    };
    let server_field = if to.listener.trust == to.trust {
        format!("{}.trust", to.name)
    } else {
        format!("{}.listener.trust", to.name)
    };
    let mut rules = Vec::new();
    if let Some(backends) = &from.backends {
        rules.push(calls(from, to, backends.contains_key(&to.name)));
    }
    rules.push(trusts(desired, (from, client_trust, &client_field), to));
    rules.push(trusts(desired, (to, &to.listener.trust, &server_field), from));
    if let Some(callers) = &to.listener.callers {
        rules.push(expects(from, to, callers));
    }
    let mut notes = Vec::new();
    if to.key_algorithm == KeyAlgorithm::EcP384 {
        notes.push(format!(
            "{}'s key is {}: an Envoy that calls it with default TLS settings offers no P-384 and \
             refuses; set tls_maximum_protocol_version: TLSv1_3 in {}'s cluster, or use {}",
            to.name,
            to.key_algorithm,
            from.name,
            KeyAlgorithm::EcP256
        ));
    }
    if to.listener.mode == ListenerMode::Permissive {
        notes.push(format!(
            "{}'s listener is permissive: it accepts plain text too, from anyone",
            to.name
        ));
    }
    if to.listener.callers.is_none() {
        notes.push(format!(
            "{} names no callers: whoever has a certificate of {} may call it",
            to.name,
            list(&to.listener.trust)
        ));
    }
    notes.extend(stand_ins(desired, from, to));
    Explanation {
        from: from.name.to_string(),
        to: to.name.to_string(),
        accepted: rules.iter().all(|rule| rule.holds),
        rules,
        notes,
    }
}

/// Which CA of several has signed is not in the mesh, and need not be.
fn stand_ins(desired: &Desired, from: &Identity, to: &Identity) -> Option<String> {
    let several = [from, to].into_iter().find_map(|node| {
        let root = desired.root_of(&node.authority);
        match desired.authorities.get(root) {
            Some(Authority::AcmPca(remote)) if remote.cas.len() > 1 => Some((root, remote)),
            _ => None,
        }
    });
    several.map(|(name, remote)| {
        let count = remote.cas.len();
        format!(
            "{name} is {count} CAs of AWS Private CA: whichever of them signs, whoever trusts \
             {name} has the roots of all {count}"
        )
    })
}

fn calls(from: &Identity, to: &Identity, listed: bool) -> Rule {
    if listed {
        return holds(format!("{} lists {} among its backends", from.name, to.name));
    }
    fails(
        format!("{} lists its backends, and {} is not among them", from.name, to.name),
        format!("add {} to {}.backends", to.name, from.name),
    )
}

/// Whether the one side's trust admits the other side's certificate. An intermediate's anchor is
/// its root, so what counts is whether the two share one.
fn trusts(
    desired: &Desired,
    (side, trust, field): (&Identity, &TrustSet, &str),
    peer: &Identity,
) -> Rule {
    let finding = format!(
        "{} trusts {}; {} is signed by {}",
        side.name,
        list(trust),
        peer.name,
        peer.authority
    );
    if let Some(by) = desired.distrusted(&peer.authority) {
        let under =
            if *by == peer.authority { String::new() } else { format!(", which is under {by}") };
        let change = format!("give {} an authority that is not distrusted", peer.name);
        return fails(format!("{finding}{under}; {by} is distrusted"), change);
    }
    match desired.admission(trust, &peer.authority) {
        Admission::Admitted(by) if *by == peer.authority => holds(finding),
        Admission::Admitted(by) => {
            let root = desired.root_of(by);
            holds(format!("{finding}, which shares its root {root} with {by}"))
        }
        Admission::Refused => fails(finding, format!("add {} to {field}", peer.authority)),
        Admission::Unknown => fails(
            format!("{finding}; whether one leads to the other is in their certificates"),
            format!("look with `certctl verify`, or add {} to {field}", peer.authority),
        ),
    }
}

fn expects(from: &Identity, to: &Identity, callers: &[Caller]) -> Rule {
    let names: Vec<_> = callers
        .iter()
        .map(|caller| match caller {
            Caller::Node(name) => name.to_string(),
            Caller::Id(id) => id.to_string(),
        })
        .collect();
    let callers = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let finding = format!("{} expects calls from {callers}; {} calls", to.name, from.name);
    if to.listener.expects(from) {
        return holds(finding);
    }
    fails(finding, format!("add {} to {}.callers", from.name, to.name))
}

fn holds(finding: String) -> Rule {
    Rule { holds: true, finding, change: None }
}

fn fails(finding: String, change: String) -> Rule {
    Rule { holds: false, finding, change: Some(change) }
}

fn list(trust: &TrustSet) -> String {
    let names: Vec<_> = trust.names().iter().map(AuthorityName::as_str).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests;
