//! An append as one transaction, and its cancellation as an error of the port.

use super::table::{Action, Condition, Entry, Item, Key, LogItem, TransactItem};
use bytes::Bytes;
use portolan_kernel::ports::{AppendError, Limits, streams_of};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, IdempotencyKey, Move, NewEvent, Position, Recalled, Recorded, Revision, StreamId,
    Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TRANSACTION_ITEMS: usize = 100;
const TRANSACTION_BYTES: u64 = 4 << 20;
const ITEM_BYTES: u64 = 350 << 10;
pub(crate) const APPEND_EVENTS: u32 = 1_000;

/// Limits by which every append fits one transaction: 25 heads, 31 items of events, 6 of the log with 5 terms
/// each, 3 more; names stand twice, in the events and in the log. (A store for use would split larger events.)
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.append_events, limits.append_bytes, limits.append_streams) = (APPEND_EVENTS, 1 << 20, 25);
    (limits.event_bytes, limits.page_events) = (128 << 10, 1_000);
    limits
}

/// What the plan stands on: the end of the log, and the last revision of each stream of the append.
pub(crate) struct Heads {
    pub(crate) log: u64,
    pub(crate) streams: BTreeMap<StreamId, Option<Revision>>,
}

pub(crate) struct Plan {
    pub(crate) items: Vec<TransactItem>,
    pub(crate) appended: Appended,
}

pub(crate) fn log_head_key() -> Key {
    ("log".into(), "head".into())
}
pub(crate) fn log_key(last: u64) -> Key {
    ("log".into(), format!("{last:020}"))
}
pub(crate) fn head_key(stream: &StreamId) -> Key {
    (format!("stream\n{stream}"), "head".into())
}
/// Keyed by the last revision it holds, so that what follows `r` is a range that begins after `r`.
pub(crate) fn events_key(stream: &StreamId, last: u64) -> Key {
    (format!("stream\n{stream}"), format!("{last:020}"))
}
pub(crate) fn idempotency_key(key: &IdempotencyKey) -> Key {
    (format!("key\n{}\n{}", key.scope, key.id), String::new())
}
pub(crate) fn checkpoint_key(name: &str) -> Key {
    (format!("checkpoint\n{name}"), String::new())
}
/// Where appends with too many terms for items of their own are listed; every indexed read looks here too.
pub(crate) const WIDE: &str = "term\nwide";

pub(crate) fn terms_of(event: &NewEvent) -> impl Iterator<Item = String> {
    let tags = event.tags.iter().map(|tag| format!("term\ntag\n{tag}"));
    tags.chain([format!("term\ntype\n{}", event.event_type), format!("term\ncategory\n{}", event.stream.category())])
}

/// The partitions of the index in which the part of an append is listed.
pub(crate) fn listed_in(log: &LogItem, room: usize) -> Vec<String> {
    let terms: BTreeSet<_> = log.entries.iter().flat_map(|entry| terms_of(&entry.names)).collect();
    if terms.len() > room { vec![WIDE.to_owned()] } else { terms.into_iter().collect() }
}
/// Items that the terms of one part of an append may take.
pub(crate) const TERM_ROOM: usize = 5;

fn position(number: u64) -> Position {
    Position::new(number).unwrap_or(Position::MAX)
}

/// Splits what belongs together into items that are small enough.
fn pack<T>(things: Vec<T>, bytes: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut packs: Vec<(u64, Vec<T>)> = Vec::new();
    for thing in things {
        let size = bytes(&thing);
        match packs.last_mut() {
            Some((total, pack)) if *total + size <= ITEM_BYTES => {
                *total += size;
                pack.push(thing);
            }
            _ => packs.push((size, vec![thing])),
        }
    }
    packs.into_iter().map(|(_, pack)| pack).collect()
}

