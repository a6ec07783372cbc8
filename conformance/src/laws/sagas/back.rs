//! SG-04: the way back, doubt, and pivots.

use crate::law::law;
use crate::sagas::{Code, Does, Orchestrated, PAY_ATTEMPTS, RESERVE_ATTEMPTS, World, script, trip};
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::SagaPhase;

law! {
    Orchestrated, sg_04_the_way_back, "SG-04",
    "Compensation runs in the reverse order of completed steps. A step whose outcome is unknown is resolved or compensated, \
     never ignored. Steps declared without compensation mark the pivot.",
    checks: [
        steps_are_undone_in_reverse, what_has_not_happened_is_not_undone, an_unknown_command_that_was_done_is_found,
        an_unknown_command_that_was_not_done_is_given_up, an_unknown_effect_outside_is_compensated,
        an_unknown_pivot_is_resolved, there_is_no_way_back_past_the_pivot,
    ],
}

async fn steps_are_undone_in_reverse(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for (first, second) in [("pack", "feed"), ("feed", "pack")] {
        let words = script([("pack", &[Does::Held]), ("feed", &[Does::Held]), ("leave", &[Does::Refuse])]);
        let saga = process.start(trip(first, words)).await?;
        // Of steps that were begun together, whichever has happened last is undone first.
        world.called(&saga, first, 1).await?;
        world.called(&saga, second, 1).await?;
        world.ledger.release(saga.id(), first);
        process.records(&saga, &format!("+{first}")).await?;
        world.ledger.release(saga.id(), second);
        process.reaches(&saga, SagaPhase::Compensated).await?;
        let undone: Vec<_> = world.ledger.calls(saga.id()).into_iter().map(|call| call.step).collect();
        let undone: Vec<_> = undone.into_iter().filter(|step| step.starts_with("undo-")).collect();
        let expected = [format!("undo-{second}"), format!("undo-{first}"), "undo-pay".into(), "undo-reserve".into()];
        expect_eq!(undone, expected, "the order in which steps are undone when {second} has happened last");
        expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what was entered");
    }
    Ok(())
}

async fn what_has_not_happened_is_not_undone(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("pay", &[Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    let calls: Vec<_> = world.ledger.calls(saga.id()).into_iter().map(|call| call.step).collect();
    expect_eq!(calls, ["reserve", "pay", "undo-reserve"], "what was done when the second step was refused");
    expect_eq!(world.entered(&saga).await?, [""; 0], "what was entered");
    let saga = process.start(trip("u", script([("reserve", &[Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(world.ledger.calls(saga.id()).len(), 1, "what was done when the first step was refused");
    Ok(())
}

async fn an_unknown_command_that_was_done_is_found(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("pay", &[Does::DoneUnknown])]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(world.ledger.calls_of(saga.id(), "pay").len(), PAY_ATTEMPTS as usize, "how often it was tried first");
    expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what was entered");
    // Also when it is refused after it has happened.
    let saga = process.start(trip("u", script([("pay", &[Does::DoneUnknown, Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what was entered, where a refusal came after it");
    Ok(())
}

async fn an_unknown_command_that_was_not_done_is_given_up(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("pay", &[Does::LostUnknown])]))).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    let calls: Vec<_> = world.ledger.calls(saga.id()).into_iter().map(|call| call.step).collect();
    expect!(!calls.contains(&"undo-pay".into()), "no compensation of what has not happened, in {calls:?}");
    expect_eq!(world.ledger.effects(saga.id()), ["reserve", "undo-reserve"], "what was done outside");
    expect_eq!(world.entered(&saga).await?, [""; 0], "what was entered");
    Ok(())
}

async fn an_unknown_effect_outside_is_compensated(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for (id, does) in [("t", Does::DoneUnknown), ("u", Does::LostUnknown)] {
        let saga = process.start(trip(id, script([("reserve", &[does])]))).await?;
        process.reaches(&saga, SagaPhase::Compensated).await?;
        let calls: Vec<_> = world.ledger.calls(saga.id()).into_iter().map(|call| call.step).collect();
        let mut expected = vec!["reserve"; RESERVE_ATTEMPTS as usize];
        expected.push("undo-reserve");
        expect_eq!(calls, expected, "what was called of a saga whose first step is {does:?}");
    }
    Ok(())
}

async fn an_unknown_pivot_is_resolved(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let done = process.start(trip("done", script([("leave", &[Does::DoneUnknown])]))).await?;
    process.reaches(&done, SagaPhase::Completed).await?;
    expect_eq!(world.entered(&done).await?, ["pay", "leave"], "what was entered, where the pivot has happened");
    let lost = process.start(trip("lost", script([("leave", &[Does::LostUnknown])]))).await?;
    process.reaches(&lost, SagaPhase::Compensated).await?;
    expect_eq!(world.entered(&lost).await?, ["pay", "undo-pay"], "what was entered, where the pivot has not happened");
    Ok(())
}

async fn there_is_no_way_back_past_the_pivot(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("tell", &[Does::Refuse])]))).await?;
    let stands = process.reaches(&saga, SagaPhase::NeedsOperator).await?.status;
    expect_eq!(stands.step.as_deref(), Some("tell"), "the step that holds it up");
    let undone = world.ledger.calls(saga.id()).into_iter().filter(|call| call.step.starts_with("undo-")).count();
    expect_eq!(undone, 0, "how many steps were undone past the pivot");
    expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what was entered");
    Ok(())
}
