//! The table of one version of a collection: its names, its definition, and its rows.
//!
//! A person reads `rm_balances_v1`, and `active_balances` for the version that readers see.

use crate::checksum::Checksum;
use crate::error::Fault;
use core::fmt::Write as _;
use portolan_kernel::values::{Cell, Collection, ColumnType, Index, KeyedRow, RowKey};
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A version of a collection, and the table that holds it.
pub(crate) struct Table {
    pub(crate) collection: Collection,
    name: String,
}

/// Whether a name can stand in SQL as it is, and beside its like: SQLite folds the case of its names.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 64
        && chars.next().is_some_and(|first| first.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Table {
    /// `number` tells collections apart whose names are not plain.
    pub(crate) fn new(collection: Collection, number: i64) -> Self {
        let name = format!("{}_v{}", stem("rm", &collection.name, number), collection.version);
        Self { collection, name }
    }

    /// The view of the active version.
    pub(crate) fn view(&self, number: i64) -> String {
        stem("active", &self.collection.name, number)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The column at this place, quoted.
    fn column(&self, at: usize) -> String {
        match self.collection.columns.get(at) {
            Some(column) if is_plain(&column.name) => format!("\"{}\"", column.name),
            _ => format!("\"_{at}\""),
        }
    }

    /// All columns, the key first.
    fn columns(&self) -> String {
        let columns = (0..self.collection.columns.len()).map(|at| format!(", {}", self.column(at)));
        format!("_key{}", columns.collect::<String>())
    }

    /// The columns of an index, quoted.
    pub(crate) fn columns_of(&self, index: &Index) -> Vec<String> {
        let place = |name| self.collection.position_of(name).map(|at| self.column(at));
        index.columns.iter().filter_map(|name| place(name.as_str())).collect()
    }

    /// What makes the table and its indexes.
    pub(crate) fn create(&self) -> String {
        let mut sql = format!("CREATE TABLE {} (\n    _key TEXT PRIMARY KEY NOT NULL", self.name);
        for (at, column) in self.collection.columns.iter().enumerate() {
            let kind = match column.kind {
                ColumnType::Bool | ColumnType::Integer => "INTEGER",
                ColumnType::Real => "REAL",
                ColumnType::Text | ColumnType::Json => "TEXT",
                ColumnType::Bytes => "BLOB",
            };
            let _ = write!(sql, ",\n    {} {kind}", self.column(at));
        }
        sql.push_str(",\n    _checksum INTEGER NOT NULL\n) STRICT, WITHOUT ROWID;\n");
        for (n, index) in self.collection.indexes.iter().enumerate() {
            let columns = self.columns_of(index).join(", ");
            // Uniqueness is judged by the final state of a batch, which SQLite cannot be told.
            let _ = writeln!(sql, "CREATE INDEX {0}_by_{n} ON {0} ({columns}, _key);", self.name);
        }
        sql
    }

    /// What shows the table under the name of the view.
    pub(crate) fn show(&self, number: i64) -> String {
        let (view, columns) = (self.view(number), self.columns());
        format!("DROP VIEW IF EXISTS {view};\nCREATE VIEW {view} AS SELECT {columns} FROM {};", self.name)
    }

    pub(crate) fn select(&self) -> String {
        format!("SELECT {}, _checksum FROM {}", self.columns(), self.name)
    }

    pub(crate) fn put(&self) -> String {
        let places = (0..self.collection.columns.len() + 2).map(|n| format!("?{}", n + 1));
        format!("INSERT OR REPLACE INTO {} VALUES ({})", self.name, places.collect::<Vec<_>>().join(", "))
    }

    pub(crate) fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE _key = ?1", self.name)
    }

    /// The row at the cursor, verified.
    pub(crate) fn row(&self, row: &Row<'_>) -> Result<KeyedRow, Fault> {
        let text = row.get_ref(0)?.as_str()?;
        let damaged = || Fault::Damaged(format!("table {}, row {text}", self.name));
        let key = RowKey::new(text).map_err(|_| damaged())?;
        let columns = self.collection.columns.iter().enumerate();
        let cells = columns.map(|(at, column)| Some(cell(column.kind, row.get_ref(at + 1).ok()?)));
        let cells = cells.map(Option::flatten).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        let keyed = KeyedRow::new(key, cells);
        let checksum: i64 = row.get(self.collection.columns.len() + 1)?;
        if self.checksum(&keyed.key, &keyed.cells) == checksum { Ok(keyed) } else { Err(damaged()) }
    }

    pub(crate) fn checksum(&self, key: &str, cells: &[Cell]) -> i64 {
        let mut sum = Checksum::of(&self.name);
        sum.bytes(key.as_bytes());
        for cell in cells {
            match cell {
                Cell::Null => sum.number(0),
                Cell::Bool(yes) => sum.number(1).number((*yes).into()),
                Cell::Integer(number) => sum.number(2).number(*number),
                // SQLite keeps no sign of a zero.
                Cell::Real(number) => sum.number(3).number((number + 0.0).to_bits().cast_signed()),
                Cell::Text(text) => sum.number(4).bytes(text.as_bytes()),
                Cell::Bytes(bytes) => sum.number(5).bytes(bytes),
            };
        }
        sum.get()
    }
}

fn stem(prefix: &str, name: &str, number: i64) -> String {
    if is_plain(name) { format!("{prefix}_{name}") } else { format!("{prefix}_{number}") }
}

/// The value of a column of this type; `None` when it is none.
fn cell(kind: ColumnType, value: ValueRef<'_>) -> Option<Cell> {
    Some(match (kind, value) {
        (_, ValueRef::Null) => Cell::Null,
        (ColumnType::Bool, ValueRef::Integer(number @ 0..=1)) => Cell::Bool(number == 1),
        (ColumnType::Integer, ValueRef::Integer(number)) => Cell::Integer(number),
        (ColumnType::Real, ValueRef::Real(number)) => Cell::Real(number),
        (ColumnType::Text | ColumnType::Json, ValueRef::Text(text)) => Cell::Text(str::from_utf8(text).ok()?.into()),
        (ColumnType::Bytes, ValueRef::Blob(bytes)) => Cell::Bytes(bytes.to_vec().into()),
        _ => return None,
    })
}

/// A cell as SQLite takes it.
pub(crate) struct Sql<'a>(pub(crate) &'a Cell);

