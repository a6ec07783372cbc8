//! CB-13: through a transport.

use crate::ask::name;
use crate::bus::{AddEntries, Owner, World, add, encoded, large, sent};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::domain::Json;
use portolan_kernel::ports::{
    Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore, Receipt, Source, Violation,
};
use portolan_kernel::values::{EventId, Format, Metadata, Position, Revision};
use std::sync::{Arc, Mutex, PoisonError};

law! {
    dyn CommandBus, cb_13_transport, "CB-13",
    "All of this holds through a transport.",
    checks: [
        every_part_of_a_command_arrives,
        typed_bodies_arrive if [TypedBodies],
        every_receipt_comes_back,
        large_ones_too,
        every_error_comes_back,
        what_is_told_of_commands if [Descriptions],
    ],
}

/// A bus behind the one on trial, that answers as it is told, and keeps what arrives.
struct Scripted {
    answer: Mutex<Result<Receipt, CommandError>>,
    arrived: Mutex<Vec<CommandEnvelope>>,
}

impl Scripted {
    fn new() -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(Ok(Receipt::none())), arrived: Mutex::default() })
    }

    fn will_answer(&self, answer: Result<Receipt, CommandError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// The one command that has arrived since this was last asked.
    fn arrived(&self) -> Verdict<CommandEnvelope> {
        let mut arrived = core::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        match (arrived.pop(), arrived.len()) {
            (Some(command), 0) => Ok(command),
            (last, before) => {
                let count = before + usize::from(last.is_some());
                Err(Broken::new("commands that arrived", "one", format!("{count}")))
            }
        }
    }
}

fn infos() -> Vec<CommandInfo> {
    let schema = serde_json::json!({"type": "object", "properties": {"tally": {"type": "string", "title": "é"}}});
    vec![
        CommandInfo::new(name("add-entries")).with_description("Adds – it says.").with_schema(Some(schema)),
        CommandInfo::new(name("close-tally")),
    ]
}

#[async_trait]
impl CommandBus for Scripted {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn commands(&self) -> Vec<CommandInfo> {
        infos()
    }
}

/// A command with a digit and a letter of every kind.
fn command() -> AddEntries {
    let owner = Owner { name: "\u{1f980}".into(), share: 0.1 + 0.2, note: Some("null".into()) };
    AddEntries { owner, ..add("é \"\n\\ A", &[1, u64::MAX - 1, (1 << 53) + 1]) }
}

/// The command that a body holds.
fn value(body: &Body) -> Verdict<AddEntries> {
    let bytes = match body {
        Body::Encoded(bytes, Format::Json) => Ok(bytes.clone()),
        Body::Encoded(_, format) => Err(format!("{format:?}")),
        Body::Typed(typed) => typed.encode().map_err(|error| error.to_string()),
    };
    let value = bytes.and_then(|bytes| Json::decode_object(&bytes).map_err(|error| error.to_string()));
    value.map_err(|error| Broken::new("the body that arrived", "the command", error))
}

