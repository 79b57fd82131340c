//! What a running agent says of itself: one document for people, scripts, metrics and health.
//!
//! Knows neither how it is asked for nor how it is shown. No key is in it: serial numbers, names,
//! moments and what went wrong.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

mod problems;

/// Everything, as of one moment. Moments are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What is wrong now, the worst first, in words; empty when all is well.
    pub problems: Vec<String>,
    /// The process itself.
    pub process: Process,
    /// The mesh file.
    pub mesh: Mesh,
    /// The authorities, in mesh order.
    pub authorities: Vec<Authority>,
    /// The nodes that this agent keeps, in mesh order.
    pub nodes: Vec<Node>,
    /// Trust that is moving.
    pub transitions: Vec<Transition>,
    /// Everybody who is connected, in order of arrival.
    pub recipients: Vec<Recipient>,
    /// The directory that files are written to, if any.
    pub files: Option<Files>,
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub since: String,
    /// The moment of this report.
    pub now: String,
    /// Its resident memory, where the system tells.
    pub memory_bytes: Option<u64>,
    /// Where it serves: socket paths and addresses.
    pub serves: Vec<String>,
}

/// The mesh file as it was last read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mesh {
    /// Where it is.
    pub path: String,
    /// Its trust domain.
    pub trust_domain: String,
    /// Why what it says now is not in force; the last good one is.
    pub problem: Option<MeshProblem>,
    /// Why it is looked at now and then, where the system cannot tell of changes.
    pub polling: Option<String>,
}

/// What is wrong with a mesh file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshProblem {
    /// The problem, with its place.
    pub text: String,
    /// Since when.
    pub since: String,
}

/// An authority.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// How it stands, in words.
    pub state: String,
    /// Whether it signs.
    pub can_sign: bool,
    /// Whether it is only trusted, by the mesh file's word.
    pub trust_only: bool,
    /// When its certificate ends.
    pub not_after: Option<String>,
    /// What an operator should know of it.
    pub notes: Vec<String>,
    /// Its CAs at AWS, in order of preference; none where its key is elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private_cas: Vec<PrivateCa>,
}

/// A CA of AWS Private CA, as this agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateCa {
    /// Its ARN.
    pub arn: String,
    /// Whether it is the one that signs now.
    pub signs: bool,
    /// Since when it is passed over, and why; none while it is not.
    pub down: Option<Down>,
    /// The certificates that it signed and that were accepted, since the agent started.
    pub issued: u64,
    /// The certificates that were refused when they came.
    pub refused: u64,
    /// The certificates that it was asked for within the last hour.
    pub asked_last_hour: u32,
    /// The most that it may be asked for in an hour.
    pub most_per_hour: Option<u32>,
    /// The requests that wait for their turn.
    pub waiting: u32,
}

/// How something is passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// Since when.
    pub since: String,
    /// Why.
    pub why: String,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Who is to sign it.
    pub authority: String,
    /// How it stands.
    pub state: NodeState,
    /// The certificate that is served; none until the first one is made.
    pub certificate: Option<Certificate>,
    /// Why there is no newer certificate, though one is due.
    pub failure: Option<Failure>,
    /// Whether somebody waits for its first certificate.
    pub awaited: bool,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeState {
    /// What it has has ended.
    Expired,
    /// The last attempt failed; what it has, if anything, is served on.
    Failed,
    /// A certificate is being made.
    #[default]
    Issuing,
    /// All is well.
    Fresh,
}

impl NodeState {
    /// The state in one word, as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Fresh => "fresh",
            Self::Issuing => "issuing",
        }
    }
}

/// A certificate that is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// Its first second.
    pub not_before: String,
    /// Its last second.
    pub not_after: String,
    /// When it is renewed; none where its authority's own end decides.
    pub due: Option<String>,
}

/// Why a certificate could not be made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Why.
    pub reason: String,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<String>,
}

/// A change of trust or of signer that is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The node that it is about; where roots had by the name of an authority change, that.
    pub node: String,
    /// What changes, in words.
    pub what: String,
    /// How far it is: spread, move, drain or drop.
    pub phase: String,
    /// Since when.
    pub since: Option<String>,
    /// Who is waited for, in words.
    pub waiting_for: Vec<String>,
    /// When the wait ends in any case.
    pub until: Option<String>,
    /// Who was still waited for when a step was taken all the same, in words.
    pub forced: Option<String>,
}

/// Somebody with a stream to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// What it calls itself: Envoy's `node.id`.
    pub node_id: String,
    /// Its `node.cluster`.
    pub cluster: String,
    /// Its name and version.
    pub agent: String,
    /// Who it is by the kernel's word.
    pub caller: String,
    /// The same in a few words.
    pub caller_in_short: String,
    /// For how long its oldest stream has been there, in seconds.
    pub connected_seconds: u64,
    /// How many streams it has.
    pub streams: usize,
    /// What it asked for, by name.
    pub secrets: Vec<Secret>,
}

/// One name that a recipient asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// The name.
    pub name: String,
    /// How far its recipient is with it.
    pub state: SecretState,
    /// The version that was last sent.
    pub sent: Option<String>,
    /// The version that was last accepted.
    pub accepted: Option<String>,
    /// How long the last acceptance took from sending, in milliseconds.
    pub took_milliseconds: Option<f64>,
    /// For how long what was sent has been neither accepted nor rejected, in seconds.
    pub lag_seconds: Option<f64>,
    /// Why what was sent was rejected, in the recipient's words.
    pub rejected: Option<String>,
}

/// How far a recipient is with what it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretState {
    /// It would not take what was sent; what it took before stays in force there.
    Rejected,
    /// Nothing is served under the name any more, its node or authority being gone from the mesh or
    /// not granted now; what it took before stays in force there.
    Withdrawn,
    /// Nothing can be sent yet.
    #[default]
    Held,
    /// Sent, and not yet answered.
    Sent,
    /// It has it.
    Accepted,
}

impl SecretState {
    /// The state in one word, as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Sent => "sent",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// The directory that files are written to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Where.
    pub directory: String,
    /// The change of the snapshot that they are of; 0 before the first.
    pub generation: u64,
    /// Why it is behind.
    pub problem: Option<String>,
}

/// Whoever can be asked how things stand.
pub trait Source: Send + Sync {
    /// How things stand now; none when the loop does not answer within [`ANSWERS_WITHIN`].
    fn status(&self) -> BoxFuture<'_, Option<Status>>;
}

/// How long the loop may take to answer before it counts as stuck.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
