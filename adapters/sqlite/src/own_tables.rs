//! Tables of an application's own, written in the transaction that moves a checkpoint.

use crate::error::Fault;
use crate::job::{Done, Job};
use crate::read_models::{self, Judged};
use crate::{SqliteStore, schema};
use portolan_kernel::ports::{RowError, RowLimits, Source, judge_checkpoint};
use portolan_kernel::values::{Batch, Checkpoint};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ErrorCode};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What writes the tables.
pub(crate) type Work = Box<dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync>;

/// What undoes the work alone, in a transaction with other writes.
const SAVEPOINT: &str = "portolan_work";

impl SqliteStore {
    /// Writes tables of an application's own, and moves a checkpoint of the read models, in one transaction: for rows that
    /// want SQL, such as joins, sums in place or full-text search. The checkpoint is judged as that of a
    /// [`Batch`] is (RM-01), by compare-and-set under its token. So whoever reads the log
    /// from the checkpoint on, and commits each page so, has applied each event once, whatever dies in between.
    ///
    /// Tables and views are made by the work itself: `CREATE TABLE IF NOT EXISTS`. It may read all of the file, and write
    /// whatever is not the store's: names of the store's tables, and names that begin with `rm_`, `active_` or
    /// `sqlite_`, are refused, and so are `ALTER TABLE … RENAME`, whose new name nobody is told, pragmas, temporary tables, attached files and any end of the transaction.
    /// The guard is against mistakes. A table of one's own refers to no table of the store, and
    /// [`verify`](Self::verify) knows it only as SQLite does.
    ///
    /// The work runs on the writer's thread while all other writes wait: read events before, and keep it short. It is
    /// run again, on a state without it, when a transaction that it shared with other writes was rolled back for their
    /// sake; so it changes nothing but the tables.
    ///
    /// ```
    /// # use portolan_kernel::ports::{EventStore, ReadModelStore, RowError};
    /// # use portolan_kernel::values::*;
    /// # use portolan_sqlite::SqliteStore;
    /// /// Counts the events of each type, in a table for people.
    /// async fn count_types(store: &SqliteStore) -> Result<(), Box<dyn std::error::Error>> {
    ///     let (name, token) = (Name::new("type_counts")?, Token(1));
    ///     let nowhere = CheckpointState::new(store.capabilities().identity, None, token);
    ///     let mut stands = ReadModelStore::checkpoint(store, name.clone()).await?.unwrap_or(nowhere);
    ///     loop {
    ///         let page = store.read(Read::log_after(Query::all(), stands.position)).await?;
    ///         let Some(last) = page.events.last() else { return Ok(()) };
    ///         let to = last.position;
    ///         let checkpoint = Checkpoint::new(name.clone(), stands, token, Move::At(to));
    ///         let work = move |tables: &rusqlite::Connection| {
    ///             tables.execute_batch("CREATE TABLE IF NOT EXISTS type_counts (type TEXT PRIMARY KEY, n INTEGER)")?;
    ///             let count = "INSERT INTO type_counts VALUES (?1, 1) ON CONFLICT DO UPDATE SET n = n + 1";
    ///             let mut count = tables.prepare_cached(count)?;
    ///             page.events.iter().try_for_each(|event| count.execute([&*event.event_type]).map(drop))
    ///         };
    ///         store.commit_with(checkpoint, work).await?;
    ///         stands = CheckpointState::new(stands.store, Some(to), token);
    ///     }
    /// }
    /// # let folder = tempfile::tempdir().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let path = folder.path().join("bank.db");
    /// # let store = SqliteStore::open(&path).await.unwrap();
    /// # let opened = || NewEvent::new(StreamId::new("a-1").unwrap(), EventType::new("opened").unwrap(), "{}");
    /// # store.append(Append::new([opened(), opened()])).await.unwrap();
    /// # count_types(&store).await.unwrap();
    /// # let file = rusqlite::Connection::open(path).unwrap();
    /// # let n: i64 = file.query_row("SELECT n FROM type_counts WHERE type = 'opened'", [], |row| row.get(0)).unwrap();
    /// # assert_eq!(n, 2);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// [`RowError::CheckpointMoved`], `WrongStore` and `Invalid` for the checkpoint; `Invalid` for a statement that is
    /// refused; `Other` with the work's own error, or when it panicked; or what any commit may fail with. Except after
    /// `Unknown`, nothing was written, and no other write was harmed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves all of it or none.
    pub async fn commit_with(
        &self,
        checkpoint: Checkpoint,
        work: impl Fn(&Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Result<(), RowError> {
        match self.inner.write(Job::CommitWith(checkpoint, Box::new(work))).await.map_err(crate::error::rows_refused)? {
            Done::Rows(judged) => judged,
            _ => Err(RowError::Unknown(Source::new("the writer gave another answer"))),
        }
    }
}

/// SQL that a [`View`](portolan_kernel::drivers::View) carries out beside the changes of its rows, in the transaction that
/// commits them with the checkpoint: `view.beside(Sql::new(..))`. What it may do, and when it is run again, stands at
/// [`SqliteStore::commit_with`].
pub struct Sql(Work);

impl Sql {
    /// This work.
    pub fn new(work: impl Fn(&Connection) -> rusqlite::Result<()> + Send + Sync + 'static) -> Self {
        Self(Box::new(work))
    }
}

impl core::fmt::Debug for Sql {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sql(..)")
    }
}

/// Carries out the work of a batch, and commits the batch. A refusal has changed nothing.
pub(crate) fn commit_batch(conn: &mut Connection, batch: &Batch, limits: &RowLimits) -> Judged<()> {
    if batch.beside.is_empty() {
        return read_models::commit(conn, batch, limits);
    }
    conn.execute_batch("SAVEPOINT portolan_batch")?;
    let judged = all_of(conn, batch, limits)?;
    conn.execute_batch(if judged.is_ok() {
        "RELEASE portolan_batch"
    } else {
        "ROLLBACK TO portolan_batch; RELEASE portolan_batch"
    })?;
    Ok(judged)
}

fn all_of(conn: &mut Connection, batch: &Batch, limits: &RowLimits) -> Judged<()> {
    for work in &batch.beside {
        let Some(Sql(work)) = work.downcast_ref() else {
            return Ok(Err(RowError::Invalid("the batch carries work that is no SQL".into())));
        };
        match guarded(conn, work)? {
            Ok(()) => {}
            // It is in the nature of the work, and so of the batch.
            Err(RowError::Other(source)) => return Ok(Err(RowError::Invalid(format!("its SQL failed: {source}")))),
            Err(error) => return Ok(Err(error)),
        }
    }
    read_models::commit(conn, batch, limits)
}

/// Judges the checkpoint, does the work, and moves the checkpoint. A refusal has changed nothing.
pub(crate) fn commit(conn: &mut Connection, checkpoint: &Checkpoint, work: &Work) -> Judged<()> {
    let moved = match judge_checkpoint(checkpoint, read_models::checkpoint(conn, &checkpoint.name)?) {
        Ok(moved) => moved,
        Err(error) => return Ok(Err(error)),
    };
    let done = guarded(conn, work)?;
    if done.is_ok() {
        read_models::save_checkpoint(conn, &checkpoint.name, moved)?;
    }
    Ok(done)
}

/// Does the work, and nothing that it may not. A refusal has changed nothing.
fn guarded(conn: &mut Connection, work: &Work) -> Judged<()> {
    let savepoint = |conn: &Connection, verb: &str| -> Result<(), Fault> {
        Ok(conn.execute_batch(&format!("{verb} {SAVEPOINT}"))?)
    };
    savepoint(conn, "SAVEPOINT")?;
    conn.authorizer(Some(|context: AuthContext<'_>| judge(&context.action)))?;
    let done = catch_unwind(AssertUnwindSafe(|| work(conn)));
    conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    let refused = match done {
        Ok(Ok(())) if conn.is_autocommit() => return Err(ended()),
        Ok(Ok(())) => {
            savepoint(conn, "RELEASE")?;
            return Ok(Ok(()));
        }
        // The file failed, or SQLite has rolled all back because of it.
        Ok(Err(error)) if conn.is_autocommit() || is_of_the_file(&error) => return Err(error.into()),
        Ok(Err(error)) if error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied) => {
            RowError::Invalid(format!(
                "the work may write tables of its own alone, and may not end the transaction: {error}"
            ))
        }
        Ok(Err(error)) => RowError::Other(Source::new(error)),
        Err(_) if conn.is_autocommit() => return Err(ended()),
        Err(_) => RowError::Other(Source::new("the work panicked")),
    };
    savepoint(conn, "ROLLBACK TO")?;
    savepoint(conn, "RELEASE")?;
    Ok(Err(refused))
}

fn ended() -> Fault {
    Fault::Unfit("the transaction ended while tables of the application's own were written")
}

/// A failure that is not the statement's.
fn is_of_the_file(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, OutOfMemory, ReadOnly,
        SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            CannotOpen
                | DatabaseBusy
                | DatabaseCorrupt
                | DatabaseLocked
                | DiskFull
                | NotADatabase
                | OutOfMemory
                | ReadOnly
                | SystemIoFailure
        )
    )
}

