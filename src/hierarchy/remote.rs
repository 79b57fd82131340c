//! An authority of AWS Private CA, as far as it is known without asking AWS.

use std::sync::Arc;
use std::time::Duration;

use super::descriptions::{self, Described};
use super::{Authorities, AuthorityFailure};
use crate::acm_pca::{KnownCa, RemoteAuthority};
use crate::authority::CaChain;
use crate::desired::acm_pca::{AcmPcaAuthority, PrivateCa};
use crate::desired::layout;
use crate::files::FileName;
use crate::identity::AuthorityName;
use crate::store::{Reader, read_foreign};
use crate::time::{OffsetDateTime, later};
use crate::x509::certificate::Certificate;
use crate::x509::printable::printable;
use crate::x509::verification::check_signature;

/// How long what AWS has said of a CA is good before it is asked again.
const GOOD_FOR: Duration = Duration::from_secs(3_600);

/// An authority whose keys are at AWS.
#[derive(Clone, Debug)]
pub struct Remote {
    authority: Option<Arc<RemoteAuthority>>,
    wanted: Vec<PrivateCa>,
    described: Vec<Described>,
    chains: Vec<CaChain>,
    roots: Vec<Certificate>,
}

impl Remote {
    /// It, with those of its CAs that have been described; none before the first is.
    pub fn authority(&self) -> Option<&Arc<RemoteAuthority>> {
        self.authority.as_ref()
    }

    /// The certificates of each of its CAs that are known, in order of preference: as AWS said, or
    /// until then as the mesh's own files have them.
    pub fn chains(&self) -> &[CaChain] {
        &self.chains
    }

    /// The roots of all of these, each once.
    pub fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// The CAs that AWS has not been asked about yet.
    pub fn not_described(&self) -> impl Iterator<Item = &PrivateCa> {
        self.wanted.iter().filter(|ca| self.description(ca).is_none())
    }

    /// The certificates of the CA that signed `certificate`, where it is one of these.
    pub(super) fn issuer_of(&self, certificate: &Certificate) -> Option<&CaChain> {
        self.chains.iter().find(|chain| is_issued_by(certificate, chain))
    }

    /// The CAs that are to be described now.
    pub(super) fn to_describe(&self, now: OffsetDateTime) -> Vec<PrivateCa> {
        let is_due = |ca: &&PrivateCa| {
            // One of the future was written before the clock was set back.
            self.description(ca).is_none_or(|it| later(it.at, GOOD_FOR) <= now || now < it.at)
        };
        self.wanted.iter().filter(is_due).cloned().collect()
    }

    /// When the next is to be described again, once all have been.
    pub(super) fn describe_at(&self) -> Option<OffsetDateTime> {
        self.described.iter().map(|described| later(described.at, GOOD_FOR)).min()
    }

    /// What is to be kept of it once these have been described.
    pub(super) fn with(&self, new: &[Described]) -> Vec<Described> {
        let kept = self.described.iter();
        let kept = kept.filter(|old| {
            !new.iter().any(|new| new.arn == old.arn && new.endpoint == old.endpoint)
        });
        kept.cloned().chain(new.iter().cloned()).collect()
    }

    /// Tells an operator where a CA has another root than before: the mesh trusts it by AWS's word.
    pub(super) fn tell_of_other_root(&self, new: &Described) {
        let before = self.described.iter().find(|old| old.arn == new.arn);
        let Some(before) = before.map(|old| old.chain.root()) else { return };
        let now = new.chain.root();
        if before != now {
            tracing::warn!(
                ca = %new.arn, root = %now.subject(), serial = %now.serial(),
                before = %before.subject(), serial_before = %before.serial(),
                "AWS has another root for this CA, which is trusted from now on; if nobody is \
                 known to have changed the CA, find out who did"
            );
        }
    }

    fn description(&self, ca: &PrivateCa) -> Option<&Described> {
        self.described.iter().find(|described| described.is_of(ca))
    }
}

/// Whether the first of these signed `certificate`.
pub(super) fn is_issued_by(certificate: &Certificate, chain: &CaChain) -> bool {
    certificate.names_as_issuer(chain.own()) && check_signature(certificate, chain.own()).is_ok()
}

impl Authorities {
    /// What is known of an authority of AWS Private CA. What is damaged, or missing, is asked for.
    pub(super) fn load_remote(
        &mut self,
        name: &AuthorityName,
        wanted: &AcmPcaAuthority,
        read: &Reader<'_>,
    ) -> Result<Remote, AuthorityFailure> {
        let mut described = self.read_descriptions(name, read)?;
        described.retain(|it| wanted.cas.iter().any(|ca| it.is_of(ca)));
        let mut known: Vec<KnownCa> = Vec::new();
        let mut chains = Vec::new();
        for ca in &wanted.cas {
            if let Some(described) = described.iter().find(|it| it.is_of(ca)) {
                chains.push(described.chain.clone());
                known.push(described.known(ca));
            } else if let Some(chain) = self.foreseen(name, ca) {
                chains.push(chain);
            }
        }
        let authority = RemoteAuthority::new(name.clone(), known).map(Arc::new);
        let mut roots: Vec<Certificate> = Vec::new();
        for chain in &chains {
            if !roots.contains(chain.root()) {
                roots.push(chain.root().clone());
            }
        }
        Ok(Remote { authority, wanted: wanted.cas.clone(), described, chains, roots })
    }

    /// What AWS has said, as it was kept: of an authority of its own, or of the one above ours.
    pub(super) fn read_descriptions(
        &mut self,
        name: &AuthorityName,
        read: &Reader<'_>,
    ) -> Result<Vec<Described>, AuthorityFailure> {
        let file = layout::authority_description(name);
        let Some(text) = read(&FileName::parse(file.clone())?)? else { return Ok(Vec::new()) };
        Ok(descriptions::from_json(text.as_bytes()).unwrap_or_else(|error| {
            self.note(name, format!("{file} is damaged, and AWS is asked again: {error}"));
            Vec::new()
        }))
    }

    /// The certificates that the mesh's own files have of a CA.
    fn foreseen(&mut self, name: &AuthorityName, ca: &PrivateCa) -> Option<CaChain> {
        let file = ca.certificates.as_deref()?;
        let text = read_foreign(file).map_err(|error| error.to_string());
        let chain = text.and_then(|text| {
            let certificates = Certificate::all_from_pem(&text).map_err(|it| it.to_string())?;
            CaChain::new(certificates).map_err(|error| error.to_string())
        });
        match chain {
            Ok(chain) => Some(chain),
            Err(error) => {
                let file = printable(&file.display().to_string());
                self.note(name, format!("{file} is not used until it is mended: {error}"));
                None
            }
        }
    }
}
