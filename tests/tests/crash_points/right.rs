//! What is right passes at every boundary, on every store, also where two processes die.

use crate::bank::{bank, deposit};
use crate::{event, has};
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::sqlite::{Durability, SqliteStore};
use portolan::values::{Cell, Expected, Item, Name, Query, Read, StreamId};
use portolan_testing::crash::{CrashReport, Process, Trial, rows, streams};
use portolan_testing::crash_points;
use std::collections::BTreeMap;
use std::path::Path;

/// A client that deposits twice, and has a letter sent once both are in the rows.
async fn two_deposits(process: &Process) {
    let bank = bank(process).await;
    deposit(process, &bank, 5, Some("d-1")).await;
    deposit(process, &bank, 7, Some("d-2")).await;
    process.effects().perform("letter-1", "a letter to ann").await;
}

async fn of_the_bank(storage: &Storage) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, Vec<Cell>>) {
    (streams(storage).await, rows(storage, "balances").await)
}

fn in_memory(trial: Trial) -> MemoryStore {
    MemoryStore::builder().clock(trial.clock).build()
}

async fn in_a_file(folder: &Path, trial: Trial) -> SqliteStore {
    let builder = SqliteStore::builder(folder.join(format!("{}.db", trial.number))).clock(trial.clock);
    builder.durability(Durability::SurvivesProcessCrashOnly).open().await.unwrap()
}

fn of_memory() -> CrashReport {
    crash_points(async |trial| in_memory(trial)).run(two_deposits).observe(of_the_bank).check()
}

#[test]
fn a_command_under_its_key_and_its_projection_survive_every_crash() {
    let report = of_memory();
    assert_eq!(report.tried.len(), 2 * report.boundaries.len());
    let made = |call: &str| report.boundaries.iter().filter(|boundary| boundary.to_string().starts_with(call)).count();
    assert_eq!(made("events.append account-ann account.deposited"), 2, "{report}");
    assert!(made("events.recall") > 0 && made("rows.commit") > 0 && made("leases.grant") > 0, "{report}");
    // The process that died after it was sent and before it was done has it sent again, and the key makes that harmless.
    assert_eq!(report.effects["a letter to ann"], 2);
}

#[test]
fn the_same_boundaries_are_tried_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let points = crash_points(async |trial| in_a_file(folder.path(), trial).await);
    let report = points.run(two_deposits).observe(of_the_bank).check();
    assert_eq!(report.boundaries, of_memory().boundaries);
}

#[test]
fn two_crashes_are_survived_too() {
    let points = crash_points(async |trial| in_memory(trial)).run(two_deposits).observe(of_the_bank);
    let report = points.twice(150).check();
    assert_eq!(report.tried.len(), 2 * report.boundaries.len() + 150);
    assert_eq!(report.tried.iter().filter(|crashes| crashes.len() == 2).count(), 150);
}

/// A payment whose key is random, and recorded before it is used.
async fn pay_what_was_intended(process: &Process) {
    let events = process.storage().events;
    let intention = StreamId::new("intention").unwrap();
    let mut intent = event("intention").expect(intention.clone(), Expected::NoStream);
    intent.events[0].id = process.runtime().ids.new_id();
    let _ = events.append(intent).await;
    let recorded = events.read(Read::stream(intention)).await.unwrap();
    process.effects().perform(recorded.events[0].id.to_string(), "pay 5 to ann").await;
    if !has(&process.storage(), "paid").await {
        events.append(event("paid")).await.unwrap();
    }
}

#[test]
fn an_effect_after_its_recorded_intent_counts_once() {
    let points = crash_points(async |trial| in_memory(trial)).run(pay_what_was_intended);
    let report = points.observe(streams).twice(usize::MAX).check();
    assert_eq!(report.effects["pay 5 to ann"], 3, "two processes die, each with the effect and without its record");
}

#[test]
fn who_waits_for_the_log_hears_of_an_append() {
    let points = crash_points(async |trial| in_memory(trial)).run(async |process| {
        let (storage, effects) = (process.storage(), process.effects());
        let query = Query::of(Item::new().category(Name::new("work").unwrap()));
        let listen = async {
            storage.events.changed(query, None).await.unwrap();
            effects.perform("p-1", "heard").await;
        };
        let work = async {
            for name in ["rest", "work"] {
                if !has(&storage, name).await {
                    storage.events.append(event(name)).await.unwrap();
                }
            }
        };
        // Nobody sleeps: if the hint did not come, all would wait for ever.
        futures::join!(listen, work);
    });
    assert_eq!(points.observe(streams).check().effects["heard"], 2);
}
