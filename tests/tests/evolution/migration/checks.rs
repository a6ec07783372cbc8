//! The checks of laws MG-01 to MG-09, each for any migration, right or wrong.

use super::between::{Wrong, stray};
use super::history::{World, equal, frontier, is_as_the_model, log, old, small_limits};
use crate::events::UserEvent;
use futures::FutureExt;
use futures::future::BoxFuture;
use portolan::MemoryStore;
use portolan::domain::Upcasters;
use portolan::drivers::{Migration, MigrationError, MigrationReason};
use portolan::ports::{AppendError, EventStore};
use portolan::values::{Append, EventType, NewEvent, StreamId};
use portolan_testing::{Fault, Faulty, ReadFault};
use std::sync::Arc;

pub(crate) type Check = (&'static str, fn(Wrong) -> BoxFuture<'static, Result<(), String>>);

pub(crate) const CHECKS: [Check; 13] = [
    ("mg_01_order", |wrong| order(wrong).boxed()),
    ("mg_02_content_and_mg_03_ids", |wrong| content(wrong).boxed()),
    ("mg_04_killed", |wrong| killed(wrong).boxed()),
    ("mg_04_faults", |wrong| faults(wrong).boxed()),
    ("mg_05_not_empty", |wrong| not_empty(wrong).boxed()),
    ("mg_05_other_source", |wrong| other_source(wrong).boxed()),
    ("mg_05_written_by_others", |wrong| written_by_others(wrong).boxed()),
    ("mg_06_nothing_left_out", |wrong| nothing_left_out(wrong).boxed()),
    ("mg_07_dry_run", |wrong| dry_run(wrong).boxed()),
    ("mg_08_source", |wrong| source(wrong).boxed()),
    ("mg_09_times", |wrong| times(wrong).boxed()),
    ("mg_10_keys", |wrong| super::keys::keys(wrong).boxed()),
    ("mg_11_unfinished", |wrong| unfinished(wrong).boxed()),
];

/// Every kind, in two streams, one of which loses everything; a split in the middle.
fn every_kind() -> Vec<super::history::Old> {
    let mut all: Vec<_> = (0..9).map(old).collect();
    all.insert(4, super::history::Old { kind: 2, stream: 2, together: false });
    all.extend((0..9).map(|kind| super::history::Old { kind, stream: 3, together: kind % 2 == 1 }));
    all
}

/// Streams, types and payloads alone.
async fn order(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&every_kind()).await;
    world.run().await?;
    let told = |events: Vec<Arc<portolan::values::Recorded>>| {
        events.iter().map(|event| (event.stream.clone(), event.payload.clone())).collect::<Vec<_>>()
    };
    let expected: Vec<_> = super::history::model(&log(&*world.source).await)
        .into_iter()
        .map(|(_, _, event)| (event.stream, event.payload))
        .collect();
    equal("order", &told(log(&*world.target).await), &expected)
}

async fn content(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&[old(0), old(4), old(8)]).await;
    // One event an append, but for the split.
    world.migration().batch(1).run(|_| {}).await.map_err(|error| error.to_string())?;
    is_as_the_model(&*world.source, &*world.target).await
}

/// Polls a run so often, and drops it.
pub(crate) fn run_for(migration: &Migration, polls: usize) -> Option<Result<(), MigrationError>> {
    let mut run = migration.run(|_| {}).boxed();
    (0..polls).find_map(|_| (&mut run).now_or_never()).map(|outcome| outcome.map(drop))
}

