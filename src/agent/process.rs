//! The process itself: what it is and what it takes.

use std::fs;
use std::path::{Path, PathBuf};

/// Resident memory in bytes (`VmRSS` of proc_pid_status(5)); none where the system does not tell.
pub(super) fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    resident(&status)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Where what must survive a restart lies: where the user says, or where systemd does
/// (`StateDirectory=` of systemd.exec(5)), or beside the mesh file's reader.
pub(super) fn state_directory(asked: Option<&Path>) -> PathBuf {
    let of_systemd = std::env::var_os("STATE_DIRECTORY").filter(|path| !path.is_empty());
    // A unit may have several; the first is as good as any.
    let first = of_systemd.map(PathBuf::from).map(|paths| match paths.to_str() {
        Some(text) => PathBuf::from(text.split(':').next().unwrap_or(text)),
        None => paths,
    });
    asked.map(Path::to_owned).or(first).unwrap_or_else(|| PathBuf::from("certctl-state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_what_the_kernel_says() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    9216 kB\nVmData:\t 1 kB\n"), Some(9_437_184));
        assert_eq!(resident("Name:\tx\n"), None);
        assert!(resident_memory().is_none_or(|bytes| bytes > 100_000));
    }
}
