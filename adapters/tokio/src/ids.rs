//! Ids that rise with time.

use crate::SystemClock;
use alloc::sync::Arc;
use portolan_kernel::ports::{Clock, IdSource};
use portolan_kernel::values::EventId;
use std::sync::{Mutex, PoisonError};

/// How many bits of an id follow its milliseconds, version and variant left out.
const RANDOM_BITS: u32 = 74;

/// Makes UUIDs of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random ones. From one source each
/// id is larger than the one before, also within a millisecond and when the clock goes back.
pub struct UuidV7 {
    clock: Arc<dyn Clock>,
    /// The last id, without the bits that are fixed.
    last: Mutex<u128>,
}

impl UuidV7 {
    /// Ids by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Ids by this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::new(0) }
    }
}

impl Default for UuidV7 {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for UuidV7 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UuidV7").finish_non_exhaustive()
    }
}

impl IdSource for UuidV7 {
    /// # Panics
    ///
    /// When the operating system gives no random bytes: without them no id is safe from being given twice.
    fn new_id(&self) -> EventId {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("every supported system gives random bytes");
        let random = u128::from_ne_bytes(random);
        let millis = u128::from(self.clock.now().as_micros() / 1_000);
        let fresh = (millis << RANDOM_BITS) | (random >> (128 - RANDOM_BITS));

        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Within a millisecond, a random step: larger than the last, and not to be guessed from it.
        let step = 1 + (random & 0xffff_ffff);
        *last = fresh.max(last.wrapping_add(step));
        EventId::from_bytes(with_fixed_bits(*last).to_be_bytes())
    }
}

/// Puts the version (7) and the variant (binary 10) between the 48, 12 and 62 lowest bits of `bits`.
fn with_fixed_bits(bits: u128) -> u128 {
    let low = bits & ((1 << 62) - 1);
    let middle = (bits >> 62) & 0xfff;
    let millis = (bits >> RANDOM_BITS) & ((1 << 48) - 1);
    (millis << 80) | (0x7 << 76) | (middle << 64) | (0b10 << 62) | low
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};
    use portolan_kernel::values::Timestamp;

    struct SetClock(AtomicU64);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn an_id_has_the_layout_of_version_7() {
        let ids = UuidV7::with_clock(Arc::new(SetClock(AtomicU64::new(0x0123_4567_89ab * 1_000))));
        let id = *ids.new_id().as_bytes();
        assert_eq!(id[..6], [0x01, 0x23, 0x45, 0x67, 0x89, 0xab], "milliseconds come first");
        assert_eq!(id[6] >> 4, 7, "then the version");
        assert_eq!(id[8] >> 6, 0b10, "and in byte 8 the variant");
        assert_eq!(with_fixed_bits(u128::MAX >> 6), 0xffff_ffff_ffff_7fff_bfff_ffff_ffff_ffff, "no bit is lost");
    }

    #[test]
    fn ids_rise_also_when_the_clock_goes_back() {
        let clock = Arc::new(SetClock(AtomicU64::new(1_000_000_000)));
        let ids = UuidV7::with_clock(clock.clone());
        let mut last = ids.new_id();
        for n in 0..10_000_u64 {
            clock.0.store(1_000_000_000 - n * 100, Ordering::Relaxed);
            let next = ids.new_id();
            assert!(next > last, "{next} is not above {last}");
            last = next;
        }
    }

    #[test]
    fn ids_of_many_threads_are_all_different() {
        let ids = UuidV7::new();
        let mut all: Vec<EventId> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..2_000).map(|_| ids.new_id()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8_000);
    }
}
