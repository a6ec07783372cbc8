//! Pauses between attempts: longer each time, and spread at random so that rivals part.

use crate::ports::{Clock, IdSource, Sleep};
use crate::values::Timestamp;
use core::time::Duration;

/// Counts attempts of one kind, and pauses before the next.
pub(super) struct Backoff<'a> {
    ids: &'a dyn IdSource,
    sleep: &'a dyn Sleep,
    left: u32,
    most: Duration,
    end: Option<(&'a dyn Clock, Timestamp)>,
}

const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(250);

impl<'a> Backoff<'a> {
    /// At most this many pauses.
    pub(super) fn new(ids: &'a dyn IdSource, sleep: &'a dyn Sleep, pauses: u32) -> Self {
        Self { ids, sleep, left: pauses, most: SHORTEST, end: None }
    }

    /// The same, with no further attempt from then on: what waited by itself is not made to wait again and
    /// again.
    pub(super) fn until(self, clock: &'a dyn Clock, end: Timestamp) -> Self {
        Self { end: Some((clock, end)), ..self }
    }

    /// Pauses, and tells whether there may be another attempt.
    pub(super) async fn pause(&mut self) -> bool {
        let is_over = self.end.is_some_and(|(clock, end)| clock.now() >= end);
        if self.left == 0 || is_over {
            return false;
        }
        self.left -= 1;
        self.sleep.sleep(share_of(self.ids, self.most)).await;
        self.most = (self.most * 2).min(LONGEST);
        true
    }
}

/// A random share of this time.
pub(super) fn share_of(ids: &dyn IdSource, most: Duration) -> Duration {
    // Ids are where a kernel without randomness has it from: the last bytes of a fresh one.
    let id = ids.new_id();
    let [.., a, b] = *id.as_bytes();
    most * (u32::from(u16::from_be_bytes([a, b])) + 1) / (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::EventId;
    use alloc::boxed::Box;
    use core::sync::atomic::{AtomicU32, Ordering};
    use futures::FutureExt;
    use futures::future::{BoxFuture, ready};

    /// A second passes with each look.
    #[derive(Default)]
    struct World(AtomicU32);

    impl Clock for World {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1_000_000 * u64::from(self.0.fetch_add(1, Ordering::Relaxed)))
        }
    }

    impl IdSource for World {
        fn new_id(&self) -> EventId {
            EventId::from_bytes([7; 16])
        }
    }

    impl Sleep for World {
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(ready(()))
        }
    }

    fn pauses(mut backoff: Backoff<'_>) -> usize {
        (0..100).take_while(|_| backoff.pause().now_or_never() == Some(true)).count()
    }

    #[test]
    fn attempts_end_by_number_and_by_time() {
        let world = World::default();
        assert_eq!(pauses(Backoff::new(&world, &world, 4)), 4);
        let end = world.now().plus(Duration::from_secs(3));
        assert_eq!(pauses(Backoff::new(&world, &world, 4).until(&world, end)), 2);
    }
}
