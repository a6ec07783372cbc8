//! For how long the writer looks for those whom it has just answered, before it begins the next transaction.

use core::time::Duration;
use std::time::Instant;

/// So long after the last one has come. They come within microseconds of each other; to sleep and be woken takes longer.
const PAUSE: Duration = Duration::from_micros(50);

/// Or this part of what the commit took, where that is more.
const PART: u32 = 8;

/// Never for longer than a commit takes: who has come waits no longer than for the one that is spared.
pub(crate) struct Patience {
    /// How long the last commit took.
    took: Duration,
    answered: Instant,
    last_came: Instant,
}

impl Patience {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { took: Duration::ZERO, answered: now, last_came: now }
    }

    /// A commit that has begun then is done.
    pub(crate) fn committed(&mut self, begun: Instant) {
        self.took = begun.elapsed();
    }

    /// Everybody is answered.
    pub(crate) fn begin(&mut self) {
        self.answered = Instant::now();
        self.last_came = self.answered;
    }

    /// Whether there is any left; `more`: some have come since it was asked last.
    pub(crate) fn lasts(&mut self, more: bool) -> bool {
        let now = Instant::now();
        if more {
            self.last_came = now;
        }
        now - self.last_came < PAUSE.max(self.took / PART) && now - self.answered < self.took
    }
}
