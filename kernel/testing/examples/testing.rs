//! Unit tests of domain code: given/when/then, tables, mocks, and a port that fails.
//!
//! ```text
//! cargo test -p portolan-testing --example testing
//! ```
//!
//! First the domain, as an application has it: an account, a course with places, a service that sends commands, a saga,
//! and a process. Then its tests. No store, no runtime, no clock. It stands in this crate and not beside the bank, because the facade has
//! no dependency that the bank does not run on.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]
#![cfg_attr(not(test), allow(dead_code, reason = "the domain is here for its tests"))]

use core::time::Duration;
use portolan_kernel::Bytes;
use portolan_kernel::domain::saga::{Definition, Intents, Process, Retry, Saga, Step, StepContext, StepError};
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, DecisionModel, Event, EventError, RecordedAs, Rejection,
    StreamCommand, variant,
};
use portolan_kernel::drivers::CommandBusExt as _;
use portolan_kernel::ports::{CommandBus, CommandError, RawEvent, Violation};
use portolan_kernel::values::{InvalidName, Item, Query, StreamId, Tag};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

fn main() {
    println!("This program is its tests: cargo test -p portolan-testing --example testing");
}

// An account: one stream decides.

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum AccountEvent {
    #[serde(rename = "account.opened")]
    Opened { owner: String },
    #[serde(rename = "account.deposited")]
    Deposited { amount: u64 },
    #[serde(rename = "account.withdrawn")]
    Withdrawn { amount: u64, by: Option<String> },
}

impl Event for AccountEvent {
    const CATEGORY: &'static str = "account";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Withdraw {
    account_id: String,
    amount: u64,
}

impl Command for Withdraw {
    const NAME: &'static str = "withdraw";

    fn validate(&self) -> Vec<Violation> {
        let zero = (self.amount == 0).then(|| Violation::new("amount", "zero", "it must be above zero"));
        let blank = self.account_id.is_empty().then(|| Violation::new("account_id", "blank", "it must not be blank"));
        zero.into_iter().chain(blank).collect()
    }
}

impl StreamCommand for Withdraw {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account_id))
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Refused {
    #[error("there is no such account")]
    NotOpen,
    #[error("{missing} cents are missing")]
    InsufficientFunds { missing: u64 },
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    owner: Option<String>,
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (Withdraw,);

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { owner } => self.owner = Some(owner.clone()),
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount, .. } => self.balance -= amount,
        }
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: &Withdraw, context: &Context) -> Decision<Self> {
        if self.owner.is_none() {
            return Err(Refused::NotOpen);
        }
        match command.amount.saturating_sub(self.balance) {
            0 => {
                let by = context.actor().map(str::to_owned);
                Ok(vec![AccountEvent::Withdrawn { amount: command.amount, by }])
            }
            missing => Err(Refused::InsufficientFunds { missing }),
        }
    }
}

// A place in a course: what decides is in many streams.

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum CourseEvent {
    #[serde(rename = "course.joined")]
    Joined { course: String, student: String },
}

impl Event for CourseEvent {
    const CATEGORY: &'static str = "course";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        let Self::Joined { course, .. } = self;
        Ok(vec![Tag::new(format!("course:{course}"))?])
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Join {
    course: String,
    student: String,
}

impl Command for Join {
    const NAME: &'static str = "join";
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum NoPlace {
    #[error("all {places} places are taken")]
    Full { places: usize },
}

impl Rejection for NoPlace {}

/// Two places a course.
struct Places {
    students: Vec<String>,
}

impl DecisionModel for Places {
    type Command = Join;
    type Event = CourseEvent;
    type Rejection = NoPlace;

    fn query(command: &Join) -> Result<Query, InvalidName> {
        Ok(Query::of(Item::new().tag(Tag::new(format!("course:{}", command.course))?)))
    }

    fn start(_: &Join) -> Self {
        Self { students: Vec::new() }
    }

    fn evolve(&mut self, CourseEvent::Joined { student, .. }: &CourseEvent) {
        self.students.push(student.clone());
    }

    fn decide(&self, Join { course, student }: &Join, _: &Context) -> Result<Vec<CourseEvent>, NoPlace> {
        match self.students.len() {
            _ if self.students.contains(student) => Ok(vec![]),
            places @ 2.. => Err(NoPlace::Full { places }),
            _ => Ok(vec![CourseEvent::Joined { course: course.clone(), student: student.clone() }]),
        }
    }

    fn stream(CourseEvent::Joined { student, .. }: &CourseEvent) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("course-{student}"))
    }
}

// Code that calls a port: takes money from several accounts, and says how much of it there was.

struct Collector {
    bus: Arc<dyn CommandBus>,
}

