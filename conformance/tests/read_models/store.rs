//! A store of read models that is as simple as can be, and how it can be wrong.

use async_trait::async_trait;
use core::cmp::Ordering;
use core::ops::{Bound, RangeBounds};
use portolan_conformance::{Fixture, Place, ReadModelStore};
use portolan_kernel::ports::{RowError, RowLimits};
use portolan_kernel::values::{
    Batch, By, Cell, Change, Checkpoint, CheckpointState, Collection, Cursor, Direction, Find, KeyedRow, Move, Name,
    RowKey, Rowset, Token, Versions,
};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

/// Stores that outlive their handles, by place.
static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Kept>>>>> = LazyLock::new(Mutex::default);

pub type Range = (Bound<Cell>, Bound<Cell>);
pub type Rows = BTreeMap<RowKey, Vec<Cell>>;

/// All that is stored.
#[derive(Default, Clone)]
pub struct Kept {
    pub tables: BTreeMap<(Name, u32), (Collection, Rows)>,
    pub active: BTreeMap<Name, u32>,
    pub checkpoints: BTreeMap<Name, CheckpointState>,
}

/// How a store is wrong; `RIGHT` where it is right.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    pub limits: fn() -> RowLimits,
    /// Whether the limits are looked at.
    pub limited: bool,
    /// Whether the definition and the cells are looked at.
    pub checked: bool,
    /// What of a batch is written, and the error, if the changes are refused.
    pub on_refusal: fn(before: &Kept, half: &Kept) -> Kept,
    /// Judges the checkpoint by where it stands.
    pub moves: fn(&Checkpoint, Option<CheckpointState>) -> Result<CheckpointState, RowError>,
    /// What of the changes is carried out.
    pub changes: fn(Vec<Change>) -> Vec<Change>,
    /// Whether rows with these values in a unique index are in each other's way.
    pub same: fn(&[Cell], &[Cell]) -> bool,
    /// Whether uniqueness is judged after each change, and not once after all.
    pub judges_each: bool,
    /// Whether two definitions of one version are the same.
    pub defined_alike: fn(&Collection, &Collection) -> bool,
    /// Whether a definition that is there already empties its rows.
    pub define_empties: bool,
    /// What a batch activates.
    pub activates: fn(&Kept, &Batch) -> Vec<(Name, u32)>,
    /// Which version is read, of the one asked for and the one of the cursor.
    pub version: fn(asked: Option<u32>, cursor: Option<u32>, active: Option<u32>) -> Option<u32>,
    /// The checkpoint after a removal.
    pub removal: fn(&mut Kept, &Name, u32, &Checkpoint) -> Result<(), RowError>,
    /// What a key is looked up as.
    pub key: fn(&RowKey) -> RowKey,
    /// What a cell comes back as.
    pub cell: fn(Cell) -> Cell,
    pub order: fn(&Cell, &Cell) -> Ordering,
    /// Whether rows with equal values are ordered by key.
    pub ties_by_key: bool,
    /// Whether the values of a row are those asked for.
    pub chosen: fn(values: &[Cell], equals: &[Cell], range: &Range) -> bool,
    /// Whether a row comes after the cursor, by the order of both.
    pub after: fn(Ordering) -> bool,
    /// A page ends with the row that passes so many characters.
    pub page_characters: usize,
    /// Whether a page that ends so says that there is more only if there is.
    pub looks_ahead: bool,
    /// The cursor of a page, of whether there is more.
    pub next: fn(Cursor, more: bool) -> Option<Cursor>,
    /// What `get` gives of the rows that there are, by the keys asked for.
    pub got: fn(Vec<KeyedRow>) -> Vec<KeyedRow>,
    /// What is left when the store is opened again.
    pub reopen: fn(&mut Kept),
    /// Whether each handle has a look of its own at what is active.
    pub handle_remembers_active: bool,
    /// Whether others come between the look and the write.
    pub races: bool,
}

