//! Another process that holds the file.

use crate::{Folder, event, payloads};
use core::time::Duration;
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::{OpenError, SqliteStore};

#[tokio::test]
async fn a_lock_held_too_long_is_busy_and_the_store_goes_on() {
    let folder = Folder::new();
    let store = SqliteStore::builder(folder.file()).busy_timeout(Duration::from_millis(50)).open().await.unwrap();
    store.append(Append::new([event("s", "1")])).await.unwrap();
    let other = folder.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.append(Append::new([event("s", "2")])).await.unwrap_err();
    assert!(matches!(refused, AppendError::Busy(_)), "{refused:?}");
    assert_eq!(payloads(&store).await, ["1"], "reads do not wait for writers");
    other.execute_batch("ROLLBACK").unwrap();
    store.append(Append::new([event("s", "3")])).await.unwrap();
    assert_eq!(payloads(&store).await, ["1", "3"]);
}

#[tokio::test]
async fn a_file_held_exclusively_is_not_opened() {
    let folder = Folder::new();
    drop(folder.store().await);
    let other = folder.other();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM snapshots;").unwrap();
    let refused = SqliteStore::builder(folder.file()).busy_timeout(Duration::from_millis(50)).open().await.unwrap_err();
    assert!(matches!(refused, OpenError::Busy { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_loses_nothing() {
    let folder = Folder::new();
    let store = SqliteStore::builder(folder.file()).queue_capacity(3).open().await.unwrap();
    let other = folder.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writes: Vec<_> = (0..20)
        .map(|number: u32| {
            let store = store.clone();
            tokio::spawn(async move { (number, store.append(Append::new([event("s", number.to_string())])).await) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    other.execute_batch("ROLLBACK").unwrap();
    let (mut acknowledged, mut busy) = (Vec::new(), 0);
    for write in writes {
        match write.await.unwrap() {
            (number, Ok(_)) => acknowledged.push(number.to_string()),
            (_, Err(AppendError::Busy(_))) => busy += 1,
            (_, Err(other)) => panic!("{other}"),
        }
    }
    // The writer may have taken some before it met the lock.
    assert!(busy >= 10 && acknowledged.len() >= 3, "{busy} busy, {} written", acknowledged.len());
    let mut found = payloads(&store).await;
    found.sort();
    acknowledged.sort();
    assert_eq!(found, acknowledged);
}
