//! What comes next: the machine.

use super::standing::StepState;
use super::state::Wish;
use super::{
    End, FailedIntent, Intents, Outcomes, Reaction, ReactionError, SagaEvent, SagaState, SentCommand, Standing,
    StepError, StepPlan, Way,
};
use crate::values::{Name, Timestamp};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

/// What is to be done about a saga now: first record, then run, then come back.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Next {
    /// The facts to append now, in this order, in one append; together with the answer that led to them, if there was one.
    /// What follows from them is in them already.
    pub record: Vec<SagaEvent>,
    /// The attempts in flight once that is recorded, the new ones and those from before. Run each that is not running yet:
    /// after a restart that is all of them, under the same keys.
    pub run: Vec<Run>,
    /// When to ask again, if nothing happens before.
    pub wake: Option<Timestamp>,
    /// The steps whose conditions this code cannot tell. The saga waits for a process that can (SG-8).
    pub missing: Vec<String>,
    /// Why this code has no answer: to whether a condition holds, or to what a process has to react to. It waits for a process of
    /// the system that has (SG-8).
    pub unanswered: Option<ReactionError>,
}

impl Next {
    /// What of it is recorded by whoever runs nothing: the facts up to the first intent. An intent is for whoever runs the
    /// attempt, since its time begins with it, and what was never tried would be in doubt when that is over.
    #[must_use]
    pub fn without_intents(self) -> Vec<SagaEvent> {
        self.record.into_iter().take_while(|fact| !matches!(fact, SagaEvent::Begun { .. })).collect()
    }
}

/// An attempt in flight.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// Which step.
    pub step: String,
    /// Which way.
    pub way: Way,
    /// Which attempt this way. Step, way and attempt together name the attempt.
    pub attempt: u32,
    /// The key of its effect (SG-1).
    pub key: Name,
    /// When it counts as unknown, if there is no answer.
    pub until: Timestamp,
    /// The outcomes that it sees; none for a step that sends a command of its plan.
    pub outcomes: Outcomes,
    /// What is to be sent, for a step of a process; `None`: run the step's function.
    pub command: Option<SentCommand>,
}

/// Tells whether conditions hold, and how a process reacts: what the machine needs of a saga's functions.
pub trait Conditions {
    /// Whether the condition of this step holds, with these outcomes; `None`: this code does not know the condition.
    ///
    /// # Errors
    ///
    /// [`ReactionError`]: this code has no answer.
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Result<Option<bool>, ReactionError>;

    /// What a process does when this timer fires, in this state; `None` before its first reaction.
    ///
    /// # Errors
    ///
    /// [`ReactionError`]: this code has no answer.
    fn fired(&self, timer: &str, state: Option<&Value>, intents: Intents) -> Result<Reaction, ReactionError> {
        let _ = (timer, state, intents);
        Err(ReactionError::NoProcess)
    }

    /// What a process does about a command that has failed; `None`: it needs an operator.
    ///
    /// # Errors
    ///
    /// [`ReactionError`]: this code has no answer.
    fn failed(
        &self,
        failed: &FailedIntent,
        state: Option<&Value>,
        intents: Intents,
    ) -> Result<Option<Reaction>, ReactionError> {
        let _ = (failed, state, intents);
        Err(ReactionError::NoProcess)
    }
}

impl<F: Fn(&str, &Outcomes) -> Option<bool>> Conditions for F {
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Result<Option<bool>, ReactionError> {
        Ok(self(step, outcomes))
    }
}

/// What comes next. Pure: equal states, times and conditions, equal answers; and asked again after its facts are folded, it
/// has no more to record.
#[must_use]
pub fn next(state: &SagaState, now: Timestamp, conditions: &dyn Conditions) -> Next {
    let mut state = state.clone();
    let mut next = Next::default();
    while let Some(fact) = state.decide(now, conditions, &mut next) {
        let applied = state.apply(&fact);
        debug_assert_eq!(applied, Ok(()), "what the machine decides, its fold takes");
        if applied.is_err() {
            break;
        }
        next.record.push(fact);
    }
    if state.end.is_none() {
        next.run = state.runs();
        next.wake = state.wake(now);
    }
    next
}

