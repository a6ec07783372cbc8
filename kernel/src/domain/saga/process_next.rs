//! What comes next for a process.

use super::process_state::ProcessState;
use super::standing::StepState;
use super::{Conditions, End, FailedIntent, Intents, Next, SagaEvent, SagaState, Standing, StepPlan, Way};
use crate::values::Timestamp;
use alloc::string::String;
use core::time::Duration;

impl SagaState {
    /// What a reaction at this time collects its intents in.
    #[must_use]
    pub fn intents(&self, now: Timestamp) -> Intents {
        let process = self.plan().and_then(|plan| plan.process.as_ref());
        Intents::new(now, self.steps.len(), process.map_or(Duration::ZERO, |process| process.longest))
    }

    /// One fact that follows for a process at this time, if any does. Its attempts that are over time have been told of.
    pub(super) fn go_on_as_process(
        &self,
        process: &ProcessState,
        now: Timestamp,
        code: &dyn Conditions,
        next: &mut Next,
    ) -> Option<SagaEvent> {
        // What is due is older than anything that begins now. An operator who is needed holds up commands alone.
        self.fire(process, now, code, next)
            .or_else(|| if self.needs_operator() { None } else { self.send_next(process, now, code, next) })
    }

    fn fire(
        &self,
        process: &ProcessState,
        now: Timestamp,
        code: &dyn Conditions,
        next: &mut Next,
    ) -> Option<SagaEvent> {
        let (timer, _) = process.first_timer().filter(|(_, due)| *due <= now)?;
        match code.fired(timer, process.state.as_deref(), self.intents(now)) {
            Ok(reaction) => {
                let (state, intents) = (reaction.state, reaction.intents);
                Some(SagaEvent::Fired { at: now, timer: timer.into(), state, intents })
            }
            Err(error) => {
                next.unanswered = Some(error);
                None
            }
        }
    }

    fn send_next(
        &self,
        process: &ProcessState,
        now: Timestamp,
        code: &dyn Conditions,
        next: &mut Next,
    ) -> Option<SagaEvent> {
        let places = self.current();
        let Some((plan, state)) = self.zipped().nth(places.start) else {
            return process.is_ending.then(|| SagaEvent::Ended { at: now, end: End::Completed, left: alloc::vec![] });
        };
        match &state.standing {
            Standing::Waiting => self.begun(plan, state, Way::Forward, now),
            _ if self.is_stuck(plan, state, now) => {
                let failed = failed_intent(plan, state)?;
                match code.failed(&failed, process.state.as_deref(), self.intents(now)) {
                    Ok(Some(reaction)) => {
                        let (state, intents) = (reaction.state, reaction.intents);
                        Some(SagaEvent::Handled { at: now, step: failed.step, state, intents })
                    }
                    Ok(None) => self.stopped(places, |plan, state| self.is_stuck(plan, state, now), now),
                    Err(error) => {
                        next.unanswered = Some(error);
                        None
                    }
                }
            }
            Standing::Pausing { way, retry_at, .. } if *retry_at <= now => self.begun(plan, state, *way, now),
            _ => None,
        }
    }
}

fn failed_intent(plan: &StepPlan, state: &StepState) -> Option<FailedIntent> {
    let failure = state.standing.failure()?;
    let command = plan.command.as_ref();
    Some(FailedIntent {
        step: plan.name.clone(),
        command: command.map_or_else(String::new, |command| command.name.clone()),
        body: command.map(|command| command.body.clone()).unwrap_or_default(),
        class: failure.class,
        code: failure.code.clone(),
        reason: failure.reason.clone(),
        in_doubt: state.in_doubt,
        attempts: state.tried(Way::Forward),
    })
}
