//! `certctl sign`: one certificate for a key that we never see.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use miette::{IntoDiagnostic, Report, WrapErr, miette};

use super::named::{self, node};
use super::output::write_whole;
use super::report::called;
use super::{Console, MeshFileArgument, Outcome};
use crate::desired::{self, Desired, Identity};
use crate::hierarchy::{AuthorityFailure, Signer, signer};
use crate::identity::AuthorityName;
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
Examples:
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
      -keyout front_key.pem -subj /CN=front -out front.csr
  certctl sign -f mesh.yaml --csr front.csr --node front --state certs -o front_cert_chain.pem
  ssh web1 cat front.csr | certctl sign --csr - --node front >front_cert_chain.pem

Exit codes: 0 signed, 1 refused or failed; nothing is written then.")]
pub(super) struct Sign {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// The certificate signing request, PEM or DER; `-` is standard input.
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

    /// Where the chain goes; `-` is standard output.
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
            .wrap_err_with(|| format!("cannot sign {}", called(&self.csr)))?;
        let profile = profile(&desired, identity);
        request
            .check_against(&profile, &identity.name)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot sign {}", called(&self.csr)))?;
        let now = console.clock.now();
        if let Some(desired::Authority::AcmPca(_)) = desired.authorities.get(name) {
            return Err(at_aws(name));
        }
        let (authority, notes) = match signer(&desired, &self.state, name, now) {
            Ok((Signer::Here(authority), notes)) => (authority, notes),
            Ok((Signer::Remote(_), _)) => return Err(at_aws(name)),
            Err(failure) => return Err(self.cannot(name, failure)),
        };
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
                called(&self.mesh.path),
                called(&self.state)
            ),
            _ => "mend that, or name another authority with --authority".to_owned(),
        };
        miette!(help = help, "{name} cannot sign: {failure}")
    }

    fn write(&self, console: &Console, chain: &str) -> Result<(), Report> {
        if self.output == Path::new("-") {
            return console.print(chain);
        }
        write_whole(&self.output, chain.as_bytes())
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", called(&self.output)))
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

/// AWS signs requests, and what counts in them it takes from where we cannot check it: a request
/// without its key can neither be made anew nor be sent again.
fn at_aws(name: &AuthorityName) -> Report {
    miette!(
        help = "let `certctl issue` or an agent make the key and ask for its certificate; or name \
                an authority whose key is here with --authority",
        "{name} is at AWS, and signs only for keys that certctl makes"
    )
}
