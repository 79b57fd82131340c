//! The fake of AWS Private CA as a program: prints where it is and its authorities' ARNs as one line
//! of JSON, and ends with whoever started it. It is no certificate authority to rely on.

#[path = "mod.rs"]
mod acm_pca;

use std::io::{self, Write};

use clap::Parser;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde_json::{Map, Value, json};

use acm_pca::{Fake, KeyAlgorithm, Spec};

/// A stand-in for AWS Private CA on loopback, to try certctl without an account.
#[derive(Parser)]
struct Arguments {
    /// The region that its ARNs name.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The port of the service; any that is free without.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// An authority to create: NAME[,KEY][,short-lived][,under=NAME], with KEY one of
    /// EC_prime256v1 (the default), EC_secp384r1 and RSA_2048; again for more.
    #[arg(long = "authority", required = true)]
    authorities: Vec<String>,
}

fn main() -> io::Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    if getppid() != parent {
        return Ok(());
    }
    let arguments = Arguments::parse();
    let mut fake = Fake::on_port(&arguments.region, arguments.port)?;
    let mut arns = Map::new();
    for authority in &arguments.authorities {
        let (name, spec) = read(authority, &arns).map_err(io::Error::other)?;
        arns.insert(name, Value::String(fake.create(spec)));
    }
    let control = fake.control()?;
    let found = json!({
        "endpoint": fake.endpoint(),
        "control": control,
        "region": fake.region(),
        "authorities": arns,
    });
    writeln!(io::stdout(), "{found}")?;
    loop {
        std::thread::park();
    }
}

fn read(text: &str, known: &Map<String, Value>) -> Result<(String, Spec), String> {
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or_default();
    let mut spec = Spec::root(name);
    for part in parts {
        if let Some(parent) = part.strip_prefix("under=") {
            let parent = known.get(parent).and_then(Value::as_str);
            let parent = parent.ok_or_else(|| format!("{text}: name the one above it first"))?;
            spec.parent = Some(parent.to_owned());
            spec.path_length = Some(0);
        } else if part == "short-lived" {
            spec = spec.short_lived();
        } else {
            let key: Result<KeyAlgorithm, _> = serde_json::from_value(json!(part));
            spec = spec.key(key.map_err(|_| format!("{text}: what is {part}?"))?);
        }
    }
    Ok((name.to_owned(), spec))
}
