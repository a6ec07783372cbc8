//! How events become rows, whichever form the projection has.

use super::env::Model;
use super::parking::{Held, Sequence};
use crate::domain::Upcasters;
use crate::ports::{ReadModelStore, RowError, Spawn};
use crate::values::{Beside, Cell, Collection, KeyedRow, Position, Recorded, RowKey};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;

/// How many rows are kept between batches at most, and how many bytes of them.
pub(super) const CACHED_ROWS: usize = 1 << 15;
pub(super) const CACHED_BYTES: u64 = 16 << 20;

/// A projection that is registered, behind one type.
pub(super) trait Engine: Send + Sync {
    /// What is registered of it.
    fn model(&self) -> &Model;

    /// Rows to apply events to, for one worker.
    fn overlay(&self, place: Place) -> Box<dyn Overlay>;

    /// Whether it asks which events are replayed.
    fn asks_replaying(&self) -> bool;

    /// Which other events have to wait while this one is not applied; at least one sequence.
    fn sequences(&self, upcasters: &Upcasters, event: &Arc<Recorded>) -> Vec<Sequence>;
}

/// Where rows are, and what events are read with.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) rows: Arc<dyn ReadModelStore>,
    pub(super) collection: Arc<Collection>,
    pub(super) upcasters: Arc<Upcasters>,
    /// Catches panics of the application's code.
    pub(super) spawn: Arc<dyn Spawn>,
}

/// The changes of one batch over the rows that are stored.
///
/// It keeps rows between batches. That is safe as long as every batch is committed under the token and the checkpoint
/// that the rows were read under: a commit would fail if anybody else had written.
#[async_trait]
pub(super) trait Overlay: Send + Sync {
    /// Applies the events in order, up to the first that it cannot. That one, and those after it, have changed nothing.
    async fn apply(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> Applied;

    /// The changes since the last commit, one a key.
    ///
    /// # Errors
    ///
    /// Why a row has no cells, in a sentence.
    fn changes(&mut self) -> Result<Vec<Changed>, String>;

    /// Work that is to be carried out beside the changes.
    fn beside(&self) -> Vec<Beside> {
        Vec::new()
    }

    /// The changes have been committed.
    fn committed(&mut self);

    /// Forgets all rows.
    fn discard(&mut self);
}

/// A key and its row after the batch; `None`: there is none.
pub(super) type Changed = (RowKey, Option<Vec<Cell>>);

/// On which terms events are applied.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// Which events have to wait.
    pub(super) held: &'a Held,
    /// How many rows the batch may change.
    pub(super) room: usize,
    /// Events up to here are replayed.
    pub(super) replayed: Option<Position>,
}

/// How far it came.
#[derive(Debug)]
pub(super) struct Applied {
    /// How many events were applied.
    pub(super) count: usize,
    /// How many of those the projection does not know, and has passed over.
    pub(super) skipped: u64,
    /// Why no more were; `None`: there were no more.
    pub(super) halt: Option<Halt>,
}

impl Applied {
    /// So many, and then this.
    pub(super) fn halted(count: usize, halt: Halt) -> Self {
        Self { count, skipped: 0, halt: Some(halt) }
    }
}

/// Why the next event was not applied.
#[derive(Debug)]
pub(super) enum Halt {
    /// It waits with the parked events of its sequence.
    Held,
    /// It would change more rows than there is room for in the batch.
    Full,
    /// It cannot be applied.
    Failed { reason: String, may_help: bool },
    /// It panicked, so many events ahead, and the rows of the batch are in pieces: they are to be made anew.
    Panicked { ahead: usize, reason: String },
    /// The application asks for what the store does not have. No event is to blame.
    Unfit(String),
    /// The rows could not be read.
    Store(RowError),
}

impl Halt {
    /// Failed, and will fail again.
    pub(super) fn never(reason: String) -> Self {
        Self::Failed { reason, may_help: false }
    }
}

impl Place {
    /// The rows of these keys that there are, in the order of the keys, in as few questions as the store takes.
    ///
    /// # Errors
    ///
    /// What reading rows may fail with.
    pub(super) async fn get(&self, keys: &[RowKey]) -> Result<Vec<KeyedRow>, RowError> {
        let most = self.rows.limits().page_rows.max(1) as usize;
        let mut found = Vec::with_capacity(keys.len());
        let mut open: Vec<&[RowKey]> = keys.chunks(most).rev().collect();
        while let Some(some) = open.pop() {
            let name = self.collection.name.clone();
            match self.rows.get(name, Some(self.collection.version), some.to_vec()).await {
                Ok(set) => found.extend(set.rows),
                Err(RowError::TooLarge { .. }) if some.len() > 1 => {
                    let (first, second) = some.split_at(some.len() / 2);
                    open.extend([second, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}
