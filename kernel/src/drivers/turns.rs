//! Turns: commands on one stream one after another, so that they do not conflict within a process.
//!
//! Expected revisions alone keep the log right; turns only spare the futile work of many callers that decide on
//! one stream at once. So it does no harm that some streams share a turn.

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use event_listener::{Event, listener};

/// So many that two busy streams rarely share one.
const TURNS: usize = 1024;

pub(super) struct Turns(Box<[Turn]>);

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Turn {
    taken: AtomicBool,
    waiting: AtomicUsize,
    free: Event,
}

/// It is the holder's turn, until this is dropped.
pub(super) struct Taken<'a>(&'a Turn);

impl Turns {
    pub(super) fn new() -> Self {
        Self((0..TURNS).map(|_| Turn::default()).collect())
    }

    /// Waits for the turn on what has this name, in the order of asking. May be dropped.
    pub(super) async fn take(&self, name: &str) -> Taken<'_> {
        let turn = &self.0[slot(name)];
        // Whoever comes while others wait queues behind them, or a caller that comes back at once starves them.
        if turn.waiting.load(SeqCst) == 0
            && let Some(taken) = turn.try_take()
        {
            return taken;
        }
        let waiting = Waiting::new(turn);
        loop {
            listener!(turn.free => free);
            // It may have become free before it could be heard here: take it, or wake whoever is first in line.
            if turn.waiting.load(SeqCst) == 1 {
                if let Some(taken) = turn.try_take() {
                    return taken;
                }
            } else if !turn.taken.load(SeqCst) {
                turn.free.notify(1);
            }
            free.await;
            if let Some(taken) = turn.try_take() {
                drop(waiting);
                return taken;
            }
        }
    }
}

impl Turn {
    fn try_take(&self) -> Option<Taken<'_>> {
        // `then_some` would make a `Taken` either way, and drop it: the turn of another would end.
        self.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok().then(|| Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, SeqCst);
        self.0.free.notify(1);
    }
}

/// Counts as waiting, until this is dropped.
struct Waiting<'a>(&'a Turn);

impl<'a> Waiting<'a> {
    fn new(turn: &'a Turn) -> Self {
        turn.waiting.fetch_add(1, SeqCst);
        Self(turn)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

/// FNV-1a, for want of a hasher in `core`.
fn slot(name: &str) -> usize {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize % TURNS
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use futures::FutureExt;

    /// Many callers on one turn, on two threads, some of which give up: each that stays gets it, alone.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_at_a_time_and_nobody_is_forgotten() {
        let turns = Arc::new(Turns::new());
        let inside = Arc::new(AtomicUsize::new(0));
        let callers = (0..32_u32).map(|caller| {
            let (turns, inside) = (turns.clone(), inside.clone());
            tokio::spawn(async move {
                for round in 0..500 {
                    if (caller + round) % 3 == 0 {
                        // Polled once, then dropped, whether or not it was told meanwhile.
                        let mut given_up = Box::pin(turns.take("s"));
                        let taken = (&mut given_up).now_or_never();
                        tokio::task::yield_now().await;
                        drop((given_up, taken));
                        continue;
                    }
                    let taken = turns.take("s").await;
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                    drop(taken);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }

    /// Callers on threads of their own, so that they meet between any two instructions.
    #[test]
    fn nobody_sleeps_while_the_turn_is_free() {
        let turns = Arc::new(Turns::new());
        let callers = (0..3).map(|_| {
            let turns = turns.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..1_000 {
                        drop(turns.take("s").await);
                    }
                });
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.join().unwrap();
        }
    }

    #[test]
    fn a_free_turn_is_not_left_to_one_who_does_not_listen_yet() {
        let turns = Turns::new();
        let _counted = Waiting::new(&turns.0[slot("s")]);
        assert!(turns.take("s").now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_comes_back_at_once_queues_behind_those_who_wait() {
        let turns = Turns::new();
        let first = turns.take("s").await;
        let mut second = Box::pin(turns.take("s"));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(turns.take("s").now_or_never().is_none(), "the second was passed over");
        assert!(second.now_or_never().is_some());
    }
}
