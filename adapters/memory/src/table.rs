//! One version of a collection: its rows by key, and the entries of its indexes.

use alloc::collections::BTreeMap;
use core::ops::Bound;
use portolan_kernel::ports::{RowError, RowLimits};
use portolan_kernel::values::{By, Cell, Collection, Cursor, Direction, Find, Index, KeyedRow, RowKey};

pub(crate) struct Table {
    pub(crate) collection: Collection,
    rows: BTreeMap<RowKey, Vec<Cell>>,
    /// As many as the collection has indexes.
    entries: Vec<Entries>,
}

/// Rows in the order of an index: a row's values, then its key.
type Entries = BTreeMap<Vec<Step>, RowKey>;

/// One step on the way to an entry. `End` follows every value, so that a range can reach to the end of a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    At(Cell),
    End,
}

impl Table {
    pub(crate) fn new(collection: Collection) -> Self {
        let entries = collection.indexes.iter().map(|_| BTreeMap::new()).collect();
        Self { collection, rows: BTreeMap::new(), entries }
    }

    pub(crate) fn row(&self, key: &RowKey) -> Option<KeyedRow> {
        self.rows.get(key).map(|cells| KeyedRow::new(key.clone(), cells.clone()))
    }

    pub(crate) fn put(&mut self, key: &RowKey, cells: Option<&[Cell]>) {
        let before = match cells {
            Some(cells) => self.rows.insert(key.clone(), cells.to_vec()),
            None => self.rows.remove(key),
        };
        for (index, entries) in self.collection.indexes.iter().zip(&mut self.entries) {
            let entry = |cells: &[Cell]| steps(self.collection.index_values(index, cells), Some(key));
            if let Some(before) = &before {
                entries.remove(&entry(before));
            }
            if let Some(cells) = cells {
                entries.insert(entry(cells), key.clone());
            }
        }
    }

    /// Judges whether these changes, the last ones of their keys, would leave two rows with the same values in a
    /// unique index.
    pub(crate) fn judge_unique(&self, changes: &BTreeMap<&RowKey, Option<&[Cell]>>) -> Result<(), RowError> {
        for (index, entries) in self.collection.indexes.iter().zip(&self.entries).filter(|(index, _)| index.unique) {
            let mut put = BTreeMap::new();
            for (key, cells) in changes {
                let Some(cells) = cells else { continue };
                let values = self.collection.index_values(index, cells);
                if values.contains(&Cell::Null) {
                    continue;
                }
                // What the batch changes is judged by what it puts, and not by what is there.
                let mut stored = entries.range(within(&steps(values.clone(), None))).map(|(_, other)| other);
                let stored = stored.find(|other| !changes.contains_key(other));
                if let Some(other) = put.insert(values, *key).or(stored) {
                    let (collection, index) = (self.collection.name.clone(), index.name.clone());
                    return Err(RowError::NotUnique { collection, index, one: other.clone(), other: (*key).clone() });
                }
            }
        }
        Ok(())
    }

    /// As many rows as the question and the limits allow, and where to go on when there are more.
    pub(crate) fn page(&self, find: &Find, limits: &RowLimits) -> (Vec<KeyedRow>, Option<Cursor>) {
        let limit = find.limit.min(limits.page_rows) as usize;
        let after = find.after.as_ref();
        let (keys, index): (Vec<&RowKey>, _) = match &find.by {
            By::Key(from, to) => {
                let range = (from.clone(), to.clone());
                let Some(range) = go_on(range, after.map(|cursor| cursor.key.clone()), find.direction) else {
                    return (Vec::new(), None);
                };
                (some(self.rows.range(range).map(|(key, _)| key), find.direction, limit), None)
            }
            By::Index { name, equals, range } => {
                let Some(at) = self.collection.indexes.iter().position(|index| index.name == *name) else {
                    return (Vec::new(), None);
                };
                let after = after.map(|cursor| steps(cursor.values.clone(), Some(&cursor.key)));
                let Some(range) = go_on(index_range(equals, range), after, find.direction) else {
                    return (Vec::new(), None);
                };
                let keys = some(self.entries[at].range(range).map(|(_, key)| key), find.direction, limit);
                (keys, Some(&self.collection.indexes[at]))
            }
        };
        let mut bytes = 0;
        let in_page = |row: &KeyedRow| {
            let room = bytes < limits.page_bytes;
            bytes += row.bytes();
            room
        };
        let found = keys.len();
        let rows: Vec<_> = keys.into_iter().take(limit).filter_map(|key| self.row(key)).take_while(in_page).collect();
        let more = found > rows.len();
        let next = rows.last().filter(|_| more).map(|row| self.cursor(index, row));
        (rows, next)
    }

