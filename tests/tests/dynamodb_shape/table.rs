//! What the shape needs of DynamoDB: items under keys, conditional transactions, strongly consistent reads that
//! may see single items of a transaction late until it has been answered.

use portolan_kernel::values::{NewEvent, Position, Recalled, Recorded, Revision, Timestamp, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// Partition key and sort key.
pub(crate) type Key = (String, String);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    LogHead { last: u64 },
    Log(Arc<LogItem>),
    Head(Revision),
    Events(Arc<[Arc<Recorded>]>),
    Term,
    Key { recalled: Recalled, expires: Option<Timestamp> },
    Checkpoint { position: Option<Position>, token: Token },
}

/// One append in the log, or a part of one that is too large for an item: names only, no payload.
#[derive(Debug, PartialEq)]
pub(crate) struct LogItem {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The last position of the whole append.
    pub(crate) end: u64,
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) revision: Revision,
    pub(crate) names: NewEvent,
    /// The item that holds the event itself.
    pub(crate) holder: Key,
}

impl Item {
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Log(log) => log.entries.iter().map(|entry| entry.names.bytes() + 40).sum(),
            Self::Events(events) => events.iter().map(|event| event.bytes() + 80).sum(),
            Self::Key { recalled: Recalled { appended, .. }, .. } => {
                appended.streams.iter().map(|(stream, _)| stream.len() as u64 + 10).sum::<u64>()
                    + appended.note.len() as u64
            }
            _ => 100,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Always,
    LogAt(u64),
    HeadAt(Option<Revision>),
    /// Absent, or expired by this time.
    KeyFree(Timestamp),
    CheckpointAt(Option<Position>, Token),
}

impl Condition {
    fn holds(&self, item: Option<&Item>) -> bool {
        match (self, item) {
            (Self::LogAt(at), None) => *at == 0,
            (Self::LogAt(at), Some(Item::LogHead { last })) => at == last,
            (Self::HeadAt(at), None) => at.is_none(),
            (Self::HeadAt(at), Some(Item::Head(revision))) => *at == Some(*revision),
            (Self::KeyFree(now), Some(Item::Key { expires, .. })) => expires.is_some_and(|at| *now >= at),
            (Self::CheckpointAt(from, mine), Some(Item::Checkpoint { position, token })) => {
                from == position && token <= mine
            }
            (Self::CheckpointAt(from, _), None) => from.is_none(),
            (Self::Always, _) | (Self::KeyFree(_), None) => true,
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Put(Item),
    /// `SET token = …`, and `position = …` unless it only claims.
    MoveCheckpoint(Option<Option<Position>>, Token),
    /// `ConditionCheck`
    Check,
}

/// One of the up to 100 items of `TransactWriteItems`.
#[derive(Debug, Clone)]
pub(crate) struct TransactItem {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) condition: Condition,
}

/// Why a transaction was not acknowledged.
#[derive(Debug)]
pub(crate) enum Failed {
    /// A reason for each item: `Some` with `ALL_OLD` where its condition failed.
    Cancelled(Vec<Option<Option<Item>>>),
    /// The answer was lost.
    TimedOut,
}

#[derive(Debug)]
pub(crate) struct Table(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, Item>,
    /// What readers still see of items just written, and for how many requests.
    late: BTreeMap<Key, (Option<Item>, u32)>,
    answered_tokens: BTreeSet<u64>,
    chance: u64,
    lose_answers: u32,
}

impl State {
    fn chance(&mut self) -> u32 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.chance >> 33).unwrap_or(0)
    }

    fn seen(&self, key: &Key) -> Option<Item> {
        match self.late.get(key) {
            Some((old, _)) => old.clone(),
            None => self.items.get(key).cloned(),
        }
    }

    fn a_request_passes(&mut self) {
        self.late.retain(|_, (_, requests)| {
            *requests -= 1;
            *requests > 0
        });
    }
}

impl Table {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(State { chance: seed, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The answers of the next `n` transactions get lost, after they were carried out.
    pub(crate) fn lose_answers(&self, n: u32) {
        self.state().lose_answers = n;
    }

    /// `TransactWriteItems` under a `ClientRequestToken`. Readers may see what it wrote item by item, until
    /// [`Self::answered`].
    pub(crate) fn transact(&self, token: u64, items: &[TransactItem]) -> Result<(), Failed> {
        let mut state = self.state();
        if state.answered_tokens.contains(&token) {
            return Ok(());
        }
        let reasons: Vec<_> = items
            .iter()
            .map(|item| {
                (!item.condition.holds(state.items.get(&item.key))).then(|| state.items.get(&item.key).cloned())
            })
            .collect();
        if reasons.iter().any(Option::is_some) {
            return Err(Failed::Cancelled(reasons));
        }
        for TransactItem { key, action, .. } in items {
            let old = state.items.get(key).cloned();
            let new = match (action, &old) {
                (Action::Check, _) => continue,
                (Action::Put(item), _) => item.clone(),
                (Action::MoveCheckpoint(Some(to), token), _) => Item::Checkpoint { position: *to, token: *token },
                (Action::MoveCheckpoint(None, token), Some(Item::Checkpoint { position, .. })) => {
                    Item::Checkpoint { position: *position, token: *token }
                }
                (Action::MoveCheckpoint(None, token), _) => Item::Checkpoint { position: None, token: *token },
            };
            state.items.insert(key.clone(), new);
            let (late, requests) = (state.chance().is_multiple_of(2), 1 + state.chance() % 2_000);
            if late {
                state.late.entry(key.clone()).or_insert((old, requests));
            }
        }
        state.answered_tokens.insert(token);
        if state.lose_answers > 0 {
            state.lose_answers -= 1;
            return Err(Failed::TimedOut);
        }
        Ok(())
    }

    /// From now on everyone sees what the transaction wrote.
    pub(crate) fn answered(&self, items: &[TransactItem]) {
        let mut state = self.state();
        for item in items {
            state.late.remove(&item.key);
        }
    }

    /// `GetItem`, strongly consistent.
    pub(crate) fn get(&self, key: &Key) -> Option<Item> {
        let mut state = self.state();
        state.a_request_passes();
        state.seen(key)
    }

    /// `Query` of one partition: sort keys within both bounds (exclusive), at most `limit` items, and whether
    /// there may be more (`LastEvaluatedKey`).
    pub(crate) fn query(
        &self,
        of: &str,
        over: &str,
        under: &str,
        back: bool,
        limit: usize,
    ) -> (Vec<(Key, Item)>, bool) {
        let mut state = self.state();
        state.a_request_passes();
        let in_range = |key: &&Key| key.0 == of && *key.1 > *over && *key.1 < *under;
        let from = (of.to_owned(), over.to_owned());
        let mut keys: Vec<&Key> = state.items.range(from..).map(|(key, _)| key).take_while(|key| key.0 == of).collect();
        if back {
            keys.reverse();
        }
        let found = keys.into_iter().filter(in_range).filter_map(|key| Some((key.clone(), state.seen(key)?)));
        let mut found: Vec<_> = found.take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}
