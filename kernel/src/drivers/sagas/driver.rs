//! One saga, driven until it rests.

use super::at_work::AtWork;
use super::attempt::{AttemptKey, Outcome, attempt};
use super::closing::{Close, Closed, closed_digest};
use super::handlers::{SagaHandlers, SagaLacking};
use super::log::{NotAppended, SagaLog, SagaReadError};
use super::nudge::SagaNudge;
use super::reliable::Reliable;
use crate::domain::EncodeError;
use crate::domain::saga::{
    End, Next, OpenSaga, Run, SagaEvent, SagaState, Standing, StepContext, StepError, Way, next,
};
use crate::ports::{AppendError, Clock, CommandBus, EventStore, IdSource, QueryBus, Sleep, Spawn};
use crate::values::{Checkpoint, Revision, SagaId, Timestamp};
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_channel::{Receiver, Sender};
use core::fmt;
use core::pin::pin;
use core::time::Duration;
use futures::future::{BoxFuture, Either, select};

/// A clock may jump; so nobody sleeps for longer without looking at it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long to sleep when this is due next.
pub(super) fn pause_until(clock: &dyn Clock, due: Option<Timestamp>) -> Duration {
    let left = |due: Timestamp| Duration::from_micros(due.as_micros().saturating_sub(clock.now().as_micros()));
    due.map_or(LONGEST_SLEEP, |due| left(due).min(LONGEST_SLEEP))
}

/// Drives sagas, one at a call. A clone is the same.
#[derive(Clone)]
pub struct SagaDriver {
    pub(super) ports: SagaPorts,
    pub(super) handlers: Arc<SagaHandlers>,
    /// What its appends claim anew; `None`: they are fenced by revisions alone.
    fence: Option<Checkpoint>,
}

/// What sagas are driven over.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs, reason = "whoever makes one has to give all")]
pub struct SagaPorts {
    /// The log: where sagas are recorded, and the keys of their commands.
    pub events: Arc<dyn EventStore>,
    /// Where steps send commands. It appends to the same log and tells what it does to commands on their way
    /// ([`CommandBus::leading_to`]), or steps whose answers were lost cannot be settled by keys and need an operator.
    pub commands: Arc<dyn CommandBus>,
    /// Where steps ask.
    pub queries: Arc<dyn QueryBus>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of facts.
    pub ids: Arc<dyn IdSource>,
    /// Waiting.
    pub sleep: Arc<dyn Sleep>,
    /// What catches panics of steps.
    pub spawn: Arc<dyn Spawn>,
}

impl fmt::Debug for SagaPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaPorts").finish_non_exhaustive()
    }
}

impl fmt::Debug for SagaDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaDriver").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

/// How a saga rests: nothing of it is at work here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SagaRest {
    /// There is no such saga.
    NotStarted,
    /// It has ended.
    Ended(End),
    /// It waits until then: drive it again at this time, or when its stream has grown. A process that needs an operator too may
    /// wait so for its timers.
    Until(Timestamp),
    /// It is a process that waits for an event and for no timer: drive it again when its stream has grown.
    Idle,
    /// It needs an operator: drive it again when its stream has grown.
    NeedsOperator,
    /// This process cannot go on with it (SG-08), and another may: drive it again when its stream has grown.
    Lacks {
        /// What it lacks.
        why: SagaLacking,
        /// When something else of it is due, which it does not lack the code for: drive it again at this time too.
        until: Option<Timestamp>,
    },
    /// It was told to stop. What had begun was finished, and nothing more begun.
    Stopped,
}

