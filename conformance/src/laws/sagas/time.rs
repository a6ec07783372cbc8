//! SG-06: retries and time-outs.

use crate::law::law;
use crate::sagas::{Code, Does, KNOCK_PAUSE, Orchestrated, RESERVE_ATTEMPTS, WALK_TIME, World, script, trip, walk};
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::domain::saga::{FailureClass, SagaEvent};
use portolan_kernel::ports::{SagaAction, SagaPhase};
use portolan_kernel::values::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

law! {
    Orchestrated, sg_06_time, "SG-06",
    "Retries have back-off, jitter and a maximum, by error class. Steps and sagas have time-outs by the Clock; a timer that \
     was overdue at restart fires once.",
    checks: [
        pauses_grow_and_differ, there_is_a_maximum, a_refusal_is_not_tried_again, a_silent_step_times_out,
        a_pause_is_shown_and_kept, what_was_overdue_at_restart_fires_once, the_whole_times_out,
        past_the_pivot_it_is_overdue_and_goes_on,
    ],
}

fn apart(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(to.as_micros().saturating_sub(from.as_micros()))
}

async fn pauses_grow_and_differ(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Retry, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let mut firsts = BTreeSet::new();
    for n in 0..8 {
        let saga = process.start(trip(&format!("t-{n}"), script([("reserve", &[Retry, Retry, Well])]))).await?;
        process.reaches(&saga, SagaPhase::Completed).await?;
        let (mut due, mut pauses) = (None, Vec::new());
        for fact in process.facts(&saga).await? {
            match fact {
                SagaEvent::Failed { at, step, retry_at: Some(retry_at), .. } if step == "reserve" => {
                    pauses.push(apart(at, retry_at));
                    due = Some(retry_at);
                }
                SagaEvent::Begun { at, step, .. } if step == "reserve" => {
                    expect!(due.is_none_or(|due| due <= at), "no attempt before it is due: due {due:?}, begun {at:?}");
                }
                _ => {}
            }
        }
        // 40 ms and 80 ms, each shortened by up to a half.
        let within = |pause: &Duration, whole: u64| {
            (Duration::from_millis(whole / 2)..=Duration::from_millis(whole)).contains(pause)
        };
        let [first, second] = pauses[..] else {
            return Err(Broken::new("the pauses before attempts", "two", format!("{pauses:?}")));
        };
        expect!(
            within(&first, 40) && within(&second, 80),
            "pauses of 20 to 40 ms and 40 to 80 ms, not {first:?}, {second:?}"
        );
        firsts.insert(first);
    }
    expect!(firsts.len() > 1, "first pauses of eight sagas that are not all equal");
    Ok(())
}

async fn there_is_a_maximum(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    for (id, does) in [("t", Does::Retry), ("u", Does::LostUnknown)] {
        let saga = process.start(trip(id, script([("reserve", &[does])]))).await?;
        process.reaches(&saga, SagaPhase::Compensated).await?;
        let tried = world.ledger.calls_of(saga.id(), "reserve").len();
        expect_eq!(tried, RESERVE_ATTEMPTS as usize, "how often a step that is {does:?} is tried");
    }
    Ok(())
}

async fn a_refusal_is_not_tried_again(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([("reserve", &[Does::Retry, Does::Refuse])]))).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    expect_eq!(
        world.ledger.calls_of(saga.id(), "reserve").len(),
        2,
        "how often a step is tried that is refused at last"
    );
    let classes: Vec<_> = process
        .facts(&saga)
        .await?
        .into_iter()
        .filter_map(|fact| match fact {
            SagaEvent::Failed { class, code, .. } => Some((class, code)),
            _ => None,
        })
        .collect();
    let expected = [(FailureClass::Retry, None), (FailureClass::Refused, Some("suite-no".to_owned()))];
    expect_eq!(classes, expected, "the classes of failures on record");
    Ok(())
}

