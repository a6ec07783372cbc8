//! What is wrong is found, and the boundary is named.

use crate::bank::{bank, deposit};
use crate::{event, first, has};
use portolan::MemoryStore;
use portolan::values::{
    Batch, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Expected, KeyedRow, Move, Name, Query, Read,
    RowKey, StreamId, Token,
};
use portolan_testing::crash::{Crash, Problem, Process, rows, streams};
use portolan_testing::crash_points;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TEN: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn a_command_without_a_key_is_applied_twice() {
    let report = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let bank = bank(process).await;
            deposit(process, &bank, 5, None).await;
        })
        .observe(streams)
        .report();
    let (text, problem) = first(&report);
    assert!(text.contains("after call") && text.contains("events.append account-ann account.deposited"), "{text}");
    let Problem::Different(lines) = problem else { panic!("{problem}") };
    assert_eq!(lines.lines().filter(|line| line.starts_with('+') && line.contains("deposited")).count(), 1, "{lines}");
}

#[test]
fn an_effect_before_its_intent_is_recorded_counts_twice() {
    let report = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            if !has(&process.storage(), "paid").await {
                process.effects().perform(process.runtime().ids.new_id().to_string(), "pay 5 to ann").await;
                process.storage().events.append(event("paid")).await.unwrap();
            }
        })
        .observe(streams)
        .report();
    let failed: Vec<_> = report.failures.iter().map(|failure| failure.crashes.clone()).collect();
    assert_eq!(failed, [[Crash::After(2)], [Crash::Before(3)]], "{report}");
    let (text, _) = first(&report);
    assert!(
        text.starts_with("A crash after call 2, effects.perform ") && text.contains("pay 5 to ann: the end"),
        "{text}"
    );
}

/// Counts the events, in a row; where it has come to is kept elsewhere.
async fn count(process: &Process) {
    let storage = process.storage();
    let (events, stored) = (&storage.events, storage.read_models.unwrap());
    if !has(&process.storage(), "counted").await {
        events.append(event("counted")).await.unwrap();
    }
    stored.define(Collection::new(name("counts"), 1).column(name("count"), ColumnType::Integer)).await.unwrap();
    let kept = |name: Name, state: Option<CheckpointState>, to: Move| {
        let state = state.unwrap_or(CheckpointState::new(events.capabilities().identity, None, Token(0)));
        Batch::new(Checkpoint::new(name, state, state.token, to))
    };
    let checkpoint = stored.checkpoint(name("place")).await.unwrap();
    let page = events.read(Read::log_after(Query::all(), checkpoint.and_then(|at| at.position))).await.unwrap();
    let Some(last) = page.events.last() else { return };
    let row = stored.get(name("counts"), Some(1), vec![RowKey::new("all").unwrap()]).await.unwrap().rows;
    let count = row.first().map_or(0, |row| match row.cells[0] {
        Cell::Integer(count) => count,
        _ => 0,
    });
    let row = KeyedRow::new(RowKey::new("all").unwrap(), vec![Cell::Integer(count + 1)]);
    let batch = kept(name("rows"), None, Move::Claim).put(name("counts"), 1, row).activate(name("counts"), 1);
    stored.commit(batch).await.unwrap();
    stored.commit(kept(name("place"), checkpoint, Move::At(last.position))).await.unwrap();
}

#[test]
fn a_checkpoint_apart_from_its_rows_counts_twice() {
    let points = crash_points(async |_| MemoryStore::new()).run(count);
    let report = points.observe(async |storage| rows(storage, "counts").await).report();
    let (text, problem) = first(&report);
    assert!(text.contains("after call") && text.contains("rows.commit checkpoint rows, counts all"), "{text}");
    let Problem::Different(lines) = problem else { panic!("{problem}") };
    let is =
        |sign: char, count: i64| lines.lines().any(|line| line.starts_with(sign) && line.contains(&count.to_string()));
    assert!(is('-', 1) && is('+', 2), "{lines}");
    assert_eq!(report.failures.len(), 2, "and before the call after it\n{report}");
}

#[test]
fn what_is_kept_in_memory_alone_is_lost() {
    let report = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let mut outbox = Vec::new();
            for order in ["order-1", "order-2"] {
                let new = event(order).expect(StreamId::new(order).unwrap(), Expected::NoStream);
                if process.storage().events.append(new).await.is_ok() {
                    outbox.push(order);
                }
            }
            for order in outbox {
                process.effects().perform(order, format!("send {order}")).await;
            }
        })
        .observe(streams)
        .report();
    let (text, problem) = first(&report);
    assert!(text.starts_with("A crash after call 1, events.append order-1 order-1: the end"), "{text}");
    let Problem::Different(lines) = problem else { panic!("{problem}") };
    assert!(lines.lines().any(|line| line.starts_with('-') && line.contains("send order-1")), "{lines}");
}

/// Works under a lease, and waits for one who holds it as long as he holds it.
async fn work_alone(process: &Process, pause: Option<Duration>) {
    let leases = process.storage().leases.unwrap();
    while leases.grant(name("work"), name("worker"), TEN).await.is_err() {
        match pause {
            Some(pause) => process.runtime().sleep.sleep(pause).await,
            None => core::future::pending().await,
        }
    }
    if !has(&process.storage(), "work").await {
        process.storage().events.append(event("work")).await.unwrap();
    }
}

