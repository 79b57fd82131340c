//! Many nodes and many callers: what is asked for is found without asking everybody.

use std::cell::Cell;
use std::path::PathBuf;

use super::*;
use crate::attest::cgroup::Cgroup;
use crate::attest::index::Index;
use crate::attest::process::Facts;

const MANY: u32 = 5_000;

fn facts(uid: u32) -> Facts {
    let executable = Some(PathBuf::from("/usr/local/bin/envoy"));
    Facts { uid, gid: 7, executable, cgroup: Cgroup::default(), as_agent: false }
}

/// An index of as many nodes as there are grants.
fn index(grants: impl Iterator<Item = Vec<Grant>>) -> Index {
    let mesh = published(MESH);
    let model = Identity::clone(&mesh.snapshot.nodes()[0].identity);
    let nodes = grants.enumerate().map(|(number, attest)| {
        let name = node_name(&format!("node-{number}"));
        Arc::new(Identity { name, attest, ..model.clone() })
    });
    Index::new(1, mesh.snapshot.mesh(), nodes.collect())
}

fn no_hash() -> Option<String> {
    panic!("nobody asks for a hash");
}

#[test]
fn each_of_thousands_gets_its_own() {
    let index = index((0..MANY).map(|uid| vec![process(|selectors| selectors.uid = Some(uid))]));
    for uid in 0..MANY {
        assert_eq!(names(&index.for_process(&facts(uid), no_hash)), [format!("node-{uid}")]);
    }
    assert!(index.for_process(&facts(MANY), no_hash).is_empty());
}

#[test]
fn callers_share_what_they_may_all_see() {
    let of_container = |number: u32| {
        let container = Some(format!("{number:064x}"));
        Facts { cgroup: Cgroup { pod: None, container }, ..facts(1) }
    };
    for grant in [Grant::Any, process(|selectors| selectors.uid = Some(1))] {
        let is_any = grant == Grant::Any;
        let index = index((0..MANY).map(|_| vec![grant.clone()]));
        // Were it made anew for each, this would be a million names.
        let views: Vec<_> =
            (0..200).map(|number| index.for_process(&of_container(number), no_hash)).collect();
        assert!(views.iter().all(|view| view.nodes().count() == 5_000));
        assert_eq!(index.different_views(), usize::from(!is_any));
    }
}

#[test]
fn a_hash_is_asked_for_only_where_all_else_holds() {
    let hash = "5".repeat(64);
    let with_uid = |uid| {
        vec![process(|selectors| {
            selectors.uid = Some(uid);
            selectors.sha256 = Some("5".repeat(64));
        })]
    };
    let index = index([with_uid(1), with_uid(2)].into_iter());
    assert!(index.for_process(&facts(3), no_hash).is_empty());
    let asked = Cell::new(0);
    let hashing = |hash: Option<String>| {
        asked.set(asked.get() + 1);
        hash
    };
    assert_eq!(names(&index.for_process(&facts(1), || hashing(Some(hash.clone())))), ["node-0"]);
    // One that is alike in all else, and runs another program under that path.
    assert!(index.for_process(&facts(1), || hashing(Some("6".repeat(64)))).is_empty());
    assert!(index.for_process(&facts(1), || hashing(None)).is_empty());
    assert_eq!(asked.get(), 3);
}

