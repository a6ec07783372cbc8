//! Rows of an answer as values of a type, by the names of their columns.

use crate::domain::{ReadModel, Row, RowValueError};
use crate::ports::{ProjectionError, QueryError, RowsAnswer, Source, WaitError};
use crate::values::{Cell, Collection, Cursor, Edition, KeyedRow, Name, RowKey};
use alloc::format;
use alloc::string::String;
use alloc::vec::{self, Vec};

/// Why there are no typed rows.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadRowsError {
    /// The registry gave none; the error says what to do.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// What was to be found is outside of what a column holds. It is a mistake of the caller.
    #[error("no row is found by this value: {0}")]
    Value(#[from] RowValueError),
    /// The rows are of another version, and this one cannot read them. Try again once its own have caught up; or give
    /// what the other one lacks a type that has room for nothing.
    #[error(
        "the rows of {projection} are still of edition {edition}, which version {version} cannot read{}: {source}",
        without(.missing)
    )]
    OtherVersion {
        /// The projection.
        projection: Name,
        /// The edition that answered.
        edition: Edition,
        /// The version that asked.
        version: u16,
        /// The columns that it has and the edition lacks.
        missing: Vec<&'static str>,
        /// What is wrong with the first such row.
        source: RowValueError,
    },
    /// A row of its own version is no value of the type: the type was changed and its version was not.
    #[error("the row {key} of {projection}, edition {edition}, is none of its type's: {source}")]
    Row {
        /// The projection.
        projection: Name,
        /// The edition that answered.
        edition: Edition,
        /// The row's key.
        key: RowKey,
        /// What is wrong with it.
        source: RowValueError,
    },
}

fn without(missing: &[&str]) -> String {
    if missing.is_empty() { String::new() } else { format!(" without the columns {}", missing.join(", ")) }
}

/// A handler that reads rows answers with their error by `?`.
impl From<ReadRowsError> for QueryError {
    fn from(error: ReadRowsError) -> Self {
        match error {
            ReadRowsError::Projection(
                ProjectionError::Busy(_) | ProjectionError::NotReady(_) | ProjectionError::Wait(WaitError::Busy(_)),
            )
            | ReadRowsError::OtherVersion { .. } => Self::Busy(Source::new(error)),
            other => Self::Other(Source::new(other)),
        }
    }
}

/// A row and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keyed<T> {
    /// The key.
    pub key: RowKey,
    /// The row.
    pub row: T,
}

/// A page of rows, all of one edition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowPage<T> {
    /// The rows, in the order that was asked for.
    pub rows: Vec<Keyed<T>>,
    /// The edition that answered.
    pub edition: Edition,
    /// Where to go on, for `after`; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> IntoIterator for RowPage<T> {
    type Item = Keyed<T>;
    type IntoIter = vec::IntoIter<Keyed<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

/// The rows of the answer.
///
/// # Errors
///
/// [`ReadRowsError::OtherVersion`], [`ReadRowsError::Row`].
pub(super) fn decode<P: ReadModel>(answer: RowsAnswer) -> Result<RowPage<P::Row>, ReadRowsError> {
    let edition = answer.edition();
    let RowsAnswer { collection, rows, next } = answer;
    let columns = Columns::of::<P::Row>(&collection);
    let mut decoded = Vec::with_capacity(rows.len());
    for KeyedRow { key, cells } in rows {
        let row = columns.in_order(cells).and_then(P::Row::from_cells).map_err(|source| {
            let projection = collection.name.clone();
            if edition.version == P::VERSION {
                ReadRowsError::Row { projection, edition, key: key.clone(), source }
            } else {
                let (version, missing) = (P::VERSION, columns.missing::<P::Row>());
                ReadRowsError::OtherVersion { projection, edition, version, missing, source }
            }
        })?;
        decoded.push(Keyed { key, row });
    }
    Ok(RowPage { rows: decoded, edition, next })
}

/// Where the columns of a type stand among the cells of a row.
struct Columns {
    /// For each column of the type, if the row has it.
    at: Vec<Option<usize>>,
    /// How many cells a row has.
    cells: usize,
    /// Whether both have the same columns in the same order.
    same: bool,
}

impl Columns {
    fn of<R: Row>(collection: &Collection) -> Self {
        let at: Vec<_> = R::COLUMNS.iter().map(|column| collection.position_of(column.name)).collect();
        let cells = collection.columns.len();
        let same = at.len() == cells && at.iter().enumerate().all(|(place, at)| *at == Some(place));
        Self { at, cells, same }
    }

    /// The cells in the order of the type's columns.
    fn in_order(&self, mut cells: Vec<Cell>) -> Result<Vec<Cell>, RowValueError> {
        if cells.len() != self.cells {
            return Err(RowValueError::Columns { found: cells.len(), expected: self.cells });
        }
        if self.same {
            return Ok(cells);
        }
        let mut cell_at = |at: &Option<usize>| {
            let cell = at.and_then(|at| cells.get_mut(at)).map(|cell| core::mem::replace(cell, Cell::Null));
            cell.unwrap_or(Cell::Null)
        };
        Ok(self.at.iter().map(&mut cell_at).collect())
    }

    fn missing<R: Row>(&self) -> Vec<&'static str> {
        let columns = R::COLUMNS.iter().zip(&self.at);
        columns.filter(|(_, at)| at.is_none()).map(|(column, _)| column.name).collect()
    }
}
