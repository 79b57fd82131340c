//! `certctl agent` with an authority of AWS Private CA.

use serde_json::Value;

use crate::fake::{Fake, Fault, Lie, Rotation, Spec, Times};
use crate::support::agent::{Agent, prepare};
use crate::support::sds_client::{Connection, Node};
use crate::support::wait;
use crate::world::{CREDENTIALS, acm_pca, mesh};

/// Everybody may ask for everything.
const ANYBODY: &str = "defaults: { attest: any }\n";

/// An agent, and the fake that it asks.
struct Served {
    fake: Fake,
    ca: String,
    agent: Agent,
}

impl Served {
    fn start() -> Self {
        Self::after(|_| ())
    }

    /// After the fake has been told something.
    fn after(told: impl FnOnce(&Fake)) -> Self {
        let fake = Fake::start();
        let ca = fake.create(Spec::root("pca"));
        told(&fake);
        let authority = format!("pca: {{ acmPca: {} }}", acm_pca(&fake, &ca, ""));
        let agent = start(&mesh(&authority, "front: { authority: pca }"));
        Self { fake, ca, agent }
    }

    fn counts(&self) -> (usize, usize) {
        (self.fake.calls("IssueCertificate").len(), self.fake.issued().len())
    }

    /// The serial number of what was issued last.
    fn last(&self) -> String {
        format!("{:X}", self.fake.issued().last().expect("one").serial)
    }

    /// Ends the agent with SIGKILL, and starts another.
    fn restart(&mut self) {
        self.agent.kill();
        self.agent = self.agent.again("");
    }
}

pub fn start(mesh: &str) -> Agent {
    let place = prepare(&format!("{mesh}{ANYBODY}"));
    std::fs::write(place.path().join(".env"), CREDENTIALS).unwrap();
    Agent::start_in(place, "")
}

/// The PEM of a secret, as the agent serves it.
pub fn served(agent: &Agent, name: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Connection::open(&agent.socket()).await.unwrap();
        let mut stream = connection.subscribe(&Node::bare("test"), &[name], "").await.unwrap();
        let response = stream.next().await.unwrap();
        response.chain().or_else(|| response.roots()).unwrap()
    })
}

fn node<'a>(status: &'a Value, name: &str) -> &'a Value {
    let nodes = status["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).unwrap()
}

#[test]
fn a_node_has_a_certificate_for_one_issue_and_few_gets() {
    let served = Served::start();
    served.agent.settled();
    assert_eq!(served.counts(), (1, 1));
    assert!(served.fake.calls("GetCertificate").len() <= 3);
    assert_eq!(served.agent.serial("front"), served.last());
    let status = served.agent.status_json();
    let ca = &status["authorities"][0]["privateCas"][0];
    assert_eq!((&ca["signs"], &ca["issued"]), (&true.into(), &1.into()), "{status:#}");
    served.agent.status("").done().tells("CA AT AWS").tells(&served.ca);
}

#[test]
fn killed_while_aws_makes_a_certificate_the_next_agent_fetches_it() {
    let mut served =
        Served::after(|fake| fake.misbehave("GetCertificate", Times::Forever, Fault::pending()));
    for _ in 0..3 {
        let gets = served.fake.calls("GetCertificate").len();
        wait::until("the agent looks", || {
            (served.fake.calls("GetCertificate").len() > gets).then_some(())
        });
        served.restart();
    }
    served.fake.behave();
    served.agent.settled();
    assert_eq!(served.counts(), (1, 1), "it is paid for once");
    assert_eq!(served.agent.serial("front"), served.last());
    served.restart();
    served.agent.settled();
    assert_eq!(served.counts(), (1, 1));
}

#[test]
fn a_lost_reply_is_asked_for_in_the_same_words_after_a_restart() {
    let lose = |fake: &Fake| fake.misbehave("IssueCertificate", Times::Forever, Fault::LoseReply);
    let mut served = Served::after(lose);
    wait::until("it is asked", || (served.counts().0 > 0).then_some(()));
    served.restart();
    served.fake.behave();
    served.agent.settled();
    let calls = served.fake.calls("IssueCertificate");
    let tokens: Vec<_> =
        calls.iter().map(|call| (&call.idempotency_token, &call.csr_sha256)).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_eq!(served.fake.issued().len(), 1);
}

#[test]
fn started_while_aws_is_away_it_serves_what_it_has() {
    let mut served = Served::start();
    served.agent.settled();
    let before = ["front", "pca"].map(|name| self::served(&served.agent, name));
    let calls = served.fake.all_calls().len();
    served.fake.stop();
    served.restart();
    assert_eq!(["front", "pca"].map(|name| self::served(&served.agent, name)), before);
    served.agent.settled();
    served.fake.restart();
    assert_eq!(served.fake.all_calls().len(), calls, "nothing was due");
}

#[test]
fn what_aws_signs_wrongly_is_not_served_and_is_not_bought_in_a_row() {
    let lie = Fault::Lie(Lie::AddedName);
    let served = Served::after(|fake| fake.misbehave("IssueCertificate", Times::Forever, lie));
    let status = served.agent.until("it is told", |status| {
        node(status, "front")["failure"].to_string().contains("added.example")
    });
    assert!(node(&status, "front")["certificate"].is_null(), "{status:#}");
    assert_eq!(served.agent.status("").code, Some(3));
    assert!(served.counts().1 <= 2, "{:?}", served.counts());
    served.agent.logs("is refused and thrown away");
    assert!(!served.agent.log().contains("PRIVATE KEY"));
}

