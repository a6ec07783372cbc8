//! MG-10: a command that is repeated under its id after the move finds its receipt.

use super::between::Wrong;
use super::history::{World, equal, log};
use crate::events::UserEvent;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::{Aggregate, Command, Context, Decide, Decision, IdSeed, Rejection, StreamCommand, Upcasters};
use portolan::drivers::{CommandBusExt, Migration, MigrationError, command_scope};
use portolan::ports::{Capabilities, Capability, CommandError, EventStore, Limits, Receipt, SnapshotStore, StoreId};
use portolan::values::{Append, EventType, IdempotencyKey, InvalidName, Metadata, NewEvent, StreamId};
use portolan::{MemoryStore, TokioRuntime};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Changes the address so many times.
#[derive(Serialize, Deserialize, Clone)]
struct Change {
    user: String,
    times: u32,
}

impl Command for Change {
    const NAME: &'static str = "change";
}

impl StreamCommand for Change {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("user-{}", self.user))
    }
}

#[derive(Serialize, Deserialize, Debug, thiserror::Error)]
#[error("never")]
struct Never;
impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct User {}

impl Aggregate for User {
    const CATEGORY: &'static str = "user";
    type Event = UserEvent;
    type Rejection = Never;
    type Commands = (Change,);
    fn evolve(&mut self, _: &UserEvent) {}
}

impl Decide<Change> for User {
    fn decide(&self, command: &Change, _: &Context) -> Decision<Self> {
        Ok((0..command.times).map(|n| UserEvent::EmailUpdated { email: format!("{n}@") }).collect())
    }
}

fn change(user: &str, times: u32) -> Change {
    Change { user: user.into(), times }
}

async fn send(store: &Arc<dyn EventStore>, id: &str, tenant: &str, command: Change) -> Result<Receipt, CommandError> {
    let snapshots: Arc<dyn SnapshotStore> = Arc::new(MemoryStore::new());
    let storage = Storage::new(store.clone(), snapshots);
    let application = Application::builder(storage, Runtime::tokio()).aggregate::<User>().build().await.unwrap();
    let metadata = Metadata { tenant: Some(tenant.into()), ..Metadata::default() };
    let receipt = application.ports().commands.send(command).id(id).metadata(metadata).await;
    application.shutdown().await;
    receipt
}

pub(crate) async fn keys(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    let sent = [("k-1", "a", change("1", 1)), ("k-2", "a", change("2", 3)), ("k-1", "b", change("1", 2))];
    let mut receipts = Vec::new();
    for (id, tenant, command) in sent.clone() {
        world.source_time.advance(std::time::Duration::from_secs(1));
        // Others between them, without a key.
        world.write(&[super::history::old(8), super::history::old(6)]).await;
        receipts.push(send(&world.source, id, tenant, command).await.map_err(|error| error.to_string())?);
    }
    let commands = [portolan::values::Name::new("other").unwrap(), portolan::values::Name::new("change").unwrap()];
    let migration = || world.migration().keep_keys(commands.clone());
    super::checks::run_for(&migration(), 40);
    migration().run(|_| {}).await.map_err(|error| error.to_string())?;
    let there = log(&*world.target).await;
    for ((id, tenant, command), receipt) in sent.into_iter().zip(receipts) {
        let again = send(&world.target, id, tenant, command.clone()).await.map_err(|error| error.to_string())?;
        equal("repeated", &again.repeated, &true)?;
        equal("its events", &again.events, &receipt.events)?;
        equal("its correlation", &again.correlation, &receipt.correlation)?;
        let last = there.iter().rev().find(|event| Some(&event.id) == receipt.events.last());
        equal("its position", &again.position, &last.map(|event| event.position))?;
        let another = send(&world.target, id, tenant, change("7", command.times)).await;
        equal("another command", &matches!(another, Err(CommandError::KeyReused)), &true)?;
    }
    equal("what is there", &log(&*world.target).await.len(), &there.len())
}

