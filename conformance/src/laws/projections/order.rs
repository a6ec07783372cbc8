//! PR-02 and PR-07: rows are a fold of the log, also of what was there before.

use super::kills::{book_until_killed, survives_kills};
use crate::law::law;
use crate::projections::{Hindrance, Projected, Sums, World, fold, sums};
use crate::{Trial, Verdict, expect_eq};
use core::time::Duration;

law! {
    Projected, pr_02_order, "PR-02",
    "Events are applied in the order of the log, each once: rows equal a fold of the log up to their position.",
    checks: [
        rows_are_a_fold_while_writers_append, small_pages_make_the_same_rows,
        a_crash_repeats_and_loses_nothing if [Durability],
    ],
    roles: [book_until_killed],
}

law! {
    Projected, pr_07_late, "PR-07",
    "A projection that is registered late catches up from the first event on.",
    checks: [a_late_projection_catches_up],
}

/// How late rows come where one that does not wait for them is to be found out.
const LATE: Duration = Duration::from_millis(20);

async fn rows_are_a_fold_while_writers_append(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let mut random = fastrand::Rng::new();
    let (mut accounts, mut last) = (Vec::new(), None);
    for round in 0..trial.rounds(60).max(20) {
        accounts.push(format!("account-{round}"));
        let account = &accounts[random.usize(..accounts.len())];
        let amounts: Vec<_> = (0..random.usize(1..6)).map(|_| random.i64(-1_000..1_000)).collect();
        last = Some(world.append(sums(account, &amounts)).await?);
        if random.u8(..8) == 0
            && let Some(position) = last
        {
            app.reaches("sums", position).await?;
            let (_, rows) = app.rows("sums", None).await?;
            expect_eq!(rows, fold(&world.log_until(last).await?, 1), "rows after a wait for the last event");
        }
    }
    if let Some(position) = last {
        app.reaches("sums", position).await?;
    }
    let (_, rows) = app.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(last).await?, 1), "rows in the end");
    Ok(())
}

async fn small_pages_make_the_same_rows(trial: &Trial<Projected>) -> Verdict {
    // The last page has one event alone: rows without it are there for a moment.
    let world = World::open(trial).await?.with(|options| options.with_page_events(5));
    let mut last = None;
    for round in 0..12_i64 {
        last = Some(world.append(sums(["a", "b"][usize::from(round % 3 == 0)], &[round, -round, 7])).await?);
    }
    let slow = Hindrance::slow(LATE);
    let app = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    if let Some(position) = last {
        app.reaches("sums", position).await?;
    }
    let (_, rows) = app.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(last).await?, 1), "rows made of pages of five events");
    Ok(())
}

async fn a_late_projection_catches_up(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let early = world.start(|app| app).await?;
    world.append(sums("a", &[1, 2])).await?;
    early.shut_down().await;
    let last = world.append(sums("b", &[3])).await?;
    let slow = Hindrance::slow(LATE);
    let app = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    app.reaches("sums", last).await?;
    let (_, rows) = app.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows of a projection that was registered late");
    Ok(())
}

async fn a_crash_repeats_and_loses_nothing(trial: &Trial<Projected>) -> Verdict {
    survives_kills(trial, "book_until_killed", |app| app.projection::<Sums>()).await
}
