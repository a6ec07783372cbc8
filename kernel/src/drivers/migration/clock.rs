//! The clock of a target whose events keep their times.

use crate::ports::Clock;
use crate::values::Timestamp;
use core::sync::atomic::{AtomicU32, Ordering};

/// A clock that stands still at the time of what is copied: for the target of a migration that
/// [keeps times](super::Migration::keep_times). It begins at the Unix epoch.
#[derive(Debug, Default)]
pub struct ReplayClock {
    // Two halves, for targets without wide atomics. They are set between appends and read within.
    high: AtomicU32,
    low: AtomicU32,
}

impl ReplayClock {
    /// A clock at the Unix epoch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn set(&self, time: Timestamp) {
        let [a, b, c, d, e, f, g, h] = time.as_micros().to_be_bytes();
        self.high.store(u32::from_be_bytes([a, b, c, d]), Ordering::SeqCst);
        self.low.store(u32::from_be_bytes([e, f, g, h]), Ordering::SeqCst);
    }
}

impl Clock for ReplayClock {
    fn now(&self) -> Timestamp {
        let (high, low) = (self.high.load(Ordering::SeqCst), self.low.load(Ordering::SeqCst));
        Timestamp::from_micros(u64::from(high) << 32 | u64::from(low))
    }
}
