//! The sagas that have not ended, found by their slots: what whoever takes over a share of the work begins with.

use crate::trips::{Goes, Kind, World, named, sagas, stored, trip};
use futures::FutureExt as _;
use portolan::application::Storage;
use portolan::domain::saga::{End, Saga as _, SagaEvent, SagaState};
use portolan::drivers::{SAGA_SLOTS, saga_slot};
use portolan::ports::{ProjectionAction, ReadModelStore, SagaError, SagaPhase};
use portolan::values::{Append, SagaId, Timestamp};
use portolan_testing::Tracking;
use rstest::rstest;
use std::collections::BTreeSet;
use std::sync::Arc;

async fn open(world: &World, slots: std::ops::Range<u32>) -> BTreeSet<SagaId> {
    let end = world.end().await;
    let found = world.index.unfinished(&named(), slots, end).await.unwrap();
    let distinct: BTreeSet<_> = found.iter().map(|of| of.saga.clone()).collect();
    assert_eq!(distinct.len(), found.len(), "each once");
    distinct
}

#[rstest]
#[tokio::test]
async fn each_is_in_its_slot(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let world = World::new(kind).await;
    for n in 0..40 {
        world.goes(&trip(&n.to_string()), if n % 4 == 0 { Goes::Well } else { Goes::Later }).await;
    }
    let expected: BTreeSet<_> = (0..40).filter(|n| n % 4 != 0).map(|n| trip(&n.to_string())).collect();
    assert_eq!(open(&world, 0..SAGA_SLOTS).await, expected);
    assert_eq!(open(&world, 0..u32::MAX).await, expected);
    let mut of_all = BTreeSet::new();
    for shard in 0..16 {
        let slots = shard * 4_096..(shard + 1) * 4_096;
        let of_shard = open(&world, slots.clone()).await;
        assert!(of_shard.iter().all(|saga| slots.contains(&saga_slot(saga))));
        of_all.extend(of_shard);
    }
    assert_eq!(of_all, expected);
    // A range of one slot, and of none.
    let one = expected.first().unwrap();
    let slot = saga_slot(one);
    assert!(open(&world, slot..slot + 1).await.contains(one));
    assert_eq!(open(&world, slot..slot).await.len(), 0);

    let unfinished = world.index.unfinished(&named(), slot..slot + 1, None).await.unwrap();
    let waiting = unfinished.iter().find(|of| of.saga == *one).unwrap();
    let status = world.driver.status(one.clone()).await.unwrap().status;
    assert_eq!((waiting.phase, waiting.due), (SagaPhase::Waiting, status.due));
    assert!(waiting.due.is_some());
}

/// What is known to be there is found, however far behind the index is.
#[rstest]
#[tokio::test]
async fn it_waits_for_the_index(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let world = World::new(kind).await;
    for n in 0..50 {
        let saga = trip(&n.to_string());
        let started = world.start(&saga, Goes::Well).await;
        let slot = saga_slot(&saga);
        let found = world.index.unfinished(&named(), slot..slot + 1, started).await.unwrap();
        assert!(found.iter().any(|of| of.saga == saga), "{n}");
        world.drive(&saga).await;
        let end = world.end().await;
        let found = world.index.unfinished(&named(), slot..slot + 1, end).await.unwrap();
        assert!(found.iter().all(|of| of.saga != saga), "{n} has ended");
    }
    // A position that the log has not come to.
    let next = world.end().await.unwrap().get() + 1;
    let next = portolan::values::Position::new(next);
    let named = named();
    let mut waiting = Box::pin(world.index.unfinished(&named, 0..SAGA_SLOTS, next));
    for _ in 0..20 {
        assert!((&mut waiting).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    world.start(&trip("last"), Goes::Well).await;
    assert_eq!(waiting.await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_index_that_has_stopped_is_for_an_operator() {
    let world = World::new(Kind::Memory).await;
    world.start(&trip("a"), Goes::Well).await;
    world.caught_up().await;
    world.projections().act(sagas(), ProjectionAction::Pause).await.unwrap();
    // The worker sees it at its next look.
    while world.projections().status(sagas()).await.unwrap().state != portolan::ports::ProjectionState::Paused {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let started = world.start(&trip("b"), Goes::Well).await;
    let stopped = world.index.unfinished(&named(), 0..SAGA_SLOTS, started).await;
    let Err(SagaError::Other(source)) = stopped else { panic!("{stopped:?}") };
    assert!(source.to_string().contains("paused"), "{source}");
    assert_eq!(world.index.unfinished(&named(), 0..SAGA_SLOTS, None).await.unwrap().len(), 1, "what it has is there");
    world.projections().act(sagas(), ProjectionAction::Resume).await.unwrap();
    assert_eq!(open(&world, 0..SAGA_SLOTS).await.len(), 2);
}

/// What has ended is not read, however much there is of it.
#[rstest]
#[tokio::test]
async fn few_that_are_open_among_many(#[values(Kind::Memory, Kind::Sqlite)] kind: Kind) {
    let mut rows = None;
    let world = World::over(kind, |mut storage: Storage| {
        let tracked: Arc<dyn ReadModelStore> = storage.read_models.clone().unwrap();
        let tracked = Arc::new(Tracking::new(tracked));
        storage.read_models = Some(tracked.clone());
        rows = Some(tracked);
        storage
    });
    let world = world.await;
    let rows: Arc<Tracking<dyn ReadModelStore>> = rows.unwrap();
    let plan = Arc::new(crate::trips::Trips::<false, 1>::definition().plan().unwrap());
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let mut facts = Vec::new();
    for n in 0..10_000 {
        let saga = trip(&n.to_string());
        facts.push(stored(&saga, &SagaState::started(&saga, 1, plan.clone(), Arc::default(), at)));
        if n % 500 != 0 {
            facts.push(stored(&saga, &SagaEvent::Ended { at, end: End::Completed, left: Vec::new() }));
        }
    }
    for facts in facts.chunks(500) {
        world.storage.events.append(Append::new(facts.to_vec())).await.unwrap();
    }
    world.caught_up().await;
    let before = rows.finds().len();
    let found = open(&world, 0..SAGA_SLOTS).await;
    let expected: BTreeSet<_> = (0..20).map(|n| trip(&(n * 500).to_string())).collect();
    assert_eq!(found, expected);
    let asked: Vec<_> = rows.finds().into_iter().skip(before).filter(|call| call.asked.collection == sagas()).collect();
    let read: usize = asked.iter().map(|call| call.answered.as_ref().unwrap().as_ref().unwrap().rows.len()).sum();
    assert_eq!((asked.len(), read), (1, 20), "rows of no others");
    // And all of the ended ones are listed, a page at a time.
    let all = portolan::ports::ListSagas::all().phase(SagaPhase::Completed).limit(u32::MAX);
    let (page, next) = world.page(all.clone()).await;
    assert_eq!((page.len(), next.is_some()), (1_000, true));
    assert_eq!(world.ids(all).await.len(), 9_980);
}
