//! A status as people read it: what is wrong first, then tables.

use super::super::report::counted;
use super::super::table::Table;
use crate::status::{Node, Recipient, Secret, SecretState, Status};
use crate::time::{OffsetDateTime, parse_moment, roughly};
use crate::x509::printable::printable;

/// Of a moment that is over.
const PAST: &str = "ended";

/// Of so many characters of a serial number people see enough.
const OF_SERIAL: usize = 12;
/// And of so many of a version.
const OF_VERSION: usize = 8;

pub(super) fn in_words(status: &Status) -> String {
    let mut text = String::new();
    for problem in &status.problems {
        let mut lines = problem.lines();
        text += &format!("problem  {}\n", shown(lines.next().unwrap_or_default()));
        lines.for_each(|line| text += &format!("         {}\n", shown(line)));
    }
    if !text.is_empty() {
        text += "\n";
    }
    let now = parse_moment(&status.process.now).ok();
    text += &authorities(status, now);
    text += &private_cas(status);
    text += "\n";
    text += &nodes(status, now);
    text += &transitions(status, now);
    text += &recipients(status);
    text + &footer(status, now)
}

fn authorities(status: &Status, now: Option<OffsetDateTime>) -> String {
    let mut table = Table::new(["AUTHORITY", "STATE", "ENDS IN", "NOTES"]);
    for authority in &status.authorities {
        table.row([
            authority.name.clone(),
            shown(&authority.state),
            until(authority.not_after.as_deref(), now),
            shown(&authority.notes.join("; ")),
        ]);
    }
    table.to_string()
}

fn private_cas(status: &Status) -> String {
    let cas = status
        .authorities
        .iter()
        .flat_map(|authority| authority.private_cas.iter().map(move |ca| (&authority.name, ca)));
    let mut table =
        Table::new(["AUTHORITY", "CA AT AWS", "STATE", "ISSUED", "LAST HOUR", "WAITING"]);
    let mut is_empty = true;
    for (authority, ca) in cas {
        is_empty = false;
        let state = match &ca.down {
            Some(down) => format!("passed over since {}: {}", down.since, shown(&down.why)),
            None if ca.signs => "signs".to_owned(),
            None => "stands by".to_owned(),
        };
        let last_hour = match ca.most_per_hour {
            Some(most) => format!("{} of {most}", ca.asked_last_hour),
            None => ca.asked_last_hour.to_string(),
        };
        let issued = match ca.refused {
            0 => ca.issued.to_string(),
            refused => format!("{}, {refused} refused", ca.issued),
        };
        let waiting = ca.waiting.to_string();
        table.row([authority.clone(), shown(&ca.arn), state, issued, last_hour, waiting]);
    }
    if is_empty { String::new() } else { format!("\n{table}") }
}

fn nodes(status: &Status, now: Option<OffsetDateTime>) -> String {
    let mut table = Table::new(["NODE", "AUTHORITY", "STATE", "ENDS IN", "RENEWS IN", "SERIAL"]);
    // What needs attention first; the rest as the mesh file has it.
    let mut nodes: Vec<_> = status.nodes.iter().collect();
    nodes.sort_by_key(|node| node.state);
    for node in nodes {
        let certificate = node.certificate.as_ref();
        table.row([
            node.name.clone(),
            node.authority.clone(),
            state(node),
            until(certificate.map(|c| c.not_after.as_str()), now),
            match certificate {
                Some(c) if c.due.is_none() => "with its CA".to_owned(),
                Some(c) => match until(c.due.as_deref(), now) {
                    due if due == PAST => "now".to_owned(),
                    due => due,
                },
                None => String::new(),
            },
            certificate.map_or_else(String::new, |c| beginning(&c.serial, OF_SERIAL)),
        ]);
    }
    table.to_string()
}

fn state(node: &Node) -> String {
    let word = node.state.as_str();
    match &node.failure {
        Some(failure) if failure.failures > 1 => format!("{word} {}x", failure.failures),
        _ if node.awaited => format!("{word}, awaited"),
        _ => word.to_owned(),
    }
}