#[test]
fn every_selector_must_hold_wherever_a_grant_is_filed() {
    let pod = "2c48913c-b29f-11e7-9350-020968147796".to_owned();
    let whole = Facts {
        cgroup: Cgroup { pod: Some(pod.clone()), container: Some("c".repeat(64)) },
        ..facts(1)
    };
    let all = Selectors {
        uid: Some(1),
        gid: Some(7),
        executable: whole.executable.clone(),
        sha256: Some("5".repeat(64)),
        pod: Some(pod),
        container: Some("c".repeat(64)),
    };
    let hash = || Some("5".repeat(64));
    // Each combination fits who has it all, and nobody who differs in one of its selectors.
    for chosen in 1..64_u32 {
        let keep = |bit: u32| chosen & (1 << bit) != 0;
        let selectors = Selectors {
            uid: all.uid.filter(|_| keep(0)),
            gid: all.gid.filter(|_| keep(1)),
            executable: all.executable.clone().filter(|_| keep(2)),
            sha256: all.sha256.clone().filter(|_| keep(3)),
            pod: all.pod.clone().filter(|_| keep(4)),
            container: all.container.clone().filter(|_| keep(5)),
        };
        let index = index([vec![Grant::Process(selectors)]].into_iter());
        assert_eq!(index.for_process(&whole, hash).nodes().count(), 1, "{chosen:06b}");
        let others = [
            Facts { uid: 2, ..whole.clone() },
            Facts { gid: 8, ..whole.clone() },
            Facts { executable: None, ..whole.clone() },
            whole.clone(),
            Facts { cgroup: Cgroup { pod: None, ..whole.cgroup.clone() }, ..whole.clone() },
            Facts { cgroup: Cgroup { container: None, ..whole.cgroup.clone() }, ..whole.clone() },
        ];
        for (bit, other) in (0..).zip(&others) {
            let hash = || Some(if bit == 3 { "6" } else { "5" }.repeat(64));
            let fits = !index.for_process(other, hash).is_empty();
            assert_eq!(fits, !keep(bit), "{chosen:06b} without {bit}");
        }
    }
    let empty = index([vec![process(|_| ())]].into_iter());
    assert!(empty.for_process(&whole, hash).is_empty(), "selectors that say nothing fit nobody");
}

#[test]
fn the_more_particular_grant_makes_a_node_ones_own() {
    let say: [fn(&mut Selectors); 6] = [
        |selectors| selectors.gid = Some(7),
        |selectors| selectors.uid = Some(1),
        |selectors| selectors.executable = Some("/usr/local/bin/envoy".into()),
        |selectors| selectors.sha256 = Some("5".repeat(64)),
        |selectors| selectors.pod = Some("p".to_owned()),
        |selectors| selectors.container = Some("c".to_owned()),
    ];
    let cgroup = Cgroup { pod: Some("p".to_owned()), container: Some("c".to_owned()) };
    let caller = Facts { cgroup, as_agent: true, ..facts(1) };
    for more in 0..say.len() {
        // All the less particular ones together, against one that is more particular.
        let lesser = process(|selectors| say[..more].iter().for_each(|say| say(selectors)));
        let lesser = if more == 0 { vec![] } else { vec![lesser] };
        let index = index([vec![Grant::Any], lesser, vec![process(say[more])]].into_iter());
        let view = index.for_process(&caller, || Some("5".repeat(64)));
        assert_eq!(names(&view), ["node-2", "node-1", "node-0"], "selector {more}");
    }
}

#[test]
fn a_view_follows_the_mesh() {
    let (mut published, attestor) = mesh(&[("front", vec![Grant::Any])]);
    let caller = attestor.remote("127.0.0.1:1".parse().unwrap());
    assert_eq!(names(&caller.view()), ["front"]);
    grant(&published, &[("blue", vec![Grant::Any]), ("front", vec![])]);
    assert_eq!(names(&caller.view()), ["blue"]);
    published.edit(&MESH.replace("blue", "red"));
    assert!(caller.view().is_empty());
}

#[test]
fn a_node_that_comes_after_the_mesh_that_names_it_is_seen() {
    let (published, attestor) = mesh(&[("front", vec![Grant::Any])]);
    let front = published.snapshot.node(&node_name("front")).unwrap();
    let nodes = published.snapshot.mesh().nodes.clone();
    let caller = attestor.remote("127.0.0.1:1".parse().unwrap());
    set_nodes(&published, Vec::new());
    set_nodes(&published, nodes);
    assert!(caller.view().is_empty());
    published.publisher.set_node(Node {
        identity: Arc::clone(&front.identity),
        leaf: front.leaf.clone(),
        trust: Arc::clone(&front.trust),
    });
    assert_eq!(names(&caller.view()), ["front"]);
}

#[test]
fn a_node_that_is_granted_twice_is_there_once() {
    let uid = process(|selectors| selectors.uid = Some(1));
    let index = index([vec![Grant::Any, Grant::Any], vec![Grant::Any, uid]].into_iter());
    assert_eq!(names(&index.for_anybody()), ["node-0", "node-1"]);
    assert_eq!(names(&index.for_process(&facts(1), no_hash)), ["node-1", "node-0"]);
}
