//! The port `Inline`: a projection that a store runs inside of its appends.

use crate::values::{Cell, Collection, Query, Recorded, RowKey};
use alloc::string::String;
use alloc::vec::Vec;

/// A projection that a store is given when it is built, and runs inside of its appends, whatever they come from, raw
/// ones included (PR-08).
///
/// A store runs it for each edition of the collection that is defined, of the version of [`collection`](Self::collection),
/// and whose checkpoint ([`Edition::checkpoint`](crate::values::Edition::checkpoint)) stands at the frontier before the
/// append: then rows, checkpoint and events become visible and durable together. An edition that stands elsewhere is left
/// alone: a worker catches it up and hands it over, by moving its checkpoint to the frontier.
///
/// # Laws
///
/// - **PR-08** It is applied to the events of the append that [`wants`](Self::wants) matches, in order, each seeing the
///   rows that those before have left. The checkpoint moves to the append's last position even when none matches. What it
///   refuses, and rows that the read models refuse, fail the append as
///   [`AppendError::InlineRefused`](super::AppendError::InlineRefused), and nothing of it is written; other appends are
///   not harmed.
///
/// It runs while other writers wait: no I/O, no locks, no waiting.
pub trait Inline: Send + Sync {
    /// The rows: name, columns, indexes, and as version the first edition of its code's version.
    fn collection(&self) -> Collection;

    /// The events that it is applied to.
    fn wants(&self) -> Query;

    /// Applies an event.
    ///
    /// # Errors
    ///
    /// Why the append is refused, in a sentence.
    fn apply(&self, event: &Recorded, rows: &mut dyn InlineRows) -> Result<(), String>;
}

/// The rows that an [`Inline`] projection changes, as they are within the append.
pub trait InlineRows {
    /// The row of this key, with what the append has changed so far.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in a sentence. Hand it on.
    fn get(&mut self, key: &RowKey) -> Result<Option<Vec<Cell>>, String>;

    /// Puts a row in place of one of the same key; `None`: there is none from then on.
    fn set(&mut self, key: RowKey, cells: Option<Vec<Cell>>);
}
