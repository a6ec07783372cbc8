//! Appends and their outcomes on the wire, whole.

use super::event::WireNew;
use super::object;
use super::problem::Problem;
use super::read::WireQuery;
use super::text::{At, Base64, Digits, Hex, Text, whole};
use portolan_kernel::ports::{StoreId, Violation};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Guard, IdempotencyKey, Move, Name, Recalled, Revision,
    StreamId, Token,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireAppend<'a> {
    #[serde(borrow, default, deserialize_with = "object::list")]
    events: Vec<WireNew<'a>>,
    #[serde(default, deserialize_with = "object::list")]
    expect: Vec<WireExpectation>,
    #[serde(default, deserialize_with = "object::maybe", skip_serializing_if = "Option::is_none")]
    guard: Option<WireGuard>,
    #[serde(default, deserialize_with = "object::maybe", skip_serializing_if = "Option::is_none")]
    checkpoint: Option<WireCheckpoint>,
    #[serde(default, deserialize_with = "object::maybe", skip_serializing_if = "Option::is_none")]
    key: Option<WireKey>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireExpectation {
    stream: Text<StreamId>,
    expected: WireExpected,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireExpected {
    NoStream,
    StreamExists,
    Exact(#[serde(deserialize_with = "whole")] u64),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireGuard {
    #[serde(deserialize_with = "object::one")]
    none_of: WireQuery,
    #[serde(default)]
    after: Option<At>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCheckpoint {
    name: Text<Name>,
    store: Text<StoreId>,
    token: Digits,
    #[serde(default)]
    from: Option<At>,
    to: WireMove,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireMove {
    Claim,
    At(At),
    Reset(Option<At>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    scope: Text<Name>,
    id: Text<Name>,
    digest: Text<Hex>,
    #[serde(default = "no_bytes")]
    note_base64: Base64,
}

fn no_bytes() -> Base64 {
    Base64(portolan_kernel::Bytes::new())
}

impl From<Expected> for WireExpected {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::NoStream => Self::NoStream,
            Expected::StreamExists => Self::StreamExists,
            Expected::Exact(revision) => Self::Exact(revision.get()),
        }
    }
}

impl From<WireExpected> for Expected {
    fn from(expected: WireExpected) -> Self {
        match expected {
            WireExpected::NoStream => Self::NoStream,
            WireExpected::StreamExists => Self::StreamExists,
            WireExpected::Exact(revision) => Self::Exact(Revision::new(revision)),
        }
    }
}

impl<'a> WireAppend<'a> {
    pub(crate) fn new(append: &'a Append) -> Self {
        Self {
            events: append.events.iter().map(WireNew::new).collect(),
            expect: append
                .expect
                .iter()
                .map(|(stream, expected)| WireExpectation {
                    stream: Text(stream.clone()),
                    expected: (*expected).into(),
                })
                .collect(),
            guard: append
                .guard
                .as_ref()
                .map(|guard| WireGuard { none_of: WireQuery::new(&guard.none_of), after: guard.after.map(At) }),
            checkpoint: append.checkpoint.as_ref().map(|checkpoint| WireCheckpoint {
                name: Text(checkpoint.name.clone()),
                store: Text(checkpoint.store),
                token: Digits(checkpoint.token.0),
                from: checkpoint.from.map(At),
                to: match checkpoint.to {
                    Move::Claim => WireMove::Claim,
                    Move::At(position) => WireMove::At(At(position)),
                    Move::Reset(position) => WireMove::Reset(position.map(At)),
                },
            }),
            key: append.key.as_ref().map(|key| WireKey {
                scope: Text(key.scope.clone()),
                id: Text(key.id.clone()),
                digest: Text(Hex(key.digest)),
                note_base64: Base64(key.note.clone()),
            }),
        }
    }

    pub(crate) fn decode(self) -> Result<Append, Problem> {
        let mut append = Append::default();
        for (at, event) in self.events.into_iter().enumerate() {
            append.events.push(event.decode(None).map_err(|wrong| contradiction(at, &wrong))?);
        }
        append.expect =
            self.expect.into_iter().map(|expectation| (expectation.stream.0, expectation.expected.into())).collect();
        append.guard = self.guard.map(|guard| Guard::new(guard.none_of.decode(), guard.after.map(|At(at)| at)));
        append.checkpoint = self.checkpoint.map(|checkpoint| {
            let token = Token(checkpoint.token.0);
            let state = CheckpointState::new(checkpoint.store.0, checkpoint.from.map(|At(at)| at), token);
            let to = match checkpoint.to {
                WireMove::Claim => Move::Claim,
                WireMove::At(At(position)) => Move::At(position),
                WireMove::Reset(position) => Move::Reset(position.map(|At(at)| at)),
            };
            Checkpoint::new(checkpoint.name.0, state, token, to)
        });
        append.key =
            self.key.map(|key| IdempotencyKey::new(key.scope.0, key.id.0, key.digest.0.0).with_note(key.note_base64.0));
        Ok(append)
    }
}

/// What is wrong with the event at this place of the list `events`.
pub(crate) fn contradiction(at: usize, wrong: &super::event::Contradiction) -> Problem {
    let path = format!("events[{at}].{}", wrong.field);
    Problem::invalid_request(vec![Violation::new(path, "wrong-shape", wrong.to_string())])
}

/// The last revision of one stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireHead {
    stream: Text<StreamId>,
    revision: Option<u64>,
}

impl WireHead {
    pub(crate) fn list(heads: &[(StreamId, Option<Revision>)]) -> Vec<Self> {
        let of = |(stream, revision): &(StreamId, Option<Revision>)| Self {
            stream: Text(stream.clone()),
            revision: revision.map(Revision::get),
        };
        heads.iter().map(of).collect()
    }

    pub(crate) fn decode(heads: Vec<Self>) -> Vec<(StreamId, Option<Revision>)> {
        heads.into_iter().map(|head| (head.stream.0, head.revision.map(Revision::new))).collect()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireAppended {
    first: Option<At>,
    last: Option<At>,
    streams: Vec<WireHead>,
    note_base64: Base64,
    repeated: bool,
}

impl WireAppended {
    pub(crate) fn new(appended: &Appended) -> Self {
        Self {
            first: appended.first.map(At),
            last: appended.last.map(At),
            streams: WireHead::list(&appended.streams),
            note_base64: Base64(appended.note.clone()),
            repeated: appended.repeated,
        }
    }

    pub(crate) fn decode(self) -> Appended {
        let (first, last) = (self.first.map(|At(at)| at), self.last.map(|At(at)| at));
        let appended = Appended::new(first, last, WireHead::decode(self.streams)).with_note(self.note_base64.0);
        if self.repeated { appended.as_repeated() } else { appended }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireRecalled {
    appended: WireAppended,
    digest: Text<Hex>,
}

impl WireRecalled {
    pub(crate) fn new(recalled: &Recalled) -> Self {
        Self { appended: WireAppended::new(&recalled.appended), digest: Text(Hex(recalled.digest)) }
    }

    pub(crate) fn decode(self) -> Recalled {
        Recalled::new(self.appended.decode(), self.digest.0.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCheckpointState {
    store: Text<StoreId>,
    position: Option<At>,
    token: Digits,
}

impl WireCheckpointState {
    pub(crate) fn new(state: CheckpointState) -> Self {
        Self { store: Text(state.store), position: state.position.map(At), token: Digits(state.token.0) }
    }

    pub(crate) fn decode(self) -> CheckpointState {
        CheckpointState::new(self.store.0, self.position.map(|At(at)| at), Token(self.token.0))
    }
}
