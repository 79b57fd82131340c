//! Attempts to make a credential: begun when it is a node's turn, dropped when nobody wants them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::keeping::Made;
use super::slot::{Making, Signer};
use super::state::State;
use super::turns::Place;
use super::{Attempt, Issued, IssuingError, Request};
use crate::acm_pca::{Pool, RemoteAuthority, Urgency};
use crate::hierarchy;
use crate::identity::{AuthorityName, NodeName};
use crate::provisioning::{RemoteRequest, StoredPendings, provision_remotely};
use crate::rotation::schedule::Schedule;
use crate::time::Moment;
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::LeafProfile;

/// How many are asked of remote authorities at once, at most: they wait for their quotas, where
/// whoever is waited for goes first.
const REMOTE_AT_ONCE: usize = 64;

/// Attempts in the making, whether anybody still wants them or not.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    tasks: JoinSet<Finished>,
    running: HashMap<Id, Running>,
    /// How many of them are remote.
    remote: usize,
    last: u64,
}

#[derive(Debug)]
struct Running {
    node: NodeName,
    attempt: u64,
    remote: Option<Remote>,
}

/// What is needed to hasten or to drop what others do.
#[derive(Debug)]
struct Remote {
    urgency: Urgency,
    pendings: Arc<StoredPendings>,
    task: AbortHandle,
}

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    made: Result<Credential, IssuingError>,
    authority: AuthorityName,
    took: Duration,
}

/// What became of an attempt.
pub(super) type Ended = Result<(Id, Finished), JoinError>;

impl Attempts {
    pub(super) async fn join_next(&mut self) -> Option<Ended> {
        self.tasks.join_next_with_id().await
    }

    pub(super) fn try_join_next(&mut self) -> Option<Ended> {
        self.tasks.try_join_next_with_id()
    }

    /// Lets what is made for a node go before what nobody waits for.
    pub(super) fn hasten(&self, node: &NodeName) {
        let of_it = self.running.values().filter(|running| running.node == *node);
        of_it.filter_map(|running| running.remote.as_ref()).for_each(|it| it.urgency.hasten());
    }

    /// Drops what is asked of others for a node: only one at a time keeps what it has asked for.
    fn drop_remote(&self, node: &NodeName) {
        let of_it = self.running.values().filter(|running| running.node == *node);
        for remote in of_it.filter_map(|running| running.remote.as_ref()) {
            remote.pendings.close();
            remote.task.abort();
        }
    }

    fn may_begin(&self, place: Place, here_at_once: usize) -> bool {
        match place {
            Place::Here => self.running.len() - self.remote < here_at_once,
            Place::Remote => self.remote < REMOTE_AT_ONCE,
        }
    }

    fn begin(
        &mut self,
        node: NodeName,
        (making, authority): (Issued, AuthorityName),
        remote: Option<(Urgency, Arc<StoredPendings>)>,
        now: &Moment,
    ) -> u64 {
        self.last += 1;
        let (attempt, began) = (self.last, now.instant());
        let task = self.tasks.spawn(async move {
            let made = making.await;
            Finished { made, authority, took: began.elapsed() }
        });
        let id = task.id();
        self.remote += usize::from(remote.is_some());
        let remote = remote.map(|(urgency, pendings)| Remote { urgency, pendings, task });
        self.running.insert(id, Running { node, attempt, remote });
        attempt
    }

    fn ended(&mut self, id: Id) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.remote -= usize::from(running.remote.is_some());
        Some(running)
    }
}

impl State {
    /// Begins as many attempts as may be in the making at once.
    pub(super) fn pump(&mut self, now: &Moment) {
        for place in [Place::Here, Place::Remote] {
            while self.attempts.may_begin(place, self.options.at_once.max(1))
                && let Some(name) = self.turns.take(place)
            {
                self.begin(name, now);
            }
        }
    }

