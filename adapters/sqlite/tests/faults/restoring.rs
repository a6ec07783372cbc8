//! Files that are put back from a copy.

use crate::{Folder, event, name, payloads};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use std::fs;

fn moved(from: CheckpointState, to: u64) -> Append {
    Append::default().checkpoint(Checkpoint::new(name("reader"), from, Token(1), Move::At(Position::new(to).unwrap())))
}

#[tokio::test]
async fn a_restored_file_refuses_the_checkpoints_of_its_former_life() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.append(Append::new([event("s", "1")])).await.unwrap();
    drop(store);
    let copy = fs::read(folder.file()).unwrap();
    let store = folder.store().await;
    store.append(Append::new([event("s", "2")])).await.unwrap();
    // Whoever keeps this elsewhere has seen an event that the copy does not have.
    let old = store.checkpoint(name("reader")).await.unwrap();
    drop(store);
    fs::write(folder.file(), copy).unwrap();

    let restored = SqliteStore::builder(folder.file()).restored().open().await.unwrap();
    let identity = restored.capabilities().identity;
    assert_ne!(identity, old.store);
    assert_eq!(payloads(&restored).await, ["1"]);
    let refused = restored.append(moved(old, 1)).await.unwrap_err();
    assert!(matches!(refused, AppendError::WrongStore { named, actual } if (named, actual) == (old.store, identity)));
    let stands = restored.checkpoint(name("reader")).await.unwrap();
    restored.append(moved(stands, 1)).await.unwrap();
    assert_eq!(restored.verify().await.unwrap(), [""; 0]);
    drop(restored);

    let again = folder.store().await;
    assert_eq!(again.capabilities().identity, identity, "once, and not at each opening");
    assert_eq!(again.checkpoint(name("reader")).await.unwrap().position, Position::new(1));
}

#[tokio::test]
async fn a_handle_that_was_open_meanwhile_writes_no_more() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.append(Append::new([event("s", "1")])).await.unwrap();
    let restored = SqliteStore::builder(folder.file()).restored().open().await.unwrap();
    let refused = store.append(Append::new([event("s", "2")])).await.unwrap_err();
    assert!(matches!(refused, AppendError::Other(_)), "{refused:?}");
    assert!(refused.to_string().contains("open the store again"), "{refused}");
    restored.append(Append::new([event("s", "3")])).await.unwrap();
    assert_eq!(payloads(&restored).await, ["1", "3"]);
    assert_eq!(restored.verify().await.unwrap(), [""; 0]);
}
