//! Middleware and hooks around commands, and the middleware that is shipped.

extern crate alloc;

mod support;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use async_trait::async_trait;
use core::time::Duration;
use futures::FutureExt;
use portolan_kernel::drivers::*;
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use std::sync::Mutex;
use support::bank::*;
use support::store::{Fault, Stall, TestStore};
use support::{TestRuntime, bank_on, builder, builder_in_time, now, settle};

type Log = Arc<Mutex<Vec<String>>>;

fn log() -> Log {
    Log::default()
}

fn take(log: &Log) -> Vec<String> {
    core::mem::take(&mut *log.lock().expect("nobody panics while it writes"))
}

/// Writes down what it is told.
struct Witness {
    name: &'static str,
    log: Log,
    refuses: bool,
}

impl Witness {
    fn new(name: &'static str, log: &Log) -> Self {
        Self { name, log: log.clone(), refuses: false }
    }

    fn refusing(name: &'static str, log: &Log) -> Self {
        Self { refuses: true, ..Self::new(name, log) }
    }

    fn say(&self, what: &str) {
        self.log.lock().expect("nobody panics while it writes").push(format!("{} {what}", self.name));
    }
}

#[async_trait]
impl Hooks for Witness {
    async fn before(&self, mut command: CommandEnvelope) -> Result<CommandEnvelope, CommandError> {
        self.say("before");
        if self.refuses {
            return Err(CommandError::Denied("by the witness".into()));
        }
        command.metadata.more.insert(self.name.into(), true.into());
        Ok(command)
    }

    fn after(&self, command: &CommandEnvelope, receipt: &Receipt) {
        assert!(command.metadata.more.contains_key(self.name), "it sees the command as it went on");
        self.say(if receipt.repeated { "after a repetition" } else { "after" });
    }

    fn failed(&self, command: &CommandEnvelope, failure: &Failure) {
        assert!(command.metadata.more.contains_key(self.name), "it sees the command as it went on");
        match failure {
            Failure::Error(error) => self.say(&format!("failed: {error}")),
            _ => self.say("dropped"),
        }
    }
}

/// Never lets a command through.
struct Lingers;

#[async_trait]
impl Middleware for Lingers {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        core::future::pending::<()>().await;
        next.run(command).await
    }
}

#[tokio::test]
async fn before_and_after_are_paired_from_the_outermost_in_and_out() {
    let (store, log) = (TestStore::new(), log());
    let app = builder(&store).aggregate::<Account>().hooks(Witness::new("a", &log)).hooks(Witness::new("b", &log));
    let app = app.build().await.unwrap();
    let bus = app.ports().commands;
    bus.send(open("ann")).id("k").await.unwrap();
    assert_eq!(take(&log), ["a before", "b before", "b after", "a after"]);
    bus.send(open("ann")).id("k").await.unwrap();
    assert_eq!(take(&log), ["a before", "b before", "b after a repetition", "a after a repetition"]);
    bus.send(withdraw("ann", 1)).await.unwrap_err();
    let failed = "failed: 1 cents short (insufficient-funds)";
    assert_eq!(take(&log), ["a before", "b before", &format!("b {failed}"), &format!("a {failed}")]);
    let unknown = CommandEnvelope::new(Name::new("x").unwrap(), Body::Encoded("{}".into(), Format::Json));
    bus.dispatch(unknown).await.unwrap_err();
    assert_eq!(take(&log)[3], "a failed: there is no command x");
    // What a hook changes reaches the events.
    let metadata = Metadata::decode(&store.events()[0].metadata);
    assert!(metadata.more.contains_key("a") && metadata.more.contains_key("b"));
    app.shutdown().await;
    bus.send(deposit("ann", 1)).await.unwrap_err();
    assert!(take(&log).is_empty(), "nothing begins after shutdown");
}

#[tokio::test]
async fn who_refuses_is_not_paired_and_whoever_is_further_in_is_not_asked() {
    let (store, log) = (TestStore::new(), log());
    let app = builder(&store).aggregate::<Account>().hooks(Witness::new("a", &log));
    let app = app.hooks(Witness::refusing("b", &log)).hooks(Witness::new("c", &log)).build().await.unwrap();
    let error = app.ports().commands.send(open("ann")).await.unwrap_err();
    assert!(matches!(error, CommandError::Denied(_)));
    assert_eq!(take(&log), ["a before", "b before", "a failed: not allowed: by the witness"]);
    assert_eq!(store.appends(), 0);
}

#[tokio::test]
async fn hooks_are_paired_when_the_caller_goes_away() {
    let (store, log) = (TestStore::new(), log());
    let app = builder(&store).aggregate::<Account>().hooks(Witness::new("a", &log)).hooks(Witness::new("b", &log));
    let app = app.build().await.unwrap();
    let bus = app.ports().commands;
    store.stall(Stall::Read);
    let mut sending = bus.send(open("ann")).into_future();
    assert!((&mut sending).now_or_never().is_none());
    drop(sending);
    assert_eq!(take(&log), ["a before", "b before", "b dropped", "a dropped"]);
    app.shutdown().await;
}