/// Whether a table, a view or an index is the store's.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // SQLite itself writes these two for the tables of others, and lets nobody else.
    let of_sqlite =
        name.starts_with("sqlite_") && !matches!(&*name, "sqlite_master" | "sqlite_schema" | "sqlite_sequence");
    of_sqlite || name.starts_with("rm_") || name.starts_with("active_") || schema::NAMES.contains(&&*name)
}

fn judge(action: &AuthAction<'_>) -> Authorization {
    use AuthAction::{
        AlterTable, Analyze, Attach, CreateIndex, CreateTable, CreateTempIndex, CreateTempTable, CreateTempTrigger,
        CreateTempView, CreateTrigger, CreateView, CreateVtable, Delete, Detach, DropIndex, DropTable, DropTrigger,
        DropView, DropVtable, Insert, Pragma, Savepoint, Transaction, Unknown, Update,
    };
    let allowed = match action {
        Insert { table_name }
        | Update { table_name, .. }
        | Delete { table_name }
        | CreateTable { table_name }
        | DropTable { table_name }
        | AlterTable { table_name, .. }
        | CreateVtable { table_name, .. }
        | DropVtable { table_name, .. } => !is_ours(table_name),
        // SQLite makes indexes of its own for keys.
        CreateIndex { index_name, table_name } | DropIndex { index_name, table_name } => {
            (index_name.starts_with("sqlite_autoindex_") || !is_ours(index_name)) && !is_ours(table_name)
        }
        CreateTrigger { table_name, .. } | DropTrigger { table_name, .. } => !is_ours(table_name),
        CreateView { view_name } | DropView { view_name } => !is_ours(view_name),
        Savepoint { savepoint_name, .. } => !savepoint_name.to_ascii_lowercase().starts_with("portolan_"),
        // Full-text search asks for it.
        Pragma { pragma_name, pragma_value } => *pragma_name == "data_version" && pragma_value.is_none(),
        Transaction { .. }
        | Attach { .. }
        | Detach { .. }
        | Analyze { .. }
        | CreateTempIndex { .. }
        | CreateTempTable { .. }
        | CreateTempTrigger { .. }
        | CreateTempView { .. }
        | Unknown { .. } => false,
        _ => true,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
