//! PR-04: rows that are made anew beside those that are read.

use super::kills::{rebuild_until_killed, survives_kills};
use crate::ask::name;
use crate::law::law;
use crate::projections::{App, Projected, Sums, SumsAnew, World, fold, sums};
use crate::rows::at;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use portolan_kernel::ports::{ProjectionAction, ProjectionError, ProjectionStatus, RowsQuestion};
use portolan_kernel::values::{By, Edition, Position};

law! {
    Projected, pr_04_rebuilds, "PR-04",
    "A rebuild ends in the same rows whatever the size of its batches, goes on where it was after a crash, and can be \
     cancelled. Until it has caught up readers see the edition before, then all of them the new one at once; no answer and \
     no listing mixes two.",
    checks: [
        a_rebuild_makes_the_same_rows, readers_are_switched_at_once,
        a_listing_stays_on_its_edition, a_rebuild_is_cancelled, a_new_version_takes_over_by_itself, versions_live_side_by_side, a_rollback_is_an_activation,
        the_one_that_is_read_is_not_removed, a_rebuild_survives_kills if [Durability],
    ],
    roles: [rebuild_until_killed],
}

const FIRST: Edition = Edition::first(1);

/// Accounts and amounts, some hundred events.
async fn booked(world: &World, accounts: usize) -> Verdict<Position> {
    let mut last = at(1);
    for account in 0..accounts {
        last = world.append(sums(&format!("account-{account}"), &[1, 2, 3])).await?;
    }
    Ok(last)
}

fn reads(edition: Edition) -> impl Fn(&ProjectionStatus) -> bool {
    move |status| status.edition == Some(edition)
}

async fn is_a_fold(world: &World, app: &App, version: u16, last: Position) -> Verdict<Edition> {
    let (edition, rows) = app.rows("sums", Some(version)).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, edition.version), "rows of edition {edition}");
    Ok(edition)
}

async fn a_rebuild_makes_the_same_rows(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(4));
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 10).await?;
    app.reaches("sums", last).await?;
    for rebuild in 1..=2 {
        app.acts("sums", ProjectionAction::Rebuild).await?;
        app.until("sums", "the new edition", reads(Edition { version: 1, rebuild })).await?;
        let edition = is_a_fold(&world, &app, 1, last).await?;
        expect_eq!(edition, Edition { version: 1, rebuild }, "the edition that is read");
    }
    // Those before stay until they are removed.
    let editions: Vec<_> = app.status("sums").await?.editions.into_iter().map(|status| status.edition).collect();
    expect_eq!(editions, [0, 1, 2].map(|rebuild| Edition { version: 1, rebuild }), "the editions after two rebuilds");
    app.acts("sums", ProjectionAction::Remove(FIRST)).await?;
    app.until("sums", "two editions", |status| status.editions.len() == 2).await?;
    let next = world.append(sums("account-1", &[9])).await?;
    app.reaches("sums", next).await?;
    is_a_fold(&world, &app, 1, next).await.map(drop)
}

async fn readers_are_switched_at_once(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(6));
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 30).await?;
    app.reaches("sums", last).await?;
    let wanted = fold(&world.log_until(Some(last)).await?, 1);
    let done = AtomicBool::new(false);
    let reader = async || -> Verdict<Vec<Edition>> {
        let mut seen = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let (edition, rows) = app.rows("sums", None).await?;
            expect_eq!(rows, wanted, "rows of edition {edition}, while a rebuild goes on");
            seen.push(edition);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(seen)
    };
    let rebuild = async || -> Verdict {
        app.acts("sums", ProjectionAction::Rebuild).await?;
        let switched = app.until("sums", "the new edition", reads(Edition { version: 1, rebuild: 1 })).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        done.store(true, Ordering::SeqCst);
        switched.map(drop)
    };
    let (one, other, rebuilt) = futures::join!(reader(), reader(), rebuild());
    rebuilt?;
    for seen in [one?, other?] {
        expect!(seen.is_sorted(), "no way back to the edition before: {seen:?}");
    }
    Ok(())
}

async fn a_listing_stays_on_its_edition(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 5).await?;
    app.reaches("sums", last).await?;
    let question = RowsQuestion::page(name("sums"), By::key()).limit(2);
    let page = app.asked(question.clone()).await?;
    let (first, is_more) = (page.rows.first().map(|row| row.key.to_string()), page.next.is_some());
    expect_eq!((page.edition(), first.as_deref(), is_more), (FIRST, Some("account-0"), true), "the first page");
    let rest = question.after(page.next);
    app.acts("sums", ProjectionAction::Rebuild).await?;
    app.until("sums", "the new edition", reads(Edition { version: 1, rebuild: 1 })).await?;
    let (edition, rows) = app.listed(rest.clone()).await?;
    expect_eq!((edition, rows.len() + page.rows.len()), (FIRST, 5), "a listing that began before the rebuild");
    app.acts("sums", ProjectionAction::Remove(FIRST)).await?;
    app.until("sums", "one edition", |status| status.editions.len() == 1).await?;
    let gone = app.registry.rows(rest).await;
    let is_gone = matches!(&gone, Err(ProjectionError::Gone { edition, .. }) if *edition == FIRST);
    expect!(is_gone, "the listing of an edition that was removed is gone, and not {gone:?}");
    Ok(())
}

