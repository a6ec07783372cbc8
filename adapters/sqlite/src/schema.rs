//! The tables, and how a file of each older version comes to have them.

use crate::error::Fault;
use crate::key_index;
use crate::links::jump;
use crate::names::{self, Table};
use rusqlite::{Connection, ErrorCode, OptionalExtension};

/// All tables and views but those of read models, by the names that they have now.
pub(crate) const NAMES: [&str; 17] = [
    "about_store",
    "streams",
    "kinds",
    "log",
    "kind_events",
    "tags",
    "tag_events",
    "keys",
    "key_index",
    "keys_indexed",
    "checkpoints",
    "snapshots",
    "events",
    "collections",
    "collection_versions",
    "read_model_checkpoints",
    "leases",
];

type Migration = fn(&Connection) -> Result<(), Fault>;

/// The n-th brings a file from version n to n + 1.
const MIGRATIONS: [Migration; 5] = [to_version_1, to_version_2, to_version_3, to_version_4, to_version_5];

/// The version of the format this crate writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings what a file of this version has to [`VERSION`].
pub(crate) fn migrate(conn: &Connection, found: i64) -> Result<(), Fault> {
    let missing = MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default());
    for migration in missing {
        migration(conn)?;
    }
    Ok(())
}

// Few indexes: what a transaction costs is the number of B-tree leaves it touches. Stream names and kinds
// (category and type together) are interned, so that an event costs two small numbers in each of its two
// indexes, and one index on the kind serves queries by type, by category and by both. Rows of one kind go
// to one end of it, so it stays local however many streams there are.
const V1: &str = "
CREATE TABLE store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    identity BLOB NOT NULL,
    last_position INTEGER NOT NULL, -- kept here and not taken from the log: positions are never used again
    checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE kinds (
    number INTEGER PRIMARY KEY,
    category TEXT NOT NULL,
    type TEXT NOT NULL,
    UNIQUE (category, type)
) STRICT;
CREATE INDEX kinds_by_type ON kinds (type);

CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    format INTEGER NOT NULL,      -- 0: JSON, 1: binary
    recorded_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    id BLOB NOT NULL,             -- a UUID
    tags TEXT,                    -- one a line; NULL: none
    payload ANY NOT NULL,         -- TEXT where it is JSON, BLOB otherwise
    metadata ANY NOT NULL,
    checksum INTEGER NOT NULL     -- CRC-32C over all of it
) STRICT;
CREATE UNIQUE INDEX log_by_stream ON log (stream, revision);
CREATE INDEX log_by_kind ON log (kind);

CREATE TABLE tags (
    tag TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    note BLOB NOT NULL,
    outcome TEXT NOT NULL,        -- first and last position, then a line a stream: revision and name
    recorded_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY NOT NULL,
    position INTEGER,
    token INTEGER NOT NULL,       -- 64 bits without a sign, shown with one
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    format INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    state ANY NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (stream, kind, revision)
) STRICT;

-- The log as a person reads it.
CREATE VIEW events AS
SELECT log.position, streams.name AS stream, log.revision, kinds.type, log.version,
       strftime('%Y-%m-%d %H:%M:%S', log.recorded_at / 1000000, 'unixepoch')
           || format('.%06d', log.recorded_at % 1000000) AS recorded_at,
       log.payload, replace(log.tags, char(10), ', ') AS tags, log.metadata,
       lower(format('%s-%s-%s-%s-%s', substr(hex(log.id), 1, 8), substr(hex(log.id), 9, 4),
           substr(hex(log.id), 13, 4), substr(hex(log.id), 17, 4), substr(hex(log.id), 21))) AS id
FROM log JOIN streams ON streams.number = log.stream JOIN kinds ON kinds.number = log.kind;
";

fn to_version_1(conn: &Connection) -> Result<(), Fault> {
    Ok(conn.execute_batch(V1)?)
}

// Streams, kinds and tags become lists (see `lists`): each name has a checksum and a head, and what were indexes
// on the kind and the tag are tables of dense entries. An event still touches one leaf of each.
const V2: &str = "
ALTER TABLE streams ADD COLUMN last INTEGER NOT NULL DEFAULT -1; -- the last revision
ALTER TABLE streams ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE streams SET last = coalesce((SELECT max(revision) FROM log WHERE stream = number), -1);

ALTER TABLE kinds ADD COLUMN last INTEGER NOT NULL DEFAULT -1; -- the last n in kind_events
ALTER TABLE kinds ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
CREATE TABLE kind_events (
    kind INTEGER NOT NULL,
    n INTEGER NOT NULL,           -- from 0, dense
    position INTEGER NOT NULL,
    PRIMARY KEY (kind, n)
) STRICT, WITHOUT ROWID;
INSERT INTO kind_events
    SELECT kind, row_number() OVER (PARTITION BY kind ORDER BY position) - 1, position FROM log ORDER BY 1, 2;
