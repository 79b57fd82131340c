use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::snapshot::testing::{COLORAPP, Published, published};

/// A sink that runs, on a mesh that can be changed.
struct Running {
    mesh: Published,
    directory: TempDir,
    standing: watch::Receiver<Standing>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    fn start(mesh: &str) -> Self {
        Self::on(published(mesh), tempfile::tempdir().unwrap())
    }

    fn on(mesh: Published, directory: TempDir) -> Self {
        let sink = FileSink::new(directory.path().join("certs"), mesh.snapshot.clone());
        let standing = sink.standing();
        let task = tokio::spawn(async move { sink.run().await });
        Self { mesh, directory, standing, task }
    }

    /// Waits until what is published now is written.
    async fn written(&mut self) {
        let generation = self.mesh.snapshot.generation();
        self.until(|standing| standing.failure.is_none() && standing.generation >= generation)
            .await;
    }

    async fn until(&mut self, holds: impl FnMut(&Standing) -> bool) -> Standing {
        let long = Duration::from_secs(60);
        let standing = tokio::time::timeout(long, self.standing.wait_for(holds)).await;
        standing.expect("within a minute").expect("the sink runs").clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("certs").join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every file with what would show that it was written again.
    fn files(&self) -> BTreeMap<String, (u64, i64, i64)> {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let seen = |name: String| {
            let about = std::fs::metadata(self.path(&name)).unwrap();
            (!about.is_dir()).then(|| (name, (about.ino(), about.mtime(), about.mtime_nsec())))
        };
        names.filter_map(seen).collect()
    }
}

#[tokio::test]
async fn the_files_are_those_of_issue_behind_one_link() {
    let mut sink = Running::start(COLORAPP);
    sink.written().await;
    let names: Vec<_> = sink.files().into_keys().collect();
    let nodes = ["blue", "front", "green"];
    let mut expected: Vec<_> = nodes
        .iter()
        .flat_map(|node| {
            ["cert", "cert_chain", "key", "trust"].map(|what| format!("{node}_{what}.pem"))
        })
        .chain(["ca_1_cert.pem", "ca_2_cert.pem", "ca_1_ca_2_bundle.pem"].map(str::to_owned))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    assert!(sink.path("..data").is_symlink());
    let leaf = sink.mesh.snapshot.nodes()[0].leaf.clone().unwrap();
    assert_eq!(sink.text("front_cert_chain.pem"), leaf.credential.chain().to_pem());
    assert_eq!(sink.text("front_key.pem"), *leaf.credential.key().to_pem());
    assert_eq!(sink.text("front_trust.pem"), sink.text("ca_1_cert.pem"));
    let mode = |name: &str| sink.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("front_key.pem"), mode("front_cert.pem")), (0o600, 0o644));
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written_again() {
    let mut sink = Running::start(COLORAPP);
    sink.written().await;
    let before = sink.files();
    let link = std::fs::read_link(sink.path("..data")).unwrap();
    sink.mesh.set_trust("front", |_| ());
    sink.written().await;
    assert_eq!(sink.files(), before);
    assert_eq!(std::fs::read_link(sink.path("..data")).unwrap(), link);

    sink.mesh.renew("blue");
    sink.written().await;
    let after = sink.files();
    let changed: Vec<_> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert_eq!(changed, ["blue_cert.pem", "blue_cert_chain.pem", "blue_key.pem"]);
}

#[tokio::test]
async fn a_burst_ends_with_the_last_of_it() {
    let mut sink = Running::start(COLORAPP);
    for _ in 0..50 {
        sink.mesh.renew("front");
    }
    sink.written().await;
    let leaf = sink.mesh.snapshot.nodes()[0].leaf.clone().unwrap();
    assert_eq!(sink.text("front_cert_chain.pem"), leaf.credential.chain().to_pem());
}

#[tokio::test]
async fn a_node_without_a_leaf_keeps_the_files_that_it_has() {
    let mut sink = Running::start(COLORAPP);
    sink.written().await;
    let before = sink.text("front_key.pem");
    sink.mesh.without_leaf("front");
    sink.mesh.renew("blue");
    sink.written().await;
    assert_eq!(sink.text("front_key.pem"), before);
    assert!(sink.path("front_cert_chain.pem").exists());
}

#[tokio::test]
async fn ends_with_trust_of_their_own_have_files_of_their_own() {
    let mut sink = Running::start(
        "version: 1\ntrustDomain: d\nauthorities: { a: {}, b: {} }\nvirtualNodes:\n  \
         x: { authority: a, trust: [a], listener: { trust: [b] }, backends: { y: { trust: [a, b] } } }\n  \
         y: { authority: b }\n",
    );
    sink.written().await;
    assert_eq!(sink.text("x_trust.pem"), sink.text("a_cert.pem"));
    assert_eq!(sink.text("x_listener_trust.pem"), sink.text("b_cert.pem"));
    assert_eq!(sink.text("x_backend_y_trust.pem"), sink.text("a_b_bundle.pem"));
}

#[tokio::test]
async fn what_failed_is_told_and_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("certs");
    std::fs::write(&in_the_way, "a file").unwrap();
    let mut sink = Running::on(published(COLORAPP), directory);
    let standing = sink.until(|standing| standing.failure.is_some()).await;
    assert_eq!(standing.generation, 0);
    assert!(standing.failure.unwrap().contains("certs"));
    std::fs::remove_file(&in_the_way).unwrap();
    sink.written().await;
    assert!(sink.path("front_key.pem").exists());
}

#[tokio::test]
async fn roots_that_are_not_known_leave_the_file_as_it_lies() {
    let mut sink = Running::start(COLORAPP);
    sink.written().await;
    let before = sink.text("front_trust.pem");
    sink.mesh.set_trust("front", |trust| trust.both = Anchors::new([]));
    sink.written().await;
    assert_eq!(sink.text("front_trust.pem"), before);
}
