//! Appends and their outcomes, keys and checkpoints.

use super::{Wrong, decode_list, maybe_position, number, parsed, position, required};
use crate::proto::{self, checkpoint_move, expectation};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Guard, IdempotencyKey, Move, Recalled, Revision, StreamId,
    Token,
};

impl proto::Expectation {
    pub(super) fn new(stream: &StreamId, expected: Expected) -> Self {
        let expected = match expected {
            Expected::NoStream => expectation::Expected::NoStream(()),
            Expected::StreamExists => expectation::Expected::StreamExists(()),
            Expected::Exact(revision) => expectation::Expected::Revision(revision.get()),
        };
        Self { stream: stream.to_string(), expected: Some(expected) }
    }

    pub(super) fn checked(self) -> Result<(StreamId, Expected), Wrong> {
        let expected = match required("expected", self.expected)? {
            expectation::Expected::NoStream(()) => Expected::NoStream,
            expectation::Expected::StreamExists(()) => Expected::StreamExists,
            expectation::Expected::Revision(revision) => Expected::Exact(Revision::new(revision)),
        };
        Ok((parsed("stream", &self.stream)?, expected))
    }
}

impl From<&Append> for proto::AppendRequest {
    fn from(append: &Append) -> Self {
        Self {
            events: append.events.iter().map(Into::into).collect(),
            expect: append.expect.iter().map(|(stream, expected)| proto::Expectation::new(stream, *expected)).collect(),
            guard: append
                .guard
                .as_ref()
                .map(|guard| proto::Guard { none_of: Some((&guard.none_of).into()), after: number(guard.after) }),
            checkpoint: append.checkpoint.as_ref().map(Into::into),
            key: append.key.as_ref().map(|key| proto::IdempotencyKey {
                scope: key.scope.to_string(),
                id: key.id.to_string(),
                digest: key.digest.to_vec().into(),
                note: key.note.clone(),
            }),
        }
    }
}

impl From<&Checkpoint> for proto::CheckpointMove {
    fn from(checkpoint: &Checkpoint) -> Self {
        let to = match checkpoint.to {
            Move::Claim => checkpoint_move::To::Claim(()),
            Move::At(position) => checkpoint_move::To::At(position.get()),
            Move::Reset(position) => {
                checkpoint_move::To::Reset(checkpoint_move::Reset { position: position.map(|position| position.get()) })
            }
        };
        Self {
            name: checkpoint.name.to_string(),
            store: checkpoint.store.to_string(),
            token: checkpoint.token.0,
            from: number(checkpoint.from),
            to: Some(to),
        }
    }
}

impl proto::AppendRequest {
    pub(crate) fn checked(self) -> Result<Append, Wrong> {
        let mut append = Append::new(decode_list("events", self.events, proto::NewEvent::checked)?);
        append.expect = decode_list("expect", self.expect, proto::Expectation::checked)?;
        append.guard = self.guard.map(proto::Guard::checked).transpose().map_err(|wrong| wrong.of("guard"))?;
        let checkpoint = self.checkpoint.map(proto::CheckpointMove::checked);
        append.checkpoint = checkpoint.transpose().map_err(|wrong| wrong.of("checkpoint"))?;
        append.key = self.key.map(proto::IdempotencyKey::checked).transpose().map_err(|wrong| wrong.of("key"))?;
        Ok(append)
    }
}

impl proto::Guard {
    fn checked(self) -> Result<Guard, Wrong> {
        // A guard that forbids every event is a rare wish, and a guard whose query was forgotten a likely mistake.
        let none_of = required("none_of", self.none_of)?;
        let none_of = proto::EventQuery::checked(Some(none_of)).map_err(|wrong| wrong.of("none_of"))?;
        Ok(Guard::new(none_of, maybe_position("after", self.after)?))
    }
}

impl proto::CheckpointMove {
    fn checked(self) -> Result<Checkpoint, Wrong> {
        let to = match required("to", self.to)? {
            checkpoint_move::To::Claim(()) => Move::Claim,
            checkpoint_move::To::At(at) => Move::At(position("at", at)?),
            checkpoint_move::To::Reset(reset) => Move::Reset(maybe_position("reset.position", reset.position)?),
        };
        let (from, token) = (maybe_position("from", self.from)?, Token(self.token));
        let state = CheckpointState::new(parsed("store", &self.store)?, from, token);
        Ok(Checkpoint::new(parsed("name", &self.name)?, state, token, to))
    }
}

impl proto::IdempotencyKey {
    fn checked(self) -> Result<IdempotencyKey, Wrong> {
        let key = IdempotencyKey::new(
            parsed("scope", &self.scope)?,
            parsed("id", &self.id)?,
            decode_digest("digest", &self.digest)?,
        );
        Ok(key.with_note(self.note))
    }
}

fn decode_digest(field: &str, digest: &[u8]) -> Result<[u8; 32], Wrong> {
    digest.try_into().map_err(|_| Wrong::new(field, "it has 32 bytes"))
}

impl proto::StreamRevision {
    pub(crate) fn list(heads: &[(StreamId, Option<Revision>)]) -> Vec<Self> {
        heads.iter().map(|(stream, revision)| Self::new(stream, *revision)).collect()
    }

    pub(crate) fn new(stream: &StreamId, revision: Option<Revision>) -> Self {
        Self { stream: stream.to_string(), revision: revision.map(Revision::get) }
    }

    pub(crate) fn checked(self) -> Result<(StreamId, Option<Revision>), Wrong> {
        Ok((parsed("stream", &self.stream)?, self.revision.map(Revision::new)))
    }
}

impl From<&Appended> for proto::AppendResponse {
    fn from(appended: &Appended) -> Self {
        Self {
            first_position: number(appended.first),
            last_position: number(appended.last),
            streams: proto::StreamRevision::list(&appended.streams),
            note: appended.note.clone(),
            repeated: appended.repeated,
        }
    }
}

impl proto::AppendResponse {
    pub(crate) fn checked(self) -> Result<Appended, Wrong> {
        let first = maybe_position("first_position", self.first_position)?;
        let last = maybe_position("last_position", self.last_position)?;
        let streams = decode_list("streams", self.streams, proto::StreamRevision::checked)?;
        let appended = Appended::new(first, last, streams).with_note(self.note);
        Ok(if self.repeated { appended.as_repeated() } else { appended })
    }
}

impl From<&Recalled> for proto::recall_response::Recalled {
    fn from(recalled: &Recalled) -> Self {
        Self { appended: Some((&recalled.appended).into()), digest: recalled.digest.to_vec().into() }
    }
}

impl proto::recall_response::Recalled {
    pub(crate) fn checked(self) -> Result<Recalled, Wrong> {
        let appended = required("appended", self.appended)?.checked().map_err(|wrong| wrong.of("appended"))?;
        Ok(Recalled::new(appended, decode_digest("digest", &self.digest)?))
    }
}

impl From<CheckpointState> for proto::CheckpointResponse {
    fn from(state: CheckpointState) -> Self {
        Self { store: state.store.to_string(), position: number(state.position), token: state.token.0 }
    }
}

pub(crate) fn decode_checkpoint(response: &proto::CheckpointResponse) -> Result<CheckpointState, Wrong> {
    let position = maybe_position("position", response.position)?;
    Ok(CheckpointState::new(parsed("store", &response.store)?, position, Token(response.token)))
}
