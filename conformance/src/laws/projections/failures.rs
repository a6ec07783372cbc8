//! PR-03: events that cannot be applied.

use crate::ask::name;
use crate::law::law;
use crate::projections::{
    App, Labels, Parks, Passes, Projected, Skips, Stops, World, fold, labelled, poison, sums, unknown,
};
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{Parked, ProjectionAction, ProjectionState, ProjectionStatus, WaitError};
use portolan_kernel::values::{Cell, Position, Timestamp};
use std::collections::BTreeMap;

law! {
    Projected, pr_03_failures, "PR-03",
    "What cannot be applied is tried again with growing pauses where that can help, and then stops the projection, is \
     skipped, or is parked, as the projection says. What is skipped, be it that it failed or that it is unknown, is \
     counted with the rows, each event once. While an event is parked, the later ones of its sequence wait with it, and \
     others go on. Retried, they are applied in their order; dropped, one is left out. `wait_for` tells of an event that \
     is parked.",
    checks: [
        a_stop_holds_everything, a_stop_is_overcome_by_dropping, skipping_leaves_one_out,
        what_is_unknown_is_counted, parking_holds_a_stream,
        parking_holds_a_key_until_it_is_retried, a_parked_event_is_dropped, what_is_parked_outlives_its_worker,
    ],
}

fn is_stopped(status: &ProjectionStatus) -> bool {
    matches!(status.state, ProjectionState::Stopped { .. })
}

fn failed_at(status: &ProjectionStatus) -> Option<Timestamp> {
    status.last_error.as_ref().map(|error| error.at)
}

async fn a_stop_holds_everything(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Stops>()).await?;
    let first = world.append(sums("a", &[1, 2])).await?;
    // One that has never caught up is not read at all.
    app.reaches("stops", first).await?;
    let bad = world.append(vec![poison("a")]).await?;
    let last = world.append(sums("b", &[3])).await?;
    let stopped = app.until("stops", "stopped", is_stopped).await?;
    expect_is!(app.waits("stops", last).await?, Err(WaitError::Stopped { .. }), "a wait for one that has stopped");
    app.reaches("stops", first).await?;
    let (_, rows) = app.rows("stops", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(first)).await?, 1), "rows before the event that it stopped at");
    // To go on is to try again, which does not help here.
    app.acts("stops", ProjectionAction::Resume).await?;
    let is_later = |status: &ProjectionStatus| is_stopped(status) && failed_at(status) > failed_at(&stopped);
    let again = app.until("stops", "stopped again", is_later).await?;
    expect_eq!(again.last_error.and_then(|error| error.position), Some(bad), "where it stopped again");
    Ok(())
}

async fn a_stop_is_overcome_by_dropping(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Stops>()).await?;
    world.append(sums("a", &[1])).await?;
    let bad = world.append(vec![poison("a")]).await?;
    let last = world.append(sums("a", &[3])).await?;
    app.until("stops", "stopped", is_stopped).await?;
    app.acts("stops", ProjectionAction::Drop(bad)).await?;
    app.until("stops", "past the event that was dropped", |status| status.position >= Some(last)).await?;
    let (_, rows) = app.rows("stops", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows without the event that was dropped");
    Ok(())
}

async fn skipping_leaves_one_out(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Skips>()).await?;
    world.append(sums("a", &[1])).await?;
    let bad = world.append([sums("b", &[1]), vec![poison("a")], sums("a", &[2])].concat()).await?;
    let last = world.append(sums("b", &[3])).await?;
    app.reaches("skips", last).await?;
    let (_, rows) = app.rows("skips", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows without the event that was skipped");
    let status = app.status("skips").await?;
    let at = status.last_error.and_then(|error| error.position);
    expect!(at.is_some_and(|at| at < bad), "the last error, where the event was skipped, and not {at:?}");
    expect_eq!(status.parked, 0, "parked events of one that skips");
    expect_eq!(status.skipped, 1, "skipped events");
    Ok(())
}