#[tokio::test]
async fn a_deadline_also_ends_a_middleware_that_lingers() {
    let (store, log) = (TestStore::new(), log());
    let (app, time) = builder_in_time(&store);
    let app = app.aggregate::<Account>().hooks(Witness::new("a", &log)).middleware(Lingers).build().await.unwrap();
    let bus = app.ports().commands;
    let sending = tokio::spawn(async move { bus.send(open("ann")).deadline(Duration::from_secs(5)).await });
    settle().await;
    time.pass(Duration::from_secs(5));
    assert!(matches!(now(sending).await, Err(CommandError::DeadlinePassed)));
    assert_eq!(take(&log), ["a before", "a dropped"]);
    app.shutdown().await;
}

#[tokio::test]
async fn shutdown_waits_for_middleware() {
    let store = TestStore::new();
    let (app, time) = builder_in_time(&store);
    let app = app.aggregate::<Account>().middleware(Lingers).build().await.unwrap();
    let bus = app.ports().commands;
    let sending = tokio::spawn(async move { bus.send(open("ann")).deadline(Duration::from_secs(5)).await });
    settle().await;
    assert!(app.shutdown().now_or_never().is_none());
    time.pass(Duration::from_secs(5));
    app.shutdown().await;
    now(sending).await.unwrap_err();
}

/// Answers by a list, and notes what it was sent.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Result<Receipt, CommandError>>>,
    sent: Mutex<Vec<CommandEnvelope>>,
    /// Lets so much time pass with each command.
    takes: Option<(Arc<TestRuntime>, Duration)>,
}

impl Scripted {
    fn answering(answers: impl IntoIterator<Item = Result<Receipt, CommandError>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }
}

#[async_trait]
impl CommandBus for Scripted {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.sent.lock().expect("nobody panics while it sends").push(command);
        if let Some((time, takes)) = &self.takes {
            time.pass(*takes);
        }
        self.answers.lock().expect("nobody panics while it sends").pop_front().unwrap_or_else(|| Ok(Receipt::none()))
    }

    fn commands(&self) -> Vec<CommandInfo> {
        vec![CommandInfo::new(Name::new("deposit").expect("a name"))]
    }
}

fn busy() -> CommandError {
    CommandError::Busy(Source::new("full"))
}

fn unknown() -> CommandError {
    CommandError::Unknown(Source::new("a cut line"))
}

fn conflict() -> CommandError {
    CommandError::Conflict { stream: StreamId::new("s").expect("a stream"), actual: None }
}

fn rejected() -> CommandError {
    CommandError::Rejected { code: "no".into(), message: "no".into(), fields: serde_json::Value::Null }
}

fn retry(time: &Arc<TestRuntime>) -> Retry {
    Retry::new(time.clone(), time.clone(), time.clone()).with_attempts(3)
}

#[rstest]
#[case::busy(false, vec![busy()], 2, "none")]
#[case::conflict(false, vec![conflict()], 2, "none")]
#[case::bounded(false, vec![busy(), conflict(), busy(), busy()], 3, "busy")]
#[case::unknown_without_id(false, vec![unknown()], 1, "unknown")]
#[case::unknown_under_an_id(true, vec![unknown()], 2, "none")]
#[case::still_unknown_when_then_busy(true, vec![unknown(), busy(), busy()], 3, "unknown")]
#[case::still_unknown_when_then_rejected(true, vec![unknown(), rejected()], 2, "unknown")]
#[case::still_unknown_when_then_in_conflict(true, vec![unknown(), conflict(), conflict()], 3, "unknown")]
#[case::unknown_then_settled(true, vec![unknown(), CommandError::KeyReused], 2, "reused")]
#[case::rejected(true, vec![rejected()], 1, "rejected")]
#[case::denied(true, vec![CommandError::Denied("no".into())], 1, "denied")]
#[case::invalid(true, vec![CommandError::Invalid(vec![])], 1, "invalid")]
#[case::deadline(true, vec![CommandError::DeadlinePassed], 1, "deadline")]
#[tokio::test]
async fn a_command_is_sent_again_when_that_can_help(
    #[case] id: bool,
    #[case] errors: Vec<CommandError>,
    #[case] sent: usize,
    #[case] outcome: &str,
) {
    let time = Arc::new(TestRuntime::default());
    let scripted = Arc::new(Scripted::answering(errors.into_iter().map(Err)));
    let bus = MiddlewareBus::new(scripted.clone()).middleware(retry(&time));
    let mut sending = bus.send(deposit("ann", 1));
    if id {
        sending = sending.id("k-1");
    }
    let is = match sending.await {
        Ok(_) => "none",
        Err(CommandError::Busy(_)) => "busy",
        Err(CommandError::Unknown(_)) => "unknown",
        Err(CommandError::Rejected { .. }) => "rejected",
        Err(CommandError::KeyReused) => "reused",
        Err(CommandError::Denied(_)) => "denied",
        Err(CommandError::Invalid(_)) => "invalid",
        Err(CommandError::DeadlinePassed) => "deadline",
        Err(other) => panic!("{other}"),
    };
    assert_eq!((is, scripted.sent.lock().unwrap().len()), (outcome, sent));
    assert_eq!(bus.commands().len(), 1);
}

