//! The part of a run that others do, and are paid for: authorities at AWS.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use tokio::runtime::Runtime;

use super::node::{Node, NodeFailure, Work};
use super::{Order, Shared};
use crate::acm_pca::{Pool, RemoteAuthority, Urgency};
use crate::desired::Identity;
use crate::files::FilesError;
use crate::hierarchy::{Authorities, ErrandError, Making, Means, Signer, State};
use crate::identity::{AuthorityName, NodeName};
use crate::provisioning::{RemoteRequest, StoredPendings, provision_remotely};
use crate::rotation::{Renewal, profile, renewal};
use crate::store::{Entry, Kind, NodeStore};
use crate::x509::credential::Credential;

/// How many certificates are asked for at once, at most: they wait for their quotas.
const AT_ONCE: usize = 64;

/// The way to AWS.
#[derive(Debug)]
pub struct Remote {
    /// What asks.
    pub pool: Pool,
    /// Where it waits for answers.
    pub runtime: Runtime,
}

/// What AWS was asked for the authorities.
#[derive(Debug, Default)]
pub(super) struct Asked {
    done: BTreeSet<(AuthorityName, bool)>,
    /// What it did not do.
    pub(super) failures: HashMap<AuthorityName, String>,
    /// The intermediates that it signed, and why.
    pub(super) signed: Vec<(AuthorityName, Making)>,
}

impl Asked {
    /// What is to be told though the authorities can be used.
    pub(super) fn notes(&self, authorities: &Authorities) -> Vec<String> {
        let is_told = |name: &AuthorityName| match &authorities.states[name] {
            State::Awaiting { .. } => true,
            State::Remote(remote) => remote.authority().is_none(),
            _ => false,
        };
        let notes = self.failures.iter().filter(|(name, _)| !is_told(name));
        let mut notes: Vec<_> =
            notes.map(|(name, why)| format!("{name} is used as it was known: {why}")).collect();
        notes.sort();
        notes
    }
}

impl Order<'_> {
    /// Asks AWS what the authorities need, side by side, each once in a run. Whether they are to be
    /// read again.
    pub(super) fn ask(&self, authorities: &Authorities, state: &Shared, asked: &mut Asked) -> bool {
        let errands = authorities
            .errands(self.desired, self.now)
            .into_iter()
            .filter(|errand| asked.done.insert((errand.authority().clone(), errand.is_paid_for())));
        let errands: Vec<_> = errands.collect();
        let Some(remote) = self.remote.filter(|_| !errands.is_empty()) else { return false };
        let means = Means {
            pool: remote.pool.clone(),
            directory: Arc::clone(state),
            store: Arc::new(NodeStore::new(Arc::clone(state))),
            state: self.state.to_owned(),
        };
        let names: Vec<_> = errands.iter().map(|errand| errand.authority().clone()).collect();
        let errands = errands.into_iter().map(|errand| errand.run(&means, self.now));
        let outcomes = remote.runtime.block_on(join_all(errands));
        let mut is_news = false;
        for (name, outcome) in names.into_iter().zip(outcomes) {
            is_news |= outcome.is_news;
            if let Some(signed) = outcome.signed {
                asked.signed.push((name.clone(), signed.why));
            }
            if let Some(failure) = outcome.failure {
                asked.failures.insert(name, ErrandError::to_string(&failure));
            }
        }
        is_news
    }

    /// Has AWS sign what is due, side by side under its quotas.
    pub(super) fn issue_remotely(
        &self,
        remote: &Remote,
        (authorities, state): (&Authorities, &Shared),
        nodes: &mut [Node<'_>],
        made: &(dyn Fn() + Sync),
    ) {
        let store = Arc::new(NodeStore::new(Arc::clone(state)));
        let due = nodes.iter_mut().filter(|node| matches!(node.work, Work::Due { .. }));
        let due = due.filter_map(|node| match authorities.signer(&node.identity.authority) {
            Ok(Signer::Remote(authority)) => Some((node, authority)),
            _ => None,
        });
        let work = iter(due).map(|(node, authority)| {
            let store = Arc::clone(&store);
            async move {
                let Work::Due { held, .. } = &mut node.work else { return };
                let held = held.take();
                let outcome =
                    self.provision(remote, (node.identity, held), &authority, store).await;
                node.take(outcome);
                made();
            }
        });
        remote.runtime.block_on(work.buffer_unordered(AT_ONCE).collect::<()>());
    }

    async fn provision(
        &self,
        remote: &Remote,
        (identity, held): (&Identity, Option<Vec<u8>>),
        authority: &RemoteAuthority,
        store: Arc<NodeStore>,
    ) -> Result<(Credential, Renewal), NodeFailure> {
        let profile = profile(self.desired, identity);
        let request = RemoteRequest {
            node: &identity.name,
            authority,
            profile: &profile,
            algorithm: identity.key_algorithm,
            held_spki: held.as_deref(),
            state: self.state,
        };
        let urgency = Urgency::default();
        let pendings = Arc::new(StoredPendings::new(store));
        let credential = provision_remotely(&remote.pool, &request, &urgency, pendings).await?;
        let issuer = authority.issuer_of(Some(credential.leaf()));
        let renewal = renewal(credential.leaf(), &profile, issuer);
        Ok((credential, renewal))
    }

    /// Forgets what was kept of certificates that are published by now.
    pub(super) fn forget_pendings(&self, made: &[NodeName], state: &Shared) -> Option<String> {
        if made.is_empty() {
            return None;
        }
        let forget = || -> Result<(), FilesError> {
            let store = NodeStore::new(Arc::clone(state));
            let nothing = |node| Entry::nothing(Kind::Pending, node);
            store.save(&made.iter().map(nothing).collect::<Vec<_>>())
        };
        forget().err().map(|error| {
            format!("what was kept of certificates in the making stays until the next run: {error}")
        })
    }
}
