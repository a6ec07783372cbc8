//! Events, received by processes.

use super::driver::SagaDriver;
use super::handlers::SagaLacking;
use super::log::{NotAppended, SagaLog, SagaReadError};
use super::recording::not_recorded;
use super::reliable::Reliable;
use crate::domain::saga::{
    Arrival, ReactionError, Reception, SagaEvent, SagaHandler, SagaId, SagaIdError, SagaState, next,
};
use crate::domain::{DecodeError, EncodeError};
use crate::ports::{AppendError, ReadError, SagaError, Source};
use crate::values::{EventId, Metadata, Name, Position, Recorded};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

/// How often a reception is decided anew because the process has moved on.
const CONFLICTS: u32 = 24;

/// How much is told of a key that is no id, in bytes.
const KEY_BYTES: usize = 100;

/// What has become of an event at one process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Which process.
    pub saga: SagaId,
    /// What has become of it.
    pub outcome: ReceivedAs,
}

impl Received {
    /// Whether the process's stream has grown by it, so that it is to be driven.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self.outcome, ReceivedAs::Start | ReceivedAs::Next)
    }
}

/// What an event was to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceivedAs {
    /// It started the process. Drive it.
    Start,
    /// The process had been started, and has received it. Drive it.
    Next,
    /// It was received before, and nothing has changed. Drive the process, if nobody does: whoever received it may have died.
    Repetition,
    /// The process has ended, or has decided to. The event is passed over.
    AfterTheEnd,
    /// The process has not been started, and the event starts none. It is passed over.
    BeforeTheStart,
    /// The process is of another version of the handler, by which it receives the event.
    OtherVersion,
}

/// Why an event was not received. Nothing was recorded, unless it says so.
#[derive(Debug, Clone, thiserror::Error)]
#[error("process {process} cannot receive event {event} at {position}: {reason}")]
#[non_exhaustive]
pub struct ReceiveError {
    /// The name of the definition.
    pub process: Name,
    /// Which event.
    pub event: EventId,
    /// Its position.
    pub position: Position,
    /// Why.
    #[source]
    pub reason: ReceiveReason,
}

impl ReceiveError {
    /// It in a sentence, without the place where a store is damaged: a place names files.
    pub(super) fn told(&self) -> String {
        let Self { process, event, position, reason } = self;
        match reason {
            ReceiveReason::Saga(SagaError::Busy(source) | SagaError::Unknown(source) | SagaError::Other(source))
                if is_damage(source) =>
            {
                format!("process {process} cannot receive event {event} at {position}: the store is damaged; verify it")
            }
            _ => self.to_string(),
        }
    }

    /// Whether the event itself is the reason, or what the application makes of it: then trying again changes nothing until
    /// another code runs. Else it may go well later, or in another process of the system.
    ///
    /// One that [is for none](Self::is_for_none) is no reason to receive nothing more.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match &self.reason {
            ReceiveReason::Decode(_)
            | ReceiveReason::Key { .. }
            | ReceiveReason::NoProcess(_)
            | ReceiveReason::Reaction { .. }
            | ReceiveReason::Panicked(_)
            | ReceiveReason::TooLarge { .. }
            | ReceiveReason::Encode(_) => true,
            ReceiveReason::Lacks { .. } | ReceiveReason::Saga(_) => false,
        }
    }
}

impl ReceiveError {
    /// Whether the event is for no process, since what it is correlated by is no id, and all others that it is for have
    /// received it: whoever feeds goes on with the next, and tells of this one.
    #[must_use]
    pub fn is_for_none(&self) -> bool {
        matches!(self.reason, ReceiveReason::Key { .. })
    }
}

/// Why an event was not received.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveReason {
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What it is correlated by is no id of a saga, so that it is for no process.
    #[error("it is correlated by {key:?}, which is no id: {source}; correlate it by something else")]
    Key {
        /// What it is correlated by, or the beginning of that.
        key: String,
        /// What is wrong with it.
        source: SagaIdError,
    },
    /// A saga of the same name and id is no process.
    #[error("{0} is a saga that was started by hand, and no process; give the process another name")]
    NoProcess(SagaId),
    /// The handler has no answer to it.
    #[error("at {saga}: {source}")]
    Reaction {
        /// Which process.
        saga: SagaId,
        /// Why not.
        source: ReactionError,
    },
    /// The handler panicked where it says what the event is correlated by.
    #[error("the handler panicked: {0}")]
    Panicked(String),
    /// What the process would remember and wants is too large for an append.
    #[error("at {saga}: what it is to remember, or wants sent, is too large: {source}")]
    TooLarge {
        /// Which process.
        saga: SagaId,
        /// The store's word.
        source: AppendError,
    },
    /// What would be recorded has no stored form.
    #[error(transparent)]
    Encode(EncodeError),
    /// This process of the system has no code for it (SG-08), and another may.
    #[error("{saga} waits: {source}")]
    Lacks {
        /// Which process.
        saga: SagaId,
        /// What is lacking.
        source: SagaLacking,
    },
    /// Its stream cannot be read or appended to. After [`SagaError::Unknown`] it may have been received; feeding it again
    /// tells.
    #[error(transparent)]
    Saga(SagaError),
}