/// Wherever it is killed, what is there is the beginning of what has to come, and the next run brings the rest.
async fn killed(wrong: Wrong) -> Result<(), String> {
    for polls in 1.. {
        let world = World::with_limits(wrong, small_limits());
        world.write(&every_kind()).await;
        let migration = world.migration().batch(3);
        let ended = run_for(&migration, polls);
        drop(migration);
        if let Some(Err(error)) = &ended {
            return Err(error.to_string());
        }
        world.run().await.map_err(|error| format!("killed after {polls} polls: {error}"))?;
        is_as_the_model(&*world.source, &*world.target).await?;
        if ended.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// Wherever it is killed, also in a later run, half a copy says that it is unfinished.
async fn unfinished(wrong: Wrong) -> Result<(), String> {
    for polls in 1.. {
        let world = World::with_limits(wrong, small_limits());
        let (mut has_ended, mut before) = (false, 0);
        for run in ["the first", "a later"] {
            world.write(&every_kind()).await;
            has_ended = run_for(&world.migration().batch(3), polls).is_some();
            let says = async || Migration::is_unfinished(&*world.target).await.map_err(|error| error.to_string());
            let (said, copied) = (says().await?, log(&*world.target).await.len());
            // That it goes on is for other checks.
            if world.run().await.is_err() {
                return Ok(());
            }
            let whole = log(&*world.target).await.len();
            // Until a run begins to write, the copy is still that of the run before.
            if before < copied && copied < whole && !said {
                return Err(format!("after {polls} polls of {run} run: half a copy is said to be finished"));
            }
            if says().await? {
                return Err(format!("after {polls} polls of {run} run: a whole copy is said to be unfinished"));
            }
            before = whole;
        }
        if has_ended {
            return Ok(());
        }
    }
    Ok(())
}

/// Whatever call fails, and however: it goes on by itself or is run again, and nothing is lost or twice.
async fn faults(wrong: Wrong) -> Result<(), String> {
    let faults = [Fault::Busy, Fault::Conflict, Fault::LostOnTheWay, Fault::LostAnswer, Fault::Broken];
    for n in 1..12 {
        for fault in faults.clone() {
            let world = World::with_limits(wrong, small_limits());
            world.write(&every_kind()).await;
            let target: Arc<dyn EventStore> = Arc::new(Faulty::new(world.target.clone()).nth_write(n, fault.clone()));
            let migration = world.migration_of(&world.source, &target).batch(3);
            let settles = matches!(fault, Fault::LostOnTheWay | Fault::LostAnswer);
            match migration.run(|_| {}).await {
                Err(error) if settles => return Err(format!("{fault:?} at write {n}: {error}")),
                Err(_) => world.run().await.map_err(|error| format!("after {fault:?} at write {n}: {error}"))?,
                Ok(_) => {}
            }
            is_as_the_model(&*world.source, &*world.target).await?;
        }
        for fault in [ReadFault::Busy, ReadFault::Broken] {
            for is_source in [true, false] {
                let world = World::with_limits(wrong, small_limits());
                world.write(&every_kind()).await;
                let of = if is_source { &world.source } else { &world.target };
                let faulty: Arc<dyn EventStore> = Arc::new(Faulty::new(of.clone()).nth_read(n, fault.clone()));
                let (from, to) = if is_source { (&faulty, &world.target) } else { (&world.source, &faulty) };
                if world.migration_of(from, to).run(|_| {}).await.is_err() {
                    world.run().await?;
                }
                is_as_the_model(&*world.source, &*world.target).await?;
            }
        }
    }
    Ok(())
}

fn is<T>(
    what: &str,
    outcome: &Result<T, MigrationError>,
    holds: impl Fn(&MigrationError) -> bool,
) -> Result<(), String> {
    match outcome {
        Err(error) if holds(error) => Ok(()),
        Err(error) => Err(format!("{what}: {error}")),
        Ok(_) => Err(format!("{what}: it ran")),
    }
}

async fn not_empty(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&[old(0)]).await;
    world.target.append(Append::new([stray()])).await.unwrap();
    let before = frontier(&*world.target).await;
    let outcome = world.migration().run(|_| {}).await;
    is("a target with an event", &outcome, |error| matches!(error, MigrationError::NotEmpty { .. }))?;
    equal("the target", &frontier(&*world.target).await, &before)
}

async fn other_source(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&[old(8)]).await;
    world.run().await?;
    let other = World::new(wrong);
    other.write(&[old(8), old(8)]).await;
    let outcome = other.migration_of(&other.source, &world.target).run(|_| {}).await;
    is("another source", &outcome, |error| matches!(error, MigrationError::OtherSource { .. }))
}

