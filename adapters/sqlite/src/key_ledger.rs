//! The keys of the writer's transaction, and the upkeep of their index.

use crate::error::Fault;
use crate::key_index::{Entry, Known, Moved, Recent, all_of, hash, save_indexed};
use crate::keys;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_kernel::values::Timestamp;
use rusqlite::Connection;

/// The keys that the writer has recorded in a transaction, and how far others have moved.
pub(crate) struct KeyLedger {
    recent: Arc<Recent>,
    /// Recorded and not committed.
    uncommitted: BTreeSet<Entry>,
    moved: Moved,
    committed: Moved,
    /// The last key that has had its share of the upkeep; `None` before the first.
    tended: Option<i64>,
    /// The last entry of the index that was looked at for having lost its key.
    swept: Option<Entry>,
}

impl KeyLedger {
    pub(crate) fn new(recent: Arc<Recent>) -> Self {
        let nothing = Moved::default();
        Self { recent, uncommitted: BTreeSet::new(), moved: nothing, committed: nothing, tended: None, swept: None }
    }

    /// Takes in what others have committed; inside the transaction.
    pub(crate) fn sync(&self, conn: &Connection) -> Result<(), Fault> {
        self.recent.sync(conn)
    }

    /// What is known of a key, uncommitted ones included. To be asked before the snapshot begins that is read.
    pub(crate) fn known(&self, scope: &str, id: &str) -> Known {
        let mut known = self.recent.of(hash(scope.as_bytes(), id.as_bytes()));
        known.rows.extend(self.uncommitted.range(all_of(known.hash)).map(|(_, number)| number));
        known
    }

    /// The number of the next key, which is this one.
    pub(crate) fn next(&mut self, scope: &str, id: &str) -> Result<i64, Fault> {
        let before = self.recent.ends().1.checked_add_unsigned(self.uncommitted.len() as u64);
        let number = before.and_then(|before| before.checked_add(1)).ok_or(Fault::NoPosition)?;
        self.uncommitted.insert((hash(scope.as_bytes(), id.as_bytes()), number));
        Ok(number)
    }

    /// Before the transaction ends: some keys move into the index, and some of those that have expired are deleted.
    /// It looks at more than have come, from here or from others, so it gets round however fast they come. The first time,
    /// what earlier processes have left counts too for moving; it has been swept for by them.
    pub(crate) fn tend(&mut self, conn: &Connection, retention: Option<Duration>, now: Timestamp) -> Result<(), Fault> {
        let (indexed, known) = self.recent.ends();
        let last = known.saturating_add_unsigned(self.uncommitted.len() as u64);
        let come = last.saturating_sub(self.tended.unwrap_or(indexed));
        if come <= 0 {
            return Ok(());
        }
        let looks = |come: usize| come.saturating_mul(2).saturating_add(8);
        let moves = looks(usize::try_from(come).unwrap_or(usize::MAX));
        let is_first = self.tended.replace(last).is_none();
        self.move_some(conn, moves, is_first)?;
        if let Some(retention) = retention {
            let sweeps = if is_first { looks(self.uncommitted.len()) } else { moves };
            keys::sweep(conn, sweeps, retention, now)?;
            self.sweep(conn, sweeps)?;
        }
        Ok(())
    }

    fn move_some(&mut self, conn: &Connection, looks: usize, are_left: bool) -> Result<(), Fault> {
        let Some((batch, entries)) = self.recent.next_to_move(self.moved, looks, are_left) else { return Ok(()) };
        let mut insert = conn.prepare_cached("INSERT OR IGNORE INTO key_index VALUES (?1, ?2)")?;
        for (hash, number) in &entries {
            insert.execute([hash, number])?;
        }
        let is_done = entries.len() < looks;
        if is_done {
            save_indexed(conn, batch)?;
        }
        let before = self.moved.to.filter(|_| self.moved.batch == batch);
        self.moved = Moved { batch, to: entries.last().copied().or(before), is_done };
        Ok(())
    }

