//! How many files the process may have open.
//!
//! A soft limit of 1,024 is what a shell and newer container runtimes give; it is there for programs that use `select`, and may be raised up to
//! the hard one. A connection is a file, and one too many locks the kubelet out, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not a connection of the webhook: the plain listener, the log, the cluster's watches, files that are read.
const OTHERS: u64 = 128;

/// What the runtime of a worker thread has open (four, of tokio 1.54), and one more.
const WORKER: usize = 5;

/// Raises the soft limit to the hard one; says what it is then, unless there is none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// How many of `connections` fit below a limit of open files, beside so many worker threads.
pub fn fitting(connections: usize, workers: usize, limit: Option<u64>) -> usize {
    let others = OTHERS.saturating_add(u64::try_from(workers.saturating_mul(WORKER)).unwrap_or(u64::MAX));
    let room = limit.map(|limit| limit.saturating_sub(others).max(limit / 2).max(1));
    room.map_or(connections, |room| connections.min(usize::try_from(room).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_others() {
        assert_eq!(fitting(2048, 2, None), 2048);
        assert_eq!(fitting(2048, 2, Some(1 << 20)), 2048);
        assert_eq!(fitting(2048, 2, Some(1024)), 886);
        assert_eq!(fitting(2048, 64, Some(1024)), 576);
        assert_eq!(fitting(100, 2, Some(1024)), 100);
        assert_eq!(fitting(2048, 2, Some(64)), 32);
    }
}
