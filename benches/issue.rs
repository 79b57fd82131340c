//! `certctl issue` as a whole process: beside openssl commands that do the same work, and for a
//! thousand nodes.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to tell")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

const ROUNDS: usize = 9;
const NODES: usize = 1_000;

fn main() {
    // All directories stay until the end: ext4 is slow to reuse the inodes of files just deleted.
    let (disk, memory) = (TempDir::new().unwrap(), TempDir::new_in("/dev/shm").unwrap());
    // certctl waits until its files are on the disk, openssl does not; in memory nobody waits.
    for (place, name) in [(disk.path(), "on disk"), (memory.path(), "in memory")] {
        beside_openssl(place, name);
        a_thousand_nodes(place, name);
    }
}

/// Two CAs, three leaves and their chains, as the walkthrough's script makes them.
fn beside_openssl(place: &Path, name: &str) {
    let script = openssl_script();
    let [mut openssl, mut p256, mut rsa] = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        let directory = fresh(place, &format!("openssl-{round}"));
        openssl.push(timed(|| run(Command::new("sh").arg("-ec").arg(&script), &directory)));
        for (algorithm, times) in [("ec-p256", &mut p256), ("rsa-2048", &mut rsa)] {
            let directory = fresh(place, &format!("{algorithm}-{round}"));
            fs::write(directory.join("mesh.yaml"), colorapp(algorithm)).unwrap();
            times.push(timed(|| issue(&directory)));
        }
    }
    println!("colorapp: 2 CAs and 3 leaves {name}; medians of {ROUNDS} alternating rounds");
    println!("{:<28} {:>10} {:>22}", "", "ms", "openssl takes longer by");
    let reference = median(&mut openssl);
    row("openssl commands, RSA-2048", reference, None);
    row("certctl issue, P-256", median(&mut p256), Some(reference));
    row("certctl issue, RSA-2048", median(&mut rsa), Some(reference));
}

fn a_thousand_nodes(place: &Path, name: &str) {
    let [mut first, mut second] = [const { Vec::new() }; 2];
    for round in 0..5 {
        let directory = fresh(place, &format!("thousand-{round}"));
        fs::write(directory.join("mesh.yaml"), thousand()).unwrap();
        first.push(timed(|| issue(&directory)));
        let leaf = directory.join("certs/node-0999_cert.pem");
        let made = (fs::read(&leaf).unwrap(), fs::metadata(&leaf).unwrap().modified().unwrap());
        for _ in 0..3 {
            second.push(timed(|| issue(&directory)));
        }
        let kept = (fs::read(&leaf).unwrap(), fs::metadata(&leaf).unwrap().modified().unwrap());
        assert!(made == kept, "a run that finds nothing due wrote {}", leaf.display());
    }
    println!();
    let (firsts, seconds) = (first.len(), second.len());
    println!("{NODES} nodes, P-256, {name}; medians of {firsts} and {seconds} runs");
    println!("{:<28} {:>10}", "", "ms");
    row("first run", median(&mut first), None);
    row("second run, nothing due", median(&mut second), None);
    println!();
}

fn row(what: &str, seconds: f64, reference: Option<f64>) {
    let ratio = reference.map_or(String::new(), |reference| format!("{:.1}x", reference / seconds));
    println!("{what:<28} {:>10.1} {ratio:>22}", seconds * 1_000.0);
}

fn issue(directory: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certctl"));
    run(command.args(["issue", "--quiet", "-f", "mesh.yaml", "-o", "certs"]), directory);
}

fn run(command: &mut Command, directory: &Path) {
    let output = command.current_dir(directory).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{told}", output.status);
}

fn fresh(place: &Path, name: &str) -> PathBuf {
    let directory = place.join(name);
    fs::create_dir(&directory).unwrap();
    directory
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn colorapp(algorithm: &str) -> String {
    format!(
        "version: 1
trustDomain: colorapp.example
dnsSuffix: colorapp.example
authorities:
  ca_1: {{ local: {{ keyAlgorithm: {algorithm} }} }}
  ca_2: {{ local: {{ keyAlgorithm: {algorithm} }} }}
defaults: {{ keyAlgorithm: {algorithm} }}
virtualNodes:
  front: {{ authority: ca_1, trust: [ca_1, ca_2] }}
  colorapp-blue: {{ authority: ca_1, callers: [front] }}
  colorapp-green: {{ authority: ca_2, callers: [front], trust: [ca_1] }}
"
    )
}

fn thousand() -> String {
    let mut mesh = "version: 1\ntrustDomain: mesh.example\ndnsSuffix: mesh.example\n\
                    authorities: { ca_1: {} }\nvirtualNodes:\n"
        .to_owned();
    for node in 0..NODES {
        writeln!(mesh, "  node-{node:04}: {{ authority: ca_1 }}").unwrap();
    }
    mesh
}

/// The steps that a script of openssl commands takes for colorapp: a key, a request and a
/// certificate for each CA and each leaf, then chains and the bundle.
fn openssl_script() -> String {
    let mut script = "mkdir certs; cd certs\n\
        printf '[req]\\ndistinguished_name=dn\\nprompt=no\\n[dn]\\nO=Example\\nCN=CA\\n\
        [ext]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=critical,cRLSign,keyCertSign\\n\
        subjectKeyIdentifier=hash\\n' >ca.cnf\n"
        .to_owned();
    for ca in ["ca_1", "ca_2"] {
        script += &format!(
            "openssl genrsa -out {ca}_key.pem 2048\n\
             openssl req -new -key {ca}_key.pem -out {ca}.csr -config ca.cnf -batch -sha256\n\
             openssl x509 -req -days 3650 -in {ca}.csr -signkey {ca}_key.pem -out {ca}_cert.pem \
             -extensions ext -extfile ca.cnf\n"
        );
    }
    for (node, ca) in [("front", "ca_1"), ("colorapp-blue", "ca_1"), ("colorapp-green", "ca_2")] {
        script += &format!(
            "printf '[req]\\ndistinguished_name=dn\\nprompt=no\\n[dn]\\nO=Example\\n\
             CN={node}.colorapp.example\\n[ext]\\nbasicConstraints=CA:FALSE\\n\
             keyUsage=digitalSignature\\nextendedKeyUsage=clientAuth,serverAuth\\n\
             subjectAltName=DNS:{node}.colorapp.example\\n' >{node}.cnf\n\
             openssl genrsa -out {node}_key.pem 2048\n\
             openssl req -new -key {node}_key.pem -out {node}.csr -config {node}.cnf -batch \
             -sha256\n\
             openssl x509 -req -days 3650 -in {node}.csr -sha256 -CA {ca}_cert.pem \
             -CAkey {ca}_key.pem -CAcreateserial -out {node}_cert.pem \
             -extensions ext -extfile {node}.cnf\n\
             cat {node}_cert.pem {ca}_cert.pem >{node}_cert_chain.pem\n"
        );
    }
    script + "cat ca_1_cert.pem ca_2_cert.pem >ca_1_ca_2_bundle.pem\n"
}
