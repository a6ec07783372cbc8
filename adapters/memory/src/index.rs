//! The index: which events are in a stream or category, of a type, or have a tag.

use crate::Map;
use alloc::collections::BinaryHeap;
use core::ops::Range;
use portolan_kernel::values::{Direction, EventType, Item, NewEvent, Query, StreamId, Tag};

/// Indices of the log, rising.
type List = Vec<u32>;

/// For every way to ask for events, where in the log they are.
#[derive(Default)]
pub(crate) struct Index {
    streams: Vec<Stream>,
    stream_numbers: Map<StreamId, u32>,
    categories: Vec<List>,
    category_numbers: Map<Box<str>, u32>,
    types: Vec<Type>,
    type_numbers: Map<EventType, u32>,
    tags: Map<Tag, List>,
    /// The numbers of the last event's stream and type. Those of the next are mostly the same.
    last: (u32, u32),
}

struct Type {
    name: EventType,
    events: List,
}

/// A stream; the event with revision `r` is the `r`th of its list.
pub(crate) struct Stream {
    pub(crate) name: StreamId,
    pub(crate) events: List,
    category: u32,
}

impl Index {
    pub(crate) fn stream(&self, name: &StreamId) -> Option<&Stream> {
        self.stream_numbers.get(name).and_then(|number| self.streams.get(*number as usize))
    }

    /// The list of a stream; empty when it is missing.
    pub(crate) fn events(&self, stream: &StreamId) -> &[u32] {
        self.stream(stream).map_or(&[], |stream| &stream.events)
    }

    fn category(&self, category: &str) -> Option<&List> {
        self.category_numbers.get(category).and_then(|number| self.categories.get(*number as usize))
    }

    fn of_type(&self, name: &EventType) -> Option<&List> {
        self.type_numbers.get(name).and_then(|number| self.types.get(*number as usize)).map(|of_type| &of_type.events)
    }

    /// Enters the event that will be at this index, and gives its stream. The event's stream and type come to
    /// share their text with the index: a log of a million events keeps each name once.
    pub(crate) fn enter(&mut self, event: &mut NewEvent, at: u32) -> &Stream {
        let number = self.type_number(&event.event_type);
        let of_type = &mut self.types[number as usize];
        if !is_same(&of_type.name, &event.event_type) {
            event.event_type = of_type.name.clone();
        }
        of_type.events.push(at);
        self.last.1 = number;
        for tag in event.tags.iter() {
            let list = self.tags.entry(tag.clone()).or_default();
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
        let number = self.stream_number(&event.stream);
        self.last.0 = number;
        let stream = &mut self.streams[number as usize];
        if !is_same(&stream.name, &event.stream) {
            event.stream = stream.name.clone();
        }
        stream.events.push(at);
        self.categories[stream.category as usize].push(at);
        stream
    }

    fn type_number(&mut self, name: &EventType) -> u32 {
        if self.types.get(self.last.1 as usize).is_some_and(|last| is_same(&last.name, name) || last.name == *name) {
            return self.last.1;
        }
        if let Some(number) = self.type_numbers.get(name) {
            return *number;
        }
        let number = next_number(&self.types);
        self.type_numbers.insert(name.clone(), number);
        self.types.push(Type { name: name.clone(), events: List::new() });
        number
    }

    fn stream_number(&mut self, name: &StreamId) -> u32 {
        if self.streams.get(self.last.0 as usize).is_some_and(|last| is_same(&last.name, name) || last.name == *name) {
            return self.last.0;
        }
        if let Some(number) = self.stream_numbers.get(name) {
            return *number;
        }
        let category = match self.category_numbers.get(name.category()) {
            Some(number) => *number,
            None => {
                let number = next_number(&self.categories);
                self.category_numbers.insert(name.category().into(), number);
                self.categories.push(List::new());
                number
            }
        };
        let number = next_number(&self.streams);
        self.stream_numbers.insert(name.clone(), number);
        self.streams.push(Stream { name: name.clone(), events: List::new(), category });
        number
    }

    /// Where events that match the query can be, each index once, in the direction: all that match are among
    /// them, and as few others as one list an item can tell.
    pub(crate) fn candidates(&self, query: &Query, within: Range<u32>, direction: Direction) -> Candidates<'_> {
        let mut lists = Vec::new();
        if query.any_of.is_empty() {
            return Candidates::all(within, direction);
        }
        for item in &query.any_of {
            match self.shortest(item, &within) {
                None => return Candidates::all(within, direction),
                Some(some) => lists.extend(some),
            }
        }
        Candidates::merged(lists, direction)
    }

