//! `certctl agent` as Envoys see it: how soon each has its secrets, alone and among thousands, and
//! what that costs. Beside a server that does the least (tonic, Envoy's own messages, one text for
//! everybody), in the same run.
//!
//! The real release binary serves over a Unix socket; the clients are light ones that behave as
//! Envoy does on the wire, with 61 kB of node in every request. Where there are four processors,
//! the server has two and the clients the others.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "it fails loudly")]
#![allow(dead_code, reason = "of what the tests share, a part is used")]

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Builder;

#[path = "../../tests/support/sds_client.rs"]
mod sds_client;
#[path = "../../tests/support/sds_fleet.rs"]
mod sds_fleet;
#[path = "../../tests/support/sds_frames.rs"]
mod sds_frames;
#[path = "../../tests/support/sds_stub.rs"]
mod sds_stub;

mod crowd;
mod least;
mod mesh;
mod process;
mod sidecar;

/// The file system that state is kept on: the one that a state directory would be on.
struct Place(TempDir);

impl Place {
    fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [least::ARGUMENT, socket] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        return least::serve(socket);
    }
    // `cargo bench --bench sds -- 5000` measures so many alone.
    let asked: Vec<_> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    process::stay_on_own_processors();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if !asked.is_empty() {
            return crowds(&asked).await;
        }
        sidecar::run().await;
        crowds(&[1_000, 5_000]).await;
    });
}

async fn crowds(counts: &[usize]) {
    for count in counts {
        crowd::run(*count).await;
    }
}

/// A table's heading.
fn heading(what: &str) {
    println!();
    println!("{what}");
    println!("{:<58} {:>12} {:>12} {:>9}", "", "certctl", "the least", "ratio");
}

/// A row: ours, and the same of the server that does the least, where it can do that at all.
fn row(what: &str, unit: &str, ours: f64, least: Option<f64>) {
    let (least, ratio) = match least {
        Some(least) => (format!("{least:.1}"), format!("{:.2}x", ours / least)),
        None => (String::new(), String::new()),
    };
    println!("{:<58} {ours:>12.1} {least:>12} {ratio:>9}", format!("{what}, {unit}"));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The value below which this share of all lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
