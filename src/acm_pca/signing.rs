//! One certificate from one CA: asked for, kept, fetched, judged.
//!
//! What `kept` holds here is what the ledger holds, and so what may have been paid for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::contact::{Contact, State, silent};
use super::error::GET_CERTIFICATE;
use super::health::{is_of_the_ca, may_have_been_taken};
use super::pool::{IMPATIENCE, PATIENCE, Signed};
use super::submission::MadeAt;
use super::{
    IssuedPem, KnownCa, Ledger, Order, ServiceError, SigningError, Submission, Urgency, Wasted,
    WrongCertificate,
};
use crate::time::{Clock, Moment, rfc3339};
use crate::x509::certificate::Certificate;

/// How long a CA may throttle a request where there is no other CA to turn to.
const THROTTLED: Duration = Duration::from_secs(60);

/// How long AWS may make one certificate where another CA could.
const SLOW: Duration = Duration::from_secs(10);

/// For how long AWS may not know yet what it has just said that it makes.
const UNKNOWN: Duration = Duration::from_secs(10);

/// One certificate that is wanted.
pub(super) struct Job<'a, O> {
    pub(super) order: &'a O,
    pub(super) urgency: &'a Urgency,
    pub(super) ledger: &'a dyn Ledger,
    pub(super) turn: u64,
    pub(super) clock: &'a Clock,
}

/// A CA that is asked, and whether there is another to turn to.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) ca: &'a KnownCa,
    pub(super) contact: &'a Arc<Contact>,
    pub(super) has_other: bool,
}

impl Asked<'_> {
    /// How long a call may take.
    fn patience(&self) -> Duration {
        if self.has_other { IMPATIENCE } else { PATIENCE }
    }

    fn failed(&self, call: &'static str, cause: ServiceError) -> SigningError {
        if is_of_the_ca(&cause) {
            self.contact.fell(format!("{call}: {cause}"));
        }
        self.error(call, cause)
    }

    fn error(&self, call: &'static str, cause: ServiceError) -> SigningError {
        SigningError::Service { ca: self.ca.ca.arn.clone(), call, cause }
    }
}

impl Asked<'_> {
    /// Nothing new is asked of a CA that is in doubt.
    fn check_doubt(&self, state: &State, now: &Moment) -> Result<(), SigningError> {
        let Some(held) = state.doubt.holds(now.instant()) else { return Ok(()) };
        let (count, lifts_at) = (held.in_a_row, now.wall_of(held.until));
        Err(SigningError::Doubted { ca: self.ca.ca.arn.clone(), count, lifts_at })
    }
}