    /// The shortest way to find what matches the item; `None` when it has no condition.
    fn shortest<'a>(&'a self, item: &Item, within: &Range<u32>) -> Option<Vec<&'a [u32]>> {
        let of_any = |lists: Vec<Option<&'a List>>| {
            let parts: Vec<_> = lists.iter().flatten().map(|list| part(list, within)).collect();
            if lists.is_empty() { None } else { Some(parts) }
        };
        let streams = of_any(item.streams.iter().map(|name| self.stream(name).map(|stream| &stream.events)).collect());
        let categories = of_any(item.categories.iter().map(|category| self.category(category)).collect());
        let types = of_any(item.types.iter().map(|event_type| self.of_type(event_type)).collect());
        let tags = item.tags.iter().map(|tag| of_any(vec![self.tags.get(tag)]));
        [streams, categories, types].into_iter().chain(tags).flatten().min_by_key(|lists| size(lists))
    }
}

/// Whether two names are one text in memory already.
fn is_same(one: &str, other: &str) -> bool {
    core::ptr::eq(one, other)
}

/// The number of what is added next. There are no more streams and categories than events, and those are
/// counted by a `u32`.
fn next_number<T>(those_before: &[T]) -> u32 {
    u32::try_from(those_before.len()).unwrap_or(u32::MAX)
}

fn part<'a>(list: &'a List, within: &Range<u32>) -> &'a [u32] {
    let from = list.partition_point(|at| *at < within.start);
    let to = list.partition_point(|at| *at < within.end);
    list.get(from..to).unwrap_or_default()
}

fn size(lists: &[&[u32]]) -> usize {
    lists.iter().map(|list| list.len()).sum()
}

/// Indices of the log, in one direction.
pub(crate) enum Candidates<'a> {
    Forward(Range<u32>),
    Backward(core::iter::Rev<Range<u32>>),
    Merged(Merged<'a>),
}

impl<'a> Candidates<'a> {
    fn all(within: Range<u32>, direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward(within),
            Direction::Backward => Self::Backward(within.rev()),
        }
    }

    fn merged(lists: Vec<&'a [u32]>, direction: Direction) -> Self {
        let mut merged = Merged { heads: BinaryHeap::with_capacity(lists.len()), direction };
        for list in lists {
            merged.put_back(list);
        }
        Self::Merged(merged)
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Forward(range) => range.next(),
            Self::Backward(range) => range.next(),
            Self::Merged(merged) => merged.next(),
        }
    }
}

/// Several lists as one, an index that is in many of them once.
pub(crate) struct Merged<'a> {
    /// The rank of each list's next index, and the list with it. The largest rank comes first.
    heads: BinaryHeap<(u32, &'a [u32])>,
    direction: Direction,
}

impl<'a> Merged<'a> {
    fn put_back(&mut self, list: &'a [u32]) {
        let head = match self.direction {
            Direction::Forward => list.first().map(|at| u32::MAX - at),
            Direction::Backward => list.last().copied(),
        };
        self.heads.extend(head.map(|rank| (rank, list)));
    }

