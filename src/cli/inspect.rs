//! `certctl inspect`: what is in a file or behind an address, in words, with problems marked.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::{IntoDiagnostic, Report, WrapErr, miette};
use serde::Serialize;
use zeroize::Zeroizing;

use super::report::called;
use super::{Console, Format, Outcome};
use crate::endpoint::{Address, Look, Sight, Verdict};
use crate::time::{OffsetDateTime, parse_duration, parse_moment, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::describe::{Description, Item, Problem, in_words, relate};
use crate::x509::key::PrivateKey;

/// The largest file that is read: a bundle of some thousand roots has a few megabytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Say what is in certificates, requests and keys, or what a live endpoint sends.
///
/// Reads PEM and DER: certificates, chains, bundles, requests, revocation lists and keys (of which
/// it tells the public half alone). A key is compared with the certificates beside it. Of a
/// directory, every file is read.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl inspect certs/front_cert_chain.pem certs/front_key.pem
  certctl inspect certs --strict
  certctl inspect front.example:8443 --cert certs/front_cert_chain.pem --key certs/front_key.pem
  kubectl get secret front-tls -o json | jq -r '.data[\"tls.crt\"] | @base64d' | certctl inspect -

Exit codes: 0 it was looked at, 1 something could not be read, 3 with --strict: there are problems.")]
pub(super) struct Inspect {
    /// A file, a directory, HOST:PORT, or `-` for standard input. What exists as a file is one.
    #[arg(required = true, value_name = "FILE|DIR|HOST:PORT|-")]
    sources: Vec<PathBuf>,
    /// How to print the answer.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
    /// End with exit code 3 when there is any problem.
    #[arg(long)]
    strict: bool,
    /// Judge as if it were this moment, such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    at: Option<OffsetDateTime>,
    /// How long a live endpoint may take.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    timeout: std::time::Duration,
    /// The server name to send to a live endpoint (SNI), where it is not the host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// A protocol to offer to a live endpoint (ALPN), such as h2; may be given several times.
    #[arg(long, value_name = "PROTOCOL")]
    alpn: Vec<String>,
    /// The client certificate to offer to a live endpoint: PEM, leaf first.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that client certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// The whole answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The moment that validity is judged by.
    at: String,
    sources: Vec<Source>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Sight>,
    #[serde(flatten)]
    description: Description,
}

impl Inspect {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let at = self.at.unwrap_or_else(|| console.clock.now());
        let mut sources = Vec::new();
        let mut failure = None;
        for found in self.sources.iter().flat_map(|path| self.look(path, at, console)) {
            match found {
                Ok(source) => sources.push(source),
                // The others are told all the same, and each other failure in a line.
                Err(report) => match failure {
                    None => failure = Some(report),
                    Some(_) => console.error(&report),
                },
            }
        }
        if sources.is_empty()
            && let Some(report) = failure
        {
            return Err(report);
        }
        let mut parts: Vec<_> =
            sources.iter_mut().map(|s| (s.name.as_str(), &mut s.description)).collect();
        relate(&mut parts);
        let answer = Answer { at: rfc3339(at), sources };
        console.answer(self.format, &answer, || table(&answer))?;
        if let Some(report) = failure {
            return Err(report);
        }
        let problems = answer.sources.iter().flat_map(|source| source.description.all_problems());
        Ok(if self.strict && problems.count() > 0 { Outcome::DoesNotHold } else { Outcome::Done })
    }

    fn look(
        &self,
        path: &Path,
        at: OffsetDateTime,
        console: &Console,
    ) -> Vec<Result<Source, Report>> {
        if path == Path::new("-") {
            return vec![of_standard_input(at)];
        }
        if path.is_dir() {
            return of_directory(path, at, console).unwrap_or_else(|report| vec![Err(report)]);
        }
        // Also where it cannot be read, which is told better as a file than as an address.
        let there = path.symlink_metadata().map_err(|error| error.kind());
        if !matches!(there, Err(io::ErrorKind::NotFound | io::ErrorKind::InvalidInput)) {
            return vec![of_file(path, at)];
        }
        let address = path.to_str().and_then(|text| text.parse::<Address>().ok());
        vec![match address {
            Some(address) => self.endpoint(&address, at),
            None => Err(miette!(
                help = "an address is a host and a port, such as front.example:8443",
                "there is no file {:?}, and it is no HOST:PORT that one could connect to",
                path.to_string_lossy()
            )),
        }]
    }

    fn endpoint(&self, address: &Address, at: OffsetDateTime) -> Result<Source, Report> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((
                PrivateKey::from_pem(&read_file(key)?, None)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("cannot use {}", called(key)))?,
                Certificate::all_from_pem(&read_file(cert)?)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("cannot use {}", called(cert)))?,
            )),
            _ => None,
        };
        let look = Look {
            server_name: self.server_name.clone(),
            protocols: self.alpn.clone(),
            identity,
            timeout: self.timeout,
        };
        let sight = look.at(address).into_diagnostic()?;
        let mut description = Description::of_chain(sight.chain.iter().map(Vec::as_slice), at);
        if !sight.proves_its_key {
            description.problems.push(Problem::error(
                "key-not-proven",
                "it did not prove to hold the private key of its certificate",
            ));
        }
        Ok(Source { name: address.to_string(), endpoint: Some(sight), description })
    }
}

