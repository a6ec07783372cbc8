//! Real stores in pairs.

use super::between::Wrong;
use super::history::{World, is_as_the_model, log, old};
use crate::events::UserEvent;
use portolan::domain::Upcasters;
use portolan::drivers::{Migration, ReplayClock};
use portolan::ports::EventStore;
use portolan::values::{NewEvent, Timestamp};
use portolan::{MemoryStore, SqliteStore};
use std::path::Path;
use std::sync::Arc;

async fn sqlite(folder: &Path, name: &str, clock: &Arc<ReplayClock>) -> Arc<dyn EventStore> {
    Arc::new(SqliteStore::builder(folder.join(name)).clock(clock.clone()).open().await.unwrap())
}

async fn told(store: &dyn EventStore) -> Vec<(NewEvent, Timestamp)> {
    log(store).await.iter().map(|event| (event.event.clone(), event.recorded_at)).collect()
}

/// From memory to a file, through the chain into another, and back into memory.
#[tokio::test]
async fn a_log_moves_from_store_to_store() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Wrong::Nothing);
    for _ in 0..40 {
        world.write(&(0..9).map(old).collect::<Vec<_>>()).await;
    }
    let clock = Arc::new(ReplayClock::new());
    let copy = async |from: &Arc<dyn EventStore>, to: &Arc<dyn EventStore>, upcasters: Upcasters| {
        let migration = Migration::new(from.clone(), to.clone(), Arc::new(upcasters)).keep_times(clock.clone());
        let copied = migration.run(|_| {}).await.unwrap();
        assert_eq!((migration.verify().await.unwrap().missing, copied.position), (0, copied.frontier));
    };
    let first = sqlite(folder.path(), "first", &clock).await;
    copy(&world.source, &first, Upcasters::new()).await;
    assert_eq!(told(&*first).await, told(&*world.source).await, "moved as it was");

    let second = sqlite(folder.path(), "second", &clock).await;
    copy(&first, &second, Upcasters::of::<UserEvent>().unwrap()).await;
    is_as_the_model(&*first, &*second).await.unwrap();

    let third: Arc<dyn EventStore> = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
    copy(&second, &third, Upcasters::of::<UserEvent>().unwrap()).await;
    assert_eq!(told(&*third).await, told(&*second).await, "what is current stays");
}

/// Many events, in few appends, with records on the way.
#[tokio::test]
async fn many_events_are_few_appends() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Wrong::Nothing);
    for _ in 0..25 {
        let all: Vec<_> =
            (0..1_000).map(|n| super::history::Old { together: true, ..old([8, 8, 8, 0, 6][n % 5]) }).collect();
        world.write(&all).await;
    }
    let target: Arc<dyn EventStore> = Arc::new(SqliteStore::builder(folder.path().join("copy")).open().await.unwrap());
    let mut appends = 0;
    let migration =
        Migration::new(world.source.clone(), target.clone(), Arc::new(Upcasters::of::<UserEvent>().unwrap()));
    let copied = migration.run(|_| appends += 1).await.unwrap();
    assert_eq!((copied.read, copied.written), (25_000, 20_000));
    assert!(appends <= 26, "{appends} appends");
    assert_eq!(migration.verify().await.unwrap().events, 20_000);
    let records = portolan::values::Read::stream(portolan::values::StreamId::new("$migration").unwrap());
    let records = target.read(records).await.unwrap().events.len();
    assert_eq!(records, 4, "the start, two on the way, and the end");
}

/// Nothing of it is copied with a wrong time, and the same file will do once it is opened with the clock.
#[tokio::test]
async fn a_target_with_another_clock_is_found_before_anything_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0), old(8)]).await;
    let clock = Arc::new(ReplayClock::new());
    let migration = |target: &Arc<dyn EventStore>| {
        Migration::new(world.source.clone(), target.clone(), Arc::new(Upcasters::new())).keep_times(clock.clone())
    };
    // At the start, and when it goes on.
    for copied in [0, 2] {
        let other: Arc<dyn EventStore> =
            Arc::new(SqliteStore::builder(folder.path().join("copy")).open().await.unwrap());
        let ended = migration(&other).run(|_| {}).await.unwrap_err().to_string();
        assert!(ended.contains("was not opened with the clock"), "{ended}");
        assert_eq!(log(&*other).await.len(), copied);
        drop(other);
        let target = sqlite(folder.path(), "copy", &clock).await;
        migration(&target).run(|_| {}).await.unwrap();
        assert_eq!(told(&*target).await, told(&*world.source).await);
        world.write(&[old(8)]).await;
    }
}
