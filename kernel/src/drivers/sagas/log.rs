//! The stream of one saga: its facts read, folded and appended.

use super::handlers::SagaLacking;
use crate::domain::saga::{ImpossibleFact, SagaEvent, SagaState};
use crate::domain::{EncodeError, Event as _, new_event};
use crate::drivers::backoff::Backoff;
use crate::ports::{AppendError, EventStore, IdSource, RawEvent, ReadError, Sleep};
use crate::values::{
    Append, Appended, Checkpoint, EventId, Expected, IdempotencyKey, Metadata, NewEvent, Read, Recorded, Revision,
    SagaId,
};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How many facts a page asks for.
const PAGE: u32 = 1_000;
/// How often a store that is busy, or leaves an outcome unknown, is asked again before it is told.
const AGAIN: u32 = 8;

/// A saga as its stream tells of it, and how far that has been read.
pub(super) struct SagaLog {
    events: Arc<dyn EventStore>,
    ids: Arc<dyn IdSource>,
    sleep: Arc<dyn Sleep>,
    /// What every append claims anew, so that none is written by whoever was superseded.
    fence: Option<Checkpoint>,
    pub(super) state: SagaState,
    pub(super) revision: Option<Revision>,
    /// That of the first fact.
    pub(super) metadata: Metadata,
}

/// Why a saga's stream could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SagaReadError {
    /// The store did not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A fact is of a form that this code does not know.
    #[error(transparent)]
    Unreadable(#[from] SagaLacking),
    /// A fact cannot follow those before it.
    #[error(transparent)]
    Impossible(#[from] ImpossibleFact),
}

/// Why facts were not appended.
#[derive(Debug)]
pub(super) enum NotAppended {
    /// Others have appended. The log has been caught up with; decide anew.
    Changed,
    /// The store refused.
    Refused(AppendError),
    /// What the store has could not be read.
    Read(SagaReadError),
    /// It is a mistake of the kernel.
    Encode(EncodeError),
}

impl From<SagaReadError> for NotAppended {
    fn from(error: SagaReadError) -> Self {
        Self::Read(error)
    }
}

impl SagaLog {
    /// The saga as it is now; not started when its stream is missing.
    pub(super) async fn load(
        events: Arc<dyn EventStore>,
        ids: Arc<dyn IdSource>,
        sleep: Arc<dyn Sleep>,
        fence: Option<Checkpoint>,
        saga: SagaId,
    ) -> Result<Self, SagaReadError> {
        let state = SagaState::new(saga).keeping_keys_for(events.capabilities().key_retention);
        let metadata = Metadata::default();
        let mut log = Self { events, ids, sleep, fence, state, revision: None, metadata };
        log.catch_up().await?;
        Ok(log)
    }

    /// Folds what has been appended since.
    pub(super) async fn catch_up(&mut self) -> Result<(), SagaReadError> {
        self.catch_up_past(None).await.map(drop)
    }

    /// The same, and tells whether the event with this id was among it.
    async fn catch_up_past(&mut self, own: Option<EventId>) -> Result<bool, SagaReadError> {
        let mut has_own = false;
        let mut next = Some(Read::stream_after(self.state.id().stream(), self.revision).limit(PAGE));
        while let Some(read) = next {
            let mut busy = Backoff::new(&*self.ids, &*self.sleep, AGAIN);
            let page = loop {
                match self.events.read(read.clone()).await {
                    Err(ReadError::Busy(_)) if busy.pause().await => {}
                    page => break page?,
                }
            };
            for recorded in page.events {
                self.take(&recorded)?;
                has_own |= own == Some(recorded.id);
            }
            next = page.next;
        }
        Ok(has_own)
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), SagaReadError> {
        let fact = decoded(recorded)?;
        self.state.apply(&fact)?;
        if self.revision.is_none() {
            self.metadata = Metadata::decode(&recorded.metadata);
        }
        self.revision = Some(recorded.revision);
        Ok(())
    }

    /// Appends these facts, which follow the state, under the metadata of the saga, and folds them.
    pub(super) async fn append(&mut self, facts: &[SagaEvent]) -> Result<Appended, NotAppended> {
        let metadata = self.metadata.clone();
        self.append_as(facts, &metadata, None).await
    }

    /// The same, under this metadata and this key. Under a key that was taken by the same before, it is caught up with.
    pub(super) async fn append_as(
        &mut self,
        facts: &[SagaEvent],
        metadata: &Metadata,
        key: Option<IdempotencyKey>,
    ) -> Result<Appended, NotAppended> {
        // What cannot follow is never written: it would make the stream unreadable.
        let mut state = self.state.clone();
        facts.iter().try_for_each(|fact| state.apply(fact)).map_err(SagaReadError::from)?;
        let (stream, encoded) = (self.state.id().stream(), metadata.encode());
        let new = |fact: &SagaEvent| new_event(fact, stream.clone(), self.ids.new_id(), encoded.clone());
        let new = facts.iter().map(new).collect::<Result<Vec<_>, _>>().map_err(NotAppended::Encode)?;
        let own = new.first().map(|event| event.id);
        let mut append = Append::new(new).expect(stream.clone(), Expected::unchanged_since(self.revision));
        append.key = key;
        append.checkpoint = self.fence.clone();
        let mut again = Backoff::new(&*self.ids, &*self.sleep, AGAIN);
        let outcome = loop {
            match self.events.append(append.clone()).await {
                Err(AppendError::Busy(_)) if again.pause().await => {}
                // The same append again tells: on the same condition, it is written once.
                Err(AppendError::Unknown(_)) if again.pause().await => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(appended) if appended.repeated => {
                self.catch_up().await?;
                Ok(appended)
            }
            Ok(appended) => {
                self.state = state;
                if self.revision.is_none() {
                    self.metadata = metadata.clone();
                }
                let before = self.revision.map_or(0, |last| last.get() + 1);
                self.revision = (before + facts.len() as u64).checked_sub(1).map(Revision::new);
                Ok(appended)
            }
            // Perhaps by its own append, whose answer was lost.
            Err(AppendError::Conflict { .. }) => match self.catch_up_past(own).await? {
                true => Ok(Appended::new(None, None, alloc::vec![(stream, self.revision)])),
                false => Err(NotAppended::Changed),
            },
            Err(other) => Err(NotAppended::Refused(other)),
        }
    }
}

/// The fact that was recorded.
pub(super) fn decoded(recorded: &Recorded) -> Result<SagaEvent, SagaLacking> {
    let NewEvent { event_type, version, format, payload, .. } = &recorded.event;
    let raw = RawEvent::new(event_type.clone(), *version, *format, payload.clone());
    SagaEvent::decode(&raw).map_err(|error| SagaLacking::Facts(error.to_string()))
}
