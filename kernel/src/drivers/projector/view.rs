//! The second form of a projection: it waits, reads other rows, and may have effects elsewhere.

use super::engine::{Halt, Place};
use super::uniques::{Changing, Uniques};
use crate::domain::{EventSet, FailurePolicy, ReadModel, RecordedAs, Row, RowValueError, Unknown};
use crate::ports::RowError;
use crate::values::{Beside, By, Cell, Collection, Cursor, Direction, Edition, Find, KeyedRow, RowKey};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::any::Any;
use core::cmp::Ordering;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};

/// A read model that is not a fold of one row: an event changes several rows, found by key or by index, or has effects
/// elsewhere. Its rows are read as those of [`Viewed`].
///
/// Where a [`Projection`](crate::domain::Projection) does, choose that: it is pure, and many times as fast.
///
/// An event is applied at least once, and its row changes count once: when the worker dies before its batch is
/// committed, or the batch is cut smaller, the event comes again. So effects elsewhere have to be harmless when repeated,
/// and are left out while events are replayed ([`View::is_replaying`]).
///
/// Left out so, each event has its effect at least once, also when readers are switched. It is repeated for the events
/// that the edition before goes on to apply between the last time that the rebuild has looked at it and the time that its
/// worker sees the switch. Two versions of the code, in a rolling deploy, are two editions with effects of their own:
/// from when the second has caught up until the first is shut down, both have those of each event. A key from the event,
/// such as its position, tells whoever is called which are the same.
///
/// A panic is a failure that may help to try again.
///
/// ```
/// use portolan_kernel::domain::{Event, RecordedAs, Row};
/// use portolan_kernel::drivers::{ApplyError, View, ViewProjection};
/// # use portolan_kernel::{Bytes, domain::*, ports::RawEvent, values::Cell};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum AccountEvent { #[serde(rename = "account.moved")] Moved { from: String, to: String } }
/// # impl Event for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// # struct Count { accounts: u64 }
/// # impl Row for Count {
/// #     const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<u64>("accounts")];
/// #     fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> { Ok(vec![self.accounts.to_cell()?]) }
/// #     fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
/// #         let [accounts] = row_cells(cells)?;
/// #         Ok(Self { accounts: CellValue::from_cell(accounts)? })
/// #     }
/// # }
/// struct AccountsOfCities;
///
/// impl ViewProjection for AccountsOfCities {
///     const NAME: &'static str = "accounts-of-cities";
///     const VERSION: u16 = 1;
///     type Event = AccountEvent;
///     type Row = Count;
///
///     async fn apply(view: &mut View<'_, Count>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
///         let AccountEvent::Moved { from, to } = &event.event;
///         let left = view.get(from).await?.map_or(0, |count| count.accounts - 1);
///         let come = view.get(to).await?.map_or(1, |count| count.accounts + 1);
///         view.put(from, &Count { accounts: left })?;
///         view.put(to, &Count { accounts: come })
///     }
/// }
/// ```
pub trait ViewProjection: Send + Sync + 'static {
    /// Its name, which is also that of its rows' collection. It does not begin with `$`, and has no `@` and no `/`.
    const NAME: &'static str;

    /// The version of its code, from 1.
    const VERSION: u16;

    /// The events it follows.
    type Event: EventSet;

    /// Its rows.
    type Row: Row;

    /// Applies an event: changes rows, and has effects elsewhere. What it changes before it fails is taken back.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; those of the view are to be handed on.
    fn apply(
        view: &mut View<'_, Self::Row>,
        event: &RecordedAs<Self::Event>,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Which other events wait while this one is parked: those that say the same. `None`: those of its stream.
    #[must_use]
    fn sequence(event: &RecordedAs<Self::Event>) -> Option<String> {
        let _ = event;
        None
    }

    /// What is done about an event that this projection does not know, as for a
    /// [`Projection`](crate::domain::Projection::on_unknown).
    #[must_use]
    fn on_unknown() -> Unknown {
        Unknown::Fail
    }

    /// What is done about an event that cannot be applied.
    #[must_use]
    fn on_failure() -> FailurePolicy {
        FailurePolicy::default()
    }
}

