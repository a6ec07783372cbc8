//! Pauses between attempts: longer each time, and spread at random so that rivals part.

use crate::ports::{IdSource, Sleep};
use core::time::Duration;

/// Counts attempts of one kind, and pauses before the next.
pub(super) struct Backoff<'a> {
    ids: &'a dyn IdSource,
    sleep: &'a dyn Sleep,
    left: u32,
    most: Duration,
}

const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(250);

impl<'a> Backoff<'a> {
    /// At most this many pauses.
    pub(super) fn new(ids: &'a dyn IdSource, sleep: &'a dyn Sleep, pauses: u32) -> Self {
        Self { ids, sleep, left: pauses, most: SHORTEST }
    }

    /// Pauses, and tells whether there may be another attempt.
    pub(super) async fn pause(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        // Ids are where a kernel without randomness has it from: the last bytes of a fresh one.
        let id = self.ids.new_id();
        let [.., a, b] = *id.as_bytes();
        let share = u32::from(u16::from_be_bytes([a, b])) + 1;
        self.sleep.sleep(self.most * share / (1 << 16)).await;
        self.most = (self.most * 2).min(LONGEST);
        true
    }
}
