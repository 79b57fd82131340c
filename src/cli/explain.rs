//! `certctl explain`: whether two nodes accept each other.

use clap::Args;
use miette::{Report, miette};

use super::{Console, Format, MeshFileArgument, Outcome};
use crate::desired::{Desired, Identity};
use crate::explain::{Explanation, explain};
use crate::identity::NodeName;

/// Say whether the handshake between two nodes works, and if not, which rule fails.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:  certctl explain front colorapp-green -f mesh.yaml

Exits with 0 when each accepts the other, with 3 when not.")]
pub(super) struct Explain {
    /// The client.
    from: String,

    /// The server.
    to: String,

    #[command(flatten)]
    mesh: MeshFileArgument,

    /// How to print the answer.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

impl Explain {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let desired = console.mesh(&self.mesh)?;
        let explanation = explain(&desired, node(&desired, &self.from)?, node(&desired, &self.to)?);
        console.answer(self.format, &explanation, || in_words(&explanation))?;
        Ok(if explanation.accepted { Outcome::Done } else { Outcome::DoesNotHold })
    }
}

fn node<'a>(desired: &'a Desired, name: &str) -> Result<&'a Identity, Report> {
    let found = NodeName::parse(name).ok().and_then(|name| desired.identities.get(&name));
    found.ok_or_else(|| {
        let names: Vec<_> = desired.identities.keys().map(NodeName::as_str).collect();
        miette!(help = format!("it has {}", names.join(", ")), "the mesh has no node {name:?}")
    })
}

fn in_words(explanation: &Explanation) -> String {
    let Explanation { from, to, accepted, rules, notes } = explanation;
    let refusal = rules.iter().find(|rule| !rule.holds).map(|rule| rule.finding.as_str());
    let mut text = match refusal {
        None => format!("{from} → {to}: accepted\n"),
        Some(finding) => format!("{from} → {to}: refused: {finding}\n"),
    };
    debug_assert_eq!(*accepted, refusal.is_none());
    for rule in rules {
        text += &format!("  {} {}\n", if rule.holds { "✓" } else { "✗" }, rule.finding);
        if let Some(change) = &rule.change {
            text += &format!("    to change that: {change}\n");
        }
    }
    for note in notes {
        text += &format!("  note: {note}\n");
    }
    text
}
