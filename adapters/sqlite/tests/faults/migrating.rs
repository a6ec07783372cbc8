//! Files of older formats.

use crate::{Folder, event, key, name, read_all};
use portolan_kernel::ports::{EventStore, Snapshot, SnapshotStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;

/// Rows that did not change since, in tables that did.
const AS_VERSION_1: &str = "
INSERT INTO store SELECT * FROM new.about_store;
INSERT INTO streams SELECT number, name FROM new.streams;
INSERT INTO kinds SELECT number, category, type FROM new.kinds;
INSERT INTO log SELECT position, stream, revision, kind, version, format, recorded_at, id, tags, payload, metadata, checksum
    FROM new.log;
INSERT INTO tags SELECT name, position FROM new.tag_events JOIN new.tags ON number = tag;
INSERT INTO keys SELECT scope, id, digest, note, outcome, recorded_at, checksum FROM new.keys;
INSERT INTO checkpoints SELECT * FROM new.checkpoints;
INSERT INTO snapshots SELECT * FROM new.snapshots;
PRAGMA application_id = 0x50544C4E;
PRAGMA user_version = 1;
";

async fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    for n in 0..300_u32 {
        let tags = (0..n % 3).map(|tag| name(format!("tag {}", (n + tag) % 5)));
        let mut told = event(&format!("s{}-{}", n % 2, n % 7), n.to_string()).with_tags(tags);
        told.event_type = name(format!("type {}", n % 3));
        store.append(Append::new([told]).key(key(&n.to_string()))).await.unwrap();
    }
    let state = Snapshot::new(name("s0-0"), name("state"), Revision::new(2), 1, "{}", Timestamp::default());
    store.save(state).await.unwrap();
    folder
}

/// The same store, as the first version of this crate would have written it.
fn as_version_1(new: &Folder) -> Folder {
    let folder = Folder::new();
    let file = folder.other();
    file.pragma_update(None, "journal_mode", "wal").unwrap();
    file.execute_batch(include_str!("version_1.sql")).unwrap();
    file.execute("ATTACH ?1 AS new", [new.file().to_str().unwrap()]).unwrap();
    file.execute_batch(AS_VERSION_1).unwrap();
    folder
}

