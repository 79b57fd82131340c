//! `certctl explain`: whether two nodes accept each other.

use clap::Args;
use miette::Report;

use super::named::node;
use super::{Console, Format, MeshFileArgument, Outcome};
use crate::explain::{Explanation, explain};

/// Say whether two nodes accept each other, and if not, what to change.
///
/// Judges both directions by the mesh file alone: whom each trusts, and whom each expects. Needs no
/// certificates; those are for `inspect` and `verify`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl explain front colorapp-green -f mesh.yaml
  certctl explain front colorapp-green --format json | jq '.rules[] | select(.holds | not)'

Exit codes: 0 each accepts the other, 1 the mesh file cannot be used, 3 one of them refuses.")]
pub(super) struct Explain {
    /// The client: a virtual node or gateway.
    from: String,

    /// The server: a virtual node or gateway.
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
