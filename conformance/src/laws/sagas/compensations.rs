//! SG-05: compensations that fail.

use crate::law::law;
use crate::sagas::{Code, Does, Orchestrated, REFUND_ATTEMPTS, World, script, trip};
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::domain::saga::SagaEvent;
use portolan_kernel::ports::{ListSagas, SagaAction, SagaPhase};

law! {
    Orchestrated, sg_05_failing_compensations, "SG-05",
    "A compensation that fails is retried, and then the saga needs an operator; it is never shown as compensated.",
    checks: [
        a_compensation_is_retried, one_that_keeps_failing_needs_an_operator, one_that_is_skipped_is_not_compensated,
    ],
}

async fn a_compensation_is_retried(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{LostUnknown, Refuse, Retry, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for (id, does) in [("t", Retry), ("u", Refuse), ("v", LostUnknown)] {
        let words = script([("leave", &[Refuse]), ("undo-pay", &[does, does, Well])]);
        let saga = process.start(trip(id, words)).await?;
        process.reaches(&saga, SagaPhase::Compensated).await?;
        expect_eq!(
            world.ledger.calls_of(saga.id(), "undo-pay").len(),
            3,
            "how often a compensation that is {does:?} was tried"
        );
        expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what was entered");
    }
    Ok(())
}

async fn one_that_keeps_failing_needs_an_operator(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Refuse, Retry, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let words = script([("leave", &[Refuse]), ("undo-pay", &[Refuse, Retry, Refuse, Well])]);
    let saga = process.start(trip("t", words)).await?;
    let stands = process.reaches(&saga, SagaPhase::NeedsOperator).await?.status;
    expect_eq!(stands.step.as_deref(), Some("pay"), "the step that holds it up");
    expect!(stands.reason.is_some_and(|reason| !reason.is_empty()), "a reason why it needs an operator");
    let tried = world.ledger.calls_of(saga.id(), "undo-pay").len();
    expect_eq!(tried, REFUND_ATTEMPTS as usize, "how often the compensation was tried");
    let undone = world.ledger.calls_of(saga.id(), "undo-reserve").len();
    expect_eq!(undone, 0, "how often a step before it was undone meanwhile");
    let is_ended = |fact: &SagaEvent| matches!(fact, SagaEvent::Ended { .. });
    expect!(!process.facts(&saga).await?.iter().any(is_ended), "no end on record");
    let list = ListSagas::all().phase(SagaPhase::NeedsOperator);
    process.lists_until(list, "the saga among those that need an operator", |found| !found.is_empty()).await?;
    let list = ListSagas::all().phase(SagaPhase::Compensated);
    process.lists_until(list, "nothing that was compensated", <[_]>::is_empty).await?;
    // What an operator has it try again goes well, and only then it is compensated.
    process.acts(&saga, SagaAction::Retry).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(
        world.ledger.effects(saga.id()).last().map(String::as_str),
        Some("undo-reserve"),
        "what was undone last"
    );
    expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what was entered");
    Ok(())
}

async fn one_that_is_skipped_is_not_compensated(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let words = script([("leave", &[Does::Refuse]), ("undo-pay", &[Does::Refuse])]);
    let saga = process.start(trip("t", words)).await?;
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    process.acts(&saga, SagaAction::Skip).await?;
    let stands = process.reaches(&saga, SagaPhase::Aborted).await?.status;
    expect!(stands.reason.is_some_and(|reason| reason.contains("pay")), "what is not undone in the reason");
    expect_eq!(world.ledger.calls_of(saga.id(), "undo-reserve").len(), 1, "how often what came before it was undone");
    let left = process.facts(&saga).await?.into_iter().find_map(|fact| match fact {
        SagaEvent::Ended { left, .. } => Some(left),
        _ => None,
    });
    expect_eq!(left, Some(vec!["pay".to_owned()]), "what is on record as left");
    expect_eq!(world.entered(&saga).await?, ["pay"], "what was entered");
    Ok(())
}
