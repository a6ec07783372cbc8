//! Damaged files: an error that names the place, and the rest still served.

use crate::{Folder, event, key, name, read_all};
use portolan_kernel::ports::{AppendError, EventStore, ReadError, Snapshot, SnapshotError, SnapshotStore};
use portolan_kernel::values::*;
use std::fs;

/// Three events, a snapshot, a key and a checkpoint; closed.
async fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    for payload in ["first", "SECOND", "third"] {
        let told = event("s-1", format!("\"{payload}\"")).with_tags([name("a")]);
        store.append(Append::new([told]).key(key(payload))).await.unwrap();
    }
    let moved = store.checkpoint(name("reader")).await.unwrap();
    let moved = Checkpoint::new(name("reader"), moved, Token(1), Move::At(Position::new(2).unwrap()));
    store.append(Append::default().checkpoint(moved)).await.unwrap();
    let state = Snapshot::new(name("s-1"), name("state"), Revision::new(2), 1, "{}", Timestamp::default());
    store.save(state).await.unwrap();
    folder
}

fn corrupt<T: core::fmt::Debug>(outcome: Result<T, ReadError>, place: &str) {
    match outcome {
        Err(ReadError::Corrupt { place: found }) => assert!(found.contains(place), "{found} does not name {place}"),
        other => panic!("damage at {place} was not seen: {other:?}"),
    }
}

#[tokio::test]
async fn a_flipped_byte_of_a_payload_is_seen() {
    let folder = filled().await;
    let mut bytes = fs::read(folder.file()).unwrap();
    let at = bytes.windows(8).position(|window| window == b"\"SECOND\"").unwrap();
    bytes[at + 1] ^= 1;
    fs::write(folder.file(), bytes).unwrap();
    let store = folder.store().await;
    corrupt(read_all(&store).await, "table log, position 2");
    corrupt(store.read(Read::stream(name("s-1"))).await, "table log, position 2");
    corrupt(store.read(Read::log(Query::of(Item::new().tag(name("a")))).backward()).await, "table log, position 2");
    assert_eq!(store.read(Read::log(Query::all()).limit(1)).await.unwrap().events.len(), 1, "the first one is good");
    store.append(Append::new([event("s-1", "on it goes")])).await.unwrap();
}

#[tokio::test]
async fn a_mapped_file_shows_what_is_written_and_what_is_damaged() {
    let folder = filled().await;
    let open = || portolan_sqlite::SqliteStore::builder(folder.file()).mapped_bytes(1 << 30).open();
    let store = open().await.unwrap();
    for n in 4..500_u64 {
        store.append(Append::new([event("s-1", "more ".repeat(100))])).await.unwrap();
        let last = store.read(Read::stream(name("s-1")).backward().limit(1)).await.unwrap();
        assert_eq!(last.events[0].position.get(), n);
        if n % 100 == 0 {
            // The file grows, and pages that are mapped are written.
            folder.other().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
    }
    assert_eq!(read_all(&store).await.unwrap().len(), 499);
    drop(store);
    let mut bytes = fs::read(folder.file()).unwrap();
    // Pages that were split still have what moved to others.
    let all: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"SECOND")).collect();
    all.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(folder.file(), bytes).unwrap();
    corrupt(read_all(&open().await.unwrap()).await, "table log, position 2");
}

