//! An authority of two CAs, in two regions: one signs in the other's place, and both are trusted
//! beforehand.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{pem, served, start};
use crate::fake::{Fake, Fault, Lie, Spec, Times};
use crate::support::agent::Agent;
use crate::support::wait;
use crate::world::{acm_pca, each, mesh};

/// Two regions with a CA each, and an agent.
struct Regions {
    first: Fake,
    second: Fake,
    cas: [String; 2],
    agent: Agent,
}

const NODES: &str = "front: { authority: pca }";

impl Regions {
    fn start(told: impl FnOnce(&Fake, &Fake)) -> Self {
        let (first, second) = (Fake::in_region("us-east-2"), Fake::in_region("us-west-2"));
        let cas = [first.create(Spec::root("east")), second.create(Spec::root("west"))];
        told(&first, &second);
        let options = [acm_pca(&first, &cas[0], ""), acm_pca(&second, &cas[1], "")].join(", ");
        let agent = start(&mesh(&format!("pca: {{ acmPca: [{options}] }}"), NODES));
        Self { first, second, cas, agent }
    }

    fn issued(&self) -> (usize, usize) {
        (self.first.issued().len(), self.second.issued().len())
    }

    /// Adds a node; how long it takes until it has its certificate.
    fn add(&self, name: &str) -> Duration {
        let begun = Instant::now();
        self.agent.edit("front:", &format!("{name}: {{ authority: pca }}, front:"));
        wait::until(&format!("{name} has its certificate"), || {
            let status = self.agent.status_json();
            let nodes = status["nodes"].as_array().unwrap();
            nodes.iter().any(|one| one["name"] == name && one["state"] == "fresh").then_some(())
        });
        begun.elapsed()
    }

    /// Both roots are in the bundle.
    #[track_caller]
    fn both_are_trusted(&self) {
        let bundle = served(&self.agent, "pca");
        for (fake, ca) in [&self.first, &self.second].into_iter().zip(&self.cas) {
            assert!(bundle.contains(&pem(&fake.ca_chain(ca)[0])), "{bundle}");
        }
    }
}

#[test]
fn the_first_signs_and_both_are_trusted() {
    let regions = Regions::start(|_, _| ());
    regions.agent.settled();
    assert_eq!(regions.issued(), (1, 0));
    regions.both_are_trusted();
}

#[test]
fn a_node_that_is_added_while_the_first_region_is_down_does_not_wait_for_it() {
    let faults =
        [None, Some(Fault::Hang), Some(Fault::invalid_state()), Some(Fault::unavailable())];
    each(faults, |fault| {
        let regions = Regions::start(|_, _| ());
        regions.agent.settled();
        match &fault {
            None => regions.first.stop(),
            Some(fault) => {
                let all = ["IssueCertificate", "GetCertificate", "DescribeCertificateAuthority"];
                for operation in all {
                    regions.first.misbehave(operation, Times::Forever, fault.clone());
                }
            }
        }
        let took = regions.add("late");
        println!("{fault:?}: the new node had its certificate after {took:?}");
        assert!(took < Duration::from_secs(20), "{fault:?}: {took:?}");
        assert_eq!(regions.issued(), (1, 1), "{fault:?}");
        regions.both_are_trusted();
        let log = regions.agent.logs("the CA is passed over where another can sign");
        assert!(log.contains(&regions.cas[0]), "{log}");
    });
}

#[test]
fn a_first_region_that_signs_all_wrong_is_left_for_the_second() {
    let lie = Fault::Lie(Lie::DroppedUsage);
    let regions =
        Regions::start(|first, _| first.misbehave("IssueCertificate", Times::Forever, lie));
    let nodes: String = (0..30).map(|n| format!("node-{n}: {{ authority: pca }}, ")).collect();
    regions.agent.edit("front:", &format!("{nodes} front:"));
    let status = regions.agent.until("the second signs", |status| {
        status["authorities"][0]["privateCas"][1]["signs"] == true && regions.issued().1 > 0
    });
    let why = status["authorities"][0]["privateCas"][0]["down"]["why"].as_str().unwrap();
    assert!(why.contains("certificates that it signed were refused"), "{status:#}");
    let first = regions.issued().0;
    assert!((5..30).contains(&first), "{first} were paid for in vain");
}

#[test]
fn what_signs_in_its_place_is_told_and_its_leaves_stay_when_the_first_is_back() {
    let mut regions = Regions::start(|_, _| ());
    regions.agent.settled();
    regions.first.stop();
    regions.add("late");
    let status = regions.agent.status_json();
    let [east, west] = [0, 1].map(|place| &status["authorities"][0]["privateCas"][place]);
    assert_eq!((&east["signs"], &west["signs"]), (&false.into(), &true.into()), "{status:#}");
    assert!(east["down"]["why"].as_str().unwrap().contains("IssueCertificate"), "{status:#}");
    assert!(east["down"]["since"].as_str().unwrap().contains('T'), "{status:#}");
    assert!(west["down"].is_null(), "{status:#}");
    let table = regions.agent.status("").done();
    let row = table.stdout.lines().find(|line| line.contains(&regions.cas[0])).unwrap();
    assert!(row.contains("passed over since 20"), "{row}");
    let late = regions.agent.serial("late");

    regions.first.restart();
    regions.agent.until("the first is back", |status| {
        status["authorities"][0]["privateCas"][0]["signs"] == true
    });
    regions.agent.logs("the CA is used again");
    regions.add("later");
    assert_eq!(regions.issued(), (2, 1), "the first signs again");
    assert_eq!(regions.agent.serial("late"), late, "what the second signed is as good");
    regions.both_are_trusted();

    regions.agent.kill();
    regions.agent = regions.agent.again("");
    regions.agent.settled();
    assert_eq!(regions.agent.serial("late"), late);
    assert_eq!(regions.issued(), (2, 1), "nor does a restart buy anything");
}

#[test]
fn started_while_the_first_region_is_down_nobody_waits_for_it_long() {
    let begun = Instant::now();
    let regions = Regions::start(|first, _| first.stop());
    regions.agent.settled();
    println!("the first node had its certificate {:?} after the start", begun.elapsed());
    assert_eq!(regions.issued(), (0, 1));
    regions.first.restart();
    wait::patiently("its root is trusted too", || {
        let bundle = served(&regions.agent, "pca");
        bundle.contains(&pem(&regions.first.ca_chain(&regions.cas[0])[0])).then_some(())
    });
    assert_eq!(regions.issued(), (0, 1));
}

#[test]
fn when_no_region_signs_that_is_said_of_both_and_what_there_is_stays() {
    let regions = Regions::start(|_, _| ());
    regions.agent.settled();
    let before = served(&regions.agent, "front");
    for fake in [&regions.first, &regions.second] {
        fake.misbehave("IssueCertificate", Times::Forever, Fault::limit_exceeded());
    }
    regions.agent.renew();
    let status = regions.agent.until("it is told", |status| {
        status.to_string().matches("waiting will not help").count() >= 2
    });
    assert!(regions.cas.iter().all(|ca| status.to_string().contains(ca)), "{status:#}");
    assert_eq!(served(&regions.agent, "front"), before);
    assert_eq!(regions.issued(), (1, 0));
}
