//! The way to the row of a key: an index of hashes in the file, and in memory the keys that it does not have yet.
//!
//! A hash goes to any leaf of a tree, so an index that every append wrote at once would cost a leaf an append. Here tens of
//! thousands of new keys wait in memory; then they move into the index in the order of their hashes, some with each
//! transaction, and share its leaves. A file tells up to which key its index is whole; whoever opens it reads the keys
//! after that one. (The idea is that of the log-structured merge-tree, O'Neil et al. 1996, with one tree.)

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::keys;
use alloc::collections::BTreeSet;
use core::ops::{Bound, RangeInclusive};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many keys wait before they begin to move: 2 MiB of memory, and half as much again while they do.
const BATCH: usize = 65_536;

/// A hash, and the number of a key that has it.
pub(crate) type Entry = (i64, i64);

/// Hashes that collide cost a look at a row. Of a cryptographic hash, nobody can send ids that do.
pub(crate) fn hash(scope: &[u8], id: &[u8]) -> i64 {
    let mut hash = Sha256::new_with_prefix((scope.len() as u64).to_le_bytes());
    hash.update(scope);
    hash.update(id);
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The keys that have been committed and that the index may not have, as far as this process knows of them.
pub(crate) struct Recent {
    batch: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The index has all keys up to this one.
    indexed: i64,
    /// All keys after `indexed` and up to this one are here.
    known: i64,
    /// Those that are moving into the index, and the last of them.
    moving: BTreeSet<Entry>,
    moving_to: i64,
    /// Those that came after them.
    young: BTreeSet<Entry>,
}

/// How far a batch has moved into the index.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The batch, by its last key.
    pub(crate) batch: i64,
    /// Its last entry that is in the index.
    pub(crate) to: Option<Entry>,
    pub(crate) is_done: bool,
}

