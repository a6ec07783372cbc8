//! Receipts of commands.

use super::text::{At, MaybeAt, MaybeRevision, Text, at, number, revision};
use portolan_kernel::ports::Receipt;
use portolan_kernel::values::{EventId, Revision, StreamId};
use serde::{Deserialize, Serialize};

/// A receipt. `stream` and `revision` are those of the first of `streams`, for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireReceipt {
    #[serde(default)]
    stream: Option<Text<StreamId>>,
    #[serde(default)]
    revision: MaybeRevision,
    position: MaybeAt,
    events: Vec<Text<EventId>>,
    streams: Vec<WireHead>,
    correlation: Option<String>,
    command: Option<String>,
    repeated: bool,
}

/// The last revision of one stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireHead {
    stream: Text<StreamId>,
    revision: MaybeRevision,
}

impl WireHead {
    pub(crate) fn list(heads: &[(StreamId, Option<Revision>)]) -> Vec<Self> {
        let of = |(stream, revision): &(StreamId, Option<Revision>)| Self {
            stream: Text(stream.clone()),
            revision: number(*revision),
        };
        heads.iter().map(of).collect()
    }

    pub(crate) fn decode(heads: Vec<Self>) -> Vec<(StreamId, Option<Revision>)> {
        heads.into_iter().map(|head| (head.stream.0, revision(head.revision))).collect()
    }
}

impl WireReceipt {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        let first = receipt.streams.first();
        Self {
            stream: first.map(|(stream, _)| Text(stream.clone())),
            revision: first.and_then(|(_, revision)| number(*revision)),
            position: at(receipt.position),
            events: receipt.events.iter().copied().map(Text).collect(),
            streams: WireHead::list(&receipt.streams),
            correlation: receipt.correlation.clone(),
            command: receipt.command.clone(),
            repeated: receipt.repeated,
        }
    }

    pub(crate) fn decode(self) -> Receipt {
        let events = self.events.into_iter().map(|Text(id)| id).collect();
        let position = self.position.map(|Text(At(position))| position);
        Receipt::new(WireHead::decode(self.streams), position, events, self.repeated)
            .with_correlation(self.correlation)
            .with_command(self.command)
    }
}
