//! The sagas of a shard that nobody works on: when each is due, and up to where its facts are known.

use crate::drivers::backoff::share_of;
use crate::ports::IdSource;
use crate::values::{Revision, SagaId, Timestamp};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

/// So many of those that ended last are remembered: what is told of them late is no reason to look at them.
const ENDED: usize = 4_096;

/// The longest pause before a saga that could not be driven is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The sagas that rest.
#[derive(Debug, Default)]
pub(super) struct Resting {
    sagas: BTreeMap<SagaId, Rest>,
    /// Those that are due now, in the order in which they became so; and some that have been taken since.
    ready: VecDeque<SagaId>,
    later: BTreeSet<(Timestamp, SagaId)>,
    ended: BTreeSet<SagaId>,
    ended_in_order: VecDeque<SagaId>,
}

#[derive(Debug, Default)]
struct Rest {
    /// When it is due; `None`: when its stream grows.
    due: Option<Timestamp>,
    is_ready: bool,
    /// The last fact that its driver has seen.
    last: Option<Revision>,
    /// How often it could not be driven in a row.
    failures: u32,
}

impl Resting {
    /// It was found, and is due then.
    pub(super) fn found(&mut self, saga: SagaId, due: Option<Timestamp>) {
        if !self.sagas.contains_key(&saga) && !self.ended.contains(&saga) {
            self.rests(saga, None, due);
        }
    }

    /// Its driver has seen all up to this fact, and it is due then.
    pub(super) fn rests(&mut self, saga: SagaId, last: Option<Revision>, due: Option<Timestamp>) {
        self.put(saga, Rest { due, last, ..Rest::default() });
    }

    /// It could not be driven, so often in a row, and is due after a pause.
    pub(super) fn failed(&mut self, saga: SagaId, failures: u32, now: Timestamp, ids: &dyn IdSource) {
        let most = Duration::from_millis(100).saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
        let pause = most / 2 + share_of(ids, most / 2);
        self.put(saga, Rest { due: Some(now.plus(pause)), failures: failures.saturating_add(1), ..Rest::default() });
    }

    /// It has ended.
    pub(super) fn ended(&mut self, saga: SagaId) {
        self.remove(&saga);
        if self.ended.insert(saga.clone()) {
            self.ended_in_order.push_back(saga);
        }
        if self.ended_in_order.len() > ENDED
            && let Some(first) = self.ended_in_order.pop_front()
        {
            self.ended.remove(&first);
        }
    }

    /// Its stream has grown to this fact: it is due now, if that is news.
    pub(super) fn grown(&mut self, saga: SagaId, last: Revision) {
        if self.ended.contains(&saga) {
            return;
        }
        let rest = self.sagas.entry(saga.clone()).or_default();
        if rest.last >= Some(last) || rest.is_ready {
            return;
        }
        rest.is_ready = true;
        if let Some(due) = rest.due.take() {
            self.later.remove(&(due, saga.clone()));
        }
        self.ready.push_back(saga);
    }

    /// The next that is due, and how often it could not be driven.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(SagaId, u32)> {
        let is_due = |(due, _): &(Timestamp, SagaId)| *due <= now;
        let saga = match self.later.first().filter(|first| is_due(first)) {
            // Whoever has waited for a time comes before whoever is told of.
            Some((_, saga)) => saga.clone(),
            None => loop {
                let saga = self.ready.pop_front()?;
                if self.sagas.get(&saga).is_some_and(|rest| rest.is_ready) {
                    break saga;
                }
            },
        };
        let failures = self.remove(&saga).map_or(0, |rest| rest.failures);
        Some((saga, failures))
    }

    /// When something is due, if nothing is now; `None`: nothing is.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let now = self.ready.front().map(|_| Timestamp::from_micros(0));
        now.or_else(|| self.later.first().map(|(due, _)| *due))
    }

    fn put(&mut self, saga: SagaId, rest: Rest) {
        self.remove(&saga);
        if let Some(due) = rest.due {
            self.later.insert((due, saga.clone()));
        }
        self.sagas.insert(saga, rest);
    }

    fn remove(&mut self, saga: &SagaId) -> Option<Rest> {
        let rest = self.sagas.remove(saga)?;
        if let Some(due) = rest.due {
            self.later.remove(&(due, saga.clone()));
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn saga(n: u32) -> SagaId {
        SagaId::new("s", &format!("{n}")).unwrap()
    }

    /// In less than a moment: nothing is looked for in the queue.
    #[test]
    fn a_burst_is_taken_in_its_order() {
        const MANY: u32 = 200_000;
        let (mut resting, now) = (Resting::default(), Timestamp::from_micros(1));
        for n in 0..MANY {
            resting.grown(saga(n), Revision::new(0));
        }
        for n in 0..MANY {
            assert_eq!(resting.take_due(now), Some((saga(n), 0)));
        }
        assert_eq!((resting.take_due(now), resting.next_due()), (None, None));
    }

    #[test]
    fn each_is_taken_once_however_often_it_is_told_of() {
        let (mut resting, now) = (Resting::default(), Timestamp::from_micros(5));
        let news = |resting: &mut Resting, n: u32, last: u64| resting.grown(saga(n), Revision::new(last));
        for last in 0..3 {
            news(&mut resting, 1, last);
            news(&mut resting, 2, last);
        }
        resting.rests(saga(3), None, Some(now));
        // It has ended before its turn, and the other is put off.
        resting.ended(saga(1));
        resting.rests(saga(2), Some(Revision::new(2)), Some(Timestamp::from_micros(9)));
        news(&mut resting, 1, 7);
        news(&mut resting, 2, 2);
        assert_eq!(resting.take_due(now), Some((saga(3), 0)));
        assert_eq!(resting.take_due(now), None);
        assert_eq!(resting.next_due(), Some(Timestamp::from_micros(9)));
        news(&mut resting, 2, 3);
        news(&mut resting, 4, 0);
        let taken: Vec<_> = core::iter::from_fn(|| resting.take_due(now)).map(|(saga, _)| saga).collect();
        assert_eq!(taken, [saga(2), saga(4)]);
        assert_eq!(resting.next_due(), None);
    }
}
