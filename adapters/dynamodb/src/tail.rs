//! What the process knows of the log: how far it has read it, how far all of it is visible, its newest rows, and the
//! last revisions of streams.
//!
//! See the crate's documentation for the words *read* and *whole*, and for why they are enough.

use crate::error::Fault;
use crate::heads::Heads;
use crate::rows::{Row, is_piece, take_rows};
use crate::schema::{Space, sort, up_to};
use crate::table::{Backoff, Key, Range, Table};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use portolan_kernel::values::StreamId;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// Rows that are kept although they are whole, for readers of the tail and guards that meet new events.
const KEPT_ROWS: usize = 2_000;
const KEPT_BYTES: usize = 8 << 20;

/// Items that are looked for in one step of settling.
const SETTLED_AT_ONCE: usize = 400;

/// The knowledge, shared by readers and the writer.
pub(crate) struct Tail {
    table: Arc<Table>,
    space: Space,
    state: Mutex<State>,
    /// Tells which observations began after which moments.
    moments: AtomicU64,
    /// The end of what was read, for those who wait for more.
    grown: watch::Sender<u64>,
}

/// A consistent piece of knowledge.
pub(crate) struct State {
    /// Every item of every transaction up to here is visible, to everyone.
    pub(crate) whole: u64,
    /// Every row up to here has been read.
    pub(crate) read: u64,
    /// Rows up to `read`, without a gap; all of those after `whole`, at least.
    pub(crate) rows: VecDeque<Arc<Row>>,
    bytes: usize,
    /// Never behind `read` in what they know.
    pub(crate) heads: Heads,
    /// The moment at which the latest observation of the log's end began.
    observed: u64,
}

/// A moment, to tell whether something was observed after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl State {
    /// Whether the log's end was looked at after this moment.
    pub(crate) fn is_observed_since(&self, moment: Moment) -> bool {
        self.observed > moment.0
    }

    /// The rows after this position; `None` when they are not all here.
    pub(crate) fn rows_after(&self, position: u64) -> Option<impl Iterator<Item = &Arc<Row>>> {
        let from = self.rows.front().map_or(self.read, |row| row.first - 1);
        let skip = self.rows.partition_point(|row| row.last <= position);
        (position >= from).then(|| self.rows.range(skip..))
    }

    fn absorb(&mut self, row: &Arc<Row>) {
        if row.first != self.read + 1 {
            return;
        }
        self.read = row.last;
        for part in &row.parts {
            self.heads.set(part.stream.clone(), Some(part.last()));
        }
        self.bytes += row.bytes;
        self.rows.push_back(row.clone());
    }

    fn raise(&mut self, whole: u64) {
        // What somebody else knows of rows that were not read here is no use here.
        self.whole = self.whole.max(whole.min(self.read));
        while (self.rows.len() > KEPT_ROWS || self.bytes > KEPT_BYTES)
            && self.rows.front().is_some_and(|row| row.last <= self.whole)
            && let Some(row) = self.rows.pop_front()
        {
            self.bytes -= row.bytes;
        }
    }

    /// Goes on from a later end: nothing is known of what lies between.
    fn restart(&mut self, whole: u64) {
        if whole > self.read {
            (self.whole, self.read, self.bytes) = (whole, whole, 0);
            self.rows.clear();
            self.heads.clear();
        }
    }
}

fn invisible() -> Fault {
    Fault::Throttled(portolan_kernel::ports::Source::new("items of an earlier transaction stay invisible"))
}

