//! The openssl command: makes what we must read, and judges what we make.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::tools;

/// A directory in which openssl runs: files are named relative to it.
pub struct Openssl {
    directory: TempDir,
}

impl Openssl {
    /// A fresh directory.
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Runs `openssl` with arguments separated by spaces; `'…'` holds spaces together. Returns what
    /// it printed; panics when it fails.
    pub fn run(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {}\n{stderr}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `openssl`, which must fail, and returns all that it printed.
    pub fn fail(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        assert!(!output.status.success(), "openssl {arguments} succeeded:\n{printed}");
        printed
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The bytes of a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a writable directory");
    }

    fn output(&self, arguments: &str) -> Output {
        Command::new(tools::system("openssl"))
            .current_dir(self.directory.path())
            .args(tools::split(arguments))
            // The machine's own configuration must not change what the tests see.
            .env("OPENSSL_CONF", Path::new("/dev/null"))
            .output()
            .expect("openssl starts")
    }
}
