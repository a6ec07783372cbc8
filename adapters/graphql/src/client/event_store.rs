//! The port `EventStore`, as far as it reads.

use super::GraphqlClient;
use super::transport::Failure;
use crate::wire::errors::PortError as _;
use crate::wire::event::WireEvent;
use crate::wire::problem::Received;
use crate::wire::store::{WireCheckpoint, WireRecalled};
use crate::wire::text::{EventCursor, MaybeAt, MaybeRevision, at, position, revision};
use async_trait::async_trait;
use core::fmt::Display;
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError, Source};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Direction, Item, Name, Page, Position, Query, Read, Recalled, Revision, Start,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

const EVENTS: &str = "{
    edges {
        node {
            id type version stream revision position recordedAt tags format dataBase64 metadataBase64
        }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    frontier revision
}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    edges: Vec<Edge>,
    page_info: PageInfo,
    frontier: MaybeAt,
    revision: MaybeRevision,
}

#[derive(Deserialize)]
struct Edge {
    node: WireEvent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

#[async_trait]
impl EventStore for GraphqlClient {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Err(AppendError::Other(Source::new("GraphQL carries no appends; send a command, or append over another wire")))
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.shared.capabilities.check_read(&read)?;
        let after = match &read.from {
            Start::Stream(_, after) => after.map(Revision::get),
            Start::Log(_, after) => after.map(Position::get),
        };
        let cursor = EventCursor { after, part: None, until: read.until };
        let cursor = (cursor != EventCursor::default()).then(|| cursor.to_string());
        let count = i32::try_from(read.limit).unwrap_or(i32::MAX);
        let (part, cursor_of) = match read.direction {
            Direction::Forward => ("first: $count, after: $cursor", "endCursor"),
            Direction::Backward => ("last: $count, before: $cursor", "startCursor"),
        };
        let (document, variables) = match &read.from {
            Start::Stream(id, _) => (
                format!("query($id: String!, $count: Int, $cursor: String) {{ stream(id: $id, {part}) {EVENTS} }}"),
                json!({ "id": id.as_str(), "count": count, "cursor": cursor }),
            ),
            Start::Log(query, _) => (
                format!(
                    "query($any: [EventItem!], $system: Boolean, $count: Int, $cursor: String) {{
                        events(any: $any, system: $system, {part}) {EVENTS}
                    }}"
                ),
                json!({ "any": items(query), "system": query.system, "count": count, "cursor": cursor }),
            ),
        };
        let connection: Connection = self.read_field(&document, variables).await?;
        let mut events: Vec<_> = connection.edges.into_iter().map(|edge| Arc::new(edge.node.decode())).collect();
        let info = connection.page_info;
        let (more, far) = match read.direction {
            Direction::Forward => (info.has_next_page, info.end_cursor),
            Direction::Backward => {
                events.reverse();
                (info.has_previous_page, info.start_cursor)
            }
        };
        let next = match far.filter(|_| more) {
            None if more => return Err(unreadable(format!("there is more, and no {cursor_of}"))),
            None => None,
            Some(far) => Some(following(read, far.parse().map_err(unreadable)?)?),
        };
        Ok(Page::new(events, position(connection.frontier), next, revision(connection.revision)))
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        const RECALL: &str = "query($scope: String!, $id: String!) {
            store { recall(scope: $scope, id: $id) { first last streams { stream revision } noteBase64 digestBase64 } }
        }";
        #[derive(Deserialize)]
        struct Store {
            recall: Option<WireRecalled>,
        }
        let store: Store = self.read_field(RECALL, json!({ "scope": scope.as_str(), "id": id.as_str() })).await?;
        let Some(recalled) = store.recall else { return Ok(None) };
        recalled.decode().map(Some).ok_or_else(|| unreadable("a digest has 32 bytes"))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        const CHECKPOINT: &str = "query($name: String!) { store { checkpoint(name: $name) { store position token } } }";
        #[derive(Deserialize)]
        struct Store {
            checkpoint: WireCheckpoint,
        }
        let store: Store = self.read_field(CHECKPOINT, json!({ "name": name.as_str() })).await?;
        Ok(store.checkpoint.decode())
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        const CHANGED: &str = "query($any: [EventItem!], $system: Boolean, $after: Position, $wait: Float) {
            store { changed(any: $any, system: $system, after: $after, wait: $wait) }
        }";
        // Half of what this client would wait, so that the answer that nothing has changed comes in time.
        let wait = (self.shared.transport.request_timeout() / 2).as_secs_f64();
        let variables = json!({ "any": items(&query), "system": query.system, "after": at(after), "wait": wait });
        self.read_field::<Value>(CHANGED, variables).await.map(drop)
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }
}

impl GraphqlClient {
    /// The value of the one field of a document that can be repeated.
    async fn read_field<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, ReadError> {
        match self.shared.transport.field(document, variables, None).await {
            Ok(value) => T::deserialize(value).map_err(unreadable),
            Err(Failure::NotSent(source) | Failure::Lost(source)) => Err(ReadError::Busy(source)),
            Err(Failure::Refused(problem)) => Err(refused(&problem)),
        }
    }
}

fn refused(problem: &Received) -> ReadError {
    let source = || Source::new(problem.message.clone());
    ReadError::from_problem(problem).unwrap_or_else(|| match problem.code.as_str() {
        "slow-request" | "timed-out" => ReadError::Busy(source()),
        "invalid-request" => ReadError::Invalid(problem.message.clone()),
        _ => ReadError::Other(source()),
    })
}

fn unreadable(what: impl Display) -> ReadError {
    ReadError::Other(Source::new(format!("the server's answer is not understood: {what}")))
}

/// The read that goes on there.
fn following(mut read: Read, cursor: EventCursor) -> Result<Read, ReadError> {
    match &mut read.from {
        Start::Stream(_, after) => *after = cursor.after.map(Revision::new),
        Start::Log(_, after) => {
            *after = match cursor.after {
                None => None,
                Some(after) => Some(Position::new(after).ok_or_else(|| unreadable("no position is that large"))?),
            };
        }
    }
    Ok(read.until(cursor.until))
}

fn items(query: &Query) -> Vec<Value> {
    let item = |item: &Item| {
        json!({
            "streams": list(item.streams.iter().map(|name| name.as_str())),
            "categories": list(item.categories.iter().map(|name| name.as_str())),
            "types": list(item.types.iter().map(|name| name.as_str())),
            "tags": list(item.tags.iter().map(|name| name.as_str())),
        })
    };
    query.any_of.iter().map(item).collect()
}

/// The names, or nothing for none.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> Option<Vec<&'n str>> {
    Some(names.collect::<Vec<_>>()).filter(|names| !names.is_empty())
}