    fn cursor(&self, index: Option<&Index>, row: &KeyedRow) -> Cursor {
        let values = index.map_or_else(Vec::new, |index| self.collection.index_values(index, &row.cells));
        Cursor::new(self.collection.version, values, row.key.clone())
    }
}

/// One more than the limit, in the direction.
fn some<'a>(keys: impl DoubleEndedIterator<Item = &'a RowKey>, direction: Direction, limit: usize) -> Vec<&'a RowKey> {
    match direction {
        Direction::Forward => keys.take(limit + 1).collect(),
        Direction::Backward => keys.rev().take(limit + 1).collect(),
    }
}

fn steps(values: Vec<Cell>, key: Option<&RowKey>) -> Vec<Step> {
    let key = key.map(|key| Cell::Text(key.as_str().to_owned()));
    values.into_iter().chain(key).map(Step::At).collect()
}

/// All entries that begin so.
fn within(prefix: &[Step]) -> (Bound<Vec<Step>>, Bound<Vec<Step>>) {
    (Bound::Included(prefix.to_vec()), Bound::Excluded([prefix, &[Step::End]].concat()))
}

/// The entries that begin with these values, the next one in the range.
fn index_range(equals: &[Cell], range: &(Bound<Cell>, Bound<Cell>)) -> (Bound<Vec<Step>>, Bound<Vec<Step>>) {
    let prefix = steps(equals.to_vec(), None);
    let (all, beyond) = within(&prefix);
    let at = |cell: &Cell| within(&[&prefix[..], &[Step::At(cell.clone())]].concat());
    let from = match &range.0 {
        Bound::Unbounded => all,
        Bound::Included(cell) => at(cell).0,
        Bound::Excluded(cell) => match at(cell).1 {
            Bound::Excluded(end) => Bound::Included(end),
            other => other,
        },
    };
    let to = match &range.1 {
        Bound::Unbounded => beyond,
        Bound::Included(cell) => at(cell).1,
        Bound::Excluded(cell) => match at(cell).0 {
            Bound::Included(begin) => Bound::Excluded(begin),
            other => other,
        },
    };
    (from, to)
}

/// The rest of the range after this entry; `None` when nothing can be in it.
fn go_on<T: Ord + Clone>(
    range: (Bound<T>, Bound<T>),
    after: Option<T>,
    direction: Direction,
) -> Option<(Bound<T>, Bound<T>)> {
    let (mut from, mut to) = range;
    match (after, direction) {
        (Some(after), Direction::Forward) if is_in(&from, &after, true) => from = Bound::Excluded(after),
        (Some(after), Direction::Backward) if is_in(&to, &after, false) => to = Bound::Excluded(after),
        _ => {}
    }
    // A `BTreeMap` panics on a range that ends before it begins.
    let empty = match (&from, &to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
        _ => false,
    };
    (!empty).then_some((from, to))
}

/// Whether the value is on the inner side of the bound, lower or upper.
fn is_in<T: Ord>(bound: &Bound<T>, value: &T, lower: bool) -> bool {
    match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) | Bound::Excluded(bound) => {
            if lower {
                value >= bound
            } else {
                value <= bound
            }
        }
    }
}
