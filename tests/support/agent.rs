//! A real agent: started in a directory of its own, asked through `certctl status`, ended on drop.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{program, wait};

/// What every agent here is told, unless a test says all of it itself.
const USUAL: &str = "-f mesh.yaml --sds sds.sock --state state";

/// A running agent, and the directory that it runs in. Dropping it kills the process; the directory
/// goes with the last agent that ran in it.
pub struct Agent {
    place: Arc<TempDir>,
    child: Child,
    log: PathBuf,
    /// How it ended, once it has.
    ended: Option<ExitStatus>,
}

impl Agent {
    /// Starts `certctl agent` on this mesh, in a fresh directory, with `--sds sds.sock --state
    /// state` and more flags, separated by spaces. Waits until it can be asked.
    pub fn start(mesh: &str, flags: &str) -> Self {
        Self::start_in(prepare(mesh), flags)
    }

    /// The same in a directory that has the mesh, and perhaps more.
    pub fn start_in(place: Arc<TempDir>, flags: &str) -> Self {
        Self::begin(place, &format!("{USUAL} {flags}")).ready()
    }

    /// Starts another agent in this one's directory, as [`start`](Self::start) does. This one is
    /// to have ended, or the flags say `--replace`.
    pub fn again(&self, flags: &str) -> Self {
        Self::start_in(self.place(), flags)
    }

    /// Starts `certctl agent` in `place` with these flags alone, and waits for nothing.
    pub fn begin(place: Arc<TempDir>, flags: &str) -> Self {
        let nth = (0..).find(|nth| !place.path().join(format!("agent-{nth}.log")).exists());
        let log = place.path().join(format!("agent-{}.log", nth.expect("a number")));
        let output = File::create(&log).expect("a writable directory");
        let child = program::command(place.path(), &format!("agent {flags}"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("an open file"))
            .stderr(output)
            .spawn()
            .expect("certctl starts");
        Self { place, child, log, ended: None }
    }

    /// Waits until it can be asked; panics with its log when it ends instead.
    pub fn ready(mut self) -> Self {
        wait::until("the agent answers", || {
            if let Some(status) = self.has_ended() {
                panic!("the agent ended with {status}:\n{}", self.log());
            }
            let status = self.status("-o json");
            // One that is being replaced answers as well.
            let pid =
                matches!(status.code, Some(0 | 3)).then(|| status.json()["process"]["pid"].clone());
            (pid? == self.child.id()).then_some(())
        });
        self
    }

    /// Its directory, with `mesh.yaml` in it.
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// The directory, to begin another agent in.
    pub fn place(&self) -> Arc<TempDir> {
        Arc::clone(&self.place)
    }

    /// The SDS socket.
    pub fn socket(&self) -> PathBuf {
        self.directory().join("sds.sock")
    }

    /// A file or directory of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log we gave it")
    }

    /// The lines of its log, each a JSON object; other lines are left out.
    pub fn events(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until a line of its log has these words in it, and returns the line.
    pub fn logs(&self, words: &str) -> String {
        wait::until(&format!("the agent logs {words:?}"), || {
            self.log().lines().find(|line| line.contains(words)).map(str::to_owned)
        })
    }

    /// Runs `certctl status` on it.
    pub fn status(&self, flags: &str) -> program::Run {
        program::run(self.directory(), &format!("status --sds sds.sock {flags}"))
    }

    /// What `certctl status` says, as JSON.
    pub fn status_json(&self) -> Value {
        self.status("-o json").json()
    }

    /// Waits until what `certctl status` says fits, and returns it.
    pub fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("status: {what}"), || {
            let run = self.status("-o json");
            let status = matches!(run.code, Some(0 | 3)).then(|| run.json())?;
            fits(&status).then_some(status)
        })
    }

    /// Waits until every node has a certificate that is fresh.
    pub fn settled(&self) -> Value {
        self.until("every node is fresh", |status| {
            let nodes = status["nodes"].as_array().expect("a list");
            nodes.iter().all(|node| node["state"] == "fresh")
        })
    }

    /// Has new certificates made for all nodes.
    pub fn renew(&self) {
        program::run(self.directory(), "renew --sds sds.sock --all").done();
    }

    /// The serial number of a node's certificate, as `certctl status` says it.
    pub fn serial(&self, node: &str) -> String {
        let status = self.status_json();
        let nodes = status["nodes"].as_array().expect("a list");
        let found = nodes.iter().find(|one| one["name"] == node);
        let found = found.unwrap_or_else(|| panic!("no node {node} in {status:#}"));
        found["certificate"]["serial"].as_str().unwrap_or_default().to_owned()
    }

    /// The mesh file.
    pub fn mesh(&self) -> String {
        fs::read_to_string(self.path("mesh.yaml")).expect("the mesh file")
    }

    /// Replaces the mesh file in one rename, as editors do.
    pub fn write_mesh(&self, mesh: &str) {
        fs::write(self.path(".mesh.yaml.new"), mesh).expect("a writable directory");
        fs::rename(self.path(".mesh.yaml.new"), self.path("mesh.yaml")).expect("one directory");
    }

    /// Changes the mesh file.
    pub fn edit(&self, from: &str, to: &str) {
        let mesh = self.mesh();
        assert!(mesh.contains(from), "{from:?} is not in the mesh file:\n{mesh}");
        self.write_mesh(&mesh.replace(from, to));
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("our own child");
    }

    /// Ends it with SIGTERM, and says how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        if self.has_ended().is_none() {
            self.signal(Signal::TERM);
        }
        self.end()
    }

    /// Kills it at once: SIGKILL.
    pub fn kill(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        self.end();
    }

    /// Waits until it has ended by itself, and says how.
    pub fn end(&mut self) -> ExitStatus {
        wait::until("the agent ends", || self.has_ended())
    }

    fn has_ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child");
        }
        self.ended
    }
}

/// A fresh directory with this mesh in its `mesh.yaml`.
pub fn prepare(mesh: &str) -> Arc<TempDir> {
    let place = tempfile::tempdir().expect("a temporary directory");
    fs::write(place.path().join("mesh.yaml"), mesh).expect("a writable directory");
    Arc::new(place)
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}\n{}", self.log(), self.status("").text());
        }
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
