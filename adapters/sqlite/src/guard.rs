//! Guards, judged exactly inside the writer's transaction (ES-08).

use crate::append::{Refusal, position};
use crate::names::Names;
use crate::query::{PAGE_BYTES, Range, Scan};
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Direction, Guard, Position};
use rusqlite::Connection;

/// Refuses a guard that stands past the frontier.
pub(crate) fn is_possible(guard: &Guard, last_position: i64) -> Result<(), AppendError> {
    if guard.after > position(last_position) {
        return Err(AppendError::Invalid(format!(
            "the guard stands after position {}, past the frontier",
            guard.after.map_or(0, Position::get)
        )));
    }
    Ok(())
}

/// Refuses if an event that matches stands after the guard's position. Costs nothing when no event stands
/// there at all, which is the usual case.
pub(crate) fn judge(conn: &Connection, names: &mut Names, guard: &Guard, last_position: i64) -> Result<(), Refusal> {
    let mut low = guard.after.map_or(0, |after| after.get().cast_signed()) + 1;
    while low <= last_position {
        let scan = Scan { query: &guard.none_of, direction: Direction::Forward, limit: 1, bytes: PAGE_BYTES };
        let found = scan.page(conn, names, Range { low, high: last_position })?;
        if let Some(event) = found.events.first() {
            return Err(AppendError::GuardFailed { position: event.position }.into());
        }
        match found.examined {
            Some(examined) => low = examined + 1,
            None => return Ok(()),
        }
    }
    Ok(())
}
