//! Random edits, acceptances, losses and restarts, in any order: what was accepted, and is to be
//! accepted after each edit, is accepted at every moment by what Envoys really hold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::envoys::Half;
use super::envoys::holds;
use super::world::*;
use crate::desired::{Backend, Caller, Identity};

const NODES: [&str; 3] = ["front", "blue", "green"];
const ROOTS: [&str; 6] = ["ca_1", "ca_2", "ca_3", "ca_1 renewed", "ca_2 renewed", "ca_3 renewed"];
const CAS: [&str; 3] = ["ca_1", "ca_2", "ca_3"];
/// Two of front, one of each other.
const ENVOYS: [&str; 4] = ["front", "front-2", "blue", "green"];
const HALVES: [Half; 3] = [Half::Trust, Half::Leaf, Half::Names];

#[derive(Clone, Debug)]
enum Event {
    /// Several wishes change in one edit.
    Edit(Vec<Wish>),
    Accept(usize, usize),
    Reject(usize, bool),
    Depart(usize),
    Return(usize),
    /// One node's certificate is made, as the plan has it.
    Issue(usize),
    Pass(u64),
    /// Whatever is waited for by time alone comes.
    Wait,
    /// The process ends, before or after what was planned last is published, and another begins.
    Restart(bool),
    Mute(usize, bool),
}

#[derive(Clone, Debug)]
enum Wish {
    Signer(usize, usize),
    /// Of both ends, of the listener alone.
    Trust(usize, u8, bool),
    Callers(usize, Option<u8>),
    Backends(usize, Option<(u8, u8)>),
    Roots(usize, usize),
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => (0..3_usize, 0..3_usize).prop_map(|(node, ca)| Wish::Signer(node, ca)),
        4 => (0..3_usize, 1..8_u8, any::<bool>()).prop_map(|(n, set, all)| Wish::Trust(n, set, all)),
        1 => (0..3_usize, proptest::option::of(0..8_u8)).prop_map(|(n, set)| Wish::Callers(n, set)),
        1 => (0..3_usize, proptest::option::of((1..8_u8, 1..8_u8)))
            .prop_map(|(node, backends)| Wish::Backends(node, backends)),
        2 => (0..3_usize, 0..6_usize).prop_map(|(ca, root)| Wish::Roots(ca, root)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop::collection::vec(wish(), 1..5).prop_map(Event::Edit),
        18 => (0..4_usize, 0..3_usize).prop_map(|(envoy, half)| Event::Accept(envoy, half)),
        1 => (0..4_usize, any::<bool>()).prop_map(|(envoy, on)| Event::Reject(envoy, on)),
        1 => (0..4_usize).prop_map(Event::Depart),
        3 => (0..4_usize).prop_map(Event::Return),
        8 => (0..3_usize).prop_map(Event::Issue),
        1 => (1..29_u64).prop_map(Event::Pass),
        1 => Just(Event::Wait),
        1 => any::<bool>().prop_map(Event::Restart),
        1 => (0..3_usize, any::<bool>()).prop_map(|(ca, on)| Event::Mute(ca, on)),
    ]
}

fn some<'a>(of: &[&'a str], set: u8) -> Vec<&'a str> {
    of.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0).map(|(_, name)| *name).collect()
}

fn wishes(world: &mut World, wish: &Wish) {
    match wish {
        Wish::Signer(at, ca) => world.sign(NODES[*at], CAS[*ca]),
        Wish::Trust(at, set, true) => world.trusts(NODES[*at], &some(&CAS, *set)),
        Wish::Trust(at, set, false) => {
            let set = world.set(&some(&CAS, *set));
            world.identity(NODES[*at]).listener.trust = set;
        }
        Wish::Callers(at, Some(set)) => world.called_by(NODES[*at], &some(&NODES, *set)),
        Wish::Callers(at, None) => world.identity(NODES[*at]).listener.callers = None,
        Wish::Backends(at, wanted) => {
            let backends = wanted.map(|(names, set)| {
                let trust = world.set(&some(&CAS, set));
                let backend =
                    |name: &&str| (node(name), Backend { trust: trust.clone(), port: None });
                some(&NODES, names).iter().map(backend).collect()
            });
            world.identity(NODES[*at]).backends = backends;
        }
        Wish::Roots(ca, root) => world.has_roots(CAS[*ca], &[ROOTS[*root]]),
    }
}

/// An end of an Envoy, and an Envoy that it accepts.
type Pair = (usize, String, usize);

/// What is to be accepted, by the mesh alone.
fn wanted(world: &World) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for (one, envoy) in world.envoys.iter().enumerate() {
        let identity = &world.desired.identities[&envoy.node];
        for (other, peer) in world.envoys.iter().enumerate() {
            if !envoy.asks.is_empty() {
                pairs.insert((one, "names".to_owned(), other));
            }
            let peer = &world.desired.identities[&peer.node];
            let root = &world.roots[&peer.authority].as_ref().unwrap()[0];
            for (end, trust) in ends_for(identity, peer) {
                let mut roots =
                    trust.names().iter().flat_map(|ca| world.roots[ca].iter().flatten());
                if roots.any(|anchor| anchor == root) {
                    pairs.insert((one, end, other));
                }
            }
        }
    }
    pairs
}

