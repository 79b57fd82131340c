//! `certctl issue`: the certificates of a whole mesh, in a directory.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, Report as Failure, WrapErr, miette};
use tracing::Level;

use super::table::Table;
use super::{Console, Format, MeshFileArgument, Outcome};
use crate::acm_pca::{self, Pool};
use crate::files::Layout;
use crate::identity::NodeName;
use crate::issue::{Action, Order, Progress, Remote, Report};
use crate::telemetry::logs;
use crate::time::{Clock, OffsetDateTime, parse_moment, roughly};
use crate::x509::printable::printable;

/// Create and renew every certificate of a mesh, and leave alone what is right.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl issue -f mesh.yaml -o certs             what is missing or due, as certs.sh named it
  certctl issue -f mesh.yaml -o certs --dry-run   what would be done
  certctl issue -f mesh.yaml -o certs --live      for Envoys that watch the directory
  certctl issue -f mesh.yaml -o certs --force front

Run it as often as you like, from cron or a CronJob: a run that finds nothing due changes nothing.
Exits with 0 when all is right now, with 1 when a node or an authority failed; the others are done.")]
pub(super) struct Issue {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// Where the files go; made when missing.
    #[arg(
        short,
        long = "out",
        value_name = "DIR",
        env = "CERTCTL_OUT",
        default_value = "certs",
        value_parser = directory
    )]
    output: PathBuf,

    /// Where the authorities' keys live [default: the output directory].
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE")]
    state: Option<PathBuf>,

    /// Lay the files out behind a `..data` symlink that is swapped whole, as kubelet does: an
    /// Envoy that watches the directory never sees a key beside another one's chain.
    #[arg(long)]
    live: bool,

    /// Say what would be done, and why, and change nothing.
    #[arg(long)]
    dry_run: bool,

    /// With --dry-run: as of this moment, such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", requires = "dry_run", value_parser = parse_moment)]
    at: Option<OffsetDateTime>,

    /// Issue for this node though nothing is due; may be given several times.
    #[arg(long, value_name = "NODE", value_parser = NodeName::parse)]
    force: Vec<NodeName>,

    /// How to print what was done.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

impl Issue {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Failure> {
        let desired = console.mesh(&self.mesh)?;
        let clock = self.at.map_or_else(|| console.clock.clone(), Clock::fixed);
        let now = clock.now();
        let remote = match desired.is_remote() && !self.dry_run {
            true => Some(remote(console)?),
            false => None,
        };
        let order = Order {
            desired: &desired,
            output: &self.output,
            state: self.state.as_deref().unwrap_or(&self.output),
            layout: if self.live { Layout::Live } else { Layout::Flat },
            force: &self.force,
            now,
            remote: remote.as_ref(),
        };
        let report =
            if self.dry_run { order.plan() } else { order.carry_out(&Terminal::new(console)) }
                // Its message has those of its causes in it.
                .map_err(|error| miette!("{error}"))?;
        if !(console.quiet && self.format == Format::Table) {
            console.answer(self.format, &report, || in_words(&report, &self.output, now))?;
        }
        if report.has_failures() {
            return Err(miette!(
                help = "mend the reason given for each and run again; what is right already stays",
                "{}",
                failures(&report)
            ));
        }
        Ok(Outcome::Done)
    }
}

/// The way to AWS.
fn remote(console: &Console) -> Result<Remote, Failure> {
    // What may have been paid for is told of while it happens.
    let level = if console.quiet { Level::ERROR } else { Level::WARN };
    logs::tell(level).into_diagnostic()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("cannot start what waits for AWS")?;
    Ok(Remote { pool: Pool::new(acm_pca::connect(), console.clock.clone()), runtime })
}

/// In other commands `-o` names a format; nobody means a directory of that name.
fn directory(text: &str) -> Result<PathBuf, String> {
    match Format::from_str(text, true) {
        Ok(_) => Err(format!("-o names the directory here; write --format {text} or -o ./{text}")),
        Err(_) => Ok(PathBuf::from(text)),
    }
}

