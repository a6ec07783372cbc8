//! The port `Inline`: a projection that a store runs inside of its appends.

use crate::values::{Batch, Cell, Checkpoint, CheckpointState, Collection, Edition, KeyedRow, Move, Name, Position};
use crate::values::{Query, Recorded, RowKey, StoreId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How many positions an edition may be behind and still be caught up by the store itself.
///
/// A worker alone would never hand over while appends come without a pause: each time that it has committed, the log
/// has gone on. So the last step is the store's.
pub const INLINE_GAP: u64 = 256;

/// A projection that a store is given when it is built, and runs inside of its appends, whatever they come from, raw
/// ones included (PR-08).
///
/// # Which rows
///
/// A store runs it for each edition of [`collection`](Self::collection) that
///
/// - is defined, with these columns and indexes, and is of the collection's version of the code;
/// - has a checkpoint ([`Edition::checkpoint`]) that belongs to the store's own log and stands at the frontier before
///   the append. One that nobody has moved stands at the beginning: at the frontier of an empty log.
///
/// Then rows, checkpoint and events become visible and durable together. Any other edition is left alone: a worker
/// catches it up and hands it over, by moving its checkpoint to the frontier. A store may close a gap of at most
/// [`INLINE_GAP`] positions itself, before the append. It judges nothing but the events of the gap by that; where it
/// fails, the edition stays with its worker, and the append goes on.
///
/// A store that is given a projection defines its first edition if it is missing. So on an empty log it is run from the
/// first append on.
///
/// # Laws
///
/// - **PR-08** An inline projection is applied to the events of each append that it wants, in order, each seeing the rows
///   that those before have left. Rows, checkpoint and events become visible and durable together. The checkpoint goes to
///   the append's last position, also when no event is wanted, and keeps its token. What the projection refuses, a
///   panic, and rows that the read models refuse, fail the append as `AppendError::InlineRefused`: nothing of it is
///   written, and other appends are not harmed. What is refused otherwise, or repeats an earlier append, is not applied.
///   An edition whose checkpoint stands elsewhere is left alone until it stands at the frontier.
///
/// It is judged last, after all that ES-06 names, and by the rows that all of the append leaves, unique indexes included: two
/// rows may exchange their values within it. A worker judges each event by itself. So a rebuild may meet a failure in an
/// append that was accepted, where two rows were alike only for a while; whoever needs such appends leaves the index not
/// unique.
///
/// # Writing one
///
/// [`inline`](crate::domain::inline) makes one of a [`Projection`](crate::domain::Projection). It runs while other writers
/// wait: no I/O, no locks, no waiting. It must depend on nothing but the event and the rows, for a worker makes the same
/// rows elsewhere.
///
/// # Running one
///
/// [`runs_at`] tells whether an edition is run; [`InlineChanges`] keeps what an append changes until it is judged.
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
    fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String>;
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

/// Whether an edition with this checkpoint (`None`: nobody has moved it) is run by an append to this log, which ends
/// at `frontier`.
#[must_use]
pub fn runs_at(stands: Option<CheckpointState>, store: StoreId, frontier: Option<Position>) -> bool {
    stands.map_or(frontier.is_none(), |stands| stands.store == store && stands.position == frontier)
}

/// Whether a defined collection holds an edition that the projection with this collection fills: of the same version
/// of the code, with the same columns and indexes.
#[must_use]
pub fn is_edition_of(defined: &Collection, projection: &Collection) -> bool {
    let version = |collection: &Collection| Edition::stored(collection.version).version;
    defined.name == projection.name
        && version(defined) == version(projection)
        && defined.columns == projection.columns
        && defined.indexes == projection.indexes
}

/// What an append changes in the rows of one edition, over those that are stored. A store hands it to
/// [`Inline::apply`], and judges what has come of it as a [`Batch`].
#[derive(Debug)]
pub struct InlineChanges<R> {
    stored: R,
    changed: BTreeMap<RowKey, Option<Vec<Cell>>>,
}

impl<R: FnMut(&RowKey) -> Result<Option<Vec<Cell>>, String>> InlineChanges<R> {
    /// Nothing is changed yet; `stored` reads a row as it was before.
    pub fn new(stored: R) -> Self {
        Self { stored, changed: BTreeMap::new() }
    }

    /// The last change of each key.
    pub fn into_changed(self) -> BTreeMap<RowKey, Option<Vec<Cell>>> {
        self.changed
    }
}

impl<R: FnMut(&RowKey) -> Result<Option<Vec<Cell>>, String>> InlineRows for InlineChanges<R> {
    fn get(&mut self, key: &RowKey) -> Result<Option<Vec<Cell>>, String> {
        match self.changed.get(key) {
            Some(cells) => Ok(cells.clone()),
            None => (self.stored)(key),
        }
    }

    fn set(&mut self, key: RowKey, cells: Option<Vec<Cell>>) {
        self.changed.insert(key, cells);
    }
}

/// The batch that an append comes to for one edition: these rows, and its checkpoint moved to the append's last
/// position under the token that it has.
#[must_use]
pub fn inline_batch(
    edition: &Collection,
    checkpoint: Name,
    stands: CheckpointState,
    to: Position,
    changed: BTreeMap<RowKey, Option<Vec<Cell>>>,
) -> Batch {
    let batch = Batch::new(Checkpoint::new(checkpoint, stands, stands.token, Move::At(to)));
    let (name, version) = (&edition.name, edition.version);
    changed.into_iter().fold(batch, |batch, (key, cells)| match cells {
        Some(cells) => batch.put(name.clone(), version, KeyedRow::new(key, cells)),
        None => batch.delete(name.clone(), version, key),
    })
}
