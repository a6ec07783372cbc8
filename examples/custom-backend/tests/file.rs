//! What happens to the file: torn and damaged in every place, and opened twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use portolan_example_custom_backend::{JournalError, JournalStore};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, EventType, NewEvent, Query, Read, StreamId};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const APPENDS: u8 = 3;

/// A journal with three appends of two events each, one with a payload that is no text.
async fn journal(path: &Path) -> Vec<u8> {
    let store = JournalStore::open(path).unwrap();
    for n in 0..APPENDS {
        let event = |payload| NewEvent::new(StreamId::new("s-1").unwrap(), EventType::new("t").unwrap(), payload);
        let events = [event(b"text\n".to_vec()), event(vec![0, 255, n])];
        store.append(Append::new(events)).await.unwrap();
    }
    std::fs::read(path).unwrap()
}

async fn events(store: &JournalStore) -> usize {
    store.read(Read::log(Query::all())).await.unwrap().events.len()
}

#[tokio::test(flavor = "current_thread")]
async fn a_torn_line_is_cut_off_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let whole = journal(&path).await;
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in header..=whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let store = JournalStore::open(&path).unwrap();
        let lines = whole[header..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(events(&store).await, lines * 2, "torn after {length} bytes");
        // And what is written next stands where the torn line stood.
        let next = NewEvent::new(StreamId::new("s-1").unwrap(), EventType::new("t").unwrap(), "{}");
        store.append(Append::new([next])).await.unwrap();
        drop(store);
        assert_eq!(events(&JournalStore::open(&path).unwrap()).await, lines * 2 + 1, "torn after {length} bytes");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn no_damaged_byte_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let whole = journal(&path).await;
    for at in 0..whole.len() {
        for damage in [1, 0x80, whole[at], whole[at] ^ b'\n'].into_iter().filter(|damage| *damage != 0) {
            let mut damaged = whole.clone();
            damaged[at] ^= damage;
            std::fs::write(&path, &damaged).unwrap();
            let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            match JournalStore::open(&path) {
                Err(JournalError::Corrupt { line: named, .. }) => assert_eq!(named, line, "byte {at}"),
                other => panic!("byte {at}, changed by {damage:#x}, gives {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_of_another_kind_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["", "milk", "milk\nbread\n"] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(JournalStore::open(&path), Err(JournalError::Corrupt { line: 1, .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_second_handle_is_refused_and_told_by_whom() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let store = JournalStore::open(&path).unwrap();
    match JournalStore::open(&path) {
        Err(JournalError::InUse { owner, .. }) => assert_eq!(owner, std::process::id().to_string()),
        other => panic!("{other:?}"),
    }
    drop(store);
    JournalStore::open(&path).unwrap();
}

/// Children have the files of their parent open until they run their own program.
#[test]
fn a_store_is_free_once_it_is_dropped_also_while_children_are_started() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log.journal");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let _ = Command::new("/nowhere").spawn();
            }
        });
        let opened = (0..2_000).find_map(|_| JournalStore::open(&path).err());
        is_over.store(true, Ordering::SeqCst);
        assert!(opened.is_none(), "{opened:?}");
    });
}
