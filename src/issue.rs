//! One turn of it all, into a directory: what `certctl issue` does.
//!
//! Looks at what should be and what is there, makes what is missing or due, and publishes the
//! files together. Level-triggered: running it twice, or half and then again, ends in the same
//! place. A failure of one authority or node leaves what it has untouched and stops no other.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use crate::desired::problem::nearest;
use crate::desired::{self, Account, Desired, Identity, TrustSet};
use crate::files::{
    Access, Contents, Directory, DirectoryOptions, FileName, FileSpec, FilesError, Layout, View,
};
use crate::identity::{AuthorityName, NodeName};
use crate::layout::{self, Content};
use crate::provisioning::{ProvisioningError, provision};
use crate::rotation::{Decision, Reason, Renewal, decide, profile, renewal};
use crate::store::{Held, NodeFiles, Reader};
use crate::time::{OffsetDateTime, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;
use crate::x509::key::KeyAlgorithm;

mod authorities;
mod report;
mod signer;

pub use authorities::AuthorityFailure;
use authorities::{Authorities, Making, State};
pub use report::{Action, AuthorityLine, CertificateLine, NodeLine, Report, TrustChange};
pub use signer::signer;

/// Why a run could not begin or end. What one authority or node lacks is in the [`Report`].
#[derive(Debug, Error)]
pub enum IssueError {
    /// A directory refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A node to be forced is not in the mesh.
    #[error(
        "--force {name}: the mesh has no such node{}",
        near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default()
    )]
    UnknownNode {
        /// The name as given.
        name: String,
        /// The node that it may be meant for.
        near: Option<String>,
    },
    /// A user or group that this machine does not know.
    #[error(
        "virtualNodes.{node}.files.{field}: this machine has no {field} named {name:?}; use its \
         number, or run where it exists"
    )]
    UnknownAccount {
        /// The node.
        node: NodeName,
        /// `owner` or `group`.
        field: &'static str,
        /// The name as given.
        name: String,
    },
}

/// What is to be issued, where, and when.
#[derive(Debug)]
pub struct Order<'a> {
    /// The mesh.
    pub desired: &'a Desired,
    /// Where the files go.
    pub output: &'a Path,
    /// Where the authorities' keys and certificates live; often the same directory.
    pub state: &'a Path,
    /// How the files lie in `output`.
    pub layout: Layout,
    /// Nodes to issue for even if nothing is due.
    pub force: &'a [NodeName],
    /// The moment of the run.
    pub now: OffsetDateTime,
}

/// What a run tells while it goes on. Called from several threads.
pub trait Progress: Sync {
    /// Another run holds the directory; this one waits.
    fn waiting(&self, directory: &Path);
    /// So many certificates of so many are made.
    fn made(&self, done: usize, of: usize);
}

