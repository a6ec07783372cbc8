//! SG-08: definitions that change.

use crate::law::law;
use crate::sagas::{Code, Does, Orchestrated, Process, TRIP, WALK, World, script, trip};
use crate::{Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::domain::saga::Plan;
use portolan_kernel::ports::{ListSagas, SagaAction, SagaPhase, SagaSummary};
use portolan_kernel::values::SagaId;
use std::time::Instant;

law! {
    Orchestrated, sg_08_definitions, "SG-08",
    "A running saga survives a new definition: it ends by the plan it was started with. One that this code cannot go on with \
     waits, and SagaSummary::lacks says why.",
    checks: [
        definitions_are_described, it_ends_by_the_version_it_was_started_with, it_ends_by_the_plan_it_was_started_with,
        one_without_its_code_waits_and_says_why,
    ],
}

async fn definitions_are_described(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::Both).await?;
    let described = process.describes().await?;
    let names: Vec<_> = described.iter().map(|info| (info.name.as_str(), info.version)).collect();
    expect_eq!(names, [(TRIP, 1), (TRIP, 2), (WALK, 1)], "the definitions that are described");
    expect_eq!(described[0].description, "A trip of the suite.", "what a trip is");
    let steps = |plan: &serde_json::Value| {
        let plan: Result<Plan, _> = serde_json::from_value(plan.clone());
        plan.map(|plan| plan.steps().map(|step| step.name.clone()).collect::<Vec<_>>()).unwrap_or_default()
    };
    let plan = steps(&described[0].plan);
    expect_eq!(plan, ["reserve", "pay", "pack", "feed", "leave", "tell"], "the steps of the plan of a trip");
    expect_eq!(steps(&described[1].plan), ["dream", "leave"], "the steps of the plan of another trip");
    Ok(())
}

/// A trip of version 1 that has paid and packs.
async fn packing(world: &World<'_>, process: &Process, id: &str, does: Does) -> Verdict<SagaId> {
    let words = script([("pack", &[Does::Held]), ("feed", &[Does::Retry, Does::Well]), ("leave", &[does])]);
    let saga = process.start(trip(id, words)).await?;
    world.called(&saga, "pack", 1).await?;
    process.records(&saga, "+feed").await?;
    Ok(saga)
}

const ON: &str = "started, reserve forward 1, +reserve, pay forward 1, +pay, pack forward 1, feed forward 1, -feed retry, \
                  feed forward 2, +feed, +pack, leave forward 1, +leave, tell forward 1, +tell, completed";
const BACK: &str = "started, reserve forward 1, +reserve, pay forward 1, +pay, pack forward 1, feed forward 1, -feed retry, \
                    feed forward 2, +feed, +pack, leave forward 1, -leave refused, BACK, pack back 1, +pack, feed back 1, \
                    +feed, pay back 1, +pay, reserve back 1, +reserve, compensated";

async fn ends_as_it_began(world: &World<'_>, process: &Process, on: &SagaId, back: &SagaId) -> Verdict {
    for (saga, phase, trace) in [(on, SagaPhase::Completed, ON), (back, SagaPhase::Compensated, BACK)] {
        world.ledger.release(saga.id(), "pack");
        let ended = process.reaches(saga, phase).await?;
        expect_eq!(ended.version, 1, "the version that {saga} has ended by");
        expect_eq!(process.trace(saga).await?, trace, "the facts of {saga}, which was started by another definition");
    }
    Ok(())
}

async fn it_ends_by_the_version_it_was_started_with(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let (on, back) =
        (packing(&world, &process, "on", Does::Well).await?, packing(&world, &process, "back", Does::Refuse).await?);
    process.kill();
    let process = world.start(Code::Both).await?;
    let new = process.starts(trip("new", script([]))).await?;
    let version = new.as_ref().map(|started| started.version).ok();
    expect_eq!(version, Some(2), "the version that a new trip follows: {new:?}");
    let new = trip("new", script([])).saga;
    process.reaches(&new, SagaPhase::Completed).await?;
    expect_eq!(world.entered(&new).await?, ["leave"], "what a trip of version 2 has entered");
    ends_as_it_began(&world, &process, &on, &back).await?;
    let again = process.starts(trip("on", script([]))).await?;
    expect!(again.is_err(), "no start with another input under the id of a saga of an older version");
    Ok(())
}

async fn it_ends_by_the_plan_it_was_started_with(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let (on, back) =
        (packing(&world, &process, "on", Does::Well).await?, packing(&world, &process, "back", Does::Refuse).await?);
    process.kill();
    let process = world.start(Code::Edited).await?;
    ends_as_it_began(&world, &process, &on, &back).await
}

async fn one_without_its_code_waits_and_says_why(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let (on, back) =
        (packing(&world, &process, "on", Does::Well).await?, packing(&world, &process, "back", Does::Refuse).await?);
    let ended = process.start(trip("ended", script([("reserve", &[Does::Refuse])]))).await?;
    process.reaches(&ended, SagaPhase::Compensated).await?;
    let left = packing(&world, &process, "left", Does::Well).await?;
    expect_eq!(process.status(&on).await?.lacks, None, "what is missing where nothing is");
    process.kill();
    let process = world.start(Code::SecondAlone).await?;
    let says_why = |summary: &SagaSummary| summary.lacks.as_deref().is_some_and(|lacks| lacks.contains(TRIP));
    let begun = Instant::now();
    for saga in [&on, &back, &left] {
        let summary = process.status(saga).await?;
        expect!(says_why(&summary), "what is missing for {saga}, and not {:?}", summary.lacks);
    }
    expect_eq!(process.status(&ended).await?.lacks, None, "what is missing for a saga that has ended");
    let new = process.start(trip("new", script([]))).await?;
    process.reaches(&new, SagaPhase::Completed).await?;
    let list = ListSagas::all().phase(SagaPhase::Running);
    let lists = |found: &[SagaSummary]| found.len() == 3 && found.iter().all(says_why);
    process.lists_until(list, "three that lack their code", lists).await?;
    // What it was about to do before is not done by somebody else's functions.
    for saga in [&on, &back] {
        let trace = process.trace(saga).await?;
        expect!(trace.ends_with("+feed"), "no fact since {:?} ago, and not {trace}", begun.elapsed());
    }
    // An operator can end it all the same.
    process.acts(&left, SagaAction::Abort).await?;
    process.reaches(&left, SagaPhase::Aborted).await?;
    process.kill();
    tokio::time::sleep(Duration::ZERO).await;
    let process = world.start(Code::Both).await?;
    ends_as_it_began(&world, &process, &on, &back).await
}
