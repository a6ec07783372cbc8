//! A disk that is full, as `max_page_count` makes it.

use crate::{Folder, event, key, name, payloads};
use portolan_kernel::ports::{AppendError, EventStore, Snapshot, SnapshotStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;

async fn small(folder: &Folder) -> SqliteStore {
    SqliteStore::builder(folder.file()).max_pages(Some(100)).open().await.unwrap()
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_room_is_used_again() {
    let folder = Folder::new();
    let store = small(&folder).await;
    let large = Snapshot::new(name("s"), name("state"), Revision::FIRST, 1, vec![1; 100_000], Timestamp::default());
    store.save(large).await.unwrap();
    let mut acknowledged = Vec::new();
    let refused = loop {
        let payload = format!("{:04}{}", acknowledged.len(), "x".repeat(2_000));
        match store.append(Append::new([event("s", payload.clone())]).key(key(&payload[..4]))).await {
            Ok(_) => acknowledged.push(payload),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Other(_)), "{refused:?}");
    assert!(refused.to_string().contains("full"), "{refused}");
    assert!(acknowledged.len() > 10);
    assert_eq!(payloads(&store).await, acknowledged);
    let unwritten = format!("{:04}", acknowledged.len());
    assert_eq!(store.recall(name("test"), name(&unwritten)).await.unwrap(), None);

    store.delete(name("s"), name("state"), None).await.unwrap();
    let next = Revision::new(acknowledged.len() as u64 - 1);
    let again = Append::new([event("s", "again")]).expect(name("s"), Expected::Exact(next)).key(key(&unwritten));
    let appended = store.append(again).await.unwrap();
    assert!(!appended.repeated);
    acknowledged.push("again".into());
    assert_eq!(payloads(&store).await, acknowledged);
    drop(store);
    assert_eq!(payloads(&folder.store().await).await, acknowledged);
}

/// One write too large for the disk stands between small ones, in one group.
#[tokio::test]
async fn one_failing_write_takes_no_other_with_it() {
    let folder = Folder::new();
    let store = small(&folder).await;
    store.append(Append::new([event("s", "0")])).await.unwrap();
    let lock = folder.other();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = |payload: String| {
        let store = store.clone();
        tokio::spawn(async move { store.append(Append::new([event("s", payload)])).await })
    };
    let writes = [write("1".into()), write("x".repeat(1 << 20)), write("2".into()), write("3".into())];
    tokio::time::sleep(core::time::Duration::from_millis(50)).await;
    lock.execute_batch("ROLLBACK").unwrap();
    let mut outcomes = Vec::new();
    for write in writes {
        outcomes.push(write.await.unwrap());
    }
    assert!(matches!(outcomes[1], Err(AppendError::Other(_))), "{:?}", outcomes[1]);
    for (outcome, revision) in [(&outcomes[0], 1), (&outcomes[2], 2), (&outcomes[3], 3)] {
        let appended = outcome.as_ref().unwrap();
        assert_eq!(appended.streams[0].1, Some(Revision::new(revision)));
    }
    assert_eq!(payloads(&store).await, ["0", "1", "2", "3"]);
}
