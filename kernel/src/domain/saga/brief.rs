//! A saga in brief: what a list shows of it, folded by itself.

use super::status::{awaited, why_ended, word_of_operator};
use super::{Action, End, FailureClass, Intent, Phase, SagaEvent, Status, Undo, Way};
use crate::values::Timestamp;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The longest text that is kept, in bytes.
const TEXT_BYTES: usize = 600;

/// How many steps are kept of each kind: those in flight, those that hold it up, pivots. As many timers, those that are due
/// first.
const STEPS: usize = 64;

/// How a saga stands, as an index keeps it.
///
/// Of the facts that [`SagaState`](super::SagaState) takes it shows the same [`Status`] as that, as long as there are no more than
/// 64 timers, and steps in flight at once; beyond that something may be due earlier than it is. It is no machine: it keeps
/// neither plan, input nor outcomes, stays small however many steps there are, and takes any fact after any other. What it
/// does not know it passes over, so that one saga which somebody newer has written shows as it was, and the others go on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Brief {
    /// The version of its definition; 0 when its first fact could not be read.
    pub version: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it turns back, if it has not ended and is not past its pivot.
    pub deadline: Option<Timestamp>,
    /// How it stands. Whether it is overdue is for whoever knows the time ([`status`](Self::status)).
    pub(crate) status: Status,
    /// Why a fact of it could not be read; gone once it has ended.
    pub unread: Option<String>,
    /// What it takes to go on; `None`: it has ended.
    pub(crate) open: Option<Open>,
}

/// What is to be known of a saga that has not ended, besides how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Open {
    /// The steps in flight, that pause, or have failed, in the order in which they were begun first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Trying>,
    /// Why it has turned back.
    #[serde(skip_serializing_if = "Option::is_none")]
    back: Option<String>,
    /// What an operator has said last in leaving something as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    /// Why it needs an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    /// The steps that are pivots, until one has happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pivots: Vec<String>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    past: bool,
    /// An operator wants it compensated or aborted, and it has not come about.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    wish: bool,
    /// A time before which nothing is due of the steps and timers that are not kept, if there were any: whoever goes by this
    /// looks too early rather than too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<Timestamp>,
    /// Of a process alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Awaiting>,
}

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Awaiting {
    /// How many commands are to be sent, or are being.
    pending: u32,
    ends: bool,
    timers: BTreeMap<String, Timestamp>,
    /// When its last fact was.
    since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    steps: Vec<String>,
    reason: String,
    since: Timestamp,
}

/// A step that is being tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trying {
    step: String,
    is: Is,
    way: Way,
    since: Timestamp,
    /// When the attempt counts as unknown, or the next is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    doubt: bool,
    /// Attempts so far, by way.
    tried: [u32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Is {
    Running,
    Pausing,
    Failed,
}

impl Brief {
    /// A saga of which no fact is known but that it was started then, by this version of its definition.
    #[must_use]
    pub fn new(version: u32, started_at: Timestamp, deadline: Option<Timestamp>) -> Self {
        let (step, way, attempt, due, reason) = (None, None, None, None, None);
        let (phase, since, is_overdue) = (Phase::Running, Some(started_at), false);
        let status = Status { phase, step, way, attempt, since, due, reason, is_overdue };
        Self { version, started_at, deadline, status, unread: None, open: Some(Open::default()) }
    }

    /// The saga that this fact is the first to tell of. Usually that is its start; any other leaves what only that tells
    /// unknown.
    #[must_use]
    pub fn first(fact: &SagaEvent) -> Self {
        let SagaEvent::Started { at, version, plan, deadline, .. } = fact else {
            let mut brief = Self::new(0, fact.at(), None);
            brief.unread = Some("its first fact is missing".into());
            brief.apply(fact);
            return brief;
        };
        let mut brief = Self::new(*version, *at, *deadline);
        let pivots = plan.steps().filter(|step| step.undo == Undo::Pivot);
        if let Some(open) = &mut brief.open {
            open.pivots = pivots.map(|step| step.name.clone()).take(STEPS).collect();
            open.process = plan.process.as_ref().map(|_| Awaiting { since: *at, ..Awaiting::default() });
            brief.status = open.status(*at, *deadline);
        }
        brief
    }

    /// Takes in another fact. After the end there is none.
    pub fn apply(&mut self, fact: &SagaEvent) {
        let Some(open) = &mut self.open else { return };
        if let SagaEvent::Ended { at, end, left } = fact {
            let reason = why_ended(*end, left, open.said.as_deref(), open.back.as_deref());
            let reason = reason.as_deref().map(shortened);
            let phase = Phase::from(*end);
            let (step, way, attempt, since, due) = (None, None, None, Some(*at), None);
            self.status = Status { phase, step, way, attempt, since, due, reason, is_overdue: false };
            (self.open, self.unread) = (None, None);
            return;
        }
        open.apply(fact);
        if let Some(process) = &mut open.process {
            process.since = fact.at();
        }
        self.status = open.status(self.started_at, self.deadline);
    }

    /// Passes over a fact that cannot be read: it stands as it was, and says why that may not be all.
    pub fn pass_over(&mut self, why: &str) {
        if self.open.is_some() {
            self.unread = Some(shortened(why));
        }
    }

    /// How it stands at this time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        let is_overdue = self.open.is_some() && self.deadline.is_some_and(|deadline| deadline <= now);
        Status { is_overdue, ..self.status.clone() }
    }

    /// How it ended; `None`: it has not.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.status.phase {
            Phase::Completed => Some(End::Completed),
            Phase::Compensated => Some(End::Compensated),
            Phase::Aborted => Some(End::Aborted),
            _ => None,
        }
    }
}