/// Where nobody asks for keys, a repetition is another command: the documentation says so.
#[tokio::test]
async fn without_keys_a_repetition_is_carried_out_again() {
    let world = World::new(Wrong::Nothing);
    send(&world.source, "k", "a", change("1", 1)).await.unwrap();
    world.run().await.unwrap();
    assert!(!send(&world.target, "k", "a", change("1", 1)).await.unwrap().repeated);
}

/// Events of a command that are all retired leave its key.
#[tokio::test]
async fn a_command_that_loses_its_events_is_still_done() {
    use portolan::domain::history::{Histories, History, Hop};
    let world = World::new(Wrong::Nothing);
    send(&world.source, "k", "a", change("1", 2)).await.unwrap();
    let mut histories = Histories::new();
    histories
        .add("retired", (1..=3).fold(History::new(), |all, of| all.hop(Hop::from("user.email-updated", of).retire())));
    let upcasters = Arc::new(histories.judge().unwrap());
    let migration = || {
        Migration::new(world.source.clone(), world.target.clone(), upcasters.clone())
            .keep_keys([portolan::values::Name::new("change").unwrap()])
    };
    migration().run(|_| {}).await.unwrap();
    migration().run(|_| {}).await.unwrap();
    assert_eq!(log(&*world.target).await, []);
    let again = send(&world.target, "k", "a", change("1", 2)).await.unwrap();
    assert!(again.repeated && again.events.is_empty() && again.position.is_none(), "{again:?}");
}

/// An id that was used again after its key had expired: both uses are copied, and the later one is remembered.
#[tokio::test]
async fn an_id_that_was_used_twice_loses_nothing() {
    let time = Arc::new(portolan_testing::TestClock::at(portolan::values::Timestamp::from_micros(1)));
    let hour = std::time::Duration::from_secs(3600);
    let source: Arc<dyn EventStore> =
        Arc::new(MemoryStore::builder().clock(time.clone()).key_retention(Some(hour)).build());
    let target: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    send(&source, "k", "a", change("1", 1)).await.unwrap();
    time.advance(2 * hour);
    send(&source, "k", "a", change("1", 1)).await.unwrap();
    let migration = Migration::new(source.clone(), target.clone(), Arc::new(Upcasters::new()))
        .keep_keys([portolan::values::Name::new("change").unwrap()]);
    migration.run(|_| {}).await.unwrap();
    assert_eq!(log(&*target).await.len(), 2);
    let again = send(&target, "k", "a", change("1", 1)).await.unwrap();
    assert_eq!((again.repeated, again.position), (true, log(&*target).await.last().map(|event| event.position)));
}

/// A command whose second event a hop fails on is not in the target at all, until the hop is mended; then all of it is.
#[tokio::test]
async fn a_command_is_copied_whole_or_not_at_all() {
    use portolan::domain::history::{Histories, History, Hop};
    let world = World::new(Wrong::Nothing);
    world.write(&[super::history::old(7)]).await;
    let receipt = send(&world.source, "k", "a", change("1", 2)).await.unwrap();
    let chain = |is_mended: bool| {
        let make = move |old: serde_json::Value| match old["email"].as_str() {
            Some("1@") if !is_mended => Err("not this one"),
            _ => Ok(old),
        };
        let hop = |from| Hop::from("user.email-updated", from).to("user.email-updated", from + 1);
        let last = Hop::from("user.email-updated", 3).try_with(make).to("user.email-updated", 4);
        let mut histories = Histories::new();
        histories.add("chain", History::new().current("user.email-updated", 4).hop(hop(1)).hop(hop(2)).hop(last));
        Arc::new(histories.judge().unwrap())
    };
    let migration = |is_mended| {
        Migration::new(world.source.clone(), world.target.clone(), chain(is_mended))
            .keep_keys([portolan::values::Name::new("change").unwrap()])
    };
    let failed = migration(false).run(|_| {}).await.unwrap_err().to_string();
    assert!(failed.contains("not this one"), "{failed}");
    assert_eq!(log(&*world.target).await.len(), 1, "what is before the command");
    let copied = migration(true).run(|_| {}).await.unwrap();
    assert_eq!((copied.read, copied.written), (3, 3));
    let again = send(&world.target, "k", "a", change("1", 2)).await.unwrap();
    assert_eq!((again.repeated, &again.events), (true, &receipt.events));
    assert_eq!(again.position, log(&*world.target).await.last().map(|event| event.position));
}

