//! Lists of sagas, by the index that is a projection of the kernel's own.

use crate::trips::{Goes, Kind, World, named, sagas, trip, trip_2};
use portolan::drivers::{SagaHandlers, SagaIndex};
use portolan::ports::{ActOnSaga, ListSagas, ProjectionAction, ProjectionState, SagaAction, SagaError, SagaPhase};
use portolan::ports::{ReadModelStore, RowsQuestion};
use portolan::values::{By, Name, SagaId, StreamId};
use rstest::rstest;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One in each phase, in the order of names and ids.
async fn trips(kind: Kind) -> (World, Vec<SagaId>) {
    let world = World::new(kind).await;
    for (id, goes) in
        [("b", Goes::Later), ("c", Goes::Stuck), ("d", Goes::Untold), ("e", Goes::Well), ("f", Goes::Unpaid)]
    {
        world.goes(&trip(id), goes).await;
    }
    world.goes(&trip_2("a"), Goes::Untold).await;
    world.driver.act(ActOnSaga::new(trip_2("a"), SagaAction::Abort)).await.unwrap();
    world.start(&trip_2("b,c"), Goes::Well).await;
    world.start(&trip("a"), Goes::Well).await;
    world.caught_up().await;
    let all = vec![trip("a"), trip("b"), trip("c"), trip("d"), trip("e"), trip("f"), trip_2("a"), trip_2("b,c")];
    (world, all)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[rstest]
#[tokio::test]
async fn a_list_shows_what_the_status_does(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let (world, all) = trips(kind).await;
    let (listed, next) = world.page(ListSagas::all()).await;
    assert_eq!(next, None);
    let mut phases = BTreeSet::new();
    for (summary, saga) in listed.iter().zip(&all) {
        assert_eq!(*summary, world.driver.status(saga.clone()).await.unwrap());
        phases.insert(summary.status.phase);
    }
    assert_eq!((listed.len(), phases.len()), (all.len(), SagaPhase::ALL.len()));
    assert!(listed.iter().all(|summary| summary.lacks.is_none() && !summary.status.is_overdue));

    world.clock.advance(Duration::from_secs(7_200));
    let (listed, _) = world.page(ListSagas::all()).await;
    let overdue: Vec<_> = listed.iter().filter(|summary| summary.status.is_overdue).map(|of| of.saga.clone()).collect();
    assert_eq!(overdue, [trip("a"), trip("b"), trip("c"), trip("d"), trip_2("b,c")]);
}

#[rstest]
#[case::all(None, &[], "trip/a trip/b trip/c trip/d trip/e trip/f trip-2/a trip-2/b,c")]
#[case::by_name(Some("trip"), &[], "trip/a trip/b trip/c trip/d trip/e trip/f")]
#[case::by_a_longer_name(Some("trip-2"), &[], "trip-2/a trip-2/b,c")]
#[case::by_a_name_that_is_none(Some("trip,a"), &[], "")]
#[case::by_an_unheard_of_name(Some("trips"), &[], "")]
#[case::by_phase(None, &[SagaPhase::Running], "trip/a trip-2/b,c")]
#[case::by_name_and_phase(Some("trip-2"), &[SagaPhase::Running], "trip-2/b,c")]
#[case::by_phases(None, &[SagaPhase::Aborted, SagaPhase::Running, SagaPhase::Completed], "trip/a trip/e trip-2/a trip-2/b,c")]
#[case::by_name_and_phases(Some("trip"), &[SagaPhase::Waiting, SagaPhase::NeedsOperator], "trip/b trip/d")]
#[case::by_name_and_other_phases(Some("trip-2"), &[SagaPhase::Waiting, SagaPhase::NeedsOperator], "")]
#[case::by_every_phase(None, &SagaPhase::ALL, "trip/a trip/b trip/c trip/d trip/e trip/f trip-2/a trip-2/b,c")]
#[tokio::test]
async fn filters_and_pages(
    #[case] named: Option<&str>,
    #[case] phases: &[SagaPhase],
    #[case] found: &str,
    #[values(Kind::Memory, Kind::Sqlite)] kind: Kind,
) {
    let (world, all) = trips(kind).await;
    let mut list = ListSagas::all();
    list.name = named.map(name);
    list.phases = phases.iter().copied().collect();
    let expected: Vec<_> = found.split_whitespace().collect();
    for limit in [1, 2, 3, u32::MAX] {
        assert_eq!(world.ids(list.clone().limit(limit)).await, expected, "pages of {limit}");
    }
    // After any of them, whether that is in the list or not.
    for (at, saga) in all.iter().enumerate() {
        let after = list.clone().after(Some(format!("{},{}", saga.name(), saga.id())));
        let (sagas, _) = world.page(after).await;
        let expected = all[at + 1..].iter().filter(|of| expected.contains(&of.to_string().as_str()));
        assert!(sagas.iter().map(|summary| &summary.saga).eq(expected), "after {saga}: {sagas:?}");
    }
    // After all of a name, whether there are any.
    for past in ["a", "trip", "trip-1", "trip-2", "trips"] {
        let after = list.clone().after(Some(past.into()));
        let expected = expected.iter().filter(|of| *of.split_once('/').unwrap().0 > *past);
        assert!(world.ids(after).await.iter().eq(expected), "after {past}");
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused() {
    let world = World::new(Kind::Memory).await;
    let refused = async |list| match world.index.list(list).await {
        Err(SagaError::Invalid(violations)) => violations[0].path.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ListSagas::all().limit(0)).await, "limit");
    for cursor in ["", "TRIP", "trip,", "TRIP,a", "trip/a"] {
        assert_eq!(refused(ListSagas::all().after(Some(cursor.into()))).await, "after");
    }
}

/// Nothing is shown twice, and nothing that was there is left out, whatever happens between the pages.
#[rstest]
#[case::of_all(&[])]
#[case::of_some_phases(&[SagaPhase::Running, SagaPhase::Completed])]
#[tokio::test]
async fn pages_stay_stable_while_sagas_change(
    #[case] phases: &[SagaPhase],
    #[values(Kind::Memory, Kind::Sqlite)] kind: Kind,
) {
    let world = World::new(kind).await;
    for n in 0..20 {
        world.start(&trip(&format!("{:02}", n * 2)), Goes::Well).await;
    }
    world.caught_up().await;
    let (mut seen, mut after) = (Vec::new(), None);
    for n in 0.. {
        let mut list = ListSagas::all().limit(3).after(after);
        list.phases = phases.iter().copied().collect();
        let (sagas, next) = world.page(list).await;
        seen.extend(sagas.iter().map(|summary| summary.saga.id().to_string()));
        after = next;
        if after.is_none() {
            break;
        }
        // One more before and one after; one that was seen and one that was not go on.
        world.start(&trip(&format!("{n:02}x")), Goes::Well).await;
        world.start(&trip(&format!("{}x", 39 - n)), Goes::Well).await;
        world.drive(&trip(&format!("{:02}", n * 2))).await;
        world.drive(&trip(&format!("{:02}", 38 - n * 2))).await;
        world.caught_up().await;
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
    for n in 0..20 {
        assert!(seen.contains(&format!("{:02}", n * 2)), "{n} of {seen:?}");
    }
}

#[tokio::test]
async fn what_this_process_lacks_is_told() {
    let (world, _) = trips(Kind::Memory).await;
    let index = SagaIndex::new(world.projections(), world.clock.clone(), Arc::new(SagaHandlers::new()));
    let listed = index.list(ListSagas::all()).await.unwrap().sagas;
    for summary in listed {
        let lacks = summary.lacks.unwrap_or_default();
        let expected = if summary.status.phase.is_end() { "" } else { "there is no handler of trip" };
        assert!(lacks.starts_with(expected) && lacks.is_empty() == expected.is_empty(), "{lacks}");
    }
}

/// Before there are rows it says so.
#[tokio::test]
async fn a_list_before_the_index_is_ready_is_busy() {
    let world = World::new(Kind::Memory).await;
    // No worker has had its turn yet.
    let Err(SagaError::Busy(source)) = world.index.list(ListSagas::all()).await else { panic!("it is there") };
    assert!(source.to_string().contains("$sagas has not caught up"), "{source}");
    let unfinished = world.index.unfinished(&named(), 0..u32::MAX, None).await;
    assert!(matches!(unfinished, Err(SagaError::Busy(_))), "{unfinished:?}");
    world.start(&trip("a"), Goes::Well).await;
    world.caught_up().await;
    assert_eq!(world.ids(ListSagas::all()).await, ["trip/a"]);
}

/// For those who operate it is a projection like others.
#[rstest]
#[tokio::test]
async fn it_is_rebuilt(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let (world, all) = trips(kind).await;
    let registry = world.projections();
    let (before, _) = world.page(ListSagas::all()).await;
    let names: Vec<_> = registry.list().await.unwrap().into_iter().map(|status| status.name).collect();
    assert_eq!(names, [sagas()]);
    assert_eq!(registry.knows(&sagas()), Some(true));
    for (n, action) in [(1, ProjectionAction::Rebuild), (2, ProjectionAction::Reset)] {
        registry.act(sagas(), action).await.unwrap();
        let status = loop {
            let status = registry.status(sagas()).await.unwrap();
            let is_there = status.edition.is_some_and(|edition| edition.rebuild == n);
            if is_there && status.state == ProjectionState::CaughtUp {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        assert_eq!((status.parked, status.skipped, status.last_error), (0, 0, None));
        assert_eq!(world.page(ListSagas::all()).await.0, before);
    }
    world.goes(&trip("z"), Goes::Well).await;
    world.caught_up().await;
    assert_eq!(world.ids(ListSagas::all()).await.len(), all.len() + 1);
    let rows = registry.rows(RowsQuestion::page(sagas(), By::key()).limit(1)).await.unwrap();
    assert_eq!(rows.rows[0].key.as_str(), "trip,a");
}

/// A fact that cannot be read leaves the saga as it was shown, with the reason, and stops nothing.
#[rstest]
#[tokio::test]
async fn facts_from_the_future(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let (world, all) = trips(kind).await;
    let later = world.listed(&trip("b")).await.status;
    world.write(&trip("b").stream(), "$saga.dreamt", 1, "{}").await;
    world.write(&trip("c").stream(), "$saga.begun", 1, r#"{"at":1,"step":"book","way":"sideways"}"#).await;
    world.write(&trip("d").stream(), "$saga.turned-back", 2, r#"{"at":1,"reason":"who knows"}"#).await;
    world.write(&trip("e").stream(), "$saga.begun", 1, "no JSON").await;
    let start = r#"{"at":1700000000000000,"version":9,"deadline":1700000000000001,"plan":{"loops":1}}"#;
    world.write(&trip("new").stream(), "$saga.started", 1, start).await;
    let nothing = r#"{"at":1700000000000000,"reason":"?"}"#;
    world.write(&trip("headless").stream(), "$saga.turned-back", 1, nothing).await;
    // Streams of the category that are of no saga.
    for stream in ["$saga-Trip:1", "$saga-trip", "$saga"] {
        world.write(&StreamId::new(stream).unwrap(), "$saga.started", 1, "{}").await;
    }
    world.goes(&trip("z"), Goes::Well).await;
    world.caught_up().await;

    let status = world.projections().status(sagas()).await.unwrap();
    assert_eq!((status.parked, status.skipped, status.last_error), (0, 0, None));
    assert_eq!(world.ids(ListSagas::all()).await.len(), all.len() + 3);
    assert_eq!(world.listed(&trip("z")).await.status.phase, SagaPhase::Completed);
    assert_eq!(world.listed(&trip("e")).await.lacks, None, "it had ended");
    let waiting = world.listed(&trip("b")).await;
    assert_eq!(waiting.status, later);
    for (id, says) in
        [("b", "dreamt"), ("c", "sideways"), ("d", "version 2"), ("new", "loops"), ("headless", "first fact")]
    {
        let lacks = world.listed(&trip(id)).await.lacks.unwrap_or_default();
        assert!(lacks.contains("cannot be read by this code") && lacks.contains(says), "{id}: {lacks}");
    }
    world.clock.advance(Duration::from_micros(1));
    let new = world.listed(&trip("new")).await;
    assert_eq!((new.version, new.status.phase, new.status.is_overdue), (9, SagaPhase::Running, true), "{new:?}");
    let open = world.index.unfinished(&named(), 0..u32::MAX, None).await.unwrap();
    let open: Vec<_> = open.into_iter().map(|of| of.saga).collect();
    assert!(open.contains(&trip("new")) && open.contains(&trip("c")) && open.contains(&trip("headless")), "{open:?}");

    // Whoever could read them brings them to their end.
    world.write(&trip("new").stream(), "$saga.ended", 1, r#"{"at":1700000000000002,"end":"completed"}"#).await;
    world.caught_up().await;
    let new = world.listed(&trip("new")).await;
    assert_eq!((new.status.phase, new.lacks), (SagaPhase::Completed, None));
}

/// An application without sagas has no trace of it, and one with both has both.
#[tokio::test]
async fn stores_without_sagas_are_as_before() {
    use portolan::TokioRuntime as _;
    use portolan::application::Application;
    let store = portolan::MemoryStore::new();
    let application =
        Application::builder(store.clone(), portolan::application::Runtime::tokio()).build().await.unwrap();
    assert_eq!(application.ports().projections.list().await.unwrap(), []);
    assert_eq!(store.versions(sagas()).await.unwrap().defined, []);
    assert_eq!(application.ports().projections.knows(&sagas()), Some(false));
}
