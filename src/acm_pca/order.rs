//! What is to be signed: how it is asked for, and whether what came back is it.

use std::time::Duration;

use super::submission::IDEMPOTENT;
use super::{
    IssueRequest, KnownCa, Passthrough, SigningError, Submission, Usages, WrongCertificate,
};
use crate::authority::{CaChain, check_valid};
use crate::desired::acm_pca::LeafTemplate;
use crate::time::{Lifetime, OffsetDateTime, Validity, later};
use crate::x509::certificate::Certificate;
use crate::x509::credential::Chain;
use crate::x509::key::PrivateKey;
use crate::x509::profile::{CaProfile, LeafProfile, ProfileError};
use crate::x509::signing_request;

/// The longest that a CA of the short-lived mode signs for (CreateCertificateAuthority, UsageMode).
pub const SHORT_LIVED: Lifetime = Lifetime::days(7);

/// The most CAs below a CA that AWS has a template for.
const DEEPEST: u8 = 3;

/// Something that an authority can be asked to sign.
pub trait Order: Send + Sync {
    /// It, signed and verified.
    type Signed: Send;

    /// How this CA is asked for it at `now`.
    ///
    /// # Errors
    /// When the CA cannot sign such, by all that is known of it.
    fn request(&self, ca: &KnownCa, now: OffsetDateTime) -> Result<IssueRequest, SigningError>;

    /// Takes what came back if it is just what was asked for.
    ///
    /// # Errors
    /// When anything differs; the error says what.
    fn accept(
        &self,
        ca: &KnownCa,
        certificate: Certificate,
        submission: &Submission,
        now: OffsetDateTime,
    ) -> Result<Self::Signed, WrongCertificate>;
}

/// A leaf.
#[derive(Debug)]
pub struct LeafOrder<'a> {
    /// What is to be in it.
    pub profile: &'a LeafProfile,
    /// Its key.
    pub key: &'a PrivateKey,
}

/// The certificate of a CA whose key is here.
#[derive(Debug)]
pub struct CaOrder<'a> {
    /// What is to be in it; of its path length `below` is what counts.
    pub profile: &'a CaProfile,
    /// How many CAs stand below it: 0 to 3.
    pub below: u8,
    /// Its key.
    pub key: &'a PrivateKey,
}

impl Order for LeafOrder<'_> {
    type Signed = Chain;

    fn request(&self, ca: &KnownCa, now: OffsetDateTime) -> Result<IssueRequest, SigningError> {
        let validity = self.profile.validity(now, ca.chain.validity());
        let validity = fitting(ca, validity, self.profile.lifetime, now)?;
        let template = ca.ca.template;
        let request = signing_request::for_leaf(self.profile, self.key)?;
        let names = |usages| Passthrough {
            common_name: self.profile.common_name().map(str::to_owned),
            uris: vec![self.profile.spiffe_id.to_string()],
            dns_names: self.profile.dns_names.iter().map(ToString::to_string).collect(),
            usages,
        };
        let key_encipherment = self.key.algorithm().is_rsa();
        let passthrough = match template {
            LeafTemplate::EndEntity => None,
            LeafTemplate::ApiPassthrough => Some(names(None)),
            LeafTemplate::BlankApiPassthrough => Some(names(Some(Usages { key_encipherment }))),
        };
        asked(ca, request, template.as_str().to_owned(), validity, passthrough)
    }

    fn accept(
        &self,
        ca: &KnownCa,
        certificate: Certificate,
        submission: &Submission,
        now: OffsetDateTime,
    ) -> Result<Chain, WrongCertificate> {
        let validity = in_time(&certificate, submission, ca)?;
        let (issuers, roots) = (ca.chain.issuers().to_vec(), ca.chain.roots());
        let wanted = (self.profile, self.key.public(), validity);
        Ok(Chain::accept(certificate, issuers, wanted, roots, now)?)
    }
}

