//! What whoever drives a saga is told meanwhile.

use crate::values::Revision;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use event_listener::{Event, listener};

/// Tells whoever drives a saga that its stream has grown, or that it is to stop. A clone tells the same one.
#[derive(Debug, Clone, Default)]
pub struct SagaNudge(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    /// How many facts the stream is known to have; at its most when that is not known.
    facts: AtomicU32,
    stop: AtomicBool,
    event: Event,
}

impl SagaNudge {
    /// A new one, which nobody has told.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The saga's stream may have grown: an operator has acted.
    pub fn look(&self) {
        self.has_facts(u32::MAX);
    }

    /// The saga's stream has grown to this fact. It is nothing new to whoever has appended it.
    pub(super) fn has(&self, last: Revision) {
        self.has_facts(facts(Some(last)));
    }

    fn has_facts(&self, facts: u32) {
        self.0.facts.fetch_max(facts, SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// Nothing more is to be begun.
    pub fn stop(&self) {
        self.0.stop.store(true, SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// The last fact that it was told of, if nobody has heard that.
    pub(super) fn untold(&self) -> Option<Revision> {
        self.0.facts.load(SeqCst).checked_sub(1).map(|last| Revision::new(last.into()))
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stop.load(SeqCst)
    }

    /// Returns once told what is new: that the stream has grown past what was read, which is forgotten then, or that it is to
    /// stop, unless that is known.
    pub(super) async fn told(&self, read: Option<Revision>, is_stopped: bool) {
        loop {
            listener!(self.0.event => told);
            if self.0.facts.swap(0, SeqCst) > facts(read) || (self.is_stopped() && !is_stopped) {
                return;
            }
            told.await;
        }
    }
}

/// How many facts there are up to this one, as far as can be counted.
fn facts(last: Option<Revision>) -> u32 {
    last.map_or(0, |last| u32::try_from(last.get()).unwrap_or(u32::MAX).saturating_add(1).min(u32::MAX - 1))
}
