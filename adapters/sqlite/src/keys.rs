//! Append keys: what was asked, what came of it, and until when that is remembered.
//!
//! Keys are anything: in a tree by key, each append would write a leaf of its own. So their rows stand in the order in
//! which they came, and an index of hashes leads to them (see [`key_index`](crate::key_index)).

use crate::checksum::Checksum;
use crate::error::Fault;
use core::fmt::Write;
use core::time::Duration;
use portolan_kernel::Bytes;
use portolan_kernel::values::{Appended, IdempotencyKey, Position, Recalled, Revision, StreamId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// What is recorded under a key in one of these rows, unless it has expired at `now`. The newest row of the key tells.
pub(crate) fn find(
    conn: &Connection,
    (scope, id): (&str, &str),
    mut rows: Vec<i64>,
    retention: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Recalled>, Fault> {
    rows.sort_unstable_by(|one, other| other.cmp(one));
    rows.dedup();
    for number in rows {
        if let Some(row) = Row::load(conn, number)?
            && (&*row.scope, &*row.id) == (scope, id)
        {
            let has_expired = is_expired(row.recorded_at, retention, now);
            return if has_expired { Ok(None) } else { row.recalled().map(Some) };
        }
    }
    Ok(None)
}

struct Row {
    scope: String,
    id: String,
    digest: Vec<u8>,
    note: Vec<u8>,
    outcome: String,
    recorded_at: i64,
}

impl Row {
    /// The row of this number; `None` if it has been cleaned up.
    fn load(conn: &Connection, number: i64) -> Result<Option<Self>, Fault> {
        let mut statement = conn.prepare_cached(
            "SELECT scope, id, digest, note, outcome, recorded_at, checksum FROM keys WHERE number = ?1",
        )?;
        let row = statement
            .query_row([number], |row| {
                let (scope, id, digest) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (note, outcome, recorded_at) = (row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((Self { scope, id, digest, note, outcome, recorded_at }, row.get::<_, i64>(6)?))
            })
            .optional();
        let row = match row.map_err(Fault::from) {
            Err(fault) if fault.is_misread() => return Err(lost(number)),
            row => row?,
        };
        match row {
            Some((row, checksum)) if row.checksum() == checksum => Ok(Some(row)),
            Some((row, _)) => Err(row.damaged()),
            None if first(conn)?.is_none_or(|(first, _)| number < first) => Ok(None),
            None => Err(lost(number)),
        }
    }

    fn checksum(&self) -> i64 {
        let Self { scope, id, digest, note, outcome, recorded_at } = self;
        checksum(scope, id, digest, note, outcome, *recorded_at)
    }

    fn recalled(self) -> Result<Recalled, Fault> {
        let damaged = || self.damaged();
        let digest = <[u8; 32]>::try_from(&*self.digest).map_err(|_| damaged())?;
        let appended = decode(&self.outcome).ok_or_else(damaged)?;
        Ok(Recalled::new(appended.with_note(Bytes::from(self.note)).as_repeated(), digest))
    }

    fn damaged(&self) -> Fault {
        Fault::Damaged(format!("table keys, scope {}, id {}", self.scope, self.id))
    }
}

fn lost(number: i64) -> Fault {
    Fault::Damaged(format!("table keys, number {number}"))
}

/// Records what came of an append, as the row of this number.
pub(crate) fn record(
    conn: &Connection,
    number: i64,
    key: &IdempotencyKey,
    appended: &Appended,
    now: Timestamp,
) -> Result<(), Fault> {
    let outcome = encode(appended);
    let recorded_at = now.as_micros().cast_signed();
    let checksum = checksum(&key.scope, &key.id, &key.digest, &key.note, &outcome, recorded_at);
    conn.prepare_cached("INSERT OR FAIL INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
        number,
        key.scope.as_str(),
        key.id.as_str(),
        key.digest.as_slice(),
        &key.note[..],
        outcome,
        recorded_at,
        checksum
    ])?;
    Ok(())
}

/// The rows after this one, `limit` at most: their numbers, scopes and ids are told of, be they damaged or not.
pub(crate) fn after(
    conn: &Connection,
    number: i64,
    limit: usize,
    mut tell: impl FnMut(i64, &[u8], &[u8]),
) -> Result<(), Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement =
        conn.prepare_cached("SELECT number, scope, id FROM keys WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let mut rows = statement.query([number, limit])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column).map(|value| value.as_bytes().unwrap_or_default());
        tell(row.get(0)?, text(1)?, text(2)?);
    }
    Ok(())
}

/// The oldest row that is left: its number, and when it was recorded.
pub(crate) fn first(conn: &Connection) -> Result<Option<(i64, i64)>, Fault> {
    let mut first = conn.prepare_cached("SELECT number, recorded_at FROM keys ORDER BY number LIMIT 1")?;
    Ok(first.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Deletes the oldest rows as far as they have expired, `looks` at most, and never the last one: no number is given
/// twice. So one that was recorded while the clock was ahead keeps those after it until it expires itself.
pub(crate) fn sweep(conn: &Connection, looks: usize, retention: Duration, now: Timestamp) -> Result<(), Fault> {
    if !first(conn)?.is_some_and(|(_, recorded_at)| is_expired(recorded_at, Some(retention), now)) {
        return Ok(());
    }
    let mut oldest = conn.prepare_cached("SELECT number, recorded_at FROM keys ORDER BY number LIMIT ?1")?;
    let mut rows = oldest.query([i64::try_from(looks).unwrap_or(i64::MAX)])?;
    let mut expired = 0;
    while let Some(row) = rows.next()? {
        if !is_expired(row.get(1)?, Some(retention), now) {
            break;
        }
        expired = row.get(0)?;
    }
    drop(rows);
    conn.prepare_cached("DELETE FROM keys WHERE number <= ?1 AND number < (SELECT max(number) FROM keys)")?
        .execute([expired])?;
    Ok(())
}

/// Tells of every key whose row is damaged or gone; the numbers of rows have no gaps.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut numbers = conn.prepare("SELECT number FROM keys ORDER BY number")?;
    let mut rows = numbers.query([])?;
    let mut expected = None;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if expected.is_some_and(|expected| number != expected) {
            tell(lost(number - 1));
        }
        expected = Some(number.saturating_add(1));
        match Row::load(conn, number) {
            Ok(None) => tell(lost(number)),
            Ok(Some(row)) => drop(row.recalled().map_err(&mut tell)),
            Err(fault) => tell(fault),
        }
    }
    Ok(())
}

fn is_expired(recorded_at: i64, retention: Option<Duration>, now: Timestamp) -> bool {
    let recorded_at = Timestamp::from_micros(recorded_at.cast_unsigned());
    retention.is_some_and(|retention| now >= recorded_at.plus(retention))
}

fn checksum(scope: &str, id: &str, digest: &[u8], note: &[u8], outcome: &str, recorded_at: i64) -> i64 {
    Checksum::of("keys")
        .bytes(scope.as_bytes())
        .bytes(id.as_bytes())
        .bytes(digest)
        .bytes(note)
        .bytes(outcome.as_bytes())
        .number(recorded_at)
        .get()
}

/// `first last`, then a line `revision stream` for each stream; `-` for none. Names have no line breaks.
fn encode(appended: &Appended) -> String {
    fn number(number: Option<u64>, into: &mut String) {
        // Writing to a string cannot fail.
        let _ = match number {
            Some(number) => write!(into, "{number}"),
            None => into.write_str("-"),
        };
    }
    let names: usize = appended.streams.iter().map(|(stream, _)| stream.len()).sum();
    let mut text = String::with_capacity(names + 24 * (appended.streams.len() + 1));
    number(appended.first.map(Position::get), &mut text);
    text.push(' ');
    number(appended.last.map(Position::get), &mut text);
    for (stream, revision) in &appended.streams {
        text.push('\n');
        number(revision.map(Revision::get), &mut text);
        text.push(' ');
        text.push_str(stream);
    }
    text
}

fn decode(text: &str) -> Option<Appended> {
    let number = |text: &str| if text == "-" { Some(None) } else { text.parse::<u64>().ok().map(Some) };
    let position = |text: &str| match number(text)? {
        None => Some(None),
        Some(number) => Position::new(number).map(Some),
    };
    let mut lines = text.split('\n');
    let (first, last) = lines.next()?.split_once(' ')?;
    let streams = lines.map(|line| {
        let (revision, stream) = line.split_once(' ')?;
        Some((StreamId::new(stream).ok()?, number(revision)?.map(Revision::new)))
    });
    Some(Appended::new(position(first)?, position(last)?, streams.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_back_as_it_was() {
        let streams =
            vec![(StreamId::new("a b-1").unwrap(), Some(Revision::new(3))), (StreamId::new("-").unwrap(), None)];
        let appended = Appended::new(Position::new(1), Position::new(4), streams);
        assert_eq!(decode(&encode(&appended)), Some(appended));
        let nothing = Appended::new(None, None, Vec::new());
        assert_eq!(decode(&encode(&nothing)), Some(nothing));
    }
}