impl Order<'_> {
    /// Says what [`carry_out`](Self::carry_out) would do, and touches nothing.
    ///
    /// # Errors
    /// When a directory cannot be read, or the order itself is wrong.
    pub fn plan(&self) -> Result<Report, IssueError> {
        self.check()?;
        let output = View::open(self.output)?;
        let state = View::open(self.state)?;
        let read_output = |name: &FileName| match &output {
            Some(view) => view.read(name),
            None => Ok(None),
        };
        let read_state = |name: &FileName| match &state {
            Some(view) => view.read(name),
            None => Ok(None),
        };
        let (mut report, files) = self.run(&read_output, &read_state, None, &|_, _| ())?;
        report.dry_run = true;
        // What was made is thrown away, so that its serial number will never be seen again.
        let made = |line: &&mut NodeLine| line.action != Action::Kept;
        report.nodes.iter_mut().filter(made).for_each(|line| line.certificate = None);
        match &output {
            Some(view) => report.count(&view.compare(&files)?),
            None => report.files_written = files.len(),
        }
        if output.as_ref().is_some_and(|view| view.unfinished().unwrap_or(false)) {
            report.notes.push("an interrupted run will be finished or undone first".to_owned());
        }
        Ok(report)
    }

    /// Makes what is missing or due and publishes it.
    ///
    /// # Errors
    /// When a directory refuses; the directories are then as they were, or the next run finishes
    /// what this one began.
    pub fn carry_out(&self, progress: &dyn Progress) -> Result<Report, IssueError> {
        self.check()?;
        let output = Directory::open(self.output, self.options(), || {
            progress.waiting(self.output);
        })?;
        let apart = if self.state_is_apart() {
            let options = DirectoryOptions::new(Layout::Flat);
            Some(Directory::open(self.state, options, || progress.waiting(self.state))?)
        } else {
            None
        };
        let state = apart.as_ref().unwrap_or(&output);
        let reading = output.reading()?;
        let (mut report, files) = self.run(
            &|name| reading.read(name),
            &|name| state.read(name),
            Some(state),
            &|done, of| progress.made(done, of),
        )?;
        report.count(&output.publish(&files)?);
        let warnings = output.warnings().iter().chain(apart.iter().flat_map(Directory::warnings));
        report.notes.extend(warnings.map(ToString::to_string));
        Ok(report)
    }

    /// Looks, decides and makes; says what was done, and which files are to be published. Without a
    /// directory for the authorities nothing is written, and what is made is to be thrown away.
    fn run(
        &self,
        read_output: &Reader<'_>,
        read_state: &Reader<'_>,
        state: Option<&Directory>,
        made: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Report, Vec<FileSpec>), IssueError> {
        let mut authorities = Authorities::load(self.desired, read_state, self.now);
        if self.state_is_apart() {
            authorities.stop_those_elsewhere(read_output, self.output, self.state)?;
        }
        let to_make = authorities.to_make();
        authorities.make(self.desired, state, self.now);
        let mut nodes = self.look(&authorities, read_output);
        self.issue(&authorities, &mut nodes, state.is_none(), made);
        let mut report = self.report(&authorities, &to_make, &nodes);
        self.describe_trust(&mut report, &authorities, &nodes, read_output)?;
        report.notes.extend(self.note_layout()?);
        report.notes.extend(self.open_keys());
        report.left_over = self.left_over();
        let files = self.files(&authorities, &nodes)?;
        Ok((report, files))
    }

    fn check(&self) -> Result<(), IssueError> {
        if let Some(name) =
            self.force.iter().find(|name| !self.desired.identities.contains_key(*name))
        {
            let known = self.desired.identities.keys().map(NodeName::as_str);
            let near = nearest(name.as_str(), known).map(str::to_owned);
            return Err(IssueError::UnknownNode { name: name.to_string(), near });
        }
        self.desired.identities.values().try_for_each(|identity| access(identity, 0).map(drop))
    }

    fn state_is_apart(&self) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        real(self.state) != real(self.output)
    }

    /// Only who issues enters the directory, unless files in it belong to somebody else: then
    /// others may pass through, and see no more than their own files.
    fn options(&self) -> DirectoryOptions {
        let mut options = DirectoryOptions::new(self.layout);
        let foreign =
            |identity: &Identity| identity.files.owner.is_some() || identity.files.group.is_some();
        if self.desired.identities.values().any(foreign) {
            options.mode = 0o711;
        }
        options
    }

    /// Decides about every node.
    fn look<'a>(&'a self, authorities: &Authorities, read: &Reader<'_>) -> Vec<Node<'a>> {
        let forced: BTreeSet<_> = self.force.iter().collect();
        let identities: Vec<_> = self.desired.identities.values().collect();
        identities
            .par_iter()
            .map(|identity| {
                let forced = forced.contains(&identity.name);
                let work =
                    self.look_at(identity, forced, authorities, read).unwrap_or_else(Work::Failed);
                Node { identity, work }
            })
            .collect()
    }

    fn look_at(
        &self,
        identity: &Identity,
        forced: bool,
        authorities: &Authorities,
        read: &Reader<'_>,
    ) -> Result<Work, NodeFailure> {
        let files = NodeFiles::read(read, &identity.files.base)?;
        let signer = authorities.signer(&identity.authority)?;
        let held = files.held(&identity.files.base);
        let (leaf, had) = (held.leaf().cloned(), !matches!(held, Held::Nothing));
        let profile = profile(self.desired, identity);
        let decision = if forced {
            Decision::Issue(Reason::Forced)
        } else {
            decide(&profile, identity.key_algorithm, signer, held, self.now)
        };
        Ok(match (decision, leaf) {
            (Decision::Keep(renewal), Some(leaf)) => {
                Work::Kept { files, leaf: Box::new(leaf), renewal }
            }
            (Decision::Keep(_), None) => Work::Due { reason: Reason::New, had },
            (Decision::Issue(reason), _) => Work::Due { reason, had },
        })
    }

    /// Makes the credentials that are due, side by side.
    fn issue(
        &self,
        authorities: &Authorities,
        nodes: &mut [Node<'_>],
        rehearsal: bool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) {
        let of = nodes.iter().filter(|node| matches!(node.work, Work::Due { .. })).count();
        let done = AtomicUsize::new(0);
        nodes.par_iter_mut().for_each(|node| {
            let Work::Due { .. } = node.work else { return };
            // The quickest key to make will do to see what its certificate would be.
            let algorithm =
                if rehearsal { KeyAlgorithm::EcP256 } else { node.identity.key_algorithm };
            let made = self.make(authorities, node.identity, algorithm);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, of);
            let due = std::mem::replace(&mut node.work, Work::Failed(NodeFailure::Unfinished));
            node.work = match (made, due) {
                (Ok((credential, renewal)), Work::Due { reason, had }) => {
                    Work::Made { credential: Box::new(credential), renewal, reason, had }
                }
                (Err(failure), _) => Work::Failed(failure),
                (Ok(_), other) => other,
            };
        });
    }

    fn make(
        &self,
        authorities: &Authorities,
        identity: &Identity,
        algorithm: KeyAlgorithm,
    ) -> Result<(Credential, Renewal), NodeFailure> {
        let authority = authorities.signer(&identity.authority)?;
        let profile = profile(self.desired, identity);
        let credential = provision(authority, &profile, algorithm, self.now)?;
        let renewal = renewal(credential.leaf(), &profile, authority);
        Ok((credential, renewal))
    }

    /// Every file whose content is known; what failed is left out, and so stays as it lies.
    fn files(
        &self,
        authorities: &Authorities,
        nodes: &[Node<'_>],
    ) -> Result<Vec<FileSpec>, IssueError> {
        let nodes: std::collections::HashMap<_, _> =
            nodes.iter().map(|node| (&node.identity.name, node)).collect();
        let mut specs = Vec::new();
        for file in layout::files(self.desired) {
            let public = Access::with_mode(0o644);
            let (contents, access) = match &file.content {
                Content::AuthorityKey(_) => (None, public),
                Content::AuthorityCertificate(name) => {
                    (self.authority_certificate(authorities, name), public)
                }
                Content::Bundle(set) => (trust(authorities, set).map(Contents::from), public),
                Content::Key(name) => {
                    let node = nodes[*name];
                    (node.key(), access(node.identity, node.identity.files.mode)?)
                }
                Content::Certificate(name) => {
                    (nodes[*name].certificate(), access(nodes[*name].identity, 0o644)?)
                }
                Content::Chain(name) => {
                    (nodes[*name].chain(), access(nodes[*name].identity, 0o644)?)
                }
                Content::Trust(name, set)
                | Content::ListenerTrust(name, set)
                | Content::BackendTrust(name, _, set) => (
                    trust(authorities, set).map(Contents::from),
                    access(nodes[*name].identity, 0o644)?,
                ),
            };
            if let Some(contents) = contents {
                specs.push(FileSpec { name: FileName::parse(file.name)?, contents, access });
            }
        }
        Ok(specs)
    }

    /// An authority's certificate as a published file; none where it lies in the output directory
    /// already, because that is also where the authority lives.
    fn authority_certificate(
        &self,
        authorities: &Authorities,
        name: &AuthorityName,
    ) -> Option<Contents> {
        let source = match &self.desired.authorities[name] {
            desired::Authority::Local(_) => None,
            desired::Authority::Imported(imported) => Some(&imported.certificate),
            desired::Authority::TrustOnly(partner) => Some(&partner.certificates),
        };
        let local = source.is_none();
        if local && !self.state_is_apart() {
            return None;
        }
        // Nor where that is the very file that it was read from, which may hold more.
        let file = self.output.join(layout::authority_certificate(name));
        if source.is_some_and(|source| is_same_file(source, &file)) {
            return None;
        }
        let certificates = match &authorities.states[name] {
            State::Ready(authority) => std::slice::from_ref(authority.certificate()),
            State::Mute { certificates, .. } if local => &certificates[..1],
            State::Mute { certificates, .. } => certificates,
            State::ToMake { .. } | State::Failed(_) => return None,
        };
        Some(pem(certificates).into())
    }

    fn report(
        &self,
        authorities: &Authorities,
        made: &[(AuthorityName, Making)],
        nodes: &[Node<'_>],
    ) -> Report {
        Report {
            dry_run: false,
            authorities: self
                .desired
                .authorities
                .keys()
                .map(|name| authorities.line(self.desired, name, made))
                .collect(),
            nodes: nodes.iter().map(Node::line).collect(),
            files_written: 0,
            files_kept: 0,
            files_access_changed: 0,
            trust_changes: Vec::new(),
            roll_out: Vec::new(),
            left_over: Vec::new(),
            notes: authorities.notes.clone(),
        }
    }

    /// Compares the trust files that lie there with those that will.
    fn describe_trust(
        &self,
        report: &mut Report,
        authorities: &Authorities,
        nodes: &[Node<'_>],
        read: &Reader<'_>,
    ) -> Result<(), IssueError> {
        for file in layout::files(self.desired) {
            let (Content::Trust(_, set)
            | Content::ListenerTrust(_, set)
            | Content::BackendTrust(_, _, set)) = &file.content
            else {
                continue;
            };
            let old = read(&FileName::parse(file.name.clone())?)?;
            let new = match trust_roots(authorities, set) {
                Ok(new) => new,
                Err(unknown) => {
                    let outcome = if old.is_some() { "stays as it is" } else { "is not made" };
                    let name = &file.name;
                    report.notes.push(format!("{name} {outcome}: {unknown} cannot be used"));
                    continue;
                }
            };
            let Some(old) = old else { continue };
            let old = Certificate::all_from_pem(old.as_bytes()).unwrap_or_default();
            report.trust_changes.extend(TrustChange::between(&file.name, &old, &new));
        }
        let moved: Vec<_> = nodes.iter().filter(|node| node.moves()).collect();
        let moved: Vec<_> = moved.iter().map(|node| node.identity.name.to_string()).collect();
        report.roll_out = report::roll_out(&report.trust_changes, &moved);
        Ok(())
    }

    /// An Envoy that watches `..data` would see no change any more, so its end is told.
    fn note_layout(&self) -> Result<Option<String>, IssueError> {
        let was_live = match View::open(self.output)? {
            Some(view) => view.layout()? == Layout::Live,
            None => false,
        };
        Ok((was_live && self.layout == Layout::Flat).then(|| {
            "the files were behind ..data and are plain now; name --live to keep them there"
                .to_owned()
        }))
    }

    /// Keys of authorities that others may read: an older tool's, since ours are never made so.
    fn open_keys(&self) -> Vec<String> {
        let keys = layout::files(self.desired).into_iter();
        let keys = keys.filter(|file| matches!(file.content, Content::AuthorityKey(_)));
        keys.filter_map(|file| {
            let path = self.state.join(file.name);
            let mode = std::fs::symlink_metadata(&path).ok()?.permissions().mode() & 0o777;
            (mode & 0o077 != 0).then(|| {
                let path = path.display();
                format!("others may read the key {path} (mode {mode:o}): chmod 600 {path}")
            })
        })
        .collect()
    }

    /// Files that look like ours and belong to nothing in the mesh.
    fn left_over(&self) -> Vec<String> {
        let apart = self.state_is_apart();
        let ours: BTreeSet<_> = layout::files(self.desired)
            .into_iter()
            .filter(|file| !(apart && matches!(file.content, Content::AuthorityKey(_))))
            .map(|file| file.name)
            .collect();
        let Ok(entries) = std::fs::read_dir(self.output) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| layout::is_of_our_kind(name) && !ours.contains(name))
            .collect();
        names.sort();
        names
    }
}

/// One node and what this run does about it.
#[derive(Debug)]
struct Node<'a> {
    identity: &'a Identity,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Kept { files: NodeFiles, leaf: Box<Certificate>, renewal: Renewal },
    Due { reason: Reason, had: bool },
    Made { credential: Box<Credential>, renewal: Renewal, reason: Reason, had: bool },
    Failed(NodeFailure),
}

