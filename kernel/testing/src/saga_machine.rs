//! A saga over the pure machine, with a clock that a test moves.

use crate::difference::right;
use core::fmt::Write as _;
use core::time::Duration;
use portolan_kernel::domain::saga::{
    ActError, Action, Conditions, Definition, Intent, Outcomes, ReactionError, Saga, SagaEvent, SagaId, SagaState,
    Standing, StepError, Way, next,
};
use portolan_kernel::values::{Position, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// One saga, or process: what is recorded is folded at once, as if a driver never slept.
pub(crate) struct SagaMachine<C> {
    /// What the machine asks: conditions, and the reactions of a process.
    pub(crate) code: C,
    pub(crate) state: SagaState,
    pub(crate) facts: Vec<SagaEvent>,
    pub(crate) now: Timestamp,
    pub(crate) due: Option<Timestamp>,
    /// The types of the events that have come, the first at position 1.
    pub(crate) events: Vec<String>,
}

/// What is asked of a saga without a handler: its conditions, with its input.
pub(crate) struct Defined<S: Saga> {
    definition: Definition<S>,
    input: S::Input,
}

impl<S: Saga> Conditions for Defined<S> {
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Result<Option<bool>, ReactionError> {
        // One that panics fails the test.
        Ok(self.definition.holds(step, &self.input, outcomes))
    }
}

impl<S: Saga> SagaMachine<Defined<S>> {
    #[track_caller]
    pub(crate) fn start(id: &str, input: S::Input) -> Self {
        let name = S::NAME;
        let id = right(SagaId::new(name, id), format_args!("{name} cannot be started"));
        let definition = S::definition();
        let plan = right(definition.plan(), format_args!("{name} cannot be followed"));
        let violations = S::validate(&input);
        if !violations.is_empty() {
            panic!("{name} is not started, because its input is invalid ({})", crate::outcome::listed(&violations));
        }
        let json = serde_json::to_value(&input);
        let json = right(json, format_args!("{name} is not started, because its input has no JSON"));
        assert!(json.is_object(), "{name} is not started, because its input is no JSON object: {json}");
        let now = Timestamp::default();
        let started = SagaState::started(&id, S::VERSION, Arc::new(plan), Arc::new(json), now);
        let mut machine = Self::new(id, Defined { definition, input });
        machine.record(started);
        machine.go_on();
        machine
    }
}

impl<C: Conditions> SagaMachine<C> {
    /// Not started, at the epoch.
    pub(crate) fn new(id: SagaId, code: C) -> Self {
        let (state, now) = (SagaState::new(id), Timestamp::default());
        Self { code, state, facts: Vec::new(), now, due: None, events: Vec::new() }
    }

    pub(crate) fn record(&mut self, fact: SagaEvent) {
        self.state.apply(&fact).unwrap_or_else(|error| panic!("the machine contradicts itself: {error}"));
        self.facts.push(fact);
    }

    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        let next = next(&self.state, self.now, &self.code);
        self.due = next.wake;
        next.record.into_iter().for_each(|fact| self.record(fact));
        if let Some(error) = next.unanswered {
            let (saga, timeline) = (self.state.id(), self.timeline(self.facts.len()));
            panic!("{saga} cannot go on: {error}; so far:\n{timeline}");
        }
    }

    /// The attempt of this step in flight.
    pub(crate) fn in_flight(&self, step: &str) -> Option<(Way, u32)> {
        match self.state.standing(step) {
            Some(Standing::Running { way, attempt, .. }) => Some((*way, *attempt)),
            _ => None,
        }
    }

    /// All attempts in flight, in the order of the plan.
    pub(crate) fn all_in_flight(&self) -> Vec<(&str, Way)> {
        let steps = self.state.plan().into_iter().flat_map(|plan| plan.steps());
        steps.filter_map(|step| Some((&*step.name, self.in_flight(&step.name)?.0))).collect()
    }

    /// The command that a process is sending: its step, and its name.
    pub(crate) fn sending(&self) -> Option<(&str, &str)> {
        let (step, _) = self.all_in_flight().into_iter().next()?;
        Some((step, self.command_of(step)?))
    }

    /// The name of the command that this step of a process sends.
    pub(crate) fn command_of(&self, step: &str) -> Option<&str> {
        let command = self.state.plan()?.step(step)?.command.as_ref()?;
        Some(&command.name)
    }

    /// The attempt of this step in flight has come to this.
    #[track_caller]
    pub(crate) fn answer(&mut self, step: &str, ways: &[Way], result: Result<Value, StepError>) {
        let (way, attempt) = match self.in_flight(step) {
            Some(running) if ways.contains(&running.0) => running,
            other => {
                let ways: Vec<_> = ways.iter().map(Way::to_string).collect();
                let ways = ways.join(" or ");
                let told = match other {
                    Some((way, _)) => format!("{step} is on its way {way}, where an attempt {ways} was answered"),
                    None if self.state.standing(step).is_none() => format!("there is no step {step}"),
                    None => format!("{step} is not in flight, and cannot be answered; {}", self.told_in_flight()),
                };
                panic!("{told}; so far:\n{}", self.timeline(self.facts.len()));
            }
        };
        let answer = self.state.answer(step, way, attempt, result, self.now);
        self.record(answer.expect("it is in flight"));
        self.go_on();
    }

    pub(crate) fn told_in_flight(&self) -> String {
        let running: Vec<_> = self.all_in_flight().iter().map(|(step, way)| format!("{step} {way}")).collect();
        if running.is_empty() { "nothing is in flight".into() } else { format!("in flight: {}", running.join(", ")) }
    }

    /// Time passes, and what is due is done when it is due.
    #[track_caller]
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some(due) = self.due.filter(|due| *due <= until) {
            self.now = due;
            self.go_on();
        }
        self.now = until;
    }

    #[track_caller]
    pub(crate) fn act(&mut self, action: Action) -> Result<(), ActError> {
        let acted = self.state.act(action, None, "", self.now)?;
        self.record(acted);
        self.go_on();
        Ok(())
    }

    /// How long after the start.
    pub(crate) fn since_start(&self, at: Timestamp) -> Duration {
        let start = self.state.started_at().unwrap_or_default();
        Duration::from_micros(at.as_micros().saturating_sub(start.as_micros()))
    }

    /// A line a fact, those from here on with `+` before them.
    pub(crate) fn timeline(&self, new_from: usize) -> String {
        let mut text = String::new();
        for (n, fact) in self.facts.iter().enumerate() {
            let sign = if n < new_from { ' ' } else { '+' };
            let at = format!("{:?}", self.since_start(fact.at()));
            let _ = writeln!(text, "{sign} {at:>10}  {}", self.told(fact));
        }
        text
    }

    /// A fact, for a person.
    pub(crate) fn told(&self, fact: &SagaEvent) -> String {
        match fact {
            SagaEvent::Started { .. } => format!("{} started", self.state.id()),
            SagaEvent::Begun { step, way, attempt, until, .. } => {
                format!("{step} {way}, attempt {attempt}, begun; unknown after {:?}", self.since_start(*until))
            }
            SagaEvent::Succeeded { step, way, attempt, outcome, .. } => {
                format!("{step} {way}, attempt {attempt}, succeeded: {outcome}")
            }
            SagaEvent::Failed { step, way, attempt, class, reason, retry_at, .. } => {
                let class = format!("{class:?}").to_lowercase();
                let again = match retry_at {
                    Some(at) => format!("again after {:?}", self.since_start(*at)),
                    None => "for good".into(),
                };
                format!("{step} {way}, attempt {attempt}, failed ({class}): {reason}; {again}")
            }
            SagaEvent::Passed { step, .. } => format!("{step} passed over"),
            SagaEvent::KeyClosed { step, key, .. } => format!("{step}: its key {key} closed"),
            SagaEvent::TurnedBack { reason, .. } => format!("turned back: {reason}"),
            SagaEvent::NeedsOperator { reason, .. } => format!("needs an operator: {reason}"),
            SagaEvent::Received { position, state, intents, .. } => {
                let event = self.event_at(*position);
                format!("received {event}; {}", self.told_reaction(state, intents))
            }
            SagaEvent::Fired { timer, state, intents, .. } => {
                format!("the timer {timer} fired; {}", self.told_reaction(state, intents))
            }
            SagaEvent::Handled { step, state, intents, .. } => {
                format!("goes on without {step}; {}", self.told_reaction(state, intents))
            }
            SagaEvent::Acted { action, steps, .. } if steps.is_empty() => format!("an operator: {action}"),
            SagaEvent::Acted { action, steps, .. } => format!("an operator: {action} {}", steps.join(", ")),
            SagaEvent::Ended { end, left, .. } if left.is_empty() => format!("ended: {end}"),
            SagaEvent::Ended { end, left, .. } => format!("ended: {end}; not undone: {}", left.join(", ")),
            other => format!("{other:?}"),
        }
    }
    fn event_at(&self, position: Position) -> &str {
        let place = usize::try_from(position.get()).unwrap_or_default();
        place.checked_sub(1).and_then(|place| self.events.get(place)).map_or("an event", |event| event)
    }

    fn told_reaction(&self, state: &Value, intents: &[Intent]) -> String {
        let mut text = format!("knows {state}");
        for intent in intents {
            let _ = match intent {
                Intent::Send { step, command, .. } => {
                    let key = self.state.id().step_key(step, Way::Forward);
                    write!(text, "; wants {} {} sent under {key}", command.name, command.body)
                }
                Intent::SetTimer { timer, due } => {
                    write!(text, "; sets the timer {timer} to {:?}", self.since_start(*due))
                }
                Intent::CancelTimer { timer } => write!(text, "; cancels the timer {timer}"),
                Intent::End => write!(text, "; ends when all is sent"),
                other => write!(text, "; {other:?}"),
            };
        }
        text
    }
}
