//! Projections that a store runs inside of its appends.

use super::event::RecordedAs;
use super::history::HistoryError;
use super::projection::{OnFailure, Projection, query_of};
use super::row::{Row, collection_of};
use super::upcasting::Upcasters;
use crate::ports::{Inline, InlineRows};
use crate::values::{Cell, Collection, Edition, InvalidName, Name, Query, Recorded, RowKey};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

/// A projection for a store to run inside of its appends (PR-08).
///
/// What is done about an event that cannot be applied is what [`Projection::on_failure`] says, without a second try:
///
/// - [`OnFailure::Stop`] refuses the append.
/// - [`OnFailure::Skip`] leaves the event out, and the append goes on.
/// - [`OnFailure::Park`] refuses the append as `Stop` does: what is not recorded yet cannot be parked.
///
/// A row that the store refuses, being too large or having the values of another in a unique index, refuses the append
/// whatever the policy: it is judged by what all of the append has left.
///
/// Old events go through the history of the projection's events. [`inline`] is the short form, for an application that adds
/// no hop to it.
pub struct Inlined<P> {
    collection: Collection,
    wants: Query,
    upcasters: Upcasters,
    projection: PhantomData<fn() -> P>,
}

/// The projection, for a store to run inside of its appends.
///
/// ```
/// # use portolan_kernel::{Bytes, domain::*, ports::RawEvent, values::Cell};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum AccountEvent { #[serde(rename = "account.deposited")] Deposited { amount: u64 } }
/// # impl Event for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// # struct Balance;
/// # impl Row for Balance {
/// #     const COLUMNS: &'static [RowColumn] = &[];
/// #     fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> { Ok(vec![]) }
/// #     fn from_cells(_: Vec<Cell>) -> Result<Self, RowValueError> { Ok(Self) }
/// # }
/// struct Balances;
/// impl Projection for Balances {
///     // ...
/// #   const NAME: &'static str = "balances";
/// #   const VERSION: u16 = 1;
/// #   type Event = AccountEvent;
/// #   type Row = Balance;
/// #   fn key(event: &RecordedAs<AccountEvent>) -> Option<String> { Some(event.stream().to_string()) }
/// #   fn apply(row: &mut Option<Balance>, _: &RecordedAs<AccountEvent>) { *row = Some(Balance) }
/// }
///
/// // Given to the store when it is built: `MemoryStore::builder().inline(balances)`.
/// let balances = inline::<Balances>()?;
/// assert_eq!(balances.collection().name, "balances");
/// # Ok::<(), portolan_kernel::domain::InlineError>(())
/// ```
///
/// # Errors
///
/// As [`Inlined::new`].
pub fn inline<P: Projection>() -> Result<Arc<dyn Inline>, InlineError> {
    Ok(Arc::new(Inlined::<P>::new()?))
}

/// Why a projection cannot be given to a store. It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// The projection's name, a column, an index or a category is no usable name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Stored events of an old version do not become those of the current one.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl<P: Projection> Inlined<P> {
    /// The projection, with the history of its events.
    ///
    /// # Errors
    ///
    /// [`InlineError`], which is a mistake of the application.
    pub fn new() -> Result<Self, InlineError> {
        let (name, edition) = (Name::new(P::NAME)?, Edition::first(P::VERSION));
        edition.checkpoint(&name)?;
        let collection = collection_of::<P::Row>(name, edition.to_stored())?;
        let wants = query_of::<P::Event>()?;
        Ok(Self { collection, wants, upcasters: Upcasters::of::<P::Event>()?, projection: PhantomData })
    }

    /// The same, with these in place of the history of its events: where the application adds hops by
    /// [`ApplicationBuilder::upcaster`](crate::application::ApplicationBuilder::upcaster), the store needs them too.
    #[must_use]
    pub fn upcasters(self, upcasters: Upcasters) -> Self {
        Self { upcasters, ..self }
    }

    /// What the event changes; nothing of it, if one of the events that it has become cannot be applied.
    fn changes(&self, recorded: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<Changes, Failure> {
        let events = self.upcasters.decode::<P::Event>(recorded, P::on_unknown()).map_err(Failure::of)?.events;
        let mut changes = Changes::new();
        for event in events {
            let event = RecordedAs::new(event, recorded.clone());
            let Some(key) = P::key(&event) else { continue };
            let key = RowKey::new(key).map_err(Failure::of)?;
            let earlier = changes.iter().rposition(|(changed, _)| *changed == key);
            let cells = match earlier {
                Some(at) => changes[at].1.clone(),
                None => rows.get(&key).map_err(Failure::Store)?,
            };
            let mut row = cells.map(P::Row::from_cells).transpose().map_err(Failure::of)?;
            let was_missing = row.is_none();
            P::apply(&mut row, &event);
            if row.is_some() || !was_missing {
                changes.push((key, row.map(|row| row.to_cells()).transpose().map_err(Failure::of)?));
            }
        }
        Ok(changes)
    }
}

type Changes = Vec<(RowKey, Option<Vec<Cell>>)>;

/// Why an event was not applied.
enum Failure {
    /// By itself: the policy says what is done.
    Event(String),
    /// The rows cannot be read.
    Store(String),
}

impl Failure {
    fn of(error: impl fmt::Display) -> Self {
        Self::Event(error.to_string())
    }
}

impl<P: Projection> Inline for Inlined<P> {
    fn collection(&self) -> Collection {
        self.collection.clone()
    }

    fn wants(&self) -> Query {
        self.wants.clone()
    }

    fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String> {
        match self.changes(event, rows) {
            Ok(changes) => {
                changes.into_iter().for_each(|(key, cells)| rows.set(key, cells));
                Ok(())
            }
            Err(Failure::Event(_)) if P::on_failure().then == OnFailure::Skip => Ok(()),
            Err(Failure::Event(reason) | Failure::Store(reason)) => Err(reason),
        }
    }
}

impl<P: Projection> fmt::Debug for Inlined<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlined").field("projection", &P::NAME).field("version", &P::VERSION).finish_non_exhaustive()
    }
}