/// Why a node gets nothing in this run.
#[derive(Debug, Error)]
enum NodeFailure {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("its authority cannot sign: {0}")]
    Authority(#[from] Arc<AuthorityFailure>),
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    #[error("the run ended before it")]
    Unfinished,
}

impl Node<'_> {
    fn key(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.key.clone(),
            Work::Made { credential, .. } => {
                Some(credential.key().to_pem().as_bytes().to_vec().into())
            }
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    fn certificate(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.certificate.clone(),
            Work::Made { credential, .. } => Some(credential.leaf().to_pem().into()),
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    fn chain(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.chain.clone(),
            Work::Made { credential, .. } => Some(credential.chain().to_pem().into()),
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    /// Whether its leaf goes from one authority to another in this run.
    fn moves(&self) -> bool {
        matches!(
            &self.work,
            Work::Made { reason: Reason::Authority { .. } | Reason::AuthorityReplaced, .. }
        )
    }

    fn line(&self) -> NodeLine {
        let action = |had: &bool| if *had { Action::Renewed } else { Action::Created };
        let (action, reason, certificate) = match &self.work {
            Work::Kept { leaf, renewal, .. } => {
                (Action::Kept, None, Some(CertificateLine::of(leaf, *renewal)))
            }
            Work::Due { reason, had } => (action(had), Some(reason.to_string()), None),
            Work::Made { credential, renewal, reason, had } => {
                let certificate = CertificateLine::of(credential.leaf(), *renewal);
                (action(had), Some(reason.to_string()), Some(certificate))
            }
            Work::Failed(failure) => (Action::Failed, Some(failure.to_string()), None),
        };
        NodeLine {
            name: self.identity.name.to_string(),
            authority: self.identity.authority.to_string(),
            action,
            reason,
            certificate,
        }
    }
}

impl Authorities {
    fn to_make(&self) -> Vec<(AuthorityName, Making)> {
        let to_make = self.states.iter().filter_map(|(name, state)| match state {
            State::ToMake { why, .. } => Some((name.clone(), *why)),
            _ => None,
        });
        to_make.collect()
    }

    fn line(
        &self,
        desired: &Desired,
        name: &AuthorityName,
        made: &[(AuthorityName, Making)],
    ) -> AuthorityLine {
        let state = &self.states[name];
        let has_nodes = desired.identities.values().any(|identity| identity.authority == *name);
        let making = match state {
            State::ToMake { why, .. } => Some(*why),
            _ => made.iter().find(|(made, _)| made == name).map(|(_, why)| *why),
        };
        let (action, reason) = match (state, making) {
            (State::Failed(why), _) => (Action::Failed, Some(why.to_string())),
            (State::Mute { why, .. }, _) if matches!(**why, AuthorityFailure::TrustOnly) => {
                (Action::Trusted, None)
            }
            // The key of one that signs no leaves may be kept elsewhere on purpose.
            (State::Mute { why, .. }, _)
                if matches!(**why, AuthorityFailure::KeyMissing { .. }) && !has_nodes =>
            {
                (Action::Trusted, Some(why.to_string()))
            }
            (State::Mute { why, .. }, _) => (Action::Failed, Some(why.to_string())),
            (_, None) => (Action::Kept, None),
            (_, Some(Making::New)) => (Action::Created, None),
            (_, Some(Making::Due)) => (Action::Renewed, Some("it was half over".to_owned())),
            (_, Some(Making::NotYetValid)) => {
                let why = "it was not valid yet: the clock was set back";
                (Action::Renewed, Some(why.to_owned()))
            }
            (_, Some(Making::Changed)) => {
                (Action::Renewed, Some("what stands above or below it has changed".to_owned()))
            }
        };
        let not_after = match state {
            State::Ready(authority) => Some(rfc3339(authority.ends())),
            State::Mute { certificates, .. } => Some(rfc3339(crate::authority::ends(certificates))),
            State::ToMake { .. } | State::Failed(_) => None,
        };
        AuthorityLine { name: name.to_string(), action, reason, not_after }
    }
}

/// The roots of a trust set, each once, in mesh order; or the one of its authorities whose roots
/// are unknown.
fn trust_roots<'a>(
    authorities: &Authorities,
    set: &'a TrustSet,
) -> Result<Vec<Certificate>, &'a AuthorityName> {
    let mut roots: Vec<Certificate> = Vec::new();
    for name in set.names() {
        for root in authorities.states[name].roots().ok_or(name)? {
            if !roots.contains(root) {
                roots.push(root.clone());
            }
        }
    }
    Ok(roots)
}

fn trust(authorities: &Authorities, set: &TrustSet) -> Option<String> {
    trust_roots(authorities, set).ok().map(|roots| pem(&roots))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

fn access(identity: &Identity, mode: u32) -> Result<Access, IssueError> {
    let unknown = |field, name: &str| IssueError::UnknownAccount {
        node: identity.name.clone(),
        field,
        name: name.to_owned(),
    };
    let owner = match &identity.files.owner {
        None => None,
        Some(Account::Id(id)) => Some(*id),
        Some(Account::Name(name)) => match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => Some(user.uid.as_raw()),
            _ => return Err(unknown("owner", name)),
        },
    };
    let group = match &identity.files.group {
        None => None,
        Some(Account::Id(id)) => Some(*id),
        Some(Account::Name(name)) => match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            _ => return Err(unknown("group", name)),
        },
    };
    Ok(Access { owner, group, mode })
}
