//! SG-02: processes that die.

use crate::child::tell;
use crate::law::law;
use crate::sagas::{Code, Cut, Does, Orchestrated, Script, World, script, trip};
use crate::{Broken, Trial, Verdict, expect_eq};
use core::pin::pin;
use core::time::Duration;
use futures::future::{Either, select};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use portolan_kernel::ports::SagaPhase;

law! {
    Orchestrated, sg_02_kills, "SG-02",
    "Killed at any durable boundary and resumed, a saga ends in the same final state, each effect applied once where the \
     receiver honours the key.",
    checks: [
        one_that_goes_well_dies_anywhere, one_that_turns_back_dies_anywhere, one_in_doubt_dies_anywhere,
        many_die_together, what_waits_for_an_operator_waits_after_a_death, a_place_is_opened_again if [Durability],
        killed_processes_leave_nothing_undone if [Durability, SeveralProcesses],
    ],
    roles: [travel_until_killed],
}

/// The final state: how it stands, and each effect, in an order of its own.
async fn ends(
    world: &World<'_>,
    process: &crate::sagas::Process,
    words: &Script,
    phase: SagaPhase,
) -> Verdict<Vec<String>> {
    let saga = process.start(trip("t", words.clone())).await?;
    let summary = process.reaches(&saga, phase).await?;
    let (mut effects, entered) = (world.ledger.effects(saga.id()), world.entered(&saga).await?);
    effects.sort_unstable();
    effects.extend(entered);
    effects.push(format!("{:?} {:?}", summary.status.step, summary.version));
    Ok(effects)
}

/// Kills a process at each boundary there is, each time at a place of its own; another goes on.
async fn dies_anywhere(trial: &Trial<Orchestrated>, words: Script, phase: SagaPhase) -> Verdict {
    let (expected, boundaries) = {
        let world = World::open(trial).await?;
        let cut = Cut::never();
        let process = world.start_with(Code::First, cut.clone(), |storage| storage).await?;
        (ends(&world, &process, &words, phase).await?, cut.passed())
    };
    let tried = futures::stream::iter(0..boundaries).map(|at| {
        let (words, expected) = (&words, &expected);
        async move {
            let (world, cut) = (World::beside(trial).await?, Cut::at(at));
            let process = world.start_with(Code::First, cut.clone(), |storage| storage).await?;
            let death = match select(pin!(ends(&world, &process, words, phase)), pin!(cut.has_died())).await {
                Either::Right((boundary, _)) => format!("whose process died {boundary}"),
                // Others may order their boundaries otherwise, so that it has come to its end before.
                Either::Left((ended, _)) => {
                    same(&world, &process, ended, expected, "whose process has not died").await?;
                    "whose process died when it was at its end".to_owned()
                }
            };
            process.kill();
            let process = world.start(Code::First).await?;
            let death = format!("{death} (boundary {at} of {boundaries})");
            let ended = ends(&world, &process, words, phase).await;
            same(&world, &process, ended, expected, &death).await
        }
    });
    tried.buffer_unordered(6).try_collect::<()>().await
}

/// Breaks the law unless a trip has ended as one whose process lives, and tells what became of it.
async fn same(
    world: &World<'_>,
    process: &crate::sagas::Process,
    ended: Verdict<Vec<String>>,
    expected: &[String],
    death: &str,
) -> Verdict {
    let ended = ended.map_err(|broken| broken.given(&format!("of a saga {death}")))?;
    if ended == expected {
        return Ok(());
    }
    let facts = process.trace(&trip("t", script([])).saga).await.unwrap_or_else(|broken| broken.to_string());
    let calls: Vec<_> =
        world.ledger.calls("t").into_iter().map(|call| format!("{} {}", call.step, call.attempt)).collect();
    let actual = format!("{ended:?}; recorded: {facts}; called: {}", calls.join(", "));
    Err(Broken::new(format!("the end of a saga {death}"), format!("{expected:?}"), actual))
}

async fn one_that_goes_well_dies_anywhere(trial: &Trial<Orchestrated>) -> Verdict {
    dies_anywhere(trial, script([]), SagaPhase::Completed).await
}

async fn one_that_turns_back_dies_anywhere(trial: &Trial<Orchestrated>) -> Verdict {
    dies_anywhere(trial, script([("leave", &[Does::Refuse])]), SagaPhase::Compensated).await
}

async fn one_in_doubt_dies_anywhere(trial: &Trial<Orchestrated>) -> Verdict {
    let words = script([("pay", &[Does::DoneUnknown]), ("leave", &[Does::LostUnknown])]);
    dies_anywhere(trial, words, SagaPhase::Compensated).await
}