/// The ends of a node at which it meets a peer.
fn ends_for<'a>(
    identity: &'a Identity,
    peer: &Identity,
) -> Vec<(String, &'a crate::desired::TrustSet)> {
    let mut ends = vec![("both".to_owned(), &identity.trust)];
    let is_peer = |caller: &Caller| *caller == Caller::Node(peer.name.clone());
    if identity.listener.callers.as_ref().is_none_or(|callers| callers.iter().any(is_peer)) {
        ends.push(("listener".to_owned(), &identity.listener.trust));
    }
    if let Some(backend) = identity.backends.iter().find_map(|backends| backends.get(&peer.name)) {
        ends.push((format!("backend {}", peer.name), &backend.trust));
    }
    ends
}

/// Those pairs that have to hold now.
struct Kept(BTreeSet<Pair>);

impl Kept {
    fn check(&self, world: &World, after: &impl std::fmt::Debug) {
        for (one, end, other) in &self.0 {
            let (one, other) = (&world.envoys[*one], &world.envoys[*other]);
            assert!(
                holds(one, end, other),
                "after {after:?}: {}'s {end} refuses {}; {:#?}",
                one.id,
                other.id,
                world.plan.transitions
            );
        }
    }

    /// Nothing is promised to one who was away for too long, until all is at rest.
    fn forget(&mut self, envoy: usize) {
        self.0.retain(|(one, _, other)| *one != envoy && *other != envoy);
    }
}

fn happen(world: &mut World, kept: &mut Kept, event: &Event) {
    match event {
        Event::Edit(all) => {
            all.iter().for_each(|wish| wishes(world, wish));
            let wanted = wanted(world);
            kept.0.retain(|pair| wanted.contains(pair));
        }
        Event::Accept(envoy, half) => world.accepts(ENVOYS[*envoy], HALVES[*half]),
        Event::Reject(envoy, on) => {
            world.envoy(ENVOYS[*envoy]).rejects = on.then(|| "no".to_owned());
        }
        Event::Depart(envoy) => {
            if !world.envoy(ENVOYS[*envoy]).is_unknown {
                world.departs(ENVOYS[*envoy]);
            }
        }
        Event::Return(envoy) => world.returns(ENVOYS[*envoy]),
        Event::Issue(at) => {
            world.issue(&node(NODES[*at]));
        }
        Event::Pass(seconds) => {
            // An absence of more than 30 s is too long; who was away may have been so for 28 s.
            passes(world, kept, *seconds);
        }
        Event::Wait => passes(world, kept, 32),
        Event::Restart(is_published) => {
            world.plan();
            if *is_published {
                world.publish();
            }
            world.restart(world.restored(), 1);
        }
        Event::Mute(authority, on) => {
            let name = ca(CAS[*authority]);
            if *on {
                world.mute.insert(name)
            } else {
                world.mute.remove(&name)
            };
        }
    }
    world.advance();
}

fn passes(world: &mut World, kept: &mut Kept, seconds: u64) {
    for (at, id) in ENVOYS.iter().enumerate() {
        let envoy = world.envoy(id);
        if envoy.away_since.is_some() || envoy.is_unknown {
            kept.forget(at);
        }
    }
    world.passes(seconds);
}

/// Everybody comes back and takes everything, and there is peace.
fn rest(world: &mut World, kept: &mut Kept) {
    world.mute.clear();
    for _ in 0..12 {
        for id in ENVOYS {
            world.returns(id);
            world.envoy(id).rejects = None;
            world.advance();
            for name in NODES {
                world.issue(&node(name));
                world.advance();
                kept.check(world, &"resting");
            }
            for half in HALVES {
                world.accepts(id, half);
                world.advance();
                kept.check(world, &"resting");
            }
        }
        if world.plan.transitions.is_empty() && world.plan.publish.is_empty() {
            break;
        }
        world.passes(8);
    }
    assert_eq!(world.plan.transitions, [], "it never ends");
    assert!(world.plan.held.is_empty() && world.plan.publish.is_empty());
    for (name, identity) in &world.desired.identities {
        let wanted = &world.roots[&identity.authority].as_ref().unwrap()[0];
        assert_eq!(world.leaves[name].root, wanted.certificate);
        let roots = identity.trust.names().iter().flat_map(|ca| world.roots[ca].iter().flatten());
        let wanted = crate::snapshot::Anchors::new(roots.cloned());
        assert_eq!(world.trust[name].both, wanted, "just what is wanted, in its order");
    }
    kept.0 = wanted(world);
    kept.check(world, &"at rest");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTCTL_SOAK").is_some() {
        2_000
    } else {
        24
    }))]

    #[test]
    fn what_is_accepted_before_and_after_is_accepted_all_the_time(
        rounds in prop::collection::vec(prop::collection::vec(event(), 1..60), 1..4)
    ) {
        let mut world = World::new();
        world.connect("front-2", "front");
        // One that accepts everybody, whatever its node does.
        world.asks("green", "ca_1+ca_2+ca_3");
        world.envoys.sort_by_key(|envoy| ENVOYS.iter().position(|id| *id == envoy.id));
        // Nobody is given up but by going away.
        world.settle_within = std::time::Duration::from_secs(1_000_000);
        let mut kept = Kept(BTreeSet::new());
        rest(&mut world, &mut kept);
        for events in rounds {
            for event in &events {
                happen(&mut world, &mut kept, event);
                kept.check(&world, event);
            }
            rest(&mut world, &mut kept);
        }
        prop_assert!(world.notes.is_empty(), "{:?}", world.notes);
    }
}
