//! What a run tells of the authorities: what was done, and what to know in time.

use super::{Authorities, AuthorityFailure, Making, State, due};
use crate::authority::Authority;
use crate::desired::layout;
use crate::desired::{Desired, LocalAuthority};
use crate::identity::AuthorityName;
use crate::issue::report::{Action, AuthorityLine};
use crate::time::{Lifetime, OffsetDateTime, rfc3339, roughly};
use crate::x509::certificate::Certificate;
use crate::x509::key::KeyAlgorithm;

impl Authorities {
    /// A CA that exists is not remade because the mesh file changed its mind.
    pub(super) fn note_differences(&mut self, wanted: &LocalAuthority, authority: &Authority) {
        // What was not written in the mesh file is nobody's wish, and a CA of certs.sh has other
        // names and keys than ours.
        let certificate = authority.certificate();
        let mut differences = Vec::new();
        if let Some(name) = wanted.subject.common_name.as_deref()
            && name != authority.name().as_str()
            && certificate.common_name() != Some(name)
        {
            differences.push(match certificate.common_name() {
                Some(name) => format!("the common name {name:?}"),
                None => "no common name".to_owned(),
            });
        }
        if wanted.key_algorithm != KeyAlgorithm::default()
            && authority.key_algorithm() != wanted.key_algorithm
        {
            differences.push(format!("a key of {}", authority.key_algorithm()));
        }
        if !differences.is_empty() {
            self.notes.push(format!(
                "{} exists with {}, which the mesh file wants otherwise; a CA is not remade: add \
                 another authority and move to it",
                authority.name(),
                differences.join(" and ")
            ));
        }
    }

    /// A partner's certificates are trusted as they are: what is odd about them is told.
    pub(super) fn note_roots(
        &mut self,
        name: &AuthorityName,
        roots: &[Certificate],
        now: OffsetDateTime,
    ) {
        for root in roots {
            let (subject, ends) = (root.subject(), root.validity().not_after);
            if root.ca_constraint().is_none() {
                self.notes.push(format!("{name} trusts {subject:?}, which is no CA"));
            } else if ends < now {
                let ends = rfc3339(ends);
                self.notes.push(format!("{name} trusts {subject:?}, which ended at {ends}"));
            }
        }
    }

    /// Tells in time that an authority ends: when a tenth of its life is left, and when it cuts
    /// its leaves short.
    pub(super) fn note_end(
        &mut self,
        desired: &Desired,
        authority: &Authority,
        now: OffsetDateTime,
    ) {
        const WHAT_TO_DO: &str =
            "add another authority, trust it everywhere, then move its nodes to it";
        let name = authority.name();
        let leaves = desired.identities.values().filter(|identity| identity.authority == *name);
        let longest: Option<Lifetime> = leaves.map(|identity| identity.lifetime).max();
        let left = authority.ends() - now;
        let in_words = roughly(left.unsigned_abs());
        // An intermediate is renewed by its parent, whose own end is told.
        let is_root = authority.chain().len() == 1;
        if left.is_negative() {
            self.notes.push(format!("{name} has ended and can sign nothing; {WHAT_TO_DO}"));
        } else if let Some(longest) = longest.filter(|longest| left < longest.duration()) {
            self.notes.push(format!(
                "{name} ends in {in_words}, so its leaves end with it, short of the {longest} that \
                 are wanted; {WHAT_TO_DO}"
            ));
        } else if is_root && left < authority.certificate().validity().length() / 10 {
            self.notes.push(format!("{name} ends in {in_words}; {WHAT_TO_DO}"));
        }
    }
}

impl Authorities {
    pub(in crate::issue) fn to_make(&self) -> Vec<(AuthorityName, Making)> {
        let to_make = self.states.iter().filter_map(|(name, state)| match state {
            State::ToMake { why, .. } => Some((name.clone(), *why)),
            _ => None,
        });
        to_make.collect()
    }

    pub(in crate::issue) fn line(
        &self,
        desired: &Desired,
        name: &AuthorityName,
        made: &[(AuthorityName, Making)],
    ) -> AuthorityLine {
        let state = &self.states[name];
        let has_nodes = desired.identities.values().any(|identity| identity.authority == *name);
        let making = match state {
            State::ToMake { why, .. } => Some(*why),
            _ => made.iter().find(|(made, _)| made == name).map(|(_, why)| *why),
        };
        let (action, reason) = match (state, making) {
            (State::Failed(why), _) => (Action::Failed, Some(why.to_string())),
            (State::TrustOnly(_), _) => (Action::Trusted, None),
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
            State::ToMake { .. } | State::Failed(_) => None,
        };
        AuthorityLine { name: name.to_string(), action, reason, not_after }
    }
}

/// What to tell in time of an intermediate that is due while its parent's key is elsewhere.
pub(super) fn unrenewable(
    desired: &Desired,
    (name, parent): (&AuthorityName, &AuthorityName),
    own: &Certificate,
    now: OffsetDateTime,
) -> Option<String> {
    (due(desired, own) <= now).then(|| {
        format!(
            "{name} is due to be signed anew and ends at {}, but its parent {parent} cannot sign: \
             put {} back for one run",
            rfc3339(own.validity().not_after),
            layout::authority_key(parent)
        )
    })
}
