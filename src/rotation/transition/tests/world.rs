//! A mesh with an engine that carries out every plan, and Envoys that hold what they accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use indexmap::IndexMap;
use time::macros::datetime;
use tokio::time::Instant;

use super::envoys::*;
use crate::authority::Authority;
use crate::desired::mesh_file::MeshFile;
use crate::desired::{Caller, Desired, Identity, LocalAuthority, TrustSet};
use crate::identity::{AuthorityName, NodeName, TrustDomain};
use crate::rotation::transition::*;
use crate::snapshot::{Anchor, Anchors, Generation, Peers, Trust};
use crate::time::{Lifetime, OffsetDateTime, Validity, later};
use crate::x509::certificate::Certificate;
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::Subject;

const START: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);
const MESH: &str = "
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {}, ca_3: {} }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1] }
  blue:  { authority: ca_1, trust: [ca_1] }
  green: { authority: ca_2, trust: [ca_1] }
";

pub fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

pub fn ca(name: &str) -> AuthorityName {
    AuthorityName::parse(name).unwrap()
}

/// The root of that name: made once for all tests.
pub fn root(name: &str) -> &'static Certificate {
    static ROOTS: OnceLock<BTreeMap<&str, Certificate>> = OnceLock::new();
    let names = ["ca_1", "ca_2", "ca_3", "ca_1 renewed", "ca_2 renewed", "ca_3 renewed"];
    let make = |name: &'static str| {
        let wanted = LocalAuthority {
            subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
            key_algorithm: KeyAlgorithm::EcP256,
            lifetime: Lifetime::days(3650),
            parent: None,
            passphrase_file: None,
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        (name, Authority::make_root(&wanted, Duration::ZERO, &key, START).unwrap())
    };
    &ROOTS.get_or_init(|| names.into_iter().map(make).collect())[name]
}

fn name_of(root: &Certificate) -> String {
    root.common_name().unwrap().to_owned()
}

pub struct Leaf {
    pub root: Certificate,
    pub authority: AuthorityName,
    pub generation: Generation,
    pub validity: Validity,
}

pub struct World {
    pub now: OffsetDateTime,
    pub instant: Instant,
    pub desired: Desired,
    /// The roots of each authority; none where they are unknown.
    pub roots: IndexMap<AuthorityName, Option<Vec<Anchor>>>,
    /// Authorities that cannot sign.
    pub mute: BTreeSet<AuthorityName>,
    pub leaves: BTreeMap<NodeName, Leaf>,
    pub trust: BTreeMap<NodeName, Trust>,
    /// What is published under the names of authorities, and since when.
    pub by_name: (IndexMap<AuthorityName, Anchors>, Generation),
    pub generation: Generation,
    pub envoys: Vec<Envoy>,
    pub silent: BTreeSet<NodeName>,
    /// Those whose trust and certificate lie in files too.
    pub mixed: BTreeSet<NodeName>,
    pub elsewhere: BTreeSet<NodeName>,
    /// Whether files alone are what authorities are known by.
    pub are_names_silent: bool,
    pub transitions: Transitions,
    pub saved: Vec<u8>,
    pub settle_within: Duration,
    pub soak: Duration,
    pub notes: Vec<String>,
    pub plan: Plan,
}

impl World {
    /// front, blue and green with an Envoy each, at rest; green is signed by ca_2, and front does
    /// not trust it.
    pub fn new() -> Self {
        let desired = MeshFile::read(Path::new("mesh.yaml"), MESH.as_bytes()).unwrap().desired;
        let own = |name: &str| Some(vec![anchor(&desired, root(name))]);
        let roots = ["ca_1", "ca_2", "ca_3"].into_iter().map(|name| (ca(name), own(name)));
        let mut world = Self {
            now: START,
            instant: Instant::now(),
            roots: roots.collect(),
            mute: BTreeSet::new(),
            leaves: BTreeMap::new(),
            trust: BTreeMap::new(),
            by_name: (IndexMap::new(), 0),
            generation: 0,
            envoys: Vec::new(),
            silent: BTreeSet::new(),
            mixed: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            are_names_silent: false,
            transitions: Transitions::new(),
            saved: Vec::new(),
            settle_within: Duration::from_secs(3600),
            soak: Duration::from_secs(120),
            notes: Vec::new(),
            plan: Plan::default(),
            desired,
        };
        world.run();
        for name in ["front", "blue", "green"] {
            world.connect(name, name);
        }
        world.settle();
        assert_eq!(world.plan.transitions, []);
        world
    }

