//! The log: all that one lock guards.

use crate::index::Index;
use crate::keys::Keys;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_kernel::values::{Name, Position, Recorded, Token};
use std::collections::HashMap;

/// The events and what is atomic with them. The event at index `i` has position `i + 1`, so that a position
/// is also the number of events up to it.
pub(crate) struct Log {
    pub(crate) events: Vec<Arc<Recorded>>,
    pub(crate) index: Index,
    pub(crate) keys: Keys,
    pub(crate) checkpoints: HashMap<Name, (Option<Position>, Token)>,
}

impl Log {
    pub(crate) fn new(key_retention: Option<Duration>) -> Self {
        Self {
            events: Vec::new(),
            index: Index::default(),
            keys: Keys::new(key_retention),
            checkpoints: HashMap::new(),
        }
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> u32 {
        // An append that would take the log past it is refused.
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }

    /// Up to where everything is visible.
    pub(crate) fn frontier(&self) -> Option<Position> {
        position_before(self.len())
    }
}

/// The index of the first event after a position; `None`: of the first event.
pub(crate) fn index_after(position: Option<Position>) -> u32 {
    position.map_or(0, |position| u32::try_from(position.get()).unwrap_or(u32::MAX))
}

/// The position of the last event before an index; none before the first.
pub(crate) fn position_before(index: u32) -> Option<Position> {
    if index == 0 { None } else { Position::new(index.into()) }
}
