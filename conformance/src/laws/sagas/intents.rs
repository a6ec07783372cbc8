//! SG-01: intents before effects, and keys.

use crate::law::law;
use crate::sagas::{Code, Cut, Does, Orchestrated, Process, World, script, trip};
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::domain::saga::{SagaEvent, Way};
use portolan_kernel::ports::{SagaAction, SagaError, SagaPhase};
use portolan_kernel::values::SagaId;
use std::collections::BTreeSet;

law! {
    Orchestrated, sg_01_intents, "SG-01",
    "Intent is recorded before the effect, outcome after. Each step has one idempotency key over all its attempts, its \
     compensation another. Keys are kept for longer than the longest saga takes: checked at start-up.",
    checks: [
        an_intent_stands_before_its_effect, a_step_has_one_key_and_its_compensation_another,
        a_command_takes_effect_once_however_often_it_is_tried, keys_that_are_forgotten_too_soon_are_refused,
        keys_that_may_be_forgotten_are_not_relied_on, what_is_known_not_to_have_happened_needs_no_key,
    ],
}

/// Whether an attempt at this step, this way, has begun and is not answered.
fn is_in_flight(facts: &[SagaEvent], of: &str, of_way: Way) -> bool {
    facts.iter().fold(false, |is_in_flight, fact| match fact {
        SagaEvent::Begun { step, way, .. } if step == of && *way == of_way => true,
        SagaEvent::Succeeded { step, way, .. } | SagaEvent::Failed { step, way, .. }
            if step == of && *way == of_way =>
        {
            false
        }
        _ => is_in_flight,
    })
}

fn has_happened(facts: &[SagaEvent], of: &str, of_way: Way) -> bool {
    facts.iter().any(|fact| matches!(fact, SagaEvent::Succeeded { step, way, .. } if step == of && *way == of_way))
}

async fn intent_stands(world: &World<'_>, process: &Process, saga: &SagaId, of: &str) -> Verdict {
    world.called(saga, of, 1).await?;
    let (step, way) = of.strip_prefix("undo-").map_or((of, Way::Forward), |step| (step, Way::Back));
    let facts = process.facts(saga).await?;
    expect!(is_in_flight(&facts, step, way), "the intent of {step} {way} on record while it is at work, not {facts:?}");
    expect!(!has_happened(&facts, step, way), "no outcome of {step} {way} while it is at work, in {facts:?}");
    world.ledger.release(saga.id(), of);
    Ok(())
}

async fn an_intent_stands_before_its_effect(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Held, Refuse};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let steps = ["reserve", "pay", "pack", "feed", "leave", "tell"];
    let saga = process.start(trip("on", script(steps.map(|step| (step, &[Held][..]))))).await?;
    for step in steps {
        intent_stands(&world, &process, &saga, step).await?;
    }
    process.reaches(&saga, SagaPhase::Completed).await?;
    let facts = process.facts(&saga).await?;
    for step in steps {
        expect!(has_happened(&facts, step, Way::Forward), "the outcome of {step} on record, in {facts:?}");
    }
    let back = ["undo-feed", "undo-pack", "undo-pay", "undo-reserve"];
    let held: Vec<_> = back.iter().map(|step| (*step, &[Held][..])).collect();
    let held: [_; 4] = held.try_into().unwrap_or([("", &[][..]); 4]);
    let mut words = script(held);
    // One after the other, so that it is known which is undone first.
    words.steps.insert("feed".into(), vec![Held]);
    words.steps.insert("leave".into(), vec![Refuse]);
    let saga = process.start(trip("back", words)).await?;
    world.called(&saga, "feed", 1).await?;
    process.records(&saga, "+pack").await?;
    world.ledger.release(saga.id(), "feed");
    for step in back {
        intent_stands(&world, &process, &saga, step).await?;
    }
    process.reaches(&saga, SagaPhase::Compensated).await?;
    Ok(())
}