/// Somebody writes the target: between two runs, or in the midst of one.
async fn written_by_others(wrong: Wrong) -> Result<(), String> {
    let is_foreign = |error: &MigrationError| matches!(error, MigrationError::Foreign { .. });
    let world = World::new(wrong);
    world.write(&[old(0), old(8)]).await;
    world.run().await?;
    world.target.append(Append::new([stray()])).await.unwrap();
    world.write(&[old(8)]).await;
    is("a further run", &world.migration().run(|_| {}).await, is_foreign)?;
    for polls in 12.. {
        let world = World::new(wrong);
        world.write(&[old(0), old(8), old(1), old(3), old(8), old(8)]).await;
        let migration = world.migration().batch(1);
        let mut run = migration.run(|_| {}).boxed();
        if (0..polls).any(|_| (&mut run).now_or_never().is_some()) {
            return Ok(());
        }
        world.target.append(Append::new([stray()])).await.unwrap();
        // It may have written everything by then.
        match run.await {
            Ok(progress) => equal("written before him", &progress.written, &6)?,
            ended => is("somebody in between", &ended, is_foreign)?,
        }
        equal("what is written last", &log(&*world.target).await.last().unwrap().event, &stray())?;
    }
    Ok(())
}

pub(crate) fn bad(event_type: &str, version: u32, payload: &str) -> NewEvent {
    let stream = StreamId::new("user-1").unwrap();
    NewEvent::new(stream, EventType::new(event_type).unwrap(), payload.to_owned()).with_version(version)
}

async fn nothing_left_out(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&[old(0), old(4)]).await;
    let position = world.source.append(Append::new([bad("bad.unknown", 1, "{}")])).await.unwrap().last.unwrap();
    world.write(&[old(8)]).await;
    let outcome = world.migration().run(|_| {}).await;
    is(
        "an unknown type",
        &outcome,
        |error| matches!(error, MigrationError::Event { position: at, reason: MigrationReason::UnknownType, .. } if *at == position),
    )?;
    equal("what is before it", &log(&*world.target).await.len(), &3)
}

/// It writes nothing, and tells what a run then does.
async fn dry_run(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&every_kind()).await;
    let report = world.migration().dry_run().await.map_err(|error| error.to_string())?;
    equal("the target", &frontier(&*world.target).await, &None)?;
    let there = log(&*world.source).await.len() as u64;
    equal("read, written, failed", &(report.read, report.written, report.failed), &(there, 16, 0))?;
    equal("streams, vanishing", &(report.streams, report.vanishing), &(3, 1))?;
    world.run().await?;
    equal("what a run has written", &(log(&*world.target).await.len() as u64), &report.written)
}

/// It is only read, up to its frontier; what comes later is copied later.
async fn source(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&[old(0), old(8)]).await;
    let before = frontier(&*world.source).await;
    let mut told = Vec::new();
    let progress = world.migration().run(|progress| told.push(*progress)).await.map_err(|error| error.to_string())?;
    equal("the source", &frontier(&*world.source).await, &before)?;
    equal("progress", &(progress.read, progress.written), &(2, 2))?;
    equal("its end", &progress.position, &progress.frontier)?;
    equal("what was told last", &told.last(), &Some(&progress))?;
    world.write(&[old(4), old(2)]).await;
    let progress = world.migration().run(|_| {}).await.map_err(|error| error.to_string())?;
    equal("progress of both runs", &(progress.read, progress.written), &(4, 4))
}

async fn times(wrong: Wrong) -> Result<(), String> {
    let world = World::new(wrong);
    world.write(&every_kind()).await;
    let migration = || world.migration().keep_times(world.target_time.clone());
    run_for(&migration(), 30);
    migration().run(|_| {}).await.map_err(|error| error.to_string())?;
    let expected: Vec<_> =
        super::history::model(&log(&*world.source).await).iter().map(|(old, _, _)| old.recorded_at).collect();
    let found: Vec<_> = log(&*world.target).await.iter().map(|event| event.recorded_at).collect();
    equal("times", &found, &expected)
}