async fn find(store: &SqliteStore, item: Item) -> Vec<u64> {
    let page = store.read(Read::log(Query::of(item))).await.unwrap();
    page.events.iter().map(|event| event.position.get()).collect()
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date() {
    let new = filled().await;
    let old = as_version_1(&new);
    let (new, store) = (new.store().await, old.store().await);
    assert_eq!(store.capabilities().identity, new.capabilities().identity);
    assert_eq!(read_all(&store).await.unwrap(), read_all(&new).await.unwrap());
    for item in [
        Item::new().stream(name("s0-0")),
        Item::new().category(name("s1")),
        Item::new().event_type(name("type 2")),
        Item::new().tag(name("tag 3")),
        Item::new().tag(name("tag 3")).event_type(name("type 1")),
    ] {
        let found = find(&store, item.clone()).await;
        assert!(found.len() > 10, "{item:?} finds {}", found.len());
        assert_eq!(found, find(&new, item).await);
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    assert!(store.recall(name("test"), name("7")).await.unwrap().is_some());
    assert!(store.load(name("s0-0"), name("state"), None).await.unwrap().is_some());
    let next = event("s0-0", "next").with_tags([name("tag 3"), name("new")]);
    let appended = store.append(Append::new([next.clone()])).await.unwrap();
    assert_eq!(appended, new.append(Append::new([next])).await.unwrap());
    drop(store);
    let store = old.store().await;
    assert_eq!(find(&store, Item::new().tag(name("tag 3"))).await, find(&new, Item::new().tag(name("tag 3"))).await);
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn two_that_open_an_old_file_bring_it_up_to_date_once() {
    let old = as_version_1(&filled().await);
    let opened = futures::future::join_all((0..4).map(|_| old.store())).await;
    assert_eq!(read_all(&opened[3]).await.unwrap().len(), 300);
    assert_eq!(opened[0].verify().await.unwrap(), [""; 0]);
}

/// What version 5 made of version 4, undone.
const AS_VERSION_4: &str = "
PRAGMA legacy_alter_table = true;
ALTER TABLE log RENAME TO log_5;
CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    format INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    id BLOB NOT NULL,
    tags TEXT,
    payload ANY NOT NULL,
    metadata ANY NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_by_stream ON log (stream, revision);
INSERT INTO log SELECT position, stream, revision, kind, version, format, recorded_at, id, tags, payload, metadata, checksum
    FROM log_5;
DROP TABLE log_5;
ALTER TABLE streams DROP COLUMN position;
ALTER TABLE streams RENAME COLUMN last_revision TO last;
PRAGMA user_version = 4;
";

fn as_version_4(new: &Folder) {
    let file = new.other();
    file.execute_batch(AS_VERSION_4).unwrap();
    let mut streams = file.prepare("SELECT number, name, last FROM streams").unwrap();
    let rows = streams.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(i64, String, i64)> = rows.map(Result::unwrap).collect();
    for (number, name, last) in rows {
        let mut sealed = Vec::new();
        sealed.extend([b"\x07\0\0\0\0\0\0\0streams", number.to_le_bytes().as_slice()].concat());
        sealed.extend([(name.len() as u64).to_le_bytes().as_slice(), name.as_bytes()].concat());
        sealed.extend(last.to_le_bytes());
        let checksum = crc32c::crc32c(&sealed);
        file.execute("UPDATE streams SET checksum = ?2 WHERE number = ?1", [number, checksum.into()]).unwrap();
    }
}

fn as_version_3(new: &Folder) {
    as_version_4(new);
    new.other().execute_batch(AS_VERSION_3).unwrap();
}

/// What version 4 made of version 3, undone.
const AS_VERSION_3: &str = "
ALTER TABLE keys RENAME TO keys_4;
CREATE TABLE keys (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    note BLOB NOT NULL,
    outcome TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;
INSERT INTO keys SELECT scope, id, digest, note, outcome, recorded_at, checksum FROM keys_4;
DROP TABLE keys_4;
DROP TABLE key_index;
DROP TABLE keys_indexed;
PRAGMA user_version = 3;
";

/// What version 3 made of version 2, undone.
const AS_VERSION_2: &str = "
ALTER TABLE about_store RENAME TO store;
DROP TABLE collections;
DROP TABLE collection_versions;
DROP TABLE read_model_checkpoints;
DROP TABLE leases;
PRAGMA user_version = 2;
";

#[tokio::test]
async fn a_file_of_version_2_is_brought_up_to_date() {
    let old = filled().await;
    as_version_3(&old);
    old.other().execute_batch(AS_VERSION_2).unwrap();
    let store = old.store().await;
    assert_eq!(read_all(&store).await.unwrap().len(), 300);
    store.append(Append::new([event("s0-0", "next")])).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn keys_of_a_file_of_version_3_are_found() {
    let new = filled().await;
    let mut expected = Vec::new();
    let store = new.store().await;
    for n in 0..300 {
        expected.push(store.recall(name("test"), name(n.to_string())).await.unwrap());
    }
    drop(store);
    as_version_3(&new);
    for _ in 0..2 {
        let store = new.store().await;
        for (n, expected) in expected.iter().enumerate() {
            assert!(expected.is_some());
            assert_eq!(store.recall(name("test"), name(n.to_string())).await.unwrap(), *expected);
        }
        assert_eq!(store.recall(name("test"), name("300")).await.unwrap(), None);
        let repeated = store.append(Append::new([event("s0-0", "again")]).key(key("7"))).await.unwrap();
        assert!(repeated.repeated);
        assert_eq!(store.verify().await.unwrap(), [""; 0]);
    }
}

#[tokio::test]
async fn a_table_of_the_application_that_is_in_the_way_is_named() {
    let old = filled().await;
    as_version_3(&old);
    old.other().execute_batch("CREATE TABLE Key_Index (word TEXT)").unwrap();
    let refused = SqliteStore::open(old.file()).await.unwrap_err();
    let told = format!("{refused}: {:?}", core::error::Error::source(&refused));
    assert!(told.contains("called key_index, keys_indexed or keys_3"), "{told}");
    old.other().execute_batch("ALTER TABLE Key_Index RENAME TO words").unwrap();
    assert_eq!(old.store().await.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_older_program_that_has_the_file_open_writes_no_more() {
    const LOOK: &str = "SELECT identity, last_position, checksum FROM store";
    let (first, second) = (as_version_1(&filled().await), filled().await);
    as_version_3(&second);
    second.other().execute_batch(AS_VERSION_2).unwrap();
    for old in [first, second] {
        let older = old.other();
        let mut look = older.prepare(LOOK).unwrap();
        assert!(look.query_row([], |_| Ok(())).is_ok());
        drop(old.store().await);
        // It looks at this after every write of another process, before its own.
        assert!(look.query_row([], |_| Ok(())).is_err());
    }
}

#[tokio::test]
async fn a_stream_without_events_does_not_stop_the_migration() {
    let old = as_version_1(&filled().await);
    old.other().execute("INSERT INTO streams (name) VALUES ('empty-1')", []).unwrap();
    old.other().execute("INSERT INTO kinds (category, type) VALUES ('empty', 'none')", []).unwrap();
    let store = old.store().await;
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    let first = Append::new([event("empty-1", "1")]).expect(name("empty-1"), Expected::NoStream);
    store.append(first).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

/// Streams that are long enough for jumps of several sizes, and one of few events between.
async fn of_long_streams() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    for n in 0..20 {
        let told = (0..40).map(|m| event(&format!("s-{}", (n + m) % 3), format!("{n}.{m}")));
        store.append(Append::new(told)).await.unwrap();
        store.append(Append::new([event(&format!("few-{}", n % 7), n.to_string())])).await.unwrap();
    }
    folder
}

#[tokio::test]
async fn streams_of_a_file_of_version_4_are_read_and_go_on() {
    let folder = of_long_streams().await;
    let store = folder.store().await;
    let reads = || {
        ["s-0", "s-1", "s-2", "few-3"].into_iter().flat_map(|stream| {
            let all = Read::stream(name(stream)).limit(500);
            let from = |revision| Read::stream_after(name(stream), Some(Revision::new(revision))).limit(3);
            [
                all.clone(),
                all.clone().backward(),
                from(1),
                from(100),
                from(200).backward(),
                all.until(Position::new(400)),
            ]
        })
    };
    let mut expected = Vec::new();
    for read in reads() {
        expected.push(store.read(read).await.unwrap());
    }
    drop(store);
    as_version_4(&folder);
    folder.other().execute_batch("CREATE VIEW told AS SELECT count(*) AS events FROM log").unwrap();
    let store = folder.store().await;
    for (read, expected) in reads().zip(&expected) {
        assert_eq!(store.read(read.clone()).await.unwrap(), *expected, "{read:?}");
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    let told: i64 = folder.other().query_row("SELECT events FROM told", [], |row| row.get(0)).unwrap();
    assert_eq!(told, 820, "a view of the application shows the log as it did");
    for n in 0..100 {
        let expected = Expected::Exact(Revision::new(expected[0].events.len() as u64 - 1 + n));
        store.append(Append::new([event("s-0", "more")]).expect(name("s-0"), expected)).await.unwrap();
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_was_damaged_in_a_file_of_version_4_still_is() {
    for (damage, place) in [
        ("UPDATE streams SET last = last - 1 WHERE name = 's-0'", "table streams"),
        ("DELETE FROM log WHERE stream = 1 AND revision = 7", "table log"),
        ("DELETE FROM log WHERE stream = 1 AND revision = (SELECT max(revision) FROM log WHERE stream = 1)", "streams"),
        ("UPDATE streams SET name = CAST(x'ff' AS TEXT) WHERE name = 's-0'", "table streams"),
    ] {
        let folder = of_long_streams().await;
        as_version_4(&folder);
        folder.other().execute_batch(damage).unwrap();
        let store = folder.store().await;
        let places = store.verify().await.unwrap();
        assert!(places.iter().any(|found| found.contains(place)), "{damage}: {places:?}");
        // A stream whose name is gone, in its row and in the index, looks like one that never was.
        let is_read = store.read(Read::stream(name("s-0")).limit(500)).await.is_ok();
        assert_eq!(is_read, damage.contains("SET name"), "{damage}");
        if damage.contains("max(revision)") {
            assert!(store.read(Read::log(Query::of(Item::new().stream(name("s-0"))))).await.is_err());
            assert!(store.append(Append::new([event("s-0", "more")])).await.is_err());
        }
    }
}

#[tokio::test]
async fn an_index_that_lost_an_entry_is_made_anew_before_links_are() {
    let folder = of_long_streams().await;
    as_version_4(&folder);
    let file = folder.other();
    let index = "CREATE UNIQUE INDEX log_by_stream ON log (stream, revision)";
    file.execute_batch(&format!("DROP INDEX log_by_stream; {index} WHERE position <> 77; PRAGMA writable_schema = on"))
        .unwrap();
    file.execute("UPDATE sqlite_schema SET sql = ?1 WHERE name = 'log_by_stream'", [index]).unwrap();
    drop(file);
    let store = folder.store().await;
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_program_of_version_4_that_has_the_file_open_takes_no_stream_for_damaged() {
    let folder = filled().await;
    as_version_4(&folder);
    let older = folder.other();
    let mut look = older.prepare("SELECT name, last, checksum FROM streams WHERE number = ?1").unwrap();
    assert!(look.query_row([1], |_| Ok(())).is_ok());
    drop(folder.store().await);
    assert!(look.query_row([1], |_| Ok(())).is_err());
}

#[tokio::test]
async fn a_bound_on_the_file_does_not_keep_it_from_being_brought_up_to_date() {
    let folder = of_long_streams().await;
    as_version_4(&folder);
    let file = folder.other();
    file.execute_batch("VACUUM").unwrap();
    let pages: u32 = file.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(file);
    let store = SqliteStore::builder(folder.file()).max_pages(Some(pages)).open().await.unwrap();
    assert_eq!(read_all(&store).await.unwrap().len(), 820);
    store.append(Append::new([event("s-0", "more")])).await.unwrap();
}