/// Why a saga cannot be driven now. It stays as its stream says; drive it again later.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SagaDriveError {
    /// Its stream cannot be read.
    #[error("saga {saga} cannot be read: {source}")]
    Read {
        /// Which saga.
        saga: SagaId,
        /// Why.
        source: SagaReadError,
    },
    /// Its stream cannot be appended to.
    #[error("saga {saga} cannot be recorded: {source}")]
    Append {
        /// Which saga.
        saga: SagaId,
        /// Why.
        source: AppendError,
    },
    /// A fact has no stored form: a mistake of the application's, such as a step's outcome.
    #[error("a fact of saga {saga} has no stored form: {source}")]
    Encode {
        /// Which saga.
        saga: SagaId,
        /// Why.
        source: EncodeError,
    },
}

/// What wakes a driver.
enum Woken {
    Answered(Outcome),
    Close(Close),
    Looking,
}

impl SagaDriver {
    /// A driver over these ports, with this code.
    #[must_use]
    pub fn new(ports: SagaPorts, handlers: Arc<SagaHandlers>) -> Self {
        Self { ports, handlers, fence: None }
    }

    /// The same, whose appends are refused once a larger token than the checkpoint's has been claimed. Attempts in flight that it
    /// finds are run again without an append.
    pub(super) fn under(&self, fence: Checkpoint) -> Self {
        Self { fence: Some(fence), ..self.clone() }
    }

    pub(super) async fn load(&self, saga: &SagaId) -> Result<SagaLog, SagaReadError> {
        let SagaPorts { events, ids, sleep, .. } = self.ports.clone();
        SagaLog::load(events, ids, sleep, self.fence.clone(), saga.clone()).await
    }

    /// Drives a saga until it rests: until nothing of it is in flight, and nothing is to be done now.
    ///
    /// # Errors
    ///
    /// [`SagaDriveError`]; what has been recorded stands.
    ///
    /// # Cancellation
    ///
    /// Safe at any moment, as the death of the process is: whoever drives it next goes on by what is recorded. Attempts at
    /// work are dropped with it, and run again under their keys.
    pub async fn drive(&self, saga: &SagaId, nudge: &SagaNudge) -> Result<SagaRest, SagaDriveError> {
        self.drive_up_to(saga, nudge).await.map(|(rest, _)| rest)
    }

    /// The same, and says by which fact it rests.
    pub(super) async fn drive_up_to(
        &self,
        saga: &SagaId,
        nudge: &SagaNudge,
    ) -> Result<(SagaRest, Option<Revision>), SagaDriveError> {
        let mut log = match self.load(saga).await {
            Err(SagaReadError::Unreadable(lacking)) => return Ok((lacks(lacking), None)),
            Err(source) => return Err(SagaDriveError::Read { saga: saga.clone(), source }),
            Ok(log) => log,
        };
        let rest = self.drive_on(&mut log, nudge).await?;
        Ok((rest, log.revision))
    }

    async fn drive_on(&self, log: &mut SagaLog, nudge: &SagaNudge) -> Result<SagaRest, SagaDriveError> {
        let saga = log.state.id().clone();
        let read = |source| SagaDriveError::Read { saga: saga.clone(), source };
        if log.revision.is_none() {
            return Ok(SagaRest::NotStarted);
        }
        if let Some(end) = log.state.end() {
            return Ok(SagaRest::Ended(end));
        }
        let open = match self.handlers.open(&log.state) {
            Ok(open) => open,
            Err(lacking) => return Ok(lacks(lacking)),
        };
        let code = Reliable::new(&open, &*self.ports.spawn);
        let (requests, closes) = async_channel::bounded(1);
        let mut at_work = AtWork::default();
        let mut answered = None;
        loop {
            let is_stopped = nudge.is_stopped();
            match self.record(log, &code, &mut at_work.begun, &mut answered, is_stopped).await {
                Ok(()) => {}
                Err(NotAppended::Changed) => continue,
                Err(NotAppended::Read(SagaReadError::Unreadable(lacking))) => return Ok(lacks(lacking)),
                Err(NotAppended::Read(source)) => return Err(read(source)),
                Err(NotAppended::Refused(source)) => return Err(SagaDriveError::Append { saga: saga.clone(), source }),
                Err(NotAppended::Encode(source)) => return Err(SagaDriveError::Encode { saga: saga.clone(), source }),
            }
            let now = self.ports.clock.now();
            let next = next(&log.state, now, &code);
            // What came due while the log took its time: an attempt whose intent is not on record yet is not run (SG-01).
            if !is_stopped && !next.record.is_empty() {
                continue;
            }
            at_work.keep_only(&next.run);
            if !is_stopped {
                for run in &next.run {
                    if at_work.may_begin(run, now) {
                        at_work.add(run, self.attempt(log, &open, run, now, &requests));
                    }
                }
            }
            // Whoever stops waits for nothing that was interrupted.
            let again = at_work.again().filter(|_| !is_stopped);
            if at_work.is_idle() && again.is_none() {
                return Ok(rest(&log.state, next, is_stopped));
            }
            let wake = next.wake.into_iter().chain(again).min();
            match self.woken(&mut at_work, &closes, wake, nudge, (log.revision, is_stopped)).await {
                Woken::Answered((key, Err(StepError::Interrupted { .. }))) => {
                    at_work.interrupted(key, self.ports.clock.now(), &*self.ports.ids);
                }
                Woken::Answered(outcome) => answered = Some(outcome),
                Woken::Close(close) => self.close(log, close).await,
                Woken::Looking => log.catch_up().await.map_err(read)?,
            }
        }
    }

