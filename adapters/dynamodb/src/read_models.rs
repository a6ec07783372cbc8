//! Read models: versions of collections, their checkpoints, and what is asked of them.

use crate::cells::Version;
use crate::encoding::{Raw, decode, encode, position};
use crate::error::Fault;
use crate::marks::{Mark, fresh_id};
use crate::rows::Token as Id;
use crate::schema::{Space, WHOLE};
use crate::table::{Backoff, Item, Key, Range, Table};
use crate::transactions::{Carried, If};
use crate::{DynamoStore, Inner};
use async_trait::async_trait;
use core::fmt::Display;
use portolan_kernel::ports::{ReadModelStore, RowError, RowLimits, Source, StoreId, judge_checkpoint};
use portolan_kernel::values::{
    Batch, Checkpoint, CheckpointState, Collection, Find, Name, Position, RowKey, Rowset, Token, Versions,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tokio::time::Instant;

/// What is taken, so that it fits whatever the names and values are.
///
/// A place in an index is a sort key, of 1,024 bytes at most: one and a half letters a byte and a column, a line break, and
/// a row's key of 512 bytes. A journal takes less than 3 MiB of a transaction's 4: the batch's bytes, four more a cell,
/// and a place in each index for each change. The rest is for 16 versions with their definitions.
pub(crate) fn limits() -> RowLimits {
    let mut limits = RowLimits::default();
    limits.columns = 100;
    limits.indexes = 20;
    limits.index_columns = 16;
    limits.batch_changes = 100;
    limits.batch_bytes = 1 << 20;
    limits.row_bytes = 256 << 10;
    limits.index_bytes = 320;
    limits.page_rows = 1_000;
    limits.page_bytes = 4 << 20;
    limits
}

/// Versions of collections that one batch changes or activates.
pub(crate) const BATCH_VERSIONS: usize = 16;

/// How often an open batch is looked at before it is taken for left behind.
const LOOKS: u32 = 5;

/// The read models of one log.
#[derive(Clone, Copy)]
pub(crate) struct ReadModels<'a> {
    pub(crate) table: &'a Table,
    pub(crate) space: &'a Space,
}

/// Why one attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Step {
    /// Something was on its way; this is what is wrong if it stays so.
    Again(Fault),
    Fault(Fault),
    Refused(RowError),
}

impl From<Fault> for Step {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<RowError> for Step {
    fn from(error: RowError) -> Self {
        Self::Refused(error)
    }
}

impl Step {
    pub(crate) fn again(why: impl Display) -> Self {
        Self::Again(Fault::Throttled(Source::new(why.to_string())))
    }
}

/// What a checkpoint's item holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Progress {
    pub(crate) state: CheckpointState,
    /// The transaction that moved it.
    pub(crate) by: Id,
}

#[derive(Serialize, Deserialize)]
struct ProgressRow {
    store: [u8; 16],
    position: Option<u64>,
    token: u64,
    by: Id,
}

impl Progress {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { state, by } = self;
        let (store, position) = (*state.store.as_bytes(), state.position.map(Position::get));
        encode(&ProgressRow { store, position, token: state.token.0, by: *by })
    }

    pub(crate) fn decode(key: &Key, bytes: &[u8]) -> Result<Self, Fault> {
        let row: ProgressRow = decode(key, bytes)?;
        let at = row.position.map(|number| position(number).ok_or_else(|| Fault::Damaged(key.place())));
        let state = CheckpointState::new(StoreId::from_bytes(row.store), at.transpose()?, Token(row.token));
        Ok(Self { state, by: row.by })
    }
}

/// A removed version of which there may be rows.
#[derive(Serialize, Deserialize)]
struct RemovedRow<'a> {
    collection: &'a str,
    version: u32,
    definition: Raw<'a>,
}

/// All versions of one collection.
pub(crate) struct Listed {
    pub(crate) marks: HashMap<Key, Mark>,
    pub(crate) active: Option<u32>,
}

