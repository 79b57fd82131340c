//! What a run did, or would do: for people and for programs.

use serde::Serialize;

use crate::files::{self, Change};
use crate::rotation::Renewal;
use crate::time::rfc3339;
use crate::x509::certificate::Certificate;

/// The outcome of one run, in the order of the mesh file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The authorities.
    pub authorities: Vec<AuthorityLine>,
    /// The nodes.
    pub nodes: Vec<NodeLine>,
    /// How many files were written.
    pub files_written: usize,
    /// How many files were right already.
    pub files_kept: usize,
    /// How many files got another owner, group or mode.
    pub files_access_changed: usize,
    /// The trust files whose content changed.
    pub trust_changes: Vec<TrustChange>,
    /// In which order to bring the changes to running proxies, where that matters.
    pub roll_out: Vec<String>,
    /// Files of earlier meshes that nothing here accounts for.
    pub left_over: Vec<String>,
    /// What the user should know besides.
    pub notes: Vec<String>,
}

/// One authority.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityLine {
    /// Its name.
    pub name: String,
    /// What was done.
    pub action: Action,
    /// Why it was made anew, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its chain ends, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
}

/// One node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLine {
    /// Its name.
    pub name: String,
    /// Who signs it.
    pub authority: String,
    /// What was done.
    pub action: Action,
    /// Why a certificate was made, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The certificate.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateLine>,
}

/// The certificate that a node now has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateLine {
    /// Its serial number, in hex.
    pub serial: String,
    /// Its last second, RFC 3339.
    pub not_after: String,
    /// When it is to be renewed, RFC 3339; none where only a new authority would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

impl CertificateLine {
    pub(super) fn of(leaf: &Certificate, renewal: Renewal) -> Self {
        Self {
            serial: leaf.serial(),
            not_after: rfc3339(leaf.validity().not_after),
            due: match renewal {
                Renewal::Due(at) => Some(rfc3339(at)),
                Renewal::WithAuthority { .. } => None,
            },
        }
    }
}

/// What was done about an authority or node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It was made for the first time.
    Created,
    /// It could not be done; what was there is untouched.
    Failed,
    /// It was right already.
    Kept,
    /// It was made anew.
    Renewed,
    /// It is only trusted.
    Trusted,
}

impl Action {
    /// The action in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Failed => "FAILED",
            Self::Kept => "kept",
            Self::Renewed => "renewed",
            Self::Trusted => "trusted",
        }
    }
}

/// One trust file whose content changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustChange {
    /// The file.
    pub file: String,
    /// The roots that are new in it: by authority, or by subject where that is of none.
    pub added: Vec<String>,
    /// The roots that are gone from it.
    pub removed: Vec<String>,
}

impl TrustChange {
    /// The change from one content to another; none where the roots are the same.
    pub(super) fn between(
        file: &str,
        old: &[Certificate],
        new: &[Certificate],
        name: impl Fn(&Certificate) -> String,
    ) -> Option<Self> {
        let missing = |from: &[Certificate], other: &[Certificate]| -> Vec<String> {
            other.iter().filter(|root| !from.contains(root)).map(&name).collect()
        };
        let (added, removed) = (missing(old, new), missing(new, old));
        // Two CAs of one name must be told apart, and a serial is not known before it is made.
        let marked = |names: &[String], others: &[String], mark: &str| -> Vec<String> {
            let marked = |name: &String| {
                if others.contains(name) { format!("{name} ({mark})") } else { name.clone() }
            };
            names.iter().map(marked).collect()
        };
        (!added.is_empty() || !removed.is_empty()).then(|| Self {
            file: file.to_owned(),
            added: marked(&added, &removed, "new"),
            removed: marked(&removed, &added, "old"),
        })
    }
}

/// The order in which changes reach running proxies without a refused handshake: trust grows,
/// leaves move, trust shrinks. Files do not acknowledge, so the user waits between the steps.
pub(super) fn roll_out(changes: &[TrustChange], moved: &[String]) -> Vec<String> {
    let files = |select: &dyn Fn(&TrustChange) -> bool| -> String {
        let files: Vec<_> = changes.iter().filter(|c| select(c)).map(|c| c.file.as_str()).collect();
        files.join(", ")
    };
    let grown = files(&|change| !change.added.is_empty() && change.removed.is_empty());
    let shrunk = files(&|change| change.added.is_empty() && !change.removed.is_empty());
    let both = files(&|change| !change.added.is_empty() && !change.removed.is_empty());
    let mut steps = Vec::new();
    if !grown.is_empty() {
        steps.push(format!("trust that grew: {grown}; wait until every proxy has loaded it"));
    }
    if !moved.is_empty() {
        steps.push(format!("leaves of another authority: {}", moved.join(", ")));
    }
    if !shrunk.is_empty() {
        steps.push(format!("trust that shrank: {shrunk}; live connections stay until they end"));
    }
    if !both.is_empty() {
        steps.push(format!(
            "{both} grew and shrank at once: peers with old leaves are refused as soon as it is \
             loaded; to avoid that, trust old and new authorities together first"
        ));
    }
    steps
}

impl Report {
    /// Takes over what became of the files, or would.
    pub(super) fn count(&mut self, files: &files::Report) {
        self.files_written += files.count(Change::Written);
        self.files_kept = files.count(Change::Kept);
        self.files_access_changed = files.count(Change::AccessChanged);
    }

    /// Whether anything could not be done.
    pub fn has_failures(&self) -> bool {
        let failed = Action::Failed;
        self.authorities.iter().any(|line| line.action == failed)
            || self.nodes.iter().any(|line| line.action == failed)
    }
}
