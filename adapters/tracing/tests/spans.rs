//! What becomes of commands in a subscriber.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use async_trait::async_trait;
use core::fmt::Debug;
use core::sync::atomic::{AtomicU64, Ordering};
use portolan_kernel::drivers::{Middleware as _, MiddlewareBus, Next};
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use portolan_tracing::Tracing;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// Keeps spans and events, and closes nothing.
#[derive(Default)]
struct Collected {
    last: AtomicU64,
    spans: Mutex<BTreeMap<u64, (&'static str, Fields)>>,
    events: Mutex<Vec<(Level, Option<u64>, Fields)>>,
    inside: Mutex<Vec<u64>>,
}

struct Write<'a>(&'a mut Fields);

impl Visit for Write<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[derive(Clone)]
struct Shared(Arc<Collected>);

impl Subscriber for Shared {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::new();
        span.record(&mut Write(&mut fields));
        self.0.spans.lock().unwrap().insert(id, (span.metadata().name(), fields));
        Id::from_u64(id)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Write(&mut self.0.spans.lock().unwrap().get_mut(&span.into_u64()).unwrap().1));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Write(&mut fields));
        let parent = event.parent().map(Id::into_u64).or_else(|| self.0.inside.lock().unwrap().last().copied());
        self.0.events.lock().unwrap().push((*event.metadata().level(), parent, fields));
    }
    fn enter(&self, span: &Id) {
        self.0.inside.lock().unwrap().push(span.into_u64());
    }
    fn exit(&self, _: &Id) {
        self.0.inside.lock().unwrap().pop();
    }
}

/// Answers as it is told.
struct Answers(Result<Receipt, CommandError>);

#[async_trait]
impl CommandBus for Answers {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        tokio::task::yield_now().await;
        tracing::info!("inside");
        if &*command.name == "never" {
            core::future::pending::<()>().await;
        }
        self.0.clone()
    }
    fn commands(&self) -> Vec<CommandInfo> {
        Vec::new()
    }
}

fn command(name: &str) -> CommandEnvelope {
    let body = Body::Encoded(r#"{"secret":"s3cret"}"#.into(), Format::Json);
    CommandEnvelope::new(Name::new(name).unwrap(), body)
}

/// The fields of its span, the events, and whether what was logged meanwhile stands within.
async fn traced(command: CommandEnvelope, answer: Result<Receipt, CommandError>) -> (Fields, Vec<(Level, Fields)>) {
    let collected = Arc::new(Collected::default());
    let _default = tracing::subscriber::set_default(Shared(collected.clone()));
    let bus = MiddlewareBus::new(Arc::new(Answers(answer))).middleware(Tracing);
    let _ = tokio::time::timeout(core::time::Duration::from_millis(20), bus.dispatch(command)).await;
    let mut spans = core::mem::take(&mut *collected.spans.lock().unwrap());
    assert_eq!(spans.len(), 1);
    let (id, (name, fields)) = spans.pop_first().unwrap();
    assert_eq!(name, "command");
    let events = core::mem::take(&mut *collected.events.lock().unwrap());
    assert!(events.iter().all(|(_, parent, _)| *parent == Some(id)), "{events:?}");
    assert!(!format!("{fields:?}{events:?}").contains("s3cret"));
    let told = |fields: &Fields| fields["message"] != "inside";
    (
        fields,
        events.into_iter().filter(|(_, _, fields)| told(fields)).map(|(level, _, fields)| (level, fields)).collect(),
    )
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}

#[tokio::test]
async fn a_span_tells_who_asked_for_what_and_what_came_of_it() {
    let metadata = Metadata {
        actor: Some("ann".into()),
        tenant: Some("acme".into()),
        correlation: Some("c-1".into()),
        traceparent: Some("00-1-2-01".into()),
        ..Metadata::default()
    };
    let known = command("deposit").with_id(Name::new("k-1").unwrap()).with_metadata(metadata);
    let receipt = Receipt::new(vec![], Position::new(7), vec![], true).with_correlation(Some("c-1".into()));
    let (span, events) = traced(known, Ok(receipt)).await;
    let expected = fields([
        ("command", "deposit"),
        ("command_id", "k-1"),
        ("correlation_id", "c-1"),
        ("actor", "ann"),
        ("tenant", "acme"),
        ("traceparent", "00-1-2-01"),
        ("outcome", "repeated"),
        ("position", "7"),
    ]);
    assert_eq!((span, events.len()), (expected, 0));

    let receipt = Receipt::none().with_correlation(Some("derived".into()));
    let (span, _) = traced(command("deposit"), Ok(receipt)).await;
    assert_eq!(span, fields([("command", "deposit"), ("correlation_id", "derived"), ("outcome", "done")]));
}

#[tokio::test]
async fn failures_have_codes_and_those_of_the_machine_are_events() {
    let denied = CommandError::Denied("not yours".into());
    let (span, events) = traced(command("deposit"), Err(denied)).await;
    let expected = [("command", "deposit"), ("outcome", "denied"), ("error", "not allowed: not yours")];
    assert_eq!((span, events.len()), (fields(expected), 0));

    let (span, events) = traced(command("deposit"), Err(CommandError::Other(Source::new("the disk is full")))).await;
    assert_eq!(span["outcome"], "other");
    assert_eq!((events[0].0, &*events[0].1["causes"]), (Level::ERROR, "the disk is full"));

    let (_, events) = traced(command("deposit"), Err(CommandError::Unknown(Source::new("a cut line")))).await;
    assert_eq!((events.len(), events[0].0), (1, Level::WARN));

    let receipt = Receipt::new(vec![], Position::new(7), vec![], false);
    let late = CommandError::NotCaughtUp { receipt: receipt.into(), waiting: vec![Name::new("slow").unwrap()] };
    let (span, _) = traced(command("deposit"), Err(late)).await;
    assert_eq!((&*span["outcome"], &*span["position"]), ("not-caught-up", "7"));
}

#[tokio::test]
async fn a_command_that_is_dropped_is_told_of() {
    let (span, _) = traced(command("never"), Ok(Receipt::none())).await;
    assert_eq!(span["outcome"], "dropped");
}

#[tokio::test]
async fn it_changes_nothing() {
    let bus = Arc::new(Answers(Err(CommandError::KeyReused)));
    let outcome = Tracing.handle(command("deposit"), Next::bus(bus)).await;
    assert!(matches!(outcome, Err(CommandError::KeyReused)));
}