impl ReadModels<'_> {
    /// Takes the step until it comes to something, or patience ends. At first it waits for what others have begun; it is
    /// told when to carry that through itself, and is before it gives up.
    pub(crate) async fn until<T, F>(&self, step: impl Fn(bool) -> F) -> Result<T, RowError>
    where
        F: Future<Output = Result<T, Step>>,
    {
        let (began, mut backoff) = (Instant::now(), Backoff::default());
        let (mut attempts, patience) = (0, self.table.patience);
        loop {
            let helps = attempts >= LOOKS || began.elapsed() >= patience / 4;
            match step(helps).await {
                Ok(done) => return Ok(done),
                Err(Step::Refused(error)) => return Err(error),
                Err(Step::Fault(fault)) => return Err(fault.refuses_rows()),
                Err(Step::Again(fault)) if helps && began.elapsed() >= patience => return Err(fault.refuses_rows()),
                Err(Step::Again(_)) => backoff.pause().await,
            }
            attempts += 1;
        }
    }

    pub(crate) async fn mark(&self, key: &Key) -> Result<Option<Mark>, Fault> {
        self.table.get(key).await?.map(|item| Mark::decode(key, &item)).transpose()
    }

    pub(crate) async fn marks(&self, keys: Vec<Key>) -> Result<HashMap<Key, Mark>, Fault> {
        Mark::decode_all(&self.table.batch_get(keys, false).await?)
    }

    /// The items of a collection; each as it was at some moment.
    pub(crate) async fn list(&self, collection: &Name) -> Result<Listed, Fault> {
        let range = Range::whole(self.space.collection(collection), false);
        let keyed = |item: Item| Key::of(&item).map(|key| (key, item));
        let items = self.table.query_all(&range).await?.into_iter().filter_map(keyed).collect();
        let marks = Mark::decode_all(&items)?;
        let key = self.space.active(collection);
        let active = marks.get(&key).map(|mark| decode(&key, &mark.value)).transpose()?;
        Ok(Listed { marks, active })
    }

    async fn try_versions(&self, collection: &Name) -> Result<Versions, Step> {
        let listed = self.list(collection).await?;
        for open in listed.marks.values().filter_map(|mark| mark.open.as_ref()) {
            self.look(open).await?;
        }
        let mut defined = Vec::new();
        for (key, mark) in &listed.marks {
            if *key != self.space.active(collection) {
                let version = key.sort.parse().map_err(|_| Fault::Damaged(key.place()))?;
                defined.push(Version::decode(key, collection, version, &mark.value)?.collection);
            }
        }
        defined.sort_by_key(|of| of.version);
        Ok(Versions::new(defined, listed.active))
    }

    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        let key = self.space.version_at(&collection.name, collection.version);
        let new = Version { collection, incarnation: fresh_id() };
        let mark = Mark { id: new.incarnation, count: 0, open: None, value: new.encode() };
        let (table, on) = (self.table, If::Absent);
        let put = || async {
            let put = table.client.put_item().table_name(&table.name).set_item(Some(mark.item(&key)));
            match put.condition_expression(on.expression()).send().await {
                Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                    Ok(())
                }
                answer => answer.map(drop),
            }
        };
        let Collection { name, version, .. } = &new.collection;
        loop {
            if let Some(mark) = self.mark(&key).await.map_err(Fault::refuses_rows)? {
                let there = Version::decode(&key, name, *version, &mark.value).map_err(Fault::refuses_rows)?;
                if there.collection == new.collection {
                    return Ok(());
                }
                return Err(RowError::DefinedOtherwise { collection: name.clone(), version: *version });
            }
            table.patiently(put).await.map_err(Fault::refuses_rows)?;
        }
    }

    async fn try_checkpoint(&self, name: &Name) -> Result<Option<CheckpointState>, Step> {
        let key = self.space.progress(name);
        let Some(mark) = self.mark(&key).await? else { return Ok(None) };
        if let Some(open) = &mark.open {
            self.look(open).await?;
        }
        Ok(Some(Progress::decode(&key, &mark.value)?.state))
    }

    async fn try_remove(&self, collection: &Name, version: u32, of: &Checkpoint, helps: bool) -> Result<(), Step> {
        let (progress, active) = (self.space.progress(&of.name), self.space.active(collection));
        let key = self.space.version_at(collection, version);
        let marks = self.marks(vec![progress.clone(), active.clone(), key.clone()]).await?;
        self.help_with(&marks, helps).await?;
        let stands = marks.get(&progress).map(|mark| Progress::decode(&progress, &mark.value)).transpose()?;
        let state = judge_checkpoint(of, stands.map(|stands| stands.state))?;
        if let Some(mark) = marks.get(&active)
            && decode::<u32>(&active, &mark.value)? == version
        {
            let why = format!("version {version} of {collection} is active; activate another one first");
            return Err(RowError::Invalid(why).into());
        }
        let id = fresh_id();
        let before = marks.get(&progress);
        let moved = Mark::after(before, id, None, Progress { state, by: id }.encode());
        let mut items = vec![self.table.put(moved.item(&progress), Some(If::still(before)))?];
        if let Some(mark) = marks.get(&key) {
            let Version { incarnation, .. } = Version::decode(&key, collection, version, &mark.value)?;
            let row = encode(&RemovedRow { collection, version, definition: Raw(&mark.value) });
            let listed = self.space.removed_at(incarnation);
            let removed = Mark { id, count: 0, open: None, value: row }.item(&listed);
            items.push(self.table.delete(&key, Some(If::Is(mark.id)))?);
            items.push(self.table.put(removed, None)?);
            items.push(self.table.check(&active, If::still(marks.get(&active)))?);
        }
        self.carried(self.table.carry_out(id, &items).await, &progress, id, before).await
    }

    /// What came of the transaction that moves a checkpoint: its item tells where no answer did.
    pub(crate) async fn carried(
        &self,
        carried: Carried,
        progress: &Key,
        id: Id,
        before: Option<&Mark>,
    ) -> Result<(), Step> {
        let fault = match carried {
            Carried::Out => return Ok(()),
            Carried::Refused(fault) => return Err(fault.into()),
            Carried::Failed { unsure: false } => return Err(Step::again("other batches were always faster")),
            Carried::Failed { unsure: true } => None,
            Carried::Unknown(fault) => Some(fault),
        };
        let unknown = |source: Source| Step::Refused(RowError::Unknown(source));
        let found = match (self.mark(progress).await, &fault) {
            (Ok(found), _) => found,
            (Err(Fault::Throttled(source) | Fault::NoAnswer(source)), _) => return Err(unknown(source)),
            (Err(fault), _) => return Err(unknown(Source::new(fault))),
        };
        let by = found.as_ref().map(|mark| Progress::decode(progress, &mark.value)).transpose()?.map(|found| found.by);
        let count = |mark: Option<&Mark>| mark.map_or(0, |mark| mark.count);
        let moves = count(found.as_ref()).saturating_sub(count(before));
        match (by == Some(id), moves, fault) {
            (true, _, _) => Ok(()),
            // It has failed, or another move has its place: it did not come, and cannot any more.
            (false, 0, None) | (false, 1, _) => Err(Step::again("other batches were always faster")),
            (false, _, Some(Fault::Throttled(source) | Fault::NoAnswer(source))) => Err(unknown(source)),
            (false, _, fault) => Err(unknown(Source::new(fault.map_or_else(String::new, |fault| fault.to_string())))),
        }
    }

    /// Deletes what there is of removed versions. No reader finds it, so it may fail and be done another time: a version
    /// is listed until nothing was found of it.
    async fn sweep(&self) -> Result<(), Fault> {
        for item in self.table.query_all(&Range::whole(self.space.removed(), false)).await? {
            let key = Key::of(&item).ok_or_else(|| Fault::Damaged(self.space.removed()))?;
            let mark = Mark::decode(&key, &item)?;
            let row: RemovedRow<'_> = decode(&key, &mark.value)?;
            let name = Name::new(row.collection).map_err(|_| Fault::Damaged(key.place()))?;
            let version = Version::decode(&key, &name, row.version, row.definition.0)?;
            let entries = version.collection.indexes.iter().map(|index| version.entries(self.space, index));
            for partition in entries.chain([version.rows(self.space)]) {
                let range = Range::whole(partition, true);
                loop {
                    let found = self.table.query(&range, None).await?.items;
                    if found.is_empty() {
                        break;
                    }
                    self.table.delete_keys(found.iter().filter_map(Key::of)).await?;
                }
            }
            self.table.delete_keys([key]).await?;
        }
        Ok(())
    }
}

