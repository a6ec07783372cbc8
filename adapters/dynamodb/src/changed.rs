//! The hint that something has changed: this process's own appends wake it at once, those of others are looked for, often
//! at first and then less so.

use crate::Inner;
use crate::error::Fault;
use crate::group::first_match;
use core::time::Duration;
use portolan_kernel::values::{Position, Query};

/// How soon a change is told, on a machine that is not overloaded.
pub(crate) const LATENCY: Duration = Duration::from_millis(500);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(200);

pub(crate) async fn wait(store: &Inner, query: &Query, after: Option<Position>) -> Result<(), Fault> {
    let mut grown = store.tail.grown();
    let mut after = after.map_or(0, Position::get);
    let mut pause = SHORTEST;
    loop {
        grown.mark_unchanged();
        store.tail.follow().await?;
        {
            let state = store.tail.state();
            // Where the rows are not here any more, something has come that nobody looked at.
            let Some(mut since) = state.rows_after(after) else { return Ok(()) };
            if since.any(|row| first_match(row, after, query).is_some()) {
                return Ok(());
            }
            if state.read > after {
                (after, pause) = (state.read, SHORTEST);
            }
        }
        // Told or not, the next look shows.
        let _ = tokio::time::timeout(pause, grown.changed()).await;
        pause = (pause * 2).min(LONGEST);
    }
}
