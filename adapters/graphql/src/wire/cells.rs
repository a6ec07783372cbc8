//! Rows of projections, and questions for them, in the form that the port has: for clients that are the port. Cells tell
//! their kinds, so that every one comes back as it was.

use super::object::Named;
use super::text::{Base64, MaybeAt, Text, at, position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::ops::Bound;
use core::str::FromStr;
use portolan_kernel::ports::{RowsAnswer, RowsQuestion, WhichRows};
use portolan_kernel::values::{
    By, Cell, Collection, Column, ColumnType, Cursor, Direction, Index, KeyedRow, Name, RowKey,
};
use serde::{Deserialize, Serialize};

/// A cell, with its kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "`null`, or an object of a kind and a value")]
pub(crate) enum WireCell {
    Null,
    Bool(bool),
    Integer(Text<i64>),
    /// Its bits, so that infinities and both zeros come back.
    Real(Text<u64>),
    Text(String),
    Bytes(Text<Base64>),
}

impl WireCell {
    pub(crate) fn new(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(value) => Self::Bool(*value),
            Cell::Integer(number) => Self::Integer(Text(*number)),
            Cell::Real(number) => Self::Real(Text(number.to_bits())),
            Cell::Text(text) => Self::Text(text.clone()),
            Cell::Bytes(bytes) => Self::Bytes(Text(Base64(bytes.clone()))),
        }
    }

    pub(crate) fn decode(self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(value),
            Self::Integer(Text(number)) => Cell::Integer(number),
            Self::Real(Text(bits)) => Cell::Real(f64::from_bits(bits)),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(Text(Base64(bytes))) => Cell::Bytes(bytes),
        }
    }

    fn list(cells: &[Cell]) -> Vec<Self> {
        cells.iter().map(Self::new).collect()
    }

    fn cells(list: Vec<Self>) -> Vec<Cell> {
        list.into_iter().map(Self::decode).collect()
    }
}

/// Where a page of rows ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(expecting = "an object of `version`, `values` and `key`")]
pub(crate) struct WireCursor {
    version: u32,
    values: Vec<WireCell>,
    key: Text<RowKey>,
}

impl WireCursor {
    pub(crate) fn new(cursor: &Cursor) -> Self {
        Self { version: cursor.version, values: WireCell::list(&cursor.values), key: Text(cursor.key.clone()) }
    }

    pub(crate) fn decode(self) -> Cursor {
        Cursor::new(self.version, WireCell::cells(self.values), self.key.0)
    }
}

/// The same, as an opaque text for people's pages.
#[derive(Debug)]
pub(crate) struct RowCursor(pub(crate) Cursor);

impl fmt::Display for RowCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&WireCursor::new(&self.0)).unwrap_or_default();
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for RowCursor {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let json = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = json.and_then(|json| serde_json::from_slice::<WireCursor>(&json).ok());
        cursor.map(|cursor| Self(cursor.decode())).ok_or("a cursor of rows is one that a page had")
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "`unbounded`, or an object of `included` or of `excluded`")]
enum WireBound<T> {
    Included(T),
    Excluded(T),
    Unbounded,
}

impl<T> WireBound<T> {
    fn new<V>(bound: &Bound<V>, of: impl Fn(&V) -> T) -> Self {
        match bound {
            Bound::Included(value) => Self::Included(of(value)),
            Bound::Excluded(value) => Self::Excluded(of(value)),
            Bound::Unbounded => Self::Unbounded,
        }
    }

