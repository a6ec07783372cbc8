//! A registry with one projection, whose rows a test puts there, and that counts what it is asked.

use async_trait::async_trait;
use core::ops::Bound;
use portolan::Bytes;
use portolan::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionAction, ProjectionError, ProjectionFailure,
    ProjectionRegistry, ProjectionState, ProjectionStatus, RowsAnswer, RowsQuestion, WaitError, WhichRows,
};
use portolan::values::{
    By, Cell, Collection, ColumnType, Cursor, Direction, Edition, Index, KeyedRow, Name, Position, Timestamp,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) struct Shelf {
    pub(crate) rows: Mutex<BTreeMap<String, Vec<Cell>>>,
    pub(crate) is_ready: AtomicBool,
    /// How often rows were asked for.
    pub(crate) asked: AtomicUsize,
    pub(crate) acted: Mutex<Vec<ProjectionAction>>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Whether so many are in the red.
pub(crate) fn cells(owner: &str, balance: i64) -> Vec<Cell> {
    vec![
        Cell::Text(owner.into()),
        Cell::Integer(balance),
        Cell::Real(0.5),
        Cell::Bool(balance >= 0),
        Cell::Text("{\"a\":[1]}".into()),
        Cell::Bytes(Bytes::from_static(b"\xFF")),
        Cell::Null,
    ]
}

impl Default for Shelf {
    fn default() -> Self {
        let row = |n: i64| (format!("acc-{n}"), cells(if n % 2 == 0 { "Ann" } else { "Bob" }, n * 100 - 200));
        Self {
            rows: Mutex::new((0..6).map(row).collect()),
            is_ready: AtomicBool::new(true),
            asked: AtomicUsize::new(0),
            acted: Mutex::default(),
        }
    }
}

fn collection() -> Collection {
    let kinds = [
        ("owner", ColumnType::Text),
        ("balance", ColumnType::Integer),
        ("share", ColumnType::Real),
        ("open", ColumnType::Bool),
        ("tags", ColumnType::Json),
        ("seal", ColumnType::Bytes),
        ("key", ColumnType::Text),
    ];
    let collection = Collection::new(name("balances"), Edition { version: 3, rebuild: 1 }.to_stored());
    let collection =
        kinds.into_iter().fold(collection, |collection, (column, kind)| collection.column(name(column), kind));
    collection
        .index(Index::new(name("by-owner"), [name("owner")]))
        .index(Index::new(name("standing"), [name("open"), name("balance")]))
}

impl Shelf {
    fn page(&self, by: &By, direction: Direction, limit: u32, after: Option<&Cursor>) -> RowsAnswer {
        let collection = collection();
        let index = match by {
            By::Key(..) => None,
            By::Index { name, .. } => collection.find_index(name),
        };
        let fits = |row: &KeyedRow| match by {
            By::Key(from, to) => {
                let from = match from {
                    Bound::Included(from) => row.key >= *from,
                    Bound::Excluded(from) => row.key > *from,
                    Bound::Unbounded => true,
                };
                from && match to {
                    Bound::Included(to) => row.key <= *to,
                    Bound::Excluded(to) => row.key < *to,
                    Bound::Unbounded => true,
                }
            }
            By::Index { equals, range, .. } => {
                let values = collection.index_values(index.unwrap(), &row.cells);
                let next = values.get(equals.len());
                let within = |cell: &Cell| {
                    let from = !matches!(&range.0, Bound::Included(from) if cell < from);
                    from && !matches!(&range.1, Bound::Included(to) if cell > to)
                };
                values.starts_with(equals) && next.is_none_or(within)
            }
        };
        let place = |row: &KeyedRow| {
            let values = index.map(|index| collection.index_values(index, &row.cells)).unwrap_or_default();
            (values, row.key.clone())
        };
        let all = self.rows.lock().unwrap();
        let mut rows: Vec<_> =
            all.iter().map(|(key, cells)| KeyedRow::new(key.parse().unwrap(), cells.clone())).filter(fits).collect();
        rows.sort_by_key(place);
        if direction == Direction::Backward {
            rows.reverse();
        }
        if let Some(after) = after {
            let after = (after.values.clone(), after.key.clone());
            rows.retain(|row| if direction == Direction::Forward { place(row) > after } else { place(row) < after });
        }
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| {
            let (values, key) = place(row);
            Cursor::new(collection.version, values, key)
        });
        RowsAnswer::new(collection, rows, next)
    }

    fn known(&self, projection: &Name) -> Result<(), ProjectionError> {
        if *projection == "balances" { Ok(()) } else { Err(ProjectionError::UnknownProjection(projection.clone())) }
    }
}

#[async_trait]
impl ProjectionRegistry for Shelf {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        Ok(vec![self.status(name("balances")).await?])
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        self.known(&projection)?;
        let mut status = ProjectionStatus::new(projection, 3, Lifecycle::InlineIfPossible);
        status.state = ProjectionState::Stopped { reason: "é: no such \"column\"".into() };
        status.edition = Some(Edition { version: 3, rebuild: 1 });
        status.position = Position::new(7);
        status.frontier = Some(Position::MAX);
        status.lag = Lag::new(u64::MAX, core::time::Duration::new(3, 7));
        status.events_per_second = 9;
        status.parked = 2;
        status.skipped = 4;
        let at = Timestamp::from_micros(1_785_000_000_000_001);
        status.last_error = Some(ProjectionFailure::new(at, Position::new(8), "it is odd".into()));
        let mut edition = EditionStatus::new(Edition::first(2));
        edition.state = ProjectionState::Stalled { since: at };
        (edition.is_active, edition.is_ready, edition.position) = (true, true, Position::new(5));
        edition.holder = Some(name("worker 1"));
        status.editions = vec![edition];
        Ok(status)
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        self.known(&projection)?;
        self.acted.lock().unwrap().push(action);
        Ok(())
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        self.known(&projection)?;
        let at = Timestamp::from_micros(5);
        let all = (1..=3).filter_map(Position::new).filter(|position| after.is_none_or(|after| *position > after));
        let event = |position| {
            let key = (position == Position::new(1).unwrap()).then(|| "acc-1".parse().unwrap());
            Parked::new(position, "account-1".parse().unwrap(), key, "it is odd".into(), at)
        };
        let events: Vec<_> = all.map(event).take(limit as usize).collect();
        let next = events.last().map(|event| event.position).filter(|last| last.get() < 3);
        Ok(ParkedPage::new(events, next))
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        self.known(&question.projection)?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.is_ready.load(Ordering::SeqCst) {
            return Err(ProjectionError::NotReady(question.projection));
        }
        Ok(match &question.rows {
            WhichRows::Keys(keys) => {
                let all = self.rows.lock().unwrap();
                let row =
                    |key: &portolan::values::RowKey| Some(KeyedRow::new(key.clone(), all.get(key.as_str())?.clone()));
                RowsAnswer::new(collection(), keys.iter().filter_map(row).collect(), None)
            }
            WhichRows::Page { by, direction, limit, after } => self.page(by, *direction, *limit, after.as_ref()),
        })
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        match (projection.as_str(), position.get()) {
            ("balances", 999) => Err(WaitError::Parked { name: projection, position }),
            ("balances", 998) => core::future::pending().await,
            ("balances", _) => Ok(()),
            _ => Err(WaitError::UnknownProjection(projection)),
        }
    }
}
