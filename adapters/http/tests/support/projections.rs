//! A registry with one projection of a few rows, which is asked and told things; others are errors by their names.

use async_trait::async_trait;
use core::ops::{Bound, RangeBounds as _};
use portolan_kernel::Bytes;
use portolan_kernel::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionAction, ProjectionError, ProjectionFailure,
    ProjectionRegistry, ProjectionState, ProjectionStatus, RowsAnswer, RowsQuestion, Source, WaitError, WhichRows,
};
use portolan_kernel::values::{
    By, Cell, Collection, ColumnType, Cursor, Direction, Edition, Index, KeyedRow, Name, Position, RowKey, Timestamp,
};
use std::sync::Mutex;
use tokio::sync::watch;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> RowKey {
    text.parse().unwrap()
}

pub(crate) fn at(position: u64) -> Position {
    Position::new(position).unwrap()
}

/// Rows of one edition.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) collection: Collection,
    pub(crate) rows: Vec<KeyedRow>,
}

impl Table {
    pub(crate) fn new(edition: &str, columns: &[(&str, ColumnType)], indexes: &[(&str, &[&str])]) -> Self {
        let edition: Edition = edition.parse().unwrap();
        let mut collection = Collection::new(name("balances"), edition.to_stored());
        for (column, kind) in columns {
            collection = collection.column(name(column), *kind);
        }
        for (index, columns) in indexes {
            collection = collection.index(Index::new(name(index), columns.iter().map(|column| name(column))));
        }
        Self { collection, rows: Vec::new() }
    }

    pub(crate) fn row(mut self, of: &str, cells: Vec<Cell>) -> Self {
        self.rows.push(KeyedRow::new(key(of), cells));
        self
    }

    /// Five accounts with values of every type.
    pub(crate) fn accounts() -> Self {
        let columns = [
            ("owner", ColumnType::Text),
            ("balance", ColumnType::Integer),
            ("rate", ColumnType::Real),
            ("open", ColumnType::Bool),
            ("notes", ColumnType::Json),
            ("seal", ColumnType::Bytes),
        ];
        let indexes: [(&str, &[&str]); 4] =
            [("owner", &["owner", "balance"]), ("rate", &["rate"]), ("open", &["open"]), ("seal", &["seal"])];
        let text = |text: &str| Cell::Text(text.into());
        let row = |owner: Cell, balance: i64, rate: f64, open: bool, notes: Cell, seal: &'static [u8]| {
            let seal = Cell::Bytes(Bytes::from_static(seal));
            vec![owner, Cell::Integer(balance), Cell::Real(rate), Cell::Bool(open), notes, seal]
        };
        Self::new("2.1", &columns, &indexes)
            .row("ann-1", row(text("Ann"), 5, 0.5, true, text("{\"b\":[1.0, 2]}"), b"\x00\xff"))
            .row("ann-2", row(text("Ann"), i64::MAX, -0.25, false, text("no json"), b""))
            .row("ann-3", row(text("Ann"), 20, f64::INFINITY, true, Cell::Null, b"x"))
            .row("b/o b%", row(text("B&b"), -7, 3.0, true, text("7"), b"y"))
            .row("nobody", row(Cell::Null, 0, 0.0, false, Cell::Null, b"z"))
    }

    fn answer(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        let collection = self.collection.clone();
        let invalid = |what: &str| Err(ProjectionError::Invalid(what.to_owned()));
        let (by, direction, limit, after) = match question.rows {
            WhichRows::Keys(keys) if keys.len() > 3 => {
                return Err(ProjectionError::TooLarge { what: "keys".into(), size: keys.len() as u64, limit: 3 });
            }
            WhichRows::Keys(keys) => {
                let rows = keys.iter().filter_map(|key| self.rows.iter().find(|row| row.key == *key));
                return Ok(RowsAnswer::new(collection, rows.cloned().collect(), None));
            }
            WhichRows::Page { by, direction, limit, after } => (by, direction, limit, after),
        };
        if limit == 0 {
            return invalid("a page has at least one row");
        }
        if let Some(cursor) = &after
            && cursor.version != collection.version
        {
            let edition = Edition::stored(cursor.version);
            return Err(ProjectionError::Gone { name: question.projection, edition });
        }
        let placed = |row: &KeyedRow| match &by {
            By::Key(..) => Vec::new(),
            By::Index { name, .. } => {
                collection.find_index(name).map(|index| collection.index_values(index, &row.cells)).unwrap_or_default()
            }
        };
        if let By::Index { name, equals, .. } = &by {
            let Some(index) = collection.find_index(name) else { return invalid("there is no such index") };
            if equals.len() > index.columns.len() {
                return invalid("the index has fewer columns");
            }
        }
        let is_in = |(values, row): &(Vec<Cell>, &KeyedRow)| match &by {
            By::Key(from, to) => (from.clone(), to.clone()).contains(&row.key),
            By::Index { equals, range, .. } => {
                values.starts_with(equals)
                    && match values.get(equals.len()) {
                        Some(next) => (range.0.clone(), range.1.clone()).contains(next),
                        None => matches!(range, (Bound::Unbounded, Bound::Unbounded)),
                    }
            }
        };
        let mut found: Vec<_> = self.rows.iter().map(|row| (placed(row), row)).filter(is_in).collect();
        found.sort_by(|(a, one), (b, other)| (a, &one.key).cmp(&(b, &other.key)));
        if direction == Direction::Backward {
            found.reverse();
        }
        if let Some(cursor) = &after {
            let place = (&cursor.values, &cursor.key);
            found.retain(|(values, row)| match direction {
                Direction::Forward => (values, &row.key) > place,
                Direction::Backward => (values, &row.key) < place,
            });
        }
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| has_more);
        let next = last.map(|(values, row)| Cursor::new(collection.version, values.clone(), row.key.clone()));
        Ok(RowsAnswer::new(collection, found.into_iter().map(|(_, row)| row.clone()).collect(), next))
    }
}

