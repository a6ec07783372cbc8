//! Reading: a page at a time, found by the index.

use crate::log::{Log, index_after, position_before};
use alloc::sync::Arc;
use core::ops::Range;
use portolan_kernel::ports::ReadError;
use portolan_kernel::values::{Direction, Page, Position, Query, Read, Recorded, Revision, Start};

/// How many events one page looks at, whether they match or not, and so how long it keeps writers waiting.
const LOOKED_AT: usize = 20_000;

/// How many bytes of events one page holds, unless its first event alone has more.
const PAGE_BYTES: u64 = 4 << 20;

impl Log {
    /// A page of at most `limit` events.
    pub(crate) fn read(&self, mut read: Read, limit: u32) -> Result<Page, ReadError> {
        let end = read.until.map_or(self.len(), |until| index_after(Some(until)).min(self.len()));
        read.until = position_before(end);
        match &mut read.from {
            Start::Log(query, after) => {
                let (events, stopped_at) = self.of_log(query, *after, end, read.direction, limit as usize);
                *after = stopped_at;
                let next = if stopped_at.is_some() { Some(read) } else { None };
                Ok(Page::new(events, position_before(end), next, None))
            }
            Start::Stream(stream, after) => {
                let list = self.index.events(stream);
                let list = list.get(..list.partition_point(|at| *at < end)).unwrap_or_default();
                let revision = list.len().checked_sub(1).map(|last| Revision::new(last as u64));
                let rest = revisions(*after, list.len(), read.direction);
                let taken = list.get(first(rest.clone(), limit as usize, read.direction)).unwrap_or_default();
                let events = taken.iter().filter_map(|at| self.events.get(*at as usize));
                let events = match read.direction {
                    Direction::Forward => of_page_size(events),
                    Direction::Backward => of_page_size(events.rev()),
                };
                *after = events.last().map(|event| event.revision);
                let next = if events.len() == rest.len() { None } else { Some(read) };
                Ok(Page::new(events, position_before(end), next, revision))
            }
        }
    }

    /// Events of the log, and the position after which to go on, if there may be more.
    fn of_log(
        &self,
        query: &Query,
        after: Option<Position>,
        end: u32,
        direction: Direction,
        limit: usize,
    ) -> (Vec<Arc<Recorded>>, Option<Position>) {
        let within = match (direction, after) {
            (Direction::Forward, after) => index_after(after).min(end)..end,
            (Direction::Backward, None) => 0..end,
            (Direction::Backward, after) => 0..index_after(after).saturating_sub(1).min(end),
        };
        let mut events = Vec::new();
        let (mut last, mut bytes) = (None, 0);
        for (looked_at, at) in self.index.candidates(query, within, direction).enumerate() {
            if events.len() == limit || looked_at == LOOKED_AT {
                return (events, last);
            }
            let Some(event) = self.events.get(at as usize) else { continue };
            let matches = query.matches(event);
            if matches {
                bytes += event.bytes();
                if bytes > PAGE_BYTES && !events.is_empty() {
                    return (events, last);
                }
            }
            last = Some(event.position);
            if matches {
                events.push(event.clone());
            }
        }
        (events, None)
    }

    /// Whether something that matches may stand at or after this index. It looks at few events, and where
    /// they do not tell, it says yes.
    pub(crate) fn may_hold(&self, query: &Query, from: u32) -> bool {
        let candidates = self.index.candidates(query, from.min(self.len())..self.len(), Direction::Forward);
        for (looked_at, at) in candidates.enumerate() {
            if looked_at == LOOKED_AT || self.events.get(at as usize).is_some_and(|event| query.matches(event)) {
                return true;
            }
        }
        false
    }
}

/// The first events that have room in a page.
fn of_page_size<'a>(events: impl Iterator<Item = &'a Arc<Recorded>> + Clone) -> Vec<Arc<Recorded>> {
    let mut bytes = 0;
    let fits = |event: &&Arc<Recorded>| {
        let first = bytes == 0;
        bytes += event.bytes();
        first || bytes <= PAGE_BYTES
    };
    // Counted before they are shared: what is read of many events waits for all of their memory at once, what is
    // written into each, its count of owners, for one after another.
    let fitting = events.clone().take_while(fits).count();
    let mut page = Vec::with_capacity(fitting);
    page.extend(events.take(fitting).cloned());
    page
}

/// The revisions after `after`, of a stream of `len` events.
fn revisions(after: Option<Revision>, len: usize, direction: Direction) -> Range<usize> {
    let after = after.map(|after| usize::try_from(after.get()).unwrap_or(usize::MAX));
    match direction {
        Direction::Forward => after.map_or(0, |after| after.saturating_add(1)).min(len)..len,
        Direction::Backward => 0..after.unwrap_or(len).min(len),
    }
}

/// The first `limit` of a range, in the direction.
fn first(range: Range<usize>, limit: usize, direction: Direction) -> Range<usize> {
    let taken = limit.min(range.len());
    match direction {
        Direction::Forward => range.start..range.start + taken,
        Direction::Backward => range.end - taken..range.end,
    }
}

#[cfg(test)]
mod tests {
    use crate::MemoryStore;
    use portolan_kernel::ports::EventStore;
    use portolan_kernel::values::{Append, EventType, Item, NewEvent, Query, Read, StreamId, Tag};

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_is_of_some_megabytes_and_its_chain_finds_all() {
        let store = MemoryStore::new();
        let event = || NewEvent::new(StreamId::new("s-1").unwrap(), EventType::new("t").unwrap(), vec![7; 3 << 20]);
        for _ in 0..4 {
            store.append(Append::new([event()])).await.unwrap();
        }
        let starts = [Read::log(Query::all()), Read::stream(StreamId::new("s-1").unwrap())];
        for read in starts.into_iter().flat_map(|read| [read.clone(), read.backward()]) {
            let (mut next, mut found) = (Some(read), Vec::new());
            while let Some(read) = next {
                let page = store.read(read).await.unwrap();
                assert_eq!(page.events.len(), 1);
                found.extend(page.events.iter().map(|event| event.revision.get()));
                next = page.next;
            }
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2, 3]);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_looks_at_few_events_and_its_chain_finds_all() {
        let store = MemoryStore::new();
        let event = |n: usize| {
            let event = NewEvent::new(StreamId::new("s-1").unwrap(), EventType::new("t").unwrap(), "");
            event.with_tags([
                Tag::new(if n.is_multiple_of(2) { "even" } else { "odd" }).unwrap(),
                Tag::new("all").unwrap(),
            ])
        };
        let events = 5 * super::LOOKED_AT;
        for first in (0..events).step_by(10_000) {
            store.append(Append::new((first..first + 10_000).map(event))).await.unwrap();
        }
        // Neither list of tags is short, and nothing is in both.
        let none = Item::new().tag(Tag::new("even").unwrap()).tag(Tag::new("odd").unwrap());
        for read in [Read::log(Query::of(none.clone())), Read::log(Query::of(none)).backward()] {
            let mut next = Some(read);
            let mut pages = 0;
            while let Some(read) = next {
                let page = store.read(read).await.unwrap();
                assert!(page.events.is_empty());
                assert_eq!(page.frontier.map(|frontier| frontier.get()), Some(events as u64));
                next = page.next;
                pages += 1;
            }
            assert_eq!(pages, 3, "half of the events are candidates, and a page looks at a fifth of all");
        }
    }
}
