//! The loop's state, and what an edit does to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Options;
use super::attempts::Attempts;
use super::errands::Errands;
use super::keeping::{Made, Saved};
use super::outages::Outage;
use super::preparation::{Depth, Order, Prepared, Stored, roots};
use super::slot::{Shown, Signer, Slot};
use super::timers::Timers;
use super::trust::Trusting;
use super::turns::Turns;
use crate::desired::{Desired, Identity};
use crate::files::Directory;
use crate::hierarchy::{Authorities, AuthorityFailure, Making, State as AuthorityState};
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::schedule::{Phase, Schedule};
use crate::rotation::transition::Transitions;
use crate::snapshot::Publisher;
use crate::store::NodeStore;
use crate::time::Moment;

/// All that the loop knows. Its methods never wait; what takes time is left to tasks that it holds
/// on to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) directory: Arc<Directory>,
    pub(super) store: Arc<NodeStore>,
    pub(super) publisher: Publisher,
    pub(super) desired: Arc<Desired>,
    pub(super) authorities: Arc<Authorities>,
    /// When authorities are read again without being told to.
    pub(super) hierarchy: Schedule,
    /// Whether that is to be planned anew, and if so, whether they were just read.
    pub(super) hierarchy_stale: Option<bool>,
    /// The nodes that are served, in mesh order.
    pub(super) slots: IndexMap<NodeName, Slot>,
    pub(super) turns: Turns,
    pub(super) timers: Timers,
    pub(super) trusting: Trusting,
    pub(super) attempts: Attempts,
    /// What is asked of AWS for the authorities themselves.
    pub(super) errands: Errands,
    /// Authorities elsewhere that do not sign now.
    pub(super) outages: HashMap<AuthorityName, Outage>,
    /// What is to be saved next, and what is being saved.
    pub(super) to_save: Vec<Made>,
    pub(super) saving: Option<JoinHandle<Vec<Saved>>>,
    /// What is saved and waits for the record of transitions.
    pub(super) to_publish: Vec<Made>,
    pub(super) preparing: Option<JoinHandle<Prepared>>,
    pub(super) reload: Reload,
    /// When the loop was last awake.
    pub(super) last: Moment,
    /// Whether the clock was set since the authorities were read.
    pub(super) is_clock_set: bool,
}

/// What is to be read once nothing is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reload {
    /// Another mesh has come.
    pub(super) edit: bool,
    /// The authorities, for whatever reason.
    pub(super) authorities: bool,
    /// Those that are missing or due are to be made.
    pub(super) make: bool,
}

impl State {
    /// The state before anything is known, which reads all that there is first.
    pub(super) fn new(
        options: Options,
        directory: Arc<Directory>,
        publisher: Publisher,
        transitions: Transitions,
    ) -> Self {
        let mut nothing = (**options.desired.borrow()).clone();
        nothing.authorities.clear();
        nothing.identities.clear();
        let authorities = Authorities { states: IndexMap::new(), notes: Vec::new() };
        Self {
            store: Arc::new(NodeStore::new(Arc::clone(&directory))),
            directory,
            publisher,
            desired: Arc::new(nothing),
            authorities: Arc::new(authorities),
            hierarchy: Schedule::new(options.seed),
            hierarchy_stale: None,
            slots: IndexMap::new(),
            turns: Turns::default(),
            timers: Timers::default(),
            trusting: Trusting::new(transitions),
            attempts: Attempts::default(),
            errands: Errands::default(),
            outages: HashMap::new(),
            to_save: Vec::new(),
            saving: None,
            to_publish: Vec::new(),
            preparing: None,
            reload: Reload { edit: true, ..Reload::default() },
            last: options.clock.moment(),
            is_clock_set: false,
            options,
        }
    }

