//! PR-01: what a registry says of its projections, and what is done to them.

use crate::ask::name;
use crate::law::law;
use crate::projections::{Hindrance, Other, Projected, Skips, Stops, Sums, World, fold, poison, sums};
use crate::rows::at;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::ops::Bound;
use core::time::Duration;
use portolan_kernel::ports::{
    ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionState, RowsQuestion, WaitError,
};
use portolan_kernel::values::{By, Cell, KeyedRow, Name, RowKey};

law! {
    Projected, pr_01_registry, "PR-01",
    "Every registered projection is listed with its state, position, frontier, lag and last error. Pausing ends its \
     movement, resuming and resetting begin it, rebuilding makes its rows anew; each for all processes.",
    checks: [
        all_are_listed, a_status_tells_how_far_it_is, a_pause_holds_for_all, a_reset_makes_rows_anew,
        rows_are_got_found_and_listed, what_there_is_not,
    ],
}

/// How long nothing has to happen, for it not to happen.
const MOMENT: Duration = Duration::from_millis(200);

async fn all_are_listed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>().projection::<Other>().projection::<Skips>()).await?;
    let listed = app.registry.list().await;
    expect!(listed.is_ok(), "a list, and not {listed:?}");
    let names: Vec<_> = listed.iter().flatten().map(|status| status.name.to_string()).collect();
    expect_eq!(names, ["other", "skips", "sums"], "the names of all, in order");
    for status in listed.into_iter().flatten() {
        let alone = app.status(&status.name).await?;
        expect_eq!((alone.name, alone.version), (status.name.clone(), 1), "the name and version of {}", status.name);
    }
    for known in ["other", "skips", "sums"] {
        let knows = app.registry.knows(&name(known));
        expect!(knows != Some(false), "{known} is known, or nobody can tell: {knows:?}");
    }
    Ok(())
}

async fn a_status_tells_how_far_it_is(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>().projection::<Stops>()).await?;
    world.append(sums("a", &[1, 2, 3])).await?;
    let last = world.append(sums("b", &[4])).await?;
    app.reaches("sums", last).await?;
    let status = app.until("sums", "caught up", |status| status.state == ProjectionState::CaughtUp).await?;
    expect!(status.position >= Some(last), "a position at or past {last}, and not {:?}", status.position);
    expect_eq!(status.frontier, Some(last), "the frontier of the log");
    expect_eq!((status.lag.events, status.lag.time), (0, Duration::ZERO), "the lag of one that has caught up");
    // A store may have been busy, which is no event's failure.
    let at = status.last_error.and_then(|error| error.position);
    expect_eq!((at, status.parked), (None, 0), "events that failed, and that are parked, where all is well");
    let edition = status.edition.map(|edition| (edition.version, edition.rebuild));
    expect_eq!(edition, Some((1, 0)), "the edition that is read");

    let bad = world.append(vec![poison("a")]).await?;
    let last = world.append(sums("a", &[5])).await?;
    let stopped =
        |status: &portolan_kernel::ports::ProjectionStatus| matches!(status.state, ProjectionState::Stopped { .. });
    let status = app.until("stops", "stopped", stopped).await?;
    expect!(status.position < Some(bad), "a position before {bad}, where it stopped, and not {:?}", status.position);
    expect_eq!(status.frontier, Some(last), "the frontier of the log");
    expect!((1..=2).contains(&status.lag.events), "a lag of two events, and not {:?}", status.lag);
    let at = status.last_error.as_ref().and_then(|error| error.position);
    expect_eq!(at, Some(bad), "where the last error was, of {:?}", status.last_error);
    Ok(())
}

async fn a_pause_holds_for_all(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let one = world.start(|app| app.projection::<Sums>().projection::<Skips>()).await?;
    let other = world.start(|app| app.projection::<Sums>().projection::<Skips>()).await?;
    let first = world.append(sums("a", &[1])).await?;
    one.reaches("sums", first).await?;
    other.acts("sums", ProjectionAction::Pause).await?;
    other.acts("sums", ProjectionAction::Pause).await?;
    for app in [&one, &other] {
        app.until("sums", "paused", |status| status.state == ProjectionState::Paused).await?;
    }
    let second = world.append(sums("a", &[2])).await?;
    one.reaches("skips", second).await?;
    tokio::time::sleep(MOMENT).await;
    for app in [&one, &other] {
        let status = app.status("sums").await?;
        expect!(status.position < Some(second), "no movement while paused, to {:?}", status.position);
        let (_, rows) = app.rows("sums", None).await?;
        expect_eq!(rows, fold(&world.log_until(Some(first)).await?, 1), "rows that are read while paused");
        expect_is!(app.waits("sums", second).await?, Err(WaitError::Stopped { .. }), "a wait for a paused one");
    }
    one.acts("sums", ProjectionAction::Resume).await?;
    other.reaches("sums", second).await?;
    let (_, rows) = other.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(second)).await?, 1), "rows after it was resumed");
    Ok(())
}