impl Open {
    fn apply(&mut self, fact: &SagaEvent) {
        match fact {
            SagaEvent::Begun { at, step, way, attempt, until } => {
                let at_hand = self.steps.iter().position(|trying| trying.step == *step);
                let (doubt, mut tried) =
                    at_hand.map_or((false, [0; 3]), |at| (self.steps[at].doubt, self.steps[at].tried));
                tried[*way as usize] = *attempt;
                let (step, way, since, due, reason) = (step.clone(), *way, *at, Some(*until), String::new());
                let begun = Trying { step, is: Is::Running, way, since, due, reason, doubt, tried };
                match at_hand {
                    Some(at) => self.steps[at] = begun,
                    None if self.steps.len() < STEPS => self.steps.push(begun),
                    None => self.others = self.others.into_iter().chain([*at]).min(),
                }
            }
            SagaEvent::Succeeded { step, way, .. } => {
                if *way != Way::Back && self.pivots.contains(step) {
                    self.go_past();
                }
                self.finish(step);
            }
            SagaEvent::Received { intents, .. } => self.want(None, intents),
            SagaEvent::Fired { timer, intents, .. } => self.want(Some(timer), intents),
            SagaEvent::Handled { step, intents, .. } => {
                self.finish(step);
                self.want(None, intents);
            }
            SagaEvent::Failed { at, step, way, class, reason, retry_at, .. } => {
                if let Some(trying) = self.steps.iter_mut().find(|trying| trying.step == *step) {
                    trying.fail(*way, *at, *class, reason, *retry_at);
                }
            }
            SagaEvent::TurnedBack { reason, .. } => (self.back, self.wish) = (Some(shortened(reason)), false),
            SagaEvent::NeedsOperator { at, steps, reason } => {
                let steps = steps.iter().take(STEPS).cloned().collect();
                self.hold = Some(Hold { steps, reason: shortened(reason), since: *at });
            }
            SagaEvent::Acted { at, action, steps, note, .. } => {
                let said = word_of_operator(*action, steps, note).as_deref().map(shortened);
                self.said = said.or_else(|| self.said.take());
                self.acted(*action, steps, *at);
            }
            // Nothing that is shown.
            _ => {}
        }
    }

    fn acted(&mut self, action: Action, steps: &[String], at: Timestamp) {
        self.hold = None;
        let is_on = self.past && self.back.is_none();
        let among = |trying: &Trying| steps.contains(&trying.step);
        match action {
            Action::Retry => {
                for trying in self.steps.iter_mut().filter(|trying| among(trying)) {
                    // Past the pivot there is nothing to find out first: it is to be done.
                    let way = if is_on && trying.way == Way::Settle { Way::Forward } else { trying.way };
                    trying.try_again(way, at);
                }
            }
            Action::Skip => {
                let passed = |trying: &Trying| among(trying) && trying.doubt && self.pivots.contains(&trying.step);
                if self.back.is_none() && self.steps.iter().any(passed) {
                    self.go_past();
                }
                steps.iter().for_each(|step| self.finish(step));
            }
            Action::Compensate => {
                for trying in self.steps.iter_mut().filter(|trying| trying.is != Is::Running) {
                    if self.pivots.contains(&trying.step) {
                        // The operator says by this that it has not happened.
                        (trying.way, trying.doubt) = (Way::Forward, false);
                    } else if trying.is == Is::Failed && trying.way == Way::Settle {
                        trying.try_again(Way::Settle, at);
                    }
                }
                self.wish = true;
            }
            Action::Abort => self.wish = true,
        }
    }

    /// Nothing more is to be done for this step.
    fn finish(&mut self, step: &str) {
        self.steps.retain(|trying| trying.step != step);
        if let Some(process) = &mut self.process {
            process.pending = process.pending.saturating_sub(1);
        }
    }

    /// What a process wants, after this timer has fired, if one has.
    fn want(&mut self, fired: Option<&str>, intents: &[Intent]) {
        let process = self.process.get_or_insert_default();
        if let Some(timer) = fired {
            process.timers.remove(&shortened(timer));
        }
        for intent in intents {
            match intent {
                Intent::Send { .. } => process.pending = process.pending.saturating_add(1),
                Intent::SetTimer { timer, due } => drop(process.timers.insert(shortened(timer), *due)),
                Intent::CancelTimer { timer } => drop(process.timers.remove(&shortened(timer))),
                Intent::End => process.ends = true,
            }
        }
        if process.ends {
            process.timers.clear();
            self.others = None;
        }
        while process.timers.len() > STEPS {
            let last = process.timers.iter().max_by_key(|(_, due)| **due).map(|(timer, _)| timer.clone());
            let due = last.and_then(|last| process.timers.remove(&last));
            self.others = self.others.into_iter().chain(due).min();
        }
    }

