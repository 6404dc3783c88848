//! How many files the process may have open.
//!
//! A soft limit of 1,024 is what a shell and newer container runtimes give; it is there for programs that use `select`, and may be raised up to
//! the hard one. A connection is a file, and one too many locks the kubelet out, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not a connection of the webhook: the plain listener, the log, the cluster's watches, files that are read.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one; says what it is then, unless there is none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// How many of `connections` fit below a limit of open files.
pub fn fitting(connections: usize, limit: Option<u64>) -> usize {
    let room = limit.map(|limit| limit.saturating_sub(OTHERS).max(limit / 2).max(1));
    room.map_or(connections, |room| connections.min(usize::try_from(room).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_others() {
        assert_eq!(fitting(2048, None), 2048);
        assert_eq!(fitting(2048, Some(1 << 20)), 2048);
        assert_eq!(fitting(2048, Some(1024)), 896);
        assert_eq!(fitting(100, Some(1024)), 100);
        assert_eq!(fitting(2048, Some(64)), 32);
    }
}
