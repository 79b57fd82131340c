//! The names of one stream, and how far its recipient is with each.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{LONGEST_NAME, MOST_NAMES, Note, Offer, Refusal, WILDCARD};
use crate::identity::NodeName;
use crate::sds::resource::{Resolution, Resource};

/// The table of names that both protocols keep.
#[derive(Debug, Default)]
pub struct Names {
    entries: IndexMap<String, Entry>,
    wildcard: bool,
    /// The number of the latest response, which is its nonce; 0 for none.
    nonce: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// Asked for by name, and not only as a part of everything.
    explicit: bool,
    /// Noted as held, and not served since.
    held: bool,
    served: Option<Served>,
}

/// What was last sent under a name.
#[derive(Debug)]
struct Served {
    sent: Arc<Resource>,
    /// What would be sent now: of the same content, though maybe made of newer parts.
    latest: Arc<Resource>,
    /// The response that it was last in.
    nonce: u64,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Awaited,
    Rejected,
}

/// What there is, compared with what was sent.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What there is that the recipient was not sent.
    pub(super) new: Vec<Arc<Resource>>,
    /// What there is that it was sent and did not reject.
    pub(super) old: Vec<Arc<Resource>>,
    /// Under which names there was something, and is not.
    pub(super) gone: Vec<String>,
    /// Which names are no more a part of everything, though something was sent under them.
    pub(super) dropped: Vec<String>,
    pub(super) notes: Vec<Note>,
    pub(super) awaits: Vec<NodeName>,
}