impl SagaDriver {
    /// Feeds an event to the processes of this handler that it is for, and drives nothing. There is more than one only where
    /// upcasting has made several events of it, which may be correlated by several keys; mostly there is one, or none.
    ///
    /// Events are fed in the order of the log, and none is left out: a process that has received one passes over all before
    /// it. Feeding one again changes nothing; so a feeder goes on from the last that it knows to be fed, and two of them
    /// are as one.
    ///
    /// A process that is started follows the highest version of its name; those that run receive by their own. So an event
    /// is fed to the handlers of all versions.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. Of several processes those before may have received it; where it [is for
    /// none](ReceiveError::is_for_none) by one of its keys, those of the other keys all have.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the event received or not; feeding it again settles it.
    pub async fn receive(&self, handler: &SagaHandler, event: &Arc<Recorded>) -> Result<Vec<Received>, ReceiveError> {
        self.receive_by(handler, event, OfNewer::IsLacking).await
    }

    pub(super) async fn receive_by(
        &self,
        handler: &SagaHandler,
        event: &Arc<Recorded>,
        newer: OfNewer,
    ) -> Result<Vec<Received>, ReceiveError> {
        let failed = |reason| ReceiveError {
            process: handler.name().clone(),
            event: event.id,
            position: event.position,
            reason,
        };
        let mut arrivals = None;
        let caught = self.ports.spawn.catch(&mut || arrivals = Some(handler.arrivals(event)));
        let arrivals = match (caught, arrivals) {
            (Ok(()), Some(arrivals)) => arrivals.map_err(|error| failed(error.into()))?,
            (caught, _) => return Err(failed(ReceiveReason::Panicked(caught.err().unwrap_or_default()))),
        };
        let (mut all, mut for_none) = (Vec::with_capacity(arrivals.len()), None);
        for arrival in &arrivals {
            match self.receive_at(handler, event, arrival, newer).await {
                Ok(received) => all.push(received),
                Err(reason @ ReceiveReason::Key { .. }) => for_none = for_none.or(Some(reason)),
                Err(reason) => return Err(failed(reason)),
            }
        }
        match for_none {
            None => Ok(all),
            Some(reason) => Err(failed(reason)),
        }
    }

    async fn receive_at(
        &self,
        handler: &SagaHandler,
        event: &Recorded,
        arrival: &Arrival,
        newer: OfNewer,
    ) -> Result<Received, ReceiveReason> {
        let key = |source| {
            let end = arrival.key().floor_char_boundary(KEY_BYTES);
            ReceiveReason::Key { key: arrival.key()[..end].into(), source }
        };
        let saga = SagaId::new(handler.name(), arrival.key()).map_err(key)?;
        let mut log = self.load(&saga).await.map_err(|error| unread(&saga, error))?;
        for _ in 0..CONFLICTS {
            let (facts, metadata, outcome) = match self.decided(handler, event, arrival, newer, &log)? {
                Decided::Nothing(outcome) => return Ok(Received { saga, outcome }),
                Decided::Facts(facts, metadata, outcome) => (facts, metadata, outcome),
            };
            match log.append_as(&facts, &metadata, None).await {
                Ok(_) => return Ok(Received { saga, outcome }),
                Err(NotAppended::Changed) => {}
                Err(NotAppended::Read(error)) => return Err(unread(&saga, error)),
                Err(NotAppended::Encode(error)) => return Err(ReceiveReason::Encode(error)),
                Err(NotAppended::Refused(source @ AppendError::TooLarge { .. })) => {
                    return Err(ReceiveReason::TooLarge { saga, source });
                }
                Err(error) => return Err(ReceiveReason::Saga(not_recorded(error))),
            }
        }
        Err(ReceiveReason::Saga(not_recorded(NotAppended::Changed)))
    }

