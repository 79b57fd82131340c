//! A directory with a mesh file, in which the real certctl runs and openssl judges what it made.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::openssl::Openssl;
use super::program::{self, Run};
use super::tools;

/// The mesh of the walkthrough.
pub const COLORAPP: &str = include_str!("../fixtures/mesh/colorapp.yaml");

/// A directory with `mesh.yaml`; certificates go to `certs`. It is also where openssl runs.
pub struct Site(Openssl);

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
        program::run(&self.path(""), arguments)
    }

    /// certctl, about to be run here.
    pub fn command(&self, arguments: &str) -> Command {
        program::command(&self.path(""), arguments)
    }

    /// Runs a shell script in which `"$@"` is certctl with these arguments.
    pub fn shell(&self, script: &str, arguments: &str) -> Run {
        let mut command = program::bare("/bin/sh", &self.path(""));
        command.args(["-c", script, "sh", program::PROGRAM]).args(tools::split(arguments));
        command.output().expect("sh starts").into()
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