/// The read model that a [`ViewProjection`] makes, for whoever asks for its rows:
/// `registry.get::<Viewed<TopTen>>()`. There is no value of it.
#[derive(Debug)]
pub struct Viewed<V> {
    projection: PhantomData<fn() -> V>,
}

impl<V: ViewProjection> ReadModel for Viewed<V> {
    const NAME: &'static str = V::NAME;
    const VERSION: u16 = V::VERSION;
    type Row = V::Row;
}

/// Why an event was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ApplyError {
    reason: String,
    may_help: bool,
}

impl ApplyError {
    /// It may go well if it is tried again: something elsewhere is busy or gone.
    #[must_use]
    pub fn try_again(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), may_help: true }
    }

    /// It never will go well.
    #[must_use]
    pub fn never(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), may_help: false }
    }

    /// Whether it may help to try again.
    #[must_use]
    pub fn may_help(&self) -> bool {
        self.may_help
    }
}

impl From<RowValueError> for ApplyError {
    fn from(error: RowValueError) -> Self {
        Self::never(error)
    }
}

/// The rows of a [`ViewProjection`] as they are for one event: as stored, with what the events before it have changed.
#[derive(Debug)]
pub struct View<'a, R> {
    rows: &'a mut ViewRows,
    is_replaying: bool,
    row: PhantomData<fn() -> R>,
}

/// A page of rows of a [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<R> {
    /// The rows and their keys, in the order of the question.
    pub rows: Vec<(RowKey, R)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl<'a, R: Row> View<'a, R> {
    pub(super) fn new(rows: &'a mut ViewRows, is_replaying: bool) -> Self {
        Self { rows, is_replaying, row: PhantomData }
    }

    /// The row of this key.
    ///
    /// # Errors
    ///
    /// [`ApplyError`], to be handed on.
    pub async fn get(&mut self, key: impl AsRef<str> + Send) -> Result<Option<R>, ApplyError> {
        let key = row_key(key.as_ref())?;
        let cells = self.rows.get(key).await?;
        Ok(cells.map(R::from_cells).transpose()?)
    }

    /// Puts the row in place of one of the same key.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] when the key is none or a value has no place in a row.
    pub fn put(&mut self, key: impl AsRef<str>, row: &R) -> Result<(), ApplyError> {
        self.rows.set(row_key(key.as_ref())?, Some(row.to_cells()?));
        Ok(())
    }

    /// Deletes the row of this key; a missing one is no error.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] when the key is none.
    pub fn delete(&mut self, key: impl AsRef<str>) -> Result<(), ApplyError> {
        self.rows.set(row_key(key.as_ref())?, None);
        Ok(())
    }

    /// A question for this view's rows, for [`find`](Self::find): the first 100 in this order, unless it is told
    /// otherwise.
    #[must_use]
    pub fn by(&self, by: By) -> Find {
        Find::by(self.rows.place.collection.name.clone(), by)
    }

    /// A page of rows, in the order of the question. It is always asked of this view's rows.
    ///
    /// # Errors
    ///
    /// [`ApplyError`], to be handed on.
    pub async fn find(&mut self, find: Find) -> Result<Found<R>, ApplyError> {
        let (rows, next) = self.rows.find(find).await?;
        let typed = rows.into_iter().map(|row| Ok((row.key, R::from_cells(row.cells)?)));
        Ok(Found { rows: typed.collect::<Result<_, RowValueError>>()?, next })
    }

    /// Has the store carry out this work in the transaction that commits the rows, after the work of the events before: for
    /// a store that knows such work, such as `Sql` of SQLite. What it makes is none of this projection's rows: no
    /// edition of its own, and no reader switched. Work that fails is this event's failure.
    pub fn beside(&mut self, work: impl Any + Send + Sync) {
        self.rows.beside.push(Beside::new(work));
    }

    /// The edition that the rows are of, for names of what is made beside them.
    #[must_use]
    pub fn edition(&self) -> Edition {
        Edition::stored(self.rows.place.collection.version)
    }

    /// Whether the rows that are read have this event in them already, and these are made anew beside them: then its
    /// effects elsewhere have been had.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.is_replaying
    }
}

