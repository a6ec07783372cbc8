//! A read as queries, and their answers as a page.

use super::append::{TERM_ROOM, WIDE, events_key, head_key, listed_in, log_key};
use super::table::{Item, Key, LogItem, Table};
use portolan_kernel::ports::ReadError;
use portolan_kernel::values::{Direction, Page, Position, Query, Read, Recorded, Revision, Start, StreamId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Items that one request answers with: few, so that pages end early.
const REQUEST_ITEMS: usize = 7;

/// Where the events of a query of the log are found.
pub(crate) enum Candidates {
    /// In every item of the log.
    Log,
    /// Where these partitions of the index point.
    Terms(BTreeSet<String>),
}

/// The partitions of the index to read: for each item of the query the list that is narrowest by nature.
pub(crate) fn plan_query(query: &Query) -> Candidates {
    let mut terms = BTreeSet::from([WIDE.to_owned()]);
    for item in &query.any_of {
        if let Some(tag) = item.tags.first() {
            terms.insert(format!("term\ntag\n{tag}"));
        } else if !item.types.is_empty() {
            terms.extend(item.types.iter().map(|event_type| format!("term\ntype\n{event_type}")));
        } else if !item.streams.is_empty() {
            terms.extend(item.streams.iter().map(|stream| format!("term\ncategory\n{}", stream.category())));
        } else if !item.categories.is_empty() {
            terms.extend(item.categories.iter().map(|category| format!("term\ncategory\n{category}")));
        } else {
            return Candidates::Log;
        }
    }
    if query.any_of.is_empty() { Candidates::Log } else { Candidates::Terms(terms) }
}

/// Reads a table; remembers how far everything is known to be visible.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) table: Table,
    whole: AtomicU64,
    listed: AtomicU64,
}

