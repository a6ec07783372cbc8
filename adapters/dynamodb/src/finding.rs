//! Finding rows: what is stored, with the batches laid over it that came meanwhile.
//!
//! A version counts the batches that changed it, and is open while the last one is not carried through. A reader looks at
//! that before and after, and knows so what may have changed while it read: nothing, or what is in the journals of at most
//! two batches. Laid over what it read they make of it the rows as of one moment.

use crate::cells::{self, Version};
use crate::error::Fault;
use crate::journal::{Journal, laid_over};
use crate::marks::Mark;
use crate::order::{ABOVE, BELOW, ordered};
use crate::read_models::{ReadModels, Step, limits};
use crate::schema::WHOLE;
use crate::table::{Item, Key, Range};
use alloc::collections::BTreeMap;
use core::ops::Bound;
use portolan_kernel::ports::RowError;
use portolan_kernel::values::{By, Cell, Cursor, Direction, Find, Index, KeyedRow, Name, RowKey, Rowset};
use std::collections::HashMap;

/// Rows that are asked for in one request.
const AT_ONCE: usize = 100;

/// A version as a reader finds it.
struct View {
    key: Key,
    mark: Mark,
    version: Version,
    /// The batch that is not carried through, if there is one.
    journals: Vec<Journal>,
}

/// Sort keys from one to another, the first included.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    from: String,
    to: String,
    /// Whether the last is one of them.
    to_included: bool,
}

impl Span {
    fn contains(&self, sort: &str) -> bool {
        *self.from <= *sort && if self.to_included { *sort <= *self.to } else { *sort < *self.to }
    }

    fn is_empty(&self) -> bool {
        self.from > self.to || (self.from == self.to && !self.to_included)
    }

    fn of_keys(from: &Bound<RowKey>, to: &Bound<RowKey>) -> Self {
        let from = match from {
            Bound::Included(key) => key.to_string(),
            Bound::Excluded(key) => just_above(key),
            Bound::Unbounded => WHOLE.0.to_string(),
        };
        let (to, to_included) = match to {
            Bound::Included(key) => (key.to_string(), true),
            Bound::Excluded(key) => (key.to_string(), false),
            Bound::Unbounded => (WHOLE.1.repeat(WHOLE.2), true),
        };
        Self { from, to, to_included }
    }

    fn of_values(equals: &[Cell], range: &(Bound<Cell>, Bound<Cell>)) -> Self {
        let begin = |cell: Option<&Cell>| ordered(&equals.iter().chain(cell).cloned().collect::<Vec<_>>());
        let end = |cell: Option<&Cell>| format!("{}{ABOVE}", begin(cell));
        let from = match &range.0 {
            Bound::Included(cell) => begin(Some(cell)),
            Bound::Excluded(cell) => end(Some(cell)),
            Bound::Unbounded => begin(None),
        };
        let to = match &range.1 {
            Bound::Included(cell) => end(Some(cell)),
            Bound::Excluded(cell) => begin(Some(cell)),
            Bound::Unbounded => end(None),
        };
        // A key is never empty.
        Self { from: if from.is_empty() { WHOLE.0.to_string() } else { from }, to, to_included: true }
    }

    /// What is left of it past this sort key.
    fn past(&mut self, sort: &str, direction: Direction) {
        match direction {
            Direction::Forward => self.from = core::mem::take(&mut self.from).max(just_above(sort)),
            Direction::Backward if *sort <= *self.to => (self.to, self.to_included) = (sort.to_owned(), false),
            Direction::Backward => {}
        }
    }

    /// Cuts it off after this sort key.
    fn until(&mut self, sort: &str, direction: Direction) {
        match direction {
            Direction::Forward => (self.to, self.to_included) = (sort.to_owned(), true),
            Direction::Backward => self.from = sort.to_owned(),
        }
    }
}

/// Above this sort key, and below all others that are above it: what follows in one is no control character.
fn just_above(sort: &str) -> String {
    format!("{sort}{BELOW}")
}

/// What stands in one place of the order: the row's key, and the row where it was found.
struct Place {
    sort: String,
    key: RowKey,
    cells: Option<Vec<Cell>>,
}

/// Places of a span, and how far it was read.
struct Read {
    places: Vec<Place>,
    /// The last one, if there are more.
    edge: Option<String>,
}