async fn every_part_of_a_command_arrives(trial: &Trial<dyn CommandBus>) -> Verdict {
    let (world, scripted) = (World::new(trial), Scripted::new());
    let app = world.start_over(scripted.clone()).await?;
    let plain = encoded(&command());
    let mut metadata = Metadata {
        correlation: Some("c 1".into()),
        causation: Some("é".into()),
        command: Some("m".into()),
        actor: Some("Ann \"O\" \\ \u{1f980}".into()),
        tenant: Some("A:b/c?d=e&f%20".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..Metadata::default()
    };
    metadata.more.insert("more".into(), serde_json::json!([null, {"a": 1.5, "é": "\n"}]));
    let commands = [
        plain.clone(),
        plain.clone().with_id(name(" K, \"é\" \\ %20 ")).with_metadata(metadata),
        plain.clone().within(Duration::from_millis(1_500)),
        plain.clone().wait_for(name("board")).wait_for(name("a b,c é")),
        plain.within(Duration::from_secs(7_200)).wait_for(name("x")).with_id(name("k")),
    ];
    for command in commands {
        app.took(command.clone()).await?;
        let arrived = scripted.arrived()?;
        expect_eq!(arrived.name, command.name, "the name that arrived");
        expect_eq!(arrived.id, command.id, "the id that arrived");
        expect_eq!(arrived.wait_for, command.wait_for, "the projections that arrived");
        // Whatever is on the way may note a correlation where there is none.
        let mut metadata = arrived.metadata.clone();
        if command.metadata.correlation.is_none() {
            metadata.correlation = None;
        }
        expect_eq!(metadata, command.metadata, "the metadata that arrived");
        expect_eq!(value(&arrived.body)?, value(&command.body)?, "the command that arrived");
        // Being on the way takes time, and is part of it; whatever is on the way may set a limit of its own.
        let is_within = match (command.within, arrived.within) {
            (Some(within), Some(arrived)) => within / 2 <= arrived && arrived <= within,
            (Some(_), None) => false,
            (None, arrived) => arrived.is_none_or(|arrived| arrived > Duration::from_secs(5)),
        };
        expect!(is_within, "as much time as is left of {:?}, and not {:?}", command.within, arrived.within);
    }
    Ok(())
}

async fn typed_bodies_arrive(trial: &Trial<dyn CommandBus>) -> Verdict {
    let (world, scripted) = (World::new(trial), Scripted::new());
    let app = world.start_over(scripted.clone()).await?;
    app.took(sent(command())).await?;
    expect_eq!(value(&scripted.arrived()?.body)?, command(), "the command that arrived");
    Ok(())
}

/// Receipts of every shape.
fn receipts() -> Vec<Receipt> {
    let ids = || (0..3).map(|n| EventId::from_bytes([n; 16])).collect::<Vec<_>>();
    let streams = vec![(name("tally-é/1"), Some(Revision::new(7))), (name("tally-2"), None)];
    vec![
        Receipt::none(),
        Receipt::new(streams.clone(), Some(Position::MAX), ids(), false),
        Receipt::new(streams, Position::new(1), ids(), true).with_correlation(Some("c 1 é \"".into())),
        Receipt::new(vec![], None, vec![], true).with_correlation(Some(String::new())),
    ]
}

/// The receipt, as the bus on trial is to hand it on.
fn handed_on(trial: &Trial<dyn CommandBus>, receipt: &Receipt) -> Receipt {
    let correlation = receipt.correlation.clone().filter(|_| trial.has(crate::Crossing::Correlation));
    receipt.clone().with_correlation(correlation)
}

async fn every_receipt_comes_back(trial: &Trial<dyn CommandBus>) -> Verdict {
    let (world, scripted) = (World::new(trial), Scripted::new());
    let app = world.start_over(scripted.clone()).await?;
    for receipt in receipts() {
        scripted.will_answer(Ok(receipt.clone()));
        let came = app.took(encoded(&add("a", &[1]))).await?;
        expect_eq!(came, handed_on(trial, &receipt), "the receipt that came back");
    }
    Ok(())
}

/// A command of many bytes, and a receipt of as many events as an append has.
async fn large_ones_too(trial: &Trial<dyn CommandBus>) -> Verdict {
    let (world, scripted) = (World::new(trial), Scripted::new());
    let app = world.start_over(scripted.clone()).await?;
    let most = world.store.capabilities().limits;
    let ids = (0..most.append_events).map(|n| EventId::from_bytes(u128::from(n).to_be_bytes())).collect();
    let streams =
        (0..u64::from(most.append_streams)).map(|n| (name(&format!("tally-{n}")), Some(Revision::new(n)))).collect();
    let receipt = Receipt::new(streams, Some(Position::MAX), ids, false);
    scripted.will_answer(Ok(receipt.clone()));
    let command = large("a");
    let came = app.took(encoded(&command)).await?;
    let is_whole = value(&scripted.arrived()?.body)? == command;
    expect!(is_whole, "all {} entries of a large command arrive", command.entries.len());
    let told = (came.streams.len(), came.events.len());
    expect_eq!(told, (receipt.streams.len(), receipt.events.len()), "streams and events in the receipt that came back");
    expect!(came == handed_on(trial, &receipt), "the same streams and events in the receipt that came back");
    Ok(())
}

/// Errors of every kind.
fn errors() -> Vec<CommandError> {
    let source = || Source::new("é: the \"disk\" is full");
    let fields = serde_json::json!({"missing": u64::MAX, "share": 0.1, "of": ["a", null, {"b": true}], "é": -1});
    let mut errors = vec![
        CommandError::UnknownCommand(name("add-entries")),
        CommandError::Malformed("at line 1".into()),
        CommandError::Invalid(vec![Violation::new("a[1].b", "zero", "é"), Violation::new("", "c", "m")]),
        CommandError::Invalid(vec![]),
        CommandError::Rejected { code: "no-room".into(), message: "no – room".into(), fields },
        CommandError::Conflict { stream: name("tally-é"), actual: Some(Revision::new(3)) },
        CommandError::Conflict { stream: name("tally-a"), actual: None },
        CommandError::Denied("é: not you".into()),
        CommandError::DeadlinePassed,
        CommandError::KeyReused,
        CommandError::ShuttingDown,
        CommandError::Busy(source()),
        CommandError::Unknown(source()),
        CommandError::Other(source()),
    ];
    errors.extend(receipts().into_iter().map(|receipt| CommandError::NotCaughtUp {
        receipt: Box::new(receipt),
        waiting: vec![name("board"), name("a b,c é")],
    }));
    errors
}

async fn every_error_comes_back(trial: &Trial<dyn CommandBus>) -> Verdict {
    let (world, scripted) = (World::new(trial), Scripted::new());
    let app = world.start_over(scripted.clone()).await?;
    for mut error in errors() {
        scripted.will_answer(Err(error.clone()));
        let came = app.refused(encoded(&add("a", &[1]))).await?;
        if let CommandError::NotCaughtUp { receipt, .. } = &mut error {
            **receipt = handed_on(trial, receipt);
        }
        expect_eq!(came.to_string(), error.to_string(), "the words of the error that came back");
        match (&came, &error) {
            // What a backend said comes back as text.
            (CommandError::Busy(_), CommandError::Busy(_))
            | (CommandError::Unknown(_), CommandError::Unknown(_))
            | (CommandError::Other(_), CommandError::Other(_)) => {}
            _ => expect_eq!(format!("{came:?}"), format!("{error:?}"), "the error that came back"),
        }
    }
    Ok(())
}

async fn what_is_told_of_commands(trial: &Trial<dyn CommandBus>) -> Verdict {
    let app = World::new(trial).start_over(Scripted::new()).await?;
    expect_eq!(app.bus.commands(), infos(), "what is told of the commands");
    Ok(())
}
