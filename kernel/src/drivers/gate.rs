//! A gate: lets work in until it is shut, then tells when the last of it has left.

use core::sync::atomic::{AtomicUsize, Ordering};
use event_listener::{Event, listener};

/// The highest bit says shut, the others count who is inside.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicUsize,
    left: Event,
    is_shut: Event,
}

const SHUT: usize = 1 << (usize::BITS - 1);

/// Someone is inside, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    /// In, unless the gate is shut.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        // Counted first and then looked: nobody slips in between the shutting and the count.
        let before = self.state.fetch_add(1, Ordering::AcqRel);
        let pass = Pass(self);
        (before & SHUT == 0).then_some(pass)
    }

    /// Shuts the gate and waits until nobody is inside. May be called again, and dropped.
    pub(super) async fn shut(&self) {
        self.state.fetch_or(SHUT, Ordering::AcqRel);
        self.is_shut.notify(usize::MAX);
        loop {
            listener!(self.left => left);
            if self.state.load(Ordering::Acquire) == SHUT {
                return;
            }
            left.await;
        }
    }

    /// Returns once the gate is shut, whoever is still inside.
    pub(super) async fn shutting(&self) {
        loop {
            listener!(self.is_shut => is_shut);
            if self.state.load(Ordering::Acquire) & SHUT != 0 {
                return;
            }
            is_shut.await;
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::AcqRel) == SHUT + 1 {
            self.0.left.notify(usize::MAX);
        }
    }
}