/// The checks that fail, and why.
pub(crate) async fn failing(wrong: Wrong) -> Vec<(&'static str, String)> {
    let mut failing = Vec::new();
    for (name, check) in CHECKS {
        if let Err(error) = check(wrong).await {
            failing.push((name, error));
        }
    }
    failing
}

#[tokio::test]
async fn the_right_migration_keeps_every_law() {
    assert_eq!(failing(Wrong::Nothing).await, []);
}

/// Two at once, wherever the one is when the other begins: they share the work.
#[tokio::test]
async fn rivals_share_the_work() {
    for polls in 1..60 {
        let world = World::with_limits(Wrong::Nothing, small_limits());
        world.write(&every_kind()).await;
        let (one, other) = (world.migration().batch(2), world.migration().batch(3));
        let mut first = one.run(|_| {}).boxed();
        let ended = (0..polls).any(|_| (&mut first).now_or_never().is_some());
        other.run(|_| {}).await.unwrap();
        if !ended {
            first.await.unwrap();
        }
        is_as_the_model(&*world.source, &*world.target).await.unwrap();
    }
}

#[tokio::test]
async fn with_a_chain_that_knows_nothing_it_is_a_move() {
    let world = World::new(Wrong::Nothing);
    world.write(&every_kind()).await;
    world.source.append(Append::new([stray()])).await.unwrap();
    let target: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let migration = Migration::new(world.source.clone(), target.clone(), Arc::new(Upcasters::new()));
    migration.run(|_| {}).await.unwrap();
    let events = async |of: &dyn EventStore| log(of).await.iter().map(|event| event.event.clone()).collect::<Vec<_>>();
    assert_eq!(events(&*target).await, events(&*world.source).await);
    assert_eq!(migration.verify().await.unwrap().missing, 0);
}

#[tokio::test]
async fn system_streams_are_copied_as_they_are_and_only_if_asked_for() {
    for with_system in [false, true] {
        let world = World::new(Wrong::Nothing);
        let system =
            |stream: &str| NewEvent::new(StreamId::new(stream).unwrap(), EventType::new("$schema").unwrap(), "{}");
        world.source.append(Append::new([system("$schemas"), system("$migration")])).await.unwrap();
        world.write(&[old(0)]).await;
        let migration = || if with_system { world.migration().with_system_streams() } else { world.migration() };
        migration().run(|_| {}).await.unwrap();
        let streams: Vec<_> = log(&*world.target).await.iter().map(|event| event.stream.to_string()).collect();
        let expected: &[&str] = if with_system { &["$schemas", "user-1"] } else { &["user-1"] };
        assert_eq!(streams, expected);
        // Where they are not copied, an application may register its schemas before the last run.
        world.target.append(Append::new([system("$schemas")])).await.unwrap();
        assert_eq!(migration().run(|_| {}).await.is_ok(), !with_system);
    }
}

#[tokio::test]
async fn it_has_what_the_chain_would_read() {
    let world = World::new(Wrong::Nothing);
    world.write(&every_kind()).await;
    world.run().await.unwrap();
    let upcasters = Upcasters::of::<UserEvent>().unwrap();
    let read = async |store: &dyn EventStore| {
        let mut all = Vec::new();
        for event in log(store).await {
            let events: Vec<UserEvent> = portolan::domain::decode_recorded(&upcasters, &event).unwrap();
            all.extend(events.into_iter().map(|read| (event.stream.clone(), read)));
        }
        all
    };
    assert_eq!(read(&*world.target).await, read(&*world.source).await);
}

#[tokio::test]
async fn a_store_that_always_fails_ends_the_run() {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0)]).await;
    let target: Arc<dyn EventStore> =
        Arc::new(Faulty::new(world.target.clone()).first_writes(100, Fault::LostOnTheWay));
    let outcome = world.migration_of(&world.source, &target).run(|_| {}).await;
    assert!(matches!(outcome, Err(MigrationError::Append(AppendError::Unknown(_)))), "{outcome:?}");
}