UPDATE kinds SET last = coalesce((SELECT max(n) FROM kind_events WHERE kind = number), -1);
DROP INDEX log_by_kind;
DROP INDEX kinds_by_type;
CREATE INDEX kinds_by_type ON kinds (type, category);

ALTER TABLE tags RENAME TO tags_1;
CREATE TABLE tags (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL,        -- the last n in tag_events
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE tag_events (
    tag INTEGER NOT NULL,
    n INTEGER NOT NULL,           -- from 0, dense
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, n)
) STRICT, WITHOUT ROWID;
INSERT INTO tags (name, last, checksum) SELECT tag, count(*) - 1, 0 FROM tags_1 GROUP BY tag;
INSERT INTO tag_events
    SELECT tags.number, row_number() OVER (PARTITION BY tag ORDER BY position) - 1, position
    FROM tags_1 JOIN tags ON tags.name = tag ORDER BY 1, 2;
DROP TABLE tags_1;
";

fn to_version_2(conn: &Connection) -> Result<(), Fault> {
    conn.execute_batch(V2)?;
    for table in [Table::Streams, Table::Tags] {
        let mut names = conn.prepare(&format!("SELECT number, name, last FROM {}", table.name()))?;
        let mut seal = conn.prepare(&format!("UPDATE {} SET checksum = ?2 WHERE number = ?1", table.name()))?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            seal.execute([number, table.checksum(number, row.get_ref(1)?.as_str()?, row.get(2)?, None)])?;
        }
    }
    let mut kinds = conn.prepare("SELECT number, category, type, last FROM kinds")?;
    let mut seal = conn.prepare("UPDATE kinds SET checksum = ?2 WHERE number = ?1")?;
    let mut rows = kinds.query([])?;
    while let Some(row) = rows.next()? {
        let (category, event_type) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        let number = row.get(0)?;
        seal.execute([number, names::kind_checksum(number, category, event_type, row.get(3)?)])?;
    }
    Ok(())
}

// Read models and leases. The rows of a read model have a table of their own, see `tables`.
const V3: &str = "
-- A program of an older version looks at it after each write of another: it ends there, and writes nothing more.
ALTER TABLE store RENAME TO about_store;

