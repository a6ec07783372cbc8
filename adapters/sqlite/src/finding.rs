//! Questions about rows as ranges of one index, in the order of the answer.
//!
//! SQLite finds its place in an index by conditions that are ANDed, and compares nothing with NULL. So a question is
//! cut into ranges that are read one after another: what is equal to the cursor so far and goes on behind it, then
//! what lies past it, and the rows without a value apart.

use crate::tables::Table;
use core::ops::Bound;
use portolan_kernel::values::{By, Cell, Direction, Find};

/// One range: what follows `FROM table`, up to the order.
pub(crate) struct Seek {
    pub(crate) condition: String,
    pub(crate) values: Vec<Cell>,
    pub(crate) order: String,
}

type Range = (Bound<Cell>, Bound<Cell>);

const ALL: Range = (Bound::Unbounded, Bound::Unbounded);

/// Conditions that are ANDed, with a value where they compare with one.
type Conditions = Vec<(String, Option<Cell>)>;

pub(crate) fn seeks(table: &Table, find: &Find) -> Vec<Seek> {
    let key = || "_key".to_owned();
    let (fixed, columns, range): (Conditions, Vec<String>, Range) = match &find.by {
        By::Key(from, to) => {
            let text = |bound: &Bound<portolan_kernel::values::RowKey>| {
                bound.as_ref().map(|key| Cell::Text(key.as_str().to_owned()))
            };
            (Vec::new(), vec![key()], (text(from), text(to)))
        }
        By::Index { name, equals, range } => {
            let mut columns = table.collection.find_index(name).map_or_else(Vec::new, |index| table.columns_of(index));
            let rest = columns.split_off(equals.len());
            let fixed = columns.into_iter().zip(equals).map(|(column, cell)| equal(&column, cell)).collect();
            (fixed, rest.into_iter().chain([key()]).collect(), range.clone())
        }
    };
    let after: Option<Vec<Cell>> = find.after.as_ref().map(|cursor| {
        let values = cursor.values.iter().skip(fixed.len()).cloned();
        values.chain([Cell::Text(cursor.key.as_str().to_owned())]).collect()
    });
    let backward = find.direction == Direction::Backward;
    let order: Vec<_> =
        columns.iter().map(|column| if backward { format!("{column} DESC") } else { column.clone() }).collect();
    spread(&columns, range, after.as_deref(), backward)
        .into_iter()
        .map(|conditions| {
            let (texts, values): (Vec<_>, Vec<_>) = fixed.iter().cloned().chain(conditions).unzip();
            let condition = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
            Seek { condition, values: values.into_iter().flatten().collect(), order: order.join(", ") }
        })
        .collect()
}

fn equal(column: &str, cell: &Cell) -> (String, Option<Cell>) {
    match cell {
        Cell::Null => (format!("{column} IS NULL"), None),
        cell => (format!("{column} = ?"), Some(cell.clone())),
    }
}

/// The ranges of these columns, the first of which is bounded, behind the values of the cursor.
fn spread(columns: &[String], range: Range, after: Option<&[Cell]>, backward: bool) -> Vec<Conditions> {
    let Some((column, rest)) = columns.split_first() else { return vec![Vec::new()] };
    let Some((last, after)) = after.and_then(<[Cell]>::split_first) else {
        return cut(column, &range, backward);
    };
    let mut ranges = Vec::new();
    if !rest.is_empty() && core::ops::RangeBounds::contains(&range, last) {
        let tied = spread(rest, ALL, Some(after), backward);
        ranges.extend(tied.into_iter().map(|conditions| [vec![equal(column, last)], conditions].concat()));
    }
    let (from, to) = range;
    let behind = if backward {
        let nearer = matches!(&to, Bound::Included(end) | Bound::Excluded(end) if end < last);
        (from, if nearer { to } else { Bound::Excluded(last.clone()) })
    } else {
        let nearer = matches!(&from, Bound::Included(end) | Bound::Excluded(end) if end > last);
        (if nearer { from } else { Bound::Excluded(last.clone()) }, to)
    };
    ranges.extend(cut(column, &behind, backward));
    ranges
}

/// A range of one column as one of no values and one of values, whichever there are.
fn cut(column: &str, (from, to): &Range, backward: bool) -> Vec<Conditions> {
    if (from, to) == (&ALL.0, &ALL.1) {
        return vec![Vec::new()];
    }
    let mut ranges = Vec::new();
    if core::ops::RangeBounds::contains(&(from.as_ref(), to.as_ref()), &Cell::Null) {
        ranges.push(vec![(format!("{column} IS NULL"), None)]);
    }
    if !matches!(to, Bound::Included(Cell::Null) | Bound::Excluded(Cell::Null)) {
        let lower = match from {
            Bound::Included(cell) if *cell != Cell::Null => (format!("{column} >= ?"), Some(cell.clone())),
            Bound::Excluded(cell) if *cell != Cell::Null => (format!("{column} > ?"), Some(cell.clone())),
            _ => (format!("{column} IS NOT NULL"), None),
        };
        let upper = match to {
            Bound::Included(cell) => Some((format!("{column} <= ?"), Some(cell.clone()))),
            Bound::Excluded(cell) => Some((format!("{column} < ?"), Some(cell.clone()))),
            Bound::Unbounded => None,
        };
        ranges.push([lower].into_iter().chain(upper).collect());
    }
    if backward {
        ranges.reverse();
    }
    ranges
}