/// Every column of every table that has a checksum.
#[tokio::test]
async fn a_change_of_any_column_is_seen() {
    let columns = [
        "position = position + 100",
        "stream = stream + 1",
        "revision = revision + 100",
        "kind = kind + 1",
        "version = version + 1",
        "format = 1",
        "recorded_at = recorded_at + 1",
        "id = zeroblob(15)",
        "id = randomblob(16)",
        "tags = 'b'",
        "tags = NULL",
        "payload = x'00'",
        "payload = 7",
        "metadata = 'x'",
        "checksum = checksum + 1",
    ];
    for change in columns {
        let folder = filled().await;
        folder.other().execute(&format!("UPDATE log SET {change} WHERE position = 2"), []).unwrap();
        corrupt(read_all(&folder.store().await).await, "");
    }
    for change in ["digest = zeroblob(32)", "note = x'01'", "outcome = '9 9'", "recorded_at = recorded_at + 1"] {
        let folder = filled().await;
        folder.other().execute(&format!("UPDATE keys SET {change} WHERE id = 'first'"), []).unwrap();
        let store = folder.store().await;
        corrupt(store.recall(name("test"), name("first")).await, "table keys");
        let repeated = store.append(Append::new([event("s-1", "1")]).key(key("first"))).await;
        assert!(matches!(repeated, Err(AppendError::Corrupt { .. })), "{repeated:?}");
    }
    for change in ["position = 1", "position = NULL", "token = 7"] {
        let folder = filled().await;
        folder.other().execute(&format!("UPDATE checkpoints SET {change}"), []).unwrap();
        corrupt(folder.store().await.checkpoint(name("reader")).await, "table checkpoints");
    }
    for change in ["revision = 1", "version = 2", "format = 1", "taken_at = 1", "state = '[]'"] {
        let folder = filled().await;
        folder.other().execute(&format!("UPDATE snapshots SET {change}"), []).unwrap();
        let loaded = folder.store().await.load(name("s-1"), name("state"), None).await;
        assert!(matches!(loaded, Err(SnapshotError::Corrupt { .. })), "{change}: {loaded:?}");
    }
}

/// The checksum of an event has its type, and not the category that shares a number with it.
#[tokio::test]
async fn a_kind_of_another_category_is_seen() {
    let folder = filled().await;
    folder.store().await.append(Append::new([event("other-1", "1")])).await.unwrap();
    folder
        .other()
        .execute("UPDATE log SET kind = (SELECT kind FROM log WHERE position = 4) WHERE position = 2", [])
        .unwrap();
    corrupt(read_all(&folder.store().await).await, "table log, position 2");
}

#[tokio::test]
async fn a_missing_event_is_no_silent_end() {
    for position in [1, 2] {
        let folder = filled().await;
        folder.other().execute("DELETE FROM log WHERE position = ?1", [position]).unwrap();
        let store = folder.store().await;
        let place = format!("stream s-1, revision {}", position - 1);
        corrupt(store.read(Read::stream(name("s-1"))).await, &place);
        corrupt(store.read(Read::stream(name("s-1")).backward()).await, &place);
        corrupt(read_all(&store).await, &format!("table log, position {position}"));
    }
}

#[tokio::test]
async fn a_page_of_the_file_in_ruins_is_seen() {
    let folder = filled().await;
    let root: i64 = folder
        .other()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'log'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(folder.file()).unwrap();
    let start = (usize::try_from(root).unwrap() - 1) * 4_096;
    bytes[start..start + 4_096].fill(0xA5);
    fs::write(folder.file(), bytes).unwrap();
    let store = folder.store().await;
    corrupt(read_all(&store).await, "log.db");
    let refused = store.append(Append::new([event("s-1", "4")])).await.unwrap_err();
    assert!(matches!(refused, AppendError::Corrupt { .. }), "{refused:?}");
    assert_eq!(store.checkpoint(name("reader")).await.unwrap().token, Token(1), "other tables are good");
}

#[tokio::test]
async fn a_counter_that_went_back_gives_out_no_position_again() {
    let folder = filled().await;
    folder.other().execute("UPDATE about_store SET last_position = 1", []).unwrap();
    let opened = portolan_sqlite::SqliteStore::open(folder.file()).await;
    assert!(opened.is_err(), "the checksum of the counter does not fit");

    let folder = filled().await;
    let store = folder.store().await;
    folder.other().execute("DELETE FROM log", []).unwrap();
    let appended = store.append(Append::new([event("s-2", "4")])).await.unwrap();
    assert_eq!(appended.first, Position::new(4));
}
