//! `certctl explain`: whether two nodes accept each other.

use clap::Args;
use miette::Report;

use super::named::node;
use super::{Console, Format, MeshFileArgument, Outcome};
use crate::explain::{Explanation, explain};

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