async fn a_rebuild_is_cancelled(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 5).await?;
    app.reaches("sums", last).await?;
    // Paused, it cannot be done too early.
    app.acts("sums", ProjectionAction::Pause).await?;
    app.acts("sums", ProjectionAction::Rebuild).await?;
    app.acts("sums", ProjectionAction::CancelRebuild).await?;
    app.acts("sums", ProjectionAction::Resume).await?;
    let next = world.append(sums("account-1", &[9])).await?;
    app.reaches("sums", next).await?;
    app.until("sums", "one edition", |status| status.editions.len() == 1).await?;
    expect_eq!(is_a_fold(&world, &app, 1, next).await?, FIRST, "the edition that is read after all");
    // A number is not used again: what was cancelled may have left something behind.
    app.acts("sums", ProjectionAction::Rebuild).await?;
    let later = |status: &ProjectionStatus| status.edition.is_some_and(|edition| edition.rebuild > 1);
    app.until("sums", "an edition after the one that was cancelled", later).await?;
    is_a_fold(&world, &app, 1, next).await.map(drop)
}

async fn a_new_version_takes_over_by_itself(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let old = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 5).await?;
    old.reaches("sums", last).await?;
    old.shut_down().await;
    let new = world.start(|app| app.projection::<SumsAnew>()).await?;
    // Until then whoever asks sees the old rows, or the new ones, and never a mixture.
    let (edition, rows) = new.rows("sums", Some(2)).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, edition.version), "rows of edition {edition}");
    new.reaches("sums", last).await?;
    new.until("sums", "the new version", reads(Edition::first(2))).await?;
    expect_eq!(is_a_fold(&world, &new, 2, last).await?, Edition::first(2), "the edition for who knows version 2");
    expect_eq!(new.rows("sums", None).await?.0, Edition::first(2), "the edition for who knows none");
    Ok(())
}

async fn versions_live_side_by_side(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let old = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 5).await?;
    old.reaches("sums", last).await?;
    let new = world.start(|app| app.projection::<SumsAnew>()).await?;
    new.until("sums", "the new version", reads(Edition::first(2))).await?;
    for round in 0..5 {
        let last = world.append(sums(&format!("account-{round}"), &[5])).await?;
        old.reaches("sums", last).await?;
        new.reaches("sums", last).await?;
        expect_eq!(is_a_fold(&world, &old, 1, last).await?, FIRST, "the edition of the old version");
        expect_eq!(is_a_fold(&world, &new, 2, last).await?, Edition::first(2), "the edition of the new version");
        expect_eq!(old.rows("sums", None).await?.0, Edition::first(2), "the edition for who knows none");
    }
    Ok(())
}

async fn a_rollback_is_an_activation(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let old = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 3).await?;
    old.reaches("sums", last).await?;
    let new = world.start(|app| app.projection::<SumsAnew>()).await?;
    new.until("sums", "the new version", reads(Edition::first(2))).await?;
    let active = async |app: &App, wanted: Edition| -> Verdict {
        let is_active = |status: &ProjectionStatus| {
            status.editions.iter().any(|status| status.is_active && status.edition == wanted)
        };
        app.until("sums", &format!("edition {wanted} active"), is_active).await.map(drop)
    };
    new.acts("sums", ProjectionAction::Activate(Some(1))).await?;
    active(&new, FIRST).await?;
    expect_eq!(new.rows("sums", None).await?.0, FIRST, "the edition for who knows none, after a rollback");
    new.shut_down().await;
    old.shut_down().await;
    // Nor is it undone by a start.
    let new = world.start(|app| app.projection::<SumsAnew>()).await?;
    let last = world.append(sums("account-0", &[5])).await?;
    new.reaches("sums", last).await?;
    expect_eq!(new.rows("sums", None).await?.0, FIRST, "the edition for who knows none, after a restart");
    new.acts("sums", ProjectionAction::Activate(None)).await?;
    active(&new, Edition::first(2)).await
}

async fn the_one_that_is_read_is_not_removed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = booked(&world, 3).await?;
    app.reaches("sums", last).await?;
    let removed = app.registry.act(name("sums"), ProjectionAction::Remove(FIRST)).await;
    expect_is!(removed, Err(ProjectionError::Invalid(_)), "removing the edition that is read");
    let missing = app.registry.act(name("sums"), ProjectionAction::Remove(Edition::first(9))).await;
    expect_is!(missing, Err(ProjectionError::NotFound { .. }), "removing an edition that there is not");
    let none = app.registry.act(name("sums"), ProjectionAction::CancelRebuild).await;
    expect!(
        matches!(none, Ok(()) | Err(ProjectionError::Invalid(_) | ProjectionError::NotFound { .. })),
        "nothing or a refusal, where there is no rebuild to cancel: {none:?}"
    );
    let edition = is_a_fold(&world, &app, 1, last).await?;
    if edition == FIRST {
        Ok(())
    } else {
        Err(Broken::new("the edition that is read", "the first", edition.to_string()))
    }
}

async fn a_rebuild_survives_kills(trial: &Trial<Projected>) -> Verdict {
    survives_kills(trial, "rebuild_until_killed", |app| app.projection::<Sums>()).await
}
