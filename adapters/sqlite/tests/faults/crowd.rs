//! Several handles, futures that are dropped, keys that expire.

use crate::{Folder, event, key, name, payloads};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Waker};
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Clock, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use std::time::Instant;

/// What one handle has cached the other changes.
#[tokio::test]
async fn two_handles_see_each_others_heads_and_positions() {
    let folder = Folder::new();
    let handles = [folder.store().await, folder.store().await];
    let mut last = None;
    for turn in 0..20_u64 {
        let store = &handles[usize::try_from(turn % 2).unwrap()];
        let expected = Expected::unchanged_since(turn.checked_sub(1).map(Revision::new));
        let stale = Append::new([event("s", "stale")]).expect(name("s"), Expected::unchanged_since(None));
        if turn > 0 {
            let conflict = store.append(stale).await.unwrap_err();
            assert!(
                matches!(conflict, AppendError::Conflict { actual: Some(actual), .. } if actual.get() == turn - 1),
                "{conflict:?}"
            );
        }
        let appended = store.append(Append::new([event("s", "{}")]).expect(name("s"), expected)).await.unwrap();
        assert!(appended.first > last);
        last = appended.last;
    }
}

#[tokio::test]
async fn another_handles_write_is_hinted_in_time() {
    let folder = Folder::new();
    let (reader, writer) = (folder.store().await, folder.store().await);
    let latency = reader.capabilities().hint_latency;
    let mut after = None;
    for _ in 0..5 {
        let waiting = reader.clone();
        let hint = tokio::spawn(async move { waiting.changed(Query::all(), after).await });
        // The longest pause between two looks has set in.
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(!hint.is_finished(), "nothing has changed");
        after = writer.append(Append::new([event("s", "{}")])).await.unwrap().last;
        let since = Instant::now();
        tokio::time::timeout(latency * 20, hint).await.expect("the hint never came").unwrap().unwrap();
        assert!(since.elapsed() < latency * 3, "{:?} is far more than {latency:?}", since.elapsed());
    }
}

#[tokio::test]
async fn dropped_appends_happen_wholly_and_harm_no_other() {
    let folder = Folder::new();
    let store = folder.store().await;
    for _ in 0..50 {
        let mut append = store.append(Append::new([event("s", "1"), event("s", "2")]));
        let _ = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(append);
        drop(store.append(Append::new([event("s", "never polled")])));
    }
    let last = store.append(Append::new([event("s", "3")])).await.unwrap();
    assert_eq!(last.streams[0].1, Some(Revision::new(100)));
    let found = payloads(&store).await;
    assert_eq!(found.len(), 101);
    assert!(found[..100].chunks(2).all(|pair| pair == ["1", "2"]));
}

#[tokio::test]
async fn the_last_handle_waits_for_what_is_queued() {
    let folder = Folder::new();
    let store = folder.store().await;
    let lock = folder.other();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..100 {
        let mut append = store.append(Append::new([event("s", number.to_string())]));
        let _ = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let dropping = std::thread::spawn(move || drop(store));
    std::thread::sleep(Duration::from_millis(20));
    lock.execute_batch("ROLLBACK").unwrap();
    dropping.join().unwrap();
    drop(lock);
    assert_eq!(payloads(&folder.store().await).await.len(), 100);
}

#[tokio::test]
async fn dropping_a_store_lets_those_who_wait_go() {
    let folder = Folder::new();
    let store = folder.store().await;
    let waiting = store.clone();
    let mut hint = waiting.changed(Query::all(), None);
    assert!(hint.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(hint);
    drop(waiting);
    drop(store);
    assert!(!folder.path().join("log.db-wal").exists(), "the last connection to close clears the log away");
}

/// Long pages would keep the threads of an async runtime from everybody else.
#[tokio::test]
async fn long_reads_leave_the_calling_thread_and_short_ones_do_not() {
    let folder = Folder::new();
    let store = folder.store().await;
    for _ in 0..5 {
        store.append(Append::new(vec![event("long-1", "{}"); 1_000])).await.unwrap();
    }
    store.append(Append::new(vec![event("short-1", "{}"); 100])).await.unwrap();
    let is_answered_at_once =
        |read: Read| store.read(read).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    let rare = Query::of(Item::new().tag(name("rare")));
    for long in [Read::log(Query::all()), Read::stream(name("long-1")), Read::log(rare.clone())] {
        assert!(!is_answered_at_once(long.clone().limit(long.limit.max(1_000))), "{long:?}");
    }
    for short in [
        Read::stream(name("short-1")),
        Read::stream(name("long-1")).backward().limit(10),
        Read::log(Query::all()).limit(100),
        Read::log_after(rare, Position::new(5_000)),
    ] {
        assert!(is_answered_at_once(short.clone()), "{short:?}");
    }
    let all = futures::future::join_all((0..50).map(|_| store.read(Read::log(Query::all()).limit(5_000)))).await;
    assert!(all.into_iter().all(|page| page.unwrap().events.len() == 5_000));
}

struct Turned(AtomicU64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn expired_keys_are_cleaned_up_along_the_way() {
    let folder = Folder::new();
    let clock = Arc::new(Turned(AtomicU64::new(1_000)));
    let store = SqliteStore::builder(folder.file())
        .clock(clock.clone())
        .key_retention(Some(Duration::from_secs(60)))
        .open()
        .await
        .unwrap();
    let keyed = |id: String| store.append(Append::default().key(key(&id)));
    for number in 0..100 {
        keyed(format!("old-{number}")).await.unwrap();
    }
    clock.0.fetch_add(59_999_999, Ordering::SeqCst);
    assert!(keyed("old-1".into()).await.unwrap().repeated);
    clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(store.recall(name("test"), name("old-1")).await.unwrap(), None);
    assert!(!keyed("old-1".into()).await.unwrap().repeated, "an expired key is absent");
    for number in 0..30 {
        keyed(format!("new-{number}")).await.unwrap();
    }
    let count = |like: &str| -> i64 {
        folder.other().query_row("SELECT count(*) FROM keys WHERE id LIKE ?1", [like], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("old-%"), count("new-%")), (1, 30));
}