fn row_key(text: &str) -> Result<RowKey, ApplyError> {
    RowKey::new(text).map_err(ApplyError::never)
}

/// The rows of a view, untyped, with the changes of the batch.
pub(super) struct ViewRows {
    pub(super) place: Place,
    slots: BTreeMap<RowKey, Slot>,
    changed: usize,
    /// What the slots were before the event that is applied.
    undo: Vec<(RowKey, Option<Slot>)>,
    /// Work beside the rows, and how much of it was there before the event that is applied.
    pub(super) beside: Vec<Beside>,
    beside_before: usize,
    /// What the store has answered that no projection can help.
    pub(super) trouble: Option<RowError>,
    pub(super) bytes: u64,
    uniques: Uniques,
}

impl fmt::Debug for ViewRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewRows").field("changed", &self.changed).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Slot {
    cells: Option<Vec<Cell>>,
    is_changed: bool,
}

impl ViewRows {
    pub(super) fn new(place: Place) -> Self {
        let uniques = Uniques::new(place.collection.clone());
        let (slots, undo, beside) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { place, slots, changed: 0, undo, beside, beside_before: 0, trouble: None, bytes: 0, uniques }
    }

    /// How many rows the batch changes.
    pub(super) fn changed(&self) -> usize {
        self.changed
    }

    /// How many rows it knows.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.place.clone());
    }

    /// The changes since then can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo.clear();
        self.beside_before = self.beside.len();
    }

    /// Takes back what has been changed since it began.
    pub(super) fn take_back(&mut self) {
        while let Some((key, slot)) = self.undo.pop() {
            let now = self.slots.get(&key).and_then(|slot| slot.cells.as_ref());
            self.uniques.replace(&key, now, slot.as_ref().and_then(|slot| slot.cells.as_ref()));
            match slot {
                Some(slot) => self.slots.insert(key, slot),
                None => self.slots.remove(&key),
            };
        }
        self.changed = self.slots.values().filter(|slot| slot.is_changed).count();
        self.beside.truncate(self.beside_before);
    }

    /// Judges what the event has changed, by the unique indexes.
    ///
    /// # Errors
    ///
    /// Which rows are alike, or that the rows could not be read. Then the event is to be taken back.
    pub(super) async fn judge(&mut self) -> Result<(), Halt> {
        if self.uniques.is_empty() {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        let changing = self.undo.iter().filter(|(key, _)| seen.insert(key)).map(|(key, before)| {
            let before = before.as_ref().and_then(|slot| slot.cells.as_ref());
            Changing { key, before, after: self.slots.get(key).and_then(|slot| slot.cells.as_ref()) }
        });
        let changing: Vec<_> = changing.collect();
        let questions = self.uniques.change(&changing).map_err(Halt::never)?;
        let is_known = |key: &RowKey| self.slots.contains_key(key);
        match self.uniques.ask(&self.place, &questions, is_known).await {
            Some((_, halt)) => Err(halt),
            None => Ok(()),
        }
    }

    pub(super) fn changes(&self) -> Vec<(RowKey, Option<Vec<Cell>>)> {
        self.pending().map(|(key, cells)| (key.clone(), cells.cloned())).collect()
    }

    pub(super) fn committed(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.is_changed = false);
        self.undo.clear();
        self.beside.clear();
        self.changed = 0;
    }

    fn pending(&self) -> impl Iterator<Item = (&RowKey, Option<&Vec<Cell>>)> {
        self.slots.iter().filter(|(_, slot)| slot.is_changed).map(|(key, slot)| (key, slot.cells.as_ref()))
    }

    fn set(&mut self, key: RowKey, cells: Option<Vec<Cell>>) {
        self.bytes += key.len() as u64 + cells.iter().flatten().map(Cell::bytes).sum::<u64>();
        let before = self.slots.insert(key.clone(), Slot { cells, is_changed: true });
        self.changed += usize::from(before.as_ref().is_none_or(|slot| !slot.is_changed));
        self.undo.push((key, before));
    }

    async fn get(&mut self, key: RowKey) -> Result<Option<Vec<Cell>>, ApplyError> {
        if let Some(slot) = self.slots.get(&key) {
            return Ok(slot.cells.clone());
        }
        let found = self.place.get(core::slice::from_ref(&key)).await;
        let cells = self.answered(found)?.into_iter().next().map(|row| row.cells);
        self.bytes += key.len() as u64 + cells.iter().flatten().map(Cell::bytes).sum::<u64>();
        self.uniques.replace(&key, None, cells.as_ref());
        self.slots.insert(key, Slot { cells: cells.clone(), is_changed: false });
        Ok(cells)
    }

    /// What the store says, and what of it is the projection's mistake.
    fn answered<T>(&mut self, answer: Result<T, RowError>) -> Result<T, ApplyError> {
        answer.map_err(|error| match error {
            RowError::Invalid(_) | RowError::TooLarge { .. } | RowError::Gone { .. } => ApplyError::never(error),
            other => {
                let reason = ApplyError::try_again(format!("its rows cannot be read: {other}"));
                self.trouble = Some(other);
                reason
            }
        })
    }

    /// A page of the stored rows, with those that the batch changes in their places.
    async fn find(&mut self, find: Find) -> Result<(Vec<KeyedRow>, Option<Cursor>), ApplyError> {
        let version = self.place.collection.version;
        let mut find = Find { collection: self.place.collection.name.clone(), version: Some(version), ..find };
        let most = find.limit as usize;
        let mut found: Vec<KeyedRow> = Vec::new();
        loop {
            let page = self.place.rows.find(find.clone()).await;
            let page = self.answered(page)?;
            let is_pending = |key: &RowKey| self.slots.get(key).is_some_and(|slot| slot.is_changed);
            let mut rows: Vec<_> = page.rows.into_iter().filter(|row| !is_pending(&row.key)).collect();
            let order = Order { collection: &self.place.collection, find: &find };
            let pending = self.pending().filter_map(|(key, cells)| Some(KeyedRow::new(key.clone(), cells?.clone())));
            // Those past the page are merged with the page that they belong to.
            rows.extend(pending.filter(|row| order.wants(row, page.next.as_ref())));
            rows.sort_by(|one, other| order.compare(&order.place(one), &order.place(other)));
            found.append(&mut rows);
            if found.len() > most || (found.len() == most && page.next.is_some()) {
                found.truncate(most);
                let next = found.last().map(|last| order.place(last));
                return Ok((found, next));
            }
            match page.next {
                Some(next) => find.after = Some(next),
                None => return Ok((found, None)),
            }
        }
    }
}

