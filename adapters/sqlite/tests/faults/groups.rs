//! Appends that share a transaction: each is judged as if those before it were in the file, and all of them are there
//! when it ends.

use crate::{Folder, event, name, read_all};
use core::pin::{Pin, pin};
use core::task::{Context, Waker};
use core::time::Duration;
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;

type Answer<'s> = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send + 's>>;

fn tagged(stream: &str, tags: &[&str]) -> NewEvent {
    event(stream, "{}").with_tags(tags.iter().map(name))
}

fn none_of(item: Item, after: Option<u64>) -> Guard {
    Guard::new(Query::of(item), after.and_then(Position::new))
}

/// Queues appends in this order.
fn queue(store: &SqliteStore, appends: impl IntoIterator<Item = Append>) -> Vec<Answer<'_>> {
    let queued = appends.into_iter().map(|append| {
        let mut answer = store.append(append);
        assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        answer
    });
    queued.collect()
}

/// So many events stand before the group.
const BEFORE: u64 = 100;

fn late() -> NewEvent {
    let mut late = tagged("late-1", &[]);
    late.event_type = name("thing.was_late");
    late
}

/// One of a type of its own, and then so many that a list is asked rather than the log.
async fn fill(store: &SqliteStore) {
    let others = (1..BEFORE).map(|_| tagged("s-1", &["old"]));
    store.append(Append::new(core::iter::once(late()).chain(others))).await.unwrap();
}

/// A group that the file refuses is tried again, each append alone; so this one holds nothing else that it could refuse.
#[tokio::test]
async fn a_guard_that_asks_a_list_sees_its_group() {
    let folder = Folder::new();
    let store = folder.store().await;
    fill(&store).await;
    let lock = folder.other();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let guarded = || Append::new([late()]).guard(none_of(Item::new().event_type(name("thing.was_late")), Some(1)));
    let first = queue(&store, [Append::default()]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let group = queue(&store, [guarded(), guarded()]);
    lock.execute_batch("ROLLBACK").unwrap();
    let mut found = Vec::new();
    for answer in first.into_iter().chain(group) {
        found.push(answer.await);
    }
    assert!(
        matches!(
            &found[..],
            [Ok(_), Ok(_), Err(AppendError::GuardFailed { position })] if position.get() == BEFORE + 1
        ),
        "{found:?}"
    );
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_group_is_judged_as_if_each_stood_alone() {
    let folder = Folder::new();
    let store = folder.store().await;
    fill(&store).await;
    // While another process holds the file the writer waits with the first, and the others become one group.
    let lock = folder.other();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = queue(&store, [Append::new([tagged("s-1", &["a"])])]);
    tokio::time::sleep(Duration::from_millis(50)).await;

    let tag = |tag: &str| Item::new().tag(name(tag));
    let kind = |kind: &str| Item::new().event_type(name(kind));
    let at = |n: u64| Some(BEFORE + n);
    let last = |n: u64| Expected::Exact(Revision::new(BEFORE - 2 + n));
    let wide = (0..20).map(|n| tagged(&format!("wide-{}", n % 10), &["wide", "a"][..1 + n % 2]));
    let appends = queue(
        &store,
        [
            Append::new([tagged("s-1", &["a"])]).expect(name("s-1"), last(1)),
            Append::new([tagged("s-1", &[])]).expect(name("s-1"), last(1)),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(tag("a"), at(1))),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(tag("a"), at(2))),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(tag("b"), None)),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(tag("b").tag(name("a")), None)),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(kind("thing.happened"), at(3))),
            Append::new([tagged("s-2", &["b"])]).guard(none_of(Item::new().stream(name("s-2")), at(4))),
            Append::new([tagged("s-2", &[])]),
            Append::new(wide),
            Append::new([tagged("s-3", &[])]).expect(name("wide-9"), Expected::Exact(Revision::new(1))),
        ],
    );
    let seen = std::sync::Arc::new(std::sync::Mutex::new(0));
    let noted = seen.clone();
    let frontier = Checkpoint::new(
        name("reader"),
        CheckpointState::new(store.capabilities().identity, None, Token(0)),
        Token(1),
        Move::At(Position::new(BEFORE + 26).unwrap()),
    );
    let mut work = pin!(store.commit_with(frontier, move |tables: &rusqlite::Connection| {
        *noted.lock().unwrap() = tables.query_row("SELECT count(*) FROM log", [], |row| row.get::<_, i64>(0))?;
        Ok(())
    }));
    assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let after = queue(&store, [Append::new([tagged("s-3", &["wide"])]).guard(none_of(tag("wide"), at(26)))]);
    lock.execute_batch("ROLLBACK").unwrap();

    let mut found = Vec::new();
    for answer in first.into_iter().chain(appends) {
        found.push(match answer.await {
            Ok(appended) => ("appended", appended.last.unwrap().get() - BEFORE),
            Err(AppendError::Conflict { actual, .. }) => ("conflict", actual.unwrap().get() - (BEFORE - 2)),
            Err(AppendError::GuardFailed { position }) => ("guard", position.get() - BEFORE),
            Err(other) => panic!("{other:?}"),
        });
    }
    let expected = [
        ("appended", 1),
        ("appended", 2),
        ("conflict", 2),
        ("guard", 2),
        ("appended", 3),
        ("guard", 3),
        ("appended", 4),
        ("guard", 4),
        ("appended", 5),
        ("appended", 6),
        ("appended", 26),
        ("appended", 27),
    ];
    assert_eq!(found, expected);
    work.await.unwrap();
    assert_eq!(*seen.lock().unwrap(), BEFORE.cast_signed() + 27, "the work sees what stands before it in the group");
    for answer in after {
        answer.await.unwrap();
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    let positions: Vec<_> = read_all(&store).await.unwrap().iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, (1..=BEFORE + 28).collect::<Vec<_>>());
    let stream = store.read(Read::stream(name("wide-9"))).await.unwrap();
    assert_eq!(stream.events.iter().map(|event| event.position.get()).collect::<Vec<_>>(), [BEFORE + 16, BEFORE + 26]);
}
