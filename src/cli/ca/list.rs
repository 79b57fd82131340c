//! `certctl ca list`: every authority of a mesh, and how it stands.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use futures_util::future::join_all;
use miette::{IntoDiagnostic, Report, miette};
use serde::Serialize;

use super::super::report::counted;
use super::super::runtime;
use super::super::table::Table;
use super::super::{Console, Format, MeshFileArgument, Outcome};
use crate::acm_pca::{CaStatus, Description, ServiceError, connect};
use crate::desired::acm_pca::{AcmPcaAuthority, PrivateCa};
use crate::desired::{Authority, Desired};
use crate::files::View;
use crate::hierarchy::{Authorities, Making, State};
use crate::store::audit::Audit;
use crate::store::reader;
use crate::time::{OffsetDateTime, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::key::{KeyAlgorithm, PublicKey};

/// List the authorities of a mesh and how they stand.
///
/// Local and imported ones are looked at in their files. Of those at AWS Private CA, AWS is asked
/// (DescribeCertificateAuthority, which costs nothing), unless --offline.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl ca list -f mesh.yaml --state certs
  certctl ca list -o json | jq '.[] | select(.problem)'

Exit codes: 0 listed, 1 one of them could not be looked at.")]
pub(super) struct List {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// Where the authorities' keys and the record of what was issued are.
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE", default_value = "certs")]
    state: PathBuf,

    /// Ask nobody.
    #[arg(long)]
    offline: bool,

    /// How to print the answer.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

/// The status of an authority whose files cannot be used.
const FAILED: &str = "failed";

/// The status of a CA that AWS did not describe.
const UNKNOWN: &str = "unknown";

/// One CA, or the roots of a partner.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    authority: String,
    /// `local`, `imported`, `acmPca` or `trustOnly`.
    kind: &'static str,
    /// `ready`, `not made yet`, `due`, `cannot sign`, `trusted`, `failed`; of a CA at AWS what AWS
    /// says, `not asked` or `unknown`.
    status: String,
    /// `root` or `intermediate`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_algorithm: Option<String>,
    /// When the first of its certificates ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    remote: Option<Remote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What only a CA of AWS Private CA has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Remote {
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// `general-purpose` or `short-lived`: at most seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    template: &'static str,
    /// Requests in a second, at most.
    issue_rate: u32,
    get_rate: u32,
    /// What this state directory's record has.
    issued_last_hour: usize,
    issued: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_certificates_per_hour: Option<u32>,
    /// As the mesh file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_per_certificate: Option<String>,
}

impl List {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let desired = console.mesh(&self.mesh)?;
        let now = console.clock.now();
        let issued = self.issued(now)?;
        let mut asked = self.ask(&desired)?.into_iter();
        let view = View::open(&self.state).into_diagnostic()?;
        let local = Authorities::load(&desired, &reader(view.as_ref()), now);
        let mut rows = Vec::new();
        for (name, authority) in &desired.authorities {
            match authority {
                Authority::AcmPca(remote) => {
                    for ca in &remote.cas {
                        let mut row = remote_row(ca, asked.next().flatten(), &issued);
                        row.authority = name.to_string();
                        rows.push(row);
                    }
                }
                other => {
                    let mut row = local.states.get(name).map(local_row).unwrap_or_default();
                    row.authority = name.to_string();
                    row.kind = match other {
                        Authority::Imported(_) => "imported",
                        Authority::TrustOnly(_) => "trustOnly",
                        Authority::Local(_) | Authority::AcmPca(_) => "local",
                    };
                    rows.push(row);
                }
            }
        }
        console.answer(self.format, &rows, || in_a_table(&rows))?;
        let is_unknown = |row: &&Row| matches!(row.status.as_str(), FAILED | UNKNOWN);
        match rows.iter().filter(is_unknown).count() {
            0 => Ok(Outcome::Done),
            count => {
                let them = counted(count, "authority", "authorities");
                Err(miette!(help = "the list says why", "{them} could not be looked at"))
            }
        }
    }

    /// How many certificates the record has of each CA: within the last hour, and in all.
    fn issued(&self, now: OffsetDateTime) -> Result<HashMap<String, (usize, usize)>, Report> {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for entry in Audit::read(&self.state).into_diagnostic()? {
            let entry = entry.into_diagnostic()?;
            let (last_hour, all) = counts.entry(entry.ca_arn().to_owned()).or_default();
            *all += 1;
            if now - entry.time < time::Duration::HOUR {
                *last_hour += 1;
            }
        }
        Ok(counts)
    }

    /// What AWS says of each of its CAs, in the order of the mesh; nothing where it is not asked.
    fn ask(
        &self,
        desired: &Desired,
    ) -> Result<Vec<Option<Result<Description, ServiceError>>>, Report> {
        let cas: Vec<_> = desired
            .authorities
            .values()
            .filter_map(|authority| match authority {
                Authority::AcmPca(AcmPcaAuthority { cas, .. }) => Some(cas),
                _ => None,
            })
            .flatten()
            .collect();
        if self.offline || cas.is_empty() {
            return Ok(cas.iter().map(|_| None).collect());
        }
        let aws = connect();
        let answers = cas.into_iter().map(|ca| {
            let service = aws.service(ca);
            async move { Some(service.describe(&ca.arn).await) }
        });
        Ok(runtime()?.block_on(join_all(answers)))
    }
}

