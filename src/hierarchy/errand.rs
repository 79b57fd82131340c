//! What is to be asked of AWS for the authorities of a mesh, and asking it: each by itself, so that
//! one that hangs delays no other. What comes of it is kept in the state directory, where the
//! authorities are read again.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::descriptions::{self, Described};
use super::due::{due, outdated_under};
use super::{Authorities, Making, Remote, State, height};
use crate::acm_pca::{CaOrder, Pool, RemoteAuthority, SigningError, Urgency};
use crate::authority::{Authority, CaChain, ca_profile};
use crate::desired::acm_pca::{CaArn, PrivateCa};
use crate::desired::layout;
use crate::desired::{self, Desired, LocalAuthority};
use crate::files::{Access, Directory, FileName, FileSpec, FilesError};
use crate::identity::AuthorityName;
use crate::store::audit::{self, Holder};
use crate::store::{Entry, NodeStore};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::profile::CaProfile;

mod book;

use book::{Book, earlier};

/// One thing to ask of AWS.
#[derive(Debug)]
pub struct Errand {
    authority: AuthorityName,
    what: What,
}

#[derive(Debug)]
enum What {
    Describe { cas: Vec<PrivateCa>, remote: Remote },
    Sign(Box<Sign>),
}

/// An intermediate of ours to be signed.
#[derive(Debug)]
struct Sign {
    key: CaKey,
    /// What it has now.
    own: Option<Certificate>,
    profile: CaProfile,
    below: u8,
    under: Arc<RemoteAuthority>,
    why: Making,
}

#[derive(Debug)]
enum CaKey {
    New(Arc<PrivateKey>),
    Of(Arc<Authority>),
}

/// With what errands are run.
#[derive(Clone, Debug)]
pub struct Means {
    /// The way to AWS.
    pub pool: Pool,
    /// The state directory.
    pub directory: Arc<Directory>,
    /// What is kept in it of what is under way.
    pub store: Arc<NodeStore>,
    /// Where that directory is: the record of what was issued is there, too.
    pub state: PathBuf,
}

/// What came of an errand.
#[derive(Debug)]
pub struct Outcome {
    /// Whether something was kept, so that the authorities are to be read again.
    pub is_news: bool,
    /// What is to be asked again all the same.
    pub failure: Option<ErrandError>,
    /// The certificate that was signed, and is paid for.
    pub signed: Option<SignedCa>,
}

/// A CA's certificate that AWS has signed.
#[derive(Clone, Debug)]
pub struct SignedCa {
    /// The CA that signed it.
    pub by: CaArn,
    /// Its ARN.
    pub arn: String,
    /// It.
    pub certificate: Certificate,
    /// Why it was to be made.
    pub why: Making,
}

impl ErrandError {
    /// Whether it cost money all the same, as each further try will.
    pub fn is_paid_for(&self) -> bool {
        matches!(self, Self::Signing(error) if error.is_paid_for())
    }
}

