//! How far a long run has come, on stderr, for somebody who watches.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Before this nobody wonders.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two updates.
const STEP: Duration = Duration::from_millis(100);

/// A line that is rewritten; nothing when stderr is no terminal.
pub(super) struct Progress {
    total: usize,
    what: &'static str,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Of `total` files, or whatever `what` says.
    pub(super) fn new(total: usize, what: &'static str) -> Self {
        // Results in the same terminal are progress enough, and would be torn apart.
        Progress::shown_if(!io::stdout().is_terminal(), total, what)
    }

    /// The same where results come at the end only.
    pub(super) fn before_results(total: usize, what: &'static str) -> Self {
        Progress::shown_if(true, total, what)
    }

    fn shown_if(wanted: bool, total: usize, what: &'static str) -> Self {
        let watched = wanted && io::stderr().is_terminal();
        Progress { total, what, next: watched.then(|| Instant::now() + PATIENCE), shown: false }
    }

    /// So many are done.
    pub(super) fn at(&mut self, done: usize) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + STEP);
            self.shown = true;
            let _ = write!(io::stderr().lock(), "\r{done} of {} {} …\u{1b}[K", self.total, self.what);
        }
    }

    /// Takes the line away, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
