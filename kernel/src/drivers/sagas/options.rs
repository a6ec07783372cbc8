//! What can be set of sagas.

use super::index::SAGA_SLOTS;
use core::time::Duration;

/// How the sagas of an application are driven.
///
/// What one saga costs is limited by nothing here: its stream is read whole each time that it is driven
/// ([limits](mod@crate::domain::saga#limits)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaOptions {
    /// Into how many shards the sagas of a name are divided, by their ids: as many processes can share the work. All processes
    /// over one store have the same number. Where it differs for a while, as in a rolling deploy, those of each number drive
    /// all sagas among them: work is done twice, the effects of commands are had once, and an effect elsewhere is asked for
    /// twice, perhaps at the same time, under one key.
    ///
    /// Each process asks for the lease of each shard of each name three times within its time, whether it holds it or not, also
    /// where nothing happens: names × shards × processes × 3 calls of the lease store in the time of a [lease](Self::lease), and
    /// as many for one shard more with each process manager. With many names, take fewer shards or longer leases.
    pub shards: u32,
    /// How many sagas of a shard are at work at once. Those that pause, wait for a time, or need an operator do not count.
    pub in_flight: u32,
    /// How long a shard's lease lives without being renewed. As long a shard rests whose process has died. Whoever takes it
    /// over finds its sagas by their index, which is a projection: the lease of that one lives as long.
    pub lease: Duration,
    /// How long the attempts that are at work may go on when the process is shut down, or gives a shard up. After that they are
    /// dropped, and run again by whoever drives the saga next.
    pub grace: Duration,
}

impl Default for SagaOptions {
    fn default() -> Self {
        Self { shards: 4, in_flight: 64, lease: Duration::from_secs(10), grace: Duration::from_secs(10) }
    }
}

impl SagaOptions {
    /// Within what works.
    pub(super) fn sound(self) -> Self {
        Self {
            shards: self.shards.clamp(1, SAGA_SLOTS),
            in_flight: self.in_flight.max(1),
            lease: self.lease.max(Duration::from_millis(10)),
            ..self
        }
    }

    /// The same, with so many shards a name; from 1 to 65,536.
    #[must_use]
    pub fn with_shards(self, shards: u32) -> Self {
        Self { shards, ..self }
    }

    /// The same, with so many sagas at work at once in a shard; at least 1.
    #[must_use]
    pub fn with_in_flight(self, in_flight: u32) -> Self {
        Self { in_flight, ..self }
    }

    /// The same, with leases that live so long without being renewed; at least 10 ms.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The same, with so much time to finish when the process is shut down.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_so_small_that_nobody_works() {
        let none = SagaOptions::default().with_shards(0).with_in_flight(0).with_lease(Duration::ZERO).sound();
        assert_eq!((none.shards, none.in_flight, none.lease), (1, 1, Duration::from_millis(10)));
        assert_eq!(SagaOptions::default().with_shards(u32::MAX).sound().shards, SAGA_SLOTS);
        assert_eq!(SagaOptions::default().sound(), SagaOptions::default());
    }
}
