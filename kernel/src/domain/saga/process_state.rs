//! A process within its saga: what it has received, knows and waits for.

use super::intents::place_prefix;
use super::state::SagaState;
use super::{Intent, Reaction, SagaEvent, Standing, StepPlan, Way, standing::StepState};
use crate::values::{EventId, Position, Timestamp};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde_json::Value;

/// What a process has beside its steps.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ProcessState {
    /// `None` before the first reaction.
    pub(super) state: Option<Arc<Value>>,
    pub(super) received: Option<Position>,
    pub(super) timers: BTreeMap<String, Timestamp>,
    /// It ends once its commands have been sent.
    pub(super) is_ending: bool,
    /// When its last fact was.
    pub(super) since: Timestamp,
}

impl ProcessState {
    /// The timer that is due first, if one is set.
    pub(super) fn first_timer(&self) -> Option<(&str, Timestamp)> {
        let first = self.timers.iter().min_by_key(|(_, due)| **due);
        first.map(|(timer, due)| (&**timer, *due))
    }

    fn want(&mut self, intents: &[Intent]) {
        for intent in intents {
            match intent {
                Intent::SetTimer { timer, due } => drop(self.timers.insert(timer.clone(), *due)),
                Intent::CancelTimer { timer } => drop(self.timers.remove(timer)),
                Intent::End => self.is_ending = true,
                Intent::Send { .. } => {}
            }
        }
        if self.is_ending {
            self.timers.clear();
        }
    }
}

/// What an event is to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reception {
    /// It can be received.
    New,
    /// It has been received before, or stands before one that has.
    Repeated,
    /// The process has ended, or has decided to end. It stays so.
    Ended,
    /// There is no such process.
    NotStarted,
    /// It is no process, but a saga of the same name.
    NoProcess,
}

impl SagaState {
    /// Whether it is a process, which has been started.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.process.is_some()
    }

    /// What a process knows; `None` before its first reaction, and of a saga that is none.
    #[must_use]
    pub fn process_state(&self) -> Option<&Arc<Value>> {
        self.process.as_ref()?.state.as_ref()
    }

    /// The position of the last event that a process has received.
    #[must_use]
    pub fn received_to(&self) -> Option<Position> {
        self.process.as_ref()?.received
    }

    /// The timers of a process that are set, and when they are due.
    pub fn timers(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.process.iter().flat_map(|process| process.timers.iter().map(|(timer, due)| (&**timer, *due)))
    }

    /// Whether a process has decided to end, and has commands to send before.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.is_ending) && self.end.is_none()
    }

    /// What an event at this position is to it.
    #[must_use]
    pub fn reception(&self, position: Position) -> Reception {
        match &self.process {
            _ if self.start.is_none() => Reception::NotStarted,
            None => Reception::NoProcess,
            Some(process) if process.received.is_some_and(|last| position <= last) => Reception::Repeated,
            Some(process) if process.is_ending || self.end.is_some() || self.is_aborted() => Reception::Ended,
            Some(_) => Reception::New,
        }
    }

    /// The fact that a process has received this event and has reacted so. Fold it, and ask [`next`](super::next()) what
    /// follows; both are one append.
    #[must_use]
    pub fn received(event: EventId, position: Position, reaction: Reaction, now: Timestamp) -> SagaEvent {
        let Reaction { state, intents } = reaction;
        SagaEvent::Received { at: now, event, position, state, intents }
    }
}

/// The fold.
impl SagaState {
    /// Takes in a reaction of a process.
    pub(super) fn react(&mut self, fact: &SagaEvent) -> Result<(), String> {
        if self.is_aborted() {
            return Err("an operator has aborted it".into());
        }
        let process = self.process.as_ref().ok_or("it is no process")?;
        let mut handled = None;
        let (state, intents) = match fact {
            SagaEvent::Received { position, state, intents, .. } => {
                match self.reception(*position) {
                    Reception::Repeated => {
                        return Err(format!("it has received the event at {position}, or a later one"));
                    }
                    Reception::Ended => return Err("it has decided to end".into()),
                    _ => {}
                }
                (state, intents)
            }
            SagaEvent::Fired { at, timer, state, intents } => {
                match process.timers.get(timer) {
                    None => return Err(format!("the timer {timer} is not set")),
                    Some(due) if due > at => return Err(format!("the timer {timer} is not due yet")),
                    Some(_) => {}
                }
                (state, intents)
            }
            SagaEvent::Handled { step, state, intents, .. } => {
                if self.hold.is_some() {
                    return Err("it needs an operator".into());
                }
                let place = self.place(step).ok_or_else(|| format!("there is no step {step}"))?;
                if !matches!(
                    self.steps[place].standing,
                    Standing::Failed { way: Way::Forward, .. } | Standing::Pausing { way: Way::Forward, .. }
                ) {
                    return Err(format!("{step} has not failed"));
                }
                handled = Some(place);
                (state, intents)
            }
            other => return Err(format!("{other:?} is no reaction")),
        };
        let steps = self.grown_by(intents, fact.at())?;
        // From here on nothing is refused.
        if let (Some(start), Some(process)) = (&mut self.start, &mut self.process) {
            if !steps.is_empty() {
                let plan = Arc::make_mut(&mut start.plan);
                for step in steps {
                    self.steps.push(StepState::new(plan.groups.len()));
                    plan.groups.push(alloc::vec![step]);
                }
            }
            match fact {
                SagaEvent::Received { position, .. } => process.received = Some(*position),
                SagaEvent::Fired { timer, .. } => drop(process.timers.remove(timer)),
                _ => {}
            }
            process.state = Some(state.clone());
            process.want(intents);
        }
        if let Some(place) = handled {
            self.steps[place].standing = Standing::Passed;
        }
        Ok(())
    }

    /// The steps that these intents add to the plan.
    fn grown_by(&self, intents: &[Intent], at: Timestamp) -> Result<Vec<StepPlan>, String> {
        let mut steps = Vec::new();
        for intent in intents {
            if let Intent::SetTimer { timer, due } = intent
                && *due <= at
            {
                return Err(format!("the timer {timer} is set to a time that has passed"));
            }
            if let Some(step) = intent.step().map_err(|error| error.to_string())? {
                let place = self.steps.len() + steps.len() + 1;
                if !step.name.starts_with(&*place_prefix(place)) {
                    return Err(format!("step {place} is called {}", step.name));
                }
                steps.push(step);
            }
        }
        Ok(steps)
    }
}
