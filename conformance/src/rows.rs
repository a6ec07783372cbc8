//! Asking a store of read models, and words to build what it is asked.

use crate::ask::name;
use crate::{Broken, Trial, Verdict};
use core::ops::{Bound, Range};
use core::time::Duration;
use portolan_kernel::ports::{ReadModelStore, RowError, StoreId};
use portolan_kernel::values::{
    Batch, By, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Find, Index, KeyedRow, Move, Name, Position,
    RowKey, Token, Versions,
};
use std::panic::Location;
use std::sync::Arc;

/// The store under trial.
pub(crate) type Rows = Arc<dyn ReadModelStore>;

/// The log that rows are made of, and another.
pub(crate) const LOG: StoreId = StoreId::from_bytes([1; 16]);
pub(crate) const OTHER_LOG: StoreId = StoreId::from_bytes([2; 16]);

/// Questions that a store has to answer, or the law is broken at the asking line.
pub(crate) trait AskRows {
    /// A commit; `Busy` is tried again for a while.
    fn try_commit(&self, batch: Batch) -> impl Future<Output = Result<(), RowError>> + Send;
    /// A commit that has to be taken.
    fn commits(&self, batch: Batch) -> impl Future<Output = Verdict> + Send;
    /// A commit that has to be refused.
    fn refused(&self, batch: Batch) -> impl Future<Output = Verdict<RowError>> + Send;
    /// A commit that moves a checkpoint to a position, from wherever it stands, under token 1.
    fn moved(
        &self,
        checkpoint: &str,
        to: u64,
        changes: impl FnOnce(Batch) -> Batch + Send,
    ) -> impl Future<Output = Verdict> + Send;
    /// A definition that has to be taken.
    fn defines(&self, collection: Collection) -> impl Future<Output = Verdict> + Send;
    /// A removal that has to be carried out.
    fn removes(&self, collection: &str, version: u32, checkpoint: &str) -> impl Future<Output = Verdict> + Send;
    /// Where a checkpoint stands.
    fn stands(&self, checkpoint: &str) -> impl Future<Output = Verdict<Option<CheckpointState>>> + Send;
    /// The versions of a collection.
    fn has_versions(&self, collection: &str) -> impl Future<Output = Verdict<Versions>> + Send;
    /// The rows of these keys in the active version of `accounts`.
    fn got(&self, keys: &[&str]) -> impl Future<Output = Verdict<Vec<KeyedRow>>> + Send;
    /// The rows of all pages. A page may hold fewer rows than its limit, also none: `next` alone tells the end.
    fn listed(&self, find: Find) -> impl Future<Output = Verdict<Vec<KeyedRow>>> + Send;
    /// Whatever was asked, answered.
    fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, RowError>> + Send,
    ) -> impl Future<Output = Verdict<T>> + Send;
}

/// A chain of pages longer than this never ends.
const MOST_PAGES: usize = 10_000;

impl AskRows for dyn ReadModelStore {
    async fn try_commit(&self, batch: Batch) -> Result<(), RowError> {
        for pause in 0..200 {
            match self.commit(batch.clone()).await {
                Err(RowError::Busy(_)) => tokio::time::sleep(Duration::from_millis(pause.min(20))).await,
                outcome => return outcome,
            }
        }
        self.commit(batch).await
    }

    #[track_caller]
    fn commits(&self, batch: Batch) -> impl Future<Output = Verdict> + Send {
        let at = Location::caller();
        async move {
            let said = format!("{batch:.300?}");
            expected(self.try_commit(batch).await, said, at)
        }
    }

    #[track_caller]
    fn refused(&self, batch: Batch) -> impl Future<Output = Verdict<RowError>> + Send {
        let at = Location::caller();
        async move {
            let said = format!("{batch:.300?}");
            match self.try_commit(batch).await {
                Err(error) => Ok(error),
                Ok(()) => Err(Broken::new(said, "a refusal", "it was committed").at(at)),
            }
        }
    }

    #[track_caller]
    fn moved(
        &self,
        checkpoint: &str,
        to: u64,
        changes: impl FnOnce(Batch) -> Batch + Send,
    ) -> impl Future<Output = Verdict> + Send {
        let (caller, checkpoint) = (Location::caller(), checkpoint.to_owned());
        async move {
            let state = self.stands(&checkpoint).await?.unwrap_or(CheckpointState::new(LOG, None, Token(0)));
            let moves = Checkpoint::new(named(&checkpoint), state, Token(1), Move::At(at(to)));
            self.commits(changes(Batch::new(moves))).await.map_err(|broken| broken.at(caller))
        }
    }

    #[track_caller]
    fn defines(&self, collection: Collection) -> impl Future<Output = Verdict> + Send {
        let at = Location::caller();
        async move {
            let said = format!("defining {collection:.300?}");
            expected(self.define(collection).await, said, at)
        }
    }

    #[track_caller]
    fn removes(&self, collection: &str, version: u32, checkpoint: &str) -> impl Future<Output = Verdict> + Send {
        let (caller, collection, checkpoint) = (Location::caller(), named(collection), checkpoint.to_owned());
        async move {
            let state = self.stands(&checkpoint).await?.unwrap_or(CheckpointState::new(LOG, None, Token(0)));
            let claim = Checkpoint::new(named(&checkpoint), state, Token(1), Move::Claim);
            expected(self.remove(collection, version, claim).await, "a removal".into(), caller)
        }
    }

