//! `certctl verify`: does a chain verify for a name, against a bundle, and if not why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Report, WrapErr, miette};
use serde::Serialize;

use super::inspect::read_file;
use super::report::called;
use super::{Console, Format, Outcome};
use crate::store::read_passphrase;
use crate::time::{OffsetDateTime, parse_moment, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::verdict::{Finding, PeerName, Question, Rule, judge};
use crate::x509::verification::Purpose;

/// Check a certificate chain against trusted roots, rule by rule.
///
/// One line for each rule: the order of the file, the path to a trusted root, the time, the usage,
/// and where they are given the name and the key.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl verify --bundle certs/ca_1_cert.pem --key certs/front_key.pem certs/front_cert_chain.pem
  certctl verify --bundle certs/front_trust.pem --name spiffe://example.org/colors \\
      certs/colors_cert_chain.pem

Exit codes: 0 every rule holds, 1 a file cannot be read, 3 a rule is broken.")]
pub(super) struct Verify {
    /// The chain: the leaf, then the certificates above it. Several are judged one by one.
    #[arg(required = true, value_name = "CHAIN-FILE")]
    chains: Vec<PathBuf>,
    /// What is trusted: root certificates; may be given several times.
    #[arg(long, required = true, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// The private key that the leaf should be for.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The file with the passphrase of that key.
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// The SPIFFE ID or DNS name that the leaf should be for.
    #[arg(long, value_name = "NAME")]
    name: Option<PeerName>,
    /// What the leaf should be good for; a mesh needs both.
    #[arg(long, value_enum, default_value_t = Usage::Both)]
    usage: Usage,
    /// Judge as if it were this moment, such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    at: Option<OffsetDateTime>,
    /// How to print the answer.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Usage {
    Client,
    Server,
    Both,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    at: String,
    holds: bool,
    chains: Vec<Judged>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    file: String,
    holds: bool,
    findings: Vec<Finding>,
}

impl Verify {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let at = self.at.unwrap_or_else(|| console.clock.now());
        let mut bundle = Vec::new();
        for file in &self.bundle {
            bundle.extend(certificates(file)?);
        }
        let key = self.read_key()?;
        let purposes = match self.usage {
            Usage::Client => &[Purpose::Client][..],
            Usage::Server => &[Purpose::Server],
            Usage::Both => &[Purpose::Client, Purpose::Server],
        };
        let key = key.as_ref().map(PrivateKey::public);
        let question = Question { purposes, name: self.name.as_ref(), key, at };
        let mut chains = Vec::new();
        for file in &self.chains {
            let findings = judge(&certificates(file)?, &bundle, question)
                .into_diagnostic()
                .wrap_err("cannot use the bundle")?;
            let holds = findings.iter().all(|finding| finding.holds);
            chains.push(Judged { file: called(file), holds, findings });
        }
        let holds = chains.iter().all(|chain| chain.holds);
        let answer = Answer { at: rfc3339(at), holds, chains };
        console.answer(self.format, &answer, || table(&answer))?;
        Ok(if holds { Outcome::Done } else { Outcome::DoesNotHold })
    }

    fn read_key(&self) -> Result<Option<PrivateKey>, Report> {
        let Some(file) = &self.key else { return Ok(None) };
        let passphrase = self.passphrase_file.as_deref().map(read_passphrase).transpose();
        let passphrase = passphrase.into_diagnostic()?;
        PrivateKey::from_pem(&read_file(file)?, passphrase.as_ref().map(|text| text.as_slice()))
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot use the key in {}", called(file)))
            .map(Some)
    }
}

/// The certificates of a file: PEM, or one in DER.
fn certificates(file: &Path) -> Result<Vec<Certificate>, Report> {
    let bytes = read_file(file)?;
    if bytes.is_empty() {
        return Err(miette!("cannot use {}: the file is empty", called(file)));
    }
    let certificates = if bytes[0] == 0x30 {
        Certificate::from_der(bytes.to_vec()).map(|certificate| vec![certificate])
    } else {
        Certificate::all_from_pem(&bytes)
    };
    certificates
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot use the certificates in {}", called(file)))
}

fn table(answer: &Answer) -> String {
    let mut text = String::new();
    for chain in &answer.chains {
        let _ = writeln!(text, "{}", chain.file);
        for finding in &chain.findings {
            let sign = if finding.holds { '✓' } else { '✗' };
            let rule = match finding.rule {
                Rule::Chain => "chain",
                Rule::Key => "key",
                Rule::Name => "name",
                Rule::Order => "order",
                Rule::Time => "time",
                Rule::Usage => "usage",
            };
            let _ = write!(text, "  {sign} {rule:<6} {}", finding.detail);
            let _ = match &finding.advice {
                Some(advice) => writeln!(text, "\n           → {advice}"),
                None => writeln!(text),
            };
        }
    }
    text
}
