//! The SHA-256 of a process's program, each program read once.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::process::{FileIdentity, Process, started};

/// The largest program that is read; Envoy with its symbols has 1.3 GB.
const MAX_BYTES: u64 = 2 << 30;
/// How many programs are remembered.
const MAX_KNOWN: usize = 256;
const BUFFER: usize = 256 << 10;

/// What programs hash to.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    known: Mutex<VecDeque<(FileIdentity, String)>>,
    /// One at a time: many callers of one program cost one reading.
    reading: Mutex<()>,
}

impl Hashes {
    /// The SHA-256 of the program, in lower-case hexadecimal digits; none where it cannot be read,
    /// is too large, or where the process is no longer the one that was looked at. Takes as long
    /// as reading the file does, the first time.
    pub(super) fn sha256(&self, process: &Process) -> Option<String> {
        if let Some(known) = self.known(process) {
            return Some(known);
        }
        let program = process.program?;
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.known(process).or_else(|| {
            let hash = read(process, program)?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() == MAX_KNOWN {
                known.pop_front();
            }
            known.push_back((program, hash.clone()));
            Some(hash)
        })
    }

    /// The same if the program was read before. Never blocks.
    pub(super) fn known(&self, process: &Process) -> Option<String> {
        let program = process.program?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(of, _)| *of == program).map(|(_, hash)| hash.clone())
    }
}

/// Reads the file itself, through the process that runs it: its path may lead elsewhere by now.
fn read(process: &Process, program: FileIdentity) -> Option<String> {
    let is_same =
        |file: &File| file.metadata().is_ok_and(|metadata| FileIdentity::of(&metadata) == program);
    let file = File::open(format!("/proc/{}/exe", process.pid)).ok()?;
    let same_process = started(process.pid) == Some(process.started);
    if !same_process || program.size > MAX_BYTES || !is_same(&file) {
        return None;
    }
    let hash = digest(&file, program.size).ok()?;
    is_same(&file).then_some(hash)
}

fn digest(file: &File, size: u64) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut file = file.take(size);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => context.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut hexadecimal = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    Ok(hexadecimal)
}