impl SagaState {
    fn runs(&self) -> Vec<Run> {
        let run = |(plan, state): (&StepPlan, &StepState)| match state.standing {
            Standing::Running { way, attempt, until, .. } => Some(Run {
                step: plan.name.clone(),
                way,
                attempt,
                key: self.id.step_key(&plan.name, way),
                until,
                outcomes: match plan.command {
                    Some(_) => Outcomes::new(),
                    None => self.outcomes_for(&plan.name, way),
                },
                command: plan.command.clone(),
            }),
            _ => None,
        };
        self.zipped().filter_map(run).collect()
    }

    /// When to ask again: the next time at which something is due. What was due before has been decided, or waits for
    /// something else than time.
    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.dues().filter(|due| *due > now).min()
    }

    /// The times at which something is due.
    pub(super) fn dues(&self) -> impl Iterator<Item = Timestamp> {
        let is_free = !self.needs_operator();
        let due = self.steps.iter().filter_map(move |state| match state.standing {
            Standing::Running { until, .. } => Some(until),
            Standing::Pausing { way: Way::Forward, retry_at, .. } => {
                Some(retry_at).filter(|_| is_free && !self.is_turned_back())
            }
            Standing::Pausing { retry_at, .. } => Some(retry_at).filter(|_| is_free),
            _ => None,
        });
        let may_turn = is_free && !self.is_turned_back() && !self.is_past_pivot() && !self.is_process();
        let timers = self.timers().map(|(_, due)| due);
        due.chain(self.deadline().filter(|_| may_turn)).chain(timers)
    }

    /// One fact that follows from the state at this time, if any does.
    fn decide(&self, now: Timestamp, conditions: &dyn Conditions, next: &mut Next) -> Option<SagaEvent> {
        next.missing.clear();
        next.unanswered = None;
        if self.start.is_none() || self.end.is_some() {
            return None;
        }
        if self.is_aborted() {
            return Some(SagaEvent::Ended { at: now, end: End::Aborted, left: self.left() });
        }
        if let Some(late) = self.timed_out(now) {
            return Some(late);
        }
        if let Some(process) = &self.process {
            self.go_on_as_process(process, now, conditions, next)
        } else if self.needs_operator() {
            None
        } else if self.is_turned_back() {
            self.back(now)
        } else {
            self.forward(now, conditions, next)
        }
    }

    fn timed_out(&self, now: Timestamp) -> Option<SagaEvent> {
        self.zipped().find_map(|(plan, state)| match state.standing {
            Standing::Running { way, attempt, until, .. } if until <= now => {
                let effort = plan.effort(way)?;
                let error = StepError::unknown(format_args!("no answer within {:?}", effort.timeout));
                Some(self.failed(plan, state, (way, attempt), &error, now))
            }
            _ => None,
        })
    }

    /// The steps of these places, each with its plan.
    fn among(&self, places: core::ops::Range<usize>) -> impl Iterator<Item = (&StepPlan, &StepState)> {
        let take = places.len();
        self.zipped().skip(places.start).take(take)
    }
}

