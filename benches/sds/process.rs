//! A server as a process: started on its own processors, ended on drop, and what it costs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// For how long a process must have done nothing to count as at rest.
const REST: Duration = Duration::from_millis(100);

/// A running server.
pub struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether servers and clients get processors of their own.
fn apart() -> bool {
    thread::available_parallelism().map_or(1, NonZero::get) >= 4
}

/// Leaves the first two processors to the servers; to be called before there are threads.
pub fn stay_on_own_processors() {
    if apart() {
        let own = std::process::id().to_string();
        let mut moving = Command::new("taskset");
        moving.args(["-cp", "2,3", &own]).stdout(Stdio::null());
        assert!(moving.status().unwrap().success());
        println!("servers have processors 0 and 1, clients 2 and 3");
    } else {
        println!("servers and clients share the processors");
    }
}

impl Process {
    /// Starts a program in a directory; its log goes to a file there.
    pub fn start(program: &str, arguments: &[&str], directory: &Path) -> Self {
        let mut command = if apart() {
            let mut command = Command::new("taskset");
            command.args(["-c", "0,1", program]);
            command
        } else {
            Command::new(program)
        };
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = command
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Writes a line to it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line from it.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        line
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its resident memory, in KiB.
    pub fn memory(&self) -> f64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The time that its threads have had a processor for.
    pub fn processor_time(&self) -> Duration {
        processor_time(self.child.id())
    }

    /// How often its threads have gone to sleep and been woken.
    pub fn switches(&self) -> u64 {
        let texts = threads(self.child.id(), "status").into_iter();
        let counts = texts.flat_map(|text| {
            let counts = text.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
            counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).collect::<Vec<_>>()
        });
        counts.sum()
    }

    /// Waits until it does nothing any more; returns when it last did something.
    pub async fn at_rest(&self) -> Instant {
        let (mut last, mut since) = (self.processor_time(), Instant::now());
        while since.elapsed() < REST {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = self.processor_time();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        since
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }
}

/// The time that the threads of a process have had a processor for.
pub fn processor_time(process: u32) -> Duration {
    let nanoseconds = threads(process, "schedstat")
        .into_iter()
        .map(|text| -> u64 { text.split(' ').next().unwrap().parse().unwrap() });
    Duration::from_nanos(nanoseconds.sum())
}

fn threads(process: u32, name: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    // A thread may end between the two looks.
    threads.flatten().filter_map(|entry| fs::read_to_string(entry.path().join(name)).ok()).collect()
}
