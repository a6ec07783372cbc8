//! Rows of read models: what a projection keeps, and how it is asked for.

use super::{Checkpoint, Direction, Name, RowKey};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::any::Any;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Bound;

/// One value of a row.
///
/// Values of one column are ordered: nothing first, then by value; texts byte for byte, so by Unicode code point. Both
/// zeros of a [`Real`](Self::Real) are one value.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; never NaN.
    Real(f64),
    /// A text in UTF-8.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
}

/// What a column holds, besides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// [`Cell::Bool`].
    Bool,
    /// [`Cell::Integer`].
    Integer,
    /// [`Cell::Real`].
    Real,
    /// [`Cell::Text`].
    Text,
    /// [`Cell::Text`] that is JSON, for what has no column type of its own. It cannot be indexed.
    Json,
    /// [`Cell::Bytes`].
    Bytes,
}

impl ColumnType {
    /// Whether such a column holds this value.
    #[must_use]
    pub fn holds(self, cell: &Cell) -> bool {
        match cell {
            Cell::Null => true,
            Cell::Bool(_) => self == Self::Bool,
            Cell::Integer(_) => self == Self::Integer,
            Cell::Real(number) => self == Self::Real && !number.is_nan(),
            Cell::Text(_) => matches!(self, Self::Text | Self::Json),
            Cell::Bytes(_) => self == Self::Bytes,
        }
    }
}

impl Cell {
    /// How many bytes it counts with.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The order of kinds, for values that are not of one column.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) => 2,
            Self::Real(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
        }
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        // Adding a zero turns -0.0 into 0.0.
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Integer(one), Self::Integer(other)) => one.cmp(other),
            (Self::Real(one), Self::Real(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

/// A collection of rows: one version of a read model, with its columns and what it can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collection {
    /// Its name, such as `balances`.
    pub name: Name,
    /// Its version, from 1. Another version is another collection of rows beside this one.
    pub version: u32,
    /// Its columns, in the order of a row's cells.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
}

impl Collection {
    /// A collection without columns and indexes: its rows are keys alone.
    #[must_use]
    pub fn new(name: Name, version: u32) -> Self {
        Self { name, version, columns: Vec::new(), indexes: Vec::new() }
    }

    /// The same, with one more column.
    #[must_use]
    pub fn column(mut self, name: Name, kind: ColumnType) -> Self {
        self.columns.push(Column { name, kind });
        self
    }

    /// The same, to be found also by these columns.
    #[must_use]
    pub fn index(mut self, index: Index) -> Self {
        self.indexes.push(index);
        self
    }

    /// Where the column stands among the cells of a row.
    #[must_use]
    pub fn position_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|of| of.name == *column)
    }

    /// What a row of these cells is found by in the index.
    #[must_use]
    pub fn index_values(&self, index: &Index, cells: &[Cell]) -> Vec<Cell> {
        let value = |column: &Name| self.position_of(column).and_then(|at| cells.get(at)).cloned();
        index.columns.iter().map(|column| value(column).unwrap_or(Cell::Null)).collect()
    }

    /// The index of this name.
    #[must_use]
    pub fn find_index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == *name)
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name.
    pub name: Name,
    /// What it holds.
    pub kind: ColumnType,
}

/// What rows are found by besides their key: one or more columns, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Index {
    /// Its name.
    pub name: Name,
    /// Its columns; at least one.
    pub columns: Vec<Name>,
    /// Whether no two rows may have the same values in all of them. Rows with nothing in one of them are never the
    /// same.
    pub unique: bool,
}

impl Index {
    /// An index over these columns.
    #[must_use]
    pub fn new(name: Name, columns: impl IntoIterator<Item = Name>) -> Self {
        Self { name, columns: columns.into_iter().collect(), unique: false }
    }

    /// The same index, whose values no two rows share.
    #[must_use]
    pub fn unique(self) -> Self {
        Self { unique: true, ..self }
    }
}

/// A row and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedRow {
    /// The key, unique in its collection.
    pub key: RowKey,
    /// A value a column, in the order of the collection's columns.
    pub cells: Vec<Cell>,
}

impl KeyedRow {
    /// A row.
    #[must_use]
    pub fn new(key: RowKey, cells: Vec<Cell>) -> Self {
        Self { key, cells }
    }