async fn a_step_has_one_key_and_its_compensation_another(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{LostUnknown, Refuse, Retry, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let mut all = BTreeSet::new();
    for id in ["a", "b"] {
        let words = script([
            ("reserve", &[Retry, LostUnknown, Well]),
            ("undo-reserve", &[Retry, LostUnknown, Well]),
            ("leave", &[Refuse]),
        ]);
        let saga = process.start(trip(id, words)).await?;
        process.reaches(&saga, SagaPhase::Compensated).await?;
        for (step, times) in [("reserve", 3), ("undo-reserve", 3), ("pack", 1), ("undo-pack", 1), ("pay", 1)] {
            let calls = world.ledger.calls_of(saga.id(), step);
            expect_eq!(calls.len(), times, "how often {step} of {saga} was tried");
            let keys: BTreeSet<_> = calls.into_iter().map(|call| call.key).collect();
            expect_eq!(keys.len(), 1, "the keys of {step} of {saga}: {keys:?}");
            let known = all.len();
            all.extend(keys);
            expect_eq!(all.len(), known + 1, "the keys that steps have had once {step} of {saga} has its own");
        }
    }
    Ok(())
}

async fn a_command_takes_effect_once_however_often_it_is_tried(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{DoneUnknown, Refuse, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let words =
        script([("pay", &[DoneUnknown, Well]), ("undo-pay", &[DoneUnknown, DoneUnknown, Well]), ("leave", &[Refuse])]);
    let saga = process.start(trip("t", words)).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(world.ledger.calls_of(saga.id(), "pay").len(), 2, "how often it was paid");
    expect_eq!(world.ledger.calls_of(saga.id(), "undo-pay").len(), 3, "how often it was paid back");
    expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what the commands of all attempts have come to");
    Ok(())
}

async fn keys_that_are_forgotten_too_soon_are_refused(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let short = world.try_start(Code::First, Cut::with_keys_for(Duration::from_secs(3_600)), |storage| storage);
    let started = short.await?.map(drop);
    expect!(started.is_err(), "no process with sagas that outlive their keys: a walk knocks for three hours");
    let long = Cut::with_keys_for(Duration::from_secs(10_000 * 3_600));
    world.start_with(Code::First, long, |storage| storage).await?.shut_down().await
}

/// Longer than the longest saga of the suite takes.
const KEPT: Duration = Duration::from_secs(100 * 3_600);

/// Nobody drives it, and no operator comes, until its key may be forgotten.
async fn keys_that_may_be_forgotten_are_not_relied_on(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start_with(Code::First, Cut::with_keys_for(KEPT), |storage| storage).await?;
    let in_doubt = process.start(trip("in-doubt", script([("tell", &[Does::DoneUnknown])]))).await?;
    process.reaches(&in_doubt, SagaPhase::NeedsOperator).await?;
    let in_flight = process.start(trip("in-flight", script([("pay", &[Does::Held])]))).await?;
    world.called(&in_flight, "pay", 1).await?;
    process.kill();
    world.advance(KEPT);
    let process = world.start_with(Code::First, Cut::with_keys_for(KEPT), |storage| storage).await?;
    process.reaches(&in_flight, SagaPhase::NeedsOperator).await?;
    for (saga, step) in [(&in_doubt, "tell"), (&in_flight, "pay")] {
        let tried = world.ledger.calls_of(saga.id(), step).len();
        let refused = process.tries_to(saga, SagaAction::Retry).await?;
        if !matches!(refused, Err(SagaError::NotNow { .. })) {
            return Err(Broken::new(
                format!("{step} of {saga}, tried again too late"),
                "NotNow",
                format!("{refused:?}"),
            ));
        }
        process.acts(saga, SagaAction::Skip).await?;
        process.reaches(saga, SagaPhase::Completed).await?;
        expect_eq!(world.ledger.calls_of(saga.id(), step).len(), tried, "how often {step} of {saga} was tried");
    }
    expect_eq!(world.entered(&in_flight).await?, ["leave"], "what was entered");
    Ok(())
}

async fn what_is_known_not_to_have_happened_needs_no_key(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Refuse, Well};
    let world = World::open(trial).await?;
    let process = world.start_with(Code::First, Cut::with_keys_for(KEPT), |storage| storage).await?;
    let words = script([("leave", &[Refuse]), ("undo-pay", &[Refuse, Refuse, Refuse, Well])]);
    let saga = process.start(trip("t", words)).await?;
    process.reaches(&saga, SagaPhase::NeedsOperator).await?;
    world.advance(KEPT);
    process.acts(&saga, SagaAction::Retry).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(world.entered(&saga).await?, ["pay", "undo-pay"], "what was entered");
    Ok(())
}
