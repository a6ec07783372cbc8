//! Read models: collections of rows, and the checkpoints that move with them.

use crate::MemoryStore;
use crate::table::Table;
use alloc::collections::BTreeMap;
use async_trait::async_trait;
use portolan_kernel::ports::{ReadModelStore, RowError, RowLimits, judge_checkpoint};
use portolan_kernel::values::{
    Batch, Cell, Checkpoint, CheckpointState, Collection, Find, Name, RowKey, Rowset, Versions,
};
use std::collections::HashMap;
use std::sync::PoisonError;

/// All collections and checkpoints.
#[derive(Default)]
pub(crate) struct ReadModels {
    collections: HashMap<Name, Kept>,
    checkpoints: HashMap<Name, CheckpointState>,
}

/// The versions of one collection.
#[derive(Default)]
struct Kept {
    versions: BTreeMap<u32, Table>,
    active: Option<u32>,
}

/// The last change of each key, in each version of a collection that a batch changes.
type Final<'a> = BTreeMap<(&'a Name, u32), BTreeMap<&'a RowKey, Option<&'a [Cell]>>>;

fn last_changes(batch: &Batch) -> Final<'_> {
    let mut changes = Final::new();
    for change in &batch.changes {
        let of_version = changes.entry((&change.collection, change.version)).or_default();
        of_version.insert(&change.key, change.cells.as_deref());
    }
    changes
}

impl ReadModels {
    pub(crate) fn define(&mut self, collection: Collection) -> Result<(), RowError> {
        let kept = self.collections.entry(collection.name.clone()).or_default();
        match kept.versions.get(&collection.version) {
            Some(table) if table.collection == collection => Ok(()),
            Some(_) => Err(RowError::DefinedOtherwise { collection: collection.name, version: collection.version }),
            None => {
                kept.versions.insert(collection.version, Table::new(collection));
                Ok(())
            }
        }
    }

    fn versions(&self, collection: &Name) -> Versions {
        let Some(kept) = self.collections.get(collection) else { return Versions::default() };
        Versions::new(kept.versions.values().map(|table| table.collection.clone()).collect(), kept.active)
    }

    fn table(&self, collection: &Name, version: Option<u32>) -> Result<&Table, RowError> {
        let kept = self.collections.get(collection);
        let table = kept.and_then(|kept| kept.versions.get(&version.or(kept.active)?));
        table.ok_or_else(|| RowError::UnknownCollection { collection: collection.clone(), version })
    }

    fn commit(&mut self, batch: Batch, limits: &RowLimits) -> Result<(), RowError> {
        let moved = self.judge(&batch, limits)?;
        // From here on nothing can fail, and nobody sees a part: the lock is held until all is written.
        self.write(batch, moved);
        Ok(())
    }

    /// Judges all of the batch, and tells where its checkpoint will stand.
    pub(crate) fn judge(&self, batch: &Batch, limits: &RowLimits) -> Result<CheckpointState, RowError> {
        limits.check_batch(batch)?;
        let moved = self.judge_checkpoint(&batch.checkpoint)?;
        for change in &batch.changes {
            limits.check_change(&self.table(&change.collection, Some(change.version))?.collection, change)?;
        }
        for ((collection, version), changes) in &last_changes(batch) {
            self.table(collection, Some(*version))?.judge_unique(changes)?;
        }
        for (collection, version) in &batch.activate {
            self.table(collection, Some(*version))?;
        }
        Ok(moved)
    }

    /// Writes a batch that was judged.
    pub(crate) fn write(&mut self, batch: Batch, moved: CheckpointState) {
        for ((collection, version), changes) in &last_changes(&batch) {
            let table = self.collections.get_mut(*collection).and_then(|kept| kept.versions.get_mut(version));
            if let Some(table) = table {
                changes.iter().for_each(|(key, cells)| table.put(key, *cells));
            }
        }
        for (collection, version) in &batch.activate {
            if let Some(kept) = self.collections.get_mut(collection) {
                kept.active = Some(*version);
            }
        }
        self.checkpoints.insert(batch.checkpoint.name, moved);
    }

    /// The versions of a collection with their rows, rising, for an append.
    pub(crate) fn tables(&self, collection: &Name) -> impl Iterator<Item = &Table> {
        self.collections.get(collection).into_iter().flat_map(|kept| kept.versions.values())
    }

    pub(crate) fn stands(&self, checkpoint: &Name) -> Option<CheckpointState> {
        self.checkpoints.get(checkpoint).copied()
    }

