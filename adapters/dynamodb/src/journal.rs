//! Journals: what a batch changes, kept beside its checkpoint, to be carried through by whoever comes next and to be
//! laid over what readers find until it is.

use crate::cells::{CellRow, Version};
use crate::encoding::{decode, encode};
use crate::error::Fault;
use crate::rows::Token;
use crate::table::Key;
use alloc::collections::BTreeMap;
use portolan_kernel::values::{Cell, Name, RowKey};
use serde::{Deserialize, Serialize};

/// All that one batch changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journal {
    /// The transaction that committed it.
    pub(crate) id: Token,
    /// The marks that the transaction wrote, each with its count from then on.
    pub(crate) marks: Vec<(Key, u64)>,
    pub(crate) parts: Vec<Part>,
}

/// What a batch changes in one version of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) collection: Name,
    pub(crate) version: u32,
    pub(crate) incarnation: Token,
    pub(crate) changes: BTreeMap<RowKey, Changed>,
}

/// What a batch makes of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    pub(crate) cells: Option<Vec<Cell>>,
    /// Indexes, by their numbers, in which the row has another place than before.
    pub(crate) came: Vec<usize>,
    /// Places in indexes where the row was and no row is any more.
    pub(crate) gone: Vec<(usize, String)>,
}

#[derive(Serialize, Deserialize)]
struct JournalRow<'a> {
    id: Token,
    #[serde(borrow)]
    marks: Vec<(&'a str, &'a str, u64)>,
    parts: Vec<PartRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PartRow<'a> {
    collection: &'a str,
    version: u32,
    incarnation: Token,
    #[serde(borrow)]
    changes: Vec<ChangeRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ChangeRow<'a> {
    key: &'a str,
    #[serde(borrow)]
    cells: Option<Vec<CellRow<'a>>>,
    came: Vec<usize>,
    gone: Vec<(usize, &'a str)>,
}

impl Journal {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(&JournalRow {
            id: self.id,
            marks: self.marks.iter().map(|(key, count)| (&*key.partition, &*key.sort, *count)).collect(),
            parts: self.parts.iter().map(Part::row).collect(),
        })
    }

    pub(crate) fn decode(key: &Key, bytes: &[u8]) -> Result<Self, Fault> {
        let row: JournalRow<'_> = decode(key, bytes)?;
        let change = |row: ChangeRow<'_>| {
            let gone = row.gone.into_iter().map(|(index, sort)| (index, sort.to_owned())).collect();
            let cells = row.cells.map(CellRow::cells);
            Some((RowKey::new(row.key).ok()?, Changed { cells, came: row.came, gone }))
        };
        let part = |row: PartRow<'_>| {
            let changes = row.changes.into_iter().map(change).collect::<Option<_>>()?;
            let (version, incarnation) = (row.version, row.incarnation);
            Some(Part { collection: Name::new(row.collection).ok()?, version, incarnation, changes })
        };
        let mark = |(partition, sort, count): (&str, &str, u64)| {
            (Key { partition: partition.to_owned(), sort: sort.to_owned() }, count)
        };
        let parts = row.parts.into_iter().map(part).collect::<Option<Vec<_>>>();
        let parts = parts.ok_or_else(|| Fault::Damaged(key.place()))?;
        Ok(Self { id: row.id, marks: row.marks.into_iter().map(mark).collect(), parts })
    }
}

impl Part {
    fn row(&self) -> PartRow<'_> {
        let changes = self.changes.iter().map(|(key, changed)| changed.row(key)).collect();
        PartRow { collection: &self.collection, version: self.version, incarnation: self.incarnation, changes }
    }

    pub(crate) fn is_of(&self, version: &Version) -> bool {
        let of = &version.collection;
        self.incarnation == version.incarnation && self.version == of.version && self.collection == of.name
    }
}

impl Changed {
    fn row<'a>(&'a self, key: &'a RowKey) -> ChangeRow<'a> {
        let gone = self.gone.iter().map(|(index, sort)| (*index, &**sort)).collect();
        ChangeRow { key, cells: self.cells.as_deref().map(CellRow::of), came: self.came.clone(), gone }
    }
}

/// What these journals, one after the other, make of the rows of a version.
pub(crate) fn laid_over(journals: Vec<Journal>, version: &Version) -> BTreeMap<RowKey, Option<Vec<Cell>>> {
    let parts = journals.into_iter().flat_map(|journal| journal.parts).filter(|part| part.is_of(version));
    parts.flat_map(|part| part.changes).map(|(key, changed)| (key, changed.cells)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let key = Key { partition: "p".to_string(), sort: "journal".to_string() };
        let row = |key: &str| RowKey::new(key).unwrap();
        let all = [Cell::Null, Cell::Bool(true), Cell::Integer(-7), Cell::Text("t".into()), Cell::Bytes("b".into())];
        let cells = Some([&all[..], &[Cell::Real(0.5)]].concat());
        let put = Changed { cells, came: vec![0, 3], gone: vec![(3, "abc\n".to_string())] };
        let deleted = Changed { cells: None, came: Vec::new(), gone: Vec::new() };
        let changes = BTreeMap::from([(row("a"), put), (row("b"), deleted)]);
        let part = Part { collection: Name::new("accounts").unwrap(), version: 3, incarnation: [7; 16], changes };
        let journal = Journal { id: [9; 16], marks: vec![(key.clone(), 4)], parts: vec![part] };
        assert_eq!(Journal::decode(&key, &journal.encode()).unwrap(), journal);
    }
}
