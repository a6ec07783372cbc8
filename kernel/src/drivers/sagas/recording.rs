//! Sagas started, seen and acted on, by their streams.

use super::driver::SagaDriver;
use super::handlers::SagaLacking;
use super::log::{NotAppended, SagaLog, SagaReadError};
use super::reliable::Reliable;
use super::shard::of_sagas;
use crate::domain::digest;
use crate::domain::saga::{ActError, Action, Conditions, OpenSaga, Outcomes, SagaEvent, SagaState, next};
use crate::ports::{
    ActOnSaga, AppendError, ReadError, SagaError, SagaFact, SagaInfo, SagaStarted, SagaSummary, SagaTimeline, Source,
    StartSaga, Violation,
};
use crate::values::{Metadata, Read, Recorded, Revision, SagaId, Timestamp};
use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde_json::Value;

/// How often an action is decided anew because the saga has moved on.
const CONFLICTS: u32 = 24;

/// What whoever has no code for a saga knows of its conditions.
fn no_conditions(_: &str, _: &Outcomes) -> Option<bool> {
    None
}

impl SagaDriver {
    /// Starts a saga by the highest version of its definition, and drives nothing.
    ///
    /// # Errors
    ///
    /// As [`SagaOrchestrator::start`](crate::ports::SagaOrchestrator::start).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the saga started or not.
    pub async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        let StartSaga { saga, input, mut metadata } = start;
        let unknown = || SagaError::UnknownDefinition(saga.name().clone());
        let handler = self.handlers.latest(saga.name());
        let given = input.to_string().into_bytes();
        metadata.correlation.take_if(|correlation| correlation.is_empty());
        metadata.correlation.get_or_insert_with(|| saga.to_string());
        let mut log = self.loaded(&saga).await?;
        loop {
            if let Some(version) = log.state.version() {
                self.is_repetition(&log.state, version, &input, &given)?;
                return Ok(SagaStarted::new(saga, version, None).as_repeated());
            }
            let handler = handler.ok_or_else(unknown)?;
            let input = handler.input(&given).map_err(wrong)?;
            let now = self.ports.clock.now();
            let (version, plan) = (handler.version(), handler.plan().clone());
            let first = SagaState::started(&saga, version, plan, Arc::new(input), now);
            let mut state = log.state.clone();
            state.apply(&first).map_err(other)?;
            let open = self.handlers.open(&state).map_err(other)?;
            let code = Reliable::new(&open, &*self.ports.spawn);
            let facts: Vec<_> = core::iter::once(first).chain(next(&state, now, &code).without_intents()).collect();
            match log.append_as(&facts, &metadata, None).await {
                Ok(appended) => return Ok(SagaStarted::new(saga, version, appended.first)),
                Err(NotAppended::Changed) => {}
                Err(NotAppended::Refused(error @ AppendError::TooLarge { .. })) => {
                    return Err(SagaError::Invalid(alloc::vec![Violation::new("", "too-large", error.to_string())]));
                }
                Err(error) => return Err(not_recorded(error)),
            }
        }
    }

    /// Whether this start, whose answer may have been lost, is that of the saga. It is compared with what was recorded as it
    /// was sent, and as the code reads both that recorded it: a newer one may have other fields or stricter rules, and
    /// whoever is told to use a new id starts a second saga.
    fn is_repetition(&self, state: &SagaState, version: u32, input: &Value, given: &[u8]) -> Result<(), SagaError> {
        let (saga, name) = (state.id(), state.id().name());
        let own = self.handlers.get(name, version);
        let is_process = state.plan().is_some_and(|plan| plan.process.is_some());
        if !is_process && state.is_of(input) {
            return Ok(());
        }
        let unknown = || SagaError::UnknownDefinition(name.clone());
        let handler = own.or_else(|| self.handlers.latest(name)).ok_or_else(unknown)?;
        let recorded = state.input().map(|input| input.to_string().into_bytes()).unwrap_or_default();
        match (handler.read(given), handler.read(&recorded)) {
            (Ok(given), _) if state.is_of(&given) => Ok(()),
            (Ok(given), Ok(recorded)) => match digest(&given).ok() == digest(&recorded).ok() {
                true => Ok(()),
                false => Err(SagaError::StartedOtherwise(saga.clone())),
            },
            (Err(violations), _) if own.is_some() => Err(wrong(violations)),
            (Ok(_), Err(_)) if own.is_some() => Err(SagaError::StartedOtherwise(saga.clone())),
            _ => {
                let name = name.as_str().into();
                Err(SagaError::Busy(Source::new(SagaLacking::Handler { name, version })))
            }
        }
    }

    /// Whether the log has any saga.
    pub(super) async fn has_any(&self) -> Result<bool, SagaError> {
        let mut read = Some(Read::log(of_sagas()).limit(1));
        while let Some(asked) = read {
            let page = self.ports.events.read(asked).await.map_err(not_read)?;
            if !page.events.is_empty() {
                return Ok(true);
            }
            read = page.next;
        }
        Ok(false)
    }

    /// Records what an operator does, with what follows from it but attempts, and drives nothing.
    ///
    /// # Errors
    ///
    /// As [`SagaOrchestrator::act`](crate::ports::SagaOrchestrator::act).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the action recorded or not.
    pub async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        let ActOnSaga { saga, action, note, metadata } = act;
        let mut log = self.existing(&saga).await?;
        let metadata = Metadata { correlation: log.metadata.correlation.clone(), ..metadata };
        for _ in 0..CONFLICTS {
            let now = self.ports.clock.now();
            let acted = log.state.act(action, metadata.actor.clone(), note.clone(), now);
            let acted = acted.map_err(|error| {
                // Nothing has failed, and yet it does not go on: here somebody waits for code.
                let lacks = self.summary(&log).lacks.filter(|_| error == ActError::NothingToSkip);
                let reason =
                    lacks.map_or_else(|| error.to_string(), |lacks| format!("no step holds the saga up; {lacks}"));
                SagaError::NotNow { saga: saga.clone(), action, reason }
            })?;
            let mut state = log.state.clone();
            state.apply(&acted).map_err(other)?;
            let facts: Vec<SagaEvent> = core::iter::once(acted).chain(self.following(&state, action, now)).collect();
            match log.append_as(&facts, &metadata, None).await {
                Ok(_) => return Ok(self.summary(&log)),
                Err(NotAppended::Changed) => {}
                Err(NotAppended::Refused(error @ AppendError::TooLarge { .. })) => {
                    return Err(SagaError::Invalid(alloc::vec![Violation::new(
                        "note",
                        "too-large",
                        error.to_string()
                    )]));
                }
                Err(error) => return Err(not_recorded(error)),
            }
        }
        Err(SagaError::Busy(Source::new("the saga kept moving on under the action")))
    }

    /// What follows from an action; attempts are begun by whoever runs them. Without the code only an end does.
    fn following(&self, state: &SagaState, action: Action, now: Timestamp) -> Vec<SagaEvent> {
        match self.handlers.open(state) {
            Ok(open) => next(state, now, &Reliable::new(&open, &*self.ports.spawn)).without_intents(),
            Err(_) if action == Action::Abort => next(state, now, &no_conditions as &dyn Conditions).without_intents(),
            Err(_) => Vec::new(),
        }
    }

    /// How a saga stands, by all that is recorded.
    ///
    /// # Errors
    ///
    /// As [`SagaOrchestrator::status`](crate::ports::SagaOrchestrator::status).
    pub async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        let log = self.existing(&saga).await?;
        Ok(self.summary(&log))
    }

    /// The facts of a saga.
    ///
    /// # Errors
    ///
    /// As [`SagaOrchestrator::timeline`](crate::ports::SagaOrchestrator::timeline).
    pub async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        if limit == 0 {
            return Err(SagaError::Invalid(alloc::vec![Violation::new("limit", "zero", "ask for at least one fact")]));
        }
        let mut read = Read::stream_after(saga.stream(), after).limit(limit);
        loop {
            let page = self.ports.events.read(read).await.map_err(not_read)?;
            if page.revision.is_none() {
                return Err(SagaError::NotFound(saga));
            }
            let facts = page.events.iter().map(|recorded| fact(recorded)).collect::<Result<Vec<_>, _>>()?;
            match (page.next, facts.last().map(|last| last.revision)) {
                (Some(next), None) => read = next,
                (Some(_), last) => return Ok(SagaTimeline::new(facts, last)),
                (None, _) => return Ok(SagaTimeline::new(facts, None)),
            }
        }
    }

    /// The definitions there is code for, in the order of names and versions.
    #[must_use]
    pub fn describe(&self) -> Vec<SagaInfo> {
        let info = |handler: &crate::domain::saga::SagaHandler| {
            // Strings and numbers under string keys: there is nothing that could fail.
            let plan = serde_json::to_value(&**handler.plan()).unwrap_or_default();
            let info = SagaInfo::new(handler.name().clone(), handler.version(), plan);
            info.with_description(handler.description()).with_schema(handler.schema().cloned())
        };
        self.handlers.all().map(info).collect()
    }

    fn summary(&self, log: &SagaLog) -> SagaSummary {
        let (state, now) = (&log.state, self.ports.clock.now());
        let lacks = match self.handlers.open(state) {
            _ if state.end().is_some() => None,
            Ok(open) => self.missing(state, &open, now),
            Err(lacking) => Some(lacking.to_string()),
        };
        let (version, started) = (state.version().unwrap_or_default(), state.started_at().unwrap_or_default());
        SagaSummary::new(state.id().clone(), version, started, state.status(now))
            .with_deadline(state.deadline())
            .with_lacks(lacks)
    }

    fn missing(&self, state: &SagaState, open: &OpenSaga, now: Timestamp) -> Option<alloc::string::String> {
        let next = next(state, now, &Reliable::new(open, &*self.ports.spawn));
        super::SagaLacking::of(next.missing, next.unanswered).map(|lacking| lacking.to_string())
    }

    async fn loaded(&self, saga: &SagaId) -> Result<SagaLog, SagaError> {
        self.load(saga).await.map_err(unreadable)
    }

    async fn existing(&self, saga: &SagaId) -> Result<SagaLog, SagaError> {
        let log = self.loaded(saga).await?;
        if log.revision.is_some() { Ok(log) } else { Err(SagaError::NotFound(saga.clone())) }
    }
}

