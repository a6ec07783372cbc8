//! One fact after another: what may follow what.

use super::process_state::ProcessState;
use super::standing::{Failure, StepState};
use super::state::{Hold, ImpossibleFact, Start, Wish};
use super::status::word_of_operator;
use super::{Action, End, FailureClass, Plan, SagaEvent, SagaState, Standing, StepPlan, Undo, Way};
use crate::domain::Event as _;
use crate::values::Timestamp;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What is wrong with a fact.
type Wrong = String;

impl SagaState {
    /// Takes in the next fact. Any fact in any state is an answer; none panics.
    ///
    /// # Errors
    ///
    /// [`ImpossibleFact`] when it cannot follow those before it; then the state is as it was.
    pub fn apply(&mut self, fact: &SagaEvent) -> Result<(), ImpossibleFact> {
        let applied = match (&self.start, &self.end) {
            (Some(_), Some(_)) => Err("it has ended".to_string()),
            (Some(_), None) if fact.is_reaction() => self.react(fact),
            (Some(start), None) => {
                let plan = start.plan.clone();
                self.go_on(&plan, fact)
            }
            (None, _) => self.begin(fact),
        };
        applied.map_err(|why| ImpossibleFact { saga: self.id.to_string(), fact: fact.event_type(), why })?;
        self.facts = self.facts.saturating_add(1);
        if let Some(process) = &mut self.process {
            process.since = fact.at();
        }
        Ok(())
    }

    fn begin(&mut self, fact: &SagaEvent) -> Result<(), Wrong> {
        let SagaEvent::Started { at, name, version, plan, input, deadline } = fact else {
            return Err("it has not been started".into());
        };
        if *name != self.id.name().as_str() {
            return Err(format!("it is of the definition {name}"));
        }
        plan.check().map_err(|error| error.to_string())?;
        if plan.process.is_some() && !plan.groups.is_empty() {
            return Err("a process starts without steps".into());
        }
        self.process = plan.process.as_ref().map(|_| ProcessState::default());
        let groups = plan.groups.iter().enumerate();
        self.steps = groups.flat_map(|(group, steps)| steps.iter().map(move |_| StepState::new(group))).collect();
        let (plan, input) = (plan.clone(), input.clone());
        self.start = Some(Start { at: *at, version: *version, plan, input, deadline: *deadline });
        Ok(())
    }

    fn go_on(&mut self, plan: &Arc<Plan>, fact: &SagaEvent) -> Result<(), Wrong> {
        // What an operator has asked for comes about before anything else is decided.
        match (&self.wish, fact) {
            (Some(Wish::Abort), SagaEvent::Ended { end: End::Aborted, .. }) | (None, _) => {}
            (Some(Wish::Abort), _) => return Err("an operator has aborted it".into()),
            (
                Some(Wish::Back(_)),
                SagaEvent::Begun { .. }
                | SagaEvent::Passed { .. }
                | SagaEvent::NeedsOperator { .. }
                | SagaEvent::Ended { .. },
            ) => return Err("an operator has it compensated, and it has not turned back yet".into()),
            (Some(Wish::Back(_)), _) => {}
        }
        match fact {
            SagaEvent::Started { .. } => Err("it was started before".into()),
            SagaEvent::Begun { at, step, way, attempt, until } => {
                let place = self.may_begin(plan, step, *way)?;
                let state = &mut self.steps[place];
                if state.tried(*way).checked_add(1) != Some(*attempt) {
                    return Err(format!("attempt {attempt} of {step} cannot follow attempt {}", state.tried(*way)));
                }
                state.begin(*way, *attempt, *at, *until);
                Ok(())
            }
            SagaEvent::Succeeded { step, way, attempt, outcome, .. } => {
                let told = self.facts;
                let state = self.in_flight(step, *way, *attempt)?;
                if *way == Way::Back {
                    state.standing = Standing::Undone;
                } else {
                    state.standing = Standing::Done;
                    state.outcome = Some(outcome.clone());
                    state.told = told;
                }
                state.in_doubt = false;
                Ok(())
            }
            SagaEvent::Failed { at, step, way, attempt, class, code, reason, retry_at } => {
                let told = self.facts;
                let state = self.in_flight(step, *way, *attempt)?;
                let failure = Failure { class: *class, code: code.clone(), reason: reason.clone() };
                state.fail((*way, *attempt), *at, failure, *retry_at);
                if *way != Way::Back {
                    state.told = told;
                }
                Ok(())
            }
            SagaEvent::Passed { step, .. } => {
                let place = self.may_begin(plan, step, Way::Forward)?;
                let state = &mut self.steps[place];
                let is_conditional = plan.step(step).is_some_and(|plan| plan.conditional);
                if !is_conditional || state.standing != Standing::Waiting {
                    return Err(format!("{step} has no condition, or was begun before"));
                }
                state.standing = Standing::Passed;
                Ok(())
            }
            SagaEvent::KeyClosed { step, .. } => self.known(step).map(drop),
            SagaEvent::TurnedBack { at, reason } => self.turn(reason, *at),
            SagaEvent::NeedsOperator { at, steps, reason } => {
                self.free()?;
                for step in steps {
                    self.known(step)?;
                }
                self.hold = Some(Hold { steps: steps.clone(), reason: reason.clone(), since: *at });
                Ok(())
            }
            SagaEvent::Acted { at, action, steps, note, .. } => self.acted(plan, *action, steps, note, *at),
            SagaEvent::Ended { at, end, left } => self.ended(*end, left, *at),
            SagaEvent::Received { .. } | SagaEvent::Fired { .. } | SagaEvent::Handled { .. } => self.react(fact),
        }
    }