    /// How many bytes it counts with, key included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.key.len() as u64 + self.cells.iter().map(Cell::bytes).sum::<u64>()
    }
}

/// Row changes that are committed together, or not at all, with the checkpoint that says up to where in the log they
/// are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// The checkpoint and how it moves.
    pub checkpoint: Checkpoint,
    /// The changes, in order: the last one of a key counts.
    pub changes: Vec<Change>,
    /// The collections whose readers are switched to this version.
    pub activate: Vec<(Name, u32)>,
    /// Work of the store's own kind, carried out in the same transaction, in order.
    pub beside: Vec<Beside>,
}

/// Work that one kind of store knows how to carry out in the transaction of a [`Batch`], such as SQL. A store that does
/// not know it refuses the batch.
#[derive(Clone)]
pub struct Beside(Arc<dyn Any + Send + Sync>);

impl Beside {
    /// This work.
    #[must_use]
    pub fn new(work: impl Any + Send + Sync) -> Self {
        Self(Arc::new(work))
    }

    /// The work, if it is of this type.
    #[must_use]
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        (*self.0).downcast_ref()
    }
}

/// The same work, and not one that is like it.
impl PartialEq for Beside {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Beside {}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside(..)")
    }
}

impl Batch {
    /// A batch that moves the checkpoint alone.
    #[must_use]
    pub fn new(checkpoint: Checkpoint) -> Self {
        Self { checkpoint, changes: Vec::new(), activate: Vec::new(), beside: Vec::new() }
    }

    /// The same batch, with the row put in place of one of the same key.
    #[must_use]
    pub fn put(mut self, collection: Name, version: u32, row: KeyedRow) -> Self {
        self.changes.push(Change { collection, version, key: row.key, cells: Some(row.cells) });
        self
    }

    /// The same batch, with the row of this key gone.
    #[must_use]
    pub fn delete(mut self, collection: Name, version: u32, key: RowKey) -> Self {
        self.changes.push(Change { collection, version, key, cells: None });
        self
    }

    /// The same batch, with the collection's readers switched to this version.
    #[must_use]
    pub fn activate(mut self, collection: Name, version: u32) -> Self {
        self.activate.push((collection, version));
        self
    }

    /// The same batch, with this work carried out beside its changes.
    #[must_use]
    pub fn beside(mut self, work: Beside) -> Self {
        self.beside.push(work);
        self
    }
}

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The collection.
    pub collection: Name,
    /// Which version of it.
    pub version: u32,
    /// The row's key.
    pub key: RowKey,
    /// The row after the change; `None`: there is none.
    pub cells: Option<Vec<Cell>>,
}

/// A question for one page of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Find {
    /// The collection.
    pub collection: Name,
    /// Which version of it; `None`: the active one.
    pub version: Option<u32>,
    /// Which rows, and in which order.
    pub by: By,
    /// Which way.
    pub direction: Direction,
    /// The most rows in the page; at least 1. A page may hold fewer: a store ends it earlier by its own limits, in rows
    /// and in bytes. Whether there is more, the answer's `next` tells alone.
    pub limit: u32,
    /// The cursor of the page before.
    pub after: Option<Cursor>,
}

/// What rows are chosen and ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Their key, within this range.
    Key(Bound<RowKey>, Bound<RowKey>),
    /// An index, then their key.
    Index {
        /// The index.
        name: Name,
        /// The values of its first columns. [`Cell::Null`] is a value like any other.
        equals: Vec<Cell>,
        /// The range of the column that follows, in the order of [`Cell`]; unbounded at both ends: every value.
        range: (Bound<Cell>, Bound<Cell>),
    },
}

impl By {
    /// All rows, by key.
    #[must_use]
    pub const fn key() -> Self {
        Self::Key(Bound::Unbounded, Bound::Unbounded)
    }