fn wrong(violations: Vec<Violation>) -> SagaError {
    SagaError::Invalid(violations.into_iter().map(without_place).collect())
}

/// The text that was read was written here, so that a place in it tells nobody anything.
fn without_place(mut violation: Violation) -> Violation {
    let is_place = |place: &str| place.split(" column ").all(|number| number.parse::<u32>().is_ok());
    if let Some((message, place)) = violation.message.rsplit_once(" at line ")
        && is_place(place)
    {
        violation.message.truncate(message.len());
    }
    violation
}

fn fact(recorded: &Recorded) -> Result<SagaFact, SagaError> {
    let data: Value = serde_json::from_slice(&recorded.payload).map_err(other)?;
    let at = data.get("at").and_then(Value::as_u64).map_or(recorded.recorded_at, Timestamp::from_micros);
    Ok(SagaFact::new(recorded.revision, at, recorded.event_type.clone(), data))
}

pub(super) fn other(error: impl core::error::Error + Send + Sync + 'static) -> SagaError {
    SagaError::Other(Source::new(error))
}

fn not_read(error: ReadError) -> SagaError {
    match error {
        ReadError::Busy(source) => SagaError::Busy(source),
        error => other(error),
    }
}

pub(super) fn unreadable(error: SagaReadError) -> SagaError {
    match error {
        SagaReadError::Read(error) => not_read(error),
        error => other(error),
    }
}

pub(super) fn not_recorded(error: NotAppended) -> SagaError {
    match error {
        NotAppended::Refused(AppendError::Busy(source)) => SagaError::Busy(source),
        NotAppended::Refused(AppendError::Unknown(source)) => SagaError::Unknown(source),
        NotAppended::Refused(error) => other(error),
        NotAppended::Read(error) => unreadable(error),
        NotAppended::Encode(error) => other(error),
        NotAppended::Changed => SagaError::Busy(Source::new("the saga kept moving on")),
    }
}