impl Range {
    /// All of a partition of read models.
    fn whole(partition: String, keys_only: bool) -> Self {
        let (from, to) = (WHOLE.0.to_string(), WHOLE.1.repeat(WHOLE.2));
        Self { partition, from, to, backward: false, limit: None, keys_only }
    }
}

impl Inner {
    fn read_models(&self) -> ReadModels<'_> {
        ReadModels { table: &self.table, space: &self.space }
    }
}

#[async_trait]
impl ReadModelStore for DynamoStore {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        limits().check_collection(&collection)?;
        let read_models = self.inner.read_models();
        read_models.define(collection).await?;
        // What is left of removed versions costs no more than its room.
        let _ = read_models.sweep().await;
        Ok(())
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        let read_models = self.inner.read_models();
        read_models.until(|_| read_models.try_versions(&collection)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        limits().check_batch(&batch)?;
        let read_models = self.inner.read_models();
        read_models.until(|helps| read_models.try_commit(&batch, helps)).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        limits().check_get(&keys)?;
        let read_models = self.inner.read_models();
        read_models.until(|_| read_models.try_get(&collection, version, &keys)).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let read_models = self.inner.read_models();
        read_models.until(|_| read_models.try_find(&find)).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        let read_models = self.inner.read_models();
        read_models.until(|_| read_models.try_checkpoint(&name)).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        let read_models = self.inner.read_models();
        read_models.until(|helps| read_models.try_remove(&collection, version, &checkpoint, helps)).await?;
        // What is left of removed versions costs no more than its room.
        let _ = read_models.sweep().await;
        Ok(())
    }

    fn limits(&self) -> RowLimits {
        limits()
    }
}
