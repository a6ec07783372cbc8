//! Receipts of commands, and lists of what a bus takes.

use super::append::WireHead;
use super::text::{At, Text};
use portolan_kernel::ports::Receipt;
use portolan_kernel::values::{EventId, Name, StreamId};
use serde::{Deserialize, Serialize};

/// A receipt. `stream` and `revision` are those of the first of `streams`, for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireReceipt {
    stream: Option<Text<StreamId>>,
    revision: Option<u64>,
    position: Option<At>,
    events: Vec<Text<EventId>>,
    streams: Vec<WireHead>,
    repeated: bool,
}

impl WireReceipt {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        let first = receipt.streams.first();
        Self {
            stream: first.map(|(stream, _)| Text(stream.clone())),
            revision: first.and_then(|(_, revision)| revision.map(|revision| revision.get())),
            position: receipt.position.map(At),
            events: receipt.events.iter().copied().map(Text).collect(),
            streams: WireHead::list(&receipt.streams),
            repeated: receipt.repeated,
        }
    }

    pub(crate) fn decode(self) -> Receipt {
        let events = self.events.into_iter().map(|Text(id)| id).collect();
        Receipt::new(WireHead::decode(self.streams), self.position.map(|At(at)| at), events, self.repeated)
    }
}

/// `GET /commands`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCommands {
    pub(crate) commands: Vec<WireName>,
}

/// `GET /queries`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireQueries {
    pub(crate) queries: Vec<WireName>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireName {
    pub(crate) name: Text<Name>,
}