async fn what_is_unknown_is_counted(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Passes>()).await?;
    world.append(sums("a", &[1])).await?;
    let last = world.append([vec![unknown("a")], sums("b", &[1]), vec![unknown("b")]].concat()).await?;
    app.reaches("passes", last).await?;
    let status = app.status("passes").await?;
    // A store may have been busy meanwhile; then no event is named.
    let failed_at = status.last_error.and_then(|error| error.position);
    expect_eq!((status.skipped, failed_at), (2, None), "skipped events, and no event that failed");
    // At once, and not when the worker says something the next time.
    let last = world.append(vec![unknown("b")]).await?;
    app.reaches("passes", last).await?;
    expect_eq!(app.status("passes").await?.skipped, 3, "skipped events, with the rows");
    let (_, rows) = app.rows("passes", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows without the events that were skipped");
    // It is of the rows, whoever works on them.
    app.shut_down().await;
    let app = world.start(|app| app.projection::<Passes>()).await?;
    app.reaches("passes", last).await?;
    expect_eq!(app.status("passes").await?.skipped, 3, "skipped events in the next life");
    Ok(())
}

/// All that is parked, by pages of two.
async fn parked(app: &App, projection: &str) -> Verdict<Vec<Parked>> {
    let (mut events, mut after) = (Vec::new(), None);
    loop {
        let page = app.registry.parked(name(projection), after, 2).await;
        expect!(page.is_ok(), "a page of parked events, and not {page:?}");
        let Ok(page) = page else { return Ok(events) };
        expect!(page.events.len() <= 2, "at most two events in a page of two");
        events.extend(page.events);
        expect!(events.is_sorted_by_key(|event| event.position), "parked events in the order of the log");
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(events),
        }
    }
}

fn positions(parked: &[Parked]) -> Vec<Position> {
    parked.iter().map(|event| event.position).collect()
}

async fn parking_holds_a_stream(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Parks>()).await?;
    world.append(sums("a", &[1])).await?;
    let before = world.log_until(Some(Position::MAX)).await?;
    let bad = world.append(vec![poison("a")]).await?;
    let other = world.append(sums("b", &[7])).await?;
    let held = world.append(sums("a", &[3])).await?;
    let last = world.append(sums("a", &[4])).await?;
    app.until("parks", "three parked events", |status| status.parked == 3).await?;
    app.reaches("parks", other).await?;
    for position in [bad, held, last] {
        let waited = app.waits("parks", position).await?;
        expect_is!(waited, Err(WaitError::Parked { position: at, .. }) if *at == position, "a wait for a parked event");
    }
    let (_, rows) = app.rows("parks", None).await?;
    let mut wanted = fold(&before, 1);
    wanted.extend(fold(&world.log_until(Some(other)).await?, 1).into_iter().filter(|(account, _)| account == "b"));
    expect_eq!(rows, wanted, "rows while the events of one stream wait");
    let waiting = parked(&app, "parks").await?;
    expect_eq!(positions(&waiting), [bad, held, last], "the parked events");
    let is_told = |event: &Parked| event.stream == "booking-a" && !event.reason.is_empty();
    expect!(waiting.iter().all(is_told), "events of one stream, each with a reason, and not {waiting:?}");
    Ok(())
}

fn label(label: Option<&str>, count: i64) -> Vec<Cell> {
    vec![label.map_or(Cell::Null, |label| Cell::Text(label.into())), Cell::Integer(count)]
}

fn rows_of<const N: usize>(rows: [(&str, Vec<Cell>); N]) -> BTreeMap<String, Vec<Cell>> {
    rows.into_iter().map(|(key, cells)| (key.to_owned(), cells)).collect()
}