#[tokio::test]
async fn a_rejection_after_an_unknown_outcome_is_told() {
    let time = Arc::new(TestRuntime::default());
    let scripted = Arc::new(Scripted::answering([Err(unknown()), Err(rejected())]));
    let bus = MiddlewareBus::new(scripted).middleware(retry(&time));
    let error = bus.send(deposit("ann", 1)).id("k-1").await.unwrap_err().to_string();
    assert!(error.contains(&rejected().to_string()), "{error}");
}

#[tokio::test]
async fn a_deadline_bounds_all_attempts_together() {
    let time = Arc::new(TestRuntime::default());
    let takes = Some((time.clone(), Duration::from_secs(2)));
    let scripted = Arc::new(Scripted { takes, ..Scripted::answering([Err(busy()), Err(busy()), Err(busy())]) });
    let bus = MiddlewareBus::new(scripted.clone()).middleware(retry(&time).with_attempts(10));
    bus.send(deposit("ann", 1)).deadline(Duration::from_secs(5)).await.unwrap_err();
    let within: Vec<_> = scripted.sent.lock().unwrap().iter().map(|command| command.within).collect();
    assert_eq!(within, [5, 3, 1].map(|left| Some(Duration::from_secs(left))));
}

/// Tells how often the command was tried again.
struct Counts(Log);

#[async_trait]
impl Middleware for Counts {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let outcome = next.clone().run(command).await;
        self.0.lock().expect("nobody panics while it writes").push(next.retries().to_string());
        outcome
    }
}

#[tokio::test]
async fn retries_are_counted_wherever_they_are_made() {
    let (store, log, time) = (TestStore::new(), log(), Arc::new(TestRuntime::default()));
    let app = builder(&store).aggregate::<Account>().middleware(Counts(log.clone())).middleware(retry(&time));
    let bus = app.build().await.unwrap().ports().commands;
    bus.send(open("ann")).await.unwrap();
    for _ in 0..2 {
        store.before_append(|store| store.write_event("account-ann", "account.deposited", r#"{"amount":1}"#));
    }
    bus.send(deposit("ann", 1)).await.unwrap();
    // Execution asks a busy store five times, then the middleware begins anew.
    store.fail_with([Fault::Busy; 5]);
    bus.send(deposit("ann", 1)).await.unwrap();
    assert_eq!(take(&log), ["0", "2", "1"]);
}

#[rstest]
#[case::owner("ann", "acme", None)]
#[case::other("eve", "acme", Some("not allowed: eve does not own ann"))]
#[case::tenant("ann", "else", Some("not allowed: ann is not of else"))]
#[tokio::test]
async fn a_policy_sees_who_asks_for_what(#[case] actor: &str, #[case] tenant: &str, #[case] denied: Option<&str>) {
    let policy = |command: &CommandEnvelope| {
        let Metadata { actor: Some(actor), tenant: Some(tenant), .. } = &command.metadata else {
            return Err("say who you are".into());
        };
        let Ok(open) = command_in::<OpenAccount>(command) else { return Ok(()) };
        match (open.account_id == *actor, tenant == "acme") {
            (false, _) => Err(format!("{actor} does not own {}", open.account_id)),
            (_, false) => Err(format!("{actor} is not of {tenant}")),
            _ => Ok(()),
        }
    };
    let store = TestStore::new();
    let app = builder(&store).aggregate::<Account>().middleware(Authorization::new(policy)).build().await.unwrap();
    let bus = app.ports().commands;
    let encoded = Body::Encoded(r#"{"account_id":"ann","owner":"Ann"}"#.into(), Format::Json);
    let metadata = Metadata { actor: Some(actor.into()), tenant: Some(tenant.into()), ..Metadata::default() };
    let encoded = CommandEnvelope::new(Name::new("open-account").unwrap(), encoded).with_metadata(metadata);
    let typed = bus.send(open("ann")).actor(actor).tenant(tenant).id("k-1").await;
    assert_eq!(typed.err().map(|error| error.to_string()).as_deref(), denied);
    let again = bus.dispatch(encoded.with_id(Name::new("k-1").unwrap())).await;
    assert_eq!(again.err().map(|error| error.to_string()).as_deref(), denied);
    assert_eq!(store.events().len(), usize::from(denied.is_none()));
}

#[tokio::test]
async fn middleware_surrounds_any_bus() {
    let (store, log) = (TestStore::new(), log());
    let bus = bank_on(&store).await.ports().commands;
    let bus = MiddlewareBus::new(bus).hooks(Witness::new("a", &log)).hooks(Witness::new("b", &log));
    bus.send(open("ann")).await.unwrap();
    assert_eq!(take(&log), ["a before", "b before", "b after", "a after"]);
    let by_itself = Hooked::new(Witness::new("c", &log));
    let command = CommandEnvelope::new(Name::new("x").unwrap(), Body::Encoded("{}".into(), Format::Json));
    by_itself.handle(command, Next::bus(Arc::new(bus))).await.unwrap_err();
    assert_eq!(take(&log).len(), 6);
}