async fn a_reset_makes_rows_anew(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = world.append(sums("a", &[1, 2, 3])).await?;
    app.reaches("sums", last).await?;
    let (before, _) = app.rows("sums", None).await?;
    // Paused, it shows that its rows are gone at once, and not when there are others.
    app.acts("sums", ProjectionAction::Pause).await?;
    app.until("sums", "paused", |status| status.state == ProjectionState::Paused).await?;
    app.acts("sums", ProjectionAction::Reset).await?;
    let emptied = |status: &portolan_kernel::ports::ProjectionStatus| {
        status.edition.is_some_and(|edition| edition > before) && status.position.is_none()
    };
    app.until("sums", "a newer edition without a position", emptied).await?;
    let (edition, rows) = app.rows("sums", None).await?;
    expect!(rows.is_empty() && edition > before, "no rows, of a later edition than {before}: {rows:?} of {edition}");
    app.acts("sums", ProjectionAction::Resume).await?;
    let anew = |status: &portolan_kernel::ports::ProjectionStatus| {
        status.edition.is_some_and(|edition| edition > before) && status.position >= Some(last)
    };
    app.until("sums", "a newer edition that has caught up", anew).await?;
    app.until("sums", "the edition before gone", |status| status.editions.len() == 1).await?;
    let (_, rows) = app.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows after a reset");
    Ok(())
}

async fn rows_are_got_found_and_listed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    // Slowly, so that rows are not there by chance when they are asked for.
    let slow = Hindrance::slow(Duration::from_millis(20));
    let app = world.start_on(slow.of(world.storage()), |app| app.projection::<Sums>()).await?;
    for (account, amount) in [("a", 5), ("b", 3), ("c", 5), ("d", 9)] {
        world.append(sums(account, &[amount])).await?;
    }
    let last = world.append(sums("e", &[1])).await?;
    let key = |text: &str| name::<RowKey>(text);
    let keys = |rows: &[KeyedRow]| rows.iter().map(|row| row.key.to_string()).collect::<Vec<_>>();
    let wanted = vec![key("d"), key("nobody"), key("a")];
    let got = app.asked(RowsQuestion::keys(name("sums"), wanted).at_least(Some(last))).await?;
    expect_eq!(keys(&got.rows), ["d", "a"], "rows by their keys");
    let by_sum = |equals, range| By::Index { name: name("sum"), equals, range };
    let fives = by_sum(vec![Cell::Integer(5)], (Bound::Unbounded, Bound::Unbounded));
    let (_, found) = app.listed(RowsQuestion::page(name("sums"), fives)).await?;
    expect_eq!(keys(&found), ["a", "c"], "rows found by an index");
    let large = by_sum(vec![], (Bound::Included(Cell::Integer(3)), Bound::Excluded(Cell::Integer(9))));
    let (_, all) = app.listed(RowsQuestion::page(name("sums"), large).backward().limit(2)).await?;
    expect_eq!(keys(&all), ["c", "a", "b"], "rows of a range of an index, from its far end, in pages of two");
    Ok(())
}

async fn what_there_is_not(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = world.append(sums("a", &[1])).await?;
    app.reaches("sums", last).await?;
    let nobody = || name::<Name>("nobody");
    let registry: &dyn ProjectionRegistry = &*app.registry;
    let unknown = |error: Option<ProjectionError>| matches!(error, Some(ProjectionError::UnknownProjection(name)) if name == "nobody");
    expect!(unknown(registry.status(nobody()).await.err()), "no status of a projection that there is not");
    expect!(unknown(registry.act(nobody(), ProjectionAction::Pause).await.err()), "no pause of one that there is not");
    expect!(unknown(registry.parked(nobody(), None, 1).await.err()), "nothing parked by one that there is not");
    let rows = registry.rows(RowsQuestion::keys(nobody(), vec![name("a")])).await;
    expect!(unknown(rows.err()), "no rows of a projection that there is not");
    let waited = app.waits("nobody", at(1)).await?;
    expect_is!(waited, Err(WaitError::UnknownProjection(_)), "a wait for a projection that there is not");
    let odd = By::Index { name: name("odd"), equals: vec![], range: (Bound::Unbounded, Bound::Unbounded) };
    let odd = registry.rows(RowsQuestion::page(name("sums"), odd)).await;
    expect_is!(odd, Err(ProjectionError::Invalid(_)), "rows by an index that there is not");
    let dropped = registry.act(name("sums"), ProjectionAction::Drop(last)).await;
    expect_is!(dropped, Err(ProjectionError::NotFound { .. }), "dropping an event that is not parked");
    Ok(())
}