impl<O: Order> Job<'_, O> {
    /// Has this CA sign, or fetches what it was paid for.
    pub(super) async fn at(
        &self,
        asked: Asked<'_>,
        kept: &mut Option<Submission>,
    ) -> Result<Signed<O::Signed>, SigningError> {
        let mut is_second = false;
        loop {
            let is_old = kept.as_ref().is_some_and(|kept| kept.made.is_some());
            if !is_old {
                self.submit(asked, kept).await?;
            }
            let Some(submission) = kept.as_ref() else { continue };
            let Some(made) = &submission.made else { continue };
            match self.collect(asked, made, is_old).await {
                Ok(pem) => match self.accept(asked.ca, &pem, submission) {
                    Ok(signed) => {
                        asked.contact.accepted();
                        let (ca, certificate) = (submission.ca.clone(), made.certificate.clone());
                        return Ok(Signed { signed, ca, certificate });
                    }
                    Err(cause) => {
                        asked.contact.refused();
                        let certificate = made.certificate.clone();
                        self.waste(submission, serial(&pem)).await;
                        self.forget(kept).await;
                        return Err(SigningError::Wrong { certificate, cause: Box::new(cause) });
                    }
                },
                Err(failure) if !failure.came_to_nothing() => return Err(failure),
                Err(failure) => {
                    let certificate = made.certificate.clone();
                    self.waste(submission, None).await;
                    self.forget(kept).await;
                    if is_second {
                        return Err(failure);
                    }
                    is_second = true;
                    tracing::warn!(
                        %certificate,
                        "nothing came of the certificate, and another is asked for: {failure}"
                    );
                }
            }
        }
    }

    /// Whether what was asked of one CA may be left there, and another asked, which is paid for
    /// too: when somebody waits, or has waited long enough, or nothing may have come of it at all.
    pub(super) fn may_leave(&self, kept: &Submission) -> bool {
        kept.made.is_none() || self.urgency.is_awaited() || kept.is_overdue(self.clock.now())
    }

    /// Has the CA begin a certificate; `kept` then says which.
    async fn submit(
        &self,
        asked: Asked<'_>,
        kept: &mut Option<Submission>,
    ) -> Result<(), SigningError> {
        let Asked { ca, contact, has_other } = asked;
        if kept.is_none() {
            // Before it takes a turn from others.
            asked.check_doubt(&contact.state(), &self.clock.moment())?;
        }
        let mut throttled: Option<Instant> = None;
        let most_throttled = if has_other { IMPATIENCE } else { THROTTLED };
        let mut has_taken = false;
        loop {
            let gives_up = throttled.map(|since| since + most_throttled);
            tokio::select! {
                biased;
                () = contact.down(), if has_other => return Err(contact.passed_over()),
                () = sleep_until(gives_up.unwrap_or_else(Instant::now)), if gives_up.is_some() => {
                    self.took_nothing(contact, kept, has_taken).await;
                    let message = "it has done so for too long".to_owned();
                    return Err(asked.failed("IssueCertificate", ServiceError::Throttled { message }));
                }
                () = contact.lanes.issue.place(self.turn, self.urgency).turn() => {}
            }
            let submission = match kept.take() {
                Some(again) if again.is_idempotent(self.clock.now()) => again,
                lost => {
                    if lost.is_some()
                        && let Err(cause) = answers(asked).await
                    {
                        *kept = lost;
                        return Err(asked.failed("DescribeCertificateAuthority", cause));
                    }
                    let new = self.new_submission(asked, lost.as_ref());
                    let new = match new {
                        Ok(new) => new,
                        Err(error) => {
                            *kept = lost;
                            return Err(error);
                        }
                    };
                    has_taken = true;
                    if let Err(error) = self.ledger.keep(&new).await {
                        contact.state().brake.give_back();
                        *kept = lost;
                        return Err(SigningError::Keep(error));
                    }
                    new
                }
            };
            let submission = kept.insert(submission);
            let (sent, patience) = (Instant::now(), asked.patience());
            let issued = timeout(patience, contact.service.issue(&ca.ca.arn, &submission.request));
            match issued.await.unwrap_or_else(|_| Err(silent(patience))) {
                Ok(certificate) => {
                    contact.lanes.issue.taken();
                    submission.made = Some(MadeAt { certificate, at: self.clock.now() });
                    if let Err(error) = self.ledger.keep(submission).await {
                        tracing::warn!(
                            ca = %ca.ca.arn,
                            "which certificate AWS makes could not be kept; a crash within the \
                             next seconds would have it asked for again: {error}"
                        );
                    }
                    return Ok(());
                }
                Err(ServiceError::Throttled { .. }) => {
                    contact.lanes.issue.throttled(sent);
                    throttled.get_or_insert(sent);
                }
                Err(error) => {
                    if !may_have_been_taken(&error) {
                        self.took_nothing(contact, kept, has_taken).await;
                    }
                    return Err(asked.failed("IssueCertificate", error));
                }
            }
        }
    }

    /// What is asked for when nothing is yet, or when what was asked is too old to be asked again.
    fn new_submission(
        &self,
        asked: Asked<'_>,
        lost: Option<&Submission>,
    ) -> Result<Submission, SigningError> {
        let now = self.clock.moment();
        let arn = &asked.ca.ca.arn;
        let request = self.order.request(asked.ca, now.wall())?;
        let mut state = asked.contact.state();
        asked.check_doubt(&state, &now)?;
        let limit = state.limit;
        if let Err(on) = state.brake.take(limit, now.instant()) {
            let lifts_at = now.wall_of(on.lifts);
            let limit = limit.unwrap_or_default();
            if on.is_new {
                tracing::error!(
                    ca = %arn, limit, lifts_at = %rfc3339(lifts_at),
                    "maxCertificatesPerHour is reached: no certificate is asked for until then"
                );
            }
            return Err(SigningError::Braked { ca: arn.clone(), limit, lifts_at });
        }
        state.doubt.tries(now.instant());
        drop(state);
        if let Some(lost) = lost {
            tracing::warn!(
                ca = %arn, first_sent = %rfc3339(lost.first_sent),
                "the reply to an IssueCertificate was lost too long ago to ask the same again: it \
                 is asked for anew, and if AWS had taken the first, both are paid for"
            );
        }
        Ok(Submission {
            ca: arn.clone(),
            request,
            first_sent: now.wall(),
            is_repeated: lost.is_some(),
            made: None,
        })
    }

    /// Fetches a certificate that AWS makes.
    async fn collect(
        &self,
        asked: Asked<'_>,
        made: &MadeAt,
        is_old: bool,
    ) -> Result<IssuedPem, SigningError> {
        let Asked { ca, contact, has_other } = asked;
        let call = GET_CERTIFICATE;
        let began = Instant::now();
        let patience = if has_other { SLOW } else { PATIENCE };
        let pace = contact.state().pace;
        let mut looks = if is_old {
            pace.looks_at_old(self.urgency.is_awaited())
        } else {
            pace.looks(self.urgency.is_awaited())
        };
        let mut count = 0;
        loop {
            tokio::select! {
                () = sleep(looks.wait()) => {}
                () = self.urgency.hastened(), if !self.urgency.is_awaited() => {
                    looks = pace.looks(true);
                    continue;
                }
            }
            contact.lanes.get.place(self.turn, self.urgency).turn().await;
            let (sent, limit) = (Instant::now(), asked.patience());
            count += 1;
            let got = timeout(limit, contact.service.certificate(&ca.ca.arn, &made.certificate));
            let is_over = |sent: Instant| sent.duration_since(began) >= patience;
            match got.await.unwrap_or_else(|_| Err(silent(limit))) {
                Ok(Some(pem)) => {
                    contact.lanes.get.taken();
                    if !is_old {
                        contact.state().pace.made(began.elapsed(), count);
                    }
                    return Ok(pem);
                }
                Ok(None) if is_over(sent) => {
                    let (certificate, after) = (made.certificate.clone(), began.elapsed());
                    return Err(SigningError::InProgress { certificate, after });
                }
                Ok(None) => contact.lanes.get.taken(),
                Err(cause @ ServiceError::Throttled { .. }) => {
                    contact.lanes.get.throttled(sent);
                    if is_over(sent) {
                        return Err(asked.failed(call, cause));
                    }
                }
                Err(ServiceError::NotFound { .. })
                    if self.clock.now() - made.at < UNKNOWN && !is_over(sent) => {}
                // That is the certificate's fault, not the CA's.
                Err(cause @ ServiceError::NotFound { .. }) => return Err(asked.error(call, cause)),
                // Nobody else has it.
                Err(ServiceError::Unreachable { .. }) if !has_other && !is_over(sent) => {}
                Err(cause) => return Err(asked.failed(call, cause)),
            }
        }
    }

    fn accept(
        &self,
        ca: &KnownCa,
        pem: &IssuedPem,
        submission: &Submission,
    ) -> Result<O::Signed, WrongCertificate> {
        let mut certificates = Certificate::all_from_pem(pem.certificate.as_bytes())?;
        let (Some(certificate), true) = (certificates.pop(), certificates.is_empty()) else {
            return Err(WrongCertificate::Several { count: certificates.len() + 1 });
        };
        let accepted = self.order.accept(ca, certificate, submission, self.clock.now())?;
        let chain = Certificate::all_from_pem(pem.chain.as_bytes()).unwrap_or_default();
        if chain != ca.chain.certificates() {
            tracing::warn!(
                ca = %ca.ca.arn,
                "the chain that came with a certificate is not the CA's as it is known; the \
                 known one is used, to which it leads as well"
            );
        }
        Ok(accepted)
    }

    /// AWS has said no: nothing was begun, and nothing is paid for.
    async fn took_nothing(
        &self,
        contact: &Contact,
        kept: &mut Option<Submission>,
        has_taken: bool,
    ) {
        if has_taken {
            contact.state().brake.give_back();
        }
        self.forget(kept).await;
    }

    /// Writes down what is paid for, as far as it is known, and will not be used.
    pub(super) async fn waste(&self, submission: &Submission, serial: Option<String>) {
        if let Some(wasted) = Wasted::of(submission, serial) {
            self.ledger.wasted(&wasted).await;
        }
    }

    async fn forget(&self, kept: &mut Option<Submission>) {
        *kept = None;
        if let Err(error) = self.ledger.forget().await {
            tracing::warn!("what was asked of AWS, to no effect, could not be forgotten: {error}");
        }
    }
}

/// Whether AWS answers at all: where it does not, the next reply would be lost as well, and what it
/// is about may be paid for once more.
async fn answers(asked: Asked<'_>) -> Result<(), ServiceError> {
    let patience = asked.patience();
    let described = timeout(patience, asked.contact.service.describe(&asked.ca.ca.arn)).await;
    described.unwrap_or_else(|_| Err(silent(patience))).map(drop)
}

/// The serial of what came, where there is one to be read.
fn serial(pem: &IssuedPem) -> Option<String> {
    let certificates = Certificate::all_from_pem(pem.certificate.as_bytes()).ok()?;
    certificates.first().map(Certificate::serial)
}