impl Names {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// How many bytes were sent under the names that were asked for one by one, but for the first
    /// few. What is asked for as a part of everything is shared by all who do so.
    pub(super) fn bytes_beyond(&self, few: usize) -> usize {
        let explicit = self.entries.values().filter(|entry| entry.explicit).skip(few);
        explicit.filter_map(|entry| entry.served.as_ref()).map(|served| served.sent.any.len()).sum()
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether `nonce` is that of the latest response.
    pub(super) fn is_latest(&self, nonce: &str) -> bool {
        self.nonce > 0 && nonce == self.nonce.to_string()
    }

    /// Asks for everything.
    pub(super) fn add_wildcard(&mut self) {
        self.wildcard = true;
    }

    /// Asks no more for what was asked for only as a part of everything.
    pub(super) fn remove_wildcard(&mut self) -> Vec<Note> {
        self.wildcard = false;
        self.retain(|_, entry| entry.explicit)
    }

    /// Asks for a name. `again` makes what was sent under it be sent once more.
    pub(super) fn add(&mut self, name: String, again: bool) -> Result<Option<Note>, Refusal> {
        if name == WILDCARD {
            self.add_wildcard();
            return Ok(None);
        }
        if name.len() > LONGEST_NAME {
            return Ok(Some(Note::TooLong { length: name.len() }));
        }
        let entry = self.entries.entry(name).or_default();
        entry.explicit = true;
        if again {
            entry.served = None;
        }
        let explicit = self.entries.len() > MOST_NAMES
            && self.entries.values().filter(|entry| entry.explicit).count() > MOST_NAMES;
        if explicit { Err(Refusal::TooManyNames) } else { Ok(None) }
    }

    /// Asks no more for the names for which `kept` says no.
    pub(super) fn keep_only(&mut self, kept: impl Fn(&str) -> bool) -> Vec<Note> {
        let wildcard = self.wildcard;
        for (name, entry) in &mut self.entries {
            entry.explicit &= kept(name);
        }
        self.retain(|_, entry| entry.explicit || wildcard)
    }

    /// Takes the recipient's answer to the response `nonce`, which may be one before the latest:
    /// it answers for the names that were in no response since. Why it rejected it, if it did.
    pub(super) fn answered(&mut self, nonce: &str, rejection: Option<&str>) -> Vec<Note> {
        let Ok(nonce) = nonce.parse::<u64>() else { return Vec::new() };
        let mut notes = Vec::new();
        for (name, entry) in &mut self.entries {
            let Some(served) = &mut entry.served else { continue };
            if served.nonce != nonce || served.answer != Answer::Awaited {
                continue;
            }
            if let Some(why) = rejection {
                served.answer = Answer::Rejected;
                let version = served.sent.version.clone();
                notes.push(Note::Rejected { name: name.clone(), version, why: why.to_owned() });
            } else {
                served.answer = Answer::Accepted;
                notes.push(Note::Accepted { name: name.clone() });
                if served.latest.aspects != served.sent.aspects {
                    notes.push(Note::HasAlready(Arc::clone(&served.latest)));
                }
            }
        }
        notes
    }

    /// Compares what there is with what was sent.
    pub(super) fn compare(&mut self, offer: &dyn Offer) -> Comparison {
        let mut comparison = Comparison::default();
        if self.wildcard {
            self.follow(&offer.all(), &mut comparison);
        }
        for (name, entry) in &mut self.entries {
            match offer.resolve(name) {
                Resolution::Ready(resource) => {
                    let was_held = std::mem::take(&mut entry.held);
                    entry.compare(resource, was_held, &mut comparison);
                }
                Resolution::Held { awaits, why } => {
                    comparison.awaits.extend(awaits);
                    if !entry.held {
                        entry.held = true;
                        comparison.notes.push(Note::Held { name: name.clone(), why });
                    }
                    if entry.served.is_some() {
                        comparison.gone.push(name.clone());
                    }
                }
            }
        }
        comparison.awaits.sort_unstable();
        comparison.awaits.dedup();
        comparison
    }

    /// Numbers a response with these resources, and remembers it.
    pub(super) fn send(&mut self, resources: &[Arc<Resource>]) -> (String, Vec<Note>) {
        self.nonce += 1;
        let mut notes = Vec::new();
        for resource in resources {
            let Some(entry) = self.entries.get_mut(&resource.name) else { continue };
            match &mut entry.served {
                Some(served) if served.sent.version == resource.version => {
                    served.nonce = self.nonce;
                }
                served => {
                    *served = Some(Served {
                        sent: Arc::clone(resource),
                        latest: Arc::clone(resource),
                        nonce: self.nonce,
                        answer: Answer::Awaited,
                    });
                    notes.push(Note::Sent(Arc::clone(resource)));
                }
            }
        }
        (self.nonce.to_string(), notes)
    }

    /// Forgets what was sent under a name, so that it is sent again once it is there.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.served = None;
        }
    }

    /// Makes the names be those of everything, and those asked for by name.
    fn follow(&mut self, all: &[String], comparison: &mut Comparison) {
        let there: HashSet<_> = all.iter().map(String::as_str).collect();
        let left = |name: &str, entry: &Entry| !entry.explicit && !there.contains(name);
        let dropped = self.entries.iter().filter(|(name, entry)| left(name, entry));
        comparison.dropped = dropped
            .filter(|(_, entry)| entry.served.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        comparison.notes.extend(self.retain(|name, entry| !left(name, entry)));
        for name in all {
            if !self.entries.contains_key(name) {
                self.entries.insert(name.clone(), Entry::default());
            }
        }
    }

    fn retain(&mut self, kept: impl Fn(&str, &Entry) -> bool) -> Vec<Note> {
        let mut notes = Vec::new();
        self.entries.retain(|name, entry| {
            let kept = kept(name, entry);
            if !kept {
                notes.push(Note::Unsubscribed { name: name.clone() });
            }
            kept
        });
        notes
    }
}

impl Entry {
    fn compare(&mut self, resource: Arc<Resource>, was_held: bool, comparison: &mut Comparison) {
        match &mut self.served {
            Some(served) if served.sent.version == resource.version => {
                let newer = was_held || served.latest.aspects != resource.aspects;
                served.latest = Arc::clone(&resource);
                match served.answer {
                    Answer::Accepted if newer => {
                        comparison.notes.push(Note::HasAlready(Arc::clone(&resource)));
                        comparison.old.push(resource);
                    }
                    Answer::Awaited if was_held => {
                        comparison.notes.push(Note::Sent(Arc::clone(&resource)));
                        comparison.old.push(resource);
                    }
                    Answer::Accepted | Answer::Awaited => comparison.old.push(resource),
                    Answer::Rejected => {}
                }
            }
            _ => comparison.new.push(resource),
        }
    }
}
