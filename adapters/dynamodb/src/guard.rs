//! Guards (ES-08): searched up to where the log is whole, by the index; what has come since is judged by the writer, from
//! rows in memory, and the log's head holds the rest.

use crate::Inner;
use crate::error::Fault;
use crate::read::Search;
use portolan_kernel::values::{Direction, Guard, Position};

/// What a search came to.
pub(crate) struct Searched {
    /// How far it went.
    pub(crate) checked: u64,
    /// What it found first.
    pub(crate) forbidden: Option<Position>,
}

pub(crate) async fn search(store: &Inner, guard: &Guard) -> Result<Searched, Fault> {
    let checked = store.tail.state().whole;
    let mut over = guard.after.map_or(0, Position::get);
    while over < checked {
        let search = Search { query: &guard.none_of, over, to: checked, direction: Direction::Forward, limit: 1 };
        let found = search.matches(store).await?;
        if let Some(found) = found.matches.first() {
            return Ok(Searched { checked, forbidden: Position::new(found.position) });
        }
        match found.edge {
            Some(edge) => over = edge,
            None => break,
        }
    }
    Ok(Searched { checked, forbidden: None })
}
