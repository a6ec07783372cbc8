//! The system's clock.

use portolan_kernel::ports::Clock;
use portolan_kernel::values::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's clock, in UTC. It follows the system when that is set back; before 1970 it reads 1970.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(0).plus(since_epoch)
    }
}
