//! A directory with a mesh file, in which the real certctl runs and openssl judges what it made.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::openssl::Openssl;

/// The mesh of the walkthrough.
pub const COLORAPP: &str = include_str!("../fixtures/mesh/colorapp.yaml");

/// A directory with `mesh.yaml`; certificates go to `certs`. It is also where openssl runs.
pub struct Site(Openssl);

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it told besides.
    pub stderr: String,
}

/// What a file or directory is: mode, inode, mtime in nanoseconds, and bytes (or a link's target).
pub type State = (u32, u64, i128, Vec<u8>);

impl Deref for Site {
    type Target = Openssl;
    fn deref(&self) -> &Openssl {
        &self.0
    }
}

impl Site {
    /// With the mesh of the walkthrough.
    pub fn colorapp() -> Self {
        Self::with(COLORAPP)
    }

    /// With this mesh.
    pub fn with(mesh: &str) -> Self {
        let site = Self(Openssl::new());
        site.write("mesh.yaml", mesh);
        site
    }

    /// With these authorities and nodes, in YAML's flow style.
    pub fn of(authorities: &str, nodes: &str) -> Self {
        Self::with(&mesh(authorities, nodes))
    }

    /// With the walkthrough's certificates.
    pub fn issued() -> Self {
        let site = Self::colorapp();
        site.issue("").done();
        site
    }

    /// Changes the mesh file.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.text("mesh.yaml");
        assert!(text.contains(from), "{from:?} is not in the mesh file:\n{text}");
        self.write("mesh.yaml", text.replace(from, to));
    }

    /// A file as text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    /// Runs `certctl issue` on the mesh, into `certs`, with more arguments.
    pub fn issue(&self, arguments: &str) -> Run {
        self.certctl(&format!("issue -f mesh.yaml -o certs {arguments}"))
    }

    /// Runs certctl with arguments separated by spaces.
    pub fn certctl(&self, arguments: &str) -> Run {
        self.command(arguments).output().expect("certctl starts").into()
    }

    /// Runs a shell script in which `"$@"` is certctl with these arguments.
    pub fn shell(&self, script: &str, arguments: &str) -> Run {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_certctl")]);
        command.args(arguments.split_whitespace());
        self.prepare(&mut command);
        command.output().expect("sh starts").into()
    }

    /// certctl, about to be run here.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certctl"));
        command.args(arguments.split_whitespace());
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Nothing of the machine's own configuration must change what the tests see.
        command.env_clear().env("PATH", path).current_dir(self.path("")).stdin(Stdio::null());
    }

    /// Everything below a directory.
    pub fn everything(&self, name: &str) -> BTreeMap<PathBuf, State> {
        everything(&self.path(name))
    }

    /// The names of the files below a directory whose bytes differ between two looks at it.
    pub fn changed(
        &self,
        before: &BTreeMap<PathBuf, State>,
        after: &BTreeMap<PathBuf, State>,
    ) -> Vec<String> {
        let names = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
        let bytes =
            |look: &BTreeMap<PathBuf, State>, path: &PathBuf| look.get(path).map(|s| s.3.clone());
        let changed = names.filter(|path| bytes(before, path) != bytes(after, path));
        let mut changed: Vec<_> = changed.map(|path| path.display().to_string()).collect();
        changed.sort();
        changed
    }

    /// A file's permission bits.
    pub fn mode(&self, name: &str) -> u32 {
        let about = std::fs::metadata(self.path(name)).expect("a file");
        about.permissions().mode() & 0o7777
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("a file");
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("a file");
    }

    /// Has openssl verify a node's chain file against a root, strictly.
    pub fn verify(&self, root: &str, node: &str) {
        self.run(&format!(
            "verify -x509_strict -CAfile certs/{root}_cert.pem -untrusted \
             certs/{node}_cert_chain.pem certs/{node}_cert.pem"
        ));
        let public = self.run(&format!("x509 -in certs/{node}_cert.pem -noout -pubkey"));
        let of_key = self.run(&format!("pkey -in certs/{node}_key.pem -pubout"));
        assert_eq!(public, of_key, "the key of {node}");
    }

    /// A certificate's serial number.
    pub fn serial(&self, name: &str) -> String {
        self.run(&format!("x509 -in certs/{name}_cert.pem -noout -serial"))
    }
}

/// A mesh with these authorities and nodes, in YAML's flow style.
pub fn mesh(authorities: &str, nodes: &str) -> String {
    format!(
        "version: 1\ntrustDomain: example.org\nauthorities: {{ {authorities} }}\n\
         virtualNodes: {{ {nodes} }}\n"
    )
}

/// Everything below a directory: path and state.
pub fn everything(directory: &Path) -> BTreeMap<PathBuf, State> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let about = path.symlink_metadata().expect("something");
        let content = if about.is_symlink() {
            path.read_link().expect("a link").into_os_string().into_encoded_bytes()
        } else if about.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            Vec::new()
        } else {
            std::fs::read(&path).expect("a file")
        };
        let mtime = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
        let name = path.strip_prefix(directory).expect("below it").to_owned();
        found.insert(name, (about.mode(), about.ino(), mtime, content));
    }
    found
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Run {
    /// It succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// It failed, and the error says all of this.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        let told = unwrapped(&self.stderr);
        for words in words {
            assert!(told.contains(words), "{words:?} is not in:\n{told}");
        }
        self
    }

    /// The line of the table about an authority or node: what follows its name.
    #[track_caller]
    pub fn row(&self, name: &str) -> String {
        let line = self.stdout.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with("  ").then(|| rest.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        line.unwrap_or_else(|| panic!("no line about {name} in:\n{}\n{}", self.stdout, self.stderr))
    }

    /// The line about `name` says all of this.
    #[track_caller]
    pub fn says(self, name: &str, words: &[&str]) -> Self {
        let row = self.row(name);
        for words in words {
            assert!(row.contains(words), "{words:?} is not in {row:?}");
        }
        self
    }

    /// What it answered has this in it.
    #[track_caller]
    pub fn tells(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{words:?} is not in:\n{}", self.stdout);
        self
    }
}

/// Text without the line breaks and margins that errors are wrapped with.
pub fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '|', '`', '-', '>']));
    lines.collect::<Vec<_>>().join(" ")
}