fn transitions(status: &Status, now: Option<OffsetDateTime>) -> String {
    let mut text = String::new();
    for transition in &status.transitions {
        text += &format!("\nmoving   {}: {}", transition.node, shown(&transition.what));
        text += &format!(" ({}", transition.phase);
        if let Some(until) = transition.until.as_deref().map(|at| until(Some(at), now)) {
            text += &format!(", at most {until} more");
        }
        text += ")";
        for who in &transition.waiting_for {
            text += &format!("\n         waits: {}", shown(who));
        }
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// Whoever has something that is not accepted comes first.
fn recipients(status: &Status) -> String {
    if status.recipients.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["ENVOY", "STATE", "VERSION", "IN"]);
    let mut recipients: Vec<_> = status.recipients.iter().collect();
    recipients.sort_by_key(|recipient| recipient.secrets.iter().map(|secret| secret.state).min());
    for recipient in recipients {
        let nothing = String::new;
        table.row([called(recipient), nothing(), nothing(), nothing()]);
        for secret in &recipient.secrets {
            table.row([
                format!("  {}", shown(&secret.name)),
                secret_state(secret),
                secret.sent.as_deref().map_or_else(nothing, |sent| beginning(sent, OF_VERSION)),
                took(secret),
            ]);
        }
    }
    format!("\n{table}")
}

/// What it calls itself, and who it is.
fn called(recipient: &Recipient) -> String {
    let called = recipient.called();
    let besides: Vec<_> = [&recipient.agent, &recipient.caller_in_short]
        .into_iter()
        .filter(|text| !text.is_empty() && *text != called)
        .map(|text| shown(text))
        .collect();
    match besides.is_empty() {
        true => shown(called),
        false => format!("{} ({})", shown(called), besides.join(", ")),
    }
}

/// How long the version took that is in force; what is not accepted yet has taken no time.
fn took(secret: &Secret) -> String {
    let accepted = secret.state == SecretState::Accepted;
    let took = secret.took_milliseconds.filter(|_| accepted);
    took.map_or_else(String::new, |took| format!("{took:.1} ms"))
}

/// Where the last version is not accepted, also which one is in force there.
fn secret_state(secret: &Secret) -> String {
    let state = match (secret.state, secret.lag_seconds) {
        (SecretState::Sent, Some(lag)) => format!("sent {lag:.1} s ago"),
        (state, _) => state.as_str().to_owned(),
    };
    match &secret.accepted {
        Some(version) if secret.state != SecretState::Accepted => {
            format!("{state}, has {}", beginning(version, OF_VERSION))
        }
        _ => state,
    }
}

fn footer(status: &Status, now: Option<OffsetDateTime>) -> String {
    let process = &status.process;
    let mut text = format!("\ncertctl {}, pid {}", process.version, process.pid);
    if let (Ok(since), Some(now)) = (parse_moment(&process.since), now) {
        text += &format!(", up {}", roughly((now - since).unsigned_abs()));
    }
    if let Some(bytes) = process.memory_bytes {
        text += &format!(", {:.1} MB", bytes as f64 / 1e6);
    }
    let streams: usize =
        status.recipients.iter().map(|recipient: &Recipient| recipient.streams).sum();
    text += &format!(
        "; {} with {}\n",
        counted(status.recipients.len(), "Envoy", "Envoys"),
        counted(streams, "stream", "streams")
    );
    text += &format!("mesh file {}", shown(&status.mesh.path));
    for place in &process.serves {
        text += &format!("; {}", shown(place));
    }
    if let Some(files) = &status.files {
        text += &format!("; files in {}", shown(&files.directory));
    }
    text + "\n"
}

fn until(moment: Option<&str>, now: Option<OffsetDateTime>) -> String {
    let Some(moment) = moment else { return String::new() };
    match (parse_moment(moment), now) {
        (Ok(moment), Some(now)) if moment < now => PAST.to_owned(),
        (Ok(moment), Some(now)) => roughly((moment - now).unsigned_abs()),
        _ => shown(moment),
    }
}

fn beginning(text: &str, length: usize) -> String {
    shown(&text.chars().take(length).collect::<String>())
}

/// Recipients choose what they are called, and terminals act upon some of it.
fn shown(text: &str) -> String {
    /// Beyond this the tables lose their shape.
    const LONGEST: usize = 400;
    printable(&text.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Authority, Certificate, Failure, NodeState, Process, Transition};

    fn node(name: &str, state: NodeState) -> Node {
        Node {
            name: name.to_owned(),
            authority: "ca_1".to_owned(),
            state,
            certificate: Some(Certificate {
                serial: "0A1B2C3D4E5F60718293".to_owned(),
                not_after: "2026-11-22T08:00:00Z".to_owned(),
                due: Some("2026-11-21T20:30:00Z".to_owned()),
                ..Certificate::default()
            }),
            ..Node::default()
        }
    }

    #[test]
    fn what_is_wrong_comes_first_and_what_others_wrote_is_made_harmless() {
        let mut failed = node("blue", NodeState::Failed);
        failed.failure = Some(Failure { failures: 3, ..Failure::default() });
        let secret = |name: &str, state| Secret {
            name: name.to_owned(),
            state,
            sent: Some("9f86d081884c7d659a2feaa0c55ad015".to_owned()),
            took_milliseconds: Some(3.25),
            lag_seconds: (state == SecretState::Sent).then_some(2.04),
            ..Secret::default()
        };
        let status = Status {
            problems: vec!["mesh.yaml: not in force as it stands: one\ntwo".to_owned()],
            process: Process {
                version: "0.1.0".to_owned(),
                pid: 7,
                since: "2026-11-21T07:00:00Z".to_owned(),
                now: "2026-11-21T08:00:00Z".to_owned(),
                memory_bytes: Some(9_437_184),
                serves: vec!["unix:/run/sds.sock".to_owned()],
            },
            authorities: vec![Authority {
                name: "ca_1".to_owned(),
                state: "ready".to_owned(),
                can_sign: true,
                not_after: Some("2026-11-21T09:30:00Z".to_owned()),
                ..Authority::default()
            }],
            nodes: vec![node("front", NodeState::Fresh), failed],
            transitions: vec![Transition {
                node: "front".to_owned(),
                what: "its signer moves to ca_2".to_owned(),
                phase: "spread".to_owned(),
                waiting_for: vec!["envoy-1".to_owned()],
                until: Some("2026-11-21T08:30:00Z".to_owned()),
                ..Transition::default()
            }],
            recipients: vec![Recipient {
                node_id: "envoy\u{1b}[2J".to_owned(),
                agent: "envoy 1.40.0".to_owned(),
                caller_in_short: "uid 101".to_owned(),
                streams: 2,
                secrets: vec![
                    secret("default", SecretState::Accepted),
                    secret("front", SecretState::Sent),
                ],
                ..Recipient::default()
            }],
            ..Status::default()
        };
        let expected = "\
problem  mesh.yaml: not in force as it stands: one
         two

AUTHORITY  STATE  ENDS IN  NOTES
ca_1       ready  1h 30m

NODE   AUTHORITY  STATE      ENDS IN  RENEWS IN  SERIAL
blue   ca_1       failed 3x  1d       12h 30m    0A1B2C3D4E5F
front  ca_1       fresh      1d       12h 30m    0A1B2C3D4E5F

moving   front: its signer moves to ca_2 (spread, at most 30m more)
         waits: envoy-1

ENVOY                                   STATE           VERSION   IN
envoy\\u{1b}[2J (envoy 1.40.0, uid 101)
  default                               accepted        9f86d081  3.2 ms
  front                                 sent 2.0 s ago  9f86d081

certctl 0.1.0, pid 7, up 1h, 9.4 MB; 1 Envoy with 2 streams
mesh file ; unix:/run/sds.sock
";
        assert_eq!(in_words(&status), expected);
    }
}
