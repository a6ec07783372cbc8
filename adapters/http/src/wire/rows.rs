//! Rows and questions for them, on the wire, whole: for a client that is the port. A cell says of which type it is.

use super::object;
use super::read::WireDirection;
use super::text::{Base64, Text, whole};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::num::NonZeroU16;
use core::ops::Bound;
use core::str::FromStr;
use portolan_kernel::ports::{RowsAnswer, RowsQuestion, WhichRows};
use portolan_kernel::values::{
    By, Cell, Collection, ColumnType, Cursor, Direction, Edition, Index, KeyedRow, Name, RowKey,
};
use serde::{Deserialize, Serialize};

/// A cell. Whole numbers are strings of digits, as they may pass 2^53.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireCell {
    Null,
    Bool(bool),
    Integer(Text<i64>),
    Real(Text<Real>),
    Text(String),
    Bytes(Base64),
}

/// A number with a fraction, also an infinite one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real(pub(crate) f64);

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Real {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number: Option<f64> = text.parse().ok();
        number.filter(|number| !number.is_nan()).map(Self).ok_or("it has to be a number, `inf` or `-inf`")
    }
}

impl WireCell {
    fn new(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(yes) => Self::Bool(*yes),
            Cell::Integer(number) => Self::Integer(Text(*number)),
            Cell::Real(number) => Self::Real(Text(Real(*number))),
            Cell::Text(text) => Self::Text(text.clone()),
            Cell::Bytes(bytes) => Self::Bytes(Base64(bytes.clone())),
        }
    }

    fn decode(self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(yes) => Cell::Bool(yes),
            Self::Integer(Text(number)) => Cell::Integer(number),
            Self::Real(Text(Real(number))) => Cell::Real(number),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(Base64(bytes)) => Cell::Bytes(bytes),
        }
    }

    fn list(cells: &[Cell]) -> Vec<Self> {
        cells.iter().map(Self::new).collect()
    }

    fn decoded(cells: Vec<Self>) -> Vec<Cell> {
        cells.into_iter().map(Self::decode).collect()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireCursor {
    edition: Text<Edition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<WireCell>,
    key: Text<RowKey>,
}

impl WireCursor {
    fn new(cursor: &Cursor) -> Self {
        let edition = Text(Edition::stored(cursor.version));
        Self { edition, values: WireCell::list(&cursor.values), key: Text(cursor.key.clone()) }
    }

    fn decode(self) -> Cursor {
        Cursor::new(self.edition.0.to_stored(), WireCell::decoded(self.values), self.key.0)
    }
}

/// A cursor as people carry it, in one word: the same, in base64url (RFC 4648, section 5) without padding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opaque(pub(crate) Cursor);

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&WireCursor::new(&self.0)).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Opaque {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let json = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = json.and_then(|json| super::from_json::<WireCursor>(&json).ok());
        cursor.map(|cursor| Self(cursor.decode())).ok_or("it is no cursor that a page has given as `next`")
    }
}

