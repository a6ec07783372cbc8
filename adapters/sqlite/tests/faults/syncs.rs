//! Syncs, seen at the file system: a small library is loaded before the C library (`syncs.c`), writes down
//! each sync, and fails syncs and writes on demand. Each test runs itself again under it.

use crate::{Folder, block_on, event, key, name, payloads};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::{Durability, SqliteStore};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "PORTOLAN_TEST_SYNCS";

/// In the child: the folder to work in. In the parent: runs the child and gives the diary it leaves.
enum Role {
    Child(PathBuf),
    Parent(Vec<String>),
}

fn role(test: &str) -> Role {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Role::Child(folder.into());
    }
    let folder = Folder::new();
    let library = folder.path().join("syncs.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/syncs.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("LD_PRELOAD", &library)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && told.contains("1 passed"), "{told}");
    let diary = fs::read_to_string(folder.path().join("diary")).unwrap_or_default();
    Role::Parent(diary.lines().map(String::from).collect())
}

fn note(folder: &Path, line: &str) {
    let mut diary = fs::OpenOptions::new().append(true).create(true).open(folder.join("diary")).unwrap();
    writeln!(diary, "{line}").unwrap();
}

async fn open(folder: &Path, durability: Durability) -> SqliteStore {
    SqliteStore::builder(folder.join("log.db")).durability(durability).open().await.unwrap()
}

const WRITES: usize = 30;

fn write_and_note(folder: &Path, durability: Durability) {
    let store = block_on(open(folder, durability));
    for _ in 0..WRITES {
        note(folder, "ask");
        block_on(store.append(Append::new([event("s", "{}")]))).unwrap();
        note(folder, "acknowledged");
    }
}

/// How many writes were acknowledged after a sync of the write-ahead log.
fn synced(diary: &[String]) -> usize {
    let mut is_synced = false;
    let mut count = 0;
    for line in diary {
        match line.as_str() {
            "ask" => is_synced = false,
            "acknowledged" => count += usize::from(is_synced),
            line => is_synced |= line.starts_with("sync ") && line.ends_with("log.db-wal"),
        }
    }
    count
}

#[test]
fn a_sync_precedes_each_acknowledgement() {
    match role("syncs::a_sync_precedes_each_acknowledgement") {
        Role::Child(folder) => write_and_note(&folder, Durability::Full),
        Role::Parent(diary) => assert_eq!(synced(&diary), WRITES, "{diary:#?}"),
    }
}

/// The same eyes see that less is done where less is promised: so they do see.
#[test]
fn no_sync_precedes_an_acknowledgement_that_does_not_promise_it() {
    match role("syncs::no_sync_precedes_an_acknowledgement_that_does_not_promise_it") {
        Role::Child(folder) => write_and_note(&folder, Durability::SurvivesProcessCrashOnly),
        Role::Parent(diary) => {
            assert_eq!(diary.iter().filter(|line| *line == "acknowledged").count(), WRITES);
            assert!(synced(&diary) < 3, "{diary:#?}");
        }
    }
}

/// The mark of the commit is in the file, and whether it stays there nobody knows.
#[test]
fn a_sync_that_fails_leaves_the_outcome_unknown_and_the_key_settles_it() {
    let Role::Child(folder) = role("syncs::a_sync_that_fails_leaves_the_outcome_unknown_and_the_key_settles_it") else {
        return;
    };
    block_on(async {
        let store = open(&folder, Durability::Full).await;
        store.append(Append::new([event("s", "1")])).await.unwrap();
        fs::write(folder.join("fail-sync"), "").unwrap();
        let append = Append::new([event("s", "2")]).expect(name("s"), Expected::Exact(Revision::FIRST)).key(key("k"));
        let refused = store.append(append.clone()).await.unwrap_err();
        assert!(matches!(refused, AppendError::Unknown(_)), "{refused:?}");
        assert_eq!(payloads(&store).await, ["1"], "what is not acknowledged is not shown");
        fs::remove_file(folder.join("fail-sync")).unwrap();
        let appended = store.append(append).await.unwrap();
        assert_eq!(appended.streams[0].1, Some(Revision::new(1)));
        assert_eq!(payloads(&store).await, ["1", "2"]);
        drop(store);
        assert_eq!(payloads(&open(&folder, Durability::Full).await).await, ["1", "2"]);
    });
}

#[test]
fn a_disk_that_fills_up_while_committing_refuses_and_goes_on() {
    let Role::Child(folder) = role("syncs::a_disk_that_fills_up_while_committing_refuses_and_goes_on") else {
        return;
    };
    block_on(async {
        let store = open(&folder, Durability::Full).await;
        store.append(Append::new([event("s", "1")])).await.unwrap();
        fs::write(folder.join("fail-write"), "").unwrap();
        let refused = store.append(Append::new([event("s", "2")])).await.unwrap_err();
        assert!(matches!(refused, AppendError::Other(_)), "{refused:?}");
        assert!(refused.to_string().contains("full"), "{refused}");
        let refused = store.append(Append::default()).await.unwrap_err();
        assert!(refused.to_string().contains("full"), "whether it can write is told without an event: {refused}");
        assert_eq!(payloads(&store).await, ["1"]);
        fs::remove_file(folder.join("fail-write")).unwrap();
        store.append(Append::default()).await.unwrap();
        let appended = store.append(Append::new([event("s", "3")])).await.unwrap();
        assert_eq!(appended.streams[0].1, Some(Revision::new(1)));
        drop(store);
        assert_eq!(payloads(&open(&folder, Durability::Full).await).await, ["1", "3"]);
    });
}
