//! Guards (ES-08): searched up to where the log is whole, by the index; what has come since is judged by the writer, from
//! rows in memory, and the log's head holds the rest.

use crate::Inner;
use crate::error::Fault;
use crate::read::Search;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Direction, Guard, Position};

/// How far it has been searched in vain, or the refusal.
pub(crate) async fn search(store: &Inner, guard: &Guard) -> Result<Result<u64, AppendError>, Fault> {
    let whole = store.tail.state().whole;
    let mut over = guard.after.map_or(0, Position::get);
    while over < whole {
        let search = Search { query: &guard.none_of, over, to: whole, direction: Direction::Forward, limit: 1 };
        let found = search.matches(store).await?;
        if let Some(position) = found.matches.first().and_then(|found| Position::new(found.position)) {
            return Ok(Err(AppendError::GuardFailed { position }));
        }
        match found.edge {
            Some(edge) => over = edge,
            None => break,
        }
    }
    Ok(Ok(whole))
}
