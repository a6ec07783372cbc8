//! Batches of row changes: judged on what is read, and committed on the condition that it is still so.

use crate::cells::{self, Version};
use crate::error::Fault;
use crate::journal::{Changed, Journal, Part};
use crate::marks::{Mark, Open, fresh_id};
use crate::pieces;
use crate::read_models::{BATCH_VERSIONS, Progress, ReadModels, Step, limits};
use crate::table::{Item, Key};
use crate::transactions::If;
use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use portolan_kernel::ports::{RowError, judge_checkpoint};
use portolan_kernel::values::{Batch, Cell, Name, RowKey};
use std::collections::HashMap;

/// The last change of each key, in each version of a collection that a batch changes.
type Final<'a> = BTreeMap<(&'a Name, u32), BTreeMap<&'a RowKey, Option<&'a [Cell]>>>;

/// A version that the batch changes or activates, as it was read.
struct Touched {
    key: Key,
    mark: Mark,
    version: Version,
}

fn last_changes(batch: &Batch) -> Final<'_> {
    let mut changes = Final::new();
    for change in &batch.changes {
        let of_version = changes.entry((&change.collection, change.version)).or_default();
        of_version.insert(&change.key, change.cells.as_deref());
    }
    changes
}

impl ReadModels<'_> {
    pub(crate) async fn try_commit(&self, batch: &Batch, helps: bool) -> Result<(), Step> {
        let of = &batch.checkpoint;
        let changes = last_changes(batch);
        let activate: BTreeMap<&Name, u32> = batch.activate.iter().map(|(name, version)| (name, *version)).collect();
        let versions: BTreeSet<(&Name, u32)> =
            changes.keys().copied().chain(batch.activate.iter().map(|(name, version)| (name, *version))).collect();
        if versions.len() > BATCH_VERSIONS {
            let (what, size) = (Cow::Borrowed("versions of collections in one batch"), versions.len() as u64);
            return Err(RowError::TooLarge { what, size, limit: BATCH_VERSIONS as u64 }.into());
        }

        let progress = self.space.progress(&of.name);
        let mut keys = vec![progress.clone()];
        keys.extend(versions.iter().map(|(name, version)| self.space.version_at(name, *version)));
        keys.extend(activate.keys().map(|name| self.space.active(name)));
        let mut marks = self.marks(keys).await?;
        self.help_with(&marks, helps).await?;

        let before = marks.remove(&progress);
        let stands = before.as_ref().map(|mark| Progress::decode(&progress, &mark.value)).transpose()?;
        let state = judge_checkpoint(of, stands.map(|stands| stands.state))?;
        let mut touched = BTreeMap::new();
        for (name, version) in versions {
            let key = self.space.version_at(name, version);
            let missing = || RowError::UnknownCollection { collection: name.clone(), version: Some(version) };
            let mark = marks.remove(&key).ok_or_else(missing)?;
            let decoded = Version::decode(&key, name, version, &mark.value)?;
            touched.insert((name, version), Touched { key, mark, version: decoded });
        }
        for change in &batch.changes {
            let of = &touched[&(&change.collection, change.version)];
            limits().check_change(&of.version.collection, change)?;
        }
        let parts = self.judge(&changes, &touched).await?;

        // One transaction: what it writes refers to the journal, as long as that is not carried through.
        let id = fresh_id();
        let alone = parts.is_empty() && activate.is_empty();
        let open = (!alone).then(|| Open { checkpoint: of.name.clone(), id });
        let moved = Mark::after(before.as_ref(), id, open.clone(), Progress { state, by: id }.encode());
        let mut items = vec![self.table.put(moved.item(&progress), Some(If::still(before.as_ref())))?];
        let mut written = HashMap::from([(progress.clone(), moved)]);
        for ((name, version), Touched { key, mark, version: decoded }) in touched {
            let is_activated = activate.get(name) == Some(&version);
            if is_activated || parts.iter().any(|part| part.is_of(&decoded)) {
                let new = Mark::after(Some(&mark), id, open.clone(), mark.value.clone());
                items.push(self.table.put(new.item(&key), Some(If::Is(mark.id)))?);
                written.insert(key, new);
            } else {
                items.push(self.table.check(&key, If::Is(mark.id))?);
            }
        }
        for (name, version) in activate {
            let key = self.space.active(name);
            let before = marks.get(&key);
            let new = Mark::after(before, id, open.clone(), crate::encoding::encode(&version));
            items.push(self.table.put(new.item(&key), Some(If::still(before)))?);
            written.insert(key, new);
        }
        let counts = written.iter().map(|(key, mark)| (key.clone(), mark.count)).collect();
        let journal = Journal { id, marks: counts, parts };
        if !alone {
            let key = self.space.journal(&of.name);
            for item in pieces::cut(&key, &pieces::sealed(&key, journal.encode())) {
                items.push(self.table.put(item, None)?);
            }
        }
        self.carried(self.table.carry_out(id, &items).await, &progress, id, before.as_ref()).await?;
        if !alone {
            // It is committed: whoever comes next goes on where this ends.
            let _ = self.carry_through(&journal, written, &of.name).await;
        }
        Ok(())
    }

    /// What the changes come to: by the rows that there are, and by whom the values of unique indexes belong to.
    async fn judge(&self, changes: &Final<'_>, touched: &BTreeMap<(&Name, u32), Touched>) -> Result<Vec<Part>, Step> {
        let mut keys = Vec::new();
        for (of, rows) in changes {
            let version = &touched[of].version;
            for (row, cells) in rows {
                keys.push(version.row_key(self.space, row));
                for index in &version.collection.indexes {
                    let values = cells.map(|cells| version.collection.index_values(index, cells));
                    if let Some(values) = values.filter(|values| cells::is_claimed(index, values)) {
                        let sort = cells::entry_sort(index, &values, row);
                        keys.push(Key { partition: version.entries(self.space, index), sort });
                    }
                }
            }
        }
        let found = self.table.batch_get(keys, false).await?;
        let mut parts = Vec::new();
        for (of, rows) in changes {
            let Touched { key, mark, version } = &touched[of];
            match self.judge_rows(version, rows, &found)? {
                Ok(part) if part.changes.is_empty() => {}
                Ok(part) => parts.push(part),
                // Unless another batch has come in between, of which only a part was read.
                Err(refused) => {
                    return match self.mark(key).await? {
                        Some(now) if now.id == mark.id => Err(refused.into()),
                        _ => Err(Step::again("other batches were always faster")),
                    };
                }
            }
        }
        Ok(parts)
    }

    fn judge_rows(
        &self,
        version: &Version,
        rows: &BTreeMap<&RowKey, Option<&[Cell]>>,
        found: &HashMap<Key, Item>,
    ) -> Result<Result<Part, RowError>, Fault> {
        let collection = &version.collection;
        let mut taken: HashMap<(usize, String), &RowKey> = HashMap::new();
        let mut part = Part {
            collection: collection.name.clone(),
            version: collection.version,
            incarnation: version.incarnation,
            changes: BTreeMap::new(),
        };
        for (row, cells) in rows {
            let row_key = version.row_key(self.space, row);
            let before = found.get(&row_key).map(|item| cells::cells_of(&row_key, item)).transpose()?;
            let mut changed = Changed { cells: cells.map(<[Cell]>::to_vec), came: Vec::new(), gone: Vec::new() };
            for (number, index) in collection.indexes.iter().enumerate() {
                let old = before.as_ref().map(|cells| version.entry_sort(index, row, cells));
                let new = cells.map(|cells| version.entry_sort(index, row, cells));
                if let Some(sort) = new.clone() {
                    // What the batch changes is judged by what it puts, and not by what is there.
                    let entry = Key { partition: version.entries(self.space, index), sort: sort.clone() };
                    let owner = found.get(&entry).map(|item| cells::row_of(&entry, item)).transpose()?;
                    let owner = owner.filter(|owner| !rows.contains_key(owner));
                    if let Some(other) = taken.insert((number, sort), row).cloned().or(owner) {
                        let (collection, index) = (collection.name.clone(), index.name.clone());
                        return Ok(Err(RowError::NotUnique { collection, index, one: other, other: (*row).clone() }));
                    }
                }
                if old != new {
                    changed.came.extend(new.is_some().then_some(number));
                    changed.gone.extend(old.map(|old| (number, old)));
                }
            }
            let same = match (&before, cells) {
                (None, None) => true,
                // Equal is not enough: both zeros are.
                (Some(before), Some(cells)) => cells::row_item(&row_key, before) == cells::row_item(&row_key, cells),
                _ => false,
            };
            if !same {
                part.changes.insert((*row).clone(), changed);
            }
        }
        for changed in part.changes.values_mut() {
            changed.gone.retain(|place| !taken.contains_key(place));
        }
        Ok(Ok(part))
    }
}