/// An event a stream, of one command: its third does not go with the others.
async fn too_much_for(target: Arc<dyn EventStore>, streams: [&str; 3], said: &str) {
    let source: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let name = |name: &str| portolan::values::Name::new(name).unwrap();
    let (scope, id) = (command_scope(&name("change"), None), name("k"));
    let seed = IdSeed::of_command(&scope, &id);
    let metadata = Metadata { command: Some("k".into()), ..Metadata::default() }.encode();
    let events = (0..).zip(streams).map(|(n, stream)| {
        NewEvent::new(StreamId::new(stream).unwrap(), EventType::new("told").unwrap(), "x".repeat(300))
            .with_id(seed.event_id(n))
            .with_metadata(metadata.clone())
    });
    let append = Append::new(events.collect::<Vec<_>>()).key(IdempotencyKey::new(scope, id, [7; 32]));
    let third = source.append(append).await.unwrap().last.unwrap();
    // One of no command follows.
    let other = NewEvent::new(StreamId::new("other").unwrap(), EventType::new("told").unwrap(), "{}");
    source.append(Append::new([other])).await.unwrap();
    let migration =
        Migration::new(source, target.clone(), Arc::new(Upcasters::new())).keep_keys([name("change")]).batch(1);
    let report = migration.dry_run().await.unwrap();
    assert_eq!((report.failed, report.failures.first().map(|failure| failure.position)), (1, Some(third)), "{report}");
    assert!(report.to_string().contains(said), "{report}");
    let ended = migration.run(|_| {}).await.unwrap_err();
    assert!(matches!(&ended, MigrationError::Event { position, .. } if *position == third), "{ended}");
    assert!(ended.to_string().contains(said), "{ended}");
    assert_eq!(log(&*target).await, []);
}

#[rstest]
#[case::events(|limits: &mut Limits| limits.append_events = 2, ["a"; 3], "events of one command: 3 is more")]
#[case::streams(|limits: &mut Limits| limits.append_streams = 2, ["a", "b", "c"], "streams of one command: 3 is more")]
#[case::bytes(|limits: &mut Limits| limits.append_bytes = 800, ["a"; 3], "bytes of the events of one command: ")]
#[tokio::test]
async fn a_dry_run_foretells_what_is_too_much_for_one_append(
    #[case] limit: impl Fn(&mut Limits),
    #[case] streams: [&str; 3],
    #[case] said: &str,
) {
    let mut limits = Limits::default();
    limit(&mut limits);
    too_much_for(Arc::new(MemoryStore::builder().limits(limits).build()), streams, said).await;
}

fn lacking(capability: Capability) -> Arc<dyn EventStore> {
    let capabilities = Capabilities::new(StoreId::from_bytes([1; 16])).lacking(capability);
    let clock = Arc::new(portolan_testing::TestClock::at(portolan::values::Timestamp::from_micros(1)));
    Arc::new(portolan_conformance::ReferenceStore::with_capabilities(clock, capabilities))
}

#[tokio::test]
async fn a_dry_run_foretells_that_a_command_has_too_many_streams() {
    too_much_for(lacking(Capability::SeveralStreams), ["a", "a", "b"], "streams of one command: 2 is more").await;
}

#[tokio::test]
async fn keys_are_kept_only_where_there_are_keys() {
    let world = World::new(Wrong::Nothing);
    let migration = world
        .migration_of(&world.source, &lacking(Capability::Keys))
        .keep_keys([portolan::values::Name::new("change").unwrap()]);
    let outcome = migration.dry_run().await;
    assert!(matches!(outcome, Err(MigrationError::Unsupported(Capability::Keys))), "{outcome:?}");
}
