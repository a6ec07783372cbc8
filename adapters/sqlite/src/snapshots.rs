//! Snapshots: rows beside the log, each with a checksum.

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::rows::{format_number, format_of, readable};
use portolan_kernel::Bytes;
use portolan_kernel::ports::{Snapshot, StoreId};
use portolan_kernel::values::{Name, Revision, StreamId, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

/// The largest state that is kept.
pub(crate) const MAX_STATE_BYTES: u64 = 64 << 20;

pub(crate) fn load(
    conn: &Connection,
    stream: &StreamId,
    kind: &Name,
    at_most: Option<Revision>,
) -> Result<Option<Snapshot>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT revision, version, format, taken_at, state, checksum FROM snapshots \
         WHERE stream = ?1 AND kind = ?2 AND revision <= ?3 ORDER BY revision DESC LIMIT 1",
    )?;
    let at_most = at_most.map_or(i64::MAX, |revision| i64::try_from(revision.get()).unwrap_or(i64::MAX));
    let row = statement
        .query_row(params![stream.as_str(), kind.as_str(), at_most], |row| {
            let (revision, version, format): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (taken_at, checked): (i64, i64) = (row.get(3)?, row.get(5)?);
            let state = match row.get_ref(4)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Bytes::copy_from_slice(bytes)),
                _ => None,
            };
            Ok((revision, version, format, taken_at, state, checked))
        })
        .optional()?;
    let Some((revision, version, format, taken_at, state, checked)) = row else {
        return Ok(None);
    };
    let snapshot = (|| {
        let revision_number = Revision::new(u64::try_from(revision).ok()?);
        let taken_at = Timestamp::from_micros(taken_at.cast_unsigned());
        let version = u32::try_from(version).ok()?;
        let snapshot = Snapshot::new(stream.clone(), kind.clone(), revision_number, version, state?, taken_at)
            .with_format(format_of(format)?);
        (checksum(&snapshot, revision) == checked).then_some(snapshot)
    })();
    match snapshot {
        Some(snapshot) => Ok(Some(snapshot)),
        None => Err(damaged(stream, kind, revision)),
    }
}

/// Tells of every snapshot whose row is damaged.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut all = conn.prepare("SELECT stream, kind, revision FROM snapshots")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (stream, kind) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let revision: i64 = row.get(2)?;
        let loaded = match (StreamId::new(stream), Name::new(kind), u64::try_from(revision)) {
            (Ok(stream), Ok(kind), Ok(revision)) => load(conn, &stream, &kind, Some(Revision::new(revision))),
            _ => Ok(None),
        };
        match loaded {
            Ok(Some(_)) => {}
            Ok(None) => tell(damaged(stream, kind, revision)),
            Err(fault) => tell(fault),
        }
    }
    Ok(())
}

fn damaged(stream: &str, kind: &str, revision: i64) -> Fault {
    Fault::Damaged(format!("table snapshots, stream {stream}, kind {kind}, revision {revision}"))
}

pub(crate) fn save(conn: &Connection, snapshot: &Snapshot) -> Result<(), Fault> {
    let revision = i64::try_from(snapshot.revision.get())
        .map_err(|_| Fault::Unfit("no stream has a revision as large as the snapshot's"))?;
    conn.prepare_cached("INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            snapshot.stream.as_str(),
            snapshot.kind.as_str(),
            revision,
            snapshot.version,
            format_number(snapshot.format),
            snapshot.taken_at.as_micros().cast_signed(),
            readable(&snapshot.state, snapshot.format),
            checksum(snapshot, revision)
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(conn: &Connection, stream: &StreamId, kind: &Name, below: Option<Revision>) -> Result<(), Fault> {
    // A bound past all numbers is none; so the largest revision is below it too.
    let below = below.and_then(|revision| i64::try_from(revision.get()).ok());
    conn.prepare_cached("DELETE FROM snapshots WHERE stream = ?1 AND kind = ?2 AND (?3 IS NULL OR revision < ?3)")?
        .execute(params![stream.as_str(), kind.as_str(), below])?;
    Ok(())
}

/// Deletes the snapshots that were folded from the log of this identity, as the kernel names their kinds: nobody
/// asks for them any more.
pub(crate) fn delete_of_log(conn: &Connection, log: StoreId) -> Result<(), Fault> {
    let end = format!("@{log}");
    conn.execute("DELETE FROM snapshots WHERE substr(kind, -length(?1)) = ?1", [end])?;
    Ok(())
}

fn checksum(snapshot: &Snapshot, revision: i64) -> i64 {
    Checksum::of("snapshots")
        .bytes(snapshot.stream.as_bytes())
        .bytes(snapshot.kind.as_bytes())
        .number(revision)
        .number(snapshot.version.into())
        .number(format_number(snapshot.format))
        .number(snapshot.taken_at.as_micros().cast_signed())
        .bytes(&snapshot.state)
        .get()
}
