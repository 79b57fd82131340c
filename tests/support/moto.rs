//! moto, another's emulation of AWS's API: started on a free port, ended on drop. What it knows of
//! AWS Private CA it has from its own makers, so it judges our client, and ours alone. It ignores
//! validity, passthrough, idempotency and key algorithms.

use std::fs::File;
use std::path::Path;
use std::process::Child;

use tempfile::TempDir;

use super::{http, program, tools, wait};

/// A running moto, empty at first. Dropping it ends it.
pub struct Moto {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Moto {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let output = File::create(&log).expect("a writable directory");
        let python = tools::tool_python();
        let python = python.to_str().expect("UTF-8");
        let child = program::bare(python, directory.path())
            .args(["-m", "moto.server", "--host", "127.0.0.1", "--port", "0"])
            .env("PYTHONPATH", tools::moto())
            .env("PYTHONUNBUFFERED", "1")
            .stdout(output.try_clone().expect("an open file"))
            .stderr(output)
            .spawn()
            .expect("Python starts");
        let mut moto = Self { child, port: 0, _directory: directory };
        // Python loads much of AWS's API first.
        moto.port = wait::patiently("moto listens", || {
            if let Some(status) = moto.child.try_wait().expect("our own child") {
                panic!("moto ended with {status}:\n{}", told(&log));
            }
            let log = told(&log);
            let address = log.lines().find_map(|line| line.split_once("Running on http://"))?.1;
            address.trim().strip_prefix("127.0.0.1:")?.parse().ok()
        });
        wait::until("moto answers", || http::get(moto.port, "/moto-api/data.json").ok());
        moto
    }

    /// The URL for the client's endpoint override, in any region, with any credentials.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn told(log: &Path) -> String {
    std::fs::read_to_string(log).expect("the log we gave it")
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
