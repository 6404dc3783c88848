//! The budget of one object: how many bytes the detector may visit. Knows nothing of what is read.

/// Counts the work done; when it runs out, everything else is left unread and said to be.
#[derive(Debug)]
pub(super) struct Meter {
    left: usize,
    spent: usize,
    ran_out: bool,
}

impl Meter {
    pub(super) fn new(budget: usize) -> Self {
        Meter { left: budget, spent: 0, ran_out: false }
    }

    /// Takes `bytes` from the budget; `false` when there are not that many left.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        if bytes > self.left {
            self.ran_out = true;
            self.left = 0;
            return false;
        }
        self.left -= bytes;
        self.spent += bytes;
        true
    }

    /// Takes what has been done already, as far as there is something left: by itself it leaves nothing unread.
    pub(super) fn charge(&mut self, bytes: usize) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.spent += bytes;
    }

    pub(super) fn spent(&self) -> usize {
        self.spent
    }

    pub(super) fn ran_out(&self) -> bool {
        self.ran_out
    }
}
