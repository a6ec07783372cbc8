//! One event, one row: how it is written and how it is read back.

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::links::Link;
use crate::names::Names;
use alloc::sync::Arc;
use portolan_kernel::Bytes;
use portolan_kernel::values::{EventId, Format, NewEvent, Position, Recorded, Revision, Tag, Timestamp};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement};

/// The columns of an event, in the order that [`decode`] reads them.
macro_rules! event_columns {
    () => {
        "position, stream, revision, kind, version, format, recorded_at, id, tags, payload, metadata, checksum"
    };
}
pub(crate) use event_columns;

/// A statement that begins by selecting these columns.
macro_rules! select_events {
    ($rest:literal) => {
        concat!("SELECT ", $crate::rows::event_columns!(), " FROM log ", $rest)
    };
}
pub(crate) use select_events;

/// Where an event goes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) position: i64,
    pub(crate) stream: i64,
    pub(crate) revision: i64,
    pub(crate) link: Link,
    pub(crate) kind: ListPlace,
    pub(crate) recorded_at: Timestamp,
}

/// A place in the list of a kind or a tag.
#[derive(Clone, Copy)]
pub(crate) struct ListPlace {
    pub(crate) list: i64,
    pub(crate) n: i64,
}

/// The columns of an event but its position, and how many they are.
pub(crate) const COLUMNS: (&str, usize) =
    ("stream, revision, previous, jump, kind, version, format, recorded_at, id, tags, payload, metadata, checksum", 13);

/// Binds an event to the parameters from `first` on, in the order of [`COLUMNS`].
pub(crate) fn bind(insert: &mut Statement<'_>, first: usize, event: &NewEvent, at: Place) -> Result<(), Fault> {
    let tags = join(&event.tags);
    let recorded_at = at.recorded_at.as_micros().cast_signed();
    let checksum = checksum(event, tags.as_deref(), at.position, at.revision, recorded_at);
    insert.raw_bind_parameter(first, at.stream)?;
    insert.raw_bind_parameter(first + 1, at.revision)?;
    insert.raw_bind_parameter(first + 2, at.link.previous)?;
    insert.raw_bind_parameter(first + 3, at.link.jump)?;
    insert.raw_bind_parameter(first + 4, at.kind.list)?;
    insert.raw_bind_parameter(first + 5, event.version)?;
    insert.raw_bind_parameter(first + 6, format_number(event.format))?;
    insert.raw_bind_parameter(first + 7, recorded_at)?;
    insert.raw_bind_parameter(first + 8, event.id.as_bytes().as_slice())?;
    insert.raw_bind_parameter(first + 9, tags.as_deref())?;
    insert.raw_bind_parameter(first + 10, readable(&event.payload, event.format))?;
    insert.raw_bind_parameter(first + 11, readable(&event.metadata, Format::Json))?;
    insert.raw_bind_parameter(first + 12, checksum)?;
    Ok(())
}

/// As TEXT what a person can read, as a BLOB anything else: the bytes are the same. The shell stops at a NUL.
pub(crate) fn readable(bytes: &[u8], format: Format) -> ToSqlOutput<'_> {
    let is_text = format == Format::Json && core::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    ToSqlOutput::Borrowed(if is_text { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) })
}

pub(crate) fn format_number(format: Format) -> i64 {
    match format {
        Format::Json => 0,
        // `Format` may grow; a new format has to find its number here.
        _ => 1,
    }
}

pub(crate) fn format_of(number: i64) -> Option<Format> {
    match number {
        0 => Some(Format::Json),
        1 => Some(Format::Binary),
        _ => None,
    }
}

/// Names have no line breaks.
fn join(tags: &[Tag]) -> Option<String> {
    let mut tags = tags.iter();
    let mut text = tags.next()?.to_string();
    for tag in tags {
        text.push('\n');
        text.push_str(tag);
    }
    Some(text)
}

fn checksum(event: &NewEvent, tags: Option<&str>, position: i64, revision: i64, recorded_at: i64) -> i64 {
    Checksum::of("log")
        .number(position)
        .number(revision)
        .number(event.version.into())
        .number(format_number(event.format))
        .number(recorded_at)
        .bytes(event.stream.as_bytes())
        .bytes(event.event_type.as_bytes())
        .bytes(event.id.as_bytes())
        .bytes(tags.unwrap_or_default().as_bytes())
        .bytes(&event.payload)
        .bytes(&event.metadata)
        .get()
}

/// Reads an event that [`select_events`] selects, and refuses it if a byte of it has changed.
pub(crate) fn decode(conn: &Connection, names: &mut Names, row: &Row<'_>) -> Result<Arc<Recorded>, Fault> {
    let position: i64 = row.get(0)?;
    try_decode(conn, names, row, position)?.ok_or_else(|| damaged(position))
}

pub(crate) fn damaged(position: i64) -> Fault {
    Fault::Damaged(format!("table log, position {position}"))
}

fn try_decode(
    conn: &Connection,
    names: &mut Names,
    row: &Row<'_>,
    position: i64,
) -> Result<Option<Arc<Recorded>>, Fault> {
    let integer = |index: usize| row.get_ref(index).ok().and_then(|value| value.as_i64().ok());
    let bytes = |index: usize| match row.get_ref(index) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Some(bytes),
        _ => None,
    };
    let (Some(stream), Some(revision), Some(kind), Some(version), Some(format), Some(recorded_at), Some(checked)) =
        (integer(1), integer(2), integer(3), integer(4), integer(5), integer(6), integer(11))
    else {
        return Ok(None);
    };
    let (Some(id), Some(payload), Some(metadata)) = (bytes(7), bytes(9), bytes(10)) else {
        return Ok(None);
    };
    let (Ok(id), Ok(version), Some(format)) = (<[u8; 16]>::try_from(id), u32::try_from(version), format_of(format))
    else {
        return Ok(None);
    };
    let Some(tags) = core::str::from_utf8(bytes(8).unwrap_or_default()).ok() else {
        return Ok(None);
    };
    let Some(place) = Position::new(position.cast_unsigned()) else {
        return Ok(None);
    };
    let Some((stream, event_type)) = names.of_event(conn, stream, kind)? else {
        return Ok(None);
    };
    let mut event = NewEvent::new(stream, event_type, Bytes::copy_from_slice(payload));
    event.id = EventId::from_bytes(id);
    event.version = version;
    event.format = format;
    event.metadata = Bytes::copy_from_slice(metadata);
    if checksum(&event, Some(tags), position, revision, recorded_at) != checked {
        return Ok(None);
    }
    if !tags.is_empty() {
        match tags.split('\n').map(Tag::new).collect::<Result<_, _>>() {
            Ok(tags) => event.tags = tags,
            Err(_) => return Ok(None),
        }
    }
    let recorded_at = Timestamp::from_micros(recorded_at.cast_unsigned());
    let revision = Revision::new(revision.cast_unsigned());
    Ok(Some(Arc::new(Recorded::new(event, revision, place, recorded_at))))
}