impl Tail {
    pub(crate) fn new(table: Arc<Table>, space: Space, cached_heads: usize) -> Self {
        let state =
            State { whole: 0, read: 0, rows: VecDeque::new(), bytes: 0, heads: Heads::new(cached_heads), observed: 0 };
        Self { table, space, state: Mutex::new(state), moments: AtomicU64::new(0), grown: watch::Sender::new(0) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(self.moments.load(Ordering::SeqCst))
    }

    /// The beginning of an observation, after every moment before it.
    pub(crate) fn begin(&self) -> Moment {
        Moment(self.moments.fetch_add(1, Ordering::SeqCst) + 1)
    }

    pub(crate) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    fn tell(&self, read: u64) {
        self.grown.send_if_modified(|known| {
            let more = read > *known;
            *known = read.max(*known);
            more
        });
    }

    fn range(&self, after: u64) -> Range {
        Range {
            partition: self.space.log(),
            from: sort(after.saturating_add(1)),
            to: up_to(u64::MAX),
            backward: false,
            limit: None,
            keys_only: false,
        }
    }

    /// Goes to the end of a log without reading it: what the last row's writer knew to be whole, is.
    pub(crate) async fn start(&self) -> Result<(), Fault> {
        let mut range = Range { backward: true, limit: Some(1), ..self.range(0) };
        loop {
            let mut items = self.table.query(&range, None).await?.items;
            let found = items.len();
            // Pieces of a large row come before it when read backward.
            items.reverse();
            while items.first().and_then(Key::of).is_some_and(|key| is_piece(&key)) {
                items.remove(0);
            }
            if let Some(row) = take_rows(&self.space, &mut items)?.last() {
                self.state().restart(row.whole);
                return Ok(());
            }
            match range.limit {
                Some(limit @ 1..64) if found > 0 => range.limit = Some(limit * 8),
                _ => return Ok(()),
            }
        }
    }

    /// Reads on to the end of the log, or to the first gap: a row that is not visible yet although a later one is.
    /// Everything acknowledged before this began is read afterwards.
    pub(crate) async fn follow(&self) -> Result<(), Fault> {
        let began = self.begin();
        let read = self.state().read;
        let mut answer = self.table.query(&self.range(read), None).await?;
        if answer.next.is_some() {
            // More than one answer behind, which is long: the end is nearer from the other side.
            self.start().await?;
            let read = self.state().read;
            answer = self.table.query(&self.range(read), None).await?;
        }
        let mut items = answer.items;
        loop {
            let rows = take_rows(&self.space, &mut items)?;
            let read = {
                let mut state = self.state();
                rows.iter().for_each(|row| state.absorb(row));
                state.raise(rows.iter().map(|row| row.whole).max().unwrap_or(0));
                state.read
            };
            self.tell(read);
            let gap = rows.last().is_some_and(|row| row.last > read);
            match answer.next {
                Some(next) if !gap => {
                    answer = self.table.query(&self.range(read), Some(next)).await?;
                    items.append(&mut answer.items);
                }
                _ => break,
            }
        }
        let mut state = self.state();
        state.observed = state.observed.max(began.0);
        Ok(())
    }

    /// Looks whether what was read is whole, and gives how far it is.
    pub(crate) async fn settle(&self) -> Result<u64, Fault> {
        loop {
            let (rows, keys) = {
                let state = self.state();
                let (mut rows, mut keys) = (Vec::new(), Vec::new());
                for row in state.rows.iter().filter(|row| row.last > state.whole) {
                    if !rows.is_empty() && keys.len() > SETTLED_AT_ONCE {
                        break;
                    }
                    keys.extend(row.keys(&self.space));
                    rows.push(row.clone());
                }
                if rows.is_empty() {
                    return Ok(state.whole);
                }
                (rows, keys)
            };
            let found = self.table.batch_get(keys, true).await?;
            let seen = rows.iter().take_while(|row| row.keys(&self.space).iter().all(|key| found.contains_key(key)));
            let whole = seen.last().map_or(0, |row| row.last);
            let all = rows.last().is_some_and(|row| row.last == whole);
            let mut state = self.state();
            state.raise(whole);
            if !all {
                return Ok(state.whole);
            }
        }
    }

    /// How far the log can be shown now: everything acknowledged before this began, at least.
    pub(crate) async fn frontier(&self) -> Result<u64, Fault> {
        self.follow().await?;
        self.settle().await
    }

    /// Waits until everything up to this position is whole. It always comes to that: what is in the log has been
    /// committed.
    pub(crate) async fn settled(&self, position: u64, until: Instant) -> Result<(), Fault> {
        let mut backoff = Backoff::default();
        while self.state().whole < position && self.settle().await? < position {
            if Instant::now() >= until {
                return Err(invisible());
            }
            backoff.pause().await;
        }
        Ok(())
    }

    /// The same for a position that may be past what was read of the log.
    pub(crate) async fn reached(&self, position: u64, until: Instant) -> Result<(), Fault> {
        let mut backoff = Backoff::default();
        while self.state().whole < position && self.frontier().await? < position {
            if Instant::now() >= until {
                return Err(invisible());
            }
            backoff.pause().await;
        }
        Ok(())
    }

    /// Notes a transaction of this process that was answered. Everything before it is whole, so it is too.
    pub(crate) fn committed(&self, row: &Arc<Row>, began: Moment) {
        let read = {
            let mut state = self.state();
            state.absorb(row);
            if state.whole + 1 == row.first {
                state.raise(row.last);
            }
            state.observed = state.observed.max(began.0);
            state.read
        };
        self.tell(read);
    }

    /// Notes the last revision of a stream, as a request found it that began when `whole` was known.
    pub(crate) fn learn(&self, stream: &StreamId, found: Option<u64>, whole: u64) {
        let mut state = self.state();
        // The request saw what was whole; of what has come since, rows tell. Where they are gone, nothing is noted.
        let Some(since) = state.rows_after(whole) else { return };
        let parts = since.flat_map(|row| &row.parts).filter(|part| part.stream == *stream);
        let last = parts.map(|part| Some(part.last())).max().unwrap_or(None).max(found);
        state.heads.set(stream.clone(), last);
    }
}

#[cfg(test)]
mod for_tests {
    use super::{Heads, Moment, State, Tail, VecDeque};