/// On the way forward.
impl SagaState {
    fn forward(&self, now: Timestamp, conditions: &dyn Conditions, next: &mut Next) -> Option<SagaEvent> {
        let is_past = self.is_past_pivot();
        if let Some(reason) = self.reason_to_turn(now).filter(|_| !is_past) {
            return match self.pivot_at_risk() {
                // Whether there is a way back shows when it is known what has become of the pivot.
                Some(place) => self.await_pivot(place, now),
                None => Some(SagaEvent::TurnedBack { at: now, reason }),
            };
        }
        let places = self.current();
        if places.is_empty() {
            return Some(SagaEvent::Ended { at: now, end: End::Completed, left: Vec::new() });
        }
        // What becomes of a pivot that is begun together with others decides for all of them.
        let is_stuck = |plan: &StepPlan, state: &StepState| self.is_stuck(plan, state, now);
        let pivot_is_open = self.among(places.clone()).any(|(plan, state)| plan.is_pivot() && !state.is_finished());
        let mut waits = false;
        for (plan, state) in self.among(places.clone()) {
            let may_close = !is_past && (plan.is_pivot() || !pivot_is_open);
            let begun = match &state.standing {
                Standing::Waiting if plan.conditional => {
                    match conditions.holds(&plan.name, &self.outcomes_for(&plan.name, Way::Forward)) {
                        Ok(Some(true)) => self.begun(plan, state, Way::Forward, now),
                        Ok(Some(false)) => Some(SagaEvent::Passed { at: now, step: plan.name.clone() }),
                        Ok(None) => {
                            next.missing.push(plan.name.clone());
                            None
                        }
                        Err(error) => {
                            next.unanswered = Some(error);
                            None
                        }
                    }
                }
                Standing::Waiting => self.begun(plan, state, Way::Forward, now),
                _ if is_stuck(plan, state) => {
                    let may_settle = state.is_open() && plan.settles_on_the_way(may_close);
                    let settles = may_settle && !self.is_too_late(plan, state, Way::Settle, now);
                    if settles { self.begun(plan, state, Way::Settle, now) } else { None }
                }
                Standing::Pausing { way, retry_at, .. } if *retry_at <= now => self.begun(plan, state, *way, now),
                _ => None,
            };
            if begun.is_some() {
                return begun;
            }
            waits |= !state.is_finished() && !is_stuck(plan, state);
        }
        if waits { None } else { self.stopped(places, is_stuck, now) }
    }

    /// Why it is to turn back, if it is and still can.
    fn reason_to_turn(&self, now: Timestamp) -> Option<String> {
        if let Some(Wish::Back(note)) = &self.wish {
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            return Some(format!("an operator had it compensated{note}"));
        }
        let failed = self.among(self.current()).find_map(|(plan, state)| match &state.standing {
            // One that may have happened is found out about first, and a pivot that may have leaves no way back.
            Standing::Failed { way: Way::Forward, failure, .. }
            | Standing::Pausing { way: Way::Forward, failure, .. }
                if self.is_stuck(plan, state, now) && (!state.in_doubt || !(plan.settles() || plan.is_pivot())) =>
            {
                let late = self.told_too_late(plan, state, Way::Forward, now);
                Some(format!("{} failed{late}: {}", plan.name, failure.reason))
            }
            _ => None,
        });
        let overdue = self.deadline().filter(|deadline| *deadline <= now && !self.current().is_empty());
        failed.or_else(|| overdue.map(|_| String::from("the time for the whole has passed")))
    }

    fn await_pivot(&self, place: usize, now: Timestamp) -> Option<SagaEvent> {
        let (plan, state) = self.zipped().nth(place)?;
        match &state.standing {
            _ if state.is_open() && plan.settles() && !self.is_too_late(plan, state, Way::Settle, now) => {
                self.begun(plan, state, Way::Settle, now)
            }
            _ if self.is_stuck(plan, state, now) => {
                let others = self.among(self.current()).any(|(_, state)| state.is_running());
                if others { None } else { self.stopped(place..place + 1, |_, _| true, now) }
            }
            // It may have happened, and trying again under its key is the only way to find out.
            Standing::Pausing { way, retry_at, .. } if *retry_at <= now => self.begun(plan, state, *way, now),
            _ => None,
        }
    }
}

