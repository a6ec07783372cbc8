//! Projections that answer what a test asks for, and remember what came.

use async_trait::async_trait;
use core::ops::Bound;
use core::time::Duration;
use portolan_kernel::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionAction, ProjectionError, ProjectionFailure,
    ProjectionRegistry, ProjectionState, ProjectionStatus, RowsAnswer, RowsQuestion, Source, WaitError,
};
use portolan_kernel::values::{
    Cell, Collection, ColumnType, Cursor, Edition, Index, KeyedRow, Name, Position, RowKey, Timestamp,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const ODD: &str = "a/b \"%\u{1F980}";

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn at(number: u64) -> Position {
    Position::new(number).unwrap()
}

pub(crate) fn statuses() -> Vec<ProjectionStatus> {
    let lifecycles = [Lifecycle::Asynchronous, Lifecycle::Inline, Lifecycle::InlineIfPossible, Lifecycle::Live];
    let states = [
        ProjectionState::CatchingUp,
        ProjectionState::CaughtUp,
        ProjectionState::Paused,
        ProjectionState::Stopped { reason: "no\nreason".into() },
        ProjectionState::Stalled { since: Timestamp::from_micros(u64::MAX) },
    ];
    let mut all: Vec<_> = (states.into_iter().zip(lifecycles.into_iter().cycle()))
        .map(|(state, lifecycle)| {
            let mut status = ProjectionStatus::new(name(ODD), u16::MAX, lifecycle);
            status.state = state.clone();
            status.edition = Some(Edition { version: u16::MAX, rebuild: u16::MAX });
            status.position = Some(Position::MAX);
            status.frontier = Some(at(0));
            status.lag = Lag::new(u64::MAX, Duration::new(7, 999_999_999));
            status.events_per_second = u64::MAX;
            let when = Timestamp::from_micros(1_785_000_000_000_001);
            status.last_error = Some(ProjectionFailure::new(when, Some(at(3)), "odd".into()));
            status.parked = 5;
            status.skipped = u64::MAX;
            let mut edition = EditionStatus::new(Edition::first(2));
            edition.state = state;
            (edition.is_active, edition.is_ready) = (true, true);
            (edition.position, edition.holder) = (Some(at(9)), Some(name("worker 1")));
            status.editions = vec![edition, EditionStatus::new(Edition { version: 1, rebuild: 7 })];
            status
        })
        .collect();
    all.push(ProjectionStatus::new(name("new"), 1, Lifecycle::Asynchronous));
    all
}

pub(crate) fn rows_answer() -> RowsAnswer {
    let kinds = [
        ColumnType::Bool,
        ColumnType::Integer,
        ColumnType::Real,
        ColumnType::Text,
        ColumnType::Json,
        ColumnType::Bytes,
    ];
    let mut collection = Collection::new(name("balances"), u32::MAX);
    for (n, kind) in kinds.into_iter().enumerate() {
        collection = collection.column(name(&format!("c{n}")), kind);
    }
    let collection = collection
        .index(Index::new(name("one"), [name("c0"), name("c1")]).unique())
        .index(Index::new(name("other"), [name("c2")]));
    let cells = vec![
        Cell::Bool(true),
        Cell::Integer(i64::MIN),
        Cell::Real(f64::MIN_POSITIVE),
        Cell::Text(ODD.into()),
        Cell::Text("{}".into()),
        Cell::Bytes(vec![0, 0xff].into()),
    ];
    let empty = vec![Cell::Null; 6];
    let rows = vec![KeyedRow::new(key(ODD), cells.clone()), KeyedRow::new(key("none"), empty)];
    RowsAnswer::new(collection, rows, Some(Cursor::new(u32::MAX, cells, key("none"))))
}

pub(crate) fn key(text: &str) -> RowKey {
    RowKey::new(text).unwrap()
}

pub(crate) fn parked_page() -> ParkedPage {
    let when = Timestamp::from_micros(1);
    let with = Parked::new(at(4), "s-1".parse().unwrap(), Some(key(ODD)), "odd".into(), when);
    let without = Parked::new(Position::MAX, "s-2".parse().unwrap(), None, String::new(), when);
    ParkedPage::new(vec![with, without], Some(at(4)))
}

/// Every error, by the name of the projection that has it.
pub(crate) fn error(projection: &Name) -> ProjectionError {
    let name = projection.clone();
    match &**projection {
        "not-found" => ProjectionError::NotFound { name, what: "edition 3.2".into() },
        "not-ready" => ProjectionError::NotReady(name),
        "gone" => ProjectionError::Gone { name, edition: Edition { version: 3, rebuild: 2 } },
        "invalid" => ProjectionError::Invalid("no".into()),
        "too-large" => ProjectionError::TooLarge { what: "rows".into(), size: u64::MAX, limit: 3 },
        "wait" => ProjectionError::Wait(WaitError::Stalled { name }),
        "busy" => ProjectionError::Busy(Source::new("full")),
        "unknown" => ProjectionError::Unknown(Source::new("lost")),
        "other" => ProjectionError::Other(Source::new("odd")),
        _ => ProjectionError::UnknownProjection(name),
    }
}

/// Every error of waiting, by the name of the projection that has it.
pub(crate) fn wait_error(projection: &Name) -> WaitError {
    let name = projection.clone();
    match &**projection {
        "stopped" => WaitError::Stopped { name, reason: "odd".into() },
        "stalled" => WaitError::Stalled { name },
        "parked" => WaitError::Parked { name, position: Position::MAX },
        "busy" => WaitError::Busy(Source::new("full")),
        "other" => WaitError::Other(Source::new("odd")),
        _ => WaitError::UnknownProjection(name),
    }
}

pub(crate) const ERRORS: [&str; 10] =
    ["not-found", "not-ready", "gone", "invalid", "too-large", "wait", "busy", "unknown", "other", "no such"];

pub(crate) const WAIT_ERRORS: [&str; 6] = ["stopped", "stalled", "parked", "busy", "other", "no such"];

/// The projection `balances`; others have the error they are named after.
#[derive(Default)]
pub(crate) struct Projections {
    pub(crate) acted: Mutex<Vec<(Name, ProjectionAction)>>,
    pub(crate) asked: Mutex<Vec<RowsQuestion>>,
    pub(crate) after: Mutex<Vec<(Option<Position>, u32)>>,
    /// How many waits there have been.
    pub(crate) waits: AtomicU64,
}

#[async_trait]
impl ProjectionRegistry for Projections {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        Ok(statuses())
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        if projection == "balances" { Ok(statuses().remove(0)) } else { Err(error(&projection)) }
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        if projection != "balances" {
            return Err(error(&projection));
        }
        self.acted.lock().unwrap().push((projection, action));
        Ok(())
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        self.after.lock().unwrap().push((after, limit));
        if projection == "balances" { Ok(parked_page()) } else { Err(error(&projection)) }
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        if question.projection == "stuck" {
            std::future::pending::<()>().await;
        }
        if question.projection != "balances" {
            return Err(error(&question.projection));
        }
        self.asked.lock().unwrap().push(question);
        Ok(rows_answer())
    }

    async fn wait_for(&self, projection: Name, _: Position) -> Result<(), WaitError> {
        // The third wait finds that it has caught up.
        if projection == "slow" && self.waits.fetch_add(1, Ordering::Relaxed) < 2 {
            std::future::pending::<()>().await;
        }
        if matches!(&*projection, "balances" | "slow") { Ok(()) } else { Err(wait_error(&projection)) }
    }
}

