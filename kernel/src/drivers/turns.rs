//! Turns: commands on one stream one after another, so that they do not conflict within a process.
//!
//! Expected revisions alone keep the log right; turns only spare the futile work of many callers that decide on
//! one stream at once. So it does no harm that some streams share a turn.
//!
//! Whoever had the turn may leave something for those who come after: each turn keeps the last few.

use alloc::boxed::Box;
use alloc::vec::Vec;
use async_lock::Mutex;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use event_listener::{Event, listener};

/// So many that two busy streams rarely share one. There are never more, however many streams there are.
const TURNS: usize = 1024;

/// So many things that were left to others each turn keeps: busy streams that share it do not drive each other's out.
const KEPT: usize = 4;

pub(super) struct Turns {
    turns: Box<[Turn]>,
    waiting: AtomicUsize,
    most: usize,
    most_each: usize,
}

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
    /// Only whoever has the turn looks.
    left: Mutex<Vec<Box<dyn Any + Send>>>,
}

/// It is the holder's turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a>(&'a Turn);

impl Taken<'_> {
    /// What somebody has left that is of this type, and is it. It is gone then.
    pub(super) fn left<T: Any>(&self, is_it: impl Fn(&T) -> bool) -> Option<Box<T>> {
        let mut left = self.0.left.try_lock()?;
        let at = left.iter().position(|left| left.downcast_ref().is_some_and(&is_it))?;
        left.remove(at).downcast().ok()
    }

    /// Leaves this to those who come after.
    pub(super) fn leave<T: Any + Send>(&self, value: Box<T>) {
        if let Some(mut left) = self.0.left.try_lock() {
            if left.len() >= KEPT {
                left.remove(0);
            }
            left.push(value);
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn(..)")
    }
}

/// Too many wait already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{0} commands wait for their turn, and there is room for no more")]
    All(usize),
    #[error("{0} commands wait for {1}, and there is room for no more")]
    One(usize, Box<str>),
}

impl Turns {
    /// With room for this many who wait, in all and for each turn.
    pub(super) fn new(most: usize, most_each: usize) -> Self {
        Self { turns: (0..TURNS).map(|_| Turn::default()).collect(), waiting: AtomicUsize::new(0), most, most_each }
    }

    /// Waits for the turn on what has this name, in the order of asking. May be dropped.
    pub(super) async fn take(&self, name: &str) -> Result<Taken<'_>, Full> {
        self.take_slot(slot(name), name).await
    }

    /// Waits for the turns on all that have these names. Everybody takes them in one order, so that no two wait for
    /// each other.
    pub(super) async fn take_all(&self, names: &[impl AsRef<str>]) -> Result<Vec<Taken<'_>>, Full> {
        let mut slots: Vec<_> = names.iter().map(|name| (slot(name.as_ref()), name.as_ref())).collect();
        slots.sort_unstable();
        slots.dedup_by_key(|(slot, _)| *slot);
        let mut taken = Vec::with_capacity(slots.len());
        for (slot, name) in slots {
            taken.push(self.take_slot(slot, name).await?);
        }
        Ok(taken)
    }

    async fn take_slot(&self, slot: usize, name: &str) -> Result<Taken<'_>, Full> {
        let turn = &self.turns[slot];
        // Whoever comes while others wait queues behind them, or a caller that comes back at once starves them.
        if turn.waiting.load(SeqCst) == 0
            && let Some(taken) = turn.try_take()
        {
            return Ok(taken);
        }
        let _in_all = Waiting::new(&self.waiting, self.most).ok_or(Full::All(self.most))?;
        let waiting =
            Waiting::new(&turn.waiting, self.most_each).ok_or_else(|| Full::One(self.most_each, name.into()))?;
        loop {
            listener!(turn.free => free);
            // It may have become free before it could be heard here: take it, or wake whoever is first in line.
            if turn.waiting.load(SeqCst) == 1 {
                if let Some(taken) = turn.try_take() {
                    return Ok(taken);
                }
            } else if !turn.taken.load(SeqCst) {
                turn.free.notify(1);
            }
            free.await;
            if let Some(taken) = turn.try_take() {
                drop(waiting);
                return Ok(taken);
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
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// Unless that many wait already. Whoever is refused was never counted: a count of one says who is alone.
    fn new(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let one_more = |waiting| (waiting < most).then_some(waiting + 1);
        count.fetch_update(SeqCst, SeqCst, one_more).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
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
        let turns = Arc::new(Turns::new(1_000, 1_000));
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
                    let taken = turns.take("s").await.unwrap();
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
        let turns = Arc::new(Turns::new(1_000, 1_000));
        let callers = (0..3).map(|_| {
            let turns = turns.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..1_000 {
                        drop(turns.take("s").await.unwrap());
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
        let turns = Turns::new(1_000, 1_000);
        let _counted = Waiting::new(&turns.turns[slot("s")].waiting, 1).unwrap();
        assert!(turns.take("s").now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_comes_back_at_once_queues_behind_those_who_wait() {
        let turns = Turns::new(1_000, 1_000);
        let first = turns.take("s").await.unwrap();
        let mut second = Box::pin(turns.take("s"));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(turns.take("s").now_or_never().is_none(), "the second was passed over");
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_left_is_found_once_and_by_its_type() {
        let turns = Turns::new(1_000, 1_000);
        turns.take("s").await.unwrap().leave(Box::new(7_u64));
        let left =
            async |name, is_it: u64| turns.take(name).await.unwrap().left(|left| *left == is_it).map(|left| *left);
        assert_eq!((left("t", 7).await, left("s", 8).await), (None, None));
        assert_eq!(turns.take("s").await.unwrap().left(|_: &u32| true), None);
        assert_eq!((left("s", 7).await, left("s", 7).await), (Some(7), None));
        for value in 1..=5_u64 {
            turns.take("s").await.unwrap().leave(Box::new(value));
        }
        assert_eq!((left("s", 1).await, left("s", 2).await, left("s", 5).await), (None, Some(2), Some(5)));
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let turns = Turns::new(3, 2);
        let first = turns.take("s").await.unwrap();
        let other = turns.take("t").await.unwrap();
        let mut waiting: Vec<_> = ["s", "s", "t"].into_iter().map(|name| Box::pin(turns.take(name))).collect();
        assert!(waiting.iter_mut().all(|take| take.now_or_never().is_none()));
        assert_eq!(turns.take("t").await.unwrap_err(), Full::All(3));
        // Whoever gives up leaves room.
        drop(waiting.pop());
        assert_eq!(turns.take("s").await.unwrap_err(), Full::One(2, "s".into()));
        drop(waiting.pop());
        assert!(turns.take("s").now_or_never().is_none(), "there is room again");
        drop((first, other));
        assert!(waiting.pop().unwrap().now_or_never().unwrap().is_ok());
    }

    /// Each takes two of three turns, in the order that comes to its mind.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_waits_for_one_who_waits_for_him() {
        let turns = Arc::new(Turns::new(1_000, 1_000));
        let callers = (0..30).map(|caller| {
            let turns = turns.clone();
            tokio::spawn(async move {
                let names = ["a", "b", "c"];
                for round in 0..300 {
                    let mine = [names[(caller + round) % 3], names[(caller + round + 1 + caller % 2) % 3]];
                    let taken = turns.take_all(&mine).await.unwrap();
                    assert_eq!(taken.len(), 2);
                    tokio::task::yield_now().await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }
}
