//! A process as drivers hold it: its reactions, with the handler and its types taken away.

use super::functions::StepFuture;
use super::handler::{AtWork, Handler, Has};
use super::{
    AfterFailure, FailedIntent, Intents, Outcomes, Process, Reaction, ReactionError, SagaEvent, SagaState, StepContext,
};
use crate::domain::history::HistoryError;
use crate::domain::{Codec as _, CodecError, DecodeError, Json, RecordedAs, Upcasters};
use crate::ports::Violation;
use crate::values::{Recorded, Timestamp};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

/// A recorded event as it arrives at one process: those events that it has become and that are correlated by one key.
#[derive(Clone)]
pub struct Arrival {
    key: String,
    starts: bool,
    recorded: Arc<Recorded>,
    react: React,
}

/// The last argument but one: whether the process is being started.
type React = Arc<dyn Fn(Option<&Value>, bool, Intents) -> Result<Reaction, ReactionError> + Send + Sync>;

impl Arrival {
    /// What it is correlated by: the id of the process.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it starts the process, if that has not been started.
    #[must_use]
    pub fn starts(&self) -> bool {
        self.starts
    }

    /// The fact that a process in this state, which has been started, receives it and reacts so.
    ///
    /// # Errors
    ///
    /// [`ReactionError`]: the code has no answer.
    pub fn react(&self, state: &SagaState, now: Timestamp) -> Result<SagaEvent, ReactionError> {
        let is_first = state.received_to().is_none();
        let reaction = (self.react)(state.process_state().map(|state| &**state), is_first, state.intents(now))?;
        Ok(SagaState::received(self.recorded.id, self.recorded.position, reaction, now))
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("key", &self.key).field("starts", &self.starts).finish_non_exhaustive()
    }
}

pub(super) struct Reacting<P> {
    process: Arc<P>,
    upcasters: Arc<Upcasters>,
}

impl<P: Process> Reacting<P> {
    pub(super) fn new(process: P) -> Result<Self, HistoryError> {
        let upcasters = Arc::new(Upcasters::of::<P::Event>()?);
        Ok(Self { process: Arc::new(process), upcasters })
    }
}

impl<P: Process> Handler for Reacting<P> {
    /// Its steps have no functions: they send what is recorded.
    fn has(&self, _: &str) -> Option<Has> {
        None
    }

    fn input(&self, _: &[u8]) -> Result<Value, Vec<Violation>> {
        let message = "a process starts when it receives an event that starts it, and not by hand";
        Err(alloc::vec![Violation::new("", "starts-by-events", message)])
    }

    fn read(&self, json: &[u8]) -> Result<Value, Vec<Violation>> {
        self.input(json)
    }

    fn open(&self, _: &Value) -> Result<Arc<dyn AtWork>, CodecError> {
        Ok(Arc::new(Opened(self.process.clone())))
    }

    fn arrivals(&self, recorded: &Arc<Recorded>) -> Result<Vec<Arrival>, DecodeError> {
        let mut by_key: Vec<(String, Vec<RecordedAs<P::Event>>)> = Vec::new();
        for event in self.upcasters.decode::<P::Event>(recorded, P::on_unknown())?.events {
            let event = RecordedAs::new(event, recorded.clone());
            if let Some(key) = P::correlate(&event) {
                match by_key.iter_mut().find(|(of, _)| *of == key) {
                    Some((_, events)) => events.push(event),
                    None => by_key.push((key, alloc::vec![event])),
                }
            }
        }
        let arrival = |(key, events): (String, Vec<RecordedAs<P::Event>>)| {
            let (starts, process) = (events.iter().any(P::starts), self.process.clone());
            let react = move |state: Option<&Value>, is_first: bool, intents: Intents| {
                let before = if is_first { events.iter().position(P::starts).unwrap_or_default() } else { 0 };
                let on = |state: &mut P::State, intents: &mut Intents| {
                    events[before..].iter().for_each(|event| process.on(state, event, intents));
                };
                reacted::<P, ()>(state, intents, on).map(|(reaction, ())| reaction)
            };
            Arrival { key, starts, recorded: recorded.clone(), react: Arc::new(react) }
        };
        Ok(by_key.into_iter().map(arrival).collect())
    }

    fn tell_skipped(&self, recorded: &Recorded) {
        self.upcasters.tell_skipped(recorded);
    }

    fn reading_by(&self, upcasters: &Arc<Upcasters>) -> Result<Option<Arc<dyn Handler>>, HistoryError> {
        let upcasters = upcasters.covering::<P::Event>()?;
        Ok(Some(Arc::new(Self { process: self.process.clone(), upcasters })))
    }
}

struct Opened<P>(Arc<P>);

impl<P: Process> AtWork for Opened<P> {
    fn run(&self, _: StepContext, _: bool) -> Option<StepFuture<'static, Value>> {
        None
    }

    fn holds(&self, _: &str, _: &Outcomes) -> Option<bool> {
        None
    }

    fn fired(&self, timer: &str, state: Option<&Value>, intents: Intents) -> Result<Reaction, ReactionError> {
        let on_timer = |state: &mut P::State, intents: &mut Intents| self.0.on_timer(state, timer, intents);
        reacted::<P, ()>(state, intents, on_timer).map(|(reaction, ())| reaction)
    }

    fn failed(
        &self,
        failed: &FailedIntent,
        state: Option<&Value>,
        intents: Intents,
    ) -> Result<Option<Reaction>, ReactionError> {
        let on_failed = |state: &mut P::State, intents: &mut Intents| self.0.on_failed(state, failed, intents);
        let (reaction, after) = reacted::<P, AfterFailure>(state, intents, on_failed)?;
        Ok((after == AfterFailure::GoOn).then_some(reaction))
    }
}

/// What comes of a reaction, in its recorded form.
fn reacted<P: Process, T>(
    state: Option<&Value>,
    mut intents: Intents,
    react: impl FnOnce(&mut P::State, &mut Intents) -> T,
) -> Result<(Reaction, T), ReactionError> {
    let read = |state: &Value| Json::decode(format!("{state}").as_bytes()).map_err(ReactionError::State);
    let mut state: P::State = state.map(read).transpose()?.unwrap_or_default();
    let returned = react(&mut state, &mut intents);
    let unrecordable = |error: serde_json::Error| ReactionError::Unrecordable(format!("its state: {error}"));
    let state = serde_json::to_value(&state).map_err(unrecordable)?;
    Ok((Reaction::new(state, intents.finish()?), returned))
}