impl ReadModels<'_> {
    async fn view(&self, collection: &Name, version: Option<u32>) -> Result<View, Step> {
        let unknown = || RowError::UnknownCollection { collection: collection.clone(), version };
        let (number, key, mark) = match version {
            Some(version) => {
                let key = self.space.version_at(collection, version);
                let mark = self.mark(&key).await?.ok_or_else(unknown)?;
                (version, key, mark)
            }
            None => {
                let mut listed = self.list(collection).await?;
                let version = listed.active.ok_or_else(unknown)?;
                let active = self.space.active(collection);
                if let Some(open) = listed.marks.get(&active).and_then(|mark| mark.open.as_ref()) {
                    self.look(open).await?;
                }
                let key = self.space.version_at(collection, version);
                let missing = || Step::Again(Fault::Damaged(active.place()));
                let mark = listed.marks.remove(&key).ok_or_else(missing)?;
                (version, key, mark)
            }
        };
        let version = Version::decode(&key, collection, number, &mark.value)?;
        let journals = match &mark.open {
            Some(open) => vec![self.look(open).await?.journal],
            None => Vec::new(),
        };
        Ok(View { key, mark, version, journals })
    }

    /// What the batches made of the rows that were not carried through all the while since the view was taken.
    async fn changes_since(&self, view: View) -> Result<BTreeMap<RowKey, Option<Vec<Cell>>>, Step> {
        let View { key, mark, version, mut journals } = view;
        let moved = || Step::again("batches were always faster");
        let now = self.mark(&key).await?.ok_or_else(moved)?;
        let of = &version.collection;
        if Version::decode(&key, &of.name, of.version, &now.value)?.incarnation != version.incarnation {
            return Err(moved());
        }
        match (now.count - mark.count, &now.open) {
            (0, _) => {}
            (1, Some(open)) => journals.push(self.look(open).await?.journal),
            _ => return Err(moved()),
        }
        Ok(laid_over(journals, &version))
    }

    pub(crate) async fn try_get(
        &self,
        collection: &Name,
        version: Option<u32>,
        keys: &[RowKey],
    ) -> Result<Rowset, Step> {
        let view = self.view(collection, version).await?;
        let version = view.version.clone();
        let number = version.collection.version;
        let mut wanted: Vec<&RowKey> = keys.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut rows, mut bytes) = (BTreeMap::new(), 0);
        for keys in wanted.chunks(AT_ONCE) {
            for (key, cells) in self.rows(&version, keys.iter().copied()).await? {
                let row = KeyedRow::new(key, cells);
                bytes += row.bytes();
                rows.insert(row.key, row.cells);
            }
            limits().check_got(bytes)?;
        }
        for (key, cells) in self.changes_since(view).await? {
            match cells {
                Some(cells) => rows.insert(key, cells),
                None => rows.remove(&key),
            };
        }
        let mut bytes = 0;
        let row = |key: &RowKey| rows.get(key).map(|cells| KeyedRow::new(key.clone(), cells.clone()));
        let rows = keys.iter().filter_map(row).map(|row| {
            bytes += row.bytes();
            limits().check_got(bytes).map(|()| row)
        });
        Ok(Rowset::new(number, rows.collect::<Result<_, _>>()?, None))
    }

    async fn rows<'k>(
        &self,
        version: &Version,
        keys: impl Iterator<Item = &'k RowKey>,
    ) -> Result<HashMap<RowKey, Vec<Cell>>, Fault> {
        let items = self.table.batch_get(keys.map(|key| version.row_key(self.space, key)).collect(), false).await?;
        let row = |(key, item): (&Key, &Item)| {
            let row = RowKey::new(&*key.sort).map_err(|_| Fault::Damaged(key.place()))?;
            Ok((row, cells::cells_of(key, item)?))
        };
        items.iter().map(row).collect()
    }

    pub(crate) async fn try_find(&self, find: &Find) -> Result<Rowset, Step> {
        let after = find.after.as_ref();
        let asked = after.map(|cursor| cursor.version).or(find.version);
        let view = self.view(&find.collection, asked).await.map_err(|step| match (step, after) {
            (Step::Refused(RowError::UnknownCollection { collection, .. }), Some(cursor)) => {
                Step::Refused(RowError::Gone { collection, version: cursor.version })
            }
            (step, _) => step,
        })?;
        let version = view.version.clone();
        let collection = &version.collection;
        limits().check_find(collection, find)?;
        let (index, mut span) = match &find.by {
            By::Key(from, to) => (None, Span::of_keys(from, to)),
            By::Index { name, equals, range } => (collection.find_index(name), Span::of_values(equals, range)),
        };
        if let Some(cursor) = after {
            let sort = index
                .map_or_else(|| cursor.key.to_string(), |index| cells::entry_sort(index, &cursor.values, &cursor.key));
            span.past(&sort, find.direction);
        }
        let want = find.limit.min(limits().page_rows) as usize;
        let (mut view, mut rows, mut more) = (Some(view), Vec::new(), false);
        while let Some(current) = view.take() {
            let read = self.read(&version, index, &span, find.direction, want).await?;
            let changed = self.changes_since(current).await?;
            let mut read_span = span.clone();
            if let Some(edge) = &read.edge {
                read_span.until(edge, find.direction);
            }
            rows = lay_over(&version, index, read.places, changed, &read_span, find.direction)
                .map_err(|place| Fault::Damaged(format!("{place:?} of {:?}", version.rows(self.space))))?;
            more = read.edge.is_some();
            // All that was found has been deleted meanwhile, and there may be more.
            if let (true, Some(edge)) = (rows.is_empty(), &read.edge) {
                span.past(edge, find.direction);
                let again = self.view(&find.collection, Some(collection.version)).await?;
                if again.version.incarnation != version.incarnation {
                    return Err(Step::again("the version was removed"));
                }
                view = Some(again);
            }
        }
        let (found, mut bytes) = (rows.len(), 0);
        let in_page = |row: &KeyedRow| {
            let room = bytes < limits().page_bytes;
            bytes += row.bytes();
            room
        };
        let rows: Vec<KeyedRow> = rows.into_iter().take(want).take_while(in_page).collect();
        let cursor = |row: &KeyedRow| {
            let values = index.map_or_else(Vec::new, |index| collection.index_values(index, &row.cells));
            Cursor::new(collection.version, values, row.key.clone())
        };
        let next = rows.last().filter(|_| more || found > rows.len()).map(cursor);
        Ok(Rowset::new(collection.version, rows, next))
    }

    /// Reads the span until there are more rows than are wanted, or the bytes of a page.
    async fn read(
        &self,
        version: &Version,
        index: Option<&Index>,
        span: &Span,
        direction: Direction,
        want: usize,
    ) -> Result<Read, Fault> {
        let mut read = Read { places: Vec::new(), edge: None };
        if span.is_empty() {
            return Ok(read);
        }
        let range = Range {
            partition: index.map_or_else(|| version.rows(self.space), |index| version.entries(self.space, index)),
            from: span.from.clone(),
            to: span.to.clone(),
            backward: direction == Direction::Backward,
            limit: i32::try_from(want + 2).ok(),
            keys_only: false,
        };
        let (mut start, mut bytes) = (None, 0);
        loop {
            let answer = self.table.query(&range, start).await?;
            let mut found = Vec::with_capacity(answer.items.len());
            for item in &answer.items {
                let key = Key::of(item).ok_or_else(|| Fault::Damaged(range.partition.clone()))?;
                if span.contains(&key.sort) {
                    found.push(match index {
                        None => {
                            let row = RowKey::new(&*key.sort).map_err(|_| Fault::Damaged(key.place()))?;
                            Place { key: row, cells: Some(cells::cells_of(&key, item)?), sort: key.sort }
                        }
                        Some(_) => Place { key: cells::row_of(&key, item)?, cells: None, sort: key.sort },
                    });
                }
            }
            let mut found = found.into_iter().peekable();
            while found.peek().is_some() && read.places.len() <= want && bytes < limits().page_bytes {
                let mut some: Vec<Place> = found.by_ref().take(AT_ONCE).collect();
                if index.is_some() {
                    let mut rows = self.rows(version, some.iter().map(|place| &place.key)).await?;
                    some.iter_mut().for_each(|place| place.cells = rows.remove(&place.key));
                }
                for Place { key, cells, .. } in &some {
                    bytes += key.len() as u64 + cells.iter().flatten().map(Cell::bytes).sum::<u64>();
                }
                read.places.append(&mut some);
            }
            let done = read.places.len() > want || bytes >= limits().page_bytes;
            if done || answer.next.is_none() {
                let more = found.peek().is_some() || answer.next.is_some();
                read.edge = read.places.last().filter(|_| more).map(|place| place.sort.clone());
                return Ok(read);
            }
            start = answer.next;
        }
    }
}

/// The rows of these places, in order, after the changes. A place without its row, or of a row that belongs elsewhere,
/// is only right where the row has changed: else it is told.
fn lay_over(
    version: &Version,
    index: Option<&Index>,
    places: Vec<Place>,
    changed: BTreeMap<RowKey, Option<Vec<Cell>>>,
    span: &Span,
    direction: Direction,
) -> Result<Vec<KeyedRow>, String> {
    let sort = |key: &RowKey, cells: &[Cell]| {
        index.map_or_else(|| key.to_string(), |index| version.entry_sort(index, key, cells))
    };
    let mut rows = BTreeMap::new();
    for place in places.into_iter().filter(|place| !changed.contains_key(&place.key)) {
        match place.cells {
            Some(cells) if sort(&place.key, &cells) == place.sort => {
                rows.insert(place.sort, KeyedRow::new(place.key, cells));
            }
            _ => return Err(place.sort),
        }
    }
    for (key, cells) in changed {
        let place = cells.map(|cells| (sort(&key, &cells), KeyedRow::new(key, cells)));
        rows.extend(place.filter(|(sort, _)| span.contains(sort)));
    }
    let rows = rows.into_values();
    Ok(if direction == Direction::Backward { rows.rev().collect() } else { rows.collect() })
}
