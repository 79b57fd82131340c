//! State of the world: every request says all that is asked for, every response all there is.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::names::Names;
use super::{Note, Offer, Protocol, Refusal, Response, Update, WILDCARD, foreign_type};
use crate::sds::resource::Resource;
use crate::sds::wire::{self, DiscoveryRequest};

/// A stream of `StreamSecrets`.
#[derive(Debug, Default)]
pub struct StateOfTheWorld {
    names: Names,
    begun: bool,
    /// Whether it has asked for anything by name, from when on an empty list means nothing.
    named: bool,
}

impl Protocol for StateOfTheWorld {
    type Request = DiscoveryRequest;

    fn request(&mut self, request: DiscoveryRequest) -> Result<Vec<Note>, Refusal> {
        if let Some(note) = foreign_type(&request.type_url) {
            return Ok(vec![note]);
        }
        // Who has not seen the latest response yet will answer it, with all its names: nothing is
        // lost. Who names no response at all may be one that never does.
        let latest = self.names.is_latest(&request.response_nonce);
        if self.begun && !latest && !request.response_nonce.is_empty() {
            return Ok(Vec::new());
        }
        let mut notes = Vec::new();
        if self.begun && latest {
            let rejection = request.error_detail.as_ref().map(|status| status.message.as_str());
            notes = self.names.answered(&request.response_nonce, rejection);
        }
        self.begun = true;
        notes.extend(self.subscribe(request.resource_names)?);
        Ok(notes)
    }

    fn update(&mut self, offer: &dyn Offer) -> Update {
        let comparison = self.names.compare(offer);
        let mut notes = comparison.notes;
        // What vanished from among named resources cannot be told; from among all, it can.
        let resources: Vec<_> = if comparison.new.is_empty() && comparison.dropped.is_empty() {
            Vec::new()
        } else {
            comparison.old.into_iter().chain(comparison.new).collect()
        };
        let response = (!resources.is_empty()).then(|| {
            let (nonce, sent) = self.names.send(&resources);
            notes.extend(sent);
            let version = version(&resources);
            Response { version, nonce, resources, removed: Vec::new() }
        });
        Update { response, notes, awaits: comparison.awaits }
    }

    fn table(&self) -> &Names {
        &self.names
    }

    fn node(request: &mut DiscoveryRequest) -> Option<wire::Node> {
        request.node.take()
    }

    fn encode(response: &Response) -> Vec<Bytes> {
        wire::state_of_the_world(&response.version, &response.nonce, &response.resources)
    }
}

impl StateOfTheWorld {
    fn subscribe(&mut self, names: Vec<String>) -> Result<Vec<Note>, Refusal> {
        let mut notes = Vec::new();
        self.named |= !names.is_empty();
        if !self.named {
            self.names.add_wildcard();
            return Ok(notes);
        }
        let wanted: HashSet<_> = names.iter().map(String::as_str).collect();
        let everything = wanted.contains(WILDCARD);
        notes.extend(self.names.keep_only(|name| wanted.contains(name)));
        for name in &names {
            notes.extend(self.names.add(name.clone(), false)?);
        }
        // Last, so that what was had as a part of everything is not sent again by its name.
        if !everything {
            notes.extend(self.names.remove_wildcard());
        }
        Ok(notes)
    }
}

/// One version for several resources: the same wherever the same is served, in whichever order.
/// It tells people apart what they look at; nothing is decided by it, so 64 bits are enough
/// (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>).
fn version(resources: &[Arc<Resource>]) -> String {
    if let [one] = resources {
        return one.version.clone();
    }
    let mut pairs: Vec<_> = resources.iter().map(|one| (&one.name, &one.version)).collect();
    pairs.sort_unstable();
    let texts = pairs.into_iter().flat_map(|(name, version)| [name, version]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
