//! How many descriptors this process may have, and how many of them are for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors are kept for everything else: files that are written, sockets that listen,
/// operators who ask. Who floods a socket must not keep certificates from being renewed.
const KEPT: usize = 192;

/// However few there are, so many connections there may be.
const FEWEST_CONNECTIONS: usize = 16;

/// Lets the process have as many descriptors as it may: the usual soft limit of 1024 is there for
/// select(2), which nobody here calls (getrlimit(2)). What cannot be raised stays.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where the hard limit is too high for this user, the kernel refuses, and nothing changes.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How many connections there may be at one moment: `most`, or what the limit leaves.
pub fn connections(most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    fitting(most, limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn fitting(most: usize, limit: Option<usize>) -> usize {
    let left = limit.map_or(most, |limit| limit.saturating_sub(KEPT));
    left.max(FEWEST_CONNECTIONS).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        assert_eq!(fitting(10_000, None), 10_000);
        assert_eq!(fitting(10_000, Some(65_536)), 10_000);
        assert_eq!(fitting(10_000, Some(1024)), 1024 - KEPT);
        assert_eq!(fitting(10_000, Some(64)), FEWEST_CONNECTIONS);
    }
}
