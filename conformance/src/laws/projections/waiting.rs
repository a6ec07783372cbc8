//! PR-06: waiting until rows have an event in them.

use crate::ask::name;
use crate::law::law;
use crate::projections::{Hindrance, LEASE, Other, Projected, Sums, World, fold, sums};
use crate::rows::at;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{ProjectionState, ProjectionStatus, RowsQuestion, WaitError};
use portolan_kernel::values::{Edition, Name};
use std::time::Instant;

law! {
    Projected, pr_06_waiting, "PR-06",
    "`wait_for` returns once every event up to the position is in the rows that are read, and tells a projection that has \
     stopped and one that is stalled from one that is only slow.",
    checks: [
        what_was_waited_for_is_there, events_of_others_are_not_waited_for, rows_wait_for_a_position,
        one_that_nobody_runs_is_stalled, one_that_is_slow_is_not_stalled,
    ],
}

async fn what_was_waited_for_is_there(trial: &Trial<Projected>) -> Verdict {
    // One event at a time, and slowly, so that there is a moment when the last one alone is missing.
    let world = World::open(trial).await?.with(|options| options.with_page_events(1));
    let slow = Hindrance::slow(Duration::from_millis(10));
    let one = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    let other = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    for round in 0..trial.rounds(30).max(10) {
        let last = world.append(sums(["a", "b"][round % 2], &[1, -3])).await?;
        // One of the two has the work, and the other has to hear of it.
        let app = if round % 3 == 0 { &one } else { &other };
        app.reaches("sums", last).await?;
        let (_, rows) = app.rows("sums", None).await?;
        expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows after a wait for the last event");
        app.reaches("sums", last).await?;
    }
    Ok(())
}

async fn events_of_others_are_not_waited_for(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Other>()).await?;
    for _ in 0..3 {
        let last = world.append(sums("a", &[1])).await?;
        app.reaches("other", last).await?;
    }
    Ok(())
}

async fn rows_wait_for_a_position(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    for round in 1..=trial.rounds(20).max(10) {
        let last = world.append(sums("a", &[1])).await?;
        let question = RowsQuestion::keys(name("sums"), vec![name("a")]).at_least(Some(last));
        let rows = tokio::time::timeout(app.patience, app.asked(question)).await;
        let rows = rows.map_err(|_| Broken::new("rows at a position", "an answer", "none for long"))??.rows;
        let wanted = fold(&world.log_until(Some(last)).await?, 1);
        let cells = rows.into_iter().next().map(|row| row.cells);
        expect_eq!(cells.as_ref(), wanted.get("a"), "the row that has event {round} in it");
    }
    Ok(())
}

async fn one_that_nobody_runs_is_stalled(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let first = world.append(sums("a", &[1])).await?;
    app.reaches("sums", first).await?;
    app.shut_down().await;
    // Somebody holds on to the work and does nothing: renewing, so that nobody takes it over.
    let leases = world.storage().leases.ok_or_else(|| Broken::new("the storage", "leases", "none"))?;
    let lease: Name = Edition::first(1).checkpoint(&name("sums")).unwrap_or_else(|_| name("sums"));
    let begun = Instant::now();
    let mut held = loop {
        match leases.grant(lease.clone(), name("nobody"), world.time(LEASE)).await {
            Ok(held) => break held,
            Err(error) if begun.elapsed() > app.patience => {
                return Err(Broken::new("the lease after a shutdown", "it is free", error.to_string()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = world.append(sums("a", &[2])).await?;
    let renewing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            match leases.renew(held.clone()).await {
                Ok(renewed) => held = renewed,
                Err(error) => {
                    let lost = Broken::new("a lease that is renewed in time", "it is held", error.to_string());
                    return Err::<(), _>(lost);
                }
            }
        }
    };
    let waiting = async {
        let waited = app.waits("sums", last).await?;
        expect_is!(waited, Err(WaitError::Stalled { .. }), "a wait for one that nobody works on");
        let is_stalled = |status: &ProjectionStatus| matches!(status.state, ProjectionState::Stalled { .. });
        app.until("sums", "stalled", is_stalled).await?;
        app.reaches("sums", first).await
    };
    match futures::future::select(Box::pin(renewing), Box::pin(waiting)).await {
        futures::future::Either::Left((lost, _)) => lost?,
        futures::future::Either::Right((waited, _)) => waited?,
    }
    leases.release(held).await.map_err(|error| Broken::new("releasing a lease", "it is free", error.to_string()))?;
    app.reaches("sums", last).await
}

async fn one_that_is_slow_is_not_stalled(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(1));
    let mut last = at(1);
    for n in 0..40 {
        last = world.append(sums(&format!("account-{}", n % 7), &[1])).await?;
    }
    // It takes longer than one waits that stands still.
    let slow = Hindrance::slow(world.time(Duration::from_millis(60)));
    let app = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    let waiting = async {
        let waited = app.waits("sums", last).await?;
        expect!(waited.is_ok(), "a wait that goes on as long as it moves, and not {waited:?}");
        Ok(())
    };
    let looking = async {
        loop {
            let state = app.status("sums").await?.state;
            let is_moving = matches!(state, ProjectionState::CatchingUp | ProjectionState::CaughtUp);
            expect!(is_moving, "a state of one that moves, and not {state:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    futures::future::select(Box::pin(waiting), Box::pin(looking)).await.factor_first().0
}
