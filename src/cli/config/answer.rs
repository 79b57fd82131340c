//! What `certctl config check` answers, for machines and for people.

use serde::Serialize;

use super::online::Online;
use crate::cli::report::counted;
use crate::cli::table::Table;
use crate::desired::problem::{Problem, Severity, place};
use crate::desired::{
    Authority, Backend, Caller, Desired, Identity, Listener, ListenerMode, TrustSet,
};
use crate::identity::NodeName;
use crate::rotation::cost::{Cost, costs};
use crate::time::in_words;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub file: String,
    pub valid: bool,
    pub problems: Vec<PlacedProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<Online>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedProblem {
    severity: &'static str,
    line: usize,
    column: usize,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mesh {
    trust_domain: String,
    clock_skew: String,
    authorities: Vec<AuthorityLine>,
    nodes: Vec<NodeLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    costs: Vec<CostLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityLine {
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    distrusted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CostLine {
    authority: String,
    certificates_at_first: u32,
    certificates_per_month: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_month: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_certificates_per_hour: Option<u32>,
    is_braked: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeLine {
    name: String,
    spiffe_id: String,
    dns_names: Vec<String>,
    authority: String,
    key_algorithm: &'static str,
    lifetime: String,
    trust: Vec<String>,
    listener: ListenerLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    backends: Option<Vec<BackendLine>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListenerLine {
    mode: &'static str,
    trust: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callers: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackendLine {
    name: String,
    trust: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl PlacedProblem {
    pub fn of(problem: &Problem, text: &str) -> Self {
        let (line, column) = place(text, problem.span.start);
        Self {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            },
            line,
            column,
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

impl Mesh {
    pub fn of(desired: &Desired) -> Self {
        Self {
            trust_domain: desired.trust_domain.to_string(),
            clock_skew: in_words(desired.clock_skew),
            authorities: desired
                .authorities
                .iter()
                .map(|(name, authority)| AuthorityLine {
                    distrusted: desired.distrusted(name).is_some(),
                    ..AuthorityLine::of(name.as_str(), authority)
                })
                .collect(),
            nodes: desired.identities.values().map(NodeLine::of).collect(),
            costs: costs(desired).iter().map(CostLine::of).collect(),
        }
    }
}

impl CostLine {
    fn of(cost: &Cost) -> Self {
        let to_cents = |amount: f64| (amount * 100.0).round() / 100.0;
        Self {
            authority: cost.authority.to_string(),
            certificates_at_first: cost.at_first,
            certificates_per_month: cost.each_month.round(),
            cost_per_month: cost.monthly().map(to_cents),
            max_certificates_per_hour: cost.most_each_hour,
            is_braked: cost.is_braked(),
        }
    }

    /// One sentence, and another one where the brake would hold up the mesh.
    fn in_words(&self) -> String {
        let Self {
            authority, certificates_at_first: first, certificates_per_month: monthly, ..
        } = self;
        if *first == 0 {
            return format!("{authority} signs nothing in this mesh\n");
        }
        let price = match self.cost_per_month {
            Some(cost) => format!("{cost:.2} by its pricePerCertificate"),
            None => "it has no pricePerCertificate to say what that costs".to_owned(),
        };
        let brake = match self.max_certificates_per_hour.filter(|_| self.is_braked) {
            Some(most) => format!("; its maxCertificatesPerHour of {most} would hold that up"),
            None => String::new(),
        };
        let first = counted(*first as usize, "certificate", "certificates");
        format!(
            "{authority} signs {first} at first, then about {monthly} in 30 days (one each time \
             55 % of a lifetime is over): {price}{brake}\n"
        )
    }
}

impl AuthorityLine {
    fn of(name: &str, authority: &Authority) -> Self {
        let bare = |kind| Self {
            name: name.to_owned(),
            kind,
            distrusted: false,
            parent: None,
            key_algorithm: None,
            lifetime: None,
        };
        match authority {
            Authority::Imported(_) => bare("imported"),
            Authority::AcmPca(_) => bare("acmPca"),
            Authority::TrustOnly(_) => bare("trustOnly"),
            Authority::Local(local) => Self {
                parent: local.parent.as_ref().map(ToString::to_string),
                key_algorithm: Some(local.key_algorithm.as_str()),
                lifetime: Some(local.lifetime.to_string()),
                ..bare("local")
            },
        }
    }
}

impl NodeLine {
    fn of(identity: &Identity) -> Self {
        let backend = |(name, backend): (&NodeName, &Backend)| BackendLine {
            name: name.to_string(),
            trust: names(&backend.trust),
            port: backend.port,
        };
        Self {
            name: identity.name.to_string(),
            spiffe_id: identity.spiffe_id.to_string(),
            dns_names: identity.dns_names.iter().map(ToString::to_string).collect(),
            authority: identity.authority.to_string(),
            key_algorithm: identity.key_algorithm.as_str(),
            lifetime: identity.lifetime.to_string(),
            trust: names(&identity.trust),
            listener: ListenerLine::of(&identity.listener),
            backends: identity.backends.as_ref().map(|all| all.iter().map(backend).collect()),
        }
    }
}

impl ListenerLine {
    fn of(listener: &Listener) -> Self {
        let text = |caller: &Caller| match caller {
            Caller::Node(name) => name.to_string(),
            Caller::Id(id) => id.to_string(),
        };
        Self {
            mode: match listener.mode {
                ListenerMode::Strict => "strict",
                ListenerMode::Permissive => "permissive",
            },
            trust: names(&listener.trust),
            callers: listener.callers.as_ref().map(|all| all.iter().map(text).collect()),
        }
    }
}

fn names(set: &TrustSet) -> Vec<String> {
    set.names().iter().map(ToString::to_string).collect()
}

/// For people: the authorities, then who accepts whom.
pub fn in_tables(answer: &Answer, mesh: &Mesh) -> String {
    let mut authorities = Table::new(["AUTHORITY", "KIND", "UNDER", "KEY", "LIFETIME"]);
    for line in &mesh.authorities {
        let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        authorities.row([
            line.name.clone(),
            if line.distrusted {
                format!("{}, distrusted", line.kind)
            } else {
                line.kind.to_owned()
            },
            or_dash(line.parent.as_deref()),
            or_dash(line.key_algorithm),
            or_dash(line.lifetime.as_deref()),
        ]);
    }
    let mut text = format!("{authorities}\n");
    if !mesh.nodes.is_empty() {
        let mut nodes =
            Table::new(["NODE", "SIGNED BY", "LIFETIME", "ACCEPTS AS SERVER", "ACCEPTS AS CLIENT"]);
        for line in &mesh.nodes {
            nodes.row([
                line.name.clone(),
                line.authority.clone(),
                line.lifetime.clone(),
                as_server(&line.listener),
                as_client(line),
            ]);
        }
        text += &format!("{nodes}\n");
    }
    text.extend(mesh.costs.iter().map(CostLine::in_words));
    let count = |severity| answer.problems.iter().filter(|it| it.severity == severity).count();
    let warnings = match count("warning") {
        0 => String::new(),
        some => format!(", {}", counted(some, "warning", "warnings")),
    };
    let verdict = match &answer.online {
        None => "can be used",
        Some(online) => {
            text += &online.in_table();
            if online.holds { "can be used, and holds at AWS" } else { "does not hold at AWS" }
        }
    };
    text + &format!(
        "{} {verdict}: {}, {}{warnings}\n",
        answer.file,
        counted(mesh.authorities.len(), "authority", "authorities"),
        counted(mesh.nodes.len(), "node", "nodes"),
    )
}

/// `front (ca_1)`, `anyone (ca_1, ca_2)`
fn as_server(listener: &ListenerLine) -> String {
    let who = match listener.callers.as_deref() {
        None => "anyone".to_owned(),
        Some([]) => return "nobody".to_owned(),
        Some(callers) => callers.join(", "),
    };
    let plain = if listener.mode == "permissive" { ", or plain text" } else { "" };
    format!("{who} ({}){plain}", listener.trust.join(", "))
}

/// `colors:8080 (ca_1); shapes (ca_1)`, `anyone (ca_1)`
fn as_client(node: &NodeLine) -> String {
    let Some(backends) = &node.backends else {
        return format!("anyone ({})", node.trust.join(", "));
    };
    let each = backends.iter().map(|backend| {
        let port = backend.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port} ({})", backend.name, backend.trust.join(", "))
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() { "nobody".to_owned() } else { each.join("; ") }
}
