//! What operators see: lists and timelines. They are checked with SG-09.

use crate::sagas::{Code, Does, Orchestrated, TRIP, WALK, World, script, trip, walk};
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{ListSagas, SagaError, SagaPhase, SagaSummary};
use portolan_kernel::values::{Name, Revision, SagaId};

fn named(name: &str) -> ListSagas {
    ListSagas::all().named(crate::ask::name::<Name>(name))
}

fn after(name: &str) -> ListSagas {
    ListSagas::all().after(Some(name.to_owned()))
}

fn ids(found: &[SagaSummary]) -> Vec<SagaId> {
    found.iter().map(|summary| summary.saga.clone()).collect()
}

pub(super) async fn lists_tell_the_truth(trial: &Trial<Orchestrated>) -> Verdict {
    use Does::{Held, Refuse, Retry};
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let mut sagas = Vec::new();
    for (start, phase) in [
        (trip("a", script([])), SagaPhase::Completed),
        (trip("b", script([("leave", &[Refuse])])), SagaPhase::Compensated),
        (trip("c", script([("tell", &[Refuse])])), SagaPhase::NeedsOperator),
        (trip("d", script([("pack", &[Held])])), SagaPhase::Running),
        (trip("e", script([("leave", &[Refuse]), ("undo-pay", &[Held])])), SagaPhase::Compensating),
        (trip("f", script([("pack", &[Held])])), SagaPhase::Aborted),
        (walk("g", script([("knock", &[Retry])])), SagaPhase::Waiting),
    ] {
        let saga = process.start(start).await?;
        match phase {
            SagaPhase::Running => world.called(&saga, "pack", 1).await?,
            SagaPhase::Compensating => world.called(&saga, "undo-pay", 1).await?,
            SagaPhase::Aborted => drop(process.acts(&saga, portolan_kernel::ports::SagaAction::Abort).await?),
            _ => {}
        }
        if phase == SagaPhase::Running {
            process.records(&saga, "+feed").await?;
        }
        process.reaches(&saga, phase).await?;
        sagas.push((saga, phase));
    }
    // Another process sees the same.
    let other = world.start(Code::First).await?;
    for viewer in [&process, &other] {
        let mut summaries = Vec::new();
        for (saga, phase) in &sagas {
            let summary = viewer.status(saga).await?;
            expect_eq!(summary.status.phase, *phase, "the phase of {saga}");
            expect_eq!((&summary.saga, summary.version), (saga, 1), "which saga it is");
            expect_eq!(summary.lacks, None, "what {saga} lacks");
            summaries.push(summary);
        }
        let listed = viewer.lists_until(ListSagas::all(), "each saga as its status says", |found| found == summaries);
        listed.await?;
        for (saga, phase) in &sagas {
            let only = |found: &[SagaSummary]| ids(found) == [saga.clone()];
            viewer
                .lists_until(ListSagas::all().phase(*phase), &format!("{saga}, the only one that is {phase}"), only)
                .await?;
        }
    }
    Ok(())
}