    // What people do.

    pub fn identity(&mut self, name: &str) -> &mut Identity {
        &mut self.desired.identities[&node(name)]
    }

    pub fn sign(&mut self, name: &str, authority: &str) {
        self.identity(name).authority = ca(authority);
    }

    pub fn set(&self, names: &[&str]) -> TrustSet {
        TrustSet::of(self.desired.authorities.keys(), |name| names.contains(&name.as_str()))
            .unwrap()
    }

    pub fn trusts(&mut self, name: &str, authorities: &[&str]) {
        let set = self.set(authorities);
        let identity = self.identity(name);
        identity.trust = set.clone();
        identity.listener.trust = set;
    }

    pub fn called_by(&mut self, name: &str, callers: &[&str]) {
        let callers = callers.iter().map(|caller| Caller::Node(node(caller))).collect();
        self.identity(name).listener.callers = Some(callers);
    }

    pub fn has_roots(&mut self, authority: &str, roots: &[&str]) {
        let anchors = roots.iter().map(|name| anchor(&self.desired, root(name))).collect();
        self.roots.insert(ca(authority), Some(anchors));
    }

    pub fn passes(&mut self, seconds: u64) {
        self.now = later(self.now, Duration::from_secs(seconds));
        self.instant += Duration::from_secs(seconds);
    }

    // What the engine does.

    /// Plans, keeps the record, and publishes anchors.
    pub fn advance(&mut self) {
        self.plan();
        self.publish();
    }

    pub fn plan(&mut self) {
        let standings = self.standings();
        let look = |name: &NodeName| NodeFacts {
            showing: match (self.leaves.get(name), self.elsewhere.contains(name)) {
                (_, true) => Showing::Elsewhere,
                (None, _) => Showing::Nothing,
                (Some(leaf), _) => Showing::Leaf {
                    root: &leaf.root,
                    authority: self.roots.get_key_value(&leaf.authority).map(|(name, _)| name),
                    generation: leaf.generation,
                    validity: leaf.validity,
                },
            },
            trust: self.trust.get(name),
            audience: match self.silent.contains(name) || self.elsewhere.contains(name) {
                true => Audience::Silent,
                false if self.mixed.contains(name) => Audience::Mixed,
                false => Audience::Answers,
            },
        };
        let mut transitions = std::mem::take(&mut self.transitions);
        self.plan = transitions.advance(
            self.now,
            &Facts {
                desired: &self.desired,
                roots: &self.roots,
                node: &look,
                published: Published {
                    authorities: &self.by_name.0,
                    generation: self.by_name.1,
                    audience: match self.are_names_silent {
                        true => Audience::Silent,
                        false => Audience::Answers,
                    },
                },
                can_sign: &|name| self.can_sign(name),
                standings: &standings,
                instant: self.instant,
                settle_within: self.settle_within,
                soak: self.soak,
            },
        );
        self.transitions = transitions;
        self.notes.extend(self.plan.notes.iter().map(|note| note.text.clone()));
        let record = self.transitions.to_json();
        assert!(self.plan.changed || record == self.saved, "a change that is not said to be one");
        self.saved = record;
    }

    pub fn publish(&mut self) {
        let served = self.transitions.served_by_name();
        let served: IndexMap<_, _> = served.map(|(name, it)| (name.clone(), it.clone())).collect();
        if served != self.by_name.0 {
            self.generation += 1;
            self.by_name = (served, self.generation);
        }
        for name in &self.plan.publish {
            self.generation += 1;
            let served = self.transitions.served(name).unwrap();
            let peers = |anchors: &Anchors| Peers { anchors: anchors.clone(), expected: None };
            let backends = self.desired.identities[name].backends.as_ref();
            let backend = |name: &NodeName| (name.clone(), peers(served.backend(name).unwrap()));
            let trust = Trust {
                both: served.both().clone(),
                listener: peers(served.listener()),
                backends: backends.map(|backends| backends.keys().map(backend).collect()),
                generation: self.generation,
            };
            self.trust.insert(name.clone(), trust);
        }
    }

    fn can_sign(&self, name: &AuthorityName) -> bool {
        !self.mute.contains(name) && self.roots.get(name).is_some_and(Option::is_some)
    }

