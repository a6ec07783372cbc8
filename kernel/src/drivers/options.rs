//! What can be set of a command bus.

use core::time::Duration;

/// The limits of an application's command bus. The defaults suit a service with some thousand callers.
///
/// ```
/// # use portolan_kernel::drivers::BusOptions;
/// let options = BusOptions::default().with_waiting_per_stream(50);
/// assert_eq!((options.waiting, options.waiting_per_stream), (10_000, 50));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusOptions {
    /// How many commands may wait for their turn, on all streams together: 10,000. One more is
    /// [`Busy`](crate::ports::CommandError::Busy).
    pub waiting: usize,
    /// How many commands may wait for their turn on one stream, or on one tag of a decision model: 1,000. Streams
    /// share 1,024 queues, so that two may count together.
    pub waiting_per_stream: usize,
    /// How long a command without a deadline waits for projections (CB-09): 10 seconds. After a shutdown has begun, no
    /// command waits longer.
    pub catch_up: Duration,
    /// How often a decision is made anew because others have changed what it depends on: 24 times.
    pub conflicts: u32,
    /// Whether the state that a command comes to is kept for the next command on the same stream: yes. That one then reads no
    /// events before it decides, unless others have appended meanwhile. Each of the 1,024 queues keeps the
    /// last four at most; for states of some megabytes that may be too much.
    pub keep_states: bool,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            waiting: 10_000,
            waiting_per_stream: 1_000,
            catch_up: Duration::from_secs(10),
            conflicts: 24,
            keep_states: true,
        }
    }
}

impl BusOptions {
    /// The same, with room for this many waiting commands in all.
    #[must_use]
    pub fn with_waiting(self, waiting: usize) -> Self {
        Self { waiting, ..self }
    }

    /// The same, with room for this many waiting commands on one stream.
    #[must_use]
    pub fn with_waiting_per_stream(self, waiting_per_stream: usize) -> Self {
        Self { waiting_per_stream, ..self }
    }

    /// The same, with this much time for projections.
    #[must_use]
    pub fn with_catch_up(self, catch_up: Duration) -> Self {
        Self { catch_up, ..self }
    }

    /// The same, deciding anew at most so often.
    #[must_use]
    pub fn with_conflicts(self, conflicts: u32) -> Self {
        Self { conflicts, ..self }
    }

    /// The same, keeping states or not.
    #[must_use]
    pub fn with_keep_states(self, keep_states: bool) -> Self {
        Self { keep_states, ..self }
    }
}
