//! One turn of it all, into a directory: what `certctl issue` does.
//!
//! Looks at what should be and what is there, makes what is missing or due, and publishes the
//! files together. Level-triggered: running it twice, or half and then again, ends in the same
//! place. A failure of one authority or node leaves what it has untouched and stops no other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use crate::authority::Authority;
use crate::desired::problem::nearest;
use crate::desired::{Desired, Identity};
use crate::files::{Directory, DirectoryOptions, FileSpec, FilesError, Layout, Recovered, View};
use crate::hierarchy::{Authorities, Making, Signer, State, recall};
use crate::identity::{AuthorityName, NodeName};
use crate::provisioning::provision;
use crate::rotation::{Renewal, profile, renewal};
use crate::store::{Reader, UnknownAccount, access, directory_options, reader};
use crate::time::{OffsetDateTime, rfc3339};
use crate::x509::credential::Credential;
use crate::x509::key::KeyAlgorithm;

mod authority_line;
mod contents;
mod distrust;
mod looking;
mod node;
mod remarks;
mod remote;
mod report;
mod trust;

use node::{Node, NodeFailure, Work};
use remote::Asked;
pub use remote::Remote;
pub use report::{Action, AuthorityLine, CertificateLine, NodeLine, Report, TrustChange};

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
    /// A file that the mesh file names is also one that would be written.
    #[error(
        "{} is what the mesh file names for {authority}, and it would be overwritten as {what}; \
         keep it in another directory",
        path.display()
    )]
    Overwrites {
        /// The file.
        path: PathBuf,
        /// The authority that it is for.
        authority: AuthorityName,
        /// What would be written there.
        what: String,
    },
    /// A moment before there were certificates.
    #[error("the clock says {}; set it right, or nothing will be valid when it is", rfc3339(*.now))]
    Clock {
        /// What it says.
        now: OffsetDateTime,
    },
    /// A user or group that this machine does not know.
    #[error(transparent)]
    UnknownAccount(#[from] UnknownAccount),
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
    /// The way to AWS, where the mesh has authorities there.
    pub remote: Option<&'a Remote>,
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
        let Run { mut report, files, .. } =
            self.run(&reader(output.as_ref()), &reader(state.as_ref()), None, &|_, _| ())?;
        report.dry_run = true;
        // What was made is thrown away, so that its serial number will never be seen again.
        let made = |line: &&mut NodeLine| line.action != Action::Kept;
        report.nodes.iter_mut().filter(made).for_each(|line| line.certificate = None);
        match &output {
            Some(view) => report.count(&view.compare(&files)?),
            None => report.files_written += files.len(),
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
        let (output, apart) = self.lock(progress)?;
        let state = apart.as_ref().unwrap_or(&output);
        let reading = output.reading()?;
        let Run { mut report, files, remote } = self.run(
            &|name| reading.read(name),
            &|name| state.read(name),
            Some(state),
            &|done, of| progress.made(done, of),
        )?;
        report.count(&output.publish(&files)?);
        report.notes.extend(self.forget_pendings(&remote, state));
        report.notes.extend(recovery(output.recovered()).map(str::to_owned));
        let directories = std::iter::once(&output).chain(&apart);
        let warnings = directories.flat_map(|directory| directory.warnings());
        report.notes.extend(warnings.map(ToString::to_string));
        Ok(report)
    }

    /// Opens the output directory and, where it is another one, that of the authorities. Always in
    /// the order of their real paths, so that no two runs wait for each other with the roles of
    /// the two exchanged; hence both are made before either is locked.
    fn lock(&self, progress: &dyn Progress) -> Result<(Shared, Option<Shared>), IssueError> {
        let open =
            |path, options| Directory::open(path, options, || progress.waiting(path)).map(Arc::new);
        let keys = DirectoryOptions::new(Layout::Flat);
        Directory::make(self.output, self.options())?;
        Directory::make(self.state, keys)?;
        if !self.state_is_apart() {
            return Ok((open(self.output, self.options())?, None));
        }
        if real(self.state) < real(self.output) {
            let state = open(self.state, keys)?;
            return Ok((open(self.output, self.options())?, Some(state)));
        }
        let output = open(self.output, self.options())?;
        Ok((output, Some(open(self.state, keys)?)))
    }

    /// Looks, decides and makes; says what was done, and which files are to be published. Without a
    /// directory for the authorities nothing is written, and what is made is to be thrown away.
    fn run(
        &self,
        read_output: &Reader<'_>,
        read_state: &Reader<'_>,
        state: Option<&Shared>,
        made: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Run, IssueError> {
        let load = || -> Result<Authorities, IssueError> {
            let mut authorities = Authorities::load(self.desired, read_state, self.now);
            if self.state_is_apart() {
                authorities.stop_those_elsewhere(read_output, self.output, self.state)?;
            }
            Ok(authorities)
        };
        let mut authorities = load()?;
        let mut to_make = authorities.to_make();
        let directory = state.map(|state| &**state);
        let mut made_files = authorities.make(self.desired, directory, self.now);
        let mut asked = Asked::default();
        if let (Some(remote), Some(_)) = (self.remote, state) {
            recall(self.desired, self.state, &remote.pool, self.now);
        }
        while let Some(state) = state
            && self.ask(&authorities, state, &mut asked)
        {
            authorities = load()?;
            made_files += authorities.make(self.desired, directory, self.now);
        }
        to_make.append(&mut asked.signed);
        let mut nodes = self.look(&authorities, read_output, state.is_none());
        self.issue(&authorities, &mut nodes, state, made);
        let mut report = self.report(&authorities, (&to_make, &asked.failures), &nodes);
        report.files_written = made_files;
        report.notes.extend(asked.notes(&authorities));
        let mut trust_files = self.look_at_trust(&authorities, read_output)?;
        self.describe_trust(&mut report, &mut trust_files, &nodes);
        report.notes.extend(self.note_unsigned(&authorities, &nodes));
        report.notes.extend(self.note_layout()?);
        report.notes.extend(self.open_keys());
        report.left_over = self.left_over();
        report.notes.extend(self.note_distrust(&authorities, &report.left_over, read_output));
        let files = self.files(&authorities, &nodes, trust_files)?;
        let made = nodes.iter().filter(|node| matches!(node.work, Work::Made { .. }));
        let names = made
            .map(|node| node.identity)
            .filter(|identity| matches!(authorities.states[&identity.authority], State::Remote(_)));
        let remote = names.map(|identity| identity.name.clone()).collect();
        Ok(Run { report, files, remote })
    }

    fn check(&self) -> Result<(), IssueError> {
        if self.now < OffsetDateTime::UNIX_EPOCH {
            return Err(IssueError::Clock { now: self.now });
        }
        self.check_sources()?;
        if let Some(name) =
            self.force.iter().find(|name| !self.desired.identities.contains_key(*name))
        {
            let known = self.desired.identities.keys().map(NodeName::as_str);
            let near = nearest(name.as_str(), known).map(str::to_owned);
            return Err(IssueError::UnknownNode { name: name.to_string(), near });
        }
        for identity in self.desired.identities.values() {
            access(identity, 0)?;
        }
        Ok(())
    }

    fn state_is_apart(&self) -> bool {
        real(self.state) != real(self.output)
    }

    fn options(&self) -> DirectoryOptions {
        directory_options(self.desired.identities.values(), self.layout)
    }

    /// Makes the credentials that are due, side by side.
    fn issue(
        &self,
        authorities: &Authorities,
        nodes: &mut [Node<'_>],
        state: Option<&Shared>,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) {
        let of = nodes.iter().filter(|node| matches!(node.work, Work::Due { .. })).count();
        let done = AtomicUsize::new(0);
        let made = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, of);
        nodes.par_iter_mut().for_each(|node| {
            let Work::Due { .. } = node.work else { return };
            let authority = match authorities.signer(&node.identity.authority) {
                Ok(Signer::Here(authority)) => authority,
                Ok(Signer::Remote(_)) => return,
                // What a rehearsal does not ask for.
                Err(why) if state.is_none() && why.is_not_yet() => return,
                Err(why) => return node.work = Work::Failed(why.into()),
            };
            // The quickest key to make will do to see what its certificate would be.
            let algorithm =
                if state.is_none() { KeyAlgorithm::EcP256 } else { node.identity.key_algorithm };
            node.take(self.make(&authority, node.identity, algorithm));
            made();
        });
        if let (Some(remote), Some(state)) = (self.remote, state) {
            self.issue_remotely(remote, (authorities, state), nodes, &made);
        }
    }

    fn make(
        &self,
        authority: &Authority,
        identity: &Identity,
        algorithm: KeyAlgorithm,
    ) -> Result<(Credential, Renewal), NodeFailure> {
        let profile = profile(self.desired, identity);
        let credential = provision(authority, &profile, algorithm, self.now)?;
        let renewal = renewal(credential.leaf(), &profile, authority.certificates());
        Ok((credential, renewal))
    }

    fn report(
        &self,
        authorities: &Authorities,
        (made, failures): (&[(AuthorityName, Making)], &HashMap<AuthorityName, String>),
        nodes: &[Node<'_>],
    ) -> Report {
        Report {
            dry_run: false,
            authorities: self
                .desired
                .authorities
                .keys()
                .map(|name| authority_line::line(authorities, self.desired, name, made, failures))
                .collect(),
            nodes: nodes.iter().map(Node::line).collect(),
            files_written: 0,
            files_kept: 0,
            files_access_changed: 0,
            trust_changes: Vec::new(),
            roll_out: Vec::new(),
            left_over: Vec::new(),
            notes: authorities.notes.iter().map(|note| note.text.clone()).collect(),
        }
    }
}

/// A directory that work on other threads writes to as well.
type Shared = Arc<Directory>;

/// What a run found and made.
struct Run {
    report: Report,
    files: Vec<FileSpec>,
    /// The nodes whose certificates were made elsewhere.
    remote: Vec<NodeName>,
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// What to tell of an earlier run that was cut off.
fn recovery(recovered: Recovered) -> Option<&'static str> {
    match recovered {
        Recovered::Dropped => {
            Some("an interrupted run had committed nothing; what it left is gone")
        }
        Recovered::Finished => Some("what an interrupted run had committed was put in place first"),
        Recovered::Nothing => None,
    }
}
