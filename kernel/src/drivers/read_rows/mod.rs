//! Typed rows of any registry of projections, in this process or far away, and its actions as methods.

mod asking;
mod decoding;
mod index_values;

pub use asking::{FindRows, GetRow, GetRows, ListRows};
pub use decoding::{Keyed, ReadRowsError, RowPage};
pub use index_values::{IndexValue, IndexValues};

use crate::domain::ReadModel;
use crate::ports::{ProjectionAction, ProjectionError, ProjectionRegistry};
use crate::values::{By, Edition, Name, Position};
use alloc::string::ToString;
use asking::{by_index, by_keys, page};
use core::fmt;
use core::marker::PhantomData;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

/// Comfort on any registry of projections.
pub trait ProjectionRegistryExt: ProjectionRegistry {
    /// The rows of a projection, typed: `registry.get::<Balances>().find("owner", "Ann").await`.
    ///
    /// They are asked for as by somebody who knows the projection's version. While the rows of that version are not
    /// ready those of another answer, whose columns are taken by name: a column that they lack is `None`, where the
    /// type has room for that, and an error where it has not.
    ///
    /// ```
    /// use portolan_kernel::drivers::{ProjectionRegistryExt, ReadRowsError};
    /// use portolan_kernel::ports::ProjectionRegistry;
    /// # use portolan_kernel::domain::{CellValue, ReadModel, Row, RowColumn, RowIndex, RowValueError, row_cells};
    /// # use portolan_kernel::values::{Cell, Position};
    /// # use std::sync::Arc;
    /// # struct Balance { owner: String, balance: u64 }
    /// # impl Row for Balance {
    /// #     const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<String>("owner"), RowColumn::of::<u64>("balance")];
    /// #     const INDEXES: &'static [RowIndex] = &[RowIndex::new("owner", &["owner", "balance"])];
    /// #     fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
    /// #         Ok(vec![self.owner.to_cell()?, self.balance.to_cell()?])
    /// #     }
    /// #     fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
    /// #         let [owner, balance] = row_cells(cells)?;
    /// #         Ok(Self { owner: CellValue::from_cell(owner)?, balance: CellValue::from_cell(balance)? })
    /// #     }
    /// # }
    /// # struct Balances;
    /// # impl ReadModel for Balances {
    /// #     const NAME: &'static str = "balances";
    /// #     const VERSION: u16 = 1;
    /// #     type Row = Balance;
    /// # }
    /// # async fn example(registry: Arc<dyn ProjectionRegistry>, seen: Position) -> Result<(), ReadRowsError> {
    /// use futures::TryStreamExt;
    ///
    /// let balances = registry.get::<Balances>();
    /// let ann: Option<Balance> = balances.get("ann").at_least(seen).await?;
    /// for found in balances.find("owner", "Ann").range(100..).backward().limit(10).await? {
    ///     println!("{}: {}", found.key, found.row.balance);
    /// }
    /// let all: Vec<_> = balances.list().prefix("a").all().try_collect().await?;
    /// # Ok(()) }
    /// ```
    fn get<P: ReadModel>(&self) -> Rows<'_, P, Self> {
        Rows { registry: self, model: PhantomData }
    }

    /// It moves no further, until it is resumed: [`ProjectionAction::Pause`].
    ///
    /// Like all actions here it takes what [`ProjectionRegistry::act`] says of it, its errors and what a dropped future
    /// leaves included. A text that is no name is [`ProjectionError::Invalid`].
    fn pause(&self, projection: &str) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Pause)
    }

    /// It goes on, also after it has stopped: [`ProjectionAction::Resume`].
    fn resume(&self, projection: &str) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Resume)
    }

    /// Its rows are emptied at once and made anew: [`ProjectionAction::Reset`].
    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Reset)
    }

    /// Its rows are made anew beside those that are read: [`ProjectionAction::Rebuild`].
    fn rebuild(&self, projection: &str) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Rebuild)
    }

    /// A rebuild that is not done ends: [`ProjectionAction::CancelRebuild`].
    fn cancel_rebuild(&self, projection: &str) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::CancelRebuild)
    }

    /// Readers who prefer no version see this one; `None`: the newest again: [`ProjectionAction::Activate`].
    fn activate(&self, projection: &str, version: Option<u16>) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Activate(version))
    }

    /// The rows of this edition are removed: [`ProjectionAction::Remove`].
    fn remove(&self, projection: &str, edition: Edition) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Remove(edition))
    }

    /// A parked event is tried again; `None`: all of them: [`ProjectionAction::Retry`].
    fn retry(&self, projection: &str, event: Option<Position>) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Retry(event))
    }

    /// A parked event, or the one that it has stopped at, is left out for good: [`ProjectionAction::Drop`].
    fn drop_event(&self, projection: &str, event: Position) -> BoxFuture<'_, Result<(), ProjectionError>> {
        told(self, projection, ProjectionAction::Drop(event))
    }
}

impl<R: ProjectionRegistry + ?Sized> ProjectionRegistryExt for R {}

fn told<'a, R: ProjectionRegistry + ?Sized>(
    registry: &'a R,
    projection: &str,
    action: ProjectionAction,
) -> BoxFuture<'a, Result<(), ProjectionError>> {
    match Name::new(projection) {
        Ok(projection) => registry.act(projection, action),
        Err(error) => ready(Err(ProjectionError::Invalid(error.to_string()))).boxed(),
    }
}

/// The rows of the projection `P`, in any registry. Nothing is asked until what a method gives is awaited.
pub struct Rows<'a, P, R: ?Sized> {
    registry: &'a R,
    model: PhantomData<fn() -> P>,
}

impl<P, R: ?Sized> Clone for Rows<'_, P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R: ?Sized> Copy for Rows<'_, P, R> {}

impl<P: ReadModel, R: ?Sized> fmt::Debug for Rows<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("projection", &P::NAME).field("version", &P::VERSION).finish_non_exhaustive()
    }
}

impl<'a, P: ReadModel, R: ProjectionRegistry + ?Sized> Rows<'a, P, R> {
    /// The row of this key; `None`: there is none.
    pub fn get(self, key: impl AsRef<str>) -> GetRow<'a, P, R> {
        GetRow::of(self.registry, by_keys([key]))
    }

    /// The rows of these keys that there are, in the order of the keys. More than a page of the store holds are
    /// [`ProjectionError::TooLarge`].
    pub fn get_many(self, keys: impl IntoIterator<Item: AsRef<str>>) -> GetRows<'a, P, R> {
        GetRows::of(self.registry, by_keys(keys))
    }

    /// The rows that have these values in the index: one, or a tuple of those of its first columns. Texts may be
    /// borrowed. `()` finds all rows, in the order of the index.
    pub fn find(self, index: &str, equals: impl IndexValues) -> FindRows<'a, P, R> {
        FindRows::of(self.registry, by_index(index, &equals))
    }

    /// All rows, by key.
    pub fn list(self) -> ListRows<'a, P, R> {
        ListRows::of(self.registry, Ok(page(By::key())))
    }
}

#[cfg(test)]
mod tests;
