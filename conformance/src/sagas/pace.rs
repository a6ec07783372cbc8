//! Looking for what has to come, again and again.

use core::time::Duration;
use std::time::Instant;

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(25);

/// How often to look, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    patience: Duration,
    longest: Duration,
}

impl Pace {
    /// For a storage that is so many times as slow as one that answers at once: what looks at it all the time has no less to do
    /// with it than what is looked for.
    pub(super) fn of(patience: Duration, slowness: u32) -> Self {
        Self { patience: patience * slowness, longest: LONGEST * slowness }
    }

    /// The first look is now.
    pub(super) fn begin(self) -> Looks {
        Looks { pace: self, begun: Instant::now(), pause: SHORTEST }
    }
}

/// One after another: soon again at first, and then less often.
#[derive(Debug)]
pub(super) struct Looks {
    pace: Pace,
    begun: Instant,
    pause: Duration,
}

impl Looks {
    /// Waits until the next look; `false` when there is none, because patience is at its end.
    pub(super) async fn again(&mut self) -> bool {
        if self.begun.elapsed() > self.pace.patience {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(self.pace.longest);
        true
    }
}