pub(super) async fn lists_are_filtered_and_paged(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let (mut trips, mut walks) = (Vec::new(), Vec::new());
    for n in 0..9 {
        let words = if n % 3 == 0 { script([("reserve", &[Does::Refuse])]) } else { script([]) };
        let phase = if n % 3 == 0 { SagaPhase::Compensated } else { SagaPhase::Completed };
        let saga = process.start(trip(&format!("t-{n}"), words)).await?;
        process.reaches(&saga, phase).await?;
        trips.push(saga);
    }
    for n in 0..4 {
        let saga = process.start(walk(&format!("w-{n}"), script([("knock", &[Does::Retry])]))).await?;
        process.reaches(&saga, SagaPhase::Waiting).await?;
        walks.push(saga);
    }
    let every = |nth: usize| trips.iter().skip(nth).step_by(3).cloned().collect::<Vec<_>>();
    let mut completed = [every(1), every(2)].concat();
    completed.sort();
    let all: Vec<_> = trips.iter().chain(&walks).cloned().collect();
    let both = ListSagas::all().phase(SagaPhase::Compensated).phase(SagaPhase::Waiting);
    for (list, expected) in [
        (ListSagas::all(), all.clone()),
        (named(TRIP), trips.clone()),
        (named(WALK), walks.clone()),
        (named("suite-nothing"), Vec::new()),
        // After all of a name, whether there are any.
        (after("suite-a"), all.clone()),
        (after(TRIP), walks.clone()),
        (after("suite-tripe"), walks.clone()),
        (after(TRIP).phase(SagaPhase::Compensated), Vec::new()),
        (after(WALK), Vec::new()),
        (ListSagas::all().phase(SagaPhase::Completed), completed.clone()),
        (named(WALK).phase(SagaPhase::Completed), Vec::new()),
        (named(TRIP).phase(SagaPhase::Compensated), every(0)),
        (both, every(0).into_iter().chain(walks.clone()).collect()),
    ] {
        for limit in [100, 2, 1] {
            let what = format!("{expected:?}");
            process.lists_until(list.clone().limit(limit), &what, |found| ids(found) == expected).await?;
        }
    }
    Ok(())
}

pub(super) async fn cursors_that_are_none_are_refused(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    process.lists_until(ListSagas::all(), "one saga", |found| found.len() == 1).await?;
    expect_is!(process.lists(ListSagas::all().limit(0)).await?, Err(SagaError::Invalid(_)), "a page of no saga");
    let cursor = Some("no cursor at all".to_owned());
    expect_is!(
        process.lists(ListSagas::all().after(cursor)).await?,
        Err(SagaError::Invalid(_)),
        "a page after nothing"
    );
    expect_is!(process.page(&saga, None, 0).await?, Err(SagaError::Invalid(_)), "a page of no fact");
    Ok(())
}

pub(super) async fn timelines_are_paged(trial: &Trial<Orchestrated>) -> Verdict {
    let world = World::open(trial).await?;
    let process = world.start(Code::First).await?;
    let saga = process.start(trip("t", script([]))).await?;
    process.reaches(&saga, SagaPhase::Completed).await?;
    let answered = |page: Result<_, SagaError>| {
        page.map_err(|error| Broken::new("a page of a timeline", "an answer", error.to_string()))
    };
    let whole = answered(process.page(&saga, None, 1_000).await?)?;
    expect_eq!(whole.next, None, "where a page after all facts begins");
    expect!(whole.facts.len() > 8, "more facts of a trip than {}", whole.facts.len());
    let revisions: Vec<_> = whole.facts.iter().map(|fact| fact.revision.get()).collect();
    expect_eq!(revisions, (0..whole.facts.len() as u64).collect::<Vec<_>>(), "the revisions of the facts");
    expect!(whole.facts.windows(2).all(|pair| pair[0].at <= pair[1].at), "facts in the order of their times");
    for limit in [1, 3, 5] {
        let (mut facts, mut after) = (Vec::new(), None);
        loop {
            let page = answered(process.page(&saga, after, limit).await?)?;
            let count = page.facts.len();
            expect!(
                (1..=limit as usize).contains(&count) || page.next.is_none(),
                "a page of 1 to {limit}, not {count}"
            );
            facts.extend(page.facts);
            expect!(facts.len() <= whole.facts.len(), "an end after {} facts", whole.facts.len());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        expect_eq!(facts, whole.facts, "the facts of all pages of {limit}");
    }
    let last = whole.facts.last().map(|fact| fact.revision);
    expect_eq!(answered(process.page(&saga, last, 10).await?)?.facts.len(), 0, "how many facts come after the last");
    let after = answered(process.page(&saga, Some(Revision::new(2)), 2).await?)?.facts;
    expect_eq!(after, whole.facts[3..5], "the two facts after the third");
    Ok(())
}
