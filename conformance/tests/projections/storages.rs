//! Applications over storages that are wrong.

use crate::registry::Mutant;
use crate::{leases, rows};
use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_conformance::{EventStore, ReadModelStore, Storage};
use portolan_kernel::ports::{AppendError, Capabilities, ReadError, RowError, RowLimits, Source};
use portolan_kernel::values::{
    Append, Appended, Batch, Checkpoint, CheckpointState, Collection, Direction, Find, Move, Name, Page, Position,
    Query, Read, Recalled, RowKey, Rowset, Start, Versions,
};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What a wrong store remembers.
#[derive(Default)]
struct Memory {
    /// Reads of projections, or batches of theirs, so far.
    count: AtomicUsize,
    /// The position of an event that was chosen, or 0.
    chosen: AtomicU64,
    /// Where the log ended when a projection read it first.
    first: OnceLock<Option<Position>>,
}

type Paging = fn(&Memory, &mut Page);

/// A log whose pages are others where a projection follows it.
struct WrongLog {
    inner: Arc<dyn EventStore>,
    memory: Memory,
    page: Paging,
}

#[async_trait]
impl EventStore for WrongLog {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let follows = matches!(&read.from, Start::Log(query, _) if *query != Query::all() && *query != Query::all().with_system());
        let follows = follows && read.direction == Direction::Forward;
        let mut page = self.inner.read(read).await?;
        if follows {
            (self.page)(&self.memory, &mut page);
        }
        Ok(page)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.inner.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

fn reading(mut storage: Storage, page: Paging) -> Storage {
    storage.events = Arc::new(WrongLog { inner: storage.events, memory: Memory::default(), page });
    storage
}

type Inner = Arc<dyn ReadModelStore>;
type Committing = fn(Inner, usize, Batch) -> BoxFuture<'static, Result<(), RowError>>;

/// Read models that commit batches of rows otherwise.
struct WrongRows {
    inner: Inner,
    memory: Memory,
    commit: Committing,
}

#[async_trait]
impl ReadModelStore for WrongRows {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        self.inner.define(collection).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.inner.versions(collection).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        if !batch.changes.iter().any(is_row) {
            return self.inner.commit(batch).await;
        }
        let count = self.memory.count.fetch_add(1, Ordering::SeqCst);
        (self.commit)(self.inner.clone(), count, batch).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        self.inner.get(collection, version, keys).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        self.inner.find(find).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.inner.checkpoint(name).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.inner.remove(collection, version, checkpoint).await
    }

    fn limits(&self) -> RowLimits {
        self.inner.limits()
    }
}

/// Whether it is about a row of a projection, and not of what its workers say.
fn is_row(change: &portolan_kernel::values::Change) -> bool {
    !change.collection.starts_with('$')
}

fn committing(mut storage: Storage, commit: Committing) -> Storage {
    storage.read_models = storage
        .read_models
        .map(|inner| Arc::new(WrongRows { inner, memory: Memory::default(), commit }) as Arc<dyn ReadModelStore>);
    storage
}

fn rows_of(storage: Storage, mutant: rows::Mutant) -> Storage {
    storage.with_read_models(Arc::new(mutant.open_alone()))
}

fn leases_of(storage: Storage, mutant: leases::Mutant) -> Storage {
    storage.with_leases(Arc::new(mutant.open_alone()))
}

/// The batch in two, of which the first does not move the checkpoint.
fn rows_alone(batch: &Batch) -> Batch {
    let mut rows = batch.clone();
    rows.checkpoint.to = Move::Claim;
    rows
}

/// Takes whatever comes, and from wherever.
fn compares_nothing(checkpoint: &Checkpoint, stands: Option<CheckpointState>) -> Result<CheckpointState, RowError> {
    let to = match checkpoint.to {
        Move::Claim => stands.and_then(|stands| stands.position),
        Move::At(to) => Some(to),
        Move::Reset(to) => to,
    };
    Ok(CheckpointState::new(checkpoint.store, to, checkpoint.token))
}

/// As it is right, and as it may be.
pub const RIGHT: &[Mutant] = &[
    Mutant::new("changes nothing", &[]),
    // Workers judge each event by themselves, as PR-04 wants it; a store judges batches, by RM-03.
    Mutant::new("has no unique indexes", &[])
        .storage(|storage| rows_of(storage, rows::Mutant { same: |_, _| false, ..rows::RIGHT })),
    Mutant::new("gives one row a page", &[]).storage(|storage| rows_of(storage, rows::RIGHT_ONES[1])),
    Mutant::new("forgets an answer now and then", &[]).storage(|storage| {
        committing(storage, |inner, count, batch| {
            Box::pin(async move {
                inner.commit(batch).await?;
                if count % 3 == 1 { Err(RowError::Unknown(Source::new("the answer was lost"))) } else { Ok(()) }
            })
        })
    }),
    Mutant::new("is busy now and then", &[]).storage(|storage| {
        committing(storage, |inner, count, batch| {
            Box::pin(async move {
                if count % 3 == 1 { Err(RowError::Busy(Source::new("no room"))) } else { inner.commit(batch).await }
            })
        })
    }),
];

