//! How the loop stands, for people: plain values, without keys.

use crate::acm_pca::CaHealth;
use crate::identity::{AuthorityName, NodeName, SpiffeId, TrustDomain};
use crate::time::{OffsetDateTime, Validity};

/// How everything stands at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// When.
    pub now: OffsetDateTime,
    /// The trust domain of the mesh.
    pub trust_domain: TrustDomain,
    /// The authorities, in mesh order.
    pub authorities: Vec<AuthorityStatus>,
    /// The nodes that are served, in mesh order.
    pub nodes: Vec<NodeStatus>,
    /// The changes of trust or of signer that are under way.
    pub transitions: Vec<TransitionStatus>,
    /// What an operator should mend and is of no one node or authority, in words.
    pub problems: Vec<String>,
}

/// An authority.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorityStatus {
    /// Its name.
    pub name: AuthorityName,
    /// How it stands, in words.
    pub state: String,
    /// Whether it can sign now.
    pub can_sign: bool,
    /// Whether the mesh only trusts it.
    pub trust_only: bool,
    /// The last second in which what it signs can be valid, where that is known.
    pub not_after: Option<OffsetDateTime>,
    /// What an operator should know of it, in sentences.
    pub notes: Vec<String>,
    /// Its CAs at AWS that were asked so far, in order of preference, and whether each is the one
    /// that signs now.
    pub private_cas: Vec<(CaHealth, bool)>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Its SPIFFE ID.
    pub spiffe_id: SpiffeId,
    /// Who signs it next: while its trust moves, still the old one.
    pub authority: AuthorityName,
    /// How it stands.
    pub state: NodeState,
    /// What is served; none until the first one is made.
    pub certificate: Option<CertificateStatus>,
    /// Why what it has is not replaced, though it should be.
    pub failure: Option<FailureStatus>,
    /// Whether somebody waits for its first certificate.
    pub awaited: bool,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// What is served has ended.
    Expired,
    /// The last attempt failed; what there is is served on.
    Failed,
    /// A certificate is being made, or is about to be.
    Issuing,
    /// All is well.
    Fresh,
}

/// A certificate that is served.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateStatus {
    /// Its serial number, in hex.
    pub serial: String,
    /// When it is valid.
    pub validity: Validity,
    /// When it is renewed; none where only a new authority would help.
    pub due: Option<OffsetDateTime>,
}

/// Why a certificate could not be made.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureStatus {
    /// Why.
    pub reason: String,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again; none where that waits for the authority to be mended.
    pub retry_at: Option<OffsetDateTime>,
}

/// A change of trust or of signer that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionStatus {
    /// The node that it is about, or the authority.
    pub of: String,
    /// What changes, in words.
    pub what: String,
    /// How far it is: spread, move, drain, drop.
    pub phase: String,
    /// Since when.
    pub since: Option<OffsetDateTime>,
    /// Who is waited for, in words.
    pub waiting_for: Vec<String>,
    /// When the wait ends in any case.
    pub until: Option<OffsetDateTime>,
    /// Who had not followed when it went on, in words.
    pub forced: Option<String>,
}
