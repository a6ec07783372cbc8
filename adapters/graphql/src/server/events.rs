//! Pages of events, as connections.

use super::call::Arguments;
use super::context::Context;
use crate::wire::errors::PortError as _;
use crate::wire::event::WireEvent;
use crate::wire::problem::Problem;
use crate::wire::text::{EventCursor, at, number};
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::{FormedEvent, FormedEvents, FormedPage};
use portolan_kernel::values::{
    Direction, EventType, Item, Name, Position, Query, Read, Recorded, Revision, Start, StreamId, Tag,
};
use serde_json::{Value, json};

/// How many events a page has that does not say.
const USUAL: u32 = 100;

/// The part of a connection that is asked for.
struct Part {
    count: u32,
    direction: Direction,
    cursor: EventCursor,
    formed: FormedEvents,
}

impl Part {
    /// Where the read begins: after the cursor, or just before its event, where only a part of that has been seen.
    fn begin(&self) -> Option<u64> {
        let after = self.cursor.after?;
        match (self.cursor.part, self.direction) {
            (None, _) => Some(after),
            (Some(_), Direction::Forward) => after.checked_sub(1),
            (Some(_), Direction::Backward) => after.checked_add(1),
        }
    }
}

/// The log in the form that is asked for.
pub(super) fn formed(context: &Context, given: &mut Arguments) -> Result<FormedEvents, Problem> {
    let form = match given.text("form").as_deref() {
        Some("CURRENT") => EventForm::Current,
        _ => EventForm::Stored,
    };
    context.ports.in_form(form).ok_or_else(|| {
        let message = "this server does not know what stored events have become, as the application is elsewhere; ask there, \
                       or for `form: STORED`";
        Problem::new("no-current-form", message)
    })
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
    let formed = formed(context, given)?;
    Ok(Part { count: count.unwrap_or(USUAL.min(most)), direction, cursor, formed })
}

/// One stream.
pub(super) async fn stream(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let id: StreamId = given.required("id")?;
    let part = part(context, &mut given)?;
    let read = Read::stream_after(id, part.begin().map(Revision::new));
    page(read, &part).await
}

/// The log, or what matches of it.
pub(super) async fn events(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let query = query(&mut given)?;
    let part = part(context, &mut given)?;
    if part.cursor.after.is_some_and(|after| Position::new(after).is_none()) {
        return Err(Problem::wrong("after", "wrong-value", "no position is as large as that"));
    }
    page(Read::log_after(query, part.begin().and_then(Position::new)), &part).await
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

async fn page(read: Read, part: &Part) -> Result<Value, Problem> {
    let is_stream = matches!(read.from, Start::Stream(..));
    let read = read.limit(part.count).until(part.cursor.until);
    let read = if part.direction == Direction::Backward { read.backward() } else { read };
    let page = part.formed.read(read).await.map_err(|error| error.to_problem())?;
    Ok(connection(page, part, is_stream))
}

/// The page in the order of the log, whichever way it was read.
fn connection(FormedPage { mut events, stored: page, .. }: FormedPage, part: &Part, is_stream: bool) -> Value {
    let place = |event: &Recorded| if is_stream { event.revision.get() } else { event.position.get() };
    if let (Some(at), Some(seen)) = (part.cursor.after, part.cursor.part) {
        let is_unseen = |n: u32| if part.direction == Direction::Forward { n > seen } else { n < seen };
        events.retain(|event| place(&event.recorded) != at || event.part.is_some_and(is_unseen));
    }
    // All pages of one walk see one frontier, which its cursors carry.
    let until = page.next.as_ref().and_then(|next| next.until).or(part.cursor.until).or(page.frontier);
    let cursor =
        |event: &Recorded, part: Option<u32>| EventCursor { after: Some(place(event)), part, until }.to_string();
    let edge = |event: &FormedEvent| {
        let node = serde_json::to_value(WireEvent::formed(event, part.formed.form())).unwrap_or_default();
        json!({ "cursor": cursor(&event.recorded, event.part), "node": node })
    };
    let mut edges: Vec<Value> = events.iter().map(edge).collect();
    let far = page.next.as_ref().map(|next| {
        let after = match &next.from {
            Start::Stream(_, after) => after.map(Revision::get),
            Start::Log(_, after) => after.map(Position::get),
        };
        EventCursor { after, part: None, until: next.until }.to_string()
    });
    // An end is past what is stored there, though none of that is shown.
    let near = events.first().map(|event| cursor(&event.recorded, event.part));
    let near = near.or_else(|| page.events.first().map(|event| cursor(event, None)));
    let far_end = far.clone().or_else(|| page.events.last().map(|event| cursor(event, None)));
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
