//! An authority of two CAs, in two regions: one signs in the other's place, and both are trusted
//! beforehand.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{pem, served, start};
use crate::fake::{Fake, Fault, Spec, Times};
use crate::support::agent::Agent;
use crate::support::wait;
use crate::world::{acm_pca, mesh};

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
    for fault in [None, Some(Fault::Hang), Some(Fault::invalid_state()), Some(Fault::unavailable())]
    {
        let regions = Regions::start(|_, _| ());
        regions.agent.settled();
        match &fault {
            None => regions.first.stop(),
            Some(fault) => {
                for operation in
                    ["IssueCertificate", "GetCertificate", "DescribeCertificateAuthority"]
                {
                    regions.first.misbehave(operation, Times::Forever, fault.clone());
                }
            }
        }
        let took = regions.add("late");
        println!("{fault:?}: the new node had its certificate after {took:?}");
        assert_eq!(regions.issued(), (1, 1), "{fault:?}");
        regions.both_are_trusted();
        let log = regions.agent.logs("the CA is passed over where another can sign");
        assert!(log.contains(&regions.cas[0]), "{log}");
    }
}