/// The projection `balances`. Those named `error-0` and on fail with each error there is.
pub(crate) struct Projections {
    /// What answers; each but the last is asked once.
    pub(crate) tables: Mutex<Vec<Table>>,
    /// Of another edition, which only its cursors lead to.
    pub(crate) beside: Mutex<Option<Table>>,
    pub(crate) asked: Mutex<Vec<RowsQuestion>>,
    pub(crate) told: Mutex<Vec<(Name, ProjectionAction)>>,
    /// Up to where `balances` is.
    pub(crate) position: watch::Sender<u64>,
}

impl Default for Projections {
    fn default() -> Self {
        let (tables, asked, told) = (Mutex::new(vec![Table::accounts()]), Mutex::default(), Mutex::default());
        Self { tables, beside: Mutex::default(), asked, told, position: watch::Sender::new(7) }
    }
}

pub(crate) fn wait_errors() -> Vec<WaitError> {
    let name = name("b/o \"%\u{1F980}");
    vec![
        WaitError::UnknownProjection(name.clone()),
        WaitError::Stopped { name: name.clone(), reason: "event 7 has no key".into() },
        WaitError::Stalled { name: name.clone() },
        WaitError::Parked { name, position: Position::MAX },
        WaitError::Denied("ann is no operator".into()),
        WaitError::Busy(Source::new("full")),
        WaitError::Other(Source::new("odd")),
    ]
}

pub(crate) fn errors() -> Vec<ProjectionError> {
    let name = name("b/o \"%\u{1F980}");
    let mut errors = vec![
        ProjectionError::UnknownProjection(name.clone()),
        ProjectionError::NotFound { name: name.clone(), what: "edition 7".into() },
        ProjectionError::NotReady(name.clone()),
        ProjectionError::Gone { name, edition: "1.7".parse().unwrap() },
        ProjectionError::Invalid("no".into()),
        ProjectionError::Denied("ann is no operator".into()),
        ProjectionError::TooLarge { what: "keys".into(), size: u64::MAX, limit: 7 },
        ProjectionError::Busy(Source::new("full")),
        ProjectionError::Unknown(Source::new("lost")),
        ProjectionError::Other(Source::new("odd")),
    ];
    errors.extend(wait_errors().into_iter().map(ProjectionError::Wait));
    errors
}

