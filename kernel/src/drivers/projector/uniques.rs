//! Unique indexes, judged after each event, so that what fails does not depend on where batches end.
//!
//! A store judges a batch by what it leaves (RM-03), and so passes over rows that are alike only for a while. Here each
//! change of such values is looked at: against the rows that the worker knows, and for all others in the store.

use super::engine::{Halt, Place};
use crate::ports::RowError;
use crate::values::{Cell, Collection, Find, Index, RowKey};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use futures::StreamExt;
use futures::stream;

/// How many questions are asked at once.
const AT_ONCE: usize = 16;

/// The values of known rows in unique indexes.
pub(super) struct Uniques {
    collection: Arc<Collection>,
    indexes: Vec<Index>,
    taken: BTreeMap<(usize, Vec<Cell>), RowKey>,
}

/// A row before and after an event.
pub(super) struct Changing<'a> {
    pub(super) key: &'a RowKey,
    pub(super) before: Option<&'a Vec<Cell>>,
    pub(super) after: Option<&'a Vec<Cell>>,
}

/// Values that no known row but this has; the store may have another.
pub(super) struct Question {
    key: RowKey,
    index: usize,
    values: Vec<Cell>,
}

impl Uniques {
    pub(super) fn new(collection: Arc<Collection>) -> Self {
        let indexes = collection.indexes.iter().filter(|index| index.unique).cloned().collect();
        Self { collection, indexes, taken: BTreeMap::new() }
    }

    /// Whether there is nothing to judge.
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.taken.clear();
    }

    /// What the row has in each unique index. Rows with nothing in a column of it are never the same.
    fn values(&self, cells: Option<&Vec<Cell>>) -> Vec<(usize, Vec<Cell>)> {
        let values = |cells: &Vec<Cell>| -> Vec<_> {
            let all = self.indexes.iter().map(|index| self.collection.index_values(index, cells)).enumerate();
            all.filter(|(_, values)| !values.contains(&Cell::Null)).collect()
        };
        cells.map(values).unwrap_or_default()
    }

    /// The row stands so now, whatever others have.
    pub(super) fn replace(&mut self, key: &RowKey, before: Option<&Vec<Cell>>, now: Option<&Vec<Cell>>) {
        if self.is_empty() {
            return;
        }
        for values in self.values(before) {
            if self.taken.get(&values) == Some(key) {
                self.taken.remove(&values);
            }
        }
        for values in self.values(now) {
            self.taken.insert(values, key.clone());
        }
    }

    /// Takes in what an event has changed, and tells what is to be asked of the store. After an error the rows are to be
    /// [replaced](Self::replace) by those before.
    ///
    /// # Errors
    ///
    /// Which known rows are alike, in a sentence.
    pub(super) fn change(&mut self, changing: &[Changing<'_>]) -> Result<Vec<Question>, String> {
        let mut questions = Vec::new();
        if self.is_empty() {
            return Ok(questions);
        }
        // All give up what they had first: two may exchange their values.
        for row in changing {
            self.replace(row.key, row.before, None);
        }
        for row in changing {
            let before = self.values(row.before);
            for (index, values) in self.values(row.after) {
                let place = (index, values);
                match self.taken.get(&place) {
                    Some(other) if other != row.key => return Err(self.alike(index, row.key, other)),
                    _ => {}
                }
                self.taken.insert(place.clone(), row.key.clone());
                if !before.contains(&place) {
                    questions.push(Question { key: row.key.clone(), index, values: place.1 });
                }
            }
        }
        Ok(questions)
    }

    fn alike(&self, index: usize, one: &RowKey, other: &RowKey) -> String {
        let (collection, index) = (self.collection.name.clone(), self.indexes[index].name.clone());
        format!("{}", RowError::NotUnique { collection, index, one: one.clone(), other: other.clone() })
    }

    /// Asks the store, and tells the first of the questions that an unknown row is in the way of. What is stored of known
    /// rows does not count: they stand otherwise by now, or have been judged.
    pub(super) async fn ask(
        &self,
        place: &Place,
        questions: &[Question],
        is_known: impl Fn(&RowKey) -> bool,
    ) -> Option<(usize, Halt)> {
        let find = |question: &Question| {
            let index = self.indexes[question.index].name.clone();
            let find = Find::equal(self.collection.name.clone(), index, question.values.clone());
            place.rows.find(find.version(self.collection.version).limit(1))
        };
        let calls: Vec<_> = questions.iter().map(find).collect();
        let mut answers = stream::iter(calls).buffered(AT_ONCE).enumerate();
        while let Some((at, answer)) = answers.next().await {
            let question = &questions[at];
            match answer {
                Ok(set) => {
                    if let Some(other) = set.rows.iter().find(|row| !is_known(&row.key)) {
                        return Some((at, Halt::never(self.alike(question.index, &question.key, &other.key))));
                    }
                }
                // The values are more than an index takes.
                Err(error @ (RowError::TooLarge { .. } | RowError::Invalid(_))) => {
                    return Some((at, Halt::never(format!("{error}"))));
                }
                Err(error) => return Some((at, Halt::Store(error))),
            }
        }
        None
    }
}
