//! Delta: every message says what is different.

use std::collections::HashSet;

use bytes::Bytes;

use super::names::Names;
use super::{Note, Offer, Protocol, Refusal, Response, Update, WILDCARD, foreign_type};
use crate::sds::wire::{self, DeltaDiscoveryRequest};

/// A stream of `DeltaSecrets`.
#[derive(Debug, Default)]
pub struct Delta {
    names: Names,
    begun: bool,
}

impl Protocol for Delta {
    type Request = DeltaDiscoveryRequest;

    /// A difference is never out of date: what a request subscribes to counts whichever response
    /// it answers, and an answer counts for the names that were in no response since.
    fn request(&mut self, request: DeltaDiscoveryRequest) -> Result<Vec<Note>, Refusal> {
        if let Some(note) = foreign_type(&request.type_url) {
            return Ok(vec![note]);
        }
        let rejection = request.error_detail.as_ref().map(|status| status.message.as_str());
        let mut notes = self.names.answered(&request.response_nonce, rejection);
        let unwanted: HashSet<_> =
            request.resource_names_unsubscribe.iter().map(String::as_str).collect();
        if unwanted.contains(WILDCARD) {
            notes.extend(self.names.remove_wildcard());
        }
        if !unwanted.is_empty() {
            notes.extend(self.names.keep_only(|name| !unwanted.contains(name)));
        }
        if !self.begun && request.resource_names_subscribe.is_empty() {
            self.names.add_wildcard();
        }
        self.begun = true;
        for name in request.resource_names_subscribe {
            notes.extend(self.names.add(name, true)?);
        }
        Ok(notes)
    }

    fn update(&mut self, offer: &dyn Offer) -> Update {
        let comparison = self.names.compare(offer);
        let mut notes = comparison.notes;
        let resources = comparison.new;
        let removed: Vec<_> = comparison.gone.into_iter().chain(comparison.dropped).collect();
        let response = (!resources.is_empty() || !removed.is_empty()).then(|| {
            let (nonce, sent) = self.names.send(&resources);
            notes.extend(sent);
            removed.iter().for_each(|name| self.names.forget(name));
            Response { version: String::new(), nonce, resources, removed }
        });
        Update { response, notes, awaits: comparison.awaits }
    }

    fn table(&self) -> &Names {
        &self.names
    }

    fn node(request: &mut DeltaDiscoveryRequest) -> Option<wire::Node> {
        request.node.take()
    }

    fn encode(response: &Response) -> Vec<Bytes> {
        wire::delta(&response.nonce, &response.resources, &response.removed)
    }
}
