//! The rules of a stream, by the hazards that they are against, and what both protocols share.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::boards::{Aspect, Part};

mod delta;
mod state_of_the_world;

/// What there is: names, each with a version and a generation, or held.
#[derive(Clone, Default)]
struct Table(BTreeMap<String, Option<Arc<Resource>>>);

impl Table {
    fn of(entries: &[(&str, &str)]) -> Self {
        let mut table = Self::default();
        entries.iter().for_each(|(name, version)| table.set(name, version));
        table
    }

    fn set(&mut self, name: &str, version: &str) {
        self.set_at(name, version, 1);
    }

    fn set_at(&mut self, name: &str, version: &str, generation: u64) {
        let node = NodeName::parse("front").unwrap();
        let resource = Resource {
            name: name.into(),
            version: version.into(),
            any: Bytes::new(),
            aspects: vec![Aspect { part: Part::Leaf(node), generation }],
        };
        self.0.insert(name.into(), Some(Arc::new(resource)));
    }

    fn hold(&mut self, name: &str) {
        self.0.insert(name.into(), None);
    }
}

impl Offer for Table {
    fn resolve(&self, name: &str) -> Resolution {
        match self.0.get(name) {
            Some(Some(resource)) => Resolution::Ready(Arc::clone(resource)),
            Some(None) => {
                let awaits = NodeName::parse("front").ok();
                Resolution::Held { awaits, why: "not made yet".into() }
            }
            None => Resolution::Held { awaits: None, why: "unknown".into() },
        }
    }

    fn all(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The names and versions in a response, and the names removed by it, in order.
fn content(update: &Update) -> Vec<String> {
    let Some(response) = &update.response else { return Vec::new() };
    let there = response.resources.iter().map(|one| format!("{}={}", one.name, one.version));
    let mut content: Vec<_> =
        there.chain(response.removed.iter().map(|name| format!("-{name}"))).collect();
    content.sort();
    content
}

fn nonce(update: &Update) -> String {
    update.response.as_ref().unwrap().nonce.clone()
}

fn accepted(name: &str) -> Note {
    Note::Accepted { name: name.into() }
}

fn rejected(name: &str, version: &str) -> Note {
    Note::Rejected { name: name.into(), version: version.into(), why: "no".into() }
}

fn held(name: &str, why: &str) -> Note {
    Note::Held { name: name.into(), why: why.into() }
}

fn rejection() -> Option<wire::Status> {
    Some(wire::Status { message: "no".into() })
}

/// A client of either protocol that keeps what it is sent, as Envoy does.
#[derive(Debug, Default)]
struct Client<P> {
    stream: P,
    has: BTreeMap<String, String>,
    nonce: String,
}

/// One thing that can happen.
#[derive(Clone, Debug)]
enum Event {
    /// A name gets another content, or none.
    Change { name: usize, version: Option<u8> },
    /// The client asks for these names, naming the latest response.
    Subscribe(Vec<usize>),
    /// The client takes or rejects what it got last.
    Answer { rejects: bool },
    /// The client answers a response that is long past.
    Stale,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_usize, proptest::option::weighted(0.8, 0..3_u8))
            .prop_map(|(name, version)| Event::Change { name, version }),
        2 => proptest::collection::vec(0..4_usize, 1..4).prop_map(Event::Subscribe),
        3 => proptest::bool::weighted(0.2).prop_map(|rejects| Event::Answer { rejects }),
        1 => Just(Event::Stale),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Drives a stream through events. After each: the same state never gives a second response, and
/// what the client has of what it asks for is what there is.
fn run<P: Protocol>(
    events: Vec<Event>,
    request: impl Fn(&[&str], &[&str], &str, Option<wire::Status>) -> P::Request,
) {
    let mut client = Client::<P>::default();
    let mut table = Table::default();
    let mut wanted: Vec<&str> = vec!["a"];
    client.stream.request(request(&wanted, &[], "", None)).unwrap();
    for event in events {
        let before = wanted.clone();
        let stale = matches!(event, Event::Stale);
        match event {
            Event::Change { name, version: Some(version) } => {
                table.set(NAMES[name], &version.to_string());
            }
            Event::Change { name, version: None } => table.hold(NAMES[name]),
            Event::Subscribe(names) => {
                wanted = names.into_iter().map(|name| NAMES[name]).collect();
                let same_nonce = client.nonce.clone();
                client.stream.request(request(&wanted, &before, &same_nonce, None)).unwrap();
                client.has.retain(|name, _| {
                    before.contains(&name.as_str()) && wanted.contains(&name.as_str())
                });
            }
            Event::Answer { rejects } => {
                let rejection = rejects.then(rejection).flatten();
                let same_nonce = client.nonce.clone();
                client.stream.request(request(&wanted, &before, &same_nonce, rejection)).unwrap();
            }
            Event::Stale => {
                let notes = client.stream.request(request(&wanted, &before, "stale", None));
                assert_eq!(notes, Ok(vec![]));
            }
        }
        let update = client.stream.update(&table);
        assert!(!stale || update.response.is_none(), "a stale request was answered");
        if let Some(response) = update.response {
            assert!(!response.resources.is_empty() || !response.removed.is_empty());
            client.nonce = response.nonce;
            for one in response.resources {
                client.has.insert(one.name.clone(), one.version.clone());
            }
        }
        let again = client.stream.update(&table);
        assert!(again.response.is_none() && again.notes.is_empty(), "{again:?}");
        for name in &wanted {
            if let Resolution::Ready(resource) = table.resolve(name) {
                assert_eq!(client.has.get(*name), Some(&resource.version), "{name}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_client_always_has_what_there_is_in_state_of_the_world(
        events in proptest::collection::vec(event(), 0..60),
    ) {
        run::<StateOfTheWorld>(events, |names, _, nonce, error_detail| wire::DiscoveryRequest {
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            response_nonce: nonce.into(),
            error_detail,
            ..Default::default()
        });
    }

    #[test]
    fn a_client_always_has_what_there_is_in_delta(
        events in proptest::collection::vec(event(), 0..60),
    ) {
        run::<Delta>(events, |names, before, nonce, error_detail| wire::DeltaDiscoveryRequest {
            resource_names_subscribe: names
                .iter()
                .filter(|name| nonce.is_empty() || !before.contains(name))
                .map(|name| (*name).to_owned())
                .collect(),
            resource_names_unsubscribe: before
                .iter()
                .filter(|name| !names.contains(name))
                .map(|name| (*name).to_owned())
                .collect(),
            response_nonce: nonce.into(),
            error_detail,
            ..Default::default()
        });
    }
}