impl Collector {
    async fn collect(&self, accounts: &[&str], amount: u64) -> Result<u64, CommandError> {
        let mut collected = 0;
        for account_id in accounts {
            let withdraw = Withdraw { account_id: (*account_id).to_owned(), amount };
            let key = format!("collect-{account_id}");
            let mut sent = self.bus.send(withdraw.clone()).id(key.clone()).await;
            if let Err(CommandError::Unknown(_)) = sent {
                // The same key, the same effect, once.
                sent = self.bus.send(withdraw).id(key).await;
            }
            match sent {
                Ok(_) => collected += amount,
                Err(CommandError::Rejected { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(collected)
    }
}

// A saga: fetches money for a student, and pays it back when there is no place.

#[derive(Serialize, Deserialize, Clone)]
struct Enrol {
    account_id: String,
    course: String,
    student: String,
}

#[derive(Serialize, Deserialize)]
struct PayBack {
    account_id: String,
    amount: u64,
}

impl Command for PayBack {
    const NAME: &'static str = "pay-back";
}

struct Enrolments {
    fee: u64,
}

impl Saga for Enrolments {
    const NAME: &'static str = "enrol";
    type Input = Enrol;

    fn definition() -> Definition<Self> {
        let retry = Retry::attempts(3).jitter_percent(0);
        Definition::new()
            .step(Step::new("charge", Self::charge).compensate(Self::pay_back).retry(retry))
            .step(Step::new("join", Self::join))
    }
}

impl Enrolments {
    async fn charge(&self, enrol: &Enrol, step: &StepContext) -> Result<u64, StepError> {
        step.send(Withdraw { account_id: enrol.account_id.clone(), amount: self.fee }).await?;
        Ok(self.fee)
    }

    async fn pay_back(&self, enrol: &Enrol, step: &StepContext) -> Result<(), StepError> {
        let amount = step.outcome("charge")?;
        step.send(PayBack { account_id: enrol.account_id.clone(), amount }).await?;
        Ok(())
    }

    async fn join(&self, enrol: &Enrol, step: &StepContext) -> Result<(), StepError> {
        step.send(Join { course: enrol.course.clone(), student: enrol.student.clone() }).await?;
        Ok(())
    }
}

// A process: reminds whoever has opened an account and pays nothing in within a week.

#[derive(Serialize, Deserialize)]
struct Remind {
    owner: String,
}

impl Command for Remind {
    const NAME: &'static str = "remind";
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

struct Reminders;

impl Process for Reminders {
    const NAME: &'static str = "reminders";
    type Event = AccountEvent;
    /// Who has opened the account.
    type State = String;

    fn correlate(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().to_string())
    }

    fn starts(event: &RecordedAs<AccountEvent>) -> bool {
        matches!(event.event, AccountEvent::Opened { .. })
    }

    fn on(&self, opened_by: &mut String, event: &RecordedAs<AccountEvent>, intents: &mut Intents) {
        match &event.event {
            AccountEvent::Opened { owner } => {
                owner.clone_into(opened_by);
                intents.set_timer("first-deposit", WEEK);
            }
            AccountEvent::Deposited { .. } => intents.end(),
            AccountEvent::Withdrawn { .. } => {}
        }
    }

    fn on_timer(&self, opened_by: &mut String, _: &str, intents: &mut Intents) {
        intents.send(Remind { owner: opened_by.clone() });
        intents.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccountEvent::{Deposited, Opened, Withdrawn};
    use portolan_kernel::domain::saga::{End, Way};
    use portolan_kernel::ports::Receipt;
    use portolan_testing::{
        Fault, Faulty, MockCommandBus, Sent, Tracking, given, given_log, given_process, given_saga, run_step,
    };
    use rstest::rstest;

    fn opened() -> AccountEvent {
        Opened { owner: "Ann".into() }
    }

    fn withdraw(amount: u64) -> Withdraw {
        Withdraw { account_id: "ann".into(), amount }
    }

    // Given, when, then.

    #[test]
    fn money_that_is_there_is_withdrawn_on_behalf_of_somebody() {
        given::<Account>([opened(), Deposited { amount: 3 }])
            .by("Bob")
            .when(withdraw(2))
            .then([Withdrawn { amount: 2, by: Some("Bob".into()) }]);
    }

    #[test]
    fn no_overdraft() {
        given::<Account>([opened(), Deposited { amount: 3 }])
            .when(withdraw(5))
            .then_rejected(Refused::InsufficientFunds { missing: 2 });
    }

    #[test]
    fn nothing_from_nowhere() {
        given::<Account>([]).when(withdraw(1)).then_rejected(Refused::NotOpen);
    }

    #[test]
    fn every_wrong_field_is_named() {
        given::<Account>([])
            .when(Withdraw { account_id: String::new(), amount: 0 })
            .then_invalid(["account_id", "amount"]);
    }

    // A table, by rstest: one test a line.

    #[rstest]
    #[case::all_of_it(5, 5, None)]
    #[case::some_of_it(5, 1, None)]
    #[case::one_too_many(5, 6, Some(1))]
    #[case::far_too_many(5, u64::MAX, Some(u64::MAX - 5))]
    fn what_a_balance_covers(#[case] balance: u64, #[case] amount: u64, #[case] missing: Option<u64>) {
        let outcome = given::<Account>([opened(), Deposited { amount: balance }]).when(withdraw(amount));
        match missing {
            None => outcome.then([Withdrawn { amount, by: None }]),
            Some(missing) => outcome.then_rejected(Refused::InsufficientFunds { missing }),
        }
    }

    // A decision over the log: of the events given it sees those that its query chooses.

    fn joined(course: &str, student: &str) -> CourseEvent {
        CourseEvent::Joined { course: course.into(), student: student.into() }
    }

    fn join(course: &str, student: &str) -> Join {
        Join { course: course.into(), student: student.into() }
    }

    #[test]
    fn a_course_has_two_places() {
        let past = || [joined("rust", "Ann"), joined("rust", "Bob"), joined("go", "Ann")];
        given_log::<Places>(past()).when(join("rust", "Cid")).then_rejected(NoPlace::Full { places: 2 });
        given_log::<Places>(past()).when(join("go", "Cid")).then([joined("go", "Cid")]);
        given_log::<Places>(past()).when(join("rust", "Ann")).then_nothing();
    }

    // A saga, whose attempts come to what the test says; and its steps, which send what they send.

    fn enrol() -> Enrol {
        Enrol { account_id: "ann".into(), course: "rust".into(), student: "Ann".into() }
    }

    #[test]
    fn without_a_place_the_fee_is_paid_back() {
        given_saga::<Enrolments>("e-1", enrol())
            .succeeded("charge", 5)
            .when_fails("join", NoPlace::Full { places: 2 }.to_error().into())
            .then_turns_back("all 2 places are taken")
            .then_begins("charge", Way::Back)
            .and()
            .when_undone("charge")
            .then_ends(End::Compensated);
    }

    #[test]
    fn a_busy_bank_is_asked_again() {
        let pause = Duration::from_millis(100);
        given_saga::<Enrolments>("e-1", enrol())
            .when_fails("charge", StepError::retry("busy"))
            .then_tries_again("charge", pause..=pause)
            .and()
            .when_time_passes(pause)
            .then_begins("charge", Way::Forward);
    }

    #[tokio::test]
    async fn what_was_charged_is_paid_back() {
        run_step(Enrolments { fee: 5 }, "charge", enrol()).await.then_sends([Sent::of(withdraw(5))]).then_succeeds(5);
        // The fee has been raised since.
        run_step(Enrolments { fee: 7 }, "charge", enrol())
            .back()
            .outcome("charge", 5)
            .await
            .then_sends([Sent::of(PayBack { account_id: "ann".into(), amount: 5 })])
            .then_succeeds(());
    }

    // A process, to which events and times come.

    #[test]
    fn who_pays_nothing_in_is_reminded_after_a_week() {
        given_process(Reminders, "account-ann")
            .received(Opened { owner: "Ann".into() })
            .when_time_passes(WEEK)
            .then_fires("first-deposit")
            .then_sends([Sent::of(Remind { owner: "Ann".into() })])
            .and()
            .when_accepted::<Remind>()
            .then_ends(End::Completed);
    }

    #[test]
    fn who_pays_in_is_left_alone() {
        given_process(Reminders, "account-ann")
            .received(Opened { owner: "Ann".into() })
            .time_passed(WEEK / 2)
            .when_receives(Deposited { amount: 1 })
            .then_sends([])
            .then_timers([])
            .then_ends(End::Completed);
    }

    // A mock of a port.

    #[tokio::test]
    async fn what_is_refused_is_not_collected() {
        let mut bus = MockCommandBus::new();
        bus.expect_dispatch()
            .withf(|command| command.id.as_deref() == Some("collect-ann"))
            .returning(|_| Ok(Receipt::none()));
        bus.expect_dispatch().returning(|_| Err(Refused::InsufficientFunds { missing: 7 }.to_error()));
        let collector = Collector { bus: Arc::new(bus) };
        assert_eq!(collector.collect(&["ann", "bob"], 10).await.ok(), Some(10));
    }

    // A port that fails, and one that remembers.

    #[tokio::test]
    async fn a_lost_answer_is_settled_by_the_same_key() {
        let mut application = MockCommandBus::new();
        application.expect_dispatch().returning(|_| Ok(Receipt::none()));
        let lossy = Faulty::new(Arc::new(application)).nth_write(1, Fault::LostAnswer);
        let bus = Arc::new(Tracking::new(Arc::new(lossy)));
        let collector = Collector { bus: bus.clone() };
        assert_eq!(collector.collect(&["ann"], 10).await.ok(), Some(10));
        let calls = bus.dispatched();
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|call| call.asked.id.as_deref() == Some("collect-ann")));
        assert!(matches!(calls[0].answered, Some(Err(CommandError::Unknown(_)))));
    }
}
