//! What can be set of projections.

use core::time::Duration;

/// How the projections of an application work. The defaults suit most.
///
/// ```
/// # use portolan_kernel::drivers::ProjectionOptions;
/// # use core::time::Duration;
/// let options = ProjectionOptions::default().with_lease(Duration::from_secs(3));
/// assert_eq!(options.page_events, 5_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionOptions {
    /// How many events a worker asks for at once, and applies in one batch unless the store takes less: 5,000. 0 counts
    /// as 1.
    pub page_events: u32,
    /// How long the lease of a worker lives that does not renew it: 10 seconds. A worker that dies is replaced after
    /// that long. Less than 10 milliseconds counts as 10.
    pub lease: Duration,
    /// How often a worker looks for what operators wish: every second. Less than a millisecond counts as one.
    pub look: Duration,
    /// After how long without a move a projection that is behind counts as stalled: 30 seconds.
    pub stall: Duration,
    /// How many events one edition parks at most, before it stops: 10,000.
    pub parked: u32,
}

impl Default for ProjectionOptions {
    fn default() -> Self {
        Self {
            page_events: 5_000,
            lease: Duration::from_secs(10),
            look: Duration::from_secs(1),
            stall: Duration::from_secs(30),
            parked: 10_000,
        }
    }
}

/// What is asked for more often than so is no more than a loop that keeps the store busy.
const LEAST_LOOK: Duration = Duration::from_millis(1);
const LEAST_LEASE: Duration = Duration::from_millis(10);

impl ProjectionOptions {
    /// The same, with nothing so short that workers would spin.
    pub(super) fn floored(self) -> Self {
        let (page_events, lease) = (self.page_events.max(1), self.lease.max(LEAST_LEASE));
        Self { page_events, lease, look: self.look.max(LEAST_LOOK), ..self }
    }

    /// The same, with at most so many events a page.
    #[must_use]
    pub fn with_page_events(self, page_events: u32) -> Self {
        Self { page_events, ..self }
    }

    /// The same, with leases that live this long.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The same, looking for wishes this often.
    #[must_use]
    pub fn with_look(self, look: Duration) -> Self {
        Self { look, ..self }
    }

    /// The same, stalled after this long.
    #[must_use]
    pub fn with_stall(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }

    /// The same, with room for this many parked events an edition.
    #[must_use]
    pub fn with_parked(self, parked: u32) -> Self {
        Self { parked, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_so_short_that_workers_spin() {
        let none =
            ProjectionOptions::default().with_look(Duration::ZERO).with_lease(Duration::ZERO).with_page_events(0);
        let floored = none.floored();
        assert_eq!((floored.look, floored.lease, floored.page_events), (LEAST_LOOK, LEAST_LEASE, 1));
        assert_eq!(ProjectionOptions::default().floored(), ProjectionOptions::default());
    }
}
