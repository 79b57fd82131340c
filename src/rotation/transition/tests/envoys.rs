//! Envoys that hold what they accepted, and the board that tells of it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::world::*;
use crate::boards::{Delivery, GONE_AFTER, Part, RecipientView};
use crate::identity::NodeName;
use crate::snapshot::{Anchors, Generation, Trust};
use crate::x509::certificate::Certificate;

/// One Envoy, that shows and trusts what it accepted last.
#[derive(Clone)]
pub struct Envoy {
    pub id: String,
    pub node: NodeName,
    pub leaf: Option<Certificate>,
    pub trust: Option<Ends>,
    pub accepted: (Generation, Generation),
    /// The names of authorities that it asks by, with what it accepted under each.
    pub asks: Vec<Asked>,
    pub rejects: Option<String>,
    pub away_since: Option<Instant>,
    /// Nothing on the board tells of it: it was connected to a process that is no more.
    pub is_unknown: bool,
}

/// A name such as `ca_1+ca_2`, and what is held under it.
#[derive(Clone)]
pub struct Asked {
    pub name: String,
    pub anchors: Option<Anchors>,
    pub accepted: Generation,
}

/// The anchors of the ends of a node, by end: `both`, `listener`, `backend NAME`.
pub type Ends = BTreeMap<String, Anchors>;

/// What an Envoy accepts at once.
#[derive(Clone, Copy)]
pub enum Half {
    Leaf,
    Names,
    Trust,
}

impl World {
    pub fn connect(&mut self, id: &str, of: &str) {
        self.envoys.push(Envoy {
            id: id.to_owned(),
            node: node(of),
            leaf: None,
            trust: None,
            accepted: (0, 0),
            asks: Vec::new(),
            rejects: None,
            away_since: None,
            is_unknown: false,
        });
    }

    /// An Envoy asks by the name of authorities.
    pub fn asks(&mut self, id: &str, name: &str) {
        let asked = Asked { name: name.to_owned(), anchors: None, accepted: 0 };
        self.envoy(id).asks.push(asked);
    }

    pub fn envoy(&mut self, id: &str) -> &mut Envoy {
        self.envoys.iter_mut().find(|envoy| envoy.id == id).unwrap()
    }

    pub fn departs(&mut self, id: &str) {
        let instant = self.instant;
        self.envoy(id).away_since.get_or_insert(instant);
    }

    pub fn returns(&mut self, id: &str) {
        let envoy = self.envoy(id);
        if envoy.away_since.take().is_some() || envoy.is_unknown {
            (envoy.accepted, envoy.is_unknown) = ((0, 0), false);
            envoy.asks.iter_mut().for_each(|asked| asked.accepted = 0);
        }
    }

    pub fn accepts(&mut self, id: &str, half: Half) {
        let at = self.envoys.iter().position(|envoy| envoy.id == id).unwrap();
        let envoy = &mut self.envoys[at];
        if envoy.away_since.is_some() || envoy.is_unknown || envoy.rejects.is_some() {
            return;
        }
        match half {
            Half::Leaf => {
                if let Some(leaf) = self.leaves.get(&envoy.node) {
                    envoy.leaf = Some(leaf.root.clone());
                    envoy.accepted.0 = leaf.generation;
                }
            }
            Half::Names => {
                for asked in &mut envoy.asks {
                    let known = asked.name.split('+').map(|name| self.by_name.0.get(&ca(name)));
                    if let Some(known) = known.collect::<Option<Vec<_>>>() {
                        let anchors = known.into_iter().flat_map(Anchors::as_slice).cloned();
                        asked.anchors = Some(Anchors::new(anchors));
                        asked.accepted = self.by_name.1;
                    }
                }
            }
            Half::Trust => {
                if let Some(trust) = self.trust.get(&envoy.node) {
                    envoy.trust = Some(ends(trust));
                    envoy.accepted.1 = trust.generation;
                }
            }
        }
    }

    /// An Envoy accepts all there is for it, and the engine goes on.
    pub fn takes(&mut self, id: &str) {
        self.accepts(id, Half::Leaf);
        self.accepts(id, Half::Trust);
        self.accepts(id, Half::Names);
        self.run();
    }

    /// Every Envoy accepts everything, until nothing changes any more.
    pub fn settle(&mut self) {
        for _ in 0..10 {
            let ids: Vec<_> = self.envoys.iter().map(|envoy| envoy.id.clone()).collect();
            ids.iter().for_each(|id| self.takes(id));
        }
    }

    pub fn standings(&self) -> Vec<Delivery> {
        let gone = |since: Instant| self.instant.duration_since(since) >= GONE_AFTER;
        let there = self.envoys.iter().filter(|envoy| !envoy.is_unknown);
        let there = there.filter(|envoy| !envoy.away_since.is_some_and(gone));
        let parts = |envoy: &Envoy| {
            let (leaf, trust) = envoy.accepted;
            let (node, asks) = (|| envoy.node.clone(), envoy.asks.clone());
            let own = [
                (Part::Leaf(node()), "default".to_owned(), leaf),
                (Part::Trust(node()), "ROOTCA".to_owned(), trust),
            ];
            let of_names = asks.into_iter().flat_map(|Asked { name, accepted, .. }| {
                let parts: Vec<_> = name.split('+').map(|one| Part::Roots(ca(one))).collect();
                parts.into_iter().map(move |part| (part, name.clone(), accepted))
            });
            own.into_iter().chain(of_names).collect::<Vec<_>>()
        };
        let delivery =
            |envoy: &Envoy, (part, name, accepted): (Part, String, Generation)| Delivery {
                recipient: RecipientView {
                    node_id: envoy.id.clone(),
                    caller: "uid 7".to_owned(),
                    caller_in_short: "uid 7".to_owned(),
                    ..RecipientView::default()
                },
                name,
                part,
                accepted,
                rejected: envoy.rejects.clone(),
                away_since: envoy.away_since,
            };
        let is_known = |delivery: &Delivery| {
            delivery.part.node().is_none_or(|node| self.desired.identities.contains_key(node))
        };
        there
            .flat_map(|envoy| parts(envoy).into_iter().map(|part| delivery(envoy, part)))
            .filter(is_known)
            .collect()
    }
}

pub fn ends(trust: &Trust) -> Ends {
    let mut ends = Ends::from([
        ("both".to_owned(), trust.both.clone()),
        ("listener".to_owned(), trust.listener.anchors.clone()),
    ]);
    for (name, peers) in trust.backends.iter().flatten() {
        ends.insert(format!("backend {name}"), peers.anchors.clone());
    }
    ends
}

/// Whether the end of one Envoy accepts what another one shows.
pub fn holds(one: &Envoy, end: &str, other: &Envoy) -> bool {
    let anchors = match end {
        "names" => one.asks.first().and_then(|asked| asked.anchors.as_ref()),
        end => one.trust.as_ref().and_then(|trust| trust.get(end)),
    };
    anchors.zip(other.leaf.as_ref()).is_some_and(|(anchors, leaf)| {
        anchors.as_slice().iter().any(|anchor| anchor.certificate == *leaf)
    })
}
