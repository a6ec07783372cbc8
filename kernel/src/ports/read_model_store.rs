//! The port `ReadModelStore`: rows made of events, and the checkpoint that moves with them.

use super::{RowLimits, Source};
use crate::values::{Batch, Checkpoint, CheckpointState, Collection, Find, Name, Position, RowKey, Rowset, StoreId};
use crate::values::{Token, Versions};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use futures::future::BoxFuture;

/// Why rows were not changed or not found. Except after [`Unknown`](Self::Unknown), nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The checkpoint stands elsewhere, or belongs to a holder with a larger token. Whoever has been superseded
    /// stops; anyone else reads it again.
    #[error("checkpoint {name} stands at {actual:?} under token {}; read it again, or stop if superseded", token.0)]
    CheckpointMoved {
        /// Whose checkpoint.
        name: Name,
        /// Where it stands.
        actual: Option<Position>,
        /// The largest token seen.
        token: Token,
    },
    /// The rows are made of another log, or of this one before it was restored. Rebuild them.
    #[error("checkpoint {name} is of the log {actual}, and the batch is of the log {named}; rebuild the read model")]
    WrongStore {
        /// Whose checkpoint.
        name: Name,
        /// The log that the batch named.
        named: StoreId,
        /// The log that the rows are made of.
        actual: StoreId,
    },
    /// There is no such collection, no such version of it, or none is active. Define or activate it first.
    #[error("there is no {}; define and activate it first", which(.collection, .version))]
    UnknownCollection {
        /// The collection.
        collection: Name,
        /// The version; `None`: the active one.
        version: Option<u32>,
    },
    /// The version is defined, with other columns or indexes. Give the new definition a new version.
    #[error("version {version} of {collection} is defined with other columns or indexes; give it a new version")]
    DefinedOtherwise {
        /// The collection.
        collection: Name,
        /// The version.
        version: u32,
    },
    /// Two rows would have the same values in a unique index. It is a mistake of the projection.
    #[error("rows {one} and {other} of {collection} have the same values in the unique index {index}")]
    NotUnique {
        /// The collection.
        collection: Name,
        /// The index.
        index: Name,
        /// The key of one of them.
        one: RowKey,
        /// The key of the other.
        other: RowKey,
    },
    /// The cursor's version has been removed. Begin again without a cursor.
    #[error("version {version} of {collection} is gone; begin again without a cursor")]
    Gone {
        /// The collection.
        collection: Name,
        /// The version.
        version: u32,
    },
    /// It is larger than the store takes. Split it.
    #[error("{what}: {size} is more than this store takes, which is {limit}")]
    TooLarge {
        /// What is too large.
        what: Cow<'static, str>,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The batch, the definition or the question contradicts itself or its collection. It is a mistake of the
    /// caller.
    #[error("the request is invalid: {0}")]
    Invalid(String),
    /// There is no room for it now. Safe to retry, with a pause.
    #[error("the read models are busy; nothing was written, try again")]
    Busy(#[source] Source),
    /// It may have been committed. The checkpoint tells: read it.
    #[error("the outcome of the batch is unknown: {0}; the checkpoint tells it")]
    Unknown(#[source] Source),
    /// The store met damaged data. Rebuild the read model.
    #[error("the read model is damaged at {place}; rebuild it")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// Anything else.
    #[error("the read models cannot be used: {0}")]
    Other(#[source] Source),
}

fn which(collection: &Name, version: &Option<u32>) -> String {
    match version {
        Some(version) => alloc::format!("version {version} of the collection {collection}"),
        None => alloc::format!("active version of the collection {collection}"),
    }
}

/// Keeps the rows that projections make of events.
///
/// Rows live in collections; a collection has versions beside one another, one of which may be active: the one that
/// readers see who name none. A version is filled under a checkpoint of its own, so that a rebuild goes on beside
/// the version that is read.
///
/// # Laws
///
/// - **RM-01** Row changes, activation and checkpoint of a batch commit together or not at all. The checkpoint moves
///   by compare-and-set under a fencing token, as [ES-13](super::EventStore) says, but for the frontier, which
///   this store does not know, and for a claim, which moves nothing and is judged by its token alone. A checkpoint belongs to the log that first moved it: another is
///   [`RowError::WrongStore`], until a `Reset` takes it over.
/// - **RM-02** Rows are got by key, found by each declared index and listed by key, forward and backward, within
///   bounds, page after page by cursor: each row once, in order, with its cells as they were put. A missing row is
///   no error. Rows with equal values in an index are ordered by key.
/// - **RM-03** A batch is judged by its final state, unique indexes included: of several changes of one key the last
///   counts, and two rows may exchange their values.
/// - **RM-04** Versions are defined, activated and removed. Defining the same again changes nothing; defining it
///   otherwise is [`RowError::DefinedOtherwise`]. Activation is one atomic switch for all handles and processes. A
///   cursor stays on its version, or fails as [`RowError::Gone`] once that is removed.
/// - **RM-05** Limits are stated and kept: what is larger is [`RowError::TooLarge`], and nothing of it is written.
/// - **RM-06** What was committed is there after reopening, also after SIGKILL at any moment, and no part of a batch
///   is, on a store that is durable. Two handles and two processes on one store keep all laws, where it allows them.
/// - **RM-07** A token once seen under a checkpoint's name is never forgotten, also when versions are removed.
#[async_trait]
pub trait ReadModelStore: Send + Sync {
    /// Defines a version of a collection, empty.
    ///
    /// # Errors
    ///
    /// [`RowError::DefinedOtherwise`], `TooLarge` (more columns or indexes than the limits allow), `Invalid` (an index
    /// over a missing or JSON column, two of one name), or what any call may fail with.
    async fn define(&self, collection: Collection) -> Result<(), RowError>;

    /// The versions of a collection; none for a missing one.
    ///
    /// # Errors
    ///
    /// What any call may fail with.
    async fn versions(&self, collection: Name) -> Result<Versions, RowError>;

    /// Commits the batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`RowError`]; except after `Unknown`, nothing was written.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves all of the batch or none.
    async fn commit(&self, batch: Batch) -> Result<(), RowError>;

    /// The rows of these keys that there are, in the order of the keys, of one version (`None`: the active one), all
    /// as of one moment.
    ///
    /// # Errors
    ///
    /// [`RowError::UnknownCollection`], `TooLarge` for more keys than [`RowLimits::page_rows`] or rows of more bytes
    /// than [`RowLimits::page_bytes`] (ask for fewer), or what any call may fail with.
    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError>;

    /// One page of rows: at least one, where there are any. The question's limit is not its only bound: a page also
    /// ends at [`RowLimits::page_rows`], and with the row that reaches [`RowLimits::page_bytes`].
    ///
    /// # Errors
    ///
    /// [`RowError::UnknownCollection`], `Gone`, `Invalid`, or what any call may fail with.
    async fn find(&self, find: Find) -> Result<Rowset, RowError>;

    /// Where a checkpoint stands; `None` for one that nobody has moved or claimed.
    ///
    /// # Errors
    ///
    /// What any call may fail with.
    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError>;

    /// Removes a version and its rows; a missing one is no error. An active one is not removed: `Invalid`. The
    /// checkpoint (usually a claim) fences the removal, and moves with it.
    ///
    /// # Errors
    ///
    /// [`RowError::CheckpointMoved`], `WrongStore`, `Invalid`, or what any call may fail with.
    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError>;

    /// How much it takes. Constant for one handle.
    fn limits(&self) -> RowLimits;
}

/// A shared store is a store. It hands on the store's own futures, at no cost.
impl<S: ReadModelStore + ?Sized> ReadModelStore for Arc<S> {
    fn define<'s, 'f>(&'s self, collection: Collection) -> BoxFuture<'f, Result<(), RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).define(collection)
    }
    fn versions<'s, 'f>(&'s self, collection: Name) -> BoxFuture<'f, Result<Versions, RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).versions(collection)
    }
    fn commit<'s, 'f>(&'s self, batch: Batch) -> BoxFuture<'f, Result<(), RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).commit(batch)
    }
    fn get<'s, 'f>(
        &'s self,
        collection: Name,
        version: Option<u32>,
        keys: Vec<RowKey>,
    ) -> BoxFuture<'f, Result<Rowset, RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).get(collection, version, keys)
    }
    fn find<'s, 'f>(&'s self, find: Find) -> BoxFuture<'f, Result<Rowset, RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).find(find)
    }
    fn checkpoint<'s, 'f>(&'s self, name: Name) -> BoxFuture<'f, Result<Option<CheckpointState>, RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).checkpoint(name)
    }
    fn remove<'s, 'f>(
        &'s self,
        collection: Name,
        version: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'f, Result<(), RowError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).remove(collection, version, checkpoint)
    }
    fn limits(&self) -> RowLimits {
        (**self).limits()
    }
}