    /// Deletes entries whose keys are gone, in the order of the index.
    fn sweep(&mut self, conn: &Connection, looks: usize) -> Result<(), Fault> {
        let first = keys::first(conn)?.map_or(0, |(first, _)| first);
        if first <= 1 || self.recent.ends().0 == 0 {
            return Ok(());
        }
        let mut next = conn.prepare_cached(
            "SELECT hash, number FROM key_index WHERE (hash, number) > (?1, ?2) ORDER BY hash, number LIMIT ?3",
        )?;
        let limit = i64::try_from(looks).unwrap_or(i64::MAX);
        // Each process begins somewhere else: short lives get round together.
        let after = self.swept.or(self.uncommitted.first().copied()).unwrap_or((i64::MIN, 0));
        let entries = next
            .query_map([after.0, after.1, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<Entry>, _>>()?;
        let mut delete = conn.prepare_cached("DELETE FROM key_index WHERE hash = ?1 AND number = ?2")?;
        for (hash, number) in &entries {
            if *number < first {
                delete.execute([hash, number])?;
            }
        }
        let came_round = entries.len() < looks;
        self.swept = entries.last().copied().filter(|_| !came_round).or(Some((i64::MIN, 0)));
        Ok(())
    }

    /// The transaction is committed.
    pub(crate) fn committed(&mut self) {
        if self.moved != self.committed {
            self.committed = self.moved;
            if self.moved.is_done {
                self.recent.settled(self.moved.batch);
            }
        }
        if !self.uncommitted.is_empty() {
            let mut entries: Vec<Entry> = core::mem::take(&mut self.uncommitted).into_iter().collect();
            entries.sort_unstable_by_key(|(_, number)| *number);
            self.recent.learn(&entries);
        }
    }

    /// The transaction was rolled back.
    pub(crate) fn forget(&mut self) {
        self.uncommitted.clear();
        self.moved = self.committed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Durability, SqliteConfig};
    use crate::key_index::{load_indexed, verify};
    use crate::opening;
    use core::sync::atomic::{AtomicU64, Ordering};
    use portolan_kernel::values::{Appended, IdempotencyKey, Name, Position};
    use std::collections::HashMap;
    use std::path::Path;
    use std::thread;

    const BATCH: usize = 16;

    /// What a process has of a file: the connection that writes, one that reads, and what it remembers.
    struct Process {
        writer: Connection,
        reader: Connection,
        recent: Arc<Recent>,
        ledger: KeyLedger,
        data_version: Option<i64>,
    }

    impl Process {
        fn start(path: &Path) -> Self {
            Self::moving_by(BATCH, path)
        }

        fn moving_by(batch: usize, path: &Path) -> Self {
            let config = SqliteConfig::new(path.to_path_buf()).durability(Durability::SurvivesProcessCrashOnly);
            let (writer, _) = opening::open_writer(&config).unwrap();
            let reader = opening::open_reader(path, config.busy_timeout, 0).unwrap();
            let recent = Arc::new(Recent::moving_by(batch));
            Self { writer, reader, ledger: KeyLedger::new(recent.clone()), recent, data_version: None }
        }

        /// Records the first event's position under each of the keys, in one transaction.
        fn record(&mut self, keys: &[(String, u64)], commits: bool, retention: Option<Duration>, now: Timestamp) {
            self.writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let version = self.count("PRAGMA data_version");
            if self.data_version.replace(version) != Some(version) {
                self.ledger.sync(&self.writer).unwrap();
            }
            for (id, told) in keys {
                let key = IdempotencyKey::new(Name::new("scope").unwrap(), Name::new(&**id).unwrap(), [7; 32]);
                let number = self.ledger.next("scope", id).unwrap();
                let appended = Appended::new(Position::new(*told), Position::new(*told), Vec::new());
                keys::record(&self.writer, number, &key, &appended, now).unwrap();
                assert_eq!(self.told_to_writer(id, retention.filter(|kept| !kept.is_zero()), now), Some(*told));
            }
            self.ledger.tend(&self.writer, retention, now).unwrap();
            if commits {
                self.writer.execute_batch("COMMIT").unwrap();
                self.ledger.committed();
            } else {
                self.writer.execute_batch("ROLLBACK").unwrap();
                self.ledger.forget();
                self.data_version = None;
            }
        }

        fn told_to_writer(&self, id: &str, retention: Option<Duration>, now: Timestamp) -> Option<u64> {
            let rows = self.ledger.known("scope", id).in_index(&self.writer).unwrap();
            told(&self.writer, id, rows, retention, now)
        }

        fn recall(&self, id: &str, retention: Option<Duration>, now: Timestamp) -> Option<u64> {
            let known = self.recent.of(hash(b"scope", id.as_bytes()));
            self.reader.execute_batch("BEGIN").unwrap();
            let rows = known.rows(&self.reader, &self.recent).unwrap();
            let told = told(&self.reader, id, rows, retention, now);
            self.reader.execute_batch("COMMIT").unwrap();
            told
        }

        fn count(&self, sql: &str) -> i64 {
            self.writer.query_row(sql, [], |row| row.get(0)).unwrap()
        }

        fn verify(&self) {
            keys::verify(&self.writer, |fault| panic!("{fault}")).unwrap();
            verify(&self.writer, |fault| panic!("{fault}")).unwrap();
        }
    }

    fn told(conn: &Connection, id: &str, rows: Vec<i64>, retention: Option<Duration>, now: Timestamp) -> Option<u64> {
        let found = keys::find(conn, ("scope", id), rows, retention, now).unwrap();
        found.and_then(|found| found.appended.first).map(Position::get)
    }

    /// Processes that come, go, write, fail and read in any order, against a map.
    #[test]
    fn every_process_finds_every_key_however_they_take_turns() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.db");
            let retention = (seed % 3 == 0).then_some(Duration::from_micros(300));
            let mut processes: Vec<_> = (0..3).map(|_| Process::start(&path)).collect();
            let mut model: HashMap<String, (u64, u64)> = HashMap::new();
            for now in 1..150 {
                let one = random.usize(..processes.len());
                let at = Timestamp::from_micros(now * 10);
                match random.u32(..10) {
                    0 => processes[one] = Process::start(&path),
                    1..=4 => {
                        let is_live = |id: &str, model: &HashMap<String, (u64, u64)>| {
                            model.get(id).is_some_and(|(_, since)| retention.is_none_or(|_| now * 10 < since + 300))
                        };
                        let keys: HashMap<_, _> = (0..random.u64(1..20))
                            .map(|_| (format!("id {}", random.u32(..600)), random.u64(1..1_000)))
                            .filter(|(id, _)| !is_live(id, &model))
                            .collect();
                        let keys: Vec<_> = keys.into_iter().collect();
                        let commits = random.u32(..5) > 0;
                        processes[one].record(&keys, commits, retention, at);
                        if commits {
                            model.extend(keys.into_iter().map(|(id, told)| (id, (told, now * 10))));
                        }
                    }
                    _ => {
                        for _ in 0..5 {
                            let id = format!("id {}", random.u32(..600));
                            let expected =
                                model.get(&id).filter(|(_, since)| retention.is_none() || now * 10 < since + 300);
                            let found = processes[one].recall(&id, retention, at);
                            assert_eq!(found, expected.map(|(told, _)| *told), "seed {seed}, time {now}: {id}");
                        }
                    }
                }
            }
            let one = &processes[0];
            one.verify();
            if retention.is_none() {
                assert!(load_indexed(&one.writer).unwrap() > 0, "seed {seed}: no batch has moved");
                assert_eq!(one.count("SELECT count(*) FROM keys"), i64::try_from(model.len()).unwrap());
            }
        }
    }

