//! The record that survives a restart: JSON, without keys, the same bytes for the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Transitions;
use super::anchors::{Id, Set, Table};
use super::evidence::{Known, Returning};
use super::node::{End, Entering, Moving, NodeState, Older};
use crate::boards::Part;
use crate::identity::{AuthorityName, IdentityError, NodeName, TrustDomain};
use crate::time::{OffsetDateTime, TimeError, parse_moment, rfc3339};
use crate::x509::certificate::{Certificate, CertificateError};

const VERSION: u64 = 1;

/// Why a record cannot be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// It is not JSON, or not of the right shape.
    #[error("the record of trust transitions is damaged: {0}; {REMEDY}")]
    Json(#[source] serde_json::Error),
    /// It was written by a later version of this program.
    #[error(
        "the record of trust transitions is of version {found}, and this program knows version \
         {VERSION}; run the newer program again, or: {REMEDY}"
    )]
    Version {
        /// Its version.
        found: u64,
    },
    /// A certificate in it does not parse.
    #[error("an anchor in the record of trust transitions is damaged: {0}; {REMEDY}")]
    Certificate(#[source] CertificateError),
    /// A name in it is none.
    #[error("a name in the record of trust transitions is damaged: {0}; {REMEDY}")]
    Name(#[from] IdentityError),
    /// A moment in it is none.
    #[error("a moment in the record of trust transitions is damaged: {0}; {REMEDY}")]
    Moment(#[from] TimeError),
    /// It refers to something that it does not have.
    #[error("the record of trust transitions refers to {what}, which is not in it; {REMEDY}")]
    Reference {
        /// To what.
        what: String,
    },
}

const REMEDY: &str = "move it away to begin without it: roots that the mesh file does not list any \
                      more are then dropped at once";

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    version: u64,
    anchors: Vec<StoredAnchor>,
    authorities: BTreeMap<String, Vec<usize>>,
    /// What is served under their names, and those of authorities that are gone.
    #[serde(default)]
    names: BTreeMap<String, StoredEnd>,
    nodes: BTreeMap<String, StoredNode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<Vec<StoredRecipient>>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Clone)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredAnchor {
    trust_domain: String,
    certificate: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredNode {
    both: StoredEnd,
    listener: StoredEnd,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    backends: Vec<(String, StoredEnd)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    older: Vec<StoredOlder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moving: Option<StoredMoving>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredEnd {
    served: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<(usize, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entering: Vec<StoredEntering>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredEntering {
    anchor: usize,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredOlder {
    anchor: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredMoving {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<usize>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredRecipient {
    /// Whose.
    #[serde(alias = "node")]
    of: String,
    part: StoredPart,
    node_id: String,
    cluster: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredPart {
    Leaf,
    Roots,
    Trust,
}

impl Transitions {
    /// The record of what has to survive a restart.
    pub fn to_json(&self) -> Vec<u8> {
        let ids: BTreeSet<Id> = self.used().collect();
        let mut anchors: Vec<_> = ids
            .into_iter()
            .filter_map(|id| {
                let anchor = self.table.anchor(id)?;
                let trust_domain = anchor.trust_domain.to_string();
                let certificate = anchor.certificate.to_pem();
                Some((StoredAnchor { trust_domain, certificate }, id))
            })
            .collect();
        anchors.sort();
        let places: BTreeMap<Id, usize> =
            anchors.iter().enumerate().map(|(place, (_, id))| (*id, place)).collect();
        let place = |id: Id| places.get(&id).copied().unwrap_or_default();
        let authority = |(name, ids): (&AuthorityName, &Vec<Id>)| {
            (name.to_string(), ids.iter().map(|id| place(*id)).collect())
        };
        let record = Record {
            version: VERSION,
            anchors: anchors.iter().map(|(anchor, _)| anchor.clone()).collect(),
            authorities: self.authorities.iter().map(authority).collect(),
            names: self
                .names
                .iter()
                .map(|(name, end)| (name.to_string(), StoredEnd::of(end, &place)))
                .collect(),
            nodes: self
                .nodes
                .iter()
                .map(|(name, node)| (name.to_string(), StoredNode::of(node, &place)))
                .collect(),
            recipients: self
                .recipients
                .as_ref()
                .map(|known| known.iter().map(StoredRecipient::of).collect()),
        };
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// Goes on from a record. Those who were connected then have [`crate::boards::GONE_AFTER`]
    /// from the first round on to come back.
    ///
    /// # Errors
    /// When the record is damaged or of a later version. The caller may go on with
    /// [`Transitions::after_loss`].
    pub fn from_json(text: &[u8]) -> Result<Self, RecordError> {
        // The version first: a later one may well have another shape.
        let Versioned { version } = serde_json::from_slice(text).map_err(RecordError::Json)?;
        if version != VERSION {
            return Err(RecordError::Version { found: version });
        }
        let record: Record = serde_json::from_slice(text).map_err(RecordError::Json)?;
        let mut table = Table::default();
        let mut ids = Vec::new();
        for StoredAnchor { trust_domain, certificate } in record.anchors {
            let certificates = Certificate::all_from_pem(certificate.as_bytes())
                .map_err(RecordError::Certificate)?;
            let [certificate] = certificates.as_slice() else {
                return Err(RecordError::Reference {
                    what: "one certificate for each anchor".to_owned(),
                });
            };
            ids.push(table.id(&TrustDomain::parse(&trust_domain)?, certificate));
        }
        let anchors = Anchors { table: &table, ids: &ids };
        let mut authorities = IndexMap::new();
        for (name, roots) in record.authorities {
            authorities.insert(AuthorityName::parse(&name)?, anchors.all(&roots)?);
        }
        let mut names = IndexMap::new();
        for (name, end) in record.names {
            names.insert(AuthorityName::parse(&name)?, end.restore(&anchors)?);
        }
        let mut nodes = IndexMap::new();
        for (name, node) in record.nodes {
            nodes.insert(NodeName::parse(&name)?, node.restore(&anchors)?);
        }
        let recipients: Option<BTreeSet<Known>> = match record.recipients {
            Some(known) => {
                Some(known.into_iter().map(StoredRecipient::restore).collect::<Result<_, _>>()?)
            }
            None => None,
        };
        let returning = recipients.clone().map_or(Returning::Anybody, Returning::These);
        Ok(Self { table, authorities, names, nodes, returning, recipients, ..Self::default() })
    }
}

/// The anchors of a record, by their places in it.
struct Anchors<'a> {
    table: &'a Table,
    ids: &'a [Id],
}

impl Anchors<'_> {
    fn one(&self, place: usize) -> Result<Id, RecordError> {
        let missing = || RecordError::Reference { what: format!("anchor {place}") };
        self.ids.get(place).copied().ok_or_else(missing)
    }

    fn all(&self, places: &[usize]) -> Result<Vec<Id>, RecordError> {
        places.iter().map(|place| self.one(*place)).collect()
    }
}

fn moment(text: Option<String>) -> Result<Option<OffsetDateTime>, TimeError> {
    text.map(|text| parse_moment(&text)).transpose()
}

impl StoredNode {
    fn of(node: &NodeState, place: &impl Fn(Id) -> usize) -> Self {
        let end = |(name, end): &(NodeName, End)| (name.to_string(), StoredEnd::of(end, place));
        let older = |older: &Older| StoredOlder {
            anchor: place(older.anchor),
            expires: older.expires.map(rfc3339),
            since: older.since.map(rfc3339),
            forced: older.forced.clone(),
        };
        let moving = |moving: &Moving| StoredMoving {
            to: moving.to.map(place),
            since: rfc3339(moving.since),
            forced: moving.forced.clone(),
        };
        Self {
            both: StoredEnd::of(&node.both, place),
            listener: StoredEnd::of(&node.listener, place),
            backends: node.backends.iter().map(end).collect(),
            shown: node.shown.map(place),
            older: node.older.iter().map(older).collect(),
            moving: node.moving.as_ref().map(moving),
        }
    }

    fn restore(self, anchors: &Anchors<'_>) -> Result<NodeState, RecordError> {
        let backend = |(name, end): (String, StoredEnd)| {
            Ok::<_, RecordError>((NodeName::parse(&name)?, end.restore(anchors)?))
        };
        let older = |older: StoredOlder| {
            Ok::<_, RecordError>(Older {
                anchor: anchors.one(older.anchor)?,
                expires: moment(older.expires)?,
                since: moment(older.since)?,
                generation: None,
                forced: older.forced,
            })
        };
        let moving = |moving: StoredMoving| {
            Ok::<_, RecordError>(Moving {
                to: moving.to.map(|to| anchors.one(to)).transpose()?,
                since: parse_moment(&moving.since)?,
                forced: moving.forced,
            })
        };
        Ok(NodeState {
            both: self.both.restore(anchors)?,
            listener: self.listener.restore(anchors)?,
            backends: self.backends.into_iter().map(backend).collect::<Result<_, _>>()?,
            shown: self.shown.map(|shown| anchors.one(shown)).transpose()?,
            expires: None,
            older: self.older.into_iter().map(older).collect::<Result<_, _>>()?,
            moving: self.moving.map(moving).transpose()?,
        })
    }
}

impl StoredEnd {
    fn of(end: &End, place: &impl Fn(Id) -> usize) -> Self {
        let leaving = |(id, since): &(Id, OffsetDateTime)| (place(*id), rfc3339(*since));
        let entering = |entering: &Entering| StoredEntering {
            anchor: place(entering.anchor),
            since: rfc3339(entering.since),
            published_at: entering.published_at.map(rfc3339),
        };
        Self {
            served: end.served.ids().iter().map(|id| place(*id)).collect(),
            leaving: end.leaving.iter().map(leaving).collect(),
            entering: end.entering.iter().map(entering).collect(),
        }
    }

    fn restore(self, anchors: &Anchors<'_>) -> Result<End, RecordError> {
        let set: Arc<Set> = Set::new(anchors.table, anchors.all(&self.served)?);
        let mut end = End::new(set);
        for (anchor, since) in self.leaving {
            end.leaving.push((anchors.one(anchor)?, parse_moment(&since)?));
        }
        for entering in self.entering {
            end.entering.push(Entering {
                anchor: anchors.one(entering.anchor)?,
                since: parse_moment(&entering.since)?,
                published_at: moment(entering.published_at)?,
                generation: None,
            });
        }
        Ok(end)
    }
}

impl StoredRecipient {
    fn of(known: &Known) -> Self {
        Self {
            of: known.part.to_string(),
            part: match known.part {
                Part::Leaf(_) => StoredPart::Leaf,
                Part::Roots(_) => StoredPart::Roots,
                Part::Trust(_) => StoredPart::Trust,
            },
            node_id: known.node_id.clone(),
            cluster: known.cluster.clone(),
            name: known.name.clone(),
        }
    }

    fn restore(self) -> Result<Known, RecordError> {
        let Self { of, part, node_id, cluster, name } = self;
        let part = match part {
            StoredPart::Leaf => Part::Leaf(NodeName::parse(&of)?),
            StoredPart::Roots => Part::Roots(AuthorityName::parse(&of)?),
            StoredPart::Trust => Part::Trust(NodeName::parse(&of)?),
        };
        Ok(Known { part, node_id, cluster, name })
    }
}
