//! All that the loop knows of one node.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::acm_pca::RemoteAuthority;
use crate::authority::CaChain;
use crate::desired::{Desired, Identity};
use crate::hierarchy;
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::schedule::Schedule;
use crate::rotation::{self, Decision};
use crate::snapshot::{Generation, Leaf, Node, Trust};
use crate::time::{Moment, OffsetDateTime};
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::LeafProfile;

/// One node. What it has, what it is to have, and what is being done about that.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) identity: Arc<Identity>,
    pub(super) profile: LeafProfile,
    pub(super) signer: Signer,
    /// What is published, or about to be.
    pub(super) shown: Option<Shown>,
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) schedule: Schedule,
    /// When what is shown is to be renewed.
    pub(super) due: Option<OffsetDateTime>,
    pub(super) making: Option<Making>,
    /// Why something else is to be made, in words.
    pub(super) reason: String,
    /// Why that failed.
    pub(super) failure: Option<String>,
    /// Since when it is to be made: the edit, or the due moment.
    pub(super) begun: Instant,
    pub(super) is_forced: bool,
    /// Whether it was told that what is shown has ended.
    pub(super) told_end: bool,
}

/// Who signs a node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    By(AuthorityName),
    /// It stays as it is until its trust has moved.
    Kept,
}

/// A credential, with what it stands under.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) credential: Arc<Credential>,
    pub(super) root: Certificate,
    /// Who signed it, where that is known.
    pub(super) authority: Option<AuthorityName>,
    pub(super) generation: Generation,
}

/// A credential in the making, or in the saving.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub(super) attempt: u64,
    pub(super) signer: hierarchy::Signer,
    pub(super) profile: LeafProfile,
    pub(super) algorithm: KeyAlgorithm,
    /// What was made, where that could not be saved and waits until it can be.
    /// And whether something is to be forgotten with it.
    pub(super) unsaved: Option<(Arc<Credential>, bool)>,
}

impl Making {
    /// Whether this is still what is wanted of a signer with these certificates. Where that has
    /// several CAs, it is as long as they are among them.
    pub(super) fn is_for(&self, slot: &Slot, signer: &[CaChain]) -> bool {
        let is_known =
            |own: &CaChain| signer.iter().any(|chain| chain.certificates() == own.certificates());
        self.profile == slot.profile
            && self.algorithm == slot.identity.key_algorithm
            && self.signer.chains().all(is_known)
    }

    /// The certificates of the CA that issued `leaf`.
    pub(super) fn issuer_of(&self, leaf: &Certificate) -> Option<&CaChain> {
        let issued = |chain: &&CaChain| leaf.names_as_issuer(chain.own());
        self.signer.chains().find(issued)
    }
}

impl Slot {
    pub(super) fn new(
        desired: &Desired,
        identity: Arc<Identity>,
        seed: u64,
        shown: Option<Shown>,
        now: &Moment,
    ) -> Self {
        Self {
            profile: rotation::profile(desired, &identity),
            signer: Signer::By(identity.authority.clone()),
            schedule: Schedule::new(seed ^ hash(&identity.name)),
            identity,
            shown,
            trust: None,
            due: None,
            making: None,
            reason: String::new(),
            failure: None,
            begun: now.instant(),
            is_forced: false,
            told_end: false,
        }
    }

    /// Decides about what it shows, with `authority` as its signer.
    pub(super) fn judge(&self, authority: &CaChain, now: OffsetDateTime) -> Decision {
        match &self.shown {
            _ if self.is_forced => Decision::Issue(rotation::Reason::Forced),
            None => Decision::Issue(rotation::Reason::New),
            Some(shown) => {
                let algorithm = self.identity.key_algorithm;
                rotation::judge(&self.profile, algorithm, authority, &shown.credential, now)
            }
        }
    }

    /// Whether something was made for it that could not be saved.
    pub(super) fn is_unsaved(&self) -> bool {
        self.making.as_ref().is_some_and(|making| making.unsaved.is_some())
    }

    /// What it shows, under the certificate that its CA has by now, where that alone is another one
    /// than when it signed: the leaf is as good under it, and a new one would be paid for.
    pub(super) fn rechained(
        &self,
        authority: &RemoteAuthority,
        now: OffsetDateTime,
    ) -> Option<Credential> {
        let shown = &self.shown.as_ref()?.credential;
        let chain = authority.issuer_of(Some(shown.leaf()));
        match self.judge(chain, now) {
            Decision::Issue(rotation::Reason::AuthorityChanged) => {
                let key = PrivateKey::from_pkcs8(shown.key().to_der().secret_pkcs8_der()).ok()?;
                rotation::rechain(key, shown.leaf().clone(), chain, now).ok()
            }
            _ => None,
        }
    }

    /// How long what it shows is still good; none if that is over, or there is nothing.
    pub(super) fn left(&self, now: &Moment) -> Option<Duration> {
        let left = now.until(self.ends()?);
        (!left.is_zero()).then_some(left)
    }

    /// The last second of what it shows.
    pub(super) fn ends(&self) -> Option<OffsetDateTime> {
        self.shown.as_ref().map(|shown| shown.credential.leaf().validity().not_after)
    }

    /// What it is to those who read the snapshot; none before its trust is known.
    pub(super) fn node(&self) -> Option<Node> {
        let leaf = self.shown.as_ref().map(|shown| Leaf {
            credential: Arc::clone(&shown.credential),
            generation: shown.generation,
        });
        let trust = Arc::clone(self.trust.as_ref()?);
        Some(Node { identity: Arc::clone(&self.identity), leaf, trust })
    }
}

/// Spreads what many nodes would do at once: the seed differs in each run anyway.
fn hash(name: &NodeName) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