CREATE TABLE collections (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    active INTEGER,               -- the version that readers see
    checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE collection_versions (
    collection INTEGER NOT NULL,
    version INTEGER NOT NULL,
    definition TEXT NOT NULL,     -- a line a column or index
    checksum INTEGER NOT NULL,
    PRIMARY KEY (collection, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE read_model_checkpoints (
    name TEXT PRIMARY KEY NOT NULL,
    store BLOB NOT NULL,          -- the identity of the log that the rows are made of
    position INTEGER,
    token INTEGER NOT NULL,       -- 64 bits without a sign, shown with one
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    name TEXT PRIMARY KEY NOT NULL,
    token INTEGER NOT NULL,       -- the largest that was granted
    holder TEXT,                  -- NULL: nobody
    time_to_live INTEGER NOT NULL, -- microseconds
    renewals INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

fn to_version_3(conn: &Connection) -> Result<(), Fault> {
    Ok(conn.execute_batch(V3)?)
}

// Keys stand in the order in which they came, see `key_index`: in a tree by key, each touched a leaf of its own.
const V4: &str = "
ALTER TABLE keys RENAME TO keys_3;
CREATE TABLE keys (
    number INTEGER PRIMARY KEY,   -- dense; the oldest go first, and the last one stays
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    note BLOB NOT NULL,
    outcome TEXT NOT NULL,        -- first and last position, then a line a stream: revision and name
    recorded_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
INSERT INTO keys (scope, id, digest, note, outcome, recorded_at, checksum)
    SELECT scope, id, digest, note, outcome, recorded_at, checksum FROM keys_3 ORDER BY recorded_at;
DROP TABLE keys_3;
CREATE TABLE key_index (
    hash INTEGER NOT NULL,        -- of scope and id
    number INTEGER NOT NULL,
    PRIMARY KEY (hash, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE keys_indexed (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last INTEGER NOT NULL,        -- the index has all keys up to this one
    checksum INTEGER NOT NULL
) STRICT;
";

fn to_version_4(conn: &Connection) -> Result<(), Fault> {
    if are_taken(conn, "'key_index', 'keys_indexed', 'keys_3'")? {
        return Err(Fault::Unfit(
            "the application has a table of its own that is called key_index, keys_indexed or keys_3, which are names of \
             the store from now on; rename it by a program of the version before",
        ));
    }
    conn.execute_batch(V4)?;
    key_index::build(conn)
}

// Events lead to those before them in their stream, see `links`: in an index by stream and revision, each touched a leaf of
// its own.
const V5: &str = "
CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    previous INTEGER NOT NULL,    -- the position of the event before it in its stream; 0: none
    jump INTEGER NOT NULL,        -- the position of one further back; 0: of the same
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    format INTEGER NOT NULL,      -- 0: JSON, 1: binary
    recorded_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    id BLOB NOT NULL,             -- a UUID
    tags TEXT,                    -- one a line; NULL: none
    payload ANY NOT NULL,         -- TEXT where it is JSON, BLOB otherwise
    metadata ANY NOT NULL,
    checksum INTEGER NOT NULL     -- CRC-32C over all of it but where it leads, which shows by what stands there
) STRICT;
ALTER TABLE streams ADD COLUMN position INTEGER NOT NULL DEFAULT 0; -- of the last event
-- A program of an older version reads no stream any more, instead of taking it for damaged.
ALTER TABLE streams RENAME COLUMN last TO last_revision;
";

fn to_version_5(conn: &Connection) -> Result<(), Fault> {
    if are_taken(conn, "'log_4'")? {
        return Err(Fault::Unfit(
            "the application has a table of its own that is called log_4, which the store needs for a while; rename it by \
             a program of the version before",
        ));
    }
    // The events of what the index has lost may still be there. Two events of one revision keep it from being made: then
    // what it has has to do.
    match conn.execute_batch("REINDEX log_by_stream") {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
        made => made?,
    }
    // Views go on naming the log, and not the table that it was.
    conn.pragma_update(None, "legacy_alter_table", true)?;
    conn.execute_batch("ALTER TABLE log RENAME TO log_4")?;
    conn.pragma_update(None, "legacy_alter_table", false)?;
    conn.execute_batch(V5)?;
    link_all(conn)?;
    Ok(conn.execute_batch("DROP TABLE log_4")?)
}

/// Fills the log from the one before, and the heads of streams.
fn link_all(conn: &Connection) -> Result<(), Fault> {
    let mut place = conn.prepare("SELECT position FROM log_4 WHERE stream = ?1 AND revision = ?2")?;
    let mut place = |stream, revision: i64| -> Result<Option<i64>, Fault> {
        Ok(place.query_row([stream, revision], |row| row.get(0)).optional()?)
    };
    let mut copy = conn.prepare(
        "INSERT INTO log SELECT position, stream, revision, ?2, ?3, kind, version, format, recorded_at, id, tags, payload, \
         metadata, checksum FROM log_4 WHERE position = ?1",
    )?;
    let mut events = conn.prepare("SELECT position, stream, revision FROM log_4 NOT INDEXED ORDER BY position")?;
    let mut rows = events.query([])?;
    while let Some(row) = rows.next()? {
        let (position, stream, revision): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let before = match (revision, jump(revision)) {
            (..=0, _) => (None, None),
            (_, far) if far == revision - 1 => (place(stream, far)?, None),
            (_, far) => (place(stream, revision - 1)?, place(stream, far)?),
        };
        // What is missing shows when it is read, as it did.
        copy.execute([position, before.0.unwrap_or(0), before.1.unwrap_or(0)])?;
    }
    let mut streams = conn.prepare("SELECT number, name, last_revision, checksum FROM streams NOT INDEXED")?;
    let mut seal = conn.prepare("UPDATE streams SET position = ?2, checksum = ?3 WHERE number = ?1")?;
    let mut rows = streams.query([])?;
    while let Some(row) = rows.next()? {
        let (number, last): (i64, i64) = (row.get(0)?, row.get(2)?);
        let Ok(name) = row.get_ref(1)?.as_str() else { continue };
        // What was damaged stays so, and so does a stream whose last event is missing.
        let position = if last < 0 { Some(0) } else { place(number, last)? };
        if let Some(position) = position
            && Table::Streams.checksum(number, name, last, None) == row.get::<_, i64>(3)?
        {
            seal.execute([number, position, Table::Streams.checksum(number, name, last, Some(position))])?;
        }
    }
    Ok(())
}

/// Whether the application has tables of these names.
fn are_taken(conn: &Connection, names: &str) -> Result<bool, Fault> {
    Ok(conn.prepare(&format!("SELECT 1 FROM sqlite_schema WHERE lower(name) IN ({names})"))?.exists([])?)
}