#[test]
fn a_renewal_that_fails_leaves_what_there_is() {
    let served = Served::start();
    served.agent.settled();
    let before = self::served(&served.agent, "front");
    for (operation, fault, words) in [
        ("IssueCertificate", Fault::limit_exceeded(), "waiting will not help"),
        ("IssueCertificate", Fault::access_denied(), "deploy/iam/acm-pca.json"),
        ("IssueCertificate", Fault::invalid_state(), "in no state to do this"),
    ] {
        served.fake.misbehave(operation, Times::Forever, fault);
        served.agent.renew();
        served.agent.until(words, |status| status.to_string().contains(words));
        assert_eq!(self::served(&served.agent, "front"), before, "{words}");
        served.fake.behave();
    }
    assert_eq!(served.fake.issued().len(), 1);
    served.agent.renew();
    wait::until("it is renewed", || (served.fake.issued().len() == 2).then_some(()));
    served.agent.until("it is served", |_| served.agent.serial("front") == served.last());
}

#[test]
fn another_certificate_of_the_ca_is_a_change_of_roots_and_no_new_leaf_is_paid_for() {
    let mut served = Served::start();
    served.agent.settled();
    let serial = served.agent.serial("front");
    let before = pem(&served.fake.ca_chain(&served.ca)[0]);
    served.fake.rotate_ca_certificate(&served.ca, Rotation::SameKey);
    let after = pem(&served.fake.ca_chain(&served.ca)[0]);
    served.agent.kill();
    // What AWS said is too old by the next start.
    let path = served.agent.path("state/pca_acm_pca.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"describedAt\": \"2", "\"describedAt\": \"1")).unwrap();
    // Nobody is connected, so nobody is worth waiting for.
    served.agent = served.agent.again("--settle-within 1s");
    wait::until("the leaf stands under the new root, and the old one is gone", || {
        let [leaf, roots] = ["front", "pca"].map(|name| self::served(&served.agent, name));
        let status = served.agent.status_json();
        let at_rest = status["transitions"] == Value::Array(Vec::new());
        let has_moved = leaf.contains(&after) && roots.contains(&after);
        (at_rest && has_moved && !roots.contains(&before)).then_some(())
    });
    assert_eq!(served.agent.serial("front"), serial);
    assert_eq!(served.counts(), (1, 1));
    let log = served.agent.log();
    assert!(log.contains("AWS has another root for this CA"), "{log}");
}

#[test]
fn one_certificate_of_an_intermediate_is_paid_for_and_signs_hundreds() {
    let fake = Fake::start();
    let root = fake.create(Spec::root("pca"));
    let authorities = format!(
        "pca: {{ acmPca: {} }}, ca_1: {{ local: {{ parent: pca }} }}",
        acm_pca(&fake, &root, "")
    );
    let nodes: String = (0..300).map(|n| format!("node-{n}: {{ authority: ca_1 }}, ")).collect();
    let mut agent = start(&mesh(&authorities, &nodes));
    agent.settled();
    assert_eq!((fake.calls("IssueCertificate").len(), fake.issued().len()), (1, 1));
    let call = &fake.calls("IssueCertificate")[0];
    assert!(call.template.as_ref().unwrap().ends_with("SubordinateCACertificate_PathLen0/V1"));
    let chain = served(&agent, "node-7");
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(chain.contains(&pem(&fake.issued()[0].der)), "leaf, then the intermediate");
    assert!(served(&agent, "ca_1").contains(&pem(&fake.ca_chain(&root)[0])), "the root is trusted");
    fake.stop();
    agent.kill();
    agent = agent.again("");
    agent.settled();
    program_renews(&agent);
    agent.settled();
    fake.restart();
    assert_eq!(fake.issued().len(), 1);
}

fn program_renews(agent: &Agent) {
    let before = agent.serial("node-7");
    agent.renew();
    agent.until("it is renewed", |_| agent.serial("node-7") != before);
}

/// The body of a certificate's PEM.
pub fn pem(der: &[u8]) -> String {
    let certificate = certctl::x509::certificate::Certificate::from_der(der.to_vec());
    certificate.unwrap().to_pem()
}

#[test]
fn a_hundred_nodes_are_asked_for_within_the_rate() {
    let fake = Fake::start();
    let ca = fake.create(Spec::root("pca"));
    let nodes: String = (0..100).map(|n| format!("node-{n}: {{ authority: pca }}, ")).collect();
    let authority = format!("pca: {{ acmPca: {} }}", acm_pca(&fake, &ca, "rates: { issue: 25 }"));
    let agent = start(&mesh(&authority, &nodes));
    agent.settled();
    assert_eq!(fake.issued().len(), 100);
    let calls = fake.calls("IssueCertificate");
    assert_eq!(calls.len(), 100);
    let took = calls[99].at - calls[0].at;
    assert!(took >= time::Duration::seconds(3), "{took}");
}
