//! What is asked of a registry, and what its answers are read as.

use super::*;
use crate::domain::{CellValue, Row, RowColumn, RowIndex, RowValueError, row_cells};
use crate::ports::{
    NoProjections, ParkedPage, ProjectionStatus, QueryError, RowsAnswer, RowsQuestion, WaitError, WhichRows,
};
use crate::values::{Cell, Collection, ColumnType, Cursor, Direction, KeyedRow, RowKey};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::ops::Bound;
use futures::TryStreamExt;
use std::sync::Mutex;

extern crate std;

#[derive(Debug, Clone, PartialEq)]
struct Balance {
    owner: String,
    balance: u64,
    note: Option<String>,
}

impl Row for Balance {
    const COLUMNS: &'static [RowColumn] =
        &[RowColumn::of::<String>("owner"), RowColumn::of::<u64>("balance"), RowColumn::of::<Option<String>>("note")];
    const INDEXES: &'static [RowIndex] = &[RowIndex::new("owner", &["owner", "balance"])];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.owner.to_cell()?, self.balance.to_cell()?, self.note.to_cell()?])
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [owner, balance, note] = row_cells(cells)?;
        let (owner, note) = (CellValue::from_cell(owner)?, CellValue::from_cell(note)?);
        Ok(Self { owner, balance: CellValue::from_cell(balance)?, note })
    }
}

struct Balances;

impl ReadModel for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 2;
    type Row = Balance;
}

/// Nothing here has to wait.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("it waits for nothing")
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(text: &str) -> RowKey {
    RowKey::new(text).unwrap()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn collection(edition: &str, columns: &[(&str, ColumnType)]) -> Collection {
    let edition: Edition = edition.parse().unwrap();
    let empty = Collection::new(name("balances"), edition.to_stored());
    columns.iter().fold(empty, |collection, (column, kind)| collection.column(name(column), *kind))
}

fn of_two() -> Collection {
    let columns = [("owner", ColumnType::Text), ("balance", ColumnType::Integer), ("note", ColumnType::Text)];
    collection("2.1", &columns)
}

/// Answers with what it is given, one after the other, and remembers what it was asked and told.
#[derive(Default)]
struct Stand {
    answers: Mutex<Vec<RowsAnswer>>,
    asked: Mutex<Vec<RowsQuestion>>,
    told: Mutex<Vec<(Name, ProjectionAction)>>,
}

impl Stand {
    fn with(answers: impl IntoIterator<Item = RowsAnswer>) -> Arc<Self> {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    fn asked(&self) -> Vec<RowsQuestion> {
        core::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl ProjectionRegistry for Stand {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        NoProjections.list().await
    }
    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        NoProjections.status(projection).await
    }
    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        self.told.lock().unwrap().push((projection, action));
        Ok(())
    }
    async fn parked(&self, name: Name, after: Option<Position>, limit: u32) -> Result<ParkedPage, ProjectionError> {
        NoProjections.parked(name, after, limit).await
    }
    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        self.asked.lock().unwrap().push(question.clone());
        self.answers.lock().unwrap().pop().ok_or(ProjectionError::NotReady(question.projection))
    }
    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        NoProjections.wait_for(projection, position).await
    }
}

fn row(of: &str, owner: &str, balance: i64) -> KeyedRow {
    KeyedRow::new(key(of), vec![text(owner), Cell::Integer(balance), Cell::Null])
}

fn answer(rows: Vec<KeyedRow>, next: Option<Cursor>) -> RowsAnswer {
    RowsAnswer::new(of_two(), rows, next)
}

fn cursor(of: &str) -> Cursor {
    Cursor::new(of_two().version, vec![], key(of))
}

#[test]
fn rows_are_got_by_key() {
    let stand = Stand::with([answer(vec![row("a", "Ann", 5)], None), answer(vec![], None)]);
    let registry: Arc<dyn ProjectionRegistry> = stand.clone();
    let balances = registry.get::<Balances>();
    let seen = Position::new(7);
    let ann = Balance { owner: "Ann".into(), balance: 5, note: None };
    assert_eq!(block_on(balances.get("a").at_least(seen).into_future()).unwrap(), Some(ann));
    assert!(block_on(balances.get_many(["b", "c"]).into_future()).unwrap().is_empty());
    let question = |keys: &[&str]| {
        RowsQuestion::keys(name("balances"), keys.iter().map(|of| key(of)).collect()).prefer(Balances::VERSION)
    };
    assert_eq!(stand.asked(), [question(&["a"]).at_least(seen), question(&["b", "c"])]);
}