    /// Records what the answer tells, if there is one, and what follows.
    async fn record(
        &self,
        log: &mut SagaLog,
        code: &Reliable<'_>,
        begun: &mut Vec<AttemptKey>,
        answered: &mut Option<Outcome>,
        is_stopped: bool,
    ) -> Result<(), NotAppended> {
        let now = self.ports.clock.now();
        let (mut state, mut facts) = (log.state.clone(), Vec::new());
        if let Some((key @ (step, way, attempt), result)) = &*answered {
            match state.answer(step, *way, *attempt, result.clone(), now) {
                Ok(fact) => {
                    // What a process sends is settled by the bus alone, which knows its key.
                    let is_own = begun.contains(key) || state.is_process();
                    let fact = if is_own { fact } else { fact.of_another() };
                    state.apply(&fact).map_err(SagaReadError::from)?;
                    facts.push(fact);
                }
                // The first that was recorded counts (SG-03).
                Err(_late) => *answered = None,
            }
        }
        // Whoever stops begins nothing.
        if !is_stopped {
            facts.extend(next(&state, now, code).record);
        }
        if facts.is_empty() {
            return Ok(());
        }
        match (log.append(&facts).await, answered.as_mut()) {
            // What is too large to be recorded is as if nobody had heard it.
            (Err(NotAppended::Refused(error @ AppendError::TooLarge { .. })), Some((_, result @ Ok(_)))) => {
                *result = Err(StepError::unknown(alloc::format!("its outcome cannot be recorded: {error}")));
                Err(NotAppended::Changed)
            }
            (outcome, _) => {
                outcome?;
                *answered = None;
                begun.extend(facts.iter().filter_map(|fact| match fact {
                    SagaEvent::Begun { step, way, attempt, .. } => Some((step.clone(), *way, *attempt)),
                    _ => None,
                }));
                Ok(())
            }
        }
    }

