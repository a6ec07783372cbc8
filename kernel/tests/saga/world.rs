//! A world to run sagas in, without a driver: a clock that stands until it is moved, and steps whose answers and true effects
//! are scripted.

use portolan_kernel::domain::saga::{
    Action, Definition, Intent, Next, OpenSaga, Outcomes, Plan, Saga, SagaEvent, SagaId, SagaState, Step, StepContext,
    StepError, Way, next,
};
use portolan_kernel::values::{Name, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use portolan_kernel::domain::saga::Way::{Back, Forward, Settle};

/// A saga for its definitions alone.
pub(crate) struct Demo;

impl Saga for Demo {
    const NAME: &'static str = "demo";
    type Input = Value;

    fn definition() -> Definition<Self> {
        Definition::new().step(step("only"))
    }
}

impl Demo {
    pub(crate) async fn run(&self, _: &Value, _: &StepContext) -> Result<Value, StepError> {
        Ok(Value::Null)
    }

    pub(crate) async fn undo(&self, _: &Value, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    pub(crate) async fn resolve(&self, _: &Value, _: &StepContext) -> Result<Option<Value>, StepError> {
        Ok(None)
    }
}

/// A pivot.
pub(crate) fn step(name: &str) -> Step<Demo> {
    Step::new(name, Demo::run)
}

/// A step with a compensation.
pub(crate) fn undoable(name: &str) -> Step<Demo> {
    step(name).compensate(Demo::undo)
}

pub(crate) fn plan(definition: Definition<Demo>) -> Plan {
    definition.plan().unwrap()
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(millis * 1_000)
}

/// What an attempt answers, and whether it has its effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Ok,
    Retry,
    Refused(&'static str),
    Unknown {
        happened: bool,
    },
    Silence {
        happened: bool,
    },
    /// No answer, and the effect comes when the step is tried the next time, if its key is not closed by then.
    Later,
    /// The truth about the step; for settling alone.
    Truth,
}

pub(crate) type Script = Rc<dyn Fn(&str, Way, u32) -> Answer>;

/// Everything goes well, but for these attempts; of those listed more than once, attempt after attempt.
pub(crate) fn script(answers: &[(&'static str, Way, Answer)]) -> Script {
    let answers = answers.to_vec();
    Rc::new(move |step, way, attempt| {
        let mut own = answers.iter().filter(|(of, own, _)| *of == step && *own == way);
        match own.nth(attempt as usize - 1) {
            Some((.., answer)) => answer.clone(),
            None if way == Settle => Answer::Truth,
            None => Answer::Ok,
        }
    })
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    /// That of a process, which reacts.
    pub(crate) code: Option<OpenSaga>,
    script: Script,
    /// Conditions that do not hold.
    pub(crate) passed: BTreeSet<String>,
    /// Conditions that this code does not know.
    pub(crate) unknown: BTreeSet<String>,
    pub(crate) now: Timestamp,
    pub(crate) state: SagaState,
    /// For how long keys are kept.
    pub(crate) kept: Option<Duration>,
    pub(crate) log: Vec<SagaEvent>,
    /// The truth: whether the effect of each step stands.
    pub(crate) effects: BTreeMap<String, bool>,
    closed: BTreeSet<String>,
    later: BTreeSet<String>,
    keys: BTreeMap<(String, bool), Name>,
    silent: BTreeSet<(String, Way, u32)>,
}

impl World {
    pub(crate) fn new(plan: Plan, script: Script) -> Self {
        Self::resumed(plan, script, &[])
    }

    /// A process that finds these facts, if there are any.
    pub(crate) fn resumed(plan: Plan, script: Script, facts: &[SagaEvent]) -> Self {
        let id = SagaId::new("demo", "1").unwrap();
        let mut log = facts.to_vec();
        if log.is_empty() {
            log.push(SagaState::started(&id, 1, Arc::new(plan.clone()), Arc::new(Value::Null), at(1_000)));
        }
        let state = SagaState::fold(id, &log).unwrap();
        Self {
            plan,
            code: None,
            script,
            passed: BTreeSet::new(),
            unknown: BTreeSet::new(),
            now: log.last().unwrap().at(),
            state,
            kept: None,
            log,
            effects: BTreeMap::new(),
            closed: BTreeSet::new(),
            later: BTreeSet::new(),
            keys: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    /// The same, with keys that are kept for so long.
    pub(crate) fn keeping_keys_for(self, kept: Duration) -> Self {
        let kept = Some(kept);
        Self { state: self.state.keeping_keys_for(kept), kept, ..self }
    }

    pub(crate) fn next(&self) -> Next {
        self.next_of(&self.state, self.now)
    }

    /// What comes next in this state.
    pub(crate) fn next_of(&self, state: &SagaState, now: Timestamp) -> Next {
        let conditions = |step: &str, _: &Outcomes| {
            if self.unknown.contains(step) { None } else { Some(!self.passed.contains(step)) }
        };
        match &self.code {
            Some(code) => next(state, now, code),
            None => next(state, now, &conditions),
        }
    }

    pub(crate) fn record(&mut self, fact: SagaEvent) {
        self.state.apply(&fact).unwrap();
        self.log.push(fact);
        assert!(self.log.len() < 3_000, "it goes on for ever: {:#?}", &self.log[self.log.len() - 20..]);
    }

    /// Records what is to be recorded, and tells what is in flight.
    pub(crate) fn settle_facts(&mut self) -> Next {
        let decided = self.next();
        assert_eq!(decided, self.next(), "it is pure");
        for fact in decided.record.clone() {
            self.record(fact);
        }
        let again = self.next();
        assert_eq!(again.record, [], "one look is enough");
        assert_eq!((&again.run, again.wake), (&decided.run, decided.wake));
        for run in &again.run {
            let key = self.keys.entry((run.step.clone(), run.way == Back)).or_insert_with(|| run.key.clone());
            assert_eq!(*key, run.key, "a step has one key");
        }
        assert!(again.wake.is_none_or(|wake| wake > self.now), "nobody wakes for nothing");
        again
    }

    /// One attempt is answered, or time passes until something is due. `false`: nothing happens by itself any more.
    pub(crate) fn step(&mut self) -> bool {
        let next = self.settle_facts();
        if self.answer(&next) {
            return true;
        }
        match next.wake {
            Some(wake) => {
                self.now = wake;
                true
            }
            None => false,
        }
    }

    /// All that happens up to this time, and nothing that is due after it.
    pub(crate) fn run_until(&mut self, time: Timestamp) -> &mut Self {
        while self.now <= time {
            let next = self.settle_facts();
            if self.answer(&next) {
                continue;
            }
            match next.wake.filter(|wake| *wake <= time) {
                Some(wake) => self.now = wake,
                None => {
                    self.now = time;
                    break;
                }
            }
        }
        self
    }

    /// One attempt is answered, or stays silent from now on.
    fn answer(&mut self, next: &Next) -> bool {
        let silent =
            |run: &portolan_kernel::domain::saga::Run| self.silent.contains(&(run.step.clone(), run.way, run.attempt));
        if let Some(run) = next.run.iter().find(|run| !silent(run)).cloned() {
            let answer = (self.script)(&run.step, run.way, run.attempt);
            match self.have_effect(&run.step, run.way, &answer) {
                Some(result) => {
                    let fact = self.state.answer(&run.step, run.way, run.attempt, result, self.now).unwrap();
                    self.record(fact);
                }
                None => {
                    self.silent.insert((run.step, run.way, run.attempt));
                }
            }
            return true;
        }
        false
    }

    /// Until nothing happens by itself any more: it has ended, or waits with a reason.
    pub(crate) fn run(&mut self) -> &mut Self {
        while self.step() {}
        let next = self.next();
        let idles = self.state.is_process() && next.run.is_empty() && self.state.timers().next().is_none();
        let waits = self.state.needs_operator() || !next.missing.is_empty() || next.unanswered.is_some() || idles;
        assert!(waits || self.state.end().is_some(), "it waits for nothing: {:#?}", self.log);
        self
    }

    pub(crate) fn act(&mut self, action: Action) -> &mut Self {
        let fact = self.state.act(action, Some("ann".into()), "because", self.now).unwrap();
        self.record(fact);
        self
    }

    fn have_effect(&mut self, step: &str, way: Way, answer: &Answer) -> Option<Result<Value, StepError>> {
        let may_happen = !self.closed.contains(step);
        let stands = self.effects.entry(step.into()).or_default();
        if way == Forward && self.later.remove(step) && may_happen {
            *stands = true;
        }
        let happens =
            matches!(answer, Answer::Ok | Answer::Unknown { happened: true } | Answer::Silence { happened: true });
        match way {
            Forward if happens && may_happen => *stands = true,
            Back if happens => *stands = false,
            _ => {}
        }
        match answer {
            Answer::Ok | Answer::Truth if way == Settle => {
                // Whoever finds out sees to it that what has not happened never will.
                let stands = *stands;
                if !stands {
                    self.closed.insert(step.into());
                }
                Some(if stands { Ok(step.into()) } else { Err(StepError::refused("not-happened", "no")) })
            }
            Answer::Ok if way == Forward && !may_happen => Some(Err(StepError::unknown("its key is closed"))),
            Answer::Ok | Answer::Truth => Some(Ok(if way == Back { Value::Null } else { step.into() })),
            Answer::Retry => Some(Err(StepError::retry("not now"))),
            Answer::Refused(code) => Some(Err(StepError::refused(*code, "no"))),
            Answer::Unknown { .. } => Some(Err(StepError::unknown("who knows"))),
            Answer::Silence { .. } => None,
            Answer::Later => {
                self.later.insert(step.into());
                None
            }
        }
    }

    /// The facts from the second on, one a word.
    pub(crate) fn trace(&self) -> String {
        self.log[1..].iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// `a>1`: begun; `a+`: went well; `a-refused`: failed, with `!` when it is not tried again. `?` and `<` are the ways to settle
/// and back.
pub(crate) fn word(fact: &SagaEvent) -> String {
    let way = |way: &Way| match way {
        Forward => ">",
        Settle => "?",
        Back => "<",
    };
    match fact {
        SagaEvent::Begun { step, way: of, attempt, .. } => format!("{step}{}{attempt}", way(of)),
        SagaEvent::Succeeded { step, way: of, .. } => format!("{step}{}+", way(of)),
        SagaEvent::Failed { step, way: of, class, retry_at, .. } => {
            let class = format!("{class:?}").to_lowercase();
            format!("{step}{}-{class}{}", way(of), if retry_at.is_none() { "!" } else { "" })
        }
        SagaEvent::Passed { step, .. } => format!("{step}/"),
        SagaEvent::Received { position, intents, .. } => format!("@{position}{}", wanted(intents)),
        SagaEvent::Fired { timer, intents, .. } => format!("!{timer}{}", wanted(intents)),
        SagaEvent::Handled { step, intents, .. } => format!("{step}~{}", wanted(intents)),
        SagaEvent::TurnedBack { .. } => "BACK".into(),
        SagaEvent::NeedsOperator { steps, .. } => format!("STOP({})", steps.join(",")),
        SagaEvent::Acted { action, steps, .. } => format!("{action}({})", steps.join(",")),
        SagaEvent::Ended { end, left, .. } => {
            let left = if left.is_empty() { String::new() } else { format!("({})", left.join(",")) };
            format!("{}{left}", end.to_string().to_uppercase())
        }
        other => format!("{other:?}"),
    }
}

/// `(1-tell,+timer,-timer,end)`.
fn wanted(intents: &[Intent]) -> String {
    let word = |intent: &Intent| match intent {
        Intent::Send { step, .. } => step.clone(),
        Intent::SetTimer { timer, .. } => format!("+{timer}"),
        Intent::CancelTimer { timer } => format!("-{timer}"),
        Intent::End => "end".into(),
        other => format!("{other:?}"),
    };
    if intents.is_empty() {
        return String::new();
    }
    format!("({})", intents.iter().map(word).collect::<Vec<_>>().join(","))
}