    impl State {
        /// A log that ends here, looked at between the two moments below.
        pub(crate) fn for_tests(end: u64) -> Self {
            let (rows, heads) = (VecDeque::new(), Heads::new(100));
            Self { whole: end, read: end, rows, bytes: 0, heads, observed: 2 }
        }
    }

    impl Tail {
        pub(crate) fn moment_for_tests() -> Moment {
            Moment(1)
        }

        pub(crate) fn later_moment_for_tests() -> Moment {
            Moment(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Entry, Part, Record};
    use portolan_kernel::values::{EventType, NewEvent};

    fn row(first: u64, events: u32, whole: u64) -> Arc<Row> {
        let stream = StreamId::new("a-1").unwrap();
        let names = NewEvent::new(stream.clone(), EventType::new("t").unwrap(), "");
        let records = vec![Record { events, further: 0, bytes: 100 }];
        let entries = (0..u64::from(events)).map(|n| Entry { names: names.clone(), part: 0, revision: first - 1 + n });
        Arc::new(Row {
            first,
            last: first + u64::from(events) - 1,
            whole,
            token: [0; 16],
            wide: false,
            parts: vec![Part { stream, first: first - 1, records }],
            entries: entries.collect(),
            further: 0,
            bytes: 100,
        })
    }

    #[test]
    fn reading_stops_at_a_gap_and_goes_on_when_it_fills() {
        let mut state = State::for_tests(0);
        for row in [row(1, 2, 0), row(5, 1, 2), row(6, 1, 2)] {
            state.absorb(&row);
        }
        assert_eq!((state.read, state.rows.len()), (2, 1));
        assert_eq!(state.heads.get(&StreamId::new("a-1").unwrap()), Some(Some(1)));
        for row in [row(3, 2, 2), row(5, 1, 2), row(5, 1, 2)] {
            state.absorb(&row);
        }
        assert_eq!((state.read, state.rows.len()), (5, 3));
        assert!(state.rows_after(2).unwrap().map(|row| row.first).eq([3, 5]));
    }

    #[test]
    fn whole_never_passes_what_was_read_and_never_falls() {
        let mut state = State::for_tests(0);
        state.absorb(&row(1, 2, 0));
        state.raise(9);
        assert_eq!(state.whole, 2);
        state.raise(1);
        assert_eq!(state.whole, 2);
    }

    #[test]
    fn rows_are_given_up_when_there_are_many_and_only_whole_ones() {
        let mut state = State::for_tests(0);
        for n in 1..=KEPT_ROWS as u64 + 10 {
            state.absorb(&row(n, 1, 0));
        }
        state.raise(4);
        assert_eq!(state.rows.front().map(|row| row.first), Some(5));
        assert!(state.rows_after(3).is_none() && state.rows_after(4).is_some());
        state.raise(u64::MAX);
        assert_eq!(state.rows.len(), KEPT_ROWS);
    }
}
