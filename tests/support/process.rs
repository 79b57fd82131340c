//! A real Envoy: started with a configuration, asked through its admin interface, ended on drop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::http;
use super::{tools, wait};

/// A running Envoy. Dropping it ends it.
pub struct Envoy {
    child: Child,
    name: String,
    admin: PathBuf,
    log: PathBuf,
}

impl Envoy {
    /// Starts an Envoy and waits until it is ready. `name` names its node and its files in
    /// `directory`, where it runs, so `config` (YAML of a bootstrap, without `node` and `admin`)
    /// may use relative paths. A listener on port 0 gets a free port: [`Envoy::port`].
    pub fn start(directory: &Path, name: &str, config: &str) -> Self {
        Self::begin(&tools::envoy(), directory, name, config).ready()
    }

    /// Starts this program as [`start`](Self::start) does, and waits for nothing.
    pub fn begin(program: &Path, directory: &Path, name: &str, config: &str) -> Self {
        let admin = directory.join(format!("{name}.sock"));
        let config_path = directory.join(format!("{name}.yaml"));
        let log = directory.join(format!("{name}.log"));
        std::fs::write(&config_path, config).expect("a writable directory");
        let output = File::create(&log).expect("a writable directory");
        let child = Command::new(program)
            .current_dir(directory)
            .arg("--config-path")
            .arg(&config_path)
            .arg("--config-yaml")
            .arg(format!("admin: {{ address: {{ pipe: {{ path: {admin:?} }} }} }}"))
            .args(["--service-node", name, "--service-cluster", "certctl-tests"])
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("an open file"))
            .stderr(output)
            .spawn()
            .expect("Envoy starts");
        Self { child, name: name.to_owned(), admin, log }
    }

    /// Waits until it is ready.
    pub fn ready(mut self) -> Self {
        wait::until(&format!("Envoy {} is ready", self.name), || {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                panic!("Envoy {} ended with {status}:\n{}", self.name, self.log());
            }
            let answer = http::get_unix(&self.admin, "/ready").ok()?;
            (answer.status == 200).then_some(())
        });
        self
    }

    /// The log of an Envoy that must refuse `config`: waits until it has ended by itself.
    pub fn refusal(directory: &Path, name: &str, config: &str) -> String {
        let mut envoy = Self::begin(&tools::envoy(), directory, name, config);
        let status = wait::until(&format!("Envoy {name} refuses its configuration"), || {
            envoy.child.try_wait().expect("our own child")
        });
        assert!(!status.success(), "Envoy {name} ended well:\n{}", envoy.log());
        envoy.log()
    }

    /// The port that the listener `name` got.
    pub fn port(&self, name: &str) -> u16 {
        let listeners = self.admin("/listeners");
        listeners
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("::")?.rsplit(':').next())
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no listener {name} with a port among:\n{listeners}"))
    }

    /// A counter or gauge by its full name; one that Envoy has not made yet counts 0.
    pub fn stat(&self, name: &str) -> u64 {
        self.admin("/stats")
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map_or(0, |value| value.parse().expect("a number"))
    }

    /// The body of an admin page.
    pub fn admin(&self, path: &str) -> String {
        let answer = http::get_unix(&self.admin, path)
            .unwrap_or_else(|error| panic!("admin {path}: {error}\n{}", self.log()));
        assert_eq!(answer.status, 200, "admin {path}: {}", answer.body);
        answer.body
    }

    /// What it has logged so far: warnings and worse.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log we gave it")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
