//! All CAs of AWS Private CA that this process uses: their quotas, their health, and which of an
//! authority's CAs signs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::contact::{CaHealth, Contact, Lanes, silent};
use super::quota::Lane;
use super::signing::{Asked, Job};
use super::{
    Connect, KnownCa, Ledger, Order, RemoteAuthority, RevocationReason, ServiceError, SigningError,
    Submission, Urgency,
};
use crate::desired::acm_pca::{CaArn, PrivateCa};
use crate::time::{Clock, OffsetDateTime, rfc3339};

/// How long a call may take where there is no other CA to turn to.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long where there is.
pub(super) const IMPATIENCE: Duration = Duration::from_secs(2);

/// All CAs that this process uses. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connect: Arc<dyn Connect>,
    clock: Clock,
    contacts: Mutex<BTreeMap<Place, Arc<Contact>>>,
    lanes: Mutex<BTreeMap<Quota, Lanes>>,
    turns: AtomicU64,
}

/// A CA, and where its service is.
type Place = (CaArn, Option<String>);

/// Whose requests are counted together: an account's in a region, or those to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quota {
    Region { partition: String, region: String, account: String },
    Endpoint(String),
}

/// What an authority has signed, verified.
#[derive(Clone, Debug)]
pub struct Signed<T> {
    /// It.
    pub signed: T,
    /// The CA that signed.
    pub ca: CaArn,
    /// The certificate's ARN.
    pub certificate: String,
}