    /// Whether this process serves a node.
    fn serves(&self, name: &NodeName) -> bool {
        self.options.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// Begins to read what an edit or a reload needs, unless something is being read.
    pub(super) fn start_preparing(&mut self, now: &Moment) {
        if self.preparing.is_some() || self.reload == Reload::default() {
            return;
        }
        let Reload { edit, authorities, make } = std::mem::take(&mut self.reload);
        let desired = match edit {
            true => Arc::clone(&self.options.desired.borrow_and_update()),
            false => Arc::clone(&self.desired),
        };
        let is_known = !authorities
            && desired.authorities == self.desired.authorities
            && desired.clock_skew == self.desired.clock_skew;
        let new = |identity: &&Identity| {
            self.serves(&identity.name) && !self.slots.contains_key(&identity.name)
        };
        let nodes = match self.options.store {
            true => desired.identities.values().filter(new).cloned().map(Arc::new).collect(),
            false => Vec::new(),
        };
        let order = Order {
            authorities: is_known.then(|| Arc::clone(&self.authorities)),
            depth: match make {
                true => Depth::Making,
                // At the start, what is stored comes first.
                false if self.authorities.states.is_empty() => Depth::Certificates,
                false => Depth::Keys,
            },
            nodes,
            older: self.trusting.roots_in_use(),
            now: now.wall(),
            desired,
        };
        let (directory, store) = (Arc::clone(&self.directory), Arc::clone(&self.store));
        self.preparing = Some(tokio::task::spawn_blocking(move || {
            super::preparation::prepare(&directory, &store, order)
        }));
    }

    /// Puts in force what was read.
    pub(super) fn adopt(&mut self, prepared: Prepared, now: &Moment) {
        let Prepared { desired, authorities, depth, stored } = prepared;
        let changed = self.changed_authorities(&authorities);
        let is_edit = !Arc::ptr_eq(&self.desired, &desired);
        let was_read = !Arc::ptr_eq(&self.authorities, &authorities);
        if was_read {
            self.tell_of_authorities(&authorities);
        }
        if was_read || is_edit {
            self.trusting.roots = roots(&desired, &authorities);
        }
        self.authorities = authorities;
        self.desired = desired;
        let is_unread = was_read && depth == Depth::Certificates;
        if is_unread || depth != Depth::Making && !self.authorities.to_make().is_empty() {
            self.read_authorities();
        }
        if is_edit {
            self.take_nodes(stored, now);
        }
        for (name, slot) in &self.slots {
            // One that could not be signed for may be now; one that stands elsewhere is judged anew.
            let is_held = matches!(slot.schedule.phase(), Phase::Held(_));
            if is_held
                || (was_read && self.is_clock_set)
                || changed.contains(&slot.identity.authority)
            {
                self.trusting.undecided.insert(name.clone());
            }
        }
        self.is_clock_set &= !was_read;
        self.trusting.is_stale = true;
        // Where they are about to be read again, that says when next.
        self.hierarchy_stale = (!is_unread).then_some(was_read);
    }

    /// The authorities whose certificates, or whose being able to sign, are not what they were.
    fn changed_authorities(&self, new: &Authorities) -> HashSet<AuthorityName> {
        let of = |authorities: &Authorities, name: &AuthorityName| {
            let known = authorities.states.contains_key(name);
            let chains = if known { authorities.chains(name) } else { &[] };
            let can_sign =
                known && (authorities.signer(name).is_ok() || authorities.is_unread(name));
            let chains: Vec<_> = chains.iter().map(|chain| chain.certificates().to_vec()).collect();
            (chains, can_sign)
        };
        let names = new.states.keys();
        names.filter(|name| of(&self.authorities, name) != of(new, name)).cloned().collect()
    }

    /// Brings the slots in line with the mesh: new ones, other ones, and none for who is gone.
    fn take_nodes(&mut self, stored: Vec<(Arc<Identity>, Stored)>, now: &Moment) {
        let desired = Arc::clone(&self.desired);
        let mut stored: std::collections::HashMap<_, _> =
            stored.into_iter().map(|(identity, stored)| (identity.name.clone(), stored)).collect();
        let mut old = std::mem::take(&mut self.slots);
        for identity in desired.identities.values() {
            if !self.serves(&identity.name) {
                continue;
            }
            let name = identity.name.clone();
            let found = stored.remove(&name);
            let slot = match old.swap_remove(&name) {
                Some(slot) => self.edited(slot, identity, now),
                None => self.new_slot(identity, found, now),
            };
            self.slots.insert(name, slot);
        }
        for name in old.keys() {
            self.turns.remove(name);
            self.timers.remove(name);
            tracing::info!(node = %name, "gone from the mesh, and forgotten; its stored files stay");
        }
        self.trusting.is_edited = true;
    }

    fn new_slot(&mut self, identity: &Identity, found: Option<Stored>, now: &Moment) -> Slot {
        let identity = Arc::new(identity.clone());
        let name = identity.name.clone();
        let mut slot = Slot::new(&self.desired, identity, self.options.seed, None, now);
        match found {
            None | Some(Stored::Nothing) => {}
            Some(Stored::Unusable(why)) => {
                tracing::warn!(node = %name, "what is stored is not used, and made anew: {why}");
            }
            Some(Stored::Good { shown, is_elsewhere }) => {
                let generation = self.publisher.next_generation();
                if is_elsewhere {
                    let credential = Arc::clone(&shown.credential);
                    let (node, is_pending) = (name.clone(), false);
                    self.to_save.push(Made { node, attempt: 0, credential, is_pending });
                }
                slot.shown = Some(Shown { generation, ..*shown });
            }
        }
        self.trusting.undecided.insert(name);
        slot
    }

    fn edited(&mut self, mut slot: Slot, identity: &Identity, now: &Moment) -> Slot {
        let profile = crate::rotation::profile(&self.desired, identity);
        let is_other = *slot.identity != *identity;
        if is_other || slot.profile != profile {
            self.trusting.undecided.insert(identity.name.clone());
            slot.begun = now.instant();
        }
        slot.profile = profile;
        if is_other {
            slot.identity = Arc::new(identity.clone());
        }
        slot
    }

    /// When to read the authorities again: as soon as an intermediate is due, and now and then
    /// while one that is needed cannot be used.
    pub(super) fn plan_hierarchy(&mut self, now: &Moment) {
        // Those who are yet to be decided about may need it no more.
        if !self.trusting.undecided.is_empty() {
            return;
        }
        let Some(was_read) = self.hierarchy_stale.take() else { return };
        // What others are to mend is not mended by reading files.
        let is_elsewhere = |name: &AuthorityName| {
            self.outages.contains_key(name)
                || std::iter::once(name)
                    .chain(self.desired.above(name))
                    .any(|name| self.authorities.awaits_errand(name))
        };
        let is_held = |slot: &&Slot| match &slot.signer {
            Signer::By(name) => {
                matches!(slot.schedule.phase(), Phase::Held(_)) && !is_elsewhere(name)
            }
            Signer::Kept => false,
        };
        let left = self.slots.values().filter(is_held).map(|slot| slot.left(now));
        let left: Vec<_> = left.collect();
        let failed = |state: &AuthorityState| matches!(state, AuthorityState::Failed(_));
        if left.is_empty() && !self.authorities.states.values().any(failed) {
            self.hierarchy.idle_until(self.authorities.next_due(&self.desired));
        } else if was_read {
            self.hierarchy.failed(now, left.into_iter().flatten().min());
        } else if matches!(self.hierarchy.phase(), Phase::Idle(_)) {
            // What could not be used when it was read may be mended by now.
            self.read_authorities();
        }
    }

    /// Reads the authorities again, and makes what is missing or due of them.
    pub(super) fn read_authorities(&mut self) {
        self.reload = Reload { authorities: true, make: true, ..self.reload };
        self.hierarchy.begin();
    }

    /// Tells of authorities that cannot be used, and of what was made or has been noted of them.
    fn tell_of_authorities(&self, new: &Authorities) {
        for (name, state) in &new.states {
            let before = self.authorities.states.get(name);
            let why = |state: &AuthorityState| match state {
                AuthorityState::Mute { why, .. } | AuthorityState::Failed(why)
                    if !matches!(**why, AuthorityFailure::KeyUnread) =>
                {
                    Some(why.to_string())
                }
                _ => None,
            };
            let (was, is) = (before.and_then(why), why(state));
            match (&was, &is) {
                (_, Some(is)) if was.as_ref() != Some(is) => {
                    tracing::error!(authority = %name, "cannot sign: {is}");
                }
                (Some(_), None) => tracing::info!(authority = %name, "can sign again"),
                _ => {}
            }
            let made = |state: Option<&AuthorityState>| match state {
                Some(AuthorityState::Awaiting { why, .. } | AuthorityState::ToMake { why, .. }) => {
                    Some(*why)
                }
                _ => None,
            };
            if let (Some(why), AuthorityState::Ready(authority)) = (made(before), state) {
                let what = match why {
                    Making::New => "made",
                    Making::Due | Making::Changed | Making::NotYetValid => "signed anew",
                };
                let ends = crate::time::rfc3339(authority.ends());
                tracing::info!(authority = %name, not_after = %ends, "{what}");
            }
        }
        for note in new.notes.iter().filter(|note| !self.authorities.notes.contains(note)) {
            tracing::warn!(authority = %note.authority, "{}", note.text);
        }
    }

    /// When the loop is to wake up though nobody wakes it.
    pub(super) fn next(&self, now: &Moment) -> Option<Instant> {
        let hierarchy = match self.hierarchy.wake() {
            crate::rotation::schedule::Wake::Never => None,
            crate::rotation::schedule::Wake::At(at) => Some(now.instant_of(at)),
            crate::rotation::schedule::Wake::After(instant) => Some(instant),
        };
        let trust = self.trusting.next.map(|at| now.instant_of(at));
        let others = [self.trusting.retry_at, self.next_errand(now), self.next_outage()];
        [self.timers.next(now), hierarchy, trust].into_iter().chain(others).flatten().min()
    }
}
