//! The grants of a mesh, filed by what they ask for, so that a caller meets only those that it may
//! fit.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::desired::{Grant, Identity, Selectors};
use crate::snapshot::{Granted, Mesh, View};

use super::grants::{self, ANYBODY, AS_AGENT, Mismatch};
use super::process::Facts;

/// How many kinds of callers are remembered with what they may see.
const MAX_KINDS: usize = 8192;
/// How many nodes are named to somebody who may have none.
const NEAREST: usize = 3;

/// A grant: the node's place in the mesh, and which of its grants.
type Filed = (usize, usize);

/// What a mesh grants, as of one moment.
#[derive(Debug)]
pub(super) struct Index {
    /// Tells it from every other one.
    pub(super) number: u64,
    /// What it was made of.
    pub(super) mesh: Arc<Mesh>,
    nodes: Vec<Arc<Identity>>,
    as_agent: Vec<usize>,
    by_container: HashMap<String, Vec<Filed>>,
    by_executable: HashMap<PathBuf, Vec<Filed>>,
    by_gid: HashMap<u32, Vec<Filed>>,
    by_pod: HashMap<String, Vec<Filed>>,
    /// Those that say nothing else.
    by_sha256: Vec<Filed>,
    by_uid: HashMap<u32, Vec<Filed>>,
    anybody: Vec<usize>,
    /// What anybody may see.
    for_anybody: View,
    views: Mutex<Views>,
}

/// Views that were made. Equal ones are one: there may be thousands of callers, each of whom may see
/// thousands of nodes.
#[derive(Debug, Default)]
struct Views {
    by_kind: HashMap<Facts, View>,
    by_content: HashMap<Vec<Fitting>, View>,
}

/// A node by its place in the mesh, and how particularly it is granted.
type Fitting = (usize, u32);

impl Index {
    /// Files the grants of `nodes`, which are in mesh order.
    pub(super) fn new(number: u64, mesh: Arc<Mesh>, nodes: Vec<Arc<Identity>>) -> Self {
        let mut index = Self {
            number,
            mesh,
            nodes: Vec::new(),
            as_agent: Vec::new(),
            by_container: HashMap::new(),
            by_executable: HashMap::new(),
            by_gid: HashMap::new(),
            by_pod: HashMap::new(),
            by_sha256: Vec::new(),
            by_uid: HashMap::new(),
            anybody: Vec::new(),
            for_anybody: View::default(),
            views: Mutex::default(),
        };
        for (at, identity) in nodes.iter().enumerate() {
            if identity.attest.is_empty() {
                index.as_agent.push(at);
            }
            for (number, grant) in identity.attest.iter().enumerate() {
                match grant {
                    Grant::Any => index.anybody.push(at),
                    Grant::Process(selectors) => index.file(selectors, (at, number)),
                }
            }
        }
        index.nodes = nodes;
        let mut anybody: Vec<_> = index.anybody().collect();
        anybody.dedup();
        index.for_anybody = index.view(anybody);
        index
    }

    /// Files a grant once, under the rarest thing that it asks for and that costs nothing to know.
    fn file(&mut self, selectors: &Selectors, filed: Filed) {
        let Selectors { uid, gid, executable, sha256, pod, container } = selectors;
        if let Some(container) = container {
            add(&mut self.by_container, container.clone(), filed);
        } else if let Some(pod) = pod {
            add(&mut self.by_pod, pod.clone(), filed);
        } else if let Some(executable) = executable {
            add(&mut self.by_executable, executable.clone(), filed);
        } else if let Some(uid) = uid {
            add(&mut self.by_uid, *uid, filed);
        } else if let Some(gid) = gid {
            add(&mut self.by_gid, *gid, filed);
        } else if sha256.is_some() {
            self.by_sha256.push(filed);
        }
    }

    /// Whether there is anything to be had at all.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What somebody of whom nothing is known may see.
    pub(super) fn for_anybody(&self) -> View {
        self.for_anybody.clone()
    }