#[test]
fn rows_are_found_by_an_index() {
    let stand = Stand::with([answer(vec![row("a", "Ann", 5)], Some(cursor("a"))), answer(vec![], None)]);
    let registry: Arc<dyn ProjectionRegistry> = stand.clone();
    let found = registry.get::<Balances>().find("owner", "Ann");
    let page = block_on(found.range(3..).backward().limit(1).at_least(Position::MAX).into_future()).unwrap();
    assert_eq!((page.edition.to_string().as_str(), page.next.clone()), ("2.1", Some(cursor("a"))));
    let next = registry.get::<Balances>().find("owner", ("Ann", 5)).after(page.next);
    assert!(block_on(next.into_future()).unwrap().rows.is_empty());

    let by = |equals: Vec<Cell>, range| By::Index { name: name("owner"), equals, range };
    let question = |by| RowsQuestion::page(name("balances"), by).prefer(2);
    let first = by(vec![text("Ann")], (Bound::Included(Cell::Integer(3)), Bound::Unbounded));
    let first = question(first).backward().limit(1).at_least(Some(Position::MAX));
    let second = by(vec![text("Ann"), Cell::Integer(5)], (Bound::Unbounded, Bound::Unbounded));
    assert_eq!(stand.asked(), [first, question(second).after(Some(cursor("a")))]);
}

#[test]
fn rows_are_listed_by_key() {
    let stand = Stand::with((0..3).map(|_| answer(vec![], None)));
    let balances = ProjectionRegistryExt::get::<Balances>(&*stand);
    block_on(balances.list().into_future()).unwrap();
    block_on(balances.list().range("a".."b").into_future()).unwrap();
    block_on(balances.list().prefix("a").backward().into_future()).unwrap();
    let asked: Vec<_> = stand.asked().into_iter().map(|question| question.rows).collect();
    let listed = |by, direction| WhichRows::Page { by, direction, limit: 100, after: None };
    let range = By::Key(Bound::Included(key("a")), Bound::Excluded(key("b")));
    let (forward, backward) = (Direction::Forward, Direction::Backward);
    assert_eq!(asked, [listed(By::key(), forward), listed(range.clone(), forward), listed(range, backward)]);
}

#[test]
fn all_pages_are_followed() {
    let page = |of: &str, next| answer(vec![row(of, "Ann", 1), row(&alloc::format!("{of}2"), "Ann", 2)], next);
    // A page may be empty and not the last.
    let pages = [page("a", Some(cursor("a2"))), answer(vec![], Some(cursor("b"))), page("c", None)];
    let stand = Stand::with(pages);
    let all: Vec<_> = block_on(stand.get::<Balances>().list().limit(2).all().try_collect()).unwrap();
    let keys: Vec<_> = all.iter().map(|keyed| keyed.key.as_str()).collect();
    assert_eq!(keys, ["a", "a2", "c", "c2"]);
    let question = RowsQuestion::page(name("balances"), By::key()).prefer(2).limit(2);
    let asked = [None, Some(cursor("a2")), Some(cursor("b"))].map(|after| question.clone().after(after));
    assert_eq!(stand.asked(), asked);

    let stand = Stand::with([page("a", Some(cursor("a2")))]);
    let (seen, error) = block_on(async {
        let mut seen = 0;
        let each = stand.get::<Balances>().list().all().try_for_each(|_| {
            seen += 1;
            core::future::ready(Ok(()))
        });
        let outcome = each.await;
        (seen, outcome)
    });
    assert_eq!(seen, 2);
    assert!(matches!(error, Err(ReadRowsError::Projection(ProjectionError::NotReady(_)))), "{error:?}");
}

#[test]
fn rows_of_another_version_are_read_by_the_names_of_their_columns() {
    let columns = [("balance", ColumnType::Integer), ("since", ColumnType::Integer), ("owner", ColumnType::Text)];
    let cells = vec![Cell::Integer(5), Cell::Integer(0), text("Ann")];
    let old = RowsAnswer::new(collection("1", &columns), vec![KeyedRow::new(key("a"), cells)], None);
    let stand = Stand::with([old]);
    let read = block_on(stand.get::<Balances>().get("a").into_future()).unwrap();
    assert_eq!(read, Some(Balance { owner: "Ann".into(), balance: 5, note: None }));
}

