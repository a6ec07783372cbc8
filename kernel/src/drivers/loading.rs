//! Loading: the state of one stream, from its latest usable snapshot and the events since.

use crate::domain::history::HistoryError;
use crate::domain::{Aggregate, Codec, DecodeError, EventSet, Json, RecordedAs, SnapshotPolicy, Unknown, Upcasters};
use crate::ports::{CommandError, EventStore, QueryError, ReadError, Snapshot, SnapshotStore, Source};
use crate::values::{Format, Name, Read, Recorded, Revision, StreamId, Timestamp};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The state of a stream, and how far it has been folded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The stream.
    pub stream: StreamId,
    /// The state; the default one for a missing stream.
    pub state: A,
    /// The revision of the last event folded; `None` for a missing stream.
    pub revision: Option<Revision>,
    /// How many recorded events the state is without, because [`Aggregate::on_unknown`] passes them over.
    pub skipped: u64,
    /// When the first event was recorded that is not in a snapshot; `None` when there is no such one.
    pub(super) unkept_since: Option<Timestamp>,
}

impl<A> Loaded<A> {
    /// A state as a snapshot has it.
    fn at(stream: StreamId, state: A, revision: Option<Revision>) -> Self {
        Self { stream, state, revision, skipped: 0, unkept_since: None }
    }

    /// Whether the stream has any event.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.revision.is_some()
    }
}

/// Why a state could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The stream could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event in it could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Stored events of an old version do not become those of the current one. It is a mistake of the application, which shows
    /// at start-up where the events are registered.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store left out an event, against its laws.
    #[error("the store gave event {found} of {stream} where {expected} should come")]
    Gap {
        /// The stream.
        stream: StreamId,
        /// The revision that should come.
        expected: Revision,
        /// The revision that came.
        found: Revision,
    },
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(ReadError::Busy(source)) => Self::Busy(source),
            other => Self::Other(Source::new(other)),
        }
    }
}

impl From<LoadError> for QueryError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(ReadError::Busy(source)) => Self::Busy(source),
            other => Self::Other(Source::new(other)),
        }
    }
}

/// How many events a page of a replay asks for.
const PAGE: u32 = 1_000;

/// Loads states. A clone is the same.
#[derive(Clone)]
pub struct Loader {
    events: Arc<dyn EventStore>,
    snapshots: Arc<dyn SnapshotStore>,
    upcasters: Arc<Upcasters>,
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").field("upcasters", &self.upcasters).finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader over these stores that decodes through these upcasters.
    #[must_use]
    pub fn new(events: Arc<dyn EventStore>, snapshots: Arc<dyn SnapshotStore>, upcasters: Arc<Upcasters>) -> Self {
        Self { events, snapshots, upcasters }
    }

    /// The log it reads.
    #[must_use]
    pub fn events(&self) -> &Arc<dyn EventStore> {
        &self.events
    }

    /// What it decodes with.
    #[must_use]
    pub fn upcasters(&self) -> &Arc<Upcasters> {
        &self.upcasters
    }

    /// The typed events in a recorded one, upcast like every other.
    ///
    /// # Errors
    ///
    /// [`LoadError::Decode`], [`LoadError::History`].
    pub fn decode<E: EventSet>(
        &self,
        recorded: &Arc<Recorded>,
        unknown: Unknown,
    ) -> Result<Vec<RecordedAs<E>>, LoadError> {
        let decoded = self.upcasters.covering::<E>()?.decode::<E>(recorded, unknown)?;
        Ok(decoded.events.into_iter().map(|event| RecordedAs::new(event, recorded.clone())).collect())
    }

    /// The state of the stream now.
    ///
    /// A snapshot is only ever a shortcut: one that cannot be read or decoded, is of another version, or is ahead
    /// of its stream is passed over (SN-04), and all events are folded.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; loading can always be repeated.
    pub async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        let kept = self.kept::<A>(&stream).await;
        let mut loaded = kept.unwrap_or_else(|| Loaded::at(stream, A::default(), None));
        self.catch_up(&mut loaded).await?;
        Ok(loaded)
    }

    /// Folds what has been added to the stream since.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; the state is then folded up to its revision, and catching up can go on.
    pub async fn catch_up<A: Aggregate>(&self, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
        let upcasters = self.upcasters.covering::<A::Event>()?;
        let mut next = Some(Read::stream_after(loaded.stream.clone(), loaded.revision).limit(PAGE));
        while let Some(read) = next {
            let page = self.events.read(read).await?;
            if page.revision < loaded.revision {
                // The stream was restored to before the snapshot. Once it has grown past it, nothing would tell.
                let kind = self.kind(&A::snapshots());
                let _ = self.snapshots.delete(loaded.stream.clone(), kind, None).await;
                *loaded = Loaded::at(loaded.stream.clone(), A::default(), None);
                next = Some(Read::stream(loaded.stream.clone()).limit(PAGE));
                continue;
            }
            for recorded in page.events {
                let expected = Revision::after(loaded.revision);
                if recorded.revision != expected {
                    let (stream, found) = (loaded.stream.clone(), recorded.revision);
                    return Err(LoadError::Gap { stream, expected, found });
                }
                let decoded = upcasters.decode::<A::Event>(&recorded, A::on_unknown())?;
                decoded.events.iter().for_each(|event| loaded.state.evolve(event));
                loaded.skipped += u64::from(decoded.skipped > 0);
                loaded.revision = Some(recorded.revision);
                loaded.unkept_since.get_or_insert(recorded.recorded_at);
            }
            next = page.next;
        }
        Ok(())
    }

    async fn kept<A: Aggregate>(&self, stream: &StreamId) -> Option<Loaded<A>> {
        let policy = A::snapshots();
        if !policy.keeps() {
            return None;
        }
        let snapshot = self.snapshots.load(stream.clone(), self.kind(&policy), None).await.ok()??;
        if snapshot.version != policy.version || snapshot.format != Format::Json {
            return None;
        }
        let state = Json::decode(&snapshot.state).ok()?;
        Some(Loaded::at(stream.clone(), state, Some(snapshot.revision)))
    }

    /// The state as a snapshot; `None` when it cannot be one: who knows the events that it is without is not to take it for
    /// whole.
    pub(super) fn snapshot<A: Aggregate>(&self, loaded: &Loaded<A>, now: Timestamp) -> Option<Snapshot> {
        if loaded.skipped > 0 {
            return None;
        }
        let policy = A::snapshots();
        let state = Json::encode(&loaded.state).ok()?;
        let revision = loaded.revision?;
        Some(Snapshot::new(loaded.stream.clone(), self.kind(&policy), revision, policy.version, state, now))
    }

    pub(super) fn snapshots(&self) -> &Arc<dyn SnapshotStore> {
        &self.snapshots
    }

    /// The kind with the log's identity: snapshots may be kept beside another log than they were folded from.
    fn kind(&self, policy: &SnapshotPolicy) -> Name {
        let identity = self.events.capabilities().identity;
        let kind = Name::new(format!("{}@{identity}", policy.kind));
        kind.unwrap_or_else(|_| Name::new(format!("state@{identity}")).expect("digits and dashes are a name"))
    }
}