    /// Signs one node as the plan has it. Whether it is signed anew.
    pub fn issue(&mut self, name: &NodeName) -> bool {
        let Some(identity) = self.desired.identities.get(name) else { return false };
        let signer = match self.plan.held.get(name) {
            Some(Held::Kept) => return false,
            Some(Held::By(authority)) => authority,
            None => &identity.authority,
        };
        if !self.can_sign(signer) || self.elsewhere.contains(name) {
            return false;
        }
        let root = self.roots[signer].as_ref().unwrap()[0].certificate.clone();
        let leaf = self.leaves.get(name);
        let is_right = |leaf: &Leaf| leaf.authority == *signer && leaf.root == root;
        if leaf.is_some_and(is_right) {
            return false;
        }
        self.generation += 1;
        let validity = Validity { not_before: self.now, not_after: later(self.now, DAY * 3650) };
        let (authority, generation) = (signer.clone(), self.generation);
        self.leaves.insert(name.clone(), Leaf { root, authority, generation, validity });
        true
    }

    /// Plans and carries out, until there is nothing to be done.
    pub fn run(&mut self) {
        for _ in 0..20 {
            let known = self.by_name.1;
            self.advance();
            let names: Vec<_> = self.desired.identities.keys().cloned().collect();
            let mut is_done = self.plan.publish.is_empty() && self.by_name.1 == known;
            for name in names {
                if self.issue(&name) {
                    is_done = false;
                    self.advance();
                }
            }
            if is_done {
                return;
            }
        }
        panic!("it goes on and on: {:#?}", self.plan);
    }

    /// Waits for the moment that the plan names, and no longer.
    pub fn waits(&mut self) {
        let next = self.plan.next.expect("nothing to wait for");
        assert!(next > self.now, "a busy loop");
        self.passes(u64::try_from((next - self.now).whole_seconds()).unwrap());
        self.run();
    }

    /// Another process takes the place of this one, after so many seconds.
    pub fn restart(&mut self, transitions: Transitions, seconds: u64) {
        self.passes(seconds);
        self.transitions = transitions;
        (self.generation, self.trust) = (0, BTreeMap::new());
        self.by_name = (IndexMap::new(), 0);
        for leaf in self.leaves.values_mut() {
            self.generation += 1;
            leaf.generation = self.generation;
        }
        for envoy in &mut self.envoys {
            (envoy.is_unknown, envoy.away_since) = (true, None);
        }
    }

    pub fn restored(&self) -> Transitions {
        Transitions::from_json(&self.saved).unwrap()
    }

    // What can be seen.

    /// The roots that a node is served, by name.
    pub fn roots_of(&self, name: &str) -> Vec<String> {
        let served = self.transitions.served(&node(name)).unwrap();
        served.both().certificates().map(name_of).collect()
    }

    /// The roots that are served under the name of an authority, by name.
    pub fn roots_by_name(&self, authority: &str) -> Vec<String> {
        let mut served = self.transitions.served_by_name();
        let found = served.find(|(name, _)| name.as_str() == authority);
        found.into_iter().flat_map(|(_, anchors)| anchors.certificates()).map(name_of).collect()
    }

    pub fn leaf_of(&self, name: &str) -> String {
        name_of(&self.leaves[&node(name)].root)
    }

    /// Whether every Envoy of the one that holds anything accepts what every Envoy of the other shows.
    pub fn verifies(&self, one: &str, other: &str) -> bool {
        let of = |name| self.envoys.iter().filter(move |envoy| envoy.node == node(name));
        of(one).all(|one| of(other).all(|other| holds(one, "both", other)))
    }

    /// The transitions in short: `front roots spread`, `blue ca_1 > ca_2 drain`.
    pub fn seen(&self) -> Vec<String> {
        let line = |transition: &Transition| {
            let what = match &transition.what {
                What::Authority { from, to } => format!("{from} > {to}"),
                What::Roots { added, kept } if kept.is_empty() => format!("+{}", added.join("+")),
                What::Roots { added, kept } => format!("+{} -{}", added.join("+"), kept.join("-")),
            };
            format!("{} {what} {:?}", transition.of, transition.phase).to_lowercase()
        };
        self.plan.transitions.iter().map(line).collect()
    }

    /// Who is waited for, in words.
    pub fn waited(&self) -> Vec<String> {
        let waiting = self.plan.transitions.iter().flat_map(|transition| &transition.waiting);
        waiting.map(ToString::to_string).collect()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn anchor(desired: &Desired, certificate: &Certificate) -> Anchor {
    let trust_domain: &TrustDomain = &desired.trust_domain;
    Anchor { trust_domain: trust_domain.clone(), certificate: certificate.clone() }
}