#[test]
fn rows_that_are_of_another_type_are_told_apart() {
    let without = |edition: &str| {
        let row = KeyedRow::new(key("a"), vec![Cell::Integer(5)]);
        RowsAnswer::new(collection(edition, &[("balance", ColumnType::Integer)]), vec![row], None)
    };
    let read = |answer| block_on(Stand::with([answer]).get::<Balances>().get("a").into_future()).unwrap_err();
    let error = read(without("1.3"));
    assert!(matches!(&error, ReadRowsError::OtherVersion { missing, .. } if missing[..] == ["owner", "note"]));
    let said = error.to_string();
    assert!(said.contains("edition 1.3") && said.contains("version 2") && said.contains("owner, note"), "{said}");
    assert!(matches!(QueryError::from(error), QueryError::Busy(_)));

    let error = read(without("2"));
    assert!(matches!(&error, ReadRowsError::Row { key, .. } if **key == *"a"), "{error}");
    assert!(matches!(QueryError::from(error), QueryError::Other(_)));

    // A row with fewer cells than the answer has columns is damaged, whatever its version, and none is made up.
    let columns = [("balance", ColumnType::Integer), ("owner", ColumnType::Text), ("note", ColumnType::Text)];
    let row = KeyedRow::new(key("a"), vec![Cell::Integer(5), text("Ann")]);
    let short = RowsAnswer::new(collection("2", &columns), vec![row], None);
    assert!(matches!(read(short), ReadRowsError::Row { source: RowValueError::Columns { .. }, .. }));
}

#[test]
fn what_cannot_be_asked_is_not_asked() {
    let stand = Stand::with([answer(vec![], None)]);
    let balances = stand.get::<Balances>();
    let invalid = |error| matches!(error, ReadRowsError::Projection(ProjectionError::Invalid(_)));
    assert!(invalid(block_on(balances.get("").into_future()).unwrap_err()));
    assert!(invalid(block_on(balances.get_many(["a", "\n"]).into_future()).unwrap_err()));
    assert!(invalid(block_on(balances.list().range(""..).into_future()).unwrap_err()));
    assert!(invalid(block_on(balances.list().prefix("").limit(3).into_future()).unwrap_err()));
    assert!(invalid(block_on(balances.find("", 1).into_future()).unwrap_err()));
    let too_large = block_on(balances.find("balance", ()).range(u64::MAX..).into_future()).unwrap_err();
    assert!(matches!(too_large, ReadRowsError::Value(RowValueError::OutOfRange { .. })));
    assert!(block_on(balances.find("balance", u64::MAX).all().try_collect::<Vec<_>>()).is_err());
    assert_eq!(stand.asked(), []);
}

#[test]
fn actions_are_methods() {
    let stand = Stand::default();
    let (edition, event) = (Edition { version: 2, rebuild: 1 }, Position::new(9).unwrap());
    block_on(async {
        stand.pause("b").await?;
        stand.resume("b").await?;
        stand.reset("b").await?;
        stand.rebuild("b").await?;
        stand.cancel_rebuild("b").await?;
        stand.activate("b", Some(1)).await?;
        stand.remove("b", edition).await?;
        stand.retry("b", None).await?;
        stand.drop_event("b", event).await
    })
    .unwrap();
    let told: Vec<_> = stand.told.lock().unwrap().drain(..).map(|(_, action)| action).collect();
    let expected = [
        ProjectionAction::Pause,
        ProjectionAction::Resume,
        ProjectionAction::Reset,
        ProjectionAction::Rebuild,
        ProjectionAction::CancelRebuild,
        ProjectionAction::Activate(Some(1)),
        ProjectionAction::Remove(edition),
        ProjectionAction::Retry(None),
        ProjectionAction::Drop(event),
    ];
    assert_eq!(told, expected);
    assert!(matches!(block_on(stand.pause("")), Err(ProjectionError::Invalid(_))));
    assert!(stand.told.lock().unwrap().is_empty());
}
