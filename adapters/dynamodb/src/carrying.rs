//! How a committed batch is carried through: by whoever committed it, or by whoever comes next.

use crate::cells::{self, Version};
use crate::error::Fault;
use crate::journal::Journal;
use crate::marks::{Mark, Open, fresh_id};
use crate::pieces;
use crate::read_models::{ReadModels, Step};
use crate::table::Key;
use crate::transactions::{Carried, If};
use aws_sdk_dynamodb::types::TransactWriteItem;
use portolan_kernel::values::Name;
use std::collections::HashMap;

/// Actions of one transaction, and the bytes that are put in it: DynamoDB takes 4 MiB, with everything.
const ACTIONS: usize = 100;
const BYTES: usize = 3 << 20;
/// An item's key is not longer, with the key of the row that an entry holds.
const KEY_BYTES: usize = 3 << 10;

/// A batch that is wholly visible: its journal, and the marks that it wrote.
pub(crate) struct Seen {
    pub(crate) journal: Journal,
    pub(crate) marks: HashMap<Key, Mark>,
}

impl ReadModels<'_> {
    /// The batch that a mark says is open. Looks again when that is over by now, or not all of the batch's transaction is
    /// visible: so no one is shown a part of one.
    pub(crate) async fn look(&self, open: &Open) -> Result<Seen, Step> {
        let key = self.space.journal(&open.checkpoint);
        let unseen = || Step::again("a batch is being committed");
        let first = self.table.get(&key).await?.ok_or_else(unseen)?;
        let mut found = HashMap::from([(key.clone(), first)]);
        let further: Vec<_> = pieces::keys(&key, pieces::further_of(&found[&key])).skip(1).collect();
        if !further.is_empty() {
            found.extend(self.table.batch_get(further, false).await?);
        }
        // Pieces of two journals are none; they are damaged if they stay so.
        let bytes = pieces::joined(&key, |key| found.get(key)).ok_or_else(unseen)?.map_err(Step::Again)?;
        let journal = Journal::decode(&key, &bytes)?;
        if journal.id != open.id {
            return Err(unseen());
        }
        let marks = self.marks(journal.marks.iter().map(|(key, _)| key.clone()).collect()).await?;
        let seen = |(key, count): &(Key, u64)| marks.get(key).is_some_and(|mark| mark.count >= *count);
        if journal.marks.iter().all(seen) { Ok(Seen { journal, marks }) } else { Err(unseen()) }
    }

    /// Lets nothing go on beside an open batch: whoever committed it carries it through, or else this does.
    pub(crate) async fn help_with(&self, marks: &HashMap<Key, Mark>, helps: bool) -> Result<(), Step> {
        let Some(open) = marks.values().find_map(|mark| mark.open.as_ref()) else { return Ok(()) };
        if helps {
            let Seen { journal, marks } = self.look(open).await?;
            self.carry_through(&journal, marks, &open.checkpoint).await?;
        }
        Err(Step::again("another batch is being carried through"))
    }

    /// Writes what the journal says, and closes the batch. Each transaction of it takes place only while the batch is
    /// open, so none comes too late; and none leaves anything out because another seems to have done it, so that what
    /// this closes is wholly visible.
    pub(crate) async fn carry_through(
        &self,
        journal: &Journal,
        marks: HashMap<Key, Mark>,
        checkpoint: &Name,
    ) -> Result<(), Fault> {
        if marks.values().any(|mark| mark.id != journal.id) {
            return Ok(());
        }
        let progress = self.space.progress(checkpoint);
        let fence = self.table.check(&progress, If::Is(journal.id))?;
        let (mut chunk, mut bytes) = (vec![fence.clone()], 0);
        for (size, action) in self.actions(journal, &marks)? {
            if chunk.len() == ACTIONS || bytes + size > BYTES {
                if !self.chunk(core::mem::replace(&mut chunk, vec![fence.clone()])).await? {
                    return Ok(());
                }
                bytes = 0;
            }
            bytes += size;
            chunk.push(action);
        }
        if chunk.len() > 1 && !self.chunk(chunk).await? {
            return Ok(());
        }
        let id = fresh_id();
        let closed = marks.into_iter().map(|(key, mark)| {
            let mark = Mark { id, open: None, ..mark };
            self.table.put(mark.item(&key), Some(If::Is(journal.id)))
        });
        self.chunk(closed.collect::<Result<_, _>>()?).await.map(drop)
    }

    /// One transaction of a batch; whether the batch was still open.
    async fn chunk(&self, items: Vec<TransactWriteItem>) -> Result<bool, Fault> {
        match self.table.carry_out(fresh_id(), &items).await {
            Carried::Out => Ok(true),
            Carried::Failed { .. } => Ok(false),
            Carried::Refused(fault) | Carried::Unknown(fault) => Err(fault),
        }
    }

    /// What has to be written for the journal, each with about how many bytes it is.
    fn actions(&self, journal: &Journal, marks: &HashMap<Key, Mark>) -> Result<Vec<(usize, TransactWriteItem)>, Fault> {
        let mut actions = Vec::new();
        for part in &journal.parts {
            let key = self.space.version_at(&part.collection, part.version);
            let mark = marks.get(&key).ok_or_else(|| Fault::Damaged(key.place()))?;
            let version = Version::decode(&key, &part.collection, part.version, &mark.value)?;
            let damaged = || Fault::Damaged(key.place());
            for (row, changed) in &part.changes {
                let row_key = version.row_key(self.space, row);
                for (index, sort) in &changed.gone {
                    let entry = version.entry_key(self.space, *index, sort).ok_or_else(damaged)?;
                    actions.push((KEY_BYTES, self.table.delete(&entry, None)?));
                }
                let Some(cells) = &changed.cells else {
                    actions.push((KEY_BYTES, self.table.delete(&row_key, None)?));
                    continue;
                };
                let size = usize::try_from(cells.iter().map(|cell| cell.bytes() + 12).sum::<u64>()).unwrap_or(BYTES);
                actions.push((KEY_BYTES + size, self.table.put(cells::row_item(&row_key, cells), None)?));
                for index in &changed.came {
                    let of = version.collection.indexes.get(*index).ok_or_else(damaged)?;
                    let sort = version.entry_sort(of, row, cells);
                    let entry = version.entry_key(self.space, *index, &sort).ok_or_else(damaged)?;
                    actions.push((KEY_BYTES, self.table.put(cells::entry_item(&entry, row), None)?));
                }
            }
        }
        Ok(actions)
    }
}