/// What was known of a hash. Whoever has asked before his read of the file began misses nothing: what has left the memory
/// by then is in the index, and what came later has a larger number.
pub(crate) struct Known {
    pub(crate) hash: i64,
    pub(crate) rows: Vec<i64>,
    indexed: i64,
    known: i64,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self::moving_by(BATCH)
    }

    pub(crate) fn moving_by(batch: usize) -> Self {
        Self { batch, state: Mutex::default() }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.young.len() + state.moving.len()
    }

    pub(crate) fn of(&self, hash: i64) -> Known {
        let state = self.lock();
        let rows = state.moving.range(all_of(hash)).chain(state.young.range(all_of(hash)));
        let rows = rows.map(|(_, number)| *number).collect();
        Known { hash, rows, indexed: state.indexed, known: state.known }
    }

    /// Takes in what the file has and is not known here.
    pub(crate) fn sync(&self, conn: &Connection) -> Result<(), Fault> {
        self.settle(conn)?;
        let mut known = self.lock().known;
        loop {
            let mut found = Vec::new();
            keys::after(conn, known, self.batch, |number, scope, id| found.push((hash(scope, id), number)))?;
            let Some((_, last)) = found.last() else { return Ok(()) };
            known = *last;
            self.learn(&found);
        }
    }

    /// Forgets what the index has. Up to which key it has them is returned.
    fn settle(&self, conn: &Connection) -> Result<i64, Fault> {
        let indexed = load_indexed(conn)?;
        self.lock().settle(indexed);
        Ok(indexed)
    }

    /// Takes in these, which follow one another in the file. Whether they have become many more than wait to be moved:
    /// then another process moves them, and it is time to see how far it is.
    pub(crate) fn learn(&self, entries: &[Entry]) -> bool {
        let mut state = self.lock();
        for (hash, number) in entries {
            if *number > state.known {
                state.young.insert((*hash, *number));
                state.known = *number;
            }
        }
        state.young.len() > 3 * self.batch
    }

    /// Up to which key the index is known to be whole, and the last key that is known.
    pub(crate) fn ends(&self) -> (i64, i64) {
        let state = self.lock();
        (state.indexed, state.known)
    }

    /// The index has all keys up to this one, and that is committed.
    pub(crate) fn settled(&self, indexed: i64) {
        self.lock().settle(indexed);
    }

    /// The next entries of the batch that moves, and its last key; `None` while too few wait to be one. Those that an
    /// earlier process has left are one sooner: else each process that comes after would have to read them.
    pub(crate) fn next_to_move(&self, moved: Moved, limit: usize, are_left: bool) -> Option<(i64, Vec<Entry>)> {
        let mut state = self.lock();
        if state.moving.is_empty() {
            let enough = if are_left { self.batch / 8 } else { self.batch };
            if state.young.len() < enough {
                return None;
            }
            state.moving = core::mem::take(&mut state.young);
            state.moving_to = state.known;
        }
        let after = moved.to.filter(|_| moved.batch == state.moving_to).map_or(Bound::Unbounded, Bound::Excluded);
        let entries = state.moving.range((after, Bound::Unbounded)).take(limit).copied();
        Some((state.moving_to, entries.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The index has all keys up to this one: they need not be here.
    fn settle(&mut self, indexed: i64) {
        if indexed <= self.indexed {
            return;
        }
        self.indexed = indexed;
        self.known = self.known.max(indexed);
        if self.moving_to <= indexed {
            self.moving.clear();
        }
        if self.moving_to < indexed {
            self.young.retain(|(_, number)| *number > indexed);
        }
    }
}

impl Known {
    /// The rows that may be those of the key, in what is read of the file.
    pub(crate) fn rows(mut self, conn: &Connection, recent: &Recent) -> Result<Vec<i64>, Fault> {
        let Self { hash: sought, mut indexed, mut known, .. } = self;
        if known == 0 {
            indexed = recent.settle(conn)?;
            known = indexed;
        }
        loop {
            let mut news = Vec::new();
            keys::after(conn, known, recent.batch, |number, scope, id| news.push((hash(scope, id), number)))?;
            let Some((_, last)) = news.last() else { break };
            known = *last;
            self.rows.extend(news.iter().filter(|(hash, _)| *hash == sought).map(|(_, number)| number));
            let is_crowded = recent.learn(&news);
            let is_far_behind = news.len() == recent.batch;
            if is_crowded || is_far_behind {
                indexed = recent.settle(conn)?;
                known = known.max(indexed);
            }
            if !is_far_behind {
                break;
            }
        }
        Self { indexed, ..self }.in_index(conn)
    }

    /// The same, where it is known that nothing has come.
    pub(crate) fn in_index(self, conn: &Connection) -> Result<Vec<i64>, Fault> {
        let Self { hash, mut rows, indexed, .. } = self;
        if indexed > 0 {
            let mut statement = conn.prepare_cached("SELECT number FROM key_index WHERE hash = ?1")?;
            let mut found = statement.query([hash])?;
            while let Some(row) = found.next()? {
                rows.push(row.get(0)?);
            }
        }
        Ok(rows)
    }
}

pub(crate) fn all_of(hash: i64) -> RangeInclusive<Entry> {
    (hash, i64::MIN)..=(hash, i64::MAX)
}

/// Up to which key the index is whole.
pub(crate) fn load_indexed(conn: &Connection) -> Result<i64, Fault> {
    let mut statement = conn.prepare_cached("SELECT last, checksum FROM keys_indexed")?;
    let row = statement.query_row([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
    match row {
        Some((last, checksum)) if checksum_of(last) == checksum => Ok(last),
        _ => Err(Fault::Damaged("table keys_indexed".into())),
    }
}

pub(crate) fn save_indexed(conn: &Connection, last: i64) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR REPLACE INTO keys_indexed VALUES (1, ?1, ?2)")?
        .execute([last, checksum_of(last)])?;
    Ok(())
}

fn checksum_of(last: i64) -> i64 {
    Checksum::of("keys_indexed").number(last).get()
}

/// Makes the index of all keys.
pub(crate) fn build(conn: &Connection) -> Result<(), Fault> {
    let mut entries = Vec::new();
    keys::after(conn, 0, usize::MAX, |number, scope, id| entries.push((hash(scope, id), number)))?;
    let last = entries.last().map_or(0, |(_, number)| *number);
    entries.sort_unstable();
    let mut insert = conn.prepare("INSERT INTO key_index VALUES (?1, ?2)")?;
    for (hash, number) in entries {
        insert.execute([hash, number])?;
    }
    save_indexed(conn, last)
}

/// Tells of keys that the index has lost, and that it has entries which lead to none.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let indexed = load_indexed(conn)?;
    let mut has = conn.prepare("SELECT 1 FROM key_index WHERE hash = ?1 AND number = ?2")?;
    let mut good = 0;
    let mut failed = Ok(());
    keys::after(conn, 0, usize::MAX, |number, scope, id| match has.exists([hash(scope, id), number]) {
        Ok(true) => good += 1,
        Ok(false) if number <= indexed => tell(Fault::Damaged(format!("table key_index, number {number}"))),
        Ok(false) => {}
        Err(error) => failed = Err(error),
    })?;
    failed?;
    let first = keys::first(conn)?.map_or(0, |(first, _)| first);
    let all: i64 = conn.query_row("SELECT count(*) FROM key_index WHERE number >= ?1", [first], |row| row.get(0))?;
    if all != good {
        tell(Fault::Damaged("table key_index: it has entries of other keys".into()));
    }
    Ok(())
}