    #[track_caller]
    fn stands(&self, checkpoint: &str) -> impl Future<Output = Verdict<Option<CheckpointState>>> + Send {
        let (at, checkpoint) = (Location::caller(), named(checkpoint));
        async move { expected(self.checkpoint(checkpoint.clone()).await, format!("checkpoint {checkpoint}"), at) }
    }

    #[track_caller]
    fn has_versions(&self, collection: &str) -> impl Future<Output = Verdict<Versions>> + Send {
        let (at, collection) = (Location::caller(), named(collection));
        async move { expected(self.versions(collection.clone()).await, format!("the versions of {collection}"), at) }
    }

    #[track_caller]
    fn got(&self, keys: &[&str]) -> impl Future<Output = Verdict<Vec<KeyedRow>>> + Send {
        let (at, keys) = (Location::caller(), keys.iter().map(|text| key(text)).collect::<Vec<_>>());
        async move {
            let said = format!("the rows {keys:?}");
            expected(self.get(named("accounts"), None, keys).await, said, at).map(|set| set.rows)
        }
    }

    #[track_caller]
    fn listed(&self, find: Find) -> impl Future<Output = Verdict<Vec<KeyedRow>>> + Send {
        let at = Location::caller();
        async move {
            let (mut rows, mut pages, mut find) = (Vec::new(), 0, find);
            loop {
                let page = expected(self.find(find.clone()).await, format!("{find:?}"), at)?;
                rows.extend(page.rows);
                pages += 1;
                if pages > MOST_PAGES {
                    return Err(Broken::new(format!("the pages of {find:?}"), "an end", "more and more pages").at(at));
                }
                match page.next {
                    Some(next) => find = find.after(Some(next)),
                    None => return Ok(rows),
                }
            }
        }
    }

    #[track_caller]
    fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, RowError>> + Send,
    ) -> impl Future<Output = Verdict<T>> + Send {
        let at = Location::caller();
        async move { expected(asked.await, "a question".into(), at) }
    }
}

fn expected<T>(answer: Result<T, RowError>, what: String, at: &'static Location<'static>) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what, "an answer", format!("refused: {error}")).at(at))
}

/// A store with version 1 of `accounts` active, and no rows.
pub(crate) async fn accounts(trial: &Trial<dyn ReadModelStore>) -> Verdict<Rows> {
    let store = trial.open().await?;
    set_up(&store).await?;
    Ok(store)
}

/// Activates version 1 of `accounts`, under a checkpoint of its own.
pub(crate) async fn set_up(store: &Rows) -> Verdict {
    store.defines(collection(1)).await?;
    let first = Checkpoint::new(named("set up"), CheckpointState::new(LOG, None, Token(0)), Token(1), Move::Claim);
    store.commits(Batch::new(first).activate(named("accounts"), 1)).await
}

/// A version of `accounts`: a column of each type, indexes over one column and two, and a unique one.
pub(crate) fn collection(version: u32) -> Collection {
    Collection::new(named("accounts"), version)
        .column(named("owner"), ColumnType::Text)
        .column(named("balance"), ColumnType::Integer)
        .column(named("rate"), ColumnType::Real)
        .column(named("open"), ColumnType::Bool)
        .column(named("photo"), ColumnType::Bytes)
        .column(named("more"), ColumnType::Json)
        .column(named("email"), ColumnType::Text)
        .index(Index::new(named("owner"), [named("owner")]))
        .index(Index::new(named("richest"), [named("open"), named("balance")]))
        .index(Index::new(named("rate and photo"), [named("rate"), named("photo")]))
        .index(Index::new(named("email"), [named("email")]).unique())
}

/// The cells of an account: all that is not given follows from it.
pub(crate) fn cells(owner: &str, balance: i64) -> Vec<Cell> {
    vec![
        Cell::Text(owner.into()),
        Cell::Integer(balance),
        Cell::Real(0.5),
        Cell::Bool(balance > 0),
        Cell::Bytes(vec![0, 255, 7].into()),
        Cell::Text(format!(r#"{{"owner": "{owner}"}}"#)),
        Cell::Text(format!("{owner}@example.org")),
    ]
}

pub(crate) fn account(of: &str, owner: &str, balance: i64) -> KeyedRow {
    KeyedRow::new(key(of), cells(owner, balance))
}

/// The batch, with accounts of these numbers put into a version.
pub(crate) fn numbered(batch: Batch, version: u32, numbers: Range<u32>) -> Batch {
    numbers.fold(batch, |batch, n| {
        batch.put(named("accounts"), version, account(&format!("n-{n}"), &format!("owner {n}"), n.into()))
    })
}

/// All rows in the order of an index.
pub(crate) fn by_index(index: &str) -> By {
    equal_to(index, [])
}

/// The rows whose first columns in an index have these values.
pub(crate) fn equal_to(index: &str, equals: impl IntoIterator<Item = Cell>) -> By {
    By::Index { name: named(index), equals: equals.into_iter().collect(), range: (Bound::Unbounded, Bound::Unbounded) }
}

pub(crate) fn named(text: &str) -> Name {
    name(text)
}

pub(crate) fn key(text: &str) -> RowKey {
    name(text)
}

/// The position of this number, which is a small one.
pub(crate) fn at(number: u64) -> Position {
    Position::new(number).unwrap_or(Position::MAX)
}