async fn parking_holds_a_key_until_it_is_retried(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Labels>()).await?;
    world.append(vec![labelled("a", Some("red"))]).await?;
    // In one batch with what is in order, so that it has to be found.
    let bad = world.append(vec![labelled("c", Some("blue")), labelled("b", Some("red"))]).await?;
    // Uniqueness is judged by what a batch comes to: the next label would make it good within one.
    let first = app.until("labels", "a parked event", |status| status.parked == 1).await?;
    // As long as another has the label it does not help.
    app.acts("labels", ProjectionAction::Retry(Some(bad))).await?;
    let again = app.until("labels", "a later failure", |status| failed_at(status) > failed_at(&first)).await?;
    expect_eq!(again.parked, 1, "parked events, as before");
    let held = world.append(vec![labelled("b", Some("green"))]).await?;
    let last = world.append(vec![labelled("d", None)]).await?;
    app.reaches("labels", last).await?;
    expect_eq!(positions(&parked(&app, "labels").await?), [bad, held], "the parked events");
    let keys: Vec<_> = parked(&app, "labels").await?.into_iter().map(|event| event.key).collect();
    expect!(keys.iter().all(|key| key.as_ref().is_some_and(|key| *key == "b")), "the key that waits, not {keys:?}");
    let (_, rows) = app.rows("labels", None).await?;
    let before = [("a", label(Some("red"), 1)), ("c", label(Some("blue"), 1)), ("d", label(None, 1))];
    expect_eq!(rows, rows_of(before), "rows while the events of one key wait");

    let freed = world.append(vec![labelled("a", None)]).await?;
    app.reaches("labels", freed).await?;
    app.acts("labels", ProjectionAction::Retry(None)).await?;
    app.until("labels", "no parked events", |status| status.parked == 0).await?;
    let (_, rows) = app.rows("labels", None).await?;
    let after =
        [("a", label(None, 2)), ("b", label(Some("green"), 2)), ("c", label(Some("blue"), 1)), ("d", label(None, 1))];
    expect_eq!(rows, rows_of(after), "rows after the parked events were applied, each once");
    app.reaches("labels", held).await?;
    let next = world.append(vec![labelled("b", Some("black"))]).await?;
    app.reaches("labels", next).await?;
    let (_, rows) = app.rows("labels", None).await?;
    expect_eq!(rows.get("b"), Some(&label(Some("black"), 3)), "the row of the key, which waits no longer");
    Ok(())
}

async fn a_parked_event_is_dropped(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Labels>()).await?;
    world.append(vec![labelled("a", Some("red"))]).await?;
    let bad = world.append(vec![labelled("b", Some("red"))]).await?;
    app.until("labels", "a parked event", |status| status.parked == 1).await?;
    let held = world.append(vec![labelled("b", Some("green"))]).await?;
    app.until("labels", "two parked events", |status| status.parked == 2).await?;
    app.acts("labels", ProjectionAction::Drop(bad)).await?;
    // What waited for it is free to go.
    app.until("labels", "no parked events", |status| status.parked == 0).await?;
    app.reaches("labels", held).await?;
    let (_, rows) = app.rows("labels", None).await?;
    let wanted = [("a", label(Some("red"), 1)), ("b", label(Some("green"), 1))];
    expect_eq!(rows, rows_of(wanted), "rows without the event that was dropped");
    expect_eq!(positions(&parked(&app, "labels").await?), [], "parked events after all");
    Ok(())
}

async fn what_is_parked_outlives_its_worker(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let app = world.start(|app| app.projection::<Labels>()).await?;
    world.append(vec![labelled("a", Some("red"))]).await?;
    let bad = world.append(vec![labelled("b", Some("red"))]).await?;
    app.until("labels", "a parked event", |status| status.parked == 1).await?;
    app.shut_down().await;
    let held = world.append(vec![labelled("b", Some("green")), labelled("a", None)]).await?;
    let app = world.start(|app| app.projection::<Labels>()).await?;
    app.reaches("labels", held).await?;
    let waiting = parked(&app, "labels").await?;
    expect_eq!(waiting.len(), 2, "parked events in the next life: {waiting:?}");
    expect_eq!(waiting.first().map(|event| event.position), Some(bad), "the first of them");
    app.acts("labels", ProjectionAction::Retry(None)).await?;
    app.until("labels", "no parked events", |status| status.parked == 0).await?;
    let (_, rows) = app.rows("labels", None).await?;
    expect_eq!(rows, rows_of([("a", label(None, 2)), ("b", label(Some("green"), 2))]), "rows after all");
    Ok(())
}
