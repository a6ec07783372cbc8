//! SG-03: starts, and results that come twice.

use crate::law::law;
use crate::sagas::{Code, Does, Orchestrated, World, script, trip, walk};
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::domain::saga::SagaEvent;
use portolan_kernel::ports::{SagaError, SagaPhase, StartSaga};
use portolan_kernel::values::SagaId;
use serde_json::json;

law! {
    Orchestrated, sg_03_starts, "SG-03",
    "Starting twice under one id with one input starts once, and says so; with another input it is StartedOtherwise. Of \
     several results of one attempt the first that is recorded counts; late ones are dropped.",
    checks: [
        it_starts_once, it_starts_once_after_its_end, another_input_is_refused, what_cannot_be_started_is_refused,
        a_late_result_is_dropped, later_steps_see_what_is_recorded,
    ],
}

async fn it_starts_once(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let words = || script([("reserve", &[Does::Held])]);
    for round in 0..trial.rounds(10).max(2) {
        let id = format!("t-{round}");
        let starts = (0..6).map(|_| process.starts(trip(&id, words())));
        let (mut new, mut repeated) = (0, 0);
        for started in futures::future::join_all(starts).await {
            match started? {
                Ok(started) if started.repeated => repeated += 1,
                Ok(_) => new += 1,
                Err(error) => return Err(Broken::new("one of six starts at once", "it starts", error.to_string())),
            }
        }
        expect_eq!((new, repeated), (1, 5), "how many of six starts at once say that they were the first, or not");
        let again = process.starts(trip(&id, words())).await?;
        expect_is!(again, Ok(started) if started.repeated && started.version == 1, "a later start");
        let saga = trip(&id, words()).saga;
        world.ledger.release(saga.id(), "reserve");
        process.reaches(&saga, SagaPhase::Completed).await?;
        let facts = process.facts(&saga).await?;
        let starts = facts.iter().filter(|fact| matches!(fact, SagaEvent::Started { .. })).count();
        expect_eq!(starts, 1, "the starts on record");
        expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what was entered by a saga that was started often");
    }
    Ok(())
}

async fn it_starts_once_after_its_end(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    let before = process.trace(&saga).await?;
    expect_is!(process.starts(trip("t", script([]))).await?, Ok(started) if started.repeated, "a start after the end");
    let started = process.starts(trip("t", script([]).without_telling())).await?;
    expect_is!(started, Err(SagaError::StartedOtherwise(of)) if *of == saga, "another start after the end");
    expect_eq!(process.trace(&saga).await?, before, "the facts of a saga that was started again after its end");
    // The same id is another saga's under another name.
    let other = process.starts(walk("t", script([]))).await?;
    expect_is!(other, Ok(started) if !started.repeated, "a start under an id that another definition has");
    Ok(())
}

async fn another_input_is_refused(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("reserve", &[Does::Held])]))).await?;
    let other = process.starts(trip("t", script([]))).await?;
    expect_is!(other, Err(SagaError::StartedOtherwise(of)) if *of == saga, "a start with another input");
    world.ledger.release(saga.id(), "reserve");
    process.reaches(&saga, SagaPhase::Completed).await?;
    let input = process.facts(&saga).await?.into_iter().find_map(|fact| match fact {
        SagaEvent::Started { input, .. } => Some((*input).clone()),
        _ => None,
    });
    let first = trip("t", script([("reserve", &[Does::Held])])).input;
    expect_eq!(input, Some(first), "the input on record");
    Ok(())
}

async fn what_cannot_be_started_is_refused(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let unknown = SagaId::new("suite-nothing", "t").map_err(|error| Broken::new("an id", "one", error.to_string()))?;
    let started = process.starts(StartSaga::new(unknown.clone(), json!({}))).await?;
    expect_is!(started, Err(SagaError::UnknownDefinition(name)) if name == unknown.name(), "a start of what nobody knows");
    let wrong = trip("t", script([])).saga;
    let started = process.starts(StartSaga::new(wrong.clone(), json!({"steps": 7, "tell": true}))).await?;
    expect_is!(started, Err(SagaError::Invalid(violations)) if !violations.is_empty(), "a start with a wrong input");
    for saga in [&unknown, &wrong] {
        expect_is!(process.try_status(saga).await?, Err(SagaError::NotFound(of)) if of == saga, "what was not started");
        expect_is!(process.page(saga, None, 10).await?, Err(SagaError::NotFound(of)) if of == saga, "its timeline");
    }
    Ok(())
}

async fn a_late_result_is_dropped(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{DoneSilent, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    // Whoever has taken too long has had its effect, and its answer does not count.
    let saga = process.start(walk("w", script([("enter", &[DoneSilent, DoneSilent, Well])]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    let facts = process.facts(&saga).await?;
    let mut outcomes = facts.iter().filter_map(|fact| match fact {
        SagaEvent::Succeeded { step, attempt, outcome, .. } if step == "enter" => Some((*attempt, outcome.as_u64())),
        _ => None,
    });
    let outcome = outcomes.next();
    // On a busy machine an attempt that goes well may take too long as well.
    expect!(
        outcome.is_some_and(|(attempt, told)| attempt >= 3 && told == Some(attempt.into())),
        "{outcome:?} of attempt 3"
    );
    expect_eq!(outcomes.next(), None, "a second outcome of one step");
    expect_eq!(world.ledger.effects(saga.id()), ["knock", "enter", "rest"], "the effects of all attempts");
    Ok(())
}

async fn later_steps_see_what_is_recorded(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("reserve", &[Does::Retry, Does::Well])]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(world.ledger.outcome(saga.id()), Some(2), "what the last step was told of the first");
    Ok(())
}