/// What `POST /projections/{name}/rows` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRowsQuestion {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefer: Option<NonZeroU16>,
    rows: WireWhich,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireWhich {
    Keys(Vec<Text<RowKey>>),
    #[serde(deserialize_with = "object::one")]
    Page(WireRowPage),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRowPage {
    by: WireBy,
    #[serde(default)]
    direction: WireDirection,
    #[serde(deserialize_with = "whole")]
    limit: u32,
    #[serde(default, deserialize_with = "object::maybe", skip_serializing_if = "Option::is_none")]
    after: Option<WireCursor>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireBy {
    #[serde(deserialize_with = "object::one")]
    Key(WireKeys),
    #[serde(deserialize_with = "object::one")]
    Index(WireByIndex),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKeys {
    #[serde(default)]
    from: WireBound<Text<RowKey>>,
    #[serde(default)]
    to: WireBound<Text<RowKey>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireByIndex {
    name: Text<Name>,
    #[serde(default)]
    equals: Vec<WireCell>,
    #[serde(default)]
    from: WireBound<WireCell>,
    #[serde(default)]
    to: WireBound<WireCell>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireBound<T> {
    #[default]
    Unbounded,
    Included(T),
    Excluded(T),
}

impl<T> WireBound<T> {
    fn new<U>(bound: &Bound<U>, wire: impl Fn(&U) -> T) -> Self {
        match bound {
            Bound::Unbounded => Self::Unbounded,
            Bound::Included(end) => Self::Included(wire(end)),
            Bound::Excluded(end) => Self::Excluded(wire(end)),
        }
    }

    fn decode<U>(self, of_wire: impl Fn(T) -> U) -> Bound<U> {
        match self {
            Self::Unbounded => Bound::Unbounded,
            Self::Included(end) => Bound::Included(of_wire(end)),
            Self::Excluded(end) => Bound::Excluded(of_wire(end)),
        }
    }
}

impl WireBy {
    fn new(by: &By) -> Self {
        let key = |key: &RowKey| Text(key.clone());
        match by {
            By::Key(from, to) => Self::Key(WireKeys { from: WireBound::new(from, key), to: WireBound::new(to, key) }),
            By::Index { name, equals, range: (from, to) } => Self::Index(WireByIndex {
                name: Text(name.clone()),
                equals: WireCell::list(equals),
                from: WireBound::new(from, WireCell::new),
                to: WireBound::new(to, WireCell::new),
            }),
        }
    }

    fn decode(self) -> By {
        let key = |Text(key)| key;
        match self {
            Self::Key(WireKeys { from, to }) => By::Key(from.decode(key), to.decode(key)),
            Self::Index(WireByIndex { name: Text(name), equals, from, to }) => By::Index {
                name,
                equals: WireCell::decoded(equals),
                range: (from.decode(WireCell::decode), to.decode(WireCell::decode)),
            },
        }
    }
}

impl WireRowsQuestion {
    /// The question but for its projection, which stands in the path, and its position, which stands in a header.
    pub(crate) fn new(question: &RowsQuestion) -> Self {
        let rows = match &question.rows {
            WhichRows::Keys(keys) => WireWhich::Keys(keys.iter().cloned().map(Text).collect()),
            WhichRows::Page { by, direction, limit, after } => WireWhich::Page(WireRowPage {
                by: WireBy::new(by),
                direction: (*direction).into(),
                limit: *limit,
                after: after.as_ref().map(WireCursor::new),
            }),
        };
        // There is no version 0 to prefer.
        Self { prefer: question.prefer.and_then(NonZeroU16::new), rows }
    }

    pub(crate) fn decode(self, projection: Name) -> RowsQuestion {
        let mut question = match self.rows {
            WireWhich::Keys(keys) => RowsQuestion::keys(projection, keys.into_iter().map(|Text(key)| key).collect()),
            WireWhich::Page(WireRowPage { by, direction, limit, after }) => {
                let question = RowsQuestion::page(projection, by.decode()).limit(limit);
                let question = question.after(after.map(WireCursor::decode));
                match Direction::from(direction) {
                    Direction::Forward => question,
                    Direction::Backward => question.backward(),
                }
            }
        };
        question.prefer = self.prefer.map(NonZeroU16::get);
        question
    }
}

/// The answer to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireRowsAnswer {
    collection: WireCollection,
    rows: Vec<WireRow>,
    next: Option<WireCursor>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireCollection {
    name: Text<Name>,
    edition: Text<Edition>,
    columns: Vec<WireColumn>,
    indexes: Vec<WireIndex>,
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

#[derive(Debug, Serialize, Deserialize)]
struct WireIndex {
    name: Text<Name>,
    columns: Vec<Text<Name>>,
    unique: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireRow {
    key: Text<RowKey>,
    cells: Vec<WireCell>,
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

impl WireCollection {
    fn new(collection: &Collection) -> Self {
        let columns = collection.columns.iter();
        let index = |index: &Index| WireIndex {
            name: Text(index.name.clone()),
            columns: index.columns.iter().cloned().map(Text).collect(),
            unique: index.unique,
        };
        Self {
            name: Text(collection.name.clone()),
            edition: Text(Edition::stored(collection.version)),
            columns: columns.map(|of| WireColumn { name: Text(of.name.clone()), kind: of.kind.into() }).collect(),
            indexes: collection.indexes.iter().map(index).collect(),
        }
    }

    fn decode(self) -> Collection {
        let mut collection = Collection::new(self.name.0, self.edition.0.to_stored());
        for WireColumn { name: Text(name), kind } in self.columns {
            collection = collection.column(name, kind.into());
        }
        for WireIndex { name: Text(name), columns, unique } in self.indexes {
            let index = Index::new(name, columns.into_iter().map(|Text(column)| column));
            collection = collection.index(if unique { index.unique() } else { index });
        }
        collection
    }
}

impl WireRowsAnswer {
    pub(crate) fn new(answer: &RowsAnswer) -> Self {
        let row = |row: &KeyedRow| WireRow { key: Text(row.key.clone()), cells: WireCell::list(&row.cells) };
        Self {
            collection: WireCollection::new(&answer.collection),
            rows: answer.rows.iter().map(row).collect(),
            next: answer.next.as_ref().map(WireCursor::new),
        }
    }

    pub(crate) fn decode(self) -> RowsAnswer {
        let row = |row: WireRow| KeyedRow::new(row.key.0, WireCell::decoded(row.cells));
        let rows = self.rows.into_iter().map(row).collect();
        RowsAnswer::new(self.collection.decode(), rows, self.next.map(WireCursor::decode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;
    use portolan_kernel::Bytes;

    fn cells() -> Vec<Cell> {
        vec![
            Cell::Null,
            Cell::Bool(true),
            Cell::Integer(i64::MIN),
            Cell::Integer(i64::MAX),
            Cell::Real(f64::MIN_POSITIVE),
            Cell::Real(f64::NEG_INFINITY),
            Cell::Real(0.1 + 0.2),
            Cell::Text("a\n\"\u{1F980}\0".into()),
            Cell::Text(" {\"b\": 1.0 } ".into()),
            Cell::Bytes(Bytes::from_static(&[0, 255])),
        ]
    }

    fn key() -> RowKey {
        RowKey::new("a/b \"%\u{1F980}").unwrap()
    }

    fn name() -> Name {
        Name::new("a/b \"%\u{1F980}").unwrap()
    }

    fn cursor() -> Cursor {
        Cursor::new(Edition { version: u16::MAX, rebuild: 3 }.to_stored(), cells(), key())
    }

    #[test]
    fn a_question_comes_back_the_same() {
        let index = |range| By::Index { name: name(), equals: cells(), range };
        let pages = [
            By::key(),
            By::Key(Bound::Included(key()), Bound::Excluded(key())),
            index((Bound::Unbounded, Bound::Unbounded)),
            index((Bound::Excluded(Cell::Real(-0.5)), Bound::Included(Cell::Null))),
        ];
        let page = |by| RowsQuestion::page(name(), by);
        let mut questions: Vec<_> = pages.into_iter().map(page).collect();
        questions.push(page(By::key()).backward().limit(u32::MAX).after(Some(cursor())).prefer(7));
        questions.extend([vec![], vec![key()]].map(|keys| RowsQuestion::keys(name(), keys).prefer(u16::MAX)));
        for question in questions {
            let json = serde_json::to_vec(&WireRowsQuestion::new(&question)).unwrap();
            assert_eq!(from_json::<WireRowsQuestion>(&json).unwrap().decode(name()), question);
        }
    }

    #[test]
    fn an_answer_comes_back_the_same() {
        let kinds = [
            ColumnType::Bool,
            ColumnType::Integer,
            ColumnType::Real,
            ColumnType::Text,
            ColumnType::Json,
            ColumnType::Bytes,
        ];
        let mut collection = Collection::new(name(), Edition { version: 2, rebuild: 1 }.to_stored());
        for (at, kind) in kinds.into_iter().enumerate() {
            collection = collection.column(Name::new(format!("c{at}")).unwrap(), kind);
        }
        let index = |name: &str| Index::new(name.parse().unwrap(), ["c0".parse().unwrap(), "c1".parse().unwrap()]);
        let collection = collection.index(index("one")).index(index("two").unique());
        for next in [None, Some(cursor())] {
            let answer = RowsAnswer::new(collection.clone(), vec![KeyedRow::new(key(), cells())], next);
            let json = serde_json::to_vec(&WireRowsAnswer::new(&answer)).unwrap();
            let back = from_json::<WireRowsAnswer>(&json).unwrap().decode();
            // To the sign of a zero, which equality leaves out.
            assert_eq!(format!("{back:?}"), format!("{answer:?}"));
        }
    }

    #[test]
    fn a_cursor_is_one_word() {
        let word = Opaque(cursor()).to_string();
        assert!(word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')), "{word}");
        assert_eq!(word.parse(), Ok(Opaque(cursor())));
        for wrong in ["", "x", "e30", "W10", &word[1..], &format!("{word}=")] {
            assert!(wrong.parse::<Opaque>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_cell() {
        for wrong in [r#"{"real":"NaN"}"#, r#"{"real":1.5}"#, r#"{"integer":"9223372036854775808"}"#, r#"{"date":"x"}"#]
        {
            assert!(serde_json::from_str::<WireCell>(wrong).is_err(), "{wrong}");
        }
    }
}