impl Reader {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, whole: AtomicU64::new(0), listed: AtomicU64::new(0) }
    }

    /// A bound above the item of the partition that holds this number, since items are keyed by their last.
    fn above(&self, of: &str, number: u64) -> String {
        let before = number.checked_sub(1).map_or(String::new(), |before| log_key(before).1);
        let (found, _) = self.table.query(of, &before, "a", false, 1);
        found.into_iter().next().map_or_else(|| "a".to_owned(), |((_, sort), _)| sort + "+")
    }

    /// Parts of the log within `(over, to]` in the direction of the read, and whether there are more.
    fn log_items(&self, over: u64, to: u64, back: bool) -> (Vec<Arc<LogItem>>, bool) {
        let under = self.above("log", to);
        let (found, more) = self.table.query("log", &log_key(over).1, &under, back, REQUEST_ITEMS);
        let logs = found.into_iter().filter_map(|(_, item)| if let Item::Log(log) = item { Some(log) } else { None });
        (logs.collect(), more)
    }

    /// The frontier: the end of the last append up to which the log has no gap and every item of every append
    /// is visible. Nothing above it is shown, and no append above it is acknowledged.
    pub(crate) fn frontier(&self) -> u64 {
        let mut whole = self.whole.load(Ordering::SeqCst);
        let mut read_to = whole;
        'walk: loop {
            let (logs, more) = self.log_items(read_to, u64::MAX, false);
            for log in logs {
                if log.first != read_to + 1 || !log.entries.iter().all(|entry| self.is_visible(entry)) {
                    break 'walk;
                }
                read_to = log.last;
                if log.last == log.end {
                    whole = log.end;
                }
            }
            if !more {
                break;
            }
        }
        self.whole.fetch_max(whole, Ordering::SeqCst).max(whole)
    }

    fn is_visible(&self, entry: &super::table::Entry) -> bool {
        let head = self.table.get(&head_key(&entry.names.stream));
        self.table.get(&entry.holder).is_some()
            && matches!(head, Some(Item::Head(revision)) if revision >= entry.revision)
    }

    /// The end of the last part of the log whose index items are all visible: below it the index is trusted.
    fn listed(&self, frontier: u64) -> u64 {
        let mut listed = self.listed.load(Ordering::SeqCst);
        while listed < frontier {
            for log in self.log_items(listed, frontier, false).0 {
                let sort = log_key(log.last).1;
                if listed_in(&log, TERM_ROOM).into_iter().any(|term| self.table.get(&(term, sort.clone())).is_none()) {
                    return listed;
                }
                listed = log.last;
                self.listed.fetch_max(listed, Ordering::SeqCst);
            }
        }
        listed
    }

    /// Parts of the log within `(over, to]` that may hold what is looked for, in the direction of the read, and
    /// whether there are more behind them.
    fn candidates(
        &self,
        from: &Candidates,
        over: u64,
        to: u64,
        frontier: u64,
        back: bool,
    ) -> (Vec<Arc<LogItem>>, bool) {
        let Candidates::Terms(terms) = from else { return self.log_items(over, to, back) };
        let listed = self.listed(frontier);
        let index = || {
            let (over_key, under_key) = (log_key(over).1, self.above("log", to.min(listed)));
            let (mut keys, mut horizon) = (BTreeSet::new(), None);
            for term in terms {
                let (found, more) = self.table.query(term, &over_key, &under_key, back, REQUEST_ITEMS);
                if let (true, Some(((_, sort), _))) = (more, found.last()) {
                    let nearer = |a: String, b: String| if (a < b) != back { a } else { b };
                    horizon = Some(horizon.map_or_else(|| sort.clone(), |other| nearer(other, sort.clone())));
                }
                keys.extend(found.into_iter().map(|((_, sort), _)| sort));
            }
            keys.retain(|key| {
                horizon.as_ref().is_none_or(|horizon| if back { key >= horizon } else { key <= horizon })
            });
            let found = keys.into_iter().filter_map(|sort| self.table.get(&("log".to_owned(), sort)));
            let logs = found.filter_map(|item| if let Item::Log(log) = item { Some(log) } else { None });
            let mut logs: Vec<_> = logs.collect();
            if back {
                logs.reverse();
            }
            (logs, horizon.is_some())
        };
        let tail = || self.log_items(over.max(listed), to, back);
        let none = || (Vec::new(), false);
        let halves = (if over < listed { index() } else { none() }, if to > listed { tail() } else { none() });
        let ((mut first, more_of_first), (second, more)) = if back { (halves.1, halves.0) } else { halves };
        if more_of_first {
            return (first, true);
        }
        first.extend(second);
        (first, more)
    }

    fn event(&self, holder: &Key, revision: Revision) -> Option<Arc<Recorded>> {
        let Some(Item::Events(events)) = self.table.get(holder) else { return None };
        events.iter().find(|event| event.revision == revision).cloned()
    }

    /// What matches in the log within `(over, to]`, up to a limit; `Some` says where to read on.
    fn log_page(&self, read: &Read, query: &Query, frontier: u64) -> (Vec<Arc<Recorded>>, Option<u64>) {
        let back = read.direction == Direction::Backward;
        let Start::Log(_, after) = &read.from else { return Default::default() };
        let (over, to) = match (back, after) {
            (false, after) => (after.map_or(0, Position::get), frontier),
            (true, None) => (0, frontier),
            (true, Some(before)) => (0, frontier.min(before.get().saturating_sub(1))),
        };
        if over >= to {
            return Default::default();
        }
        let (logs, more) = self.candidates(&plan_query(query), over, to, frontier, back);
        let mut events: Vec<Arc<Recorded>> = Vec::new();
        for log in &logs {
            let entries: Vec<_> = log.entries.iter().collect();
            let in_order: Vec<_> = if back { entries.into_iter().rev().collect() } else { entries };
            for entry in in_order {
                if entry.position <= over || entry.position > to || !query.matches(&entry.names) {
                    continue;
                }
                if events.len() == read.limit.min(super::append::limits().page_events) as usize {
                    return (events.clone(), events.last().map(|event| event.position.get()));
                }
                events.extend(self.event(&entry.holder, entry.revision));
            }
        }
        let edge = logs.last().map(|log| if back { log.first } else { log.last });
        (events, if more { edge } else { None })
    }

    /// The event of the stream with this revision, if it is at or below the frontier.
    fn at(&self, stream: &StreamId, revision: u64, frontier: u64) -> Option<Arc<Recorded>> {
        let (of, under) = (events_key(stream, revision), "a");
        let over = revision.checked_sub(1).map_or(String::new(), |before| events_key(stream, before).1);
        let (found, _) = self.table.query(&of.0, &over, under, false, 1);
        let Some((_, Item::Events(events))) = found.into_iter().next() else { return None };
        events.iter().find(|event| event.revision.get() == revision && event.position.get() <= frontier).cloned()
    }

    /// The last revision of the stream at or below the frontier. One request when nothing has been added since;
    /// else a search by halves, since a stream is ordered by revision and `until` is a position.
    pub(crate) fn revision(&self, stream: &StreamId, frontier: u64) -> Option<Revision> {
        let Some(Item::Head(head)) = self.table.get(&head_key(stream)) else { return None };
        if self.at(stream, head.get(), frontier).is_some() {
            return Some(head);
        }
        let (mut low, mut high) = (0, head.get());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(stream, middle, frontier).is_some() { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1).map(Revision::new)
    }

    fn stream_page(&self, read: &Read, stream: &StreamId, end: Option<Revision>) -> (Vec<Arc<Recorded>>, bool) {
        let back = read.direction == Direction::Backward;
        let Start::Stream(_, after) = &read.from else { return Default::default() };
        let Some(end) = end.map(Revision::get) else { return Default::default() };
        let (from, to) = match (back, after) {
            (false, after) => (after.map_or(0, |after| after.get().saturating_add(1)), end),
            (true, None) => (0, end),
            (true, Some(before)) => match before.get().checked_sub(1) {
                Some(to) => (0, to.min(end)),
                None => return Default::default(),
            },
        };
        let over = from.checked_sub(1).map_or(String::new(), |before| events_key(stream, before).1);
        let of = events_key(stream, to).0;
        let (found, more) = self.table.query(&of, &over, &self.above(&of, to), back, REQUEST_ITEMS);
        let mut events: Vec<_> = Vec::new();
        for (_, item) in found {
            let Item::Events(held) = item else { continue };
            let in_range = held.iter().filter(|event| (from..=to).contains(&event.revision.get())).cloned();
            let in_range: Vec<_> = in_range.collect();
            if back { events.extend(in_range.into_iter().rev()) } else { events.extend(in_range) }
        }
        let limit = read.limit.min(super::append::limits().page_events) as usize;
        let cut = events.len() > limit;
        events.truncate(limit);
        let at_end = events.last().is_none_or(|event| event.revision.get() == if back { from } else { to });
        (events, (cut || more) && !at_end)
    }

    /// The page. Its frontier is the log's also for a stream: reading within it costs no request more.
    pub(crate) fn page(&self, read: &Read) -> Result<Page, ReadError> {
        let frontier = self.frontier().min(read.until.map_or(u64::MAX, Position::get));
        let shown = if frontier == 0 { None } else { Position::new(frontier) };
        let onward = |from| {
            let mut next = read.clone().until(shown);
            next.from = from;
            next
        };
        match &read.from {
            Start::Log(query, _) => {
                let (events, edge) = self.log_page(read, query, frontier);
                let next = edge.map(|edge| onward(Start::Log(query.clone(), Position::new(edge))));
                Ok(Page::new(events, shown, next, None))
            }
            Start::Stream(stream, _) => {
                let revision = self.revision(stream, frontier);
                let (events, more) = self.stream_page(read, stream, revision);
                let last = events.last().filter(|_| more).map(|event| event.revision);
                let next = last.map(|last| onward(Start::Stream(stream.clone(), Some(last))));
                Ok(Page::new(events, shown, next, revision))
            }
        }
    }
}