    #[test]
    fn what_waits_in_memory_is_bounded_and_what_expires_leaves_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let (mut writing, reading) = (Process::start(&path), Process::start(&path));
        let retention = Some(Duration::from_micros(500));
        for now in 1..3_000 {
            let at = Timestamp::from_micros(now);
            writing.record(&[(format!("id {now}"), now)], true, retention, at);
            if now % 7 == 0 {
                assert_eq!(reading.recall(&format!("id {now}"), retention, at), Some(now));
            }
            for process in [&writing, &reading] {
                assert!(process.recent.len() <= 5 * BATCH, "at {now}");
            }
        }
        assert_eq!(writing.count("SELECT count(*) FROM keys"), 500);
        let indexed = writing.count("SELECT count(*) FROM key_index");
        assert!((400..1_000).contains(&indexed), "{indexed} entries");
        writing.verify();
    }

    const ENDED: u64 = u64::MAX;

    /// However the writer ends, those beside it do too.
    struct Ends<'a>(&'a AtomicU64);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(ENDED, Ordering::SeqCst);
        }
    }

    /// Batches move and leave the memory while others look.
    #[test]
    fn a_key_that_was_committed_before_the_question_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let mut writing = Process::start(&path);
        let others: Vec<_> = (0..2).map(|_| Process::start(&path)).collect();
        let committed = AtomicU64::new(0);
        thread::scope(|scope| {
            let recent = writing.recent.clone();
            for (n, mut other) in others.into_iter().enumerate() {
                // One shares the writer's memory, as a reader of the same process does.
                if n == 0 {
                    other.recent = recent.clone();
                }
                let committed = &committed;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(7);
                    loop {
                        let last = committed.load(Ordering::SeqCst);
                        if last == ENDED {
                            return;
                        }
                        // Those that are on their way into the index are the ones in danger.
                        let asked = random.u64(last.saturating_sub(6 * BATCH as u64)..=last).max(1);
                        if last > 0 {
                            let id = format!("id {asked}");
                            assert_eq!(other.recall(&id, None, Timestamp::default()), Some(asked), "of {last}");
                        }
                    }
                });
            }
            let _ends = Ends(&committed);
            for number in (1..=4_000).step_by(4) {
                let keys: Vec<_> = (number..number + 4).map(|number| (format!("id {number}"), number)).collect();
                writing.record(&keys, true, None, Timestamp::default());
                committed.store(number + 3, Ordering::SeqCst);
            }
        });
    }

    #[test]
    fn short_lives_leave_no_more_behind_than_the_next_one_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        for number in 1..=200 {
            let mut one = Process::moving_by(16 * BATCH, &path);
            one.record(&[(format!("id {number}"), number)], true, None, Timestamp::default());
            let indexed = load_indexed(&one.writer).unwrap();
            assert!(number.cast_signed() - indexed <= 2 * BATCH as i64, "{number}, and {indexed} in the index");
        }
        Process::start(&path).verify();
    }

    #[test]
    fn no_number_is_given_twice_though_all_keys_expire() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let retention = Some(Duration::ZERO);
        for number in 1..4 {
            // Each time a process that knows what the file tells.
            let mut one = Process::start(&path);
            one.record(&[(format!("id {number}"), 1)], true, retention, Timestamp::from_micros(number));
            assert_eq!(one.count("SELECT max(number) FROM keys"), number.cast_signed());
            assert_eq!(one.count("SELECT count(*) FROM keys"), 1);
        }
    }
}
