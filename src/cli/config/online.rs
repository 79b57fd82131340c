//! What AWS says of a mesh's private CAs, for `certctl config check --online`.

use miette::Report;
use serde::Serialize;

use crate::acm_pca::{CaStatus, connect};
use crate::cli::table::Table;
use crate::cli::{Console, runtime};
use crate::desired::Desired;
use crate::desired::mesh_file::Places;
use crate::desired::problem::{Problem, Severity};
use crate::survey::{Surveyed, ask, judge};
use crate::time::rfc3339;

/// Whether the mesh holds at AWS, and each CA.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Online {
    pub holds: bool,
    cas: Vec<CaLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaLine {
    authority: String,
    arn: String,
    /// As AWS names it; none where AWS does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_short_lived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_root: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
}

impl Online {
    /// Asks AWS, and judges what it says.
    pub fn ask(
        desired: &Desired,
        places: &Places,
        console: &Console,
    ) -> Result<(Self, Vec<Problem>), Report> {
        let surveyed = runtime()?.block_on(ask(&*connect(), desired));
        let problems = judge(desired, &surveyed, places, console.clock.now());
        let holds = problems.iter().all(|problem| problem.severity != Severity::Error);
        Ok((Self { holds, cas: surveyed.iter().map(CaLine::of).collect() }, problems))
    }

    /// For people: a line for each CA.
    pub fn in_table(&self) -> String {
        if self.cas.is_empty() {
            return "No authority is at AWS: there is nothing to ask.\n".to_owned();
        }
        let mut table = Table::new(["AUTHORITY", "CA", "STATUS", "KEY", "SIGNS", "ENDS"]);
        for line in &self.cas {
            let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
            table.row([
                line.authority.clone(),
                line.arn.clone(),
                or_dash(line.status.as_deref().or(Some("not known"))),
                or_dash(line.key_algorithm.as_deref()),
                or_dash(line.is_short_lived.map(|short| if short { "7d at most" } else { "any" })),
                or_dash(line.not_after.as_deref()),
            ]);
        }
        format!("\n{table}\n")
    }
}

impl CaLine {
    fn of(one: &Surveyed) -> Self {
        let description = one.found.as_ref().ok().map(|found| &found.description);
        Self {
            authority: one.authority.to_string(),
            arn: one.ca.arn.to_string(),
            status: description.map(|description| match &description.status {
                CaStatus::Active => "ACTIVE".to_owned(),
                CaStatus::Other(status) => status.clone(),
            }),
            key_algorithm: description.map(|description| description.key_algorithm_name.clone()),
            is_short_lived: description.map(|description| description.is_short_lived),
            is_root: description.map(|description| description.is_root),
            not_after: description.and_then(|it| it.not_after).map(rfc3339),
        }
    }
}
