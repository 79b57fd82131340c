//! When an intermediate is to be signed anew.

use super::{Authorities, Making, Remote, State, height};
use crate::authority::Authority;
use crate::desired::{self, Desired, LocalAuthority};
use crate::identity::AuthorityName;
use crate::time::{OffsetDateTime, later, renewal_due};
use crate::x509::certificate::Certificate;
use crate::x509::verification::check_signature;

impl Authorities {
    /// When the next intermediate is to be signed anew; none while none can be.
    pub fn next_due(&self, desired: &Desired) -> Option<OffsetDateTime> {
        let ready = |name: &AuthorityName| match self.states.get(name) {
            Some(State::Ready(authority)) => Some(authority),
            _ => None,
        };
        let dues = desired.authorities.iter().filter_map(|(name, kind)| {
            let desired::Authority::Local(LocalAuthority { parent, .. }) = kind else {
                return None;
            };
            let (own, above) = (ready(name)?.certificate(), ready(parent.as_ref()?)?);
            (own.validity().not_after < above.ends()).then(|| due(desired, own))
        });
        dues.min()
    }
}

/// Why an intermediate is to be signed anew by AWS, with the key that it has.
pub(super) fn outdated_under(
    desired: &Desired,
    name: &AuthorityName,
    own: &Certificate,
    above: &Remote,
    now: OffsetDateTime,
) -> Option<Making> {
    let path_length = own.ca_constraint().and_then(|ca| ca.path_length);
    if path_length.is_none_or(|allowed| allowed < u32::from(height(desired, name))) {
        return Some(Making::Changed);
    }
    match above.issuer_of(own) {
        Some(issuer) => {
            let gains = own.validity().not_after < issuer.ends();
            (gains && due(desired, own) <= now).then_some(Making::Due)
        }
        // It may well be of the one that is not known now.
        None if above.not_described().next().is_some() => {
            (due(desired, own) <= now).then_some(Making::Due)
        }
        None => Some(Making::Changed),
    }
}

/// Why an intermediate is to be signed anew, with the key that it has.
pub(super) fn outdated(
    desired: &Desired,
    name: &AuthorityName,
    own: &Certificate,
    above: &Authority,
    now: OffsetDateTime,
) -> Option<Making> {
    let signer = above.certificate();
    let path_length = own.ca_constraint().and_then(|ca| ca.path_length);
    if !own.names_as_issuer(signer)
        || check_signature(own, signer).is_err()
        || path_length.is_none_or(|allowed| allowed < u32::from(height(desired, name)))
    {
        return Some(Making::Changed);
    }
    if now < own.validity().not_before {
        return Some(Making::NotYetValid);
    }
    // One that already ends with its parent would gain nothing by a renewal.
    let gains = own.validity().not_after < above.ends();
    (gains && due(desired, own) <= now).then_some(Making::Due)
}

/// When an intermediate is to be signed anew.
pub(super) fn due(desired: &Desired, own: &Certificate) -> OffsetDateTime {
    let validity = own.validity();
    let issued_at = later(validity.not_before, desired.clock_skew);
    renewal_due(issued_at, validity.not_after, &own.fingerprint())
}
