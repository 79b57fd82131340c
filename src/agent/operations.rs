//! What the agent answers to whoever asks: the engine's word, the boards', the watcher's and the
//! sink's, put together.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::timeout;

use super::process::resident_memory;
use super::recipients::recipients;
use crate::acm_pca::CaHealth;
use crate::admin::{Operations, Refusal};
use crate::boards::Deliveries;
use crate::desired::watch::{Condition, MeshFileWatcher};
use crate::engine::{self, Commands};
use crate::file_sink;
use crate::identity::NodeName;
use crate::status::{
    ANSWERS_WITHIN, Authority, Certificate, Down, Failure, Files, Mesh, MeshProblem, Node,
    NodeState, PrivateCa, Process, Source, Status, Transition,
};
use crate::time::{OffsetDateTime, rfc3339};

/// Everybody who has something to say of one agent.
#[derive(Debug)]
pub(super) struct Desk {
    /// The loop.
    pub(super) commands: Commands,
    /// Who is connected.
    pub(super) deliveries: Deliveries,
    /// The files, where there are any.
    pub(super) files: Option<(PathBuf, watch::Receiver<file_sink::Standing>)>,
    /// Where the mesh file is.
    pub(super) mesh: PathBuf,
    /// Where SDS is served.
    pub(super) serves: Vec<String>,
    /// When the process started.
    pub(super) since: OffsetDateTime,
    /// The mesh file's keeper.
    pub(super) watcher: Arc<MeshFileWatcher>,
}

impl Source for Desk {
    fn status(&self) -> BoxFuture<'_, Option<Status>> {
        async {
            let engine = timeout(ANSWERS_WITHIN, self.commands.status()).await.ok()??;
            let condition = self.watcher.condition().borrow().clone();
            let files = self.files.as_ref().map(|(directory, standing)| {
                let standing = standing.borrow();
                Files {
                    directory: directory.display().to_string(),
                    generation: standing.generation,
                    problem: standing.failure.clone(),
                }
            });
            let process = Process {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                since: rfc3339(self.since),
                now: rfc3339(engine.now),
                memory_bytes: resident_memory(),
                serves: self.serves.clone(),
            };
            let status = Status {
                problems: Vec::new(),
                process,
                mesh: self.mesh(&engine, condition),
                authorities: engine.authorities.into_iter().map(authority).collect(),
                nodes: engine.nodes.into_iter().map(node).collect(),
                transitions: engine.transitions.into_iter().map(transition).collect(),
                recipients: recipients(&self.deliveries.recipients()),
                files,
            };
            Some(status.with_problems(engine.problems))
        }
        .boxed()
    }
}

impl Operations for Desk {
    fn reissue(&self, nodes: Vec<NodeName>) -> BoxFuture<'_, Result<usize, Refusal>> {
        async {
            match self.commands.reissue(nodes).await {
                Some(Ok(begun)) => Ok(begun),
                Some(Err(unknown)) => {
                    let names: Vec<_> = unknown.iter().map(NodeName::as_str).collect();
                    let names = names.join(", ");
                    Err(Refusal {
                        reason: format!(
                            "this agent keeps no node {names}; `certctl status` lists its nodes"
                        ),
                    })
                }
                None => Err(Refusal { reason: "the agent is ending".to_owned() }),
            }
        }
        .boxed()
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        self.watcher.reload();
        self.commands.reload();
        std::future::ready(Ok(())).boxed()
    }
}

impl Desk {
    fn mesh(&self, engine: &engine::Status, condition: Condition) -> Mesh {
        let problem = condition
            .fault
            .map(|fault| MeshProblem { text: fault.text, since: rfc3339(fault.since) });
        Mesh {
            path: self.mesh.display().to_string(),
            trust_domain: engine.trust_domain.to_string(),
            problem,
            polling: condition.polling,
        }
    }
}

fn private_ca((ca, signs): (CaHealth, bool)) -> PrivateCa {
    let CaHealth { arn, down, asked_last_hour, most_per_hour, issued, refused, waiting } = ca;
    let down = down.map(|down| Down { since: rfc3339(down.since), why: down.why });
    PrivateCa {
        arn: arn.to_string(),
        signs,
        down,
        issued,
        refused,
        asked_last_hour,
        most_per_hour,
        waiting,
    }
}

fn authority(authority: engine::AuthorityStatus) -> Authority {
    Authority {
        name: authority.name.to_string(),
        state: authority.state,
        can_sign: authority.can_sign,
        trust_only: authority.trust_only,
        not_after: authority.not_after.map(rfc3339),
        notes: authority.notes,
        private_cas: authority.private_cas.into_iter().map(private_ca).collect(),
    }
}

fn node(node: engine::NodeStatus) -> Node {
    Node {
        name: node.name.to_string(),
        spiffe_id: node.spiffe_id.to_string(),
        authority: node.authority.to_string(),
        state: match node.state {
            engine::NodeState::Expired => NodeState::Expired,
            engine::NodeState::Failed => NodeState::Failed,
            engine::NodeState::Fresh => NodeState::Fresh,
            engine::NodeState::Issuing => NodeState::Issuing,
        },
        certificate: node.certificate.map(|certificate| Certificate {
            serial: certificate.serial,
            not_before: rfc3339(certificate.validity.not_before),
            not_after: rfc3339(certificate.validity.not_after),
            due: certificate.due.map(rfc3339),
        }),
        failure: node.failure.map(|failure| Failure {
            reason: failure.reason,
            failures: failure.failures,
            retry_at: failure.retry_at.map(rfc3339),
        }),
        awaited: node.awaited,
    }
}

fn transition(transition: engine::TransitionStatus) -> Transition {
    Transition {
        node: transition.of,
        what: transition.what,
        phase: transition.phase,
        since: transition.since.map(rfc3339),
        waiting_for: transition.waiting_for,
        until: transition.until.map(rfc3339),
        forced: transition.forced,
    }
}
