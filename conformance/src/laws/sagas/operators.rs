//! SG-09: operators.

use super::view::{
    cursors_that_are_none_are_refused, lists_are_filtered_and_paged, lists_tell_the_truth, timelines_are_paged,
};
use crate::law::law;
use crate::sagas::{Code, Does, Orchestrated, Process, World, script, trip, walk};
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::domain::saga::SagaEvent;
use portolan_kernel::ports::{SagaAction, SagaError, SagaPhase};
use portolan_kernel::values::SagaId;

law! {
    Orchestrated, sg_09_operators, "SG-09",
    "An operator's retry, skip, compensation and abort are each recorded with actor and note, before they take effect; what \
     makes no sense is NotNow.",
    checks: [
        retries_are_recorded, skips_are_recorded, compensations_are_recorded, aborts_are_recorded,
        what_makes_no_sense_is_not_now, nobody_acts_on_nothing, lists_tell_the_truth, lists_are_filtered_and_paged,
        cursors_that_are_none_are_refused, timelines_are_paged,
    ],
}

/// That olga has done this, in her words, once and as the last or the only one, and what came right after it.
async fn recorded(process: &Process, saga: &SagaId, of: SagaAction, steps: &[&str]) -> Verdict<String> {
    let facts = process.facts(saga).await?;
    let acts: Vec<_> = facts.iter().enumerate().filter(|(_, fact)| matches!(fact, SagaEvent::Acted { .. })).collect();
    let [(at, SagaEvent::Acted { action, steps: of_steps, actor, note, .. })] = &acts[..] else {
        return Err(Broken::new(
            format!("what operators have done to {saga}"),
            "one act on record",
            format!("{acts:?}"),
        ));
    };
    let found = (*action, of_steps.iter().map(String::as_str).collect::<Vec<_>>(), actor.as_deref(), note.clone());
    expect_eq!(found, (of, steps.to_vec(), Some("olga"), format!("to {of}")), "the act on record");
    Ok(facts.get(at + 1).map(crate::sagas::word).unwrap_or_default())
}

async fn retries_are_recorded(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Refuse, Retry, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("tell", &[Refuse, Well])]))).await?;
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    let stands = process.acts(&saga, SagaAction::Retry).await?.status;
    expect!(stands.phase != SagaPhase::NeedsOperator, "a saga that goes on once it is retried, not {stands}");
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(recorded(&process, &saga, SagaAction::Retry, &["tell"]).await?, "tell forward 2", "what came after it");
    // A pause ends at once.
    let saga = process.start(walk("w", script([("knock", &[Retry, Well])]))).await?;
    process.reaches(&saga, SagaPhase::Waiting).await?;
    process.acts(&saga, SagaAction::Retry).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(
        recorded(&process, &saga, SagaAction::Retry, &["knock"]).await?,
        "knock forward 2",
        "what came after it"
    );
    Ok(())
}

async fn skips_are_recorded(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("tell", &[Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    process.acts(&saga, SagaAction::Skip).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(recorded(&process, &saga, SagaAction::Skip, &["tell"]).await?, "completed", "what came after it");
    expect_eq!(world.ledger.calls_of(saga.id(), "tell").len(), 1, "how often a step that was skipped was tried");
    Ok(())
}

async fn compensations_are_recorded(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("pack", &[Does::Held])]))).await?;
    process.records(&saga, "+feed").await?;
    process.acts(&saga, SagaAction::Compensate).await?;
    world.ledger.release(saga.id(), "pack");
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(recorded(&process, &saga, SagaAction::Compensate, &[]).await?, "BACK", "what came after it");
    expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what was entered");
    expect_eq!(world.ledger.calls_of(saga.id(), "leave").len(), 0, "how often it has left on its way back");
    Ok(())
}

async fn aborts_are_recorded(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("pack", &[Does::Held])]))).await?;
    process.records(&saga, "+feed").await?;
    let stands = process.acts(&saga, SagaAction::Abort).await?.status;
    expect_eq!(stands.phase, SagaPhase::Aborted, "how it stands once it is aborted");
    expect_eq!(recorded(&process, &saga, SagaAction::Abort, &[]).await?, "aborted", "what came after it");
    world.ledger.release(saga.id(), "pack");
    // What comes after it goes on, and this one does not.
    let other = process.start(trip("u", script([]))).await?;
    process.reaches(&other, SagaPhase::Completed).await?;
    let calls: Vec<_> = world.ledger.calls(saga.id()).into_iter().map(|call| call.step).collect();
    expect!(!calls.iter().any(|step| step == "leave" || step.starts_with("undo-")), "nothing more done, in {calls:?}");
    expect_eq!(world.entered(&saga).await?, ["pay"], "what was entered");
    let left = process.facts(&saga).await?.into_iter().find_map(|fact| match fact {
        SagaEvent::Ended { left, .. } => Some(left),
        _ => None,
    });
    let is_left = |step: &&str| left.as_ref().is_some_and(|left| left.iter().any(|of| of == step));
    expect!(["reserve", "pay", "feed"].iter().all(is_left), "what is not undone on record, not {left:?}");
    Ok(())
}

async fn not_now(process: &Process, saga: &SagaId, actions: &[SagaAction]) -> Verdict {
    let before = process.facts(saga).await?;
    for of in actions {
        let refused = process.tries_to(saga, *of).await?;
        let Err(SagaError::NotNow { saga: named, action, reason }) = &refused else {
            return Err(Broken::new(format!("{of} of {saga}"), "NotNow", format!("{refused:?}")));
        };
        expect_eq!((named, action), (saga, of), "what was refused");
        expect!(!reason.is_empty(), "a reason why not to {of}");
    }
    expect_eq!(process.facts(saga).await?, before, "the facts of a saga after acts that were refused");
    Ok(())
}

async fn what_makes_no_sense_is_not_now(trial: &Trial<Orchestrated>) -> Verdict {
    use SagaAction::{Abort, Compensate, Retry, Skip};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("reserve", &[Does::Held]), ("tell", &[Does::Refuse])]))).await?;
    world.called(&saga, "reserve", 1).await?;
    not_now(&process, &saga, &[Retry, Skip]).await?;
    world.ledger.release(saga.id(), "reserve");
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    not_now(&process, &saga, &[Compensate]).await?;
    process.acts(&saga, Skip).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    not_now(&process, &saga, &[Retry, Skip, Compensate, Abort]).await?;
    let saga = process.start(trip("u", script([("leave", &[Does::Refuse]), ("undo-feed", &[Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    not_now(&process, &saga, &[Compensate]).await?;
    process.acts(&saga, Abort).await?;
    not_now(&process, &saga, &[Retry, Skip, Compensate, Abort]).await
}

async fn nobody_acts_on_nothing(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = trip("t", script([])).saga;
    for action in SagaAction::ALL {
        let acted = process.tries_to(&saga, action).await?;
        expect_is!(acted, Err(SagaError::NotFound(of)) if *of == saga, "{action} of what was not started");
    }
    expect_is!(process.starts(trip("t", script([]))).await?, Ok(started) if !started.repeated, "its start, after that");
    Ok(())
}