/// The order of a question.
struct Order<'a> {
    collection: &'a Collection,
    find: &'a Find,
}

impl Order<'_> {
    fn place(&self, row: &KeyedRow) -> Cursor {
        let values = match &self.find.by {
            By::Key(..) => Vec::new(),
            By::Index { name, .. } => self
                .collection
                .find_index(name)
                .map(|index| self.collection.index_values(index, &row.cells))
                .unwrap_or_default(),
        };
        Cursor::new(self.collection.version, values, row.key.clone())
    }

    fn compare(&self, one: &Cursor, other: &Cursor) -> Ordering {
        let order = (&one.values, &one.key).cmp(&(&other.values, &other.key));
        if self.find.direction == Direction::Forward { order } else { order.reverse() }
    }

    /// Whether the question is for the row, in a page that ends there.
    fn wants(&self, row: &KeyedRow, end: Option<&Cursor>) -> bool {
        let place = self.place(row);
        let is_chosen = match &self.find.by {
            By::Key(low, high) => within(&row.key, (low.as_ref(), high.as_ref())),
            By::Index { equals, range, .. } => {
                place.values.starts_with(equals)
                    && place
                        .values
                        .get(equals.len())
                        .is_none_or(|cell| within(cell, (range.0.as_ref(), range.1.as_ref())))
            }
        };
        is_chosen
            && self.find.after.as_ref().is_none_or(|after| self.compare(&place, after) == Ordering::Greater)
            && end.is_none_or(|end| self.compare(&place, end) != Ordering::Greater)
    }
}

fn within<T: Ord>(value: &T, range: (Bound<&T>, Bound<&T>)) -> bool {
    range.contains(value)
}