    fn remove(&mut self, collection: &Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        let moved = self.judge_checkpoint(&checkpoint)?;
        if let Some(kept) = self.collections.get_mut(collection) {
            if kept.active == Some(version) {
                return Err(RowError::Invalid(format!(
                    "version {version} of {collection} is active; activate another one first"
                )));
            }
            kept.versions.remove(&version);
        }
        self.checkpoints.insert(checkpoint.name, moved);
        Ok(())
    }

    /// Where the checkpoint will stand.
    fn judge_checkpoint(&self, checkpoint: &Checkpoint) -> Result<CheckpointState, RowError> {
        judge_checkpoint(checkpoint, self.checkpoints.get(&checkpoint.name).copied())
    }
}

// No step above leaves the maps half changed, so a lock that a panic poisoned guards good data.

#[async_trait]
impl ReadModelStore for MemoryStore {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        self.limits().check_collection(&collection)?;
        self.0.read_models.write().unwrap_or_else(PoisonError::into_inner).define(collection)
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        Ok(self.0.read_models.read().unwrap_or_else(PoisonError::into_inner).versions(&collection))
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        let limits = self.limits();
        self.0.read_models.write().unwrap_or_else(PoisonError::into_inner).commit(batch, &limits)
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        let limits = self.limits();
        limits.check_get(&keys)?;
        let read_models = self.0.read_models.read().unwrap_or_else(PoisonError::into_inner);
        let table = read_models.table(&collection, version)?;
        let mut bytes = 0;
        let rows = keys.iter().filter_map(|key| table.row(key)).map(|row| {
            bytes += row.bytes();
            limits.check_got(bytes).map(|()| row)
        });
        let rows = rows.collect::<Result<_, _>>()?;
        Ok(Rowset::new(table.collection.version, rows, None))
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let limits = self.limits();
        let read_models = self.0.read_models.read().unwrap_or_else(PoisonError::into_inner);
        let version = find.after.as_ref().map(|cursor| cursor.version).or(find.version);
        let table = read_models.table(&find.collection, version).map_err(|error| match &find.after {
            Some(cursor) => RowError::Gone { collection: find.collection.clone(), version: cursor.version },
            None => error,
        })?;
        limits.check_find(&table.collection, &find)?;
        let (rows, next) = table.page(&find, &limits);
        Ok(Rowset::new(table.collection.version, rows, next))
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        Ok(self.0.read_models.read().unwrap_or_else(PoisonError::into_inner).checkpoints.get(&name).copied())
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.0.read_models.write().unwrap_or_else(PoisonError::into_inner).remove(&collection, version, checkpoint)
    }

    fn limits(&self) -> RowLimits {
        RowLimits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::ports::StoreId;
    use portolan_kernel::values::{ColumnType, KeyedRow, Move, Position, Token};

    #[tokio::test]
    async fn pages_of_rows_are_bounded_in_bytes() {
        let store = MemoryStore::new();
        let name = || Name::new("wide").unwrap();
        let limits = ReadModelStore::limits(&store);
        store.define(Collection::new(name(), 1).column(name(), ColumnType::Text)).await.unwrap();
        let keys: Vec<_> = (10..50).map(|n| RowKey::new(n.to_string()).unwrap()).collect();
        let mut state = CheckpointState::new(StoreId::from_bytes([1; 16]), None, Token(1));
        for (position, key) in (1..).zip(&keys) {
            let to = Position::new(position);
            let batch = Batch::new(Checkpoint::new(name(), state, Token(1), Move::At(to.unwrap())));
            let row = KeyedRow::new(key.clone(), vec![Cell::Text("x".repeat(1_000_000))]);
            store.commit(batch.put(name(), 1, row)).await.unwrap();
            state = CheckpointState::new(state.store, to, Token(1));
        }
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = store.find(Find::all(name()).version(1).limit(1_000).after(next)).await.unwrap();
            assert!(page.rows.iter().skip(1).map(KeyedRow::bytes).sum::<u64>() < limits.page_bytes);
            found.extend(page.rows.into_iter().map(|row| row.key));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, keys);
        assert_eq!(store.get(name(), Some(1), keys[..16].to_vec()).await.unwrap().rows.len(), 16);
        let refused = store.get(name(), Some(1), keys).await.unwrap_err();
        assert!(matches!(refused, RowError::TooLarge { .. }), "{refused:?}");
    }
}