async fn a_silent_step_times_out(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{LostSilent, Well};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(walk("w", script([("enter", &[LostSilent, LostSilent, Well])]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    let (mut ends, mut silent) = (BTreeMap::new(), 0);
    for fact in process.facts(&saga).await? {
        match fact {
            SagaEvent::Begun { step, attempt, until, .. } => drop(ends.insert((step, attempt), until)),
            SagaEvent::Failed { at, step, attempt, class, .. } => {
                silent += 1;
                expect_eq!(class, FailureClass::Unknown, "what is known of an attempt that did not answer");
                let until = ends.get(&(step, attempt)).copied();
                expect!(
                    until.is_some_and(|until| until <= at),
                    "no time-out before its time: {until:?}, and not {at:?}"
                );
            }
            _ => {}
        }
    }
    expect!(silent >= 2, "two attempts that have timed out, not {silent}");
    Ok(())
}

async fn a_pause_is_shown_and_kept(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let before = world.now();
    let saga = process.start(walk("w", script([("knock", &[Does::Retry])]))).await?;
    let summary = process.reaches(&saga, SagaPhase::Waiting).await?;
    let stands = &summary.status;
    expect_eq!((stands.step.as_deref(), stands.attempt), (Some("knock"), Some(1)), "what waits");
    expect!(
        stands.due.is_some_and(|due| due >= before.plus(KNOCK_PAUSE)),
        "an hour to wait, not until {:?}",
        stands.due
    );
    let deadline = summary.deadline;
    expect!(deadline.is_some_and(|until| until >= before.plus(WALK_TIME)), "ten hours for the whole, not {deadline:?}");
    expect!(!stands.is_overdue, "a saga that has time");
    // Also after a restart, halfway.
    process.kill();
    world.advance(KNOCK_PAUSE / 2);
    let process = world.start(Code::First).await?;
    let other = process.start(walk("x", script([]))).await?;
    process.reaches(&other, SagaPhase::Completed).await?;
    expect_eq!(process.status(&saga).await?, summary, "how it stands halfway, in another process");
    expect_eq!(world.ledger.calls_of(saga.id(), "knock").len(), 1, "how often it has knocked halfway");
    Ok(())
}

async fn what_was_overdue_at_restart_fires_once(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let mut sagas = Vec::new();
    for n in 0..4 {
        let saga = process.start(walk(&format!("w-{n}"), script([("knock", &[Does::Retry])]))).await?;
        process.reaches(&saga, SagaPhase::Waiting).await?;
        sagas.push(saga);
    }
    process.kill();
    // Three pauses long.
    world.advance(KNOCK_PAUSE * 3);
    let (one, two) = (world.start(Code::First).await?, world.start(Code::First).await?);
    for saga in &sagas {
        one.records(saga, "knock forward 2").await?;
    }
    for saga in &sagas {
        let stands = two.reaches(saga, SagaPhase::Waiting).await?.status;
        expect_eq!(stands.attempt, Some(2), "how often {saga} was tried after its time had come thrice");
        expect!(stands.due.is_some_and(|due| due > world.now()), "a time to come, not {:?}", stands.due);
        let begun = one.facts(saga).await?.into_iter().filter(|fact| matches!(fact, SagaEvent::Begun { .. })).count();
        expect_eq!(begun, 2, "the attempts of {saga} on record");
    }
    // An operator need not wait.
    one.acts(&sagas[0], SagaAction::Retry).await?;
    one.records(&sagas[0], "knock forward 3").await?;
    Ok(())
}

async fn the_whole_times_out(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(walk("w", script([("knock", &[Does::LostUnknown])]))).await?;
    process.reaches(&saga, SagaPhase::Waiting).await?;
    process.kill();
    world.advance(WALK_TIME);
    let process = world.start(Code::First).await?;
    process.reaches(&saga, SagaPhase::Compensated).await?;
    let trace = process.trace(&saga).await?;
    expect_eq!(world.ledger.calls_of(saga.id(), "knock").len(), 1, "how often it has knocked: {trace}");
    expect_eq!(
        world.ledger.calls_of(saga.id(), "undo-knock").len(),
        1,
        "how often what is unknown was undone: {trace}"
    );
    Ok(())
}

async fn past_the_pivot_it_is_overdue_and_goes_on(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(walk("w", script([("rest", &[Does::Retry, Does::Well])]))).await?;
    process.reaches(&saga, SagaPhase::Waiting).await?;
    world.advance(WALK_TIME);
    let stands = process.status(&saga).await?.status;
    expect!(stands.is_overdue, "a saga that shows as overdue once its time has passed, not {stands}");
    process.kill();
    let process = world.start(Code::First).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    expect_eq!(world.ledger.effects(saga.id()), ["knock", "enter", "rest"], "what was done of an overdue saga");
    Ok(())
}