    fn begin(&mut self, name: NodeName, now: &Moment) {
        let Some(slot) = self.slots.get(&name) else { return };
        let Signer::By(signer) = &slot.signer else { return };
        let signer = match self.authorities.signer(signer) {
            Ok(signer) => signer,
            Err(why) => {
                let why = self.mute(&signer.clone(), &why);
                return self.hold(&name, why, now);
            }
        };
        if self.is_held_up(&name, &signer, now) {
            return;
        }
        let signer = self.under_known_roots(&name, signer, now);
        self.attempts.drop_remote(&name);
        let Some(slot) = self.slots.get(&name) else { return };
        let (algorithm, profile) = (slot.identity.key_algorithm, slot.profile.clone());
        let (issued, remote) = match &signer {
            hierarchy::Signer::Here(authority) => {
                let (node, authority) = (name.clone(), Arc::clone(authority));
                let profile = profile.clone();
                let request = Request { node, authority, profile, algorithm, now: now.wall() };
                (self.options.issuing.issue(request), None)
            }
            hierarchy::Signer::Remote(authority)
                if let Some(credential) = slot.rechained(authority, now.wall()) =>
            {
                (Box::pin(std::future::ready(Ok(credential))) as Issued, None)
            }
            hierarchy::Signer::Remote(authority) => {
                let urgency = match self.options.demand.is_awaited(&name) || slot.shown.is_none() {
                    true => Urgency::awaited(),
                    false => Urgency::default(),
                };
                let pendings = Arc::new(StoredPendings::new(Arc::clone(&self.store)));
                let held = slot.shown.as_ref().map(|shown| shown.credential.leaf().spki().to_vec());
                let order = RemoteOrder {
                    node: name.clone(),
                    authority: Arc::clone(authority),
                    profile: profile.clone(),
                    algorithm,
                    held,
                    urgency: urgency.clone(),
                    pendings: Arc::clone(&pendings),
                    state: self.options.state.clone(),
                };
                (order.issue(self.options.pool.clone()), Some((urgency, pendings)))
            }
        };
        let begun = (issued, signer.name().clone());
        let attempt = self.attempts.begin(name.clone(), begun, remote, now);
        if let Some(slot) = self.slots.get_mut(&name) {
            slot.schedule.begin();
            slot.making = Some(Making { attempt, signer, profile, algorithm, unsaved: None });
        }
    }

    /// Of a signer with several CAs, those under whose roots the node's next certificate is accepted
    /// by everybody, as its last one is. Where it has none, or that is near its end, all of them.
    fn under_known_roots(
        &self,
        name: &NodeName,
        signer: hierarchy::Signer,
        now: &Moment,
    ) -> hierarchy::Signer {
        let spreading = &self.trusting.spreading;
        let shown = self.slots.get(name).and_then(|slot| slot.shown.as_ref());
        let (hierarchy::Signer::Remote(authority), Some(shown)) = (&signer, shown) else {
            return signer;
        };
        if spreading.is_empty() || self.is_pressing(name, now) {
            return signer;
        }
        let is_known = |root: &Certificate| *root == shown.root || !spreading.contains(root);
        match authority.only(|ca| is_known(ca.chain.root())) {
            Some(known) => hierarchy::Signer::Remote(Arc::new(known)),
            None => signer,
        }
    }

    /// Takes the outcome of an attempt: what nobody wants any more is dropped.
    pub(super) fn finish(&mut self, ended: Ended, now: &Moment) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(Running { node: name, attempt, remote }) = self.attempts.ended(id) else { return };
        let wanted = self.slots.get(&name).and_then(|slot| slot.making.as_ref());
        let wanted = wanted.filter(|making| making.attempt == attempt);
        let signer = wanted.map(|making| making.signer.name().clone());
        let (made, took) = match ended {
            Ok((_, Finished { made, took, authority })) => {
                let attempt =
                    Attempt { node: &name, authority: &authority, done: made.is_ok(), took };
                self.options.observer.attempted(&attempt);
                (made, took)
            }
            Err(cause) => (Err(IssuingError::CutOff { cause }), Duration::ZERO),
        };
        let Some(signer) = signer else {
            tracing::debug!(node = %name, took = ?took, "an attempt that was overtaken is dropped");
            return;
        };
        match made {
            Ok(credential) => {
                self.signs_again(&signer);
                let is_pending = remote.is_some();
                let credential = Arc::new(credential);
                let made = Made { node: name, attempt, credential, is_pending };
                match self.options.store {
                    true => self.to_save.push(made),
                    false => self.to_publish.push(made),
                }
            }
            Err(error) if error.is_of_the_authority() => {
                self.fell_out(&signer, &name, error.to_string(), now);
            }
            Err(error) if error.is_paid_for() => {
                self.fail_as(&name, error.to_string(), now, Schedule::failed_at_a_cost);
            }
            Err(error) => self.fail(&name, error.to_string(), now),
        }
    }
}

/// What is asked of a remote authority.
struct RemoteOrder {
    node: NodeName,
    authority: Arc<RemoteAuthority>,
    profile: LeafProfile,
    algorithm: KeyAlgorithm,
    /// The public key of what the node has.
    held: Option<Vec<u8>>,
    urgency: Urgency,
    pendings: Arc<StoredPendings>,
    state: PathBuf,
}

impl RemoteOrder {
    fn issue(self, pool: Pool) -> Issued {
        Box::pin(async move {
            let request = RemoteRequest {
                node: &self.node,
                authority: &self.authority,
                profile: &self.profile,
                algorithm: self.algorithm,
                held_spki: self.held.as_deref(),
                state: &self.state,
            };
            Ok(provision_remotely(&pool, &request, &self.urgency, self.pendings).await?)
        })
    }
}