/// On the way back.
impl SagaState {
    fn back(&self, now: Timestamp) -> Option<SagaEvent> {
        let is_unsettled =
            |plan: &StepPlan, state: &StepState| state.is_open() && plan.settles() && plan.compensation().is_some();
        let mut waits = false;
        for (plan, state) in self.zipped() {
            let begun = match &state.standing {
                _ if is_unsettled(plan, state) && !self.is_too_late(plan, state, Way::Settle, now) => {
                    self.begun(plan, state, Way::Settle, now)
                }
                _ if self.is_stuck(plan, state, now) => None,
                Standing::Pausing { way: way @ (Way::Settle | Way::Back), retry_at, .. } if *retry_at <= now => {
                    self.begun(plan, state, *way, now)
                }
                _ => None,
            };
            if begun.is_some() {
                return begun;
            }
            waits |= match &state.standing {
                Standing::Running { .. } => true,
                Standing::Pausing { way, .. } => *way != Way::Forward && !self.is_stuck(plan, state, now),
                _ => false,
            };
        }
        if waits {
            return None;
        }
        // Nothing waits, so that what is not settled comes too late to be.
        let sticks = |plan: &StepPlan, state: &StepState| {
            let is_back = matches!(state.standing.way(), Some(Way::Settle | Way::Back));
            is_unsettled(plan, state) || is_back && self.is_stuck(plan, state, now)
        };
        if let Some(stopped) = self.stopped(0..self.steps.len(), sticks, now) {
            return Some(stopped);
        }
        let undone = self.zipped().filter(|(plan, state)| {
            plan.compensation().is_some() && (state.standing == Standing::Done || state.is_open())
        });
        match undone.max_by_key(|(_, state)| state.told) {
            Some((plan, state)) => self.begun(plan, state, Way::Back, now),
            None => {
                let left = self.left();
                let end = if left.is_empty() { End::Compensated } else { End::Aborted };
                Some(SagaEvent::Ended { at: now, end, left })
            }
        }
    }
}

/// Facts.
impl SagaState {
    pub(super) fn begun(&self, plan: &StepPlan, state: &StepState, way: Way, now: Timestamp) -> Option<SagaEvent> {
        let until = now.plus(plan.effort(way)?.timeout);
        let attempt = state.tried(way).saturating_add(1);
        Some(SagaEvent::Begun { at: now, step: plan.name.clone(), way, attempt, until })
    }

    /// That an operator is needed because of those steps among these; `None` when there are none.
    pub(super) fn stopped(
        &self,
        places: core::ops::Range<usize>,
        sticks: impl Fn(&StepPlan, &StepState) -> bool,
        now: Timestamp,
    ) -> Option<SagaEvent> {
        let stuck: Vec<_> = self.among(places).filter(|(plan, state)| sticks(plan, state)).collect();
        let reasons = stuck.iter().filter_map(|(plan, state)| match &state.standing {
            Standing::Failed { way, failure, .. } | Standing::Pausing { way, failure, .. } => {
                let what = match way {
                    Way::Forward if state.in_doubt => format!("it is unknown whether {} has happened", plan.name),
                    Way::Forward if self.is_process() => format!("{} failed", plan.name),
                    Way::Forward => format!("{} failed and there is no way back", plan.name),
                    Way::Settle => format!("it cannot be found out whether {} has happened", plan.name),
                    Way::Back => format!("{} cannot be undone", plan.name),
                };
                let late = self.told_too_late(plan, state, *way, now);
                Some(format!("{what}{late}: {}", failure.reason))
            }
            _ => None,
        });
        let reason = reasons.collect::<Vec<_>>().join("; ");
        let steps: Vec<_> = stuck.iter().map(|(plan, _)| plan.name.clone()).collect();
        if steps.is_empty() { None } else { Some(SagaEvent::NeedsOperator { at: now, steps, reason }) }
    }
}

impl StepPlan {
    /// Whether it is found out on the way forward whether it has happened, once its attempts have ended. A key that is
    /// closed can never be used again; so none is closed as long as there may be no way but on.
    fn settles_on_the_way(&self, may_close: bool) -> bool {
        match &self.settle {
            Some(super::Settling::Keys(_)) => may_close,
            Some(super::Settling::Resolve(_)) => true,
            None => false,
        }
    }
}