    /// The rows whose keys begin with this text.
    ///
    /// ```
    /// # use core::ops::Bound;
    /// # use portolan_kernel::values::{By, InvalidName, RowKey};
    /// let (from, to) = (RowKey::new("ann/")?, RowKey::new("ann0")?);
    /// assert_eq!(By::prefix(from.clone()), By::Key(Bound::Included(from), Bound::Excluded(to)));
    /// # Ok::<(), InvalidName>(())
    /// ```
    #[must_use]
    pub fn prefix(prefix: RowKey) -> Self {
        // The least key past all of those: the prefix with its last character that has a successor raised to it.
        let mut least = String::from(prefix.as_str());
        while let Some(last) = least.pop() {
            let Some(next) = (last..=char::MAX).skip(1).find(|c| !c.is_control()) else { continue };
            least.push(next);
            let to = match RowKey::new(least) {
                Ok(least) => Bound::Excluded(least),
                // Only the longest keys have no room for it, and nothing else begins with one.
                Err(_) => Bound::Included(prefix.clone()),
            };
            return Self::Key(Bound::Included(prefix), to);
        }
        Self::Key(Bound::Included(prefix), Bound::Unbounded)
    }
}

impl Find {
    /// All rows of a collection's active version, by key.
    #[must_use]
    pub fn all(collection: Name) -> Self {
        Self::by(collection, By::key())
    }

    /// The rows of a collection's active version whose first columns in the index have these values.
    #[must_use]
    pub fn equal(collection: Name, index: Name, equals: Vec<Cell>) -> Self {
        Self::by(collection, By::Index { name: index, equals, range: (Bound::Unbounded, Bound::Unbounded) })
    }

    /// Rows of a collection's active version.
    #[must_use]
    pub fn by(collection: Name, by: By) -> Self {
        Self { collection, version: None, by, direction: Direction::Forward, limit: 100, after: None }
    }

    /// The same question of this version.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The same question, from the far end.
    #[must_use]
    pub fn backward(self) -> Self {
        Self { direction: Direction::Backward, ..self }
    }

    /// The same question, for at most this many rows a page.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// The same question, after this cursor.
    #[must_use]
    pub fn after(self, cursor: Option<Cursor>) -> Self {
        Self { after: cursor, ..self }
    }
}

/// Where a page of rows ended: the version it was of, and its last row's place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The version of the collection. The next page is of the same one, or fails.
    pub version: u32,
    /// The last row's values in the index; empty when rows are ordered by key.
    pub values: Vec<Cell>,
    /// The last row's key.
    pub key: RowKey,
}

impl Cursor {
    /// A cursor, as a store or a wire makes it.
    #[must_use]
    pub fn new(version: u32, values: Vec<Cell>, key: RowKey) -> Self {
        Self { version, values, key }
    }
}

/// An answer with rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rowset {
    /// The version of the collection that answered.
    pub version: u32,
    /// The rows.
    pub rows: Vec<KeyedRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl Rowset {
    /// An answer, as a store or a wire makes it.
    #[must_use]
    pub fn new(version: u32, rows: Vec<KeyedRow>, next: Option<Cursor>) -> Self {
        Self { version, rows, next }
    }
}

/// The versions of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Versions {
    /// Those that are defined, rising.
    pub defined: Vec<Collection>,
    /// The one that readers see who name none.
    pub active: Option<u32>,
}

impl Versions {
    /// Versions, as a store or a wire makes them.
    #[must_use]
    pub fn new(defined: Vec<Collection>, active: Option<u32>) -> Self {
        Self { defined, active }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::MAX_NAME_BYTES;
    use rstest::rstest;

    fn key(text: &str) -> RowKey {
        RowKey::new(text).unwrap()
    }

    #[rstest]
    #[case::letter("a", Some("b"))]
    #[case::before_controls("~", Some("\u{a0}"))]
    #[case::before_surrogates("x\u{d7ff}", Some("x\u{e000}"))]
    #[case::before_the_last("x\u{10ffff}\u{10ffff}", Some("y"))]
    #[case::the_last("\u{10ffff}", None)]
    fn what_a_prefix_ends_before(#[case] prefix: &str, #[case] end: Option<&str>) {
        let to = end.map_or(Bound::Unbounded, |end| Bound::Excluded(key(end)));
        assert_eq!(By::prefix(key(prefix)), By::Key(Bound::Included(key(prefix)), to));
    }

    #[test]
    fn a_prefix_that_leaves_no_room() {
        let longest = key(&alloc::format!("{}\u{ffff}", "x".repeat(MAX_NAME_BYTES - 3)));
        let only = Bound::Included(longest.clone());
        assert_eq!(By::prefix(longest), By::Key(only.clone(), only));
    }
}