    /// What a process may see. `sha256` is asked only if something hangs on it.
    pub(super) fn for_process(&self, facts: &Facts, sha256: impl Fn() -> Option<String>) -> View {
        let views = || self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views().by_kind.get(facts) {
            return view.clone();
        }
        let mut fitting = Vec::new();
        if facts.as_agent {
            fitting.extend(self.as_agent.iter().map(|at| (*at, AS_AGENT)));
        }
        let mut hashed = false;
        for (node, grant) in self.filed_for(facts) {
            let grant = &self.nodes[node].attest[grant];
            let Grant::Process(selectors) = grant else { continue };
            let sha256 = || {
                hashed = true;
                sha256()
            };
            if grants::fits(selectors, facts, sha256) {
                fitting.push((node, grants::specificity(grant)));
            }
        }
        let view = match fitting.is_empty() {
            true => self.for_anybody(),
            false => self.shared_view(fitting),
        };
        // Those who are alike in everything else may run different programs under one path.
        if !hashed {
            let kinds = &mut views().by_kind;
            if kinds.len() == MAX_KINDS {
                kinds.clear();
            }
            kinds.insert(facts.clone(), view.clone());
        }
        view
    }

    fn shared_view(&self, mut fitting: Vec<Fitting>) -> View {
        fitting.extend(self.anybody());
        fitting.sort_unstable_by_key(|(at, specificity)| (*at, std::cmp::Reverse(*specificity)));
        fitting.dedup_by_key(|(at, _)| *at);
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.by_content.get(&fitting) {
            return view.clone();
        }
        if views.by_content.len() == MAX_KINDS {
            views.by_content.clear();
        }
        let view = self.view(fitting.clone());
        views.by_content.insert(fitting, view.clone());
        view
    }

    /// What would have fitted a process that nothing fits, nearest first, in words.
    pub(super) fn nearest(&self, facts: &Facts, agent_uid: u32) -> String {
        let mut nearest: Vec<(usize, String)> = Vec::new();
        for identity in &self.nodes {
            let mismatches = identity.attest.iter().filter_map(|grant| match grant {
                Grant::Any => None,
                Grant::Process(selectors) => Some(grants::mismatch(selectors, facts)),
            });
            let closest = mismatches.min_by_key(|mismatch| mismatch.wanted.len());
            let (missing, words) = match closest {
                Some(Mismatch { wanted, found }) => (
                    wanted.len(),
                    format!("wants {}; this is {}", wanted.join(" and "), found.join(" and ")),
                ),
                None => (
                    1,
                    format!(
                        "has no attest: and is kept for uid {agent_uid} in the agent's own mount \
                         namespace"
                    ),
                ),
            };
            nearest.push((missing, format!("{} {words}", identity.name.as_str())));
        }
        nearest.sort_by_key(|(missing, _)| *missing);
        let words: Vec<_> = nearest.into_iter().take(NEAREST).map(|(_, words)| words).collect();
        words.join(". ")
    }

    fn anybody(&self) -> impl Iterator<Item = Fitting> + use<'_> {
        self.anybody.iter().map(|at| (*at, ANYBODY))
    }

    fn filed_for<'a>(&'a self, facts: &Facts) -> impl Iterator<Item = Filed> + use<'a> {
        let lists = [
            facts.cgroup.container.as_ref().and_then(|container| self.by_container.get(container)),
            facts.cgroup.pod.as_ref().and_then(|pod| self.by_pod.get(pod)),
            facts.executable.as_ref().and_then(|executable| self.by_executable.get(executable)),
            self.by_uid.get(&facts.uid),
            self.by_gid.get(&facts.gid),
            Some(&self.by_sha256),
        ];
        lists.into_iter().flatten().flatten().copied()
    }

    fn view(&self, fitting: Vec<Fitting>) -> View {
        let granted = fitting
            .into_iter()
            .map(|(at, specificity)| Granted { node: self.nodes[at].name.clone(), specificity });
        View::new(granted.collect())
    }

    /// How many different views there are beside the one for anybody.
    #[cfg(test)]
    pub(super) fn different_views(&self) -> usize {
        self.views.lock().unwrap().by_content.len()
    }
}

fn add<K: Eq + Hash>(lists: &mut HashMap<K, Vec<Filed>>, key: K, filed: Filed) {
    lists.entry(key).or_default().push(filed);
}
