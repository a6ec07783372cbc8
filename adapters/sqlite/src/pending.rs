//! Events of a transaction that are judged and not yet written: they are written together, many rows a statement.

use crate::error::Fault;
use crate::rows::{self, ListPlace, Place};
use portolan_kernel::values::NewEvent;
use rusqlite::{Connection, Statement};
use std::sync::LazyLock;

/// So many rows one statement writes: what it costs itself is then small beside the work of the trees.
const TOGETHER: usize = 8;

/// What rows are written by. Whatever fails rolls back the whole transaction: `OR FAIL` spares the copies of pages by
/// which SQLite would undo the one statement.
const INSERT: &str = "INSERT OR FAIL INTO";

/// Rows whose position SQLite gives: the next one after the largest. It would keep such copies for the others.
static NEXT: LazyLock<Insert> = LazyLock::new(|| Insert::new("log", rows::COLUMNS.0, rows::COLUMNS.1));
static AT: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("log", &format!("position, {}", rows::COLUMNS.0), 1 + rows::COLUMNS.1));
static KINDS: LazyLock<Insert> = LazyLock::new(|| Insert::new("kind_events", "kind, n, position", 3));
static TAGS: LazyLock<Insert> = LazyLock::new(|| Insert::new("tag_events", "tag, n, position", 3));

/// A statement for one row, and one for [`TOGETHER`].
struct Insert {
    one: String,
    many: String,
    columns: usize,
}

impl Insert {
    fn new(table: &str, names: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let into = |rows: &str| format!("{INSERT} {table} ({names}) VALUES {rows}");
        Self { many: into(&[&*row; TOGETHER].join(", ")), one: into(&row), columns }
    }

    /// Writes rows; `bind` binds one to the parameters from a number on.
    fn write<T>(
        &self,
        conn: &Connection,
        rows: &[T],
        bind: impl Fn(&mut Statement<'_>, usize, &T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (many, rest) = rows.as_chunks::<TOGETHER>();
        if !many.is_empty() {
            let mut insert = conn.prepare_cached(&self.many)?;
            for rows in many {
                for (row, first) in rows.iter().zip((1..).step_by(self.columns)) {
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

/// Events of appends `'j`, each with its place, and the places of their tags.
pub(crate) struct Pending<'j> {
    events: Vec<(&'j NewEvent, Place)>,
    tags: Vec<(ListPlace, i64)>,
}

impl<'j> Pending<'j> {
    /// Nothing yet, with room for so many events.
    pub(crate) fn with_room_for(events: usize) -> Self {
        Self { events: Vec::with_capacity(events), tags: Vec::new() }
    }

    pub(crate) fn event(&mut self, event: &'j NewEvent, at: Place) {
        self.events.push((event, at));
    }

    /// Where the event at this position goes, if it is one of these.
    pub(crate) fn place(&self, position: i64) -> Option<&Place> {
        let (_, first) = self.events.first()?;
        let at = usize::try_from(position.checked_sub(first.position)?).ok()?;
        self.events.get(at).map(|(_, place)| place).filter(|place| place.position == position)
    }

    /// The event at this position has that place in the list of a tag.
    pub(crate) fn tag(&mut self, at: ListPlace, position: i64) {
        self.tags.push((at, position));
    }

    /// Writes all of it; false if there are no events. `follows`: their positions are those after the largest in the log.
    pub(crate) fn write(&mut self, conn: &Connection, follows: bool) -> Result<bool, Fault> {
        let Some((_, last)) = self.events.last() else { return Ok(false) };
        if follows {
            NEXT.write(conn, &self.events, |insert, first, (event, at)| rows::bind(insert, first, event, *at))?;
        } else {
            AT.write(conn, &self.events, |insert, first, (event, at)| {
                insert.raw_bind_parameter(first, at.position)?;
                rows::bind(insert, first + 1, event, *at)
            })?;
        }
        if conn.last_insert_rowid() != last.position {
            return Err(rows::damaged(last.position));
        }
        KINDS.write(conn, &self.events, |insert, first, (_, at)| bind_entry(insert, first, at.kind, at.position))?;
        TAGS.write(conn, &self.tags, |insert, first, (at, position)| bind_entry(insert, first, *at, *position))?;
        self.events.clear();
        self.tags.clear();
        Ok(true)
    }
}

fn bind_entry(insert: &mut Statement<'_>, first: usize, at: ListPlace, position: i64) -> Result<(), Fault> {
    insert.raw_bind_parameter(first, at.list)?;
    insert.raw_bind_parameter(first + 1, at.n)?;
    insert.raw_bind_parameter(first + 2, position)?;
    Ok(())
}