impl rusqlite::ToSql for Sql<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Bool(yes) => ValueRef::Integer((*yes).into()),
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Real(number) => ValueRef::Real(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A definition as a column keeps it, and back.
pub(crate) mod definition {
    use super::{Collection, ColumnType, Index};
    use portolan_kernel::values::Name;

    const KINDS: [(ColumnType, &str); 6] = [
        (ColumnType::Bool, "bool"),
        (ColumnType::Integer, "integer"),
        (ColumnType::Real, "real"),
        (ColumnType::Text, "text"),
        (ColumnType::Json, "json"),
        (ColumnType::Bytes, "bytes"),
    ];

    // Names have no control characters: a line is a column or an index, a tab parts its fields.

    pub(crate) fn write(collection: &Collection) -> String {
        let kind = |kind| KINDS.iter().find(|(of, _)| *of == kind).map_or("", |(_, text)| text);
        let columns = collection.columns.iter().map(|column| format!("column\t{}\t{}", kind(column.kind), column.name));
        let indexes = collection.indexes.iter().map(|index| {
            let kind = if index.unique { "unique" } else { "index" };
            let columns: String = index.columns.iter().map(|column| format!("\t{column}")).collect();
            format!("{kind}\t{}{columns}", index.name)
        });
        columns.chain(indexes).collect::<Vec<_>>().join("\n")
    }

    /// `None` for what `write` has not written.
    pub(crate) fn read(name: Name, version: u32, text: &str) -> Option<Collection> {
        let mut collection = Collection::new(name, version);
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            collection = match fields[..] {
                ["column", kind, name] => {
                    let (kind, _) = KINDS.iter().find(|(_, text)| *text == kind)?;
                    collection.column(Name::new(name).ok()?, *kind)
                }
                [kind @ ("index" | "unique"), name, ref columns @ ..] => {
                    let columns = columns.iter().map(|name| Name::new(*name).ok()).collect::<Option<Vec<_>>>()?;
                    let index = Index::new(Name::new(name).ok()?, columns);
                    collection.index(if kind == "unique" { index.unique() } else { index })
                }
                _ => return None,
            };
        }
        Some(collection)
    }
}