impl Order for CaOrder<'_> {
    type Signed = CaChain;

    fn request(&self, ca: &KnownCa, now: OffsetDateTime) -> Result<IssueRequest, SigningError> {
        if self.below > DEEPEST {
            return Err(SigningError::TooDeep { below: self.below });
        }
        self.room(ca)?;
        let validity = self.profile.validity(now, ca.chain.validity());
        let validity = fitting(ca, validity, self.profile.lifetime, now)?;
        let request = signing_request::for_ca(&self.profile.subject, self.key)?;
        let template = format!("SubordinateCACertificate_PathLen{}/V1", self.below);
        asked(ca, request, template, validity, None)
    }

    fn accept(
        &self,
        ca: &KnownCa,
        certificate: Certificate,
        submission: &Submission,
        now: OffsetDateTime,
    ) -> Result<CaChain, WrongCertificate> {
        in_time(&certificate, submission, ca)?;
        if certificate.spki() != self.key.public().spki() {
            return Err(WrongCertificate::Key);
        }
        let asked = signing_request::subject(&submission.request.request).unwrap_or_default();
        let found = certificate.subject();
        if found != asked {
            return Err(WrongCertificate::Subject { found, asked });
        }
        let found = certificate.ca_constraint().and_then(|constraint| constraint.path_length);
        if certificate.ca_constraint().is_some() && found != Some(u32::from(self.below)) {
            return Err(WrongCertificate::PathLength { found, asked: self.below });
        }
        let mut chain = vec![certificate];
        chain.extend_from_slice(ca.chain.certificates());
        check_valid(&chain, now)?;
        Ok(CaChain::new(chain)?)
    }
}

impl CaOrder<'_> {
    /// Whether this CA, and those above it, allow one more CA below them with those below that:
    /// what AWS signed beyond that would be paid for and be of no use.
    fn room(&self, ca: &KnownCa) -> Result<(), SigningError> {
        for (between, above) in (0..).zip(ca.chain.certificates()) {
            let allowed = above.ca_constraint().and_then(|constraint| constraint.path_length);
            let wanted = u32::from(self.below) + 1 + between;
            if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
                let (ca, subject) = (ca.ca.arn.clone(), above.subject());
                return Err(SigningError::NoRoom { ca, subject, allowed, wanted });
            }
        }
        Ok(())
    }
}

/// The validity, if a CA of this mode signs for so long.
fn fitting(
    ca: &KnownCa,
    validity: Result<Validity, ProfileError>,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Validity, SigningError> {
    let arn = || ca.ca.arn.clone();
    let validity =
        validity.map_err(|cause| SigningError::Profile { ca: arn(), cause: Box::new(cause) })?;
    if ca.is_short_lived && validity.not_after > later(now, SHORT_LIVED.duration()) {
        return Err(SigningError::ShortLived { ca: arn(), wanted: lifetime });
    }
    Ok(validity)
}

fn asked(
    ca: &KnownCa,
    request: Vec<u8>,
    template: String,
    validity: Validity,
    passthrough: Option<Passthrough>,
) -> Result<IssueRequest, SigningError> {
    let idempotency_token = signing_request::token()?;
    let signing_key = ca.key_algorithm;
    Ok(IssueRequest { request, signing_key, template, validity, passthrough, idempotency_token })
}

/// Both ends as they were asked for, or both later by no more than the call took: an authority may
/// count from when it got the request. To the second, and never beyond the CA's own end.
fn in_time(
    certificate: &Certificate,
    submission: &Submission,
    ca: &KnownCa,
) -> Result<Validity, WrongCertificate> {
    let (found, asked) = (certificate.validity(), submission.request.validity);
    let answered = submission.made.as_ref().map_or(submission.first_sent, |made| made.at);
    let took = Duration::try_from(answered - submission.first_sent).unwrap_or_default();
    let most = time::Duration::seconds(took.min(IDEMPOTENT).as_secs().cast_signed() + 1);
    let later_by = |found: OffsetDateTime, asked: OffsetDateTime| {
        Some(found - asked).filter(|by| !by.is_negative() && *by <= most)
    };
    let begins = later_by(found.not_before, asked.not_before);
    let ends = later_by(found.not_after, asked.not_after);
    let is_one_shift = match (begins, ends) {
        (Some(begins), Some(ends)) => {
            let is_cut = found.not_after == ca.chain.ends() && ends <= begins;
            is_cut || (begins - ends).abs() <= time::Duration::SECOND
        }
        _ => false,
    };
    if is_one_shift && found.not_after <= ca.chain.ends() {
        Ok(found)
    } else {
        Err(WrongCertificate::Times { found, asked })
    }
}
