//! A certificate moves to another authority while somebody cannot accept it yet, or never will.

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::sds_client::{Connection, Node, Stream};

/// blue is signed by ca_1, and whoever may meet it trusts ca_2 as well.
const MESH: &str = "\
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
defaults: { attest: any, trust: [ca_1, ca_2] }
virtualNodes:
  front: { authority: ca_1 }
  blue: { authority: ca_1 }
";
const OLD: &str = "blue: { authority: ca_1 }";
const NEW: &str = "blue: { authority: ca_2 }";

fn waits_for(status: &Value, words: &str) -> bool {
    status["transitions"].as_array().unwrap().iter().any(|one| {
        one["node"] == "blue"
            && one["until"].is_string()
            && one["waitingFor"].to_string().contains(words)
    })
}

fn is_at_rest(status: &Value) -> bool {
    status["transitions"].as_array().is_some_and(Vec::is_empty)
}

/// An agent at rest, with blue's serial number, and one stream that was sent `name` as `envoy-1`.
struct Scene {
    agent: Agent,
    serial: String,
    runtime: tokio::runtime::Runtime,
    stream: Stream,
    connection: Connection,
}

impl Scene {
    fn new(flags: &str, name: &str, accepts: bool) -> Self {
        Self::of(MESH, flags, name, accepts)
    }

    fn of(mesh: &str, flags: &str, name: &str, accepts: bool) -> Self {
        let agent = Agent::start(mesh, flags);
        agent.settled();
        agent.until("all is at rest", is_at_rest);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (connection, stream) = runtime.block_on(async {
            let connection = Connection::open(&agent.socket()).await.unwrap();
            let mut stream =
                connection.subscribe(&Node::bare("envoy-1"), &[name], "").await.unwrap();
            let response = stream.next().await.unwrap();
            if accepts {
                stream.accept(&response).unwrap();
            }
            (connection, stream)
        });
        agent.until("envoy-1 is known", |status| status["recipients"][0]["nodeId"] == "envoy-1");
        let serial = agent.serial("blue");
        Self { agent, serial, runtime, stream, connection }
    }

    fn moves(&self) -> Value {
        self.agent.until("blue has moved", |_| self.agent.serial("blue") != self.serial)
    }
}

#[test]
fn one_that_asked_for_the_new_authority_by_name_is_waited_for_until_it_has_it() {
    let mut scene = Scene::new("", "ca_2+ca_1", false);
    scene.agent.edit(OLD, NEW);
    let words = "has not accepted ca_2+ca_1 with the roots of ca_2 yet";
    scene.agent.until("envoy-1 is waited for", |status| waits_for(status, words));
    assert_eq!(scene.agent.serial("blue"), scene.serial);
    assert_eq!(scene.agent.status("").code, Some(0), "to wait is no failure");
    // It asks again, as one does that connects anew, and takes it.
    let accepted = async {
        let node = Node::bare("envoy-1");
        scene.stream = scene.connection.subscribe(&node, &["ca_2+ca_1"], "").await.unwrap();
        let response = scene.stream.next().await.unwrap();
        scene.stream.accept(&response).unwrap();
    };
    scene.runtime.block_on(accepted);
    scene.moves();
}

#[test]
fn one_whose_name_will_never_have_the_new_authority_is_told_of_and_can_ask_otherwise() {
    let mut scene = Scene::new("", "ca_1", true);
    scene.agent.edit(OLD, NEW);
    let words = "checks its peers by the name ca_1, which never has the roots of ca_2, and will \
                 refuse blue: let it ask for ca_1+ca_2";
    scene.agent.until("envoy-1 is told of", |status| waits_for(status, words));
    let run = scene.agent.status("");
    assert_eq!(run.code, Some(3));
    assert!(run.stdout.starts_with("problem  envoy-1 (uid "), "{}", run.stdout);
    let logged = scene.agent.logs(words);
    assert!(logged.contains("WARN") && logged.contains("\"node\":\"blue\""), "{logged}");
    assert_eq!(scene.agent.serial("blue"), scene.serial);
    let mended = async {
        scene.stream.ask_for(&["ca_1+ca_2"]).unwrap();
        let response = scene.stream.next().await.unwrap();
        scene.stream.accept(&response).unwrap();
    };
    scene.runtime.block_on(mended);
    scene.moves();
    scene.agent.until("all is at rest", is_at_rest);
    assert_eq!(scene.agent.status("").code, Some(0));
}

#[test]
fn nobody_holds_up_a_move_by_a_name_for_longer_than_the_agent_may_wait() {
    let scene = Scene::new("--settle-within 2s", "ca_1", true);
    scene.agent.edit(OLD, NEW);
    scene.moves();
    let logged = scene.agent.logs("blue moves from ca_1 to ca_2 after 2s");
    assert!(logged.contains("by the name ca_1"), "{logged}");
}

#[test]
fn killed_while_an_authority_is_taken_out_of_the_mesh_the_agent_goes_on_from_where_it_was() {
    let of_one = "authorities: { ca_1: {} }\ndefaults: { attest: any }\nvirtualNodes:\n  front: \
                  { authority: ca_1 }\n  blue: { authority: ca_1 }\n";
    let mesh = format!("version: 1\ntrustDomain: example.org\n{of_one}");
    let mut scene = Scene::of(&mesh, "", "backends:front/blue", true);
    let roots = |scene: &mut Scene| {
        let response = scene.runtime.block_on(scene.stream.next()).unwrap();
        let roots = response.roots().unwrap().matches("BEGIN CERTIFICATE").count();
        (response, roots)
    };
    scene.agent.write_mesh(&mesh.replace("ca_1", "ca_2"));
    assert_eq!(roots(&mut scene).1, 2);
    scene.agent.until("envoy-1 is waited for", |status| waits_for(status, "envoy-1"));
    scene.agent.kill();
    scene.agent = scene.agent.again("");
    let again = async {
        let connection = Connection::open(&scene.agent.socket()).await.unwrap();
        let names = ["backends:front/blue"];
        let stream = connection.subscribe(&Node::bare("envoy-1"), &names, "").await.unwrap();
        (connection, stream)
    };
    (scene.connection, scene.stream) = scene.runtime.block_on(again);
    let (response, count) = roots(&mut scene);
    assert_eq!(count, 2);
    let waited = |status: &Value| waits_for(status, "envoy-1");
    scene.agent.until("envoy-1 is waited for again", waited);
    assert_eq!(
        scene.agent.serial("blue"),
        scene.serial,
        "nothing is signed before it can be accepted"
    );
    let _inside = scene.runtime.enter();
    scene.stream.accept(&response).unwrap();
    scene.moves();
    assert_eq!(roots(&mut scene).1, 1);
}
