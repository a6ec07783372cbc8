//! Queries, reads and pages on the wire, whole.

use super::event::{Contradiction, WireRecorded};
use super::object;
use super::text::{At, Text, maybe_whole, whole};
use portolan_kernel::values::{Direction, EventType, Item, Name, Page, Query, Read, Revision, Start, StreamId, Tag};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireQuery {
    #[serde(default, deserialize_with = "object::list")]
    any_of: Vec<WireItem>,
    #[serde(default)]
    system: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireItem {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streams: Vec<Text<StreamId>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<Text<Name>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<Text<EventType>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Text<Tag>>,
}

impl WireQuery {
    pub(crate) fn new(query: &Query) -> Self {
        let item = |item: &Item| WireItem {
            streams: item.streams.iter().cloned().map(Text).collect(),
            categories: item.categories.iter().cloned().map(Text).collect(),
            types: item.types.iter().cloned().map(Text).collect(),
            tags: item.tags.iter().cloned().map(Text).collect(),
        };
        Self { any_of: query.any_of.iter().map(item).collect(), system: query.system }
    }

    pub(crate) fn decode(self) -> Query {
        let mut query = if self.system { Query::all().with_system() } else { Query::all() };
        for wire in self.any_of {
            let mut item = Item::new();
            item.streams = wire.streams.into_iter().map(|Text(name)| name).collect();
            item.categories = wire.categories.into_iter().map(|Text(name)| name).collect();
            item.types = wire.types.into_iter().map(|Text(name)| name).collect();
            item.tags = wire.tags.into_iter().map(|Text(name)| name).collect();
            query = query.or(item);
        }
        query
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRead {
    from: WireStart,
    #[serde(default)]
    direction: WireDirection,
    #[serde(default = "default_limit", deserialize_with = "whole")]
    limit: u32,
    #[serde(default)]
    until: Option<At>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireStart {
    #[serde(deserialize_with = "object::one")]
    Stream(WireStreamStart),
    #[serde(deserialize_with = "object::one")]
    Log(WireLogStart),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireStreamStart {
    id: Text<StreamId>,
    #[serde(default, deserialize_with = "maybe_whole")]
    after: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLogStart {
    #[serde(deserialize_with = "object::one")]
    query: WireQuery,
    #[serde(default)]
    after: Option<At>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WireDirection {
    #[default]
    Forward,
    Backward,
}

fn default_limit() -> u32 {
    Read::DEFAULT_LIMIT
}

impl From<Direction> for WireDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Backward => Self::Backward,
        }
    }
}

impl From<WireDirection> for Direction {
    fn from(direction: WireDirection) -> Self {
        match direction {
            WireDirection::Forward => Self::Forward,
            WireDirection::Backward => Self::Backward,
        }
    }
}

impl WireRead {
    pub(crate) fn new(read: &Read) -> Self {
        Self {
            from: match &read.from {
                Start::Stream(stream, after) => {
                    WireStart::Stream(WireStreamStart { id: Text(stream.clone()), after: after.map(Revision::get) })
                }
                Start::Log(query, after) => {
                    WireStart::Log(WireLogStart { query: WireQuery::new(query), after: after.map(At) })
                }
            },
            direction: read.direction.into(),
            limit: read.limit,
            until: read.until.map(At),
        }
    }

    pub(crate) fn decode(self) -> Read {
        let read = match self.from {
            WireStart::Stream(WireStreamStart { id, after }) => Read::stream_after(id.0, after.map(Revision::new)),
            WireStart::Log(WireLogStart { query, after }) => Read::log_after(query.decode(), after.map(|At(at)| at)),
        };
        let read = read.limit(self.limit).until(self.until.map(|At(at)| at));
        match self.direction.into() {
            Direction::Forward => read,
            Direction::Backward => read.backward(),
        }
    }
}

/// A page of the port, whole.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WirePage<'a> {
    #[serde(borrow)]
    events: Vec<WireRecorded<'a>>,
    next: Option<WireRead>,
    at_frontier: bool,
    frontier: Option<At>,
    revision: Option<u64>,
}

impl<'a> WirePage<'a> {
    pub(crate) fn new(page: &'a Page) -> Self {
        Self {
            events: page.events.iter().map(|event| WireRecorded::new(event)).collect(),
            next: page.next.as_ref().map(WireRead::new),
            at_frontier: page.next.is_none(),
            frontier: page.frontier.map(At),
            revision: page.revision.map(Revision::get),
        }
    }

    pub(crate) fn decode(self) -> Result<Page, Contradiction> {
        let events = self.events.into_iter().map(|event| event.decode().map(Arc::new)).collect::<Result<_, _>>()?;
        let next = self.next.map(WireRead::decode);
        Ok(Page::new(events, self.frontier.map(|At(at)| at), next, self.revision.map(Revision::new)))
    }
}

/// A page as people follow it: `next` is the path of the next one.
#[derive(Debug, Serialize)]
pub(crate) struct PersonsPage<'a> {
    pub(crate) events: Vec<WireRecorded<'a>>,
    pub(crate) next: Option<String>,
    pub(crate) at_frontier: bool,
}