    fn go_past(&mut self) {
        self.past = true;
        self.pivots.clear();
    }

    fn status(&self, started_at: Timestamp, deadline: Option<Timestamp>) -> Status {
        let shown = self.shown();
        let attempt = shown.map(|trying| trying.tried[trying.way as usize]);
        let mut status = Status {
            phase: self.phase(),
            step: shown.map(|trying| trying.step.clone()),
            way: shown.map(|trying| trying.way),
            attempt,
            since: Some(started_at),
            due: self.dues(deadline).min(),
            reason: self.back.clone(),
            is_overdue: false,
        };
        if let Some(trying) = shown.filter(|trying| trying.is != Is::Failed) {
            status.since = Some(trying.since);
            if trying.is == Is::Pausing {
                status.reason = Some(trying.reason.clone());
            }
        }
        if let Some(hold) = &self.hold {
            (status.since, status.reason) = (Some(hold.since), Some(hold.reason.clone()));
        }
        if let Some(process) = self.process.as_ref().filter(|_| self.hold.is_none() && self.idles()) {
            let timer = process.timers.iter().min_by_key(|(_, due)| **due);
            status.since = Some(process.since);
            status.reason = Some(awaited(timer.map(|(timer, _)| &**timer)));
        }
        status
    }

    /// The times at which something is due.
    fn dues(&self, deadline: Option<Timestamp>) -> impl Iterator<Item = Timestamp> {
        let (is_free, is_back) = (self.hold.is_none(), self.back.is_some());
        let steps = self.steps.iter().filter_map(move |trying| match (trying.is, trying.way) {
            (Is::Running, _) => trying.due,
            (Is::Pausing, Way::Forward) => trying.due.filter(|_| is_free && !is_back),
            (Is::Pausing, _) => trying.due.filter(|_| is_free),
            (Is::Failed, _) => None,
        });
        let may_turn = is_free && !is_back && !self.past && self.process.is_none();
        let timers = self.process.iter().flat_map(|process| process.timers.values().copied());
        let others = self.others.filter(|_| is_free || self.process.is_some());
        steps.chain(deadline.filter(|_| may_turn)).chain(timers).chain(others)
    }

    /// Whether a process waits for what comes from outside, or for the time.
    fn idles(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.pending == 0 && !process.ends)
    }

    fn phase(&self) -> Phase {
        let any = |is: Is| self.steps.iter().any(|trying| trying.is == is);
        match (&self.hold, &self.back) {
            (Some(_), _) => Phase::NeedsOperator,
            (None, Some(_)) => Phase::Compensating,
            _ if self.wish || any(Is::Running) || any(Is::Failed) => Phase::Running,
            _ if any(Is::Pausing) || self.idles() => Phase::Waiting,
            _ => Phase::Running,
        }
    }

    fn shown(&self) -> Option<&Trying> {
        let held = |trying: &Trying| self.hold.as_ref().is_some_and(|hold| hold.steps.contains(&trying.step));
        let rank = |trying: &&Trying| match trying.is {
            _ if held(trying) => 0,
            // On the way back a pause before another attempt forward is over.
            Is::Pausing if trying.way == Way::Forward && self.back.is_some() => 9,
            Is::Pausing => 1,
            Is::Running => 2,
            Is::Failed => 9,
        };
        self.steps.iter().min_by_key(rank).filter(|shown| rank(shown) < 9)
    }
}

impl Trying {
    fn fail(&mut self, way: Way, at: Timestamp, class: FailureClass, reason: &str, retry_at: Option<Timestamp>) {
        let (is, way, due) = match (way, class, retry_at) {
            // The answer: it has not happened. It stands as one that failed on its way.
            (Way::Settle, FailureClass::Refused, _) => (Is::Failed, Way::Forward, None),
            (_, _, Some(retry_at)) => (Is::Pausing, way, Some(retry_at)),
            (_, _, None) => (Is::Failed, way, None),
        };
        self.doubt = match (self.way, class) {
            (Way::Forward, FailureClass::Unknown) => true,
            (Way::Settle, FailureClass::Refused) => false,
            _ => self.doubt,
        };
        (self.is, self.way, self.since, self.due, self.reason) = (is, way, at, due, shortened(reason));
    }

    fn try_again(&mut self, way: Way, at: Timestamp) {
        if self.is != Is::Running {
            (self.is, self.way, self.due) = (Is::Pausing, way, Some(at));
        }
    }
}

fn shortened(text: &str) -> String {
    let cut = text.floor_char_boundary(TEXT_BYTES);
    if cut == text.len() { text.to_string() } else { format!("{}…", &text[..cut]) }
}
