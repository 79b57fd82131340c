//! `certctl sign`: one certificate for a key that we never see.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::{IntoDiagnostic, Report, WrapErr, miette};

use super::named::{self, node};
use super::{Console, MeshFileArgument, Outcome};
use crate::desired::{Desired, Identity};
use crate::identity::AuthorityName;
use crate::issue::{AuthorityFailure, signer};
use crate::rotation::profile;
use crate::signing::sign;
use crate::time::rfc3339;
use crate::x509::certificate::Certificate;
use crate::x509::request::Request;

/// Sign one certificate for a key that certctl never sees.
///
/// Of the request only its public key is taken; names, usages and lifetime are the node's, as the
/// mesh file has them. A request that asks for anything else is refused. Writes the leaf and the
/// CA certificates above it, as `issue` writes NODE_cert_chain.pem.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
      -keyout front_key.pem -subj /CN=front -out front.csr
  certctl sign -f mesh.yaml --csr front.csr --node front --state certs -o front_cert_chain.pem")]
pub(super) struct Sign {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// The certificate signing request, PEM or DER; - for standard input.
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,

    /// The node that the certificate is for.
    #[arg(long, value_name = "NODE")]
    node: String,

    /// The authority that signs [default: the node's own].
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,

    /// Where the authorities' keys live, which `certctl issue` made.
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE", default_value = "certs")]
    state: PathBuf,

    /// Where the chain goes; - for standard output.
    #[arg(short, long = "out", value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

impl Sign {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        if self.csr == Path::new("-") && self.mesh.path == Path::new("-") {
            return Err(miette!("standard input cannot be the mesh file and the request at once"));
        }
        let desired = console.mesh(&self.mesh)?;
        let identity = node(&desired, &self.node)?;
        let name = self.authority_name(&desired, identity)?;
        let request = read_request(&self.csr)
            .and_then(|bytes| Request::parse(&bytes).into_diagnostic())
            .wrap_err_with(|| format!("cannot sign {}", self.csr.display()))?;
        let profile = profile(&desired, identity);
        request
            .check_against(&profile, &identity.name)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot sign {}", self.csr.display()))?;
        let now = console.clock.now();
        let (authority, notes) = signer(&desired, &self.state, name, now)
            .map_err(|failure| self.cannot(name, failure))?;
        if authority.chain().iter().any(|ca| ca.spki() == request.public_key().spki()) {
            return Err(miette!(
                "the request is for the key of {name} itself, or of a CA above it"
            ));
        }
        let chain = sign(&authority, &profile, request.public_key(), now)
            .into_diagnostic()
            .wrap_err_with(|| format!("{name} cannot sign"))?;
        self.write(console, &chain.to_pem())?;
        for note in notes {
            console.note(&format!("note: {note}"));
        }
        self.tell(console, identity, &request, chain.leaf(), name);
        Ok(Outcome::Done)
    }

    fn authority_name<'a>(
        &self,
        desired: &'a Desired,
        identity: &'a Identity,
    ) -> Result<&'a AuthorityName, Report> {
        let Some(wanted) = &self.authority else { return Ok(&identity.authority) };
        named::authority(desired, wanted)
    }

    fn cannot(&self, name: &AuthorityName, failure: std::sync::Arc<AuthorityFailure>) -> Report {
        let help = match *failure {
            AuthorityFailure::NotMade => format!(
                "`certctl issue -f {} --state {}` makes it; or name the directory it is in with \
                 --state",
                self.mesh.path.display(),
                self.state.display()
            ),
            _ => "mend that, or name another authority with --authority".to_owned(),
        };
        miette!(help = help, "{name} cannot sign: {failure}")
    }

    fn write(&self, console: &Console, chain: &str) -> Result<(), Report> {
        if self.output == Path::new("-") {
            return console.print(chain);
        }
        replace(&self.output, chain.as_bytes())
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", self.output.display()))
    }

    /// Says what was signed, and what of the request or the mesh it leaves out.
    fn tell(
        &self,
        console: &Console,
        identity: &Identity,
        request: &Request,
        leaf: &Certificate,
        name: &AuthorityName,
    ) {
        for left_out in request.set_aside() {
            console.note(&format!("note: {left_out} has no say in the certificate"));
        }
        if *name != identity.authority {
            console.note(&format!(
                "note: {}'s own authority is {}; peers must trust {name} to accept this",
                identity.name, identity.authority
            ));
        }
        let algorithm = request.public_key().algorithm();
        if algorithm != identity.key_algorithm {
            console.note(&format!(
                "note: the key is {algorithm}, and the mesh file has {} for {}",
                identity.key_algorithm, identity.name
            ));
        }
        console.note(&format!(
            "signed {} by {name}: {}, serial {}, until {}",
            identity.name,
            identity.spiffe_id,
            leaf.serial(),
            rfc3339(leaf.validity().not_after)
        ));
    }
}

/// At most one byte more than a request may have, which is enough to refuse it.
fn read_request(path: &Path) -> Result<Vec<u8>, Report> {
    let limit = Request::MAX_SIZE as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    }
    .into_diagnostic()
    .wrap_err("cannot read it")?;
    Ok(bytes)
}

/// Replaces a file by one rename, so that whoever reads it sees the old one or the new one whole.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut staged = std::ffi::OsString::from(".");
    staged.push(name);
    staged.push(format!(".{}", std::process::id()));
    let staged = path.with_file_name(staged);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&staged)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&staged, path));
    if let Err(error) = written {
        // Ours alone: a name of somebody else's stays.
        if error.kind() != io::ErrorKind::AlreadyExists {
            drop(fs::remove_file(&staged));
        }
        return Err(error);
    }
    Ok(())
}