    fn decode<V>(self, of: impl Fn(T) -> V) -> Bound<V> {
        match self {
            Self::Included(value) => Bound::Included(of(value)),
            Self::Excluded(value) => Bound::Excluded(of(value)),
            Self::Unbounded => Bound::Unbounded,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object of `from` and `to`")]
struct WireKeys {
    from: WireBound<Text<RowKey>>,
    to: WireBound<Text<RowKey>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object of `name`, `equals`, `from` and `to`")]
struct WireRange {
    name: Text<Name>,
    equals: Vec<WireCell>,
    from: WireBound<WireCell>,
    to: WireBound<WireCell>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "an object of `key` or of `index`")]
enum WireBy {
    Key(WireKeys),
    Index(WireRange),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object of `by`, `backward`, `limit` and `after`")]
struct WirePage {
    by: WireBy,
    backward: bool,
    limit: u32,
    after: Option<WireCursor>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "an object of `keys` or of `page`")]
enum WireWhich {
    Keys(Vec<Text<RowKey>>),
    Page(WirePage),
}

/// A question for rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WireQuestion {
    projection: Text<Name>,
    prefer: Option<u16>,
    rows: WireWhich,
    at_least: MaybeAt,
}

impl Named for WireQuestion {
    const WHAT: &'static str = "a question for rows as a JSON object";
}

impl WireQuestion {
    pub(crate) fn new(question: &RowsQuestion) -> Self {
        let key = |key: &RowKey| Text(key.clone());
        let rows = match &question.rows {
            WhichRows::Keys(keys) => WireWhich::Keys(keys.iter().map(key).collect()),
            WhichRows::Page { by, direction, limit, after } => WireWhich::Page(WirePage {
                by: match by {
                    By::Key(from, to) => {
                        WireBy::Key(WireKeys { from: WireBound::new(from, key), to: WireBound::new(to, key) })
                    }
                    By::Index { name, equals, range } => WireBy::Index(WireRange {
                        name: Text(name.clone()),
                        equals: WireCell::list(equals),
                        from: WireBound::new(&range.0, WireCell::new),
                        to: WireBound::new(&range.1, WireCell::new),
                    }),
                },
                backward: *direction == Direction::Backward,
                limit: *limit,
                after: after.as_ref().map(WireCursor::new),
            }),
        };
        let projection = Text(question.projection.clone());
        Self { projection, prefer: question.prefer, rows, at_least: at(question.at_least) }
    }

    pub(crate) fn decode(self) -> RowsQuestion {
        let key = |Text(key)| key;
        let Text(projection) = self.projection;
        let question = match self.rows {
            WireWhich::Keys(keys) => RowsQuestion::keys(projection, keys.into_iter().map(key).collect()),
            WireWhich::Page(WirePage { by, backward, limit, after }) => {
                let by = match by {
                    WireBy::Key(WireKeys { from, to }) => By::Key(from.decode(key), to.decode(key)),
                    WireBy::Index(WireRange { name, equals, from, to }) => By::Index {
                        name: name.0,
                        equals: WireCell::cells(equals),
                        range: (from.decode(WireCell::decode), to.decode(WireCell::decode)),
                    },
                };
                let question = RowsQuestion::page(projection, by).limit(limit);
                let question = if backward { question.backward() } else { question };
                question.after(after.map(WireCursor::decode))
            }
        };
        let question = question.at_least(position(self.at_least));
        match self.prefer {
            Some(version) => question.prefer(version),
            None => question,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireColumn {
    name: Text<Name>,
    kind: WireKind,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireKind {
    Bool,
    Integer,
    Real,
    Text,
    Json,
    Bytes,
}

impl From<ColumnType> for WireKind {
    fn from(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool,
            ColumnType::Integer => Self::Integer,
            ColumnType::Real => Self::Real,
            ColumnType::Text => Self::Text,
            ColumnType::Json => Self::Json,
            ColumnType::Bytes => Self::Bytes,
        }
    }
}

impl From<WireKind> for ColumnType {
    fn from(kind: WireKind) -> Self {
        match kind {
            WireKind::Bool => Self::Bool,
            WireKind::Integer => Self::Integer,
            WireKind::Real => Self::Real,
            WireKind::Text => Self::Text,
            WireKind::Json => Self::Json,
            WireKind::Bytes => Self::Bytes,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireIndex {
    name: Text<Name>,
    columns: Vec<Text<Name>>,
    unique: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireCollection {
    name: Text<Name>,
    version: u32,
    columns: Vec<WireColumn>,
    indexes: Vec<WireIndex>,
}

impl WireCollection {
    fn new(collection: &Collection) -> Self {
        let column = |column: &Column| WireColumn { name: Text(column.name.clone()), kind: column.kind.into() };
        let index = |index: &Index| WireIndex {
            name: Text(index.name.clone()),
            columns: index.columns.iter().cloned().map(Text).collect(),
            unique: index.unique,
        };
        Self {
            name: Text(collection.name.clone()),
            version: collection.version,
            columns: collection.columns.iter().map(column).collect(),
            indexes: collection.indexes.iter().map(index).collect(),
        }
    }

    fn decode(self) -> Collection {
        let mut collection = Collection::new(self.name.0, self.version);
        for WireColumn { name, kind } in self.columns {
            collection = collection.column(name.0, kind.into());
        }
        for WireIndex { name, columns, unique } in self.indexes {
            let index = Index::new(name.0, columns.into_iter().map(|Text(name)| name));
            collection = collection.index(if unique { index.unique() } else { index });
        }
        collection
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireRow {
    key: Text<RowKey>,
    cells: Vec<WireCell>,
}

/// An answer with rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireRows {
    collection: WireCollection,
    rows: Vec<WireRow>,
    next: Option<WireCursor>,
}

impl WireRows {
    pub(crate) fn new(answer: &RowsAnswer) -> Self {
        let row = |row: &KeyedRow| WireRow { key: Text(row.key.clone()), cells: WireCell::list(&row.cells) };
        Self {
            collection: WireCollection::new(&answer.collection),
            rows: answer.rows.iter().map(row).collect(),
            next: answer.next.as_ref().map(WireCursor::new),
        }
    }

    pub(crate) fn decode(self) -> RowsAnswer {
        let row = |row: WireRow| KeyedRow::new(row.key.0, WireCell::cells(row.cells));
        let rows = self.rows.into_iter().map(row).collect();
        RowsAnswer::new(self.collection.decode(), rows, self.next.map(WireCursor::decode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::Bytes;
    use portolan_kernel::values::Position;

    fn cells() -> Vec<Cell> {
        let bytes = Cell::Bytes(Bytes::from_static(b"\xFF\0"));
        let numbers = [0.1, -0.0, f64::INFINITY, f64::MIN_POSITIVE].map(Cell::Real);
        let mut cells = vec![Cell::Null, Cell::Bool(true), Cell::Integer(i64::MIN), Cell::Text("é\"\n".into()), bytes];
        cells.extend(numbers);
        cells
    }

    fn key(text: &str) -> RowKey {
        text.parse().unwrap()
    }

    #[test]
    fn questions_travel_whole() {
        let name = || "a b,é".parse::<Name>().unwrap();
        let cursor = Cursor::new(u32::MAX, cells(), key("k"));
        let by_index = By::Index {
            name: name(),
            equals: cells(),
            range: (Bound::Excluded(Cell::Null), Bound::Included(Cell::Integer(1))),
        };
        for before in [
            RowsQuestion::keys(name(), vec![key("a"), key("é")]).at_least(Position::new(7)),
            RowsQuestion::page(name(), By::Key(Bound::Included(key("a")), Bound::Unbounded)).limit(u32::MAX),
            RowsQuestion::page(name(), by_index).backward().after(Some(cursor)).prefer(u16::MAX),
        ] {
            let json = serde_json::to_string(&WireQuestion::new(&before)).unwrap();
            assert_eq!(serde_json::from_str::<WireQuestion>(&json).unwrap().decode(), before, "{json}");
        }
    }

    #[test]
    fn answers_travel_whole() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let kinds = [
            ColumnType::Bool,
            ColumnType::Integer,
            ColumnType::Real,
            ColumnType::Text,
            ColumnType::Json,
            ColumnType::Bytes,
        ];
        let mut collection = Collection::new(name("é"), 65_537);
        for (n, kind) in kinds.into_iter().enumerate() {
            collection = collection.column(name(&format!("c{n}")), kind);
        }
        let collection = collection.index(Index::new(name("i"), [name("c1"), name("c2")]).unique());
        let before = RowsAnswer::new(collection, vec![KeyedRow::new(key("k"), cells())], None);
        let json = serde_json::to_string(&WireRows::new(&before)).unwrap();
        let after = serde_json::from_str::<WireRows>(&json).unwrap().decode();
        assert_eq!(after, before);
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
    }
}