    fn attempt(
        &self,
        log: &SagaLog,
        open: &OpenSaga,
        run: &Run,
        now: Timestamp,
        requests: &Sender<Close>,
    ) -> BoxFuture<'static, Outcome> {
        let state = &log.state;
        let plan = state.plan().and_then(|plan| plan.step(&run.step));
        let context = |bus: Option<Arc<dyn CommandBus>>| {
            let bus = bus.unwrap_or_else(|| self.ports.commands.clone());
            let context = StepContext::new(state.id().clone(), &run.step, bus, self.ports.queries.clone());
            let left = Duration::from_micros(run.until.as_micros().saturating_sub(now.as_micros()));
            Ok(context
                .map_err(StepError::retry)?
                .attempting(run.way, run.attempt)
                .with_start(state.started_at().unwrap_or_default())
                .with_outcomes(run.outcomes.clone())
                .with_metadata(log.metadata.clone())
                .within(Some(left)))
        };
        attempt(open, plan, run, context, &self.ports.commands, requests, self.ports.spawn.clone())
    }

    /// Waits for an answer, a key to be closed, the time, or a word.
    async fn woken(
        &self,
        at_work: &mut AtWork,
        closes: &Receiver<Close>,
        wake: Option<Timestamp>,
        nudge: &SagaNudge,
        (revision, is_stopped): (Option<Revision>, bool),
    ) -> Woken {
        let pause = pause_until(&*self.ports.clock, wake);
        // An answer counts before the time that it was given is over.
        let work = async {
            match select(pin!(at_work.answer()), pin!(closes.recv())).await {
                Either::Left((outcome, _)) => Woken::Answered(outcome),
                Either::Right((Ok(close), _)) => Woken::Close(close),
                Either::Right((Err(_), _)) => Woken::Looking,
            }
        };
        let told = async {
            select(self.ports.sleep.sleep(pause), pin!(nudge.told(revision, is_stopped))).await;
        };
        match select(pin!(work), pin!(told)).await {
            Either::Left((woken, _)) => woken,
            Either::Right(_) => Woken::Looking,
        }
    }

    /// Closes a key, as long as the attempt that wants it is in flight: a driver that was superseded closes none.
    async fn close(&self, log: &mut SagaLog, close: Close) {
        let Close { step, attempt, key, answer } = close;
        let closed = loop {
            let is_in_flight = matches!(
                log.state.standing(&step),
                Some(Standing::Running { way: Way::Settle, attempt: own, .. }) if *own == attempt
            );
            if !is_in_flight || log.state.end().is_some() {
                break Closed::Not("the attempt to find out is over".into());
            }
            let (scope, id) = (key.scope.to_string(), key.id.to_string());
            let fact = SagaEvent::KeyClosed { at: self.ports.clock.now(), step: step.clone(), scope, key: id };
            let metadata = log.metadata.clone();
            match log.append_as(&[fact], &metadata, Some(key.clone())).await {
                Ok(_) => break Closed::Now,
                Err(NotAppended::Changed) => {}
                Err(NotAppended::Refused(AppendError::KeyReused { scope, id })) => {
                    break match self.ports.events.recall(scope, id).await {
                        Ok(Some(recalled)) if recalled.digest == closed_digest() => Closed::Now,
                        Ok(Some(recalled)) => Closed::Taken(recalled),
                        Ok(None) => Closed::Not("its key has expired meanwhile".into()),
                        Err(error) => Closed::Not(error.to_string()),
                    };
                }
                Err(NotAppended::Refused(error)) => break Closed::Not(error.to_string()),
                Err(NotAppended::Read(error)) => break Closed::Not(error.to_string()),
                Err(NotAppended::Encode(error)) => break Closed::Not(error.to_string()),
            }
        };
        // Whoever asked may be gone.
        let _ = answer.try_send(closed);
    }
}

/// It has no code at all, whatever is due.
fn lacks(why: SagaLacking) -> SagaRest {
    SagaRest::Lacks { why, until: None }
}

fn rest(state: &SagaState, next: Next, is_stopped: bool) -> SagaRest {
    if let Some(end) = state.end() {
        return SagaRest::Ended(end);
    }
    if is_stopped {
        return SagaRest::Stopped;
    }
    if let Some(why) = SagaLacking::of(next.missing, next.unanswered) {
        return SagaRest::Lacks { why, until: next.wake };
    }
    match next.wake {
        Some(wake) => SagaRest::Until(wake),
        None if state.is_process() && !state.needs_operator() => SagaRest::Idle,
        // Nothing is due and nothing in flight: whatever comes, comes from outside.
        None => SagaRest::NeedsOperator,
    }
}
