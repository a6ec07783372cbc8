//! SG-07: several orchestrators over one place.

use crate::law::law;
use crate::projections::Hindrance;
use crate::sagas::{Code, Cut, Does, Orchestrated, World, script, trip};
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::domain::saga::SagaEvent;
use portolan_kernel::ports::{SagaAction, SagaPhase};
use std::collections::BTreeSet;
use std::sync::Arc;

law! {
    Orchestrated, sg_07_rivals, "SG-07",
    "Two orchestrators never both advance one saga: each append expects the revision that its writer has seen.",
    checks: [
        many_have_the_effects_of_one, one_that_dies_is_stood_in_for, one_that_is_taken_for_dead_advances_nothing,
        operators_elsewhere_are_heard,
    ],
}

/// What is on record is what one orchestrator would have recorded: each attempt once, each outcome once.
fn is_of_one(facts: &[SagaEvent]) -> Verdict {
    let (mut begun, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for fact in facts {
        match fact {
            SagaEvent::Begun { step, way, attempt, .. } => {
                expect!(begun.insert((step, way, attempt)), "{step} {way} {attempt} begun once, in {facts:?}");
            }
            SagaEvent::Succeeded { step, way, attempt, .. } | SagaEvent::Failed { step, way, attempt, .. } => {
                expect!(answered.insert((step, way, attempt)), "{step} {way} {attempt} answered once, in {facts:?}");
                expect!(begun.contains(&(step, way, attempt)), "{step} {way} {attempt} begun first, in {facts:?}");
            }
            _ => {}
        }
    }
    expect_eq!(begun, answered, "attempts begun and answered");
    Ok(())
}

async fn many_have_the_effects_of_one(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(world.start(Code::First).await?);
    }
    let mut sagas = Vec::new();
    for n in 0..trial.rounds(30).max(18) {
        let words = match n % 3 {
            0 => script([]),
            1 => script([("leave", &[Does::Refuse])]),
            _ => script([("pay", &[Does::DoneUnknown])]),
        };
        let saga = processes[n % processes.len()].start(trip(&format!("t-{n}"), words)).await?;
        sagas.push((saga, n % 3 == 1));
        if n % 10 == 9 {
            processes.remove(0).shut_down().await?;
            processes.push(world.start(Code::First).await?);
        }
    }
    for (saga, is_back) in &sagas {
        let phase = if *is_back { SagaPhase::Compensated } else { SagaPhase::Completed };
        processes[0].reaches(saga, phase).await?;
        is_of_one(&processes[1].facts(saga).await?)?;
        let expected = if *is_back { ["pay", "undo-pay"] } else { ["pay", "leave"] };
        expect_eq!(world.entered(saga).await?, expected, "what {saga} has entered, by three");
    }
    Ok(())
}

async fn one_that_dies_is_stood_in_for(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let one = world.start(Code::First).await?;
    let mut sagas = Vec::new();
    for n in 0..6 {
        let saga = one.start(trip(&format!("t-{n}"), script([("pack", &[Does::Held])]))).await?;
        world.called(&saga, "pack", 1).await?;
        sagas.push(saga);
    }
    let two = world.start(Code::First).await?;
    one.kill();
    for saga in &sagas {
        world.ledger.release(saga.id(), "pack");
        two.reaches(saga, SagaPhase::Completed).await?;
        is_of_one(&two.facts(saga).await?)?;
        expect_eq!(world.entered(saga).await?, ["pay", "leave"], "what {saga} has entered, by the two");
    }
    Ok(())
}

async fn one_that_is_taken_for_dead_advances_nothing(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let (cut, hindrance) = (Cut::never(), Arc::new(Hindrance::default()));
    let sleeper = world.start_with(Code::First, cut.clone(), |storage| hindrance.of(storage)).await?;
    let saga = sleeper.start(trip("t", script([("pay", &[Does::Held])]))).await?;
    world.called(&saga, "pay", 1).await?;
    // It is about to record what it has done when it falls asleep.
    let (leases, appends) = (hindrance.close_leases().await, cut.close().await);
    world.ledger.release(saga.id(), "pay");
    world.until("an append on its way", || cut.held() > 0).await?;
    let other = world.start(Code::First).await?;
    other.reaches(&saga, SagaPhase::Completed).await?;
    let before = other.facts(&saga).await?;
    drop((leases, appends));
    // Once it has woken, it takes part again.
    for n in 0..4 {
        let later = sleeper.start(trip(&format!("u-{n}"), script([]))).await?;
        sleeper.reaches(&later, SagaPhase::Completed).await?;
    }
    expect_eq!(other.facts(&saga).await?, before, "the facts of a saga after the one that had slept has woken");
    is_of_one(&before)?;
    expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what was entered by the sleeper and the other");
    Ok(())
}

async fn operators_elsewhere_are_heard(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let (one, two) = (world.start(Code::First).await?, world.start(Code::First).await?);
    for n in 0..6 {
        let saga = one.start(trip(&format!("t-{n}"), script([("tell", &[Does::Refuse, Does::Well])]))).await?;
        one.reaches(&saga, SagaPhase::NeedsOperator).await?;
        // Both at once: one of them is heard, and the other is told that it is too late.
        let actors = [one.tries_to(&saga, SagaAction::Retry), two.tries_to(&saga, SagaAction::Retry)];
        let heard = futures::future::join_all(actors).await.into_iter().collect::<Verdict<Vec<_>>>()?;
        two.reaches(&saga, SagaPhase::Completed).await?;
        let facts = two.facts(&saga).await?;
        let acts = facts.iter().filter(|fact| matches!(fact, SagaEvent::Acted { .. })).count();
        let told = heard.iter().filter(|heard| heard.is_ok()).count();
        expect_eq!(acts, told, "the acts of two operators on record, of {heard:?}");
        is_of_one(&facts)?;
    }
    Ok(())
}