async fn many_die_together(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let mut random = fastrand::Rng::new();
    let mut sagas = Vec::new();
    for life in 0..trial.rounds(10).max(3) {
        let process = world.start_with(Code::First, Cut::at(random.usize(5..60)), |storage| storage).await?;
        for n in 0..6 {
            let words = if n % 2 == 0 { script([]) } else { script([("leave", &[Does::Refuse])]) };
            let start = trip(&format!("t-{life}-{n}"), words);
            sagas.push((start.clone(), if n % 2 == 0 { SagaPhase::Completed } else { SagaPhase::Compensated }));
            let starting = pin!(process.starts(start));
            if let Either::Right(_) = select(starting, pin!(tokio::time::sleep(Duration::from_millis(300)))).await {
                break;
            }
        }
        process.kill();
    }
    let process = world.start(Code::First).await?;
    for (start, phase) in sagas {
        // It may not have been started when its process died.
        let saga = process.start(start).await?;
        process.reaches(&saga, phase).await?;
        let back = phase == SagaPhase::Compensated;
        let expected = if back { ["pay", "undo-pay"] } else { ["pay", "leave"] };
        expect_eq!(world.entered(&saga).await?, expected, "what {saga} has entered in all lives");
        let expected = if back { 6 } else { 4 };
        expect_eq!(world.ledger.effects(saga.id()).len(), expected, "the effects outside of {saga} in all lives");
    }
    Ok(())
}

async fn what_waits_for_an_operator_waits_after_a_death(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("tell", &[Does::Refuse])]))).await?;
    let before = process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    process.kill();
    let process = world.start(Code::First).await?;
    // Others go on, and this one does not.
    let other = process.start(trip("u", script([]))).await?;
    process.reaches(&other, SagaPhase::Completed).await?;
    expect_eq!(
        process.status(&saga).await?,
        before,
        "how a saga stands that needs an operator, after its process has died"
    );
    process.acts(&saga, portolan_kernel::ports::SagaAction::Skip).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    Ok(())
}

async fn a_place_is_opened_again(trial: &Trial<Orchestrated>) -> Verdict {
    let (world, ledger) = {
        let world = World::open(trial).await?;
        let process = world.start(Code::First).await?;
        let saga = process.start(trip("t", script([("pack", &[Does::Held])]))).await?;
        process.records(&saga, "+feed").await?;
        process.kill();
        let ledger = world.ledger.clone();
        drop(world);
        (World::open(trial).await?, ledger)
    };
    let world = world.with_ledger(ledger);
    let process = world.start(Code::First).await?;
    let saga = trip("t", script([])).saga;
    world.ledger.release(saga.id(), "pack");
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(
        world.entered(&saga).await?,
        ["pay", "leave"],
        "what was entered before and after the storage was closed"
    );
    Ok(())
}

/// The nth trip of a process, and how it ends: every third turns back, and every third is in doubt for a while.
fn nth(n: usize) -> (Script, SagaPhase, [&'static str; 2]) {
    match n % 3 {
        0 => (script([]), SagaPhase::Completed, ["pay", "leave"]),
        1 => (script([("leave", &[Does::Refuse])]), SagaPhase::Compensated, ["pay", "undo-pay"]),
        _ => (script([("pay", &[Does::DoneUnknown])]), SagaPhase::Completed, ["pay", "leave"]),
    }
}

/// Starts trips, and tells each that is started.
async fn travel_until_killed(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for n in 0.. {
        process.start(trip(&format!("{}.{n}", std::process::id()), nth(n).0)).await?;
        tell(&format!("{}.{n}", std::process::id()));
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    Ok(())
}

async fn killed_processes_leave_nothing_undone(trial: &Trial<Orchestrated>) -> Verdict {
    let mut random = fastrand::Rng::new();
    let mut started = Vec::new();
    for round in 0..trial.rounds(5).max(2) {
        let mut child = trial.child("travel_until_killed")?;
        for _ in 0..random.usize(5..25) {
            started.push(child.next().ok_or_else(|| {
                Broken::new(format!("the child of round {round}"), "trips until it is killed", "it ended")
            })?);
        }
        tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        child.kill();
        while let Some(id) = child.next() {
            started.push(id);
        }
    }
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for id in started {
        let n = id.split_once('.').and_then(|(_, n)| n.parse().ok()).unwrap_or_default();
        let (words, phase, entered) = nth(n);
        let again = process.starts(trip(&id, words.clone())).await?;
        let repeated = again.as_ref().is_ok_and(|started| started.repeated);
        expect_eq!(repeated, true, "whether a start that was acknowledged outlives its process: {again:?}");
        let saga = trip(&id, words).saga;
        process.reaches(&saga, phase).await?;
        expect_eq!(world.entered(&saga).await?, entered, "what {saga} has entered, whose process was killed");
    }
    Ok(())
}
