//! The attempts of one saga that are in flight here: those at work, and those that were interrupted and are to be run again.

use super::attempt::{AttemptKey, Outcome};
use crate::domain::saga::Run;
use crate::drivers::backoff::share_of;
use crate::ports::IdSource;
use crate::values::Timestamp;
use alloc::vec::Vec;
use core::time::Duration;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt as _};

/// The longest pause before an attempt is run again that was interrupted.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The attempts of one saga that are in flight here.
#[derive(Default)]
pub(super) struct AtWork {
    /// Those that were begun here, of those in flight. The others were begun by another, who may be at them still.
    pub(super) begun: Vec<AttemptKey>,
    futures: FuturesUnordered<Abortable<BoxFuture<'static, Outcome>>>,
    handles: Vec<(AttemptKey, AbortHandle)>,
    interrupted: Vec<Interrupted>,
}

/// An attempt that nobody works on, as if the process had just begun.
struct Interrupted {
    key: AttemptKey,
    times: u32,
    again: Timestamp,
}

impl AtWork {
    /// Lets go whatever is not among these any more.
    pub(super) fn keep_only(&mut self, run: &[Run]) {
        self.begun.retain(|key| run.iter().any(|run| is_of(run, key)));
        self.interrupted.retain(|interrupted| run.iter().any(|run| is_of(run, &interrupted.key)));
        self.handles.retain(|(key, handle)| {
            let stays = run.iter().any(|run| is_of(run, key));
            if !stays {
                handle.abort();
            }
            stays
        });
    }

    /// Whether it is not at work, and is to be at this time.
    pub(super) fn may_begin(&self, run: &Run, now: Timestamp) -> bool {
        let waits = |interrupted: &Interrupted| is_of(run, &interrupted.key) && interrupted.again > now;
        !self.handles.iter().any(|(key, _)| is_of(run, key)) && !self.interrupted.iter().any(waits)
    }

    /// It is at work from now on.
    pub(super) fn add(&mut self, run: &Run, work: BoxFuture<'static, Outcome>) {
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.push(((run.step.clone(), run.way, run.attempt), handle));
        self.futures.push(Abortable::new(work, registration));
    }

    /// It was interrupted, and is to be run again after a pause that is longer each time.
    pub(super) fn interrupted(&mut self, key: AttemptKey, now: Timestamp, ids: &dyn IdSource) {
        let before = self.interrupted.iter().position(|interrupted| interrupted.key == key);
        let times = before.map_or(0, |before| self.interrupted.swap_remove(before).times);
        let most = Duration::from_millis(100).saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE);
        let again = now.plus(most / 2 + share_of(ids, most / 2));
        self.interrupted.push(Interrupted { key, times: times.saturating_add(1), again });
    }

    /// Whether nothing is at work.
    pub(super) fn is_idle(&self) -> bool {
        self.handles.is_empty()
    }

    /// When the first is to be run again of those that were interrupted and are not at work; `None`: there is none.
    pub(super) fn again(&self) -> Option<Timestamp> {
        let is_at_work = |interrupted: &Interrupted| self.handles.iter().any(|(key, _)| *key == interrupted.key);
        let rest = self.interrupted.iter().filter(|interrupted| !is_at_work(interrupted));
        rest.map(|interrupted| interrupted.again).min()
    }

    /// The next answer; never when there is none to come.
    pub(super) async fn answer(&mut self) -> Outcome {
        loop {
            match self.futures.next().await {
                Some(Ok(outcome)) => {
                    self.handles.retain(|(key, _)| *key != outcome.0);
                    return outcome;
                }
                Some(Err(Aborted)) => {}
                None => core::future::pending().await,
            }
        }
    }
}

fn is_of(run: &Run, (step, way, attempt): &AttemptKey) -> bool {
    (&run.step, run.way, run.attempt) == (step, *way, *attempt)
}