fn local_row(state: &State) -> Row {
    let (status, problem) = match state {
        State::Ready(_) => ("ready", None),
        State::Awaiting { .. } => ("to be signed by AWS", None),
        State::Remote(_) => ("at AWS", None),
        State::ToMake { why: Making::New, .. } => ("not made yet", None),
        State::ToMake { .. } => ("due", None),
        State::Mute { why, .. } => ("cannot sign", Some(why.to_string())),
        State::TrustOnly(_) => ("trusted", None),
        State::Failed(why) => (FAILED, Some(why.to_string())),
    };
    let certificates = match state {
        State::Ready(authority) => authority.chain(),
        State::Mute { certificates, .. } => certificates.certificates(),
        State::TrustOnly(roots) => roots,
        State::Remote(remote) => {
            remote.chains().first().map_or(&[][..], |chain| chain.certificates())
        }
        State::Awaiting { .. } | State::ToMake { .. } | State::Failed(_) => &[],
    };
    let own = certificates.first();
    Row {
        status: status.to_owned(),
        place: own.map(place),
        key_algorithm: own.and_then(key_algorithm),
        not_after: certificates.iter().map(|one| one.validity().not_after).min().map(rfc3339),
        problem,
        ..Row::default()
    }
}

fn remote_row(
    ca: &PrivateCa,
    answer: Option<Result<Description, ServiceError>>,
    issued: &HashMap<String, (usize, usize)>,
) -> Row {
    let (issued_last_hour, issued) = issued.get(ca.arn.as_str()).copied().unwrap_or_default();
    let mut remote = Remote {
        arn: ca.arn.to_string(),
        endpoint: ca.endpoint.clone(),
        mode: None,
        template: ca.template.as_str(),
        issue_rate: ca.rates.issue,
        get_rate: ca.rates.get,
        issued_last_hour,
        issued,
        max_certificates_per_hour: ca.max_certificates_per_hour,
        price_per_certificate: ca.price_per_certificate.map(price),
    };
    let mut row = Row { kind: "acmPca", ..Row::default() };
    match answer {
        None => row.status = "not asked".to_owned(),
        Some(Err(error)) => {
            row.status = UNKNOWN.to_owned();
            row.problem = Some(error.to_string());
        }
        Some(Ok(said)) => {
            row.status = match said.status {
                CaStatus::Active => "ACTIVE".to_owned(),
                CaStatus::Other(status) => status,
            };
            row.place = Some(if said.is_root { "root" } else { "intermediate" });
            let algorithm = said.key_algorithm.map(KeyAlgorithm::as_str);
            row.key_algorithm = Some(algorithm.map_or(said.key_algorithm_name, str::to_owned));
            row.not_after = said.not_after.map(rfc3339);
            remote.mode = Some(if said.is_short_lived { "short-lived" } else { "general-purpose" });
        }
    }
    row.remote = Some(remote);
    row
}

fn place(certificate: &Certificate) -> &'static str {
    if certificate.is_self_issued() { "root" } else { "intermediate" }
}

fn key_algorithm(certificate: &Certificate) -> Option<String> {
    PublicKey::from_spki(certificate.spki()).ok().map(|key| key.algorithm().to_string())
}

/// Millionths, as the mesh file writes them.
fn price(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn in_a_table(rows: &[Row]) -> String {
    let mut table = Table::new(["AUTHORITY", "KIND", "STATUS", "TYPE", "KEY", "UNTIL", "ABOUT"]);
    for row in rows {
        let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        table.row([
            row.authority.clone(),
            row.kind.to_owned(),
            row.status.clone(),
            or_dash(row.place),
            or_dash(row.key_algorithm.as_deref()),
            or_dash(row.not_after.as_deref()),
            row.remote.as_ref().map_or_else(|| "-".to_owned(), about),
        ]);
    }
    let mut text = table.to_string();
    for row in rows {
        if let Some(problem) = &row.problem {
            text += &format!("{}: {problem}\n", row.authority);
        }
    }
    text
}

fn about(remote: &Remote) -> String {
    let mut words = vec![remote.arn.clone()];
    words.extend(remote.endpoint.as_ref().map(|endpoint| format!("at {endpoint}")));
    words.extend(remote.mode.map(str::to_owned));
    words.push(remote.template.to_owned());
    words.push(format!("at most {}/s issued, {}/s fetched", remote.issue_rate, remote.get_rate));
    let brake = remote.max_certificates_per_hour.map(|most| format!(" of {most}"));
    words.push(format!(
        "{}{} in the last hour, {} in all",
        remote.issued_last_hour,
        brake.unwrap_or_default(),
        remote.issued
    ));
    words.extend(remote.price_per_certificate.as_ref().map(|price| format!("{price} each")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_printed_as_it_is_written() {
        for (millionths, text) in [(58_000, "0.058"), (750_000, "0.75"), (400_000_000, "400")] {
            assert_eq!(price(millionths), text);
        }
    }
}