fn error<E: Clone>(name: &Name, errors: Vec<E>) -> Option<E> {
    name.strip_prefix("error-").and_then(|number| errors.get(number.parse::<usize>().ok()?).cloned())
}

fn known(name: &Name) -> Result<(), ProjectionError> {
    match error(name, errors()) {
        Some(error) => Err(error),
        None if **name == *"damaged" => Err(ProjectionError::Corrupt { place: "/srv/rows.db: table 7".into() }),
        None if **name == *"panic" => panic!("as asked"),
        None if **name != *"balances" => Err(ProjectionError::UnknownProjection(name.clone())),
        None => Ok(()),
    }
}

/// One of everything.
pub(crate) fn status() -> ProjectionStatus {
    let mut status = ProjectionStatus::new(name("balances"), 2, Lifecycle::InlineIfPossible);
    let moment = Timestamp::from_micros(1_785_000_000_000_001);
    let mut edition = EditionStatus::new("2.1".parse().unwrap());
    (edition.is_active, edition.is_ready, edition.position) = (true, true, Some(at(7)));
    edition.state = ProjectionState::Stopped { reason: "event 8 has no key".into() };
    edition.holder = Some(name("host-1"));
    status.state = edition.state.clone();
    (status.edition, status.position, status.frontier) = (Some(edition.edition), edition.position, Some(at(9)));
    status.lag = Lag::new(2, core::time::Duration::new(3, 250));
    status.events_per_second = 1_000;
    status.last_error = Some(ProjectionFailure::new(moment, Some(at(8)), "it has no key".into()));
    status.parked = 2;
    status.skipped = 4;
    let mut stalled = EditionStatus::new("1".parse().unwrap());
    stalled.state = ProjectionState::Stalled { since: moment };
    status.editions = vec![stalled, edition];
    status
}

pub(crate) fn parked() -> Vec<Parked> {
    let moment = Timestamp::from_micros(1_785_000_000_000_001);
    let one = |position, key| Parked::new(at(position), "account-b/o".parse().unwrap(), key, "no key".into(), moment);
    vec![one(3, None), one(5, Some(key("b/o b%")))]
}

#[async_trait]
impl ProjectionRegistry for Projections {
    fn knows(&self, projection: &Name) -> Option<bool> {
        Some(known(projection).is_ok())
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        Ok(vec![status()])
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        known(&projection).map(|()| status())
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        known(&projection)?;
        self.told.lock().unwrap().push((projection, action));
        Ok(())
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        known(&projection)?;
        let mut events: Vec<_> = parked().into_iter().filter(|parked| Some(parked.position) > after).collect();
        let has_more = events.len() > limit as usize;
        events.truncate(limit as usize);
        let next = events.last().filter(|_| has_more).map(|last| last.position);
        Ok(ParkedPage::new(events, next))
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        self.asked.lock().unwrap().push(question.clone());
        known(&question.projection)?;
        if let Some(position) = question.at_least {
            self.wait_for(question.projection.clone(), position).await.map_err(ProjectionError::Wait)?;
        }
        if let (WhichRows::Page { after: Some(cursor), .. }, Some(beside)) =
            (&question.rows, &*self.beside.lock().unwrap())
            && cursor.version == beside.collection.version
        {
            return beside.answer(question);
        }
        let table = {
            let mut tables = self.tables.lock().unwrap();
            if tables.len() > 1 { tables.remove(0) } else { tables[0].clone() }
        };
        table.answer(question)
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        if let Some(error) = error(&projection, wait_errors()) {
            return Err(error);
        }
        if projection != "balances" {
            return Err(WaitError::UnknownProjection(projection));
        }
        let mut reached = self.position.subscribe();
        reached
            .wait_for(|reached| *reached >= position.get())
            .await
            .map_err(|error| WaitError::Other(Source::new(error)))?;
        Ok(())
    }
}