pub const MUTANTS: &[Mutant] = &[
    Mutant::new(
        "writes rows without the checkpoint where the answer is lost",
        &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06"],
    )
    .storage(|storage| {
        committing(storage, |inner, count, batch| {
            Box::pin(async move {
                if count % 3 != 1 {
                    return inner.commit(batch).await;
                }
                inner.commit(rows_alone(&batch)).await?;
                Err(RowError::Unknown(Source::new("the answer was lost")))
            })
        })
    }),
    Mutant::new(
        "moves the checkpoint without rows where the answer is lost",
        &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06"],
    )
    .storage(|storage| {
        committing(storage, |inner, count, mut batch| {
            Box::pin(async move {
                if count % 3 != 1 {
                    return inner.commit(batch).await;
                }
                batch.changes.retain(|change| !is_row(change));
                inner.commit(batch).await?;
                Err(RowError::Unknown(Source::new("the answer was lost")))
            })
        })
    }),
    Mutant::new(
        "moves the checkpoint before the rows",
        &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06", "PR-07"],
    )
    .storage(|storage| {
        committing(storage, |inner, _, batch| {
            Box::pin(async move {
                let (mut first, mut then) = (batch.clone(), batch);
                first.changes.retain(|change| !is_row(change));
                then.changes.retain(is_row);
                then.activate.clear();
                let stands = match first.checkpoint.to {
                    Move::At(to) => Some(to),
                    _ => first.checkpoint.from,
                };
                then.checkpoint.from = stands;
                then.checkpoint.to = Move::Claim;
                inner.commit(first).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
                inner.commit(then).await
            })
        })
    }),
    Mutant::new("leaves out the last row of a batch", &["PR-02", "PR-03", "PR-04", "PR-05", "PR-07"]).storage(
        |storage| {
            committing(storage, |inner, _, mut batch| {
                Box::pin(async move {
                    let last = batch.changes.iter().rposition(is_row).unwrap();
                    if batch.changes.iter().filter(|change| is_row(change)).count() > 1 {
                        batch.changes.remove(last);
                    }
                    inner.commit(batch).await
                })
            })
        },
    ),
    Mutant::new("lets late writers through", &["PR-05"])
        .storage(|storage| rows_of(storage, rows::Mutant { moves: compares_nothing, ..rows::RIGHT })),
    Mutant::new("activates what is written to", &["PR-01", "PR-04"]).storage(|storage| {
        rows_of(
            storage,
            rows::Mutant {
                activates: |_, batch| {
                    let written = batch.changes.iter().filter(|change| is_row(change));
                    written.map(|change| (change.collection.clone(), change.version)).collect()
                },
                ..rows::RIGHT
            },
        )
    }),
    Mutant::new("activates nothing after the first", &["PR-01", "PR-04"]).storage(|storage| {
        rows_of(
            storage,
            rows::Mutant {
                activates: |kept, batch| {
                    let is_new = |of: &&(Name, u32)| !kept.active.contains_key(&of.0);
                    batch.activate.iter().filter(is_new).cloned().collect()
                },
                ..rows::RIGHT
            },
        )
    }),
    Mutant::new("goes on in the active version with any cursor", &["PR-04"]).storage(|storage| {
        rows_of(storage, rows::Mutant { version: |asked, cursor, active| active.or(cursor).or(asked), ..rows::RIGHT })
    }),
    Mutant::new("empties what is defined again", &["PR-01", "PR-03", "PR-04", "PR-05"])
        .storage(|storage| rows_of(storage, rows::Mutant { define_empties: true, ..rows::RIGHT })),
    Mutant::new("leaves an event of a page out once", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-07"]).storage(
        |storage| {
            reading(storage, |memory, page| {
                if page.events.len() > 1 && memory.count.fetch_add(1, Ordering::SeqCst) == 0 {
                    page.events.remove(0);
                }
            })
        },
    ),
    Mutant::new("gives an event twice", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06", "PR-07"]).storage(
        |storage| {
            // To every reader: which of several comes first is chance.
            reading(storage, |_, page| page.events.extend(page.events.last().cloned()))
        },
    ),
    Mutant::new("hides one event from all but the first reader", &["PR-01", "PR-04"]).storage(|storage| {
        reading(storage, |memory, page| {
            let Some(second) = page.events.get(1).map(|event| event.position.get()) else { return };
            let chosen = memory.chosen.compare_exchange(0, second, Ordering::SeqCst, Ordering::SeqCst);
            if let Err(chosen) = chosen {
                page.events.retain(|event| event.position.get() != chosen);
            }
        })
    }),
    Mutant::new("gives the events of a page in reverse", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-07"])
        .storage(|storage| {
            reading(storage, |_, page| {
                if page.next.is_none() {
                    page.events.reverse();
                }
            })
        }),
    Mutant::new("begins where the log ends", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06", "PR-07"]).storage(
        |storage| {
            reading(storage, |memory, page| {
                let first = *memory.first.get_or_init(|| page.frontier);
                page.events.retain(|event| Some(event.position) > first);
            })
        },
    ),
    Mutant::new("lets nobody take over", &["PR-05"])
        .storage(|storage| leases_of(storage, leases::Mutant { unchanged: |_, _| false, ..leases::RIGHT })),
    // Fencing does the rest; but nobody can keep others from the work.
    Mutant::new("grants to everybody", &["PR-06"])
        .storage(|storage| leases_of(storage, leases::Mutant { blocks: |_, _| false, ..leases::RIGHT })),
];