    /// What is to be recorded of the event at this process, with what follows from it but attempts.
    fn decided(
        &self,
        handler: &SagaHandler,
        event: &Recorded,
        arrival: &Arrival,
        newer: OfNewer,
        log: &SagaLog,
    ) -> Result<Decided, ReceiveReason> {
        let saga = log.state.id();
        let latest = self.handlers.latest(saga.name()).map_or(handler.version(), SagaHandler::version);
        let is_latest = latest == handler.version();
        let nothing = |outcome| Ok(Decided::Nothing(outcome));
        let is_started = match log.state.reception(event.position) {
            Reception::Repeated => return nothing(ReceivedAs::Repetition),
            Reception::Ended => return nothing(ReceivedAs::AfterTheEnd),
            Reception::NoProcess => return Err(ReceiveReason::NoProcess(saga.clone())),
            Reception::NotStarted if !is_latest => return nothing(ReceivedAs::OtherVersion),
            Reception::NotStarted if !arrival.starts() => return nothing(ReceivedAs::BeforeTheStart),
            Reception::NotStarted => false,
            Reception::New if newer == OfNewer::IsPassedOver && log.state.version() > Some(latest) => {
                return nothing(ReceivedAs::OtherVersion);
            }
            Reception::New => true,
        };
        let now = self.ports.clock.now();
        let (mut state, mut facts) = (log.state.clone(), Vec::new());
        if !is_started {
            let (version, plan) = (handler.version(), handler.plan().clone());
            facts.push(SagaState::started(saga, version, plan, Arc::default(), now));
            follow(&mut state, &facts)?;
        }
        let open = self.handlers.open(&state).map_err(|source| ReceiveReason::Lacks { saga: saga.clone(), source })?;
        if state.version() != Some(handler.version()) {
            return nothing(ReceivedAs::OtherVersion);
        }
        let code = Reliable::new(&open, &*self.ports.spawn);
        let received = code.caught(|| arrival.react(&state, now));
        facts.push(received.map_err(|source| ReceiveReason::Reaction { saga: saga.clone(), source })?);
        follow(&mut state, &facts[facts.len() - 1..])?;
        facts.extend(next(&state, now, &code).without_intents());
        let causation = Some(event.id.to_string());
        let metadata = if is_started {
            Metadata { causation, ..log.metadata.clone() }
        } else {
            let Metadata { correlation, actor, tenant, traceparent, .. } = Metadata::decode(&event.metadata);
            let correlation = correlation.filter(|of| !of.is_empty()).or_else(|| Some(saga.to_string()));
            Metadata { correlation, causation, actor, tenant, traceparent, ..Metadata::default() }
        };
        Ok(Decided::Facts(facts, metadata, if is_started { ReceivedAs::Next } else { ReceivedAs::Start }))
    }
}

/// What becomes of an event at a process of a version that is newer than all that are registered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfNewer {
    /// The code for it is lacking.
    IsLacking,
    /// It is passed over: whoever has started the process feeds it, by a checkpoint of the newer version.
    IsPassedOver,
}

enum Decided {
    Nothing(ReceivedAs),
    Facts(Vec<SagaEvent>, Metadata, ReceivedAs),
}

fn follow(state: &mut SagaState, facts: &[SagaEvent]) -> Result<(), ReceiveReason> {
    let impossible = |error| ReceiveReason::Saga(super::recording::other(error));
    facts.iter().try_for_each(|fact| state.apply(fact)).map_err(impossible)
}

fn unread(saga: &SagaId, error: SagaReadError) -> ReceiveReason {
    match error {
        SagaReadError::Unreadable(source) => ReceiveReason::Lacks { saga: saga.clone(), source },
        error => ReceiveReason::Saga(super::recording::unreadable(error)),
    }
}

impl fmt::Display for ReceivedAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "it started the process",
            Self::Next => "the process received it",
            Self::Repetition => "it was received before",
            Self::AfterTheEnd => "the process has ended",
            Self::BeforeTheStart => "the process has not been started",
            Self::OtherVersion => "another version of the handler receives it",
        })
    }
}

/// Whether it tells of a store that is damaged.
fn is_damage(source: &Source) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(source.get());
    while let Some(error) = next {
        // A source stands for what it holds, and is no source of it.
        let error = error.downcast_ref::<Source>().map_or(error, |held| held.get());
        if matches!(error.downcast_ref(), Some(ReadError::Corrupt { .. }))
            || matches!(error.downcast_ref(), Some(AppendError::Corrupt { .. }))
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_damaged_store_names_no_place() {
        let place = || String::from("/srv/bank.db, page 3");
        let (read, append) = (ReadError::Corrupt { place: place() }, AppendError::Corrupt { place: place() });
        let unreadable = super::super::recording::unreadable(read.into());
        let within = AppendError::Other(Source::new(append.clone()));
        let refused = [append, within].map(|error| not_recorded(NotAppended::Refused(error)));
        for reason in refused.into_iter().chain([unreadable]) {
            let (process, event) = (Name::new("order").unwrap(), EventId::from_bytes([7; 16]));
            let reason = ReceiveReason::Saga(reason);
            let told = ReceiveError { process, event, position: Position::new(5).unwrap(), reason }.told();
            assert!(told.contains("order") && told.contains("damaged") && !told.contains("/srv"), "{told}");
        }
    }
}
