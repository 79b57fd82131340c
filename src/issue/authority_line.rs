//! One authority of a run: what there is to say of it.

use std::collections::HashMap;

use super::report::{Action, AuthorityLine};
use crate::authority::CaChain;
use crate::desired::Desired;
use crate::hierarchy::{Authorities, AuthorityFailure, Making, State};
use crate::identity::AuthorityName;
use crate::time::rfc3339;

/// What was done about the authority `name`; `made` is what was to be made and why,
/// `failures` what AWS did not do.
pub(super) fn line(
    authorities: &Authorities,
    desired: &Desired,
    name: &AuthorityName,
    made: &[(AuthorityName, Making)],
    failures: &HashMap<AuthorityName, String>,
) -> AuthorityLine {
    let state = &authorities.states[name];
    let has_nodes = desired.identities.values().any(|identity| identity.authority == *name);
    let making = match state {
        State::Awaiting { why, .. } | State::ToMake { why, .. } => Some(*why),
        _ => made.iter().find(|(made, _)| made == name).map(|(_, why)| *why),
    };
    let (action, reason) = match (state, making) {
        (State::Failed(why), _) => (Action::Failed, Some(why.to_string())),
        (State::TrustOnly(_), _) => (Action::Trusted, None),
        (State::Awaiting { .. }, _) if failures.contains_key(name) => {
            (Action::Failed, failures.get(name).cloned())
        }
        (State::Remote(remote), _) if remote.authority().is_none() => match failures.get(name) {
            Some(why) => (Action::Failed, Some(why.clone())),
            None => (Action::Kept, Some("AWS is yet to be asked what its CAs are".to_owned())),
        },
        // The key of one that signs no leaves may be kept elsewhere on purpose.
        (State::Mute { why, .. }, _)
            if matches!(**why, AuthorityFailure::KeyMissing { .. }) && !has_nodes =>
        {
            (Action::Trusted, Some(why.to_string()))
        }
        (State::Mute { why, .. }, _) => (Action::Failed, Some(why.to_string())),
        (_, None) => (Action::Kept, None),
        (_, Some(Making::New)) => (Action::Created, None),
        (_, Some(Making::Due)) => (Action::Renewed, Some("it was half over".to_owned())),
        (_, Some(Making::NotYetValid)) => {
            let why = "it was not valid yet: the clock was set back";
            (Action::Renewed, Some(why.to_owned()))
        }
        (_, Some(Making::Changed)) => {
            (Action::Renewed, Some("what stands above or below it has changed".to_owned()))
        }
    };
    let not_after = match state {
        State::Ready(authority) => Some(rfc3339(authority.ends())),
        State::Mute { certificates, .. } => Some(rfc3339(certificates.ends())),
        State::TrustOnly(roots) => {
            roots.iter().map(|root| root.validity().not_after).min().map(rfc3339)
        }
        State::Remote(remote) => remote.chains().iter().map(CaChain::ends).max().map(rfc3339),
        State::Awaiting { .. } | State::ToMake { .. } | State::Failed(_) => None,
    };
    AuthorityLine { name: name.to_string(), action, reason, not_after }
}