    fn next(&mut self) -> Option<u32> {
        let (rank, _) = *self.heads.peek()?;
        while let Some((same, list)) = self.heads.peek().copied()
            && same == rank
        {
            self.heads.pop();
            self.put_back(match self.direction {
                Direction::Forward => list.get(1..).unwrap_or_default(),
                Direction::Backward => list.split_last().map_or(&[], |(_, rest)| rest),
            });
        }
        Some(match self.direction {
            Direction::Forward => u32::MAX - rank,
            Direction::Backward => rank,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::values::Name;

    fn events() -> Vec<NewEvent> {
        let event = |n: u32| {
            let stream = StreamId::new(format!("{}-{}", ["a", "b", "$c"][n as usize % 3], n % 7)).unwrap();
            let tags = (1..4).filter(|m| n.is_multiple_of(*m)).map(|m| Tag::new(format!("m:{m}")).unwrap());
            NewEvent::new(stream, EventType::new(format!("t{}", n % 5)).unwrap(), "").with_tags(tags)
        };
        (0..400).map(event).collect()
    }

    fn items() -> Vec<Item> {
        let streams = [vec![], vec!["a-0"], vec!["a-0", "b-3", "none"], vec!["none"]];
        let categories = [vec![], vec!["b"], vec!["a", "$c"]];
        let types = [vec![], vec!["t1"], vec!["t1", "t4", "none"]];
        let tags = [vec![], vec!["m:2"], vec!["m:2", "m:3"], vec!["m:1", "none"]];
        let mut items = Vec::new();
        for s in &streams {
            for c in &categories {
                for t in &types {
                    for g in &tags {
                        let item = s.iter().fold(Item::new(), |item, s| item.stream(StreamId::new(*s).unwrap()));
                        let item = c.iter().fold(item, |item, c| item.category(Name::new(*c).unwrap()));
                        let item = t.iter().fold(item, |item, t| item.event_type(EventType::new(*t).unwrap()));
                        items.push(g.iter().fold(item, |item, g| item.tag(Tag::new(*g).unwrap())));
                    }
                }
            }
        }
        items
    }

    #[test]
    fn candidates_hold_all_that_matches_once_and_in_order() {
        let mut events = events();
        let mut index = Index::default();
        for (at, event) in events.iter_mut().enumerate() {
            index.enter(event, u32::try_from(at).unwrap());
        }
        let items = items();
        for (n, item) in items.iter().enumerate() {
            for query in [Query::of(item.clone()), Query::of(item.clone()).or(items[n * 7 % items.len()].clone())] {
                for within in [0..400, 13..200, 399..400, 5..5] {
                    let matches = |at: &u32| query.matches(&events[*at as usize]);
                    let expected: Vec<u32> = within.clone().filter(matches).collect();
                    let forward: Vec<u32> = index.candidates(&query, within.clone(), Direction::Forward).collect();
                    let mut backward: Vec<u32> =
                        index.candidates(&query, within.clone(), Direction::Backward).collect();
                    backward.reverse();
                    assert!(forward.is_sorted_by(|a, b| a < b), "{query:?} in {within:?} is not in order, once each");
                    assert_eq!(forward, backward, "{query:?} in {within:?} differs backward");
                    assert!(forward.iter().all(|at| within.contains(at)), "{query:?} leaves {within:?}");
                    assert_eq!(forward.into_iter().filter(matches).collect::<Vec<_>>(), expected, "{query:?} misses");
                }
            }
        }
    }

    #[test]
    fn an_item_is_found_by_its_shortest_list() {
        let mut index = Index::default();
        for (at, event) in events().iter_mut().enumerate() {
            index.enter(event, u32::try_from(at).unwrap());
        }
        let rare = Item::new().category(Name::new("a").unwrap()).event_type(EventType::new("t1").unwrap());
        let rare = rare.stream(StreamId::new("a-0").unwrap()).tag(Tag::new("m:1").unwrap());
        let looked_at = index.candidates(&Query::of(rare), 0..400, Direction::Forward).count();
        assert_eq!(looked_at, index.events(&StreamId::new("a-0").unwrap()).len());
    }

    #[test]
    fn equal_names_share_their_text() {
        let mut events = events();
        let mut index = Index::default();
        for (at, event) in events.iter_mut().enumerate() {
            index.enter(event, u32::try_from(at).unwrap());
        }
        assert_eq!(events[0].stream.as_ptr(), events[21].stream.as_ptr());
        assert_eq!(events[0].event_type.as_ptr(), events[5].event_type.as_ptr());
    }
}
