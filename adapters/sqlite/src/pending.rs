//! Events of a transaction that are judged and not yet written: they are written together, many rows a statement.

use crate::error::Fault;
use crate::rows::{self, ListPlace, Place};
use portolan_kernel::values::NewEvent;
use rusqlite::{Connection, Statement};
use std::sync::LazyLock;

/// So many rows one statement writes. More hardly save anything: what is left is the work of the trees.
const TOGETHER: usize = 8;

/// What a statement that writes many rows begins with, and the number of its columns. Whatever fails rolls back the
/// whole transaction; `OR FAIL` spares the copies of pages by which SQLite would undo the one statement.
const EVENTS: (&str, usize) = (
    "INSERT OR FAIL INTO log (position, stream, revision, kind, version, format, recorded_at, id, tags, payload, metadata, checksum)",
    rows::COLUMNS,
);
const KINDS: (&str, usize) = ("INSERT OR FAIL INTO kind_events (kind, n, position)", 3);
const TAGS: (&str, usize) = ("INSERT OR FAIL INTO tag_events (tag, n, position)", 3);

/// A statement for one row, and one for [`TOGETHER`].
struct Insert {
    one: String,
    many: String,
}

impl Insert {
    fn new((insert, columns): (&str, usize)) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        Self {
            one: format!("{insert} VALUES {row}"),
            many: format!("{insert} VALUES {}", vec![row; TOGETHER].join(", ")),
        }
    }

    /// Writes rows; `bind` binds one to the parameters from a number on.
    fn write<T>(
        &self,
        conn: &Connection,
        rows: &[T],
        columns: usize,
        bind: impl Fn(&mut Statement<'_>, usize, &T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (many, rest) = rows.as_chunks::<TOGETHER>();
        if !many.is_empty() {
            let mut insert = conn.prepare_cached(&self.many)?;
            for rows in many {
                for (row, first) in rows.iter().zip((1..).step_by(columns)) {
                    bind(&mut insert, first, row)?;
                }
                insert.raw_execute()?;
            }
        }
        if !rest.is_empty() {
            let mut insert = conn.prepare_cached(&self.one)?;
            for row in rest {
                bind(&mut insert, 1, row)?;
                insert.raw_execute()?;
            }
        }
        Ok(())
    }
}

static INSERT_EVENTS: LazyLock<Insert> = LazyLock::new(|| Insert::new(EVENTS));
static INSERT_KINDS: LazyLock<Insert> = LazyLock::new(|| Insert::new(KINDS));
static INSERT_TAGS: LazyLock<Insert> = LazyLock::new(|| Insert::new(TAGS));

/// Events of appends `'j`, each with its place, and the places of their tags.
#[derive(Default)]
pub(crate) struct Pending<'j> {
    events: Vec<(&'j NewEvent, Place)>,
    tags: Vec<(ListPlace, i64)>,
}

impl<'j> Pending<'j> {
    pub(crate) fn event(&mut self, event: &'j NewEvent, at: Place) {
        self.events.push((event, at));
    }

    /// The event at this position has that place in the list of a tag.
    pub(crate) fn tag(&mut self, at: ListPlace, position: i64) {
        self.tags.push((at, position));
    }

    pub(crate) fn write(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.events.is_empty() {
            return Ok(());
        }
        INSERT_EVENTS
            .write(conn, &self.events, EVENTS.1, |insert, first, (event, at)| rows::bind(insert, first, event, *at))?;
        INSERT_KINDS.write(conn, &self.events, KINDS.1, |insert, first, (_, at)| {
            bind_entry(insert, first, at.kind, at.position)
        })?;
        INSERT_TAGS.write(conn, &self.tags, TAGS.1, |insert, first, (at, position)| {
            bind_entry(insert, first, *at, *position)
        })?;
        self.events.clear();
        self.tags.clear();
        Ok(())
    }
}

fn bind_entry(insert: &mut Statement<'_>, first: usize, at: ListPlace, position: i64) -> Result<(), Fault> {
    insert.raw_bind_parameter(first, at.list)?;
    insert.raw_bind_parameter(first + 1, at.n)?;
    insert.raw_bind_parameter(first + 2, position)?;
    Ok(())
}