pub const RIGHT: Mutant = Mutant {
    name: "right",
    breaks: &[],
    limits: || {
        let mut limits = RowLimits::default();
        (limits.batch_changes, limits.row_bytes, limits.page_rows) = (60, 5_000, 50);
        limits
    },
    limited: true,
    checked: true,
    on_refusal: |before, _| before.clone(),
    moves,
    changes: |changes| changes,
    same: |one, other| one == other && !one.contains(&Cell::Null),
    judges_each: false,
    defined_alike: |one, other| one == other,
    define_empties: false,
    activates: |_, batch| batch.activate.clone(),
    version: |asked, cursor, active| cursor.or(asked).or(active),
    removal: remove,
    key: Clone::clone,
    cell: |cell| cell,
    order: Ord::cmp,
    ties_by_key: true,
    chosen: |values, equals, range| {
        values.starts_with(equals) && values.get(equals.len()).is_none_or(|cell| range.contains(cell))
    },
    after: Ordering::is_gt,
    page_characters: usize::MAX,
    looks_ahead: true,
    next: |cursor, more| more.then_some(cursor),
    got: |rows| rows,
    reopen: |_| {},
    handle_remembers_active: false,
    races: false,
};

/// Right ones of unusual kinds.
pub const RIGHT_ONES: &[Mutant] = &[
    RIGHT,
    Mutant { name: "gives one row a page", page_characters: 0, ..RIGHT },
    Mutant {
        name: "ends a page at so many characters, and does not look whether more follows",
        page_characters: 4_000,
        looks_ahead: false,
        ..RIGHT
    },
];

pub fn moves(checkpoint: &Checkpoint, stands: Option<CheckpointState>) -> Result<CheckpointState, RowError> {
    let Checkpoint { name, store, token, from, to, .. } = checkpoint;
    let (position, largest) = stands.map_or((None, Token(0)), |stands| (stands.position, stands.token));
    if let Some(stands) = stands
        && stands.store != *store
        && !matches!(to, Move::Reset(_))
    {
        return Err(RowError::WrongStore { name: name.clone(), named: *store, actual: stands.store });
    }
    if (position != *from && !matches!(to, Move::Claim)) || largest > *token {
        return Err(RowError::CheckpointMoved { name: name.clone(), actual: position, token: largest });
    }
    let to = match to {
        Move::Claim => position,
        Move::Reset(to) => *to,
        Move::At(to) if Some(*to) < position => return Err(RowError::Invalid("it would go back".into())),
        Move::At(to) => Some(*to),
    };
    Ok(CheckpointState::new(*store, to, *token))
}

pub fn remove(kept: &mut Kept, collection: &Name, version: u32, checkpoint: &Checkpoint) -> Result<(), RowError> {
    let moved = moves(checkpoint, kept.checkpoints.get(&checkpoint.name).copied())?;
    if kept.active.get(collection) == Some(&version) {
        return Err(RowError::Invalid("it is active".into()));
    }
    kept.tables.remove(&(collection.clone(), version));
    kept.checkpoints.insert(checkpoint.name.clone(), moved);
    Ok(())
}

pub struct Store {
    pub kept: Arc<Mutex<Kept>>,
    mutant: Mutant,
    active: Mutex<BTreeMap<Name, u32>>,
}

impl Mutant {
    pub fn open_alone(self) -> Store {
        Store { kept: Arc::default(), mutant: self, active: Mutex::default() }
    }

    fn open(self, place: &Place) -> Store {
        let kept = STORES.lock().unwrap().entry(place.dir().to_path_buf()).or_default().clone();
        (self.reopen)(&mut kept.lock().unwrap());
        Store { kept, mutant: self, active: Mutex::default() }
    }

    pub fn fixture(self) -> Fixture<dyn ReadModelStore> {
        Fixture::read_model_store(async move |place: &Place| Ok::<_, String>(self.open(place)))
    }
}

impl Store {
    fn active(&self, kept: &Kept, collection: &Name) -> Option<u32> {
        let active = kept.active.get(collection).copied();
        if !self.mutant.handle_remembers_active {
            return active;
        }
        let mut remembered = self.active.lock().unwrap();
        if let (None, Some(active)) = (remembered.get(collection), active) {
            remembered.insert(collection.clone(), active);
        }
        remembered.get(collection).copied()
    }