/// The transaction that writes the append if nothing has moved since `heads` were read. Expectations are judged
/// here on the heads; the transaction holds the heads still.
pub(crate) fn plan_append(
    append: &Append,
    heads: &Heads,
    now: Timestamp,
    expires: Option<Timestamp>,
) -> Result<Plan, AppendError> {
    for (stream, expected) in &append.expect {
        let actual = heads.streams[stream];
        if !expected.holds(actual) {
            return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
        }
    }
    if let Some(Move::At(to) | Move::Reset(Some(to))) = append.checkpoint.as_ref().map(|checkpoint| checkpoint.to)
        && to.get() > heads.log
    {
        return Err(AppendError::Invalid(format!("position {to} is past the frontier {}", heads.log)));
    }

    let mut items = Vec::new();
    let mut put = |key, item, condition| items.push(TransactItem { key, action: Action::Put(item), condition });
    let mut last: BTreeMap<&StreamId, Option<Revision>> = heads.streams.iter().map(|(s, r)| (s, *r)).collect();
    let mut of_streams: BTreeMap<&StreamId, Vec<Arc<Recorded>>> = BTreeMap::new();
    for (event, at) in append.events.iter().zip(heads.log + 1..) {
        let revision = Revision::after(last[&event.stream]);
        last.insert(&event.stream, Some(revision));
        let recorded = Recorded::new(event.clone(), revision, position(at), now);
        of_streams.entry(&event.stream).or_default().push(Arc::new(recorded));
    }

    let mut entries = BTreeMap::new();
    for (stream, events) in of_streams {
        for pack in pack(events, |event| event.bytes() + 80) {
            let key = events_key(stream, pack.last().map_or(0, |event| event.revision.get()));
            for event in &pack {
                let mut names = event.event.clone();
                (names.payload, names.metadata) = (Bytes::new(), Bytes::new());
                let (position, revision) = (event.position.get(), event.revision);
                entries.insert(position, Entry { position, revision, names, holder: key.clone() });
            }
            put(key, Item::Events(pack.into()), Condition::Always);
        }
    }
    let end = heads.log + append.events.len() as u64;
    for pack in pack(entries.into_values().collect(), |entry| entry.names.bytes() + 40) {
        let (first, last) = (pack[0].position, pack[pack.len() - 1].position);
        let log = LogItem { first, last, end, entries: pack };
        for term in listed_in(&log, TERM_ROOM) {
            put((term, format!("{last:020}")), Item::Term, Condition::Always);
        }
        put(log_key(last), Item::Log(Arc::new(log)), Condition::Always);
    }
    let streams: Vec<_> = streams_of(append).into_iter().map(|stream| (stream.clone(), last[stream])).collect();
    let ends = |at| (!append.events.is_empty()).then(|| position(at));
    let mut appended = Appended::new(ends(heads.log + 1), ends(end), streams);
    if let Some(key) = &append.key {
        appended = appended.with_note(key.note.clone());
        let recalled = Recalled::new(appended.clone().as_repeated(), key.digest);
        put(idempotency_key(key), Item::Key { recalled, expires }, Condition::KeyFree(now));
    }
    for (stream, before) in &heads.streams {
        let condition = Condition::HeadAt(*before);
        let action = match last[stream] {
            Some(after) if last[stream] != *before => Action::Put(Item::Head(after)),
            _ => Action::Check,
        };
        items.push(TransactItem { key: head_key(stream), action, condition });
    }
    if let Some(checkpoint) = &append.checkpoint {
        let to = match checkpoint.to {
            Move::Claim => None,
            Move::At(to) => Some(Some(to)),
            Move::Reset(to) => Some(to),
        };
        items.push(TransactItem {
            action: Action::MoveCheckpoint(to, checkpoint.token),
            ..checkpoint_check(checkpoint)
        });
    }
    // A guard holds up to the end of the log as it was read: so the log must still end there.
    if !append.events.is_empty() || append.guard.is_some() {
        let action = if append.events.is_empty() { Action::Check } else { Action::Put(Item::LogHead { last: end }) };
        items.push(TransactItem { key: log_head_key(), action, condition: Condition::LogAt(heads.log) });
    }

    let too_large = |what: &'static str, size, limit| Err(AppendError::TooLarge { what: what.into(), size, limit });
    let bytes = items.iter().map(|item| if let Action::Put(item) = &item.action { item.bytes() } else { 100 }).sum();
    match items.len() {
        _ if bytes > TRANSACTION_BYTES => too_large("bytes of the transaction", bytes, TRANSACTION_BYTES),
        n if n > TRANSACTION_ITEMS => too_large("items of the transaction", n as u64, TRANSACTION_ITEMS as u64),
        _ => Ok(Plan { items, appended }),
    }
}

/// That the checkpoint stands where the append believes.
pub(crate) fn checkpoint_check(checkpoint: &Checkpoint) -> TransactItem {
    let condition = Condition::CheckpointAt(checkpoint.from, checkpoint.token);
    TransactItem { key: checkpoint_key(&checkpoint.name), action: Action::Check, condition }
}

/// What `ALL_OLD` of a failed key says: the original outcome, or that the key is taken.
pub(crate) fn repeated(key: &IdempotencyKey, recalled: Recalled) -> Result<Appended, AppendError> {
    if recalled.digest == key.digest {
        Ok(recalled.appended)
    } else {
        Err(AppendError::KeyReused { scope: key.scope.clone(), id: key.id.clone() })
    }
}

/// The answer that the reasons of a cancelled transaction prove, in the order of judgment; `None`: only heads
/// moved that nothing was expected of, so plan again.
pub(crate) fn judge(
    append: &Append,
    items: &[TransactItem],
    reasons: Vec<Option<Option<Item>>>,
) -> Option<Result<Appended, AppendError>> {
    let failed: BTreeMap<&Key, Option<Item>> =
        items.iter().zip(reasons).filter_map(|(item, reason)| Some((&item.key, reason?))).collect();
    if let Some(key) = &append.key
        && let Some(Some(Item::Key { recalled, .. })) = failed.get(&idempotency_key(key))
    {
        return Some(repeated(key, recalled.clone()));
    }
    for (stream, expected) in &append.expect {
        let Some(old) = failed.get(&head_key(stream)) else { continue };
        let actual = if let Some(Item::Head(revision)) = old { Some(*revision) } else { None };
        if !expected.holds(actual) {
            return Some(Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual }));
        }
    }
    let checkpoint = append.checkpoint.as_ref()?;
    let (actual, token) = match failed.get(&checkpoint_key(&checkpoint.name))? {
        Some(Item::Checkpoint { position, token }) => (*position, *token),
        _ => Default::default(),
    };
    // A guard that fails in what has been written meanwhile is named first: plan again to find out.
    let guard_first = append.guard.is_some() && failed.contains_key(&log_head_key());
    let moved = AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token };
    (!guard_first).then_some(Err(moved))
}
