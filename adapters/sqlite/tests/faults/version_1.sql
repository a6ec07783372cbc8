-- The tables of format version 1, as they were.
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