    fn table<'k>(
        &self,
        kept: &'k Kept,
        collection: &Name,
        version: Option<u32>,
        cursor: Option<u32>,
    ) -> Result<&'k (Collection, Rows), RowError> {
        let read = (self.mutant.version)(version, cursor, self.active(kept, collection));
        read.and_then(|read| kept.tables.get(&(collection.clone(), read))).ok_or_else(|| match cursor {
            Some(version) => RowError::Gone { collection: collection.clone(), version },
            None => RowError::UnknownCollection { collection: collection.clone(), version },
        })
    }

    fn apply(&self, kept: &mut Kept, batch: &Batch) -> Result<(), RowError> {
        for change in (self.mutant.changes)(batch.changes.clone()) {
            let Change { collection, version, key, cells, .. } = &change;
            let unknown = || RowError::UnknownCollection { collection: collection.clone(), version: Some(*version) };
            let (defined, rows) = kept.tables.get_mut(&(collection.clone(), *version)).ok_or_else(unknown)?;
            if self.mutant.checked {
                (self.mutant.limits)().check_change(defined, &change)?;
            }
            let key = (self.mutant.key)(key);
            match cells {
                Some(cells) => rows.insert(key, cells.iter().cloned().map(self.mutant.cell).collect()),
                None => rows.remove(&key),
            };
            if self.mutant.judges_each {
                self.judge_unique(defined, rows)?;
            }
        }
        for (collection, version) in (self.mutant.activates)(kept, batch) {
            if !kept.tables.contains_key(&(collection.clone(), version)) {
                return Err(RowError::UnknownCollection { collection, version: Some(version) });
            }
            kept.active.insert(collection, version);
        }
        kept.tables.values().try_for_each(|(defined, rows)| self.judge_unique(defined, rows))
    }

    fn judge_unique(&self, defined: &Collection, rows: &Rows) -> Result<(), RowError> {
        for index in defined.indexes.iter().filter(|index| index.unique) {
            let values: Vec<_> = rows.iter().map(|(key, row)| (key, defined.index_values(index, row))).collect();
            for (n, (one, values_of_one)) in values.iter().enumerate() {
                if let Some((other, _)) = values[n + 1..].iter().find(|(_, v)| (self.mutant.same)(values_of_one, v)) {
                    let (one, other) = ((*one).clone(), (*other).clone());
                    let (collection, index) = (defined.name.clone(), index.name.clone());
                    return Err(RowError::NotUnique { collection, index, one, other });
                }
            }
        }
        Ok(())
    }

    /// The row with which a page of these rows passes the characters that it may have.
    fn heaviest(&self, rows: &[KeyedRow]) -> Option<usize> {
        if self.mutant.page_characters == usize::MAX {
            return None;
        }
        let mut characters = 0;
        rows.iter().position(|row| {
            characters += format!("{row:?}").len();
            characters > self.mutant.page_characters
        })
    }

    fn compare(&self, one: &[Cell], other: &[Cell]) -> Ordering {
        one.iter()
            .zip(other)
            .map(|(one, other)| (self.mutant.order)(one, other))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

#[async_trait]
impl ReadModelStore for Store {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        if self.mutant.checked {
            self.limits().check_collection(&collection)?;
        }
        let mut kept = self.kept.lock().unwrap();
        let (name, version) = (collection.name.clone(), collection.version);
        match kept.tables.get_mut(&(name.clone(), version)) {
            Some((defined, _)) if !(self.mutant.defined_alike)(defined, &collection) => {
                return Err(RowError::DefinedOtherwise { collection: name, version });
            }
            Some((_, rows)) if self.mutant.define_empties => rows.clear(),
            Some(_) => {}
            None => drop(kept.tables.insert((name, version), (collection, Rows::new()))),
        }
        Ok(())
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        let kept = self.kept.lock().unwrap();
        let of = kept.tables.iter().filter(|((name, _), _)| *name == collection);
        Ok(Versions::new(of.map(|(_, (defined, _))| defined.clone()).collect(), kept.active.get(&collection).copied()))
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        if self.mutant.limited {
            self.limits().check_batch(&batch)?;
        }
        let name = batch.checkpoint.name.clone();
        let stands = |kept: &Kept| kept.checkpoints.get(&name).copied();
        let mut seen = stands(&self.kept.lock().unwrap());
        if self.mutant.races {
            tokio::task::yield_now().await;
        }
        let mut kept = self.kept.lock().unwrap();
        if !self.mutant.races {
            seen = stands(&kept);
        }
        let moved = (self.mutant.moves)(&batch.checkpoint, seen)?;
        let before = kept.clone();
        if let Err(error) = self.apply(&mut kept, &batch) {
            let half = kept.clone();
            *kept = (self.mutant.on_refusal)(&before, &half);
            return Err(error);
        }
        kept.checkpoints.insert(name, moved);
        Ok(())
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        if self.mutant.limited {
            self.limits().check_get(&keys)?;
        }
        let kept = self.kept.lock().unwrap();
        let (defined, rows) = self.table(&kept, &collection, version, None)?;
        let row = |key: &RowKey| Some(KeyedRow::new(key.clone(), rows.get(&(self.mutant.key)(key))?.clone()));
        let rows = (self.mutant.got)(keys.iter().filter_map(row).collect());
        Ok(Rowset::new(defined.version, rows, None))
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let kept = self.kept.lock().unwrap();
        let cursor = find.after.as_ref().map(|cursor| cursor.version);
        let (defined, rows) = self.table(&kept, &find.collection, find.version, cursor)?;
        if self.mutant.checked {
            self.limits().check_find(defined, &find)?;
        }
        let values = |row: &KeyedRow| match &find.by {
            By::Index { name, .. } => {
                defined.find_index(name).map_or_else(Vec::new, |index| defined.index_values(index, &row.cells))
            }
            By::Key(..) => Vec::new(),
        };
        let mut found: Vec<_> = rows.iter().map(|(key, cells)| KeyedRow::new(key.clone(), cells.clone())).collect();
        found.retain(|row| match &find.by {
            By::Key(from, to) => (from.as_ref(), to.as_ref()).contains(&row.key),
            By::Index { equals, range, .. } => (self.mutant.chosen)(&values(row), equals, range),
        });
        let order = |one: (&[Cell], &RowKey), other: (&[Cell], &RowKey)| {
            let by_value = self.compare(one.0, other.0);
            let both = by_value.then_with(|| one.1.cmp(other.1));
            let order = if self.mutant.ties_by_key { both } else { by_value.then_with(|| other.1.cmp(one.1)) };
            if find.direction == Direction::Backward { order.reverse() } else { order }
        };
        found.sort_by(|one, other| order((&values(one), &one.key), (&values(other), &other.key)));
        if let Some(cursor) = &find.after {
            found.retain(|row| (self.mutant.after)(order((&values(row), &row.key), (&cursor.values, &cursor.key))));
        }
        let mut limit = find.limit as usize;
        if self.mutant.limited {
            limit = limit.min(self.limits().page_rows as usize);
        }
        let heaviest = self.heaviest(&found).map_or(usize::MAX, |last| last + 1);
        let more =
            found.len() > limit.min(heaviest) || (!self.mutant.looks_ahead && heaviest <= limit.min(found.len()));
        found.truncate(limit.min(heaviest));
        let last = found.last().map(|row| Cursor::new(defined.version, values(row), row.key.clone()));
        Ok(Rowset::new(defined.version, found, last.and_then(|last| (self.mutant.next)(last, more))))
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        Ok(self.kept.lock().unwrap().checkpoints.get(&name).copied())
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        (self.mutant.removal)(&mut self.kept.lock().unwrap(), &collection, version, &checkpoint)
    }

    fn limits(&self) -> RowLimits {
        (self.mutant.limits)()
    }
}