/// Why an errand brought nothing.
#[derive(Debug, Error)]
pub enum ErrandError {
    /// AWS did not do it.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// None of several CAs was described.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Described(Vec<SigningError>),
    /// What came of it could not be kept.
    #[error("what AWS said cannot be kept: {0}")]
    Files(#[from] FilesError),
    /// The work ended without a result.
    #[error("the work was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

impl Authorities {
    /// What is to be asked now: CAs that have not been described, or long ago, and intermediates
    /// under them that are yet to be signed, due, or to be signed anew.
    pub fn errands(&self, desired: &Desired, now: OffsetDateTime) -> Vec<Errand> {
        let errand = |(name, state): (&AuthorityName, &State)| {
            let what = match (desired.authorities.get(name)?, state) {
                (desired::Authority::AcmPca(_), State::Remote(remote)) => {
                    let cas = remote.to_describe(now);
                    (!cas.is_empty()).then(|| What::Describe { cas, remote: remote.clone() })
                }
                (desired::Authority::Local(wanted), state) => {
                    self.to_sign(desired, (name, wanted), state, now).map(What::Sign)
                }
                _ => None,
            };
            Some(Errand { authority: name.clone(), what: what? })
        };
        self.states.iter().filter_map(errand).collect()
    }

    fn to_sign(
        &self,
        desired: &Desired,
        (name, wanted): (&AuthorityName, &LocalAuthority),
        state: &State,
        now: OffsetDateTime,
    ) -> Option<Box<Sign>> {
        let State::Remote(above) = self.states.get(wanted.parent.as_ref()?)? else { return None };
        let under = Arc::clone(above.authority()?);
        let (key, own, why) = match state {
            State::Awaiting { key, why } => (CaKey::New(Arc::clone(key)), None, *why),
            State::Ready(authority) => {
                let own = authority.certificate();
                let why = outdated_under(desired, name, own, above, now)?;
                (CaKey::Of(Arc::clone(authority)), Some(own.clone()), why)
            }
            _ => return None,
        };
        let below = height(desired, name);
        let profile = ca_profile(wanted, desired.clock_skew, Some(below));
        Some(Box::new(Sign { key, own, profile, below, under, why }))
    }

    /// When the next errand is due that is not due yet.
    pub fn next_errand(&self, desired: &Desired) -> Option<OffsetDateTime> {
        let moments = self.states.iter().filter_map(|(name, state)| match state {
            State::Remote(remote) => remote.describe_at(),
            State::Ready(authority) => {
                let desired::Authority::Local(local) = desired.authorities.get(name)? else {
                    return None;
                };
                let State::Remote(above) = self.states.get(local.parent.as_ref()?)? else {
                    return None;
                };
                let own = authority.certificate();
                let issuer = above.issuer_of(own);
                let gains = issuer.is_none_or(|issuer| own.validity().not_after < issuer.ends());
                gains.then(|| due(desired, own))
            }
            _ => None,
        });
        moments.min()
    }

    /// Whether an authority can sign only once AWS has been asked something.
    pub fn awaits_errand(&self, name: &AuthorityName) -> bool {
        match self.states.get(name) {
            Some(State::Awaiting { .. }) => true,
            Some(State::Remote(remote)) => remote.authority().is_none(),
            _ => false,
        }
    }
}

impl Errand {
    /// The authority that it is for.
    pub fn authority(&self) -> &AuthorityName {
        &self.authority
    }

    /// Whether it costs money.
    pub fn is_paid_for(&self) -> bool {
        matches!(self.what, What::Sign(_))
    }

    /// Asks, and keeps what AWS says. May be dropped at any time.
    pub async fn run(self, means: &Means, now: OffsetDateTime) -> Outcome {
        let Self { authority, what } = self;
        let outcome = match what {
            What::Describe { cas, remote } => describe(&authority, &cas, &remote, means, now).await,
            What::Sign(sign) => sign.run(&authority, means, now).await,
        };
        outcome.unwrap_or_else(|failure| Outcome {
            is_news: false,
            failure: Some(failure),
            signed: None,
        })
    }
}

async fn describe(
    name: &AuthorityName,
    cas: &[PrivateCa],
    remote: &Remote,
    means: &Means,
    now: OffsetDateTime,
) -> Result<Outcome, ErrandError> {
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for said in means.pool.describe_all(cas).await {
        match said {
            Ok(ca) => {
                let ca = Described::new(ca, now);
                remote.tell_of_other_root(&ca);
                described.push(ca);
            }
            Err(failure) => failures.push(failure),
        }
    }
    let is_news = !described.is_empty();
    if is_news {
        let kept = remote.with(&described);
        keep(means, vec![description_file(name, &kept)?]).await?;
    }
    let failure = match failures.len() {
        0 => None,
        1 => failures.pop().map(ErrandError::Signing),
        _ => Some(ErrandError::Described(failures)),
    };
    Ok(Outcome { is_news, failure, signed: None })
}

impl Sign {
    async fn run(
        self,
        name: &AuthorityName,
        means: &Means,
        now: OffsetDateTime,
    ) -> Result<Outcome, ErrandError> {
        let key = match &self.key {
            CaKey::New(key) => key.as_ref(),
            CaKey::Of(authority) => authority.key(),
        };
        let order = CaOrder { profile: &self.profile, below: self.below, key };
        let ledger = Book { name, under: self.under.name(), means };
        let mut earlier = earlier(name, means).await?;
        let signed = loop {
            let was_earlier = earlier.is_some();
            let urgency = match self.why {
                Making::New | Making::Changed => Urgency::awaited(),
                Making::Due | Making::NotYetValid => Urgency::default(),
            };
            let signed =
                means.pool.sign(&self.under, &order, earlier.take(), &urgency, &ledger).await?;
            // What is in place already was only not forgotten yet.
            if !(was_earlier && Some(signed.signed.own()) == self.own.as_ref()) {
                break signed;
            }
        };
        let chain: &CaChain = &signed.signed;
        let issuers = CaChain::new(chain.certificates()[1..].to_vec()).map_err(|cause| {
            SigningError::Wrong {
                certificate: signed.certificate.clone(),
                cause: Box::new(cause.into()),
            }
        })?;
        let by = self.under.cas().iter().find(|ca| ca.ca.arn == signed.ca);
        let above: Vec<_> = by
            .map(|ca| Described { chain: issuers, ..Described::new(ca.clone(), now) })
            .into_iter()
            .collect();
        let certificate = FileSpec {
            name: FileName::parse(layout::authority_certificate(name))?,
            contents: chain.own().to_pem().into(),
            access: Access::with_mode(0o644),
        };
        keep(means, vec![certificate, description_file(name, &above)?]).await?;
        let (store, nothing) = (Arc::clone(&means.store), Entry::no_submission(name));
        tokio::task::spawn_blocking(move || store.save(&[nothing])).await??;
        let entry = audit::Entry {
            time: means.pool.now(),
            authority: self.under.name().clone(),
            holder: Holder::Ca(name.clone()),
            serial: chain.own().serial(),
            certificate_arn: signed.certificate.clone(),
            not_after: chain.own().validity().not_after,
            is_unused: false,
        };
        let state = means.state.clone();
        tokio::task::spawn_blocking(move || audit::record(&state, &entry)).await?;
        let signed = SignedCa {
            by: signed.ca,
            arn: signed.certificate,
            certificate: chain.own().clone(),
            why: self.why,
        };
        Ok(Outcome { is_news: true, failure: None, signed: Some(signed) })
    }
}

fn description_file(name: &AuthorityName, described: &[Described]) -> Result<FileSpec, FilesError> {
    Ok(FileSpec {
        name: FileName::parse(layout::authority_description(name))?,
        contents: descriptions::to_json(described).into(),
        access: Access::with_mode(0o644),
    })
}

/// Keeps files, all or none.
async fn keep(means: &Means, files: Vec<FileSpec>) -> Result<(), ErrandError> {
    let directory = Arc::clone(&means.directory);
    tokio::task::spawn_blocking(move || directory.replace(&files)).await??;
    Ok(())
}
