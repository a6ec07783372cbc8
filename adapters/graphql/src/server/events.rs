//! Pages of events, as connections.

use super::call::Arguments;
use super::context::Context;
use crate::wire::errors::PortError as _;
use crate::wire::event::WireEvent;
use crate::wire::problem::Problem;
use crate::wire::text::{EventCursor, at, number};
use portolan_kernel::values::{
    Direction, EventType, Item, Name, Page, Position, Query, Read, Recorded, Revision, Start, StreamId, Tag,
};
use serde_json::{Value, json};

/// How many events a page has that does not say.
const USUAL: u32 = 100;

/// The part of a connection that is asked for.
struct Part {
    count: u32,
    direction: Direction,
    cursor: EventCursor,
}

/// `first` and `after`, or `last` and `before`; `until` where the cursor has none of its own.
fn part(context: &Context, given: &mut Arguments) -> Result<Part, Problem> {
    let most = context.app.config.page_events;
    let (first, last) = (given.count("first", most)?, given.count("last", most)?);
    let (after, before) = (given.parsed("after")?, given.parsed("before")?);
    let until = super::commands::position(given, "until")?;
    let (count, direction, cursor): (_, _, Option<EventCursor>) = match (first, last, after, before) {
        (first, None, after, None) => (first, Direction::Forward, after),
        (None, last, None, before) => (last, Direction::Backward, before),
        _ => {
            let message = "a page is `first` events `after` a cursor, or the `last` `before` one";
            return Err(Problem::wrong("first", "contradiction", message));
        }
    };
    let mut cursor = cursor.unwrap_or_default();
    cursor.until = cursor.until.or(until);
    Ok(Part { count: count.unwrap_or(USUAL.min(most)), direction, cursor })
}

/// One stream.
pub(super) async fn stream(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let id: StreamId = given.required("id")?;
    let part = part(context, &mut given)?;
    let after = part.cursor.after.map(Revision::new);
    let read = Read::stream_after(id, after);
    page(context, read, &part).await
}

/// The log, or what matches of it.
pub(super) async fn events(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let query = query(&mut given)?;
    let part = part(context, &mut given)?;
    let after = match part.cursor.after.map(Position::new) {
        Some(None) => return Err(Problem::wrong("after", "wrong-value", "no position is as large as that")),
        Some(Some(position)) => Some(position),
        None => None,
    };
    page(context, Read::log_after(query, after), &part).await
}

/// The events that are asked for: `any` of the items, and `system` ones too.
pub(super) fn query(given: &mut Arguments) -> Result<Query, Problem> {
    let mut query = if given.flag("system") { Query::all().with_system() } else { Query::all() };
    let items = match given.value("any") {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    for (n, wanted) in items.into_iter().enumerate() {
        let path = |wrong: Problem| wrong.below(&format!("any[{n}]."));
        let mut wanted = Arguments::from(wanted);
        let mut item = Item::new();
        item.streams = wanted.list::<StreamId>("streams").map_err(path)?;
        item.categories = wanted.list::<Name>("categories").map_err(path)?;
        item.types = wanted.list::<EventType>("types").map_err(path)?;
        item.tags = wanted.list::<Tag>("tags").map_err(path)?;
        query = query.or(item);
    }
    Ok(query)
}

async fn page(context: &Context, read: Read, part: &Part) -> Result<Value, Problem> {
    let read = read.limit(part.count).until(part.cursor.until);
    let read = if part.direction == Direction::Backward { read.backward() } else { read };
    let page = context.ports.events.read(read).await.map_err(|error| error.to_problem())?;
    Ok(connection(&page, part))
}

/// The page in the order of the log, whichever way it was read.
fn connection(page: &Page, part: &Part) -> Value {
    // All pages of one walk see one frontier, which its cursors carry.
    let until = page.next.as_ref().and_then(|next| next.until).or(part.cursor.until).or(page.frontier);
    let is_stream = page.next.as_ref().is_some_and(|next| matches!(next.from, Start::Stream(..)));
    let is_stream = is_stream || page.revision.is_some();
    let cursor = |event: &Recorded| {
        let after = if is_stream { event.revision.get() } else { event.position.get() };
        EventCursor { after: Some(after), until }.to_string()
    };
    let edge = |event: &Recorded| {
        let node = serde_json::to_value(WireEvent::new(event)).unwrap_or_default();
        json!({ "cursor": cursor(event), "node": node })
    };
    let mut edges: Vec<Value> = page.events.iter().map(|event| edge(event)).collect();
    let far = page.next.as_ref().map(|next| {
        let after = match &next.from {
            Start::Stream(_, after) => after.map(Revision::get),
            Start::Log(_, after) => after.map(Position::get),
        };
        EventCursor { after, until: next.until }.to_string()
    });
    let near = page.events.first().map(|event| cursor(event));
    let far_end = far.clone().or_else(|| page.events.last().map(|event| cursor(event)));
    let begun = part.cursor.after.is_some();
    let info = match part.direction {
        Direction::Forward => {
            json!({ "hasNextPage": far.is_some(), "hasPreviousPage": begun, "startCursor": near, "endCursor": far_end })
        }
        Direction::Backward => {
            edges.reverse();
            json!({ "hasNextPage": begun, "hasPreviousPage": far.is_some(), "startCursor": far_end, "endCursor": near })
        }
    };
    let revision = number(page.revision);
    json!({ "edges": edges, "pageInfo": info, "frontier": at(page.frontier), "revision": revision })
}