/// A question of each kind.
pub(crate) fn questions() -> Vec<RowsQuestion> {
    use portolan_kernel::values::By;
    let cells = || vec![Cell::Null, Cell::Bool(false), Cell::Real(-0.5), Cell::Integer(i64::MAX)];
    let bounds = [Bound::Unbounded, Bound::Included(key("a")), Bound::Excluded(key(ODD))];
    let ends = [Bound::Unbounded, Bound::Included(Cell::Text(ODD.into())), Bound::Excluded(Cell::Null)];
    let mut all = vec![
        RowsQuestion::keys(name("balances"), vec![key("a"), key(ODD)]).at_least(Some(Position::MAX)),
        RowsQuestion::keys(name("balances"), vec![]).prefer(u16::MAX),
    ];
    for from in 0..3 {
        for to in 0..3 {
            let by = By::Key(bounds[from].clone(), bounds[to].clone());
            all.push(RowsQuestion::page(name("balances"), by).limit(u32::MAX).backward());
            let range = (ends[from].clone(), ends[to].clone());
            let by = By::Index { name: name("one"), equals: cells(), range };
            let cursor = Cursor::new(7, cells(), key(ODD));
            all.push(RowsQuestion::page(name("balances"), by).after(Some(cursor)).at_least(Some(at(0))));
        }
    }
    all
}