fn of_standard_input(at: OffsetDateTime) -> Result<Source, Report> {
    let bytes =
        read(&mut io::stdin().lock()).into_diagnostic().wrap_err("cannot read standard input")?;
    let description = Description::of_bytes(&bytes, at);
    Ok(Source { name: "standard input".to_owned(), endpoint: None, description })
}

/// What the files of a directory hold; files that hold nothing for us are noted and passed over.
fn of_directory(
    path: &Path,
    at: OffsetDateTime,
    console: &Console,
) -> Result<Vec<Result<Source, Report>>, Report> {
    let mut found: Vec<_> =
        directory(path, console)?.iter().map(|file| of_file(file, at)).collect();
    found.retain(|source| source.as_ref().map_or(true, |source| holds_something(source, console)));
    if found.is_empty() {
        let help = "name a directory of PEM or DER files; those below it are not entered";
        return Err(miette!(help = help, "there is nothing to inspect in {}", called(path)));
    }
    Ok(found)
}

fn of_file(path: &Path, at: OffsetDateTime) -> Result<Source, Report> {
    let mut description = Description::of_bytes(&read_file(path)?, at);
    let mode = fs::metadata(path).map(|file| file.permissions().mode()).unwrap_or(0);
    let clear = |item: &Item| matches!(item, Item::PrivateKey(key) if !key.encrypted);
    if mode & 0o004 != 0 && description.items.iter().any(clear) {
        let message = format!(
            "everybody on this machine may read the private key (mode {:04o}); `chmod o-r` it",
            mode & 0o7777
        );
        description.problems.push(Problem::warning("readable-by-others", message));
    }
    Ok(Source { name: called(path), endpoint: None, description })
}

/// The files of a directory itself, by name.
fn directory(path: &Path, console: &Console) -> Result<Vec<PathBuf>, Report> {
    let unreadable = || format!("cannot read the directory {}", called(path));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).into_diagnostic().wrap_err_with(unreadable)? {
        let file = entry.into_diagnostic().wrap_err_with(unreadable)?.path();
        // What is a file behind a link is one: Kubernetes mounts Secrets so.
        if file.is_file() {
            files.push(file);
        } else {
            console.note(&format!("passed over {}: it is no file", called(&file)));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file that nobody named is worth telling of.
fn holds_something(source: &Source, console: &Console) -> bool {
    let foreign = |item: &Item| item.problems().iter().any(|p| p.code == "unknown-form");
    let holds = !source.description.items.iter().all(foreign);
    if !holds {
        console.note(&format!("passed over {}: neither PEM nor DER in it", source.name));
    }
    holds
}

/// What is in a file, which may be a private key.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Report> {
    File::open(path)
        .and_then(|mut file| read(&mut file))
        .map(Zeroizing::new)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", called(path)))
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

fn table(answer: &Answer) -> String {
    let mut text = String::new();
    for (at, source) in answer.sources.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", source.name);
        if let Some(sight) = &source.endpoint {
            endpoint_table(&mut text, sight);
        }
        text.push_str(&in_words(&source.description));
    }
    text
}

fn endpoint_table(text: &mut String, sight: &Sight) {
    let none = || "none".to_owned();
    let asks = match (sight.asks_for_client_certificate, &sight.accepted_authorities[..]) {
        (false, _) => "not asked for".to_owned(),
        (true, []) => "asked for, of any CA".to_owned(),
        (true, names) => format!("asked for, of {}", names.join("; ")),
    };
    let gave = if sight.gave_client_certificate { "given" } else { "none given" };
    let verdict = match (sight.verdict, &sight.refusal) {
        (Verdict::Accepted, _) => "accepted us".to_owned(),
        (Verdict::Refused, Some(why)) => format!("refused us: {why}"),
        (Verdict::Refused, None) => "refused us".to_owned(),
        (Verdict::Unknown, _) => "went silent after the handshake".to_owned(),
    };
    let version = [&sight.tls_version, &sight.cipher_suite, &sight.key_exchange];
    let version: Vec<_> = version.into_iter().flatten().map(String::as_str).collect();
    let client = if sight.asks_for_client_certificate { format!("{asks}; {gave}") } else { asks };
    for (label, value) in [
        ("server name", sight.server_name.clone()),
        ("TLS", if version.is_empty() { none() } else { version.join(", ") }),
        ("protocol", sight.protocol.clone().unwrap_or_else(none)),
        ("client cert", client),
        ("outcome", verdict),
    ] {
        let _ = writeln!(text, "     {label:<14} {value}");
    }
}