#[test]
fn a_scenario_that_never_ends_is_reported() {
    let for_ever = crash_points(async |_| MemoryStore::new())
        .run(async |process| work_alone(process, Some(Duration::from_secs(1))).await)
        .observe(streams)
        .steps(1_000)
        .report();
    let (text, problem) = first(&for_ever);
    assert_eq!(
        text,
        "A crash after call 1, leases.grant work: the scenario was not done within 1000 steps; its last calls:"
    );
    assert!(
        matches!(problem, Problem::NeverDone { last, .. } if last[0].to_string() == "leases.grant work"),
        "{problem}"
    );

    let asleep = crash_points(async |_| MemoryStore::new());
    let asleep = asleep.run(async |process| work_alone(process, None).await).observe(streams).report();
    let (text, problem) = first(&asleep);
    assert!(text.starts_with("A crash after call 1, leases.grant work: all of the process waits"), "{text}");
    assert!(matches!(problem, Problem::Stuck { .. }), "{problem}");

    // Without a pause, so that no other task has a turn.
    let spin = crash_points(async |_| MemoryStore::new())
        .run(async |process| while process.storage().leases.unwrap().grant(name("a"), name("b"), TEN).await.is_err() {})
        .observe(streams)
        .report();
    assert!(matches!(first(&spin).1, Problem::NeverDone { .. }), "{spin}");
}

/// Recovers from one crash, and takes it for granted that there is no other.
async fn recover_once(process: &Process) {
    let storage = process.storage();
    if has(&storage, "done").await {
        return;
    }
    let is_first = !has(&storage, "begun").await;
    let is_second = !is_first && !has(&storage, "recovered").await;
    if is_first {
        storage.events.append(event("begun")).await.unwrap();
    } else if is_second {
        storage.events.append(event("recovered")).await.unwrap();
    }
    if is_first || is_second {
        process.effects().perform("p-1", "pay 5 to ann").await;
    }
    storage.events.append(event("done")).await.unwrap();
}

#[test]
fn what_survives_one_crash_and_not_two_is_found_by_pairs() {
    let points = crash_points(async |_| MemoryStore::new()).run(recover_once);
    let points = points.observe(async |storage| has(storage, "done").await);
    points.check();
    let points = points.twice(usize::MAX);
    let report = points.report();
    let (text, _) = first(&report);
    assert!(
        text.starts_with("A crash after call 3, events.append begun begun, then after call 4, events.append recovered"),
        "{text}"
    );
    // That one alone is found again.
    let alone = points.only(report.failures[0].crashes.clone()).report();
    assert_eq!((alone.tried.len(), alone.failures.len()), (1, 1), "{alone}");
    assert_eq!(alone.failures[0].to_string(), report.failures[0].to_string());
}

#[test]
fn a_panic_is_a_failure_of_its_boundary() {
    let report = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let stream = StreamId::new("opened").unwrap();
            let opened = event("opened").expect(stream, Expected::NoStream);
            process.storage().events.append(opened).await.expect("nobody has opened it");
        })
        .observe(streams)
        .report();
    let (text, problem) = first(&report);
    assert!(
        text.starts_with("A crash after call 1, events.append opened opened: a panic: nobody has opened it"),
        "{text}"
    );
    assert!(matches!(problem, Problem::Panicked(_)));
    let panicked = std::panic::catch_unwind(|| {
        crash_points(async |_| MemoryStore::new())
            .run(async |process| process.effects().perform_without_key("ring").await)
            .observe(streams)
            .check()
    });
    let said = panicked.unwrap_err().downcast_ref::<String>().cloned().unwrap();
    assert!(said.contains("1 boundaries, 2 runs with a crash, 1 failures"), "{said}");
    assert!(said.contains("This one alone: .only([After(1)])"), "{said}");
}

#[test]
fn what_is_not_the_same_in_each_run_is_said_so() {
    let runs = AtomicUsize::new(0);
    let report = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            let first = if run == 0 { "one" } else { "other" };
            process.effects().perform(first, "first").await;
            process.effects().perform("second", "second").await;
        })
        .observe(streams)
        .report();
    let problem = |n: usize| report.failures[n].problem.clone();
    let Problem::Diverged { call: 1, expected: Some(expected), actual: Some(actual) } = problem(0) else {
        panic!("{report}");
    };
    assert_eq!((&*expected.about, &*actual.about), ("one: first", "other: first"));

    // It stops early; or it never comes to a boundary.
    let runs = AtomicUsize::new(0);
    let points = crash_points(async |_| MemoryStore::new()).run(async |process| {
        if runs.fetch_add(1, Ordering::SeqCst) == 0 {
            process.effects().perform("first", "first").await;
        }
    });
    let report = points.observe(streams).report();
    assert!(matches!(first(&report).1, Problem::Diverged { call: 1, expected: Some(_), actual: None }), "{report}");
    let nothing = crash_points(async |_| MemoryStore::new()).run(async |_| {}).observe(streams).report();
    assert!(matches!(first(&nothing).1, Problem::NoBoundary), "{nothing}");
}
