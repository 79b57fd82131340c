//! `certctl ca revoke`: one certificate of AWS Private CA.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Report, miette};

use super::super::runtime;
use super::super::{Console, MeshFileArgument, Outcome, named};
use crate::acm_pca::{Pool, RevocationReason, connect};
use crate::desired::Authority;
use crate::desired::acm_pca::{AcmPcaAuthority, PrivateCa};
use crate::identity::AuthorityName;
use crate::store::audit::{Audit, Entry, Holder};
use crate::time::rfc3339;
use crate::x509::printable::printable;

/// The longest serial, in bytes (RFC 5280 section 4.1.2.2).
const LONGEST_SERIAL: usize = 20;

/// Revoke a certificate that AWS Private CA issued.
///
/// The CA puts it on its revocation list, where it has one, within about half an hour; only peers
/// that read the list refuse it from then on. Which CA of the authority issued it is in the record
/// that `issue` and `agent` keep in the state directory (issued.jsonl).
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  openssl x509 -in front_cert.pem -noout -serial
  certctl ca revoke 793F0D5B6A04 --authority pca --reason key-compromise
  certctl ca revoke 79:3f:0d:5b:6a:04 --authority pca \\
      --ca-arn arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/11223344-1234

Exit codes: 0 revoked, now or before, 1 not.")]
pub(super) struct Revoke {
    /// The certificate's serial number in hexadecimal, as `openssl x509 -text` or `-serial` or
    /// `certctl inspect` prints it.
    #[arg(value_name = "SERIAL")]
    serial: String,

    /// The authority that issued it.
    #[arg(long, value_name = "AUTHORITY")]
    authority: String,

    /// Why.
    #[arg(long, value_enum, value_name = "REASON", default_value_t)]
    reason: Reason,

    /// Which CA of the authority issued it, where the record does not say.
    #[arg(long, value_name = "ARN")]
    ca_arn: Option<String>,

    #[command(flatten)]
    mesh: MeshFileArgument,

    /// Where the record of what was issued is: the directory of `issue` or of an agent's state.
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE", default_value = "certs")]
    state: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Reason {
    #[default]
    Unspecified,
    KeyCompromise,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
    AffiliationChanged,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            Reason::AffiliationChanged => Self::AffiliationChanged,
        }
    }
}

impl Revoke {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let serial = canonical(&self.serial).ok_or_else(|| {
            miette!(
                help = "write the hexadecimal digits that `openssl x509 -noout -serial` prints, \
                        with or without colons",
                "{:?} is no serial number",
                printable(&self.serial)
            )
        })?;
        let desired = console.mesh(&self.mesh)?;
        let name = named::authority(&desired, &self.authority)?;
        let remote = match &desired.authorities[name] {
            Authority::AcmPca(remote) => remote,
            other => return Err(cannot_revoke(name, other)),
        };
        let entry = self.recorded(name, &serial)?;
        let ca = self.issuer(name, remote, entry.as_ref())?;
        let pool = Pool::new(connect(), console.clock.clone());
        runtime()?
            .block_on(pool.revoke(ca, &serial, self.reason.into()))
            .map_err(|error| miette!("{serial} is not revoked: {error}"))?;
        let about = entry.map_or_else(
            || "not in the record".to_owned(),
            |entry| {
                let until = rfc3339(entry.not_after);
                match entry.holder {
                    Holder::Ca(ca) => format!("the CA certificate of {ca}, until {until}"),
                    Holder::Leaf(node) => format!("{node}'s, until {until}"),
                }
            },
        );
        console.note(&format!("revoked {serial} ({about}) at {}", ca.arn));
        Ok(Outcome::Done)
    }

    /// What the record says of it.
    fn recorded(&self, name: &AuthorityName, serial: &str) -> Result<Option<Entry>, Report> {
        for entry in Audit::read(&self.state).into_diagnostic()? {
            let entry = entry.into_diagnostic()?;
            if entry.authority == *name && canonical(&entry.serial).as_deref() == Some(serial) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The CA that issued it: the one that is named, else the one of the record, else the only one.
    fn issuer<'a>(
        &self,
        name: &AuthorityName,
        remote: &'a AcmPcaAuthority,
        entry: Option<&Entry>,
    ) -> Result<&'a PrivateCa, Report> {
        let with = |arn: &str| remote.cas.iter().find(|ca| ca.arn.as_str() == arn);
        let all = || {
            let arns: Vec<_> = remote.cas.iter().map(|ca| ca.arn.as_str()).collect();
            arns.join(", ")
        };
        if let Some(arn) = &self.ca_arn {
            return with(arn).ok_or_else(|| {
                miette!(
                    help = format!("its CAs are {}", all()),
                    "{name} has no CA {:?}",
                    printable(arn)
                )
            });
        }
        if let Some(entry) = entry {
            return with(entry.ca_arn()).ok_or_else(|| {
                miette!(
                    help = "put that CA back into the mesh file, or revoke it with AWS's own tool",
                    "{} issued it, which is no CA of {name} any more",
                    printable(entry.ca_arn())
                )
            });
        }
        match &remote.cas[..] {
            [only] => Ok(only),
            _ => Err(miette!(
                help = format!("say which CA issued it with --ca-arn: {}", all()),
                "the record does not have this serial, and {name} has several CAs"
            )),
        }
    }
}

/// A serial as the record has it: upper-case digits, whole bytes, no zero bytes in front that only
/// keep a number positive or fill it up.
fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("serial=").unwrap_or(text);
    let mut digits: String = text.chars().filter(|c| *c != ':').collect();
    digits.make_ascii_uppercase();
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut digits = digits.trim_start_matches('0').to_owned();
    if digits.len() % 2 == 1 || digits.is_empty() {
        digits.insert(0, '0');
    }
    (digits.len() <= 2 * LONGEST_SERIAL && digits != "0").then_some(digits)
}

fn cannot_revoke(name: &AuthorityName, authority: &Authority) -> Report {
    match authority {
        Authority::TrustOnly(_) => miette!(
            help = "whoever runs that authority can revoke it",
            "{name} is only trusted here; it issued nothing for this mesh"
        ),
        _ => miette!(
            help = format!(
                "its certificates are short-lived, so let this one run out; or, if the node's key is \
                 lost, sign the node under another authority and, when all have moved, take {name} \
                 out of every trust, or at once with `distrust: [{name}]`"
            ),
            "{name} publishes no revocation list, so revoking would change nothing"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_the_same_in_every_form_that_is_printed() {
        for text in ["0A0BFF", "a0bff", "0a:0b:ff", "00:0A:0B:FF", " serial=0A0BFF\n"] {
            assert_eq!(canonical(text).as_deref(), Some("0A0BFF"), "{text:?}");
        }
        let longest = "7F".repeat(20);
        assert_eq!(canonical(&longest), Some(longest.clone()));
        for text in ["", ":", "0", "00:00", "-1", "0x12", "12 34", "front", &"7F".repeat(21)] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }
}
