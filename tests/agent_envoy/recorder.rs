//! One more client of the agent, that writes down what it is sent, in order.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

use certctl::x509::certificate::Certificate;

use crate::support::sds_client::{Connection, Node, Response, Stream};
use crate::support::wait;

/// What is sent of blue: who signed it, and whom front trusts to have done so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// The common name of the leaf's issuer.
    Leaf(String),
    /// The common names of the roots.
    Roots(Vec<String>),
}

/// A client that acknowledges, or doesn't. Dropping it ends its connection.
pub struct Recorder {
    sent: Receiver<Sent>,
    all: Vec<Sent>,
    _runtime: tokio::runtime::Runtime,
}

impl Recorder {
    /// Asks for blue's leaf and for front's trust in it, and waits until it has both.
    pub fn start(socket: PathBuf, id: &str, acknowledges: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (sender, sent) = mpsc::channel();
        let node = Node::whole(id);
        runtime.spawn(async move {
            let connection = Connection::open(&socket).await.expect("an agent");
            let streams = ["blue", "backends:front/blue"].map(|name| {
                let (connection, node, sender) = (&connection, &node, sender.clone());
                async move {
                    let stream = connection.subscribe(node, &[name], "").await;
                    record(stream.expect("a stream"), &sender, acknowledges).await;
                }
            });
            futures_util::future::join_all(streams).await;
        });
        let mut recorder = Self { sent, all: Vec::new(), _runtime: runtime };
        recorder.until("the first of both", |all| all.len() == 2);
        recorder
    }

    /// Waits until what was sent so far fits, and returns all of it.
    pub fn until(&mut self, what: &str, fits: impl Fn(&[Sent]) -> bool) -> &[Sent] {
        wait::until(what, || {
            self.all.extend(self.sent.try_iter());
            fits(&self.all).then_some(())
        });
        &self.all
    }

    /// What was sent so far.
    pub fn all(&mut self) -> &[Sent] {
        self.all.extend(self.sent.try_iter());
        &self.all
    }
}

async fn record(mut stream: Stream, sender: &Sender<Sent>, acknowledges: bool) {
    while let Some(response) = stream.next().await {
        if sender.send(sent(&response)).is_err() {
            return;
        }
        if acknowledges && stream.accept(&response).is_err() {
            return;
        }
    }
}

fn sent(response: &Response) -> Sent {
    let parsed = |pem: String| Certificate::all_from_pem(pem.as_bytes()).expect("PEM");
    match (response.chain(), response.roots()) {
        (Some(chain), _) => Sent::Leaf(common_name(&parsed(chain)[0].issuer())),
        (_, Some(roots)) => {
            Sent::Roots(parsed(roots).iter().map(|root| common_name(&root.subject())).collect())
        }
        _ => panic!("neither a leaf nor roots: {response:?}"),
    }
}

fn common_name(subject: &str) -> String {
    subject.rsplit("CN=").next().unwrap_or(subject).to_owned()
}