impl Pool {
    /// One that has asked nothing yet.
    pub fn new(connect: Arc<dyn Connect>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            connect,
            clock,
            contacts: Mutex::default(),
            lanes: Mutex::default(),
            turns: AtomicU64::new(0),
        }))
    }

    /// What AWS says of a CA, verified: DescribeCertificateAuthority and
    /// GetCertificateAuthorityCertificate. One that does not sign now is described all the same,
    /// since its root may still be trusted, and is passed over in [`sign`](Self::sign).
    ///
    /// # Errors
    /// When AWS does not say it, or what it says makes no CA.
    pub async fn describe(&self, ca: &PrivateCa) -> Result<KnownCa, SigningError> {
        self.describe_within(ca, PATIENCE).await
    }

    /// The same of all CAs of an authority, side by side and in their order; where there are
    /// several, none is waited for longer than 2 s.
    pub async fn describe_all(&self, cas: &[PrivateCa]) -> Vec<Result<KnownCa, SigningError>> {
        let patience = if cas.len() > 1 { IMPATIENCE } else { PATIENCE };
        join_all(cas.iter().map(|ca| self.describe_within(ca, patience))).await
    }

    async fn describe_within(
        &self,
        ca: &PrivateCa,
        patience: Duration,
    ) -> Result<KnownCa, SigningError> {
        let contact = self.contact(ca);
        contact.use_it();
        let failed = |call, cause: ServiceError| {
            contact.fell(cause.to_string());
            SigningError::Service { ca: ca.arn.clone(), call, cause }
        };
        let both = async {
            tokio::join!(contact.service.describe(&ca.arn), contact.service.ca_certificate(&ca.arn))
        };
        let (description, certificates) = timeout(patience, both)
            .await
            .map_err(|_| failed("DescribeCertificateAuthority", silent(patience)))?;
        let description =
            description.map_err(|cause| failed("DescribeCertificateAuthority", cause))?;
        contact.described(&description.status);
        let pem =
            certificates.map_err(|cause| failed("GetCertificateAuthorityCertificate", cause))?;
        KnownCa::of(ca.clone(), &description, &pem).map_err(|cause| SigningError::Description {
            ca: ca.arn.clone(),
            cause: Box::new(cause),
        })
    }

    /// Has one of the authority's CAs sign; which one, is their health's. What is asked for is kept
    /// in `ledger` before anything is sent, and again when AWS has said which certificate it is;
    /// `earlier` is what was kept when an earlier call was cut off: what was paid for then is
    /// fetched. May be dropped at any time.
    ///
    /// # Errors
    /// When none of the CAs signs, or what came is not just what was asked for.
    pub async fn sign<O: Order>(
        &self,
        authority: &RemoteAuthority,
        order: &O,
        earlier: Option<Submission>,
        urgency: &Urgency,
        ledger: &dyn Ledger,
    ) -> Result<Signed<O::Signed>, SigningError> {
        let cas = authority.cas();
        let contacts: Vec<_> = cas.iter().map(|ca| self.contact(&ca.ca)).collect();
        contacts.iter().for_each(Contact::use_it);
        let turn = self.0.turns.fetch_add(1, Ordering::Relaxed);
        let job = Job { order, urgency, ledger, turn, clock: &self.0.clock };
        let mut kept = earlier;
        if let Some(earlier) = &kept
            && let Some(why) = self.useless(cas, earlier)
        {
            leave(earlier, why);
            job.waste(earlier, None).await;
            kept = None;
        }
        let mut untried: Vec<_> = (0..cas.len()).collect();
        let mut failures = Vec::new();
        loop {
            let is_good = |place: &usize| !contacts[*place].is_down();
            let holder = kept.as_ref().and_then(|kept| place_of(cas, kept));
            let other =
                untried.iter().copied().find(|place| is_good(place) && Some(*place) != holder);
            let place = match (&kept, holder) {
                (Some(left), Some(holder)) => {
                    let may_leave = other.filter(|_| job.may_leave(left));
                    match may_leave.filter(|_| !(untried.contains(&holder) && is_good(&holder))) {
                        Some(other) => {
                            leave(left, "another CA signs in its place");
                            job.waste(left, None).await;
                            kept = None;
                            Some(other)
                        }
                        None => Some(holder).filter(|holder| untried.contains(holder)),
                    }
                }
                _ => other.or_else(|| untried.first().copied()),
            };
            let Some(place) = place else { break };
            untried.retain(|untried| *untried != place);
            let has_other = untried.iter().any(|place| !contacts[*place].is_down());
            let asked = Asked { ca: &cas[place], contact: &contacts[place], has_other };
            match job.at(asked, &mut kept).await {
                Ok(signed) => return Ok(signed),
                Err(failure) => {
                    let is_of_the_ca = failure.is_of_the_ca();
                    failures.push(failure);
                    if !is_of_the_ca {
                        break;
                    }
                }
            }
        }
        Err(match (failures.pop(), failures.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                failures.extend(last);
                SigningError::NoneSigned { authority: authority.name().clone(), failures }
            }
        })
    }

    /// Why what was asked for earlier is not worth fetching.
    fn useless(&self, cas: &[KnownCa], earlier: &Submission) -> Option<&'static str> {
        if !cas.iter().any(|ca| ca.ca.arn == earlier.ca) {
            Some("its CA is no longer one of the authority's")
        } else if earlier.request.validity.not_after <= self.now() {
            Some("it has ended by now")
        } else {
            None
        }
    }

    /// What its clock says.
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// How all CAs stand that were used so far.
    pub fn status(&self) -> Vec<CaHealth> {
        let contacts = self.0.contacts.lock().unwrap_or_else(PoisonError::into_inner);
        contacts.values().map(|contact| contact.health()).collect()
    }

    /// The CA of an authority that signs now: the first that is not passed over, or the first.
    pub fn signing_ca<'a>(&self, authority: &'a RemoteAuthority) -> &'a KnownCa {
        let cas = authority.cas();
        let signs = |ca: &&KnownCa| {
            let contact = self.contact(&ca.ca);
            !contact.is_down() && !contact.is_doubted()
        };
        cas.iter().find(signs).unwrap_or(&cas[0])
    }

    /// A certificate that `ca` was asked for at `at`, by an earlier process: it counts for
    /// maxCertificatesPerHour.
    pub fn recall(&self, ca: &PrivateCa, at: OffsetDateTime) {
        let now = self.0.clock.moment();
        let ago = Duration::try_from(now.wall() - at).unwrap_or_default();
        self.contact(ca).state().brake.recall(ago, now.instant());
    }

    /// RevokeCertificate. `serial` in hexadecimal digits, as `openssl x509 -text` prints it.
    ///
    /// # Errors
    /// When AWS does not do it.
    pub async fn revoke(
        &self,
        ca: &PrivateCa,
        serial: &str,
        why: RevocationReason,
    ) -> Result<(), SigningError> {
        let contact = self.contact(ca);
        let revoked = timeout(PATIENCE, contact.service.revoke(&ca.arn, serial, why)).await;
        revoked.unwrap_or_else(|_| Err(silent(PATIENCE))).map_err(|cause| SigningError::Service {
            ca: ca.arn.clone(),
            call: "RevokeCertificate",
            cause,
        })
    }

    fn contact(&self, ca: &PrivateCa) -> Arc<Contact> {
        let mut contacts = self.0.contacts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (ca.arn.clone(), ca.endpoint.clone());
        let contact = contacts.entry(place).or_insert_with(|| {
            let service = self.0.connect.service(ca);
            let (arn, clock) = (ca.arn.clone(), self.0.clock.clone());
            Arc::new(Contact::new(arn, service, self.lanes(ca), clock))
        });
        contact.adjust(ca);
        Arc::clone(contact)
    }

    fn lanes(&self, ca: &PrivateCa) -> Lanes {
        let quota = match &ca.endpoint {
            Some(endpoint) => Quota::Endpoint(endpoint.clone()),
            None => Quota::Region {
                partition: ca.arn.partition().to_owned(),
                region: ca.arn.region().to_owned(),
                account: ca.arn.account().to_owned(),
            },
        };
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = |rate| Arc::new(Lane::new(rate));
        let new = || Lanes { issue: lane(ca.rates.issue), get: lane(ca.rates.get) };
        lanes.entry(quota).or_insert_with(new).clone()
    }
}

fn place_of(cas: &[KnownCa], kept: &Submission) -> Option<usize> {
    cas.iter().position(|ca| ca.ca.arn == kept.ca)
}

/// Tells of what was asked for and is not fetched, since it may be paid for.
fn leave(left: &Submission, why: &str) {
    match &left.made {
        Some(made) => tracing::warn!(
            certificate = %made.certificate,
            "a certificate that is paid for is left at AWS: {why}"
        ),
        None => tracing::warn!(
            ca = %left.ca, first_sent = %rfc3339(left.first_sent),
            "a certificate that was asked for, and may be paid for, is left at AWS: {why}"
        ),
    }
}
