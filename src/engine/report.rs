//! How the loop stands, from what it knows.

use super::slot::{Signer, Slot};
use super::state::State;
use super::status::{
    AuthorityStatus, CertificateStatus, FailureStatus, NodeState, NodeStatus, Status,
    TransitionStatus,
};
use crate::acm_pca::CaHealth;
use crate::authority::CaChain;
use crate::boards::Part;
use crate::desired::acm_pca::CaArn;
use crate::hierarchy::{Remote, State as AuthorityState};
use crate::identity::AuthorityName;
use crate::rotation::schedule::Phase;
use crate::rotation::transition::{Standing, Transition, What};
use crate::time::{Moment, rfc3339};

impl State {
    /// How everything stands.
    pub(super) fn status(&self, now: &Moment) -> Status {
        let names = self.desired.authorities.keys();
        Status {
            now: now.wall(),
            trust_domain: self.desired.trust_domain.clone(),
            authorities: names.map(|name| self.authority(name)).collect(),
            nodes: self.slots.values().map(|slot| self.node(slot, now)).collect(),
            transitions: self.trusting.moving.iter().map(transition).collect(),
            problems: self.trusting.unrecorded.iter().cloned().chain(self.left_behind()).collect(),
        }
    }

    /// Those who will never follow by themselves, each once.
    fn left_behind(&self) -> Vec<String> {
        let waited = self.trusting.moving.iter().flat_map(|transition| &transition.waiting);
        let fixed = waited.filter(|waited| matches!(waited.standing, Standing::Fixed { .. }));
        let mut words: Vec<_> = fixed.map(ToString::to_string).collect();
        words.sort();
        words.dedup();
        words
    }

    fn authority(&self, name: &AuthorityName) -> AuthorityStatus {
        let known = self.authorities.states.get(name);
        let (state, ends) = match known {
            Some(AuthorityState::Ready(authority)) => {
                ("can sign".to_owned(), Some(authority.ends()))
            }
            Some(AuthorityState::Mute { certificates, why }) => {
                (format!("cannot sign: {why}"), Some(certificates.ends()))
            }
            Some(AuthorityState::Remote(remote)) => {
                let ends = remote.chains().iter().map(CaChain::ends).max();
                (self.remote_state(name, remote), ends)
            }
            Some(AuthorityState::Awaiting { .. }) => {
                let words = match self.errands.failure(name) {
                    Some(why) => format!("waits for AWS to sign its certificate: {why}"),
                    None => "waits for AWS to sign its certificate".to_owned(),
                };
                (words, None)
            }
            Some(AuthorityState::TrustOnly(roots)) => {
                let ends = roots.iter().map(|root| root.validity().not_after).min();
                ("is trusted only".to_owned(), ends)
            }
            Some(AuthorityState::Failed(why)) => (format!("cannot be used: {why}"), None),
            Some(AuthorityState::ToMake { .. }) | None => ("is being made".to_owned(), None),
        };
        let private_cas = match known {
            Some(AuthorityState::Remote(remote)) => self.private_cas(remote),
            _ => Vec::new(),
        };
        let notes = self.authorities.notes.iter().filter(|note| note.authority == *name);
        AuthorityStatus {
            name: name.clone(),
            state,
            can_sign: match known {
                Some(AuthorityState::Ready(_)) => true,
                Some(AuthorityState::Remote(remote)) => {
                    remote.authority().is_some() && !self.outages.contains_key(name)
                }
                _ => false,
            },
            trust_only: matches!(known, Some(AuthorityState::TrustOnly(_))),
            not_after: ends,
            notes: notes.map(|note| note.text.clone()).collect(),
            private_cas,
        }
    }

    fn private_cas(&self, remote: &Remote) -> Vec<(CaHealth, bool)> {
        let Some(authority) = remote.authority() else { return Vec::new() };
        let pool = &self.options.pool;
        let signs = &pool.signing_ca(authority).ca.arn;
        let healths = pool.status();
        let health = |arn: &CaArn| healths.iter().find(|health| health.arn == *arn).cloned();
        let cas = authority.cas().iter().filter_map(|ca| health(&ca.ca.arn));
        cas.map(|health| (health.clone(), health.arn == *signs)).collect()
    }

    fn remote_state(&self, name: &AuthorityName, remote: &Remote) -> String {
        let failure = self.errands.failure(name);
        match (self.outages.get(name), remote.authority(), failure) {
            (Some(outage), ..) => {
                format!("has not signed since {}: {}", rfc3339(outage.since), outage.why)
            }
            (None, None, Some(why)) => format!("cannot sign: {why}"),
            (None, None, None) => "is being asked for".to_owned(),
            (None, Some(_), Some(why)) => format!("can sign, though not all of it is known: {why}"),
            (None, Some(_), None) => "can sign".to_owned(),
        }
    }

    fn node(&self, slot: &Slot, now: &Moment) -> NodeStatus {
        let identity = &slot.identity;
        let certificate = slot.shown.as_ref().map(|shown| {
            let leaf = shown.credential.leaf();
            CertificateStatus { serial: leaf.serial(), validity: leaf.validity(), due: slot.due }
        });
        let ended = slot.ends().is_some_and(|ends| ends < now.wall());
        let failure = slot.failure.as_ref().map(|reason| FailureStatus {
            reason: reason.clone(),
            failures: slot.schedule.failures(),
            retry_at: match slot.schedule.phase() {
                Phase::Failed { retry_at } => Some(now.wall_of(retry_at)),
                _ => None,
            },
        });
        let state = match slot.schedule.phase() {
            _ if ended => NodeState::Expired,
            _ if failure.is_some() => NodeState::Failed,
            Phase::Due | Phase::InFlight => NodeState::Issuing,
            _ if certificate.is_none() => NodeState::Issuing,
            Phase::Idle(_) | Phase::Held(_) | Phase::Failed { .. } => NodeState::Fresh,
        };
        NodeStatus {
            name: identity.name.clone(),
            spiffe_id: identity.spiffe_id.clone(),
            authority: match &slot.signer {
                Signer::By(authority) => authority.clone(),
                Signer::Kept => identity.authority.clone(),
            },
            state,
            certificate,
            failure,
            awaited: self.options.demand.is_awaited(&identity.name),
        }
    }
}

fn transition(transition: &Transition) -> TransitionStatus {
    let Transition { of, what, phase, since, waiting, more, until, forced } = transition;
    let what = match what {
        What::Authority { from, to } => format!("its certificate moves from {from} to {to}"),
        What::Roots { added, kept } => {
            let listed = |verb: &str, names: &[String]| {
                (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")))
            };
            let parts = [listed("comes to trust", added), listed("goes on trusting", kept)];
            let parts = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
            match of {
                Part::Roots(_) => format!("whoever asks for it by name {parts}"),
                Part::Leaf(_) | Part::Trust(_) => parts,
            }
        }
    };
    let mut waiting_for: Vec<_> = waiting.iter().map(ToString::to_string).collect();
    if *more > 0 {
        waiting_for.push(format!("and {more} more"));
    }
    TransitionStatus {
        of: of.to_string(),
        what,
        phase: format!("{phase:?}").to_lowercase(),
        since: Some(*since),
        waiting_for,
        until: *until,
        forced: forced.clone(),
    }
}
