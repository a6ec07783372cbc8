//! Append keys: what was asked, what came of it, and until when that is remembered.

use crate::checksum::Checksum;
use crate::error::Fault;
use core::fmt::Write;
use core::time::Duration;
use portolan_kernel::Bytes;
use portolan_kernel::values::{Appended, IdempotencyKey, Position, Recalled, Revision, StreamId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// What is recorded under a key, unless it has expired at `now`.
pub(crate) fn find(
    conn: &Connection,
    scope: &str,
    id: &str,
    retention: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Recalled>, Fault> {
    let mut statement = conn
        .prepare_cached("SELECT digest, note, outcome, recorded_at, checksum FROM keys WHERE scope = ?1 AND id = ?2")?;
    let row = statement
        .query_row([scope, id], |row| {
            let (digest, note, outcome): (Vec<u8>, Vec<u8>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (recorded_at, checksum): (i64, i64) = (row.get(3)?, row.get(4)?);
            Ok((digest, note, outcome, recorded_at, checksum))
        })
        .optional()?;
    let Some((digest, note, outcome, recorded_at, checked)) = row else {
        return Ok(None);
    };
    let damaged = || Fault::Damaged(format!("table keys, scope {scope}, id {id}"));
    if checksum(scope, id, &digest, &note, &outcome, recorded_at) != checked {
        return Err(damaged());
    }
    if is_expired(Timestamp::from_micros(recorded_at.cast_unsigned()), retention, now) {
        return Ok(None);
    }
    let appended = decode(&outcome).ok_or_else(damaged)?.with_note(Bytes::from(note)).as_repeated();
    let digest = <[u8; 32]>::try_from(digest.as_slice()).map_err(|_| damaged())?;
    Ok(Some(Recalled::new(appended, digest)))
}

/// Records what came of an append, in place of what may have expired there.
pub(crate) fn record(
    conn: &Connection,
    key: &IdempotencyKey,
    appended: &Appended,
    now: Timestamp,
) -> Result<(), Fault> {
    let outcome = encode(appended);
    let recorded_at = now.as_micros().cast_signed();
    let checksum = checksum(&key.scope, &key.id, &key.digest, &key.note, &outcome, recorded_at);
    conn.prepare_cached("INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
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

/// Tells of every key whose row is damaged.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut keys = conn.prepare("SELECT scope, id FROM keys")?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(fault) = find(conn, row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, None, Timestamp::default())
        {
            tell(fault);
        }
    }
    Ok(())
}

/// Deletes expired keys, some at a time: each call looks at the next few in the order of the index, so no
/// index on the time is needed.
#[derive(Default)]
pub(crate) struct Sweep {
    after: (String, String),
}

impl Sweep {
    pub(crate) fn step(
        &mut self,
        conn: &Connection,
        looks: usize,
        retention: Duration,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut next = conn.prepare_cached(
            "SELECT scope, id, recorded_at FROM keys WHERE (scope, id) > (?1, ?2) ORDER BY scope, id LIMIT ?3",
        )?;
        let mut delete = conn.prepare_cached("DELETE FROM keys WHERE scope = ?1 AND id = ?2")?;
        let limit = i64::try_from(looks).unwrap_or(i64::MAX);
        let rows = next
            .query_map(params![self.after.0, self.after.1, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<Vec<(String, String, i64)>, _>>()?;
        let came_round = rows.len() < looks;
        for (scope, id, recorded_at) in rows {
            if is_expired(Timestamp::from_micros(recorded_at.cast_unsigned()), Some(retention), now) {
                delete.execute([&scope, &id])?;
            }
            self.after = (scope, id);
        }
        if came_round {
            self.after = Default::default();
        }
        Ok(())
    }
}

fn is_expired(recorded_at: Timestamp, retention: Option<Duration>, now: Timestamp) -> bool {
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
    let show = |number: Option<u64>| number.map_or_else(|| "-".to_string(), |number| number.to_string());
    let mut text = format!("{} {}", show(appended.first.map(Position::get)), show(appended.last.map(Position::get)));
    for (stream, revision) in &appended.streams {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{} {stream}", show(revision.map(Revision::get)));
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