/// What failed, and why: each reason once, and so none for the nodes of an authority that failed.
fn failures(report: &Report) -> String {
    const MOST_SHOWN: usize = 10;
    let failed = |action: Action| action == Action::Failed;
    let authorities = report.authorities.iter().filter(|line| failed(line.action));
    let authorities: Vec<_> = authorities.map(|line| (&line.name, &line.reason)).collect();
    let nodes: Vec<_> = report.nodes.iter().filter(|line| failed(line.action)).collect();
    let count = authorities.len() + nodes.len();
    let told: Vec<_> = nodes
        .iter()
        .filter(|line| !authorities.iter().any(|(name, _)| **name == line.authority))
        .map(|line| (&line.name, &line.reason))
        .collect();
    let told: Vec<_> = authorities.iter().copied().chain(told).collect();
    let mut text = format!("{count} of the mesh's authorities and nodes failed");
    for (name, reason) in told.iter().take(MOST_SHOWN) {
        text += &format!("\n{name}: {}", reason.as_deref().unwrap_or_default());
    }
    if told.len() > MOST_SHOWN {
        text += &format!("\nand {} more", told.len() - MOST_SHOWN);
    }
    text
}

fn in_words(report: &Report, output: &Path, now: OffsetDateTime) -> String {
    let mut text = String::new();
    let when = |moment: &Option<String>| {
        moment.as_deref().map_or_else(String::new, |moment| until(moment, now))
    };
    let mut table = Table::new(["AUTHORITY", "ACTION", "ENDS IN", "WHY"]);
    for line in &report.authorities {
        table.row([
            line.name.clone(),
            action(line.action, report.dry_run),
            when(&line.not_after),
            line.reason.clone().unwrap_or_default(),
        ]);
    }
    text += &table.to_string();
    let mut table = Table::new(["NODE", "AUTHORITY", "ACTION", "ENDS IN", "RENEWS IN", "WHY"]);
    for line in &report.nodes {
        let certificate = line.certificate.as_ref();
        let renews = match certificate {
            Some(c) if c.due.is_none() => "with its CA".to_owned(),
            Some(c) => when(&c.due),
            None => String::new(),
        };
        table.row([
            line.name.clone(),
            line.authority.clone(),
            action(line.action, report.dry_run),
            certificate.map_or_else(String::new, |c| until(&c.not_after, now)),
            renews,
            line.reason.clone().unwrap_or_default(),
        ]);
    }
    text += &format!("\n{table}");
    for change in &report.trust_changes {
        let list = |sign, names: &[String]| -> String {
            names.iter().map(|name| format!(" {sign}{name}")).collect()
        };
        text += &format!(
            "\ntrust   {}:{}{}",
            change.file,
            list("+ ", &change.added),
            list("- ", &change.removed)
        );
    }
    if !report.roll_out.is_empty() {
        text += "\nroll out in this order:";
    }
    for (number, step) in (1..).zip(&report.roll_out) {
        text += &format!("\n  {number}. {step}");
    }
    for name in &report.left_over {
        let name = printable(name);
        text += &format!("\nnote    {name} belongs to nothing in the mesh file; remove it if so");
    }
    for note in &report.notes {
        text += &format!("\nnote    {note}");
    }
    let would_be = if report.dry_run { "would be " } else { "" };
    let files = if report.files_written == 1 { "file" } else { "files" };
    let mut summary = format!(
        "{} {files} {would_be}written, {} right already",
        report.files_written, report.files_kept
    );
    if report.files_access_changed > 0 {
        summary += &format!(", {} with other owner or mode", report.files_access_changed);
    }
    if report.dry_run {
        summary += "; dry run: nothing was changed";
    }
    text + &format!("\n{}: {summary}\n", output.display())
}

fn action(action: Action, dry_run: bool) -> String {
    match action {
        Action::Created if dry_run => "would create".to_owned(),
        Action::Renewed if dry_run => "would renew".to_owned(),
        _ => action.as_str().to_owned(),
    }
}

fn until(moment: &str, now: OffsetDateTime) -> String {
    match parse_moment(moment) {
        Ok(moment) if moment < now => "ended".to_owned(),
        Ok(moment) => roughly((moment - now).unsigned_abs()),
        Err(_) => moment.to_owned(),
    }
}

/// Progress on a terminal; silence elsewhere.
struct Terminal<'a> {
    console: &'a Console,
    bar: ProgressBar,
}

impl<'a> Terminal<'a> {
    fn new(console: &'a Console) -> Self {
        let bar = if console.quiet || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style =
                ProgressStyle::with_template("{bar:40} {pos}/{len} certificates, {eta} left");
            ProgressBar::no_length()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        };
        Self { console, bar }
    }
}

impl Progress for Terminal<'_> {
    fn waiting(&self, directory: &Path) {
        self.console.note(&format!("waiting for another run in {}", directory.display()));
    }

    fn made(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        if done == of {
            self.bar.finish_and_clear();
        }
    }
}