    fn known(&self, step: &str) -> Result<usize, Wrong> {
        self.place(step).ok_or_else(|| format!("there is no step {step}"))
    }

    /// Whether it goes on by itself.
    fn free(&self) -> Result<(), Wrong> {
        if self.hold.is_some() { Err("it needs an operator".into()) } else { Ok(()) }
    }

    fn in_flight(&mut self, step: &str, way: Way, attempt: u32) -> Result<&mut StepState, Wrong> {
        let place = self.known(step)?;
        let state = &mut self.steps[place];
        match state.standing {
            Standing::Running { way: own, attempt: of, .. } if own == way && of == attempt => Ok(state),
            _ => Err(format!("attempt {attempt} of {step}, {way}, is not in flight")),
        }
    }

    fn may_begin(&self, plan: &Plan, step: &str, way: Way) -> Result<usize, Wrong> {
        self.free()?;
        let place = self.known(step)?;
        let (state, own) = (&self.steps[place], plan.step(step));
        let pauses = matches!(state.standing, Standing::Pausing { way: of, .. } if of == way);
        let may = match way {
            _ if own.is_none_or(|own| own.effort(way).is_none()) => false,
            Way::Forward => {
                !self.is_turned_back()
                    && self.current().contains(&place)
                    && (pauses || state.standing == Standing::Waiting)
            }
            Way::Settle => pauses || state.is_open(),
            Way::Back => self.is_turned_back() && (pauses || state.standing == Standing::Done || state.is_open()),
        };
        if may { Ok(place) } else { Err(format!("{step} cannot go {way} now")) }
    }

    fn turn(&mut self, reason: &str, at: Timestamp) -> Result<(), Wrong> {
        self.free()?;
        if self.is_turned_back() {
            return Err("it has turned back before".into());
        }
        if self.is_process() {
            return Err("a process has no way back".into());
        }
        if let Some(pivot) = self.passed_pivot() {
            return Err(format!("it is past its pivot {}", pivot.name));
        }
        if self.pivot_at_risk().is_some() {
            return Err("its pivot may happen yet".into());
        }
        self.turned_back = Some((reason.into(), at));
        self.wish = None;
        Ok(())
    }

    fn acted(&mut self, plan: &Plan, action: Action, steps: &[String], note: &str, at: Timestamp) -> Result<(), Wrong> {
        let allowed = self.allows(action).map_err(|error| error.to_string())?;
        if let Some(other) = steps.iter().find(|step| !allowed.contains(step)) {
            return Err(format!("{other} is no step to {action}"));
        }
        let places: Vec<usize> = steps.iter().filter_map(|step| self.place(step)).collect();
        let is_back = self.is_turned_back();
        self.hold = None;
        self.said = word_of_operator(action, steps, note).or_else(|| self.said.take());
        match action {
            Action::Retry => {
                for place in places {
                    let way = self.retried(&self.steps[place]);
                    self.steps[place].forgive(way, at);
                }
            }
            Action::Skip => {
                for place in places {
                    self.steps[place].standing = if is_back { Standing::Left } else { Standing::Passed };
                }
            }
            Action::Compensate => {
                for (state, plan) in self.steps.iter_mut().zip(plan.steps()) {
                    match (&plan.undo, &mut state.standing) {
                        // The operator says by it that it has not happened: there is nothing to find out any more.
                        (Undo::Pivot, standing) => {
                            state.in_doubt = false;
                            if let Standing::Failed { way, .. } | Standing::Pausing { way, .. } = standing {
                                *way = Way::Forward;
                            }
                        }
                        (_, Standing::Failed { way: Way::Settle, .. }) => state.forgive(Way::Settle, at),
                        _ => {}
                    }
                }
                self.wish = Some(Wish::Back(note.into()));
            }
            Action::Abort => self.wish = Some(Wish::Abort),
        }
        Ok(())
    }

    fn ended(&mut self, end: End, left: &[String], at: Timestamp) -> Result<(), Wrong> {
        self.free()?;
        let may = match end {
            End::Completed => {
                let is_open = self.process.as_ref().is_some_and(|process| !process.is_ending);
                !self.is_turned_back() && self.current().is_empty() && !is_open
            }
            End::Compensated => self.is_turned_back() && left.is_empty() && self.left().is_empty(),
            End::Aborted => self.is_turned_back() || self.is_aborted(),
        };
        if !may {
            return Err(format!("it has not come to be {end}"));
        }
        self.end = Some((end, left.to_vec(), at));
        Ok(())
    }
}

impl StepState {
    fn fail(&mut self, (way, attempt): (Way, u32), at: Timestamp, failure: Failure, retry_at: Option<Timestamp>) {
        let class = failure.class;
        self.standing = match (way, class, retry_at) {
            // The answer: it has not happened. It stands as one that failed on its way.
            (Way::Settle, FailureClass::Refused, _) => Standing::Failed { way: Way::Forward, since: at, failure },
            (_, _, Some(retry_at)) => Standing::Pausing { way, since: at, retry_at, failure },
            (_, _, None) => Standing::Failed { way, since: at, failure },
        };
        match (way, class) {
            (Way::Forward, FailureClass::Unknown) => self.in_doubt = true,
            (Way::Settle, FailureClass::Refused) => self.in_doubt = false,
            _ => {}
        }
        match (way, class) {
            // To settle tells only by its answer.
            (_, FailureClass::Unknown) | (Way::Settle, FailureClass::Retry) => {}
            _ => self.had_no_effect(way, attempt),
        }
    }
}

impl StepPlan {
    /// Whether it can be found out that it has happened.
    pub(super) fn settles(&self) -> bool {
        self.settle.is_some()
    }
}
