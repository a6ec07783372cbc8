//! The engine of the pure form: a typed row a key, folded in memory and turned into cells once a key a batch.

use super::caught::{caught, caught_in};
use super::engine::{Applied, CACHED_BYTES, CACHED_ROWS, Changed, Engine, Halt, Overlay, Place, Terms};
use super::env::Model;
use super::model::{ModelError, model_of, system_model_of};
use super::parking::Sequence;
use super::uniques::{Changing, Question, Uniques};
use crate::domain::{Projection, RecordedAs, Row, Upcasters};
use crate::ports::{RowError, Source};
use crate::values::{Cell, Recorded, RowKey};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::marker::PhantomData;

/// The engine of a [`Projection`].
pub(super) struct Folded<P> {
    model: Model,
    projection: PhantomData<fn() -> P>,
}

impl<P: Projection> Folded<P> {
    /// The engine of this projection.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(super) fn new() -> Result<Self, ModelError> {
        let model = model_of::<P, P::Event>(P::on_failure(), P::lifecycle())?;
        Ok(Self { model, projection: PhantomData })
    }

    /// The same, also of a projection of the system's own.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(super) fn of_system() -> Result<Self, ModelError> {
        let model = system_model_of::<P, P::Event>(P::on_failure(), P::lifecycle())?;
        Ok(Self { model, projection: PhantomData })
    }
}

impl<P: Projection> Engine for Folded<P> {
    fn model(&self) -> &Model {
        &self.model
    }

    fn overlay(&self, place: Place) -> Box<dyn Overlay> {
        let uniques = Uniques::new(place.collection.clone());
        Box::new(FoldedRows::<P> {
            place,
            index: BTreeMap::new(),
            slots: Vec::new(),
            planned: Vec::new(),
            missing: Vec::new(),
            bytes: 0,
            uniques,
            under_way: None,
            skipped: Vec::new(),
        })
    }

    fn asks_replaying(&self) -> bool {
        false
    }

    fn sequences(&self, upcasters: &Upcasters, event: &Arc<Recorded>) -> Vec<Sequence> {
        let stream = || vec![Sequence::Stream(event.stream.clone())];
        let Ok((parts, _)) = parts::<P>(upcasters, event) else { return stream() };
        let mut sequences: Vec<_> = parts.into_iter().map(|(key, _)| Sequence::Key(key)).collect();
        sequences.sort_unstable();
        sequences.dedup();
        if sequences.is_empty() { stream() } else { sequences }
    }
}

pub(super) type Part<P> = (RowKey, RecordedAs<<P as Projection>::Event>);

/// What the recorded event is made of, each with the key of its row, and whether some of it was passed over. Those that
/// change no row are left out.
pub(super) fn parts<P: Projection>(
    upcasters: &Upcasters,
    recorded: &Arc<Recorded>,
) -> Result<(Vec<Part<P>>, bool), String> {
    let decoded = upcasters.decode::<P::Event>(recorded, P::on_unknown()).map_err(|error| error.to_string())?;
    let mut parts = Vec::with_capacity(decoded.events.len());
    for event in decoded.events {
        let event = RecordedAs::new(event, recorded.clone());
        if let Some(key) = P::key(&event) {
            parts.push((RowKey::new(key).map_err(|error| error.to_string())?, event));
        }
    }
    Ok((parts, decoded.skipped > 0))
}

struct FoldedRows<P: Projection> {
    place: Place,
    index: BTreeMap<RowKey, usize>,
    slots: Vec<Slot<P::Row>>,
    /// The slots that the batch changes.
    planned: Vec<usize>,
    /// The slots that are not read yet.
    missing: Vec<usize>,
    /// Of the rows that were read or written since it was emptied.
    bytes: u64,
    uniques: Uniques,
    /// Which event of those that are applied is under way, for when it panics; none while the store is asked.
    under_way: Option<usize>,
    /// Which events of those that are applied the projection does not know.
    skipped: Vec<usize>,
}

struct Slot<R> {
    key: RowKey,
    row: Option<R>,
    /// Those of the row, where each event is judged.
    cells: Option<Vec<Cell>>,
    is_stored: bool,
    is_planned: bool,
    /// Why the stored row is none of the type's.
    broken: Option<String>,
}

/// An event, or a part of one, and the slot of its row.
struct Step<E> {
    /// Which event of those that are applied.
    at: usize,
    slot: usize,
    /// It is the first of the batch to change that row.
    is_first: bool,
    event: RecordedAs<E>,
}

/// What a row was before a step of the event at that place.
struct Undo {
    at: usize,
    slot: usize,
    cells: Option<Vec<Cell>>,
}

impl<P: Projection> FoldedRows<P> {
    /// Whether an event may leave rows that no store takes: then each is judged by itself. Else they are made into cells
    /// once a batch.
    fn judges(&self) -> bool {
        !self.uniques.is_empty() || P::Row::COLUMNS.iter().any(|column| !column.fits)
    }

    /// What is to be done, and why not more.
    fn plan(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> (Vec<Step<P::Event>>, Applied) {
        let mut steps = Vec::with_capacity(events.len());
        let mut last = usize::MAX;
        self.skipped.clear();
        for (at, recorded) in events.iter().enumerate() {
            let halted = |halt| Applied::halted(at, halt);
            self.under_way = Some(at);
            let (parts, is_skipped) = match parts::<P>(&self.place.upcasters, recorded) {
                Ok(parts) => parts,
                Err(reason) if terms.held.is_empty() => return (steps, halted(Halt::never(reason))),
                Err(reason) => {
                    let waits = terms.held.holds_stream(&recorded.stream);
                    return (steps, halted(if waits { Halt::Held } else { Halt::never(reason) }));
                }
            };
            if !terms.held.is_empty() && terms.held.holds_keys(parts.iter().map(|(key, _)| key), &recorded.stream) {
                return (steps, halted(Halt::Held));
            }
            if is_skipped {
                self.skipped.push(at);
            }
            let (begun, planned) = (steps.len(), self.planned.len());
            for (key, event) in parts {
                if self.slots.get(last).is_none_or(|slot| slot.key != key) {
                    last = self.slot(key);
                }
                let slot = &mut self.slots[last];
                let is_first = !slot.is_planned;
                if is_first {
                    slot.is_planned = true;
                    self.planned.push(last);
                }
                steps.push(Step { at, slot: last, is_first, event });
            }
            if self.planned.len() > terms.room {
                for slot in self.planned.drain(planned..) {
                    self.slots[slot].is_planned = false;
                }
                steps.truncate(begun);
                return (steps, halted(Halt::Full));
            }
        }
        (steps, Applied { count: events.len(), skipped: 0, halt: None })
    }

    fn slot(&mut self, key: RowKey) -> usize {
        if let Some(slot) = self.index.get(&key) {
            return *slot;
        }
        let slot = self.slots.len();
        self.index.insert(key.clone(), slot);
        self.slots.push(Slot { key, row: None, cells: None, is_stored: false, is_planned: false, broken: None });
        self.missing.push(slot);
        slot
    }

    /// Reads the rows of the new slots.
    async fn fetch(&mut self) -> Result<(), RowError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.missing.iter().map(|slot| self.slots[*slot].key.clone()).collect();
        let judges = self.judges();
        let mut found = self.place.get(&keys).await?.into_iter().peekable();
        for slot in self.missing.drain(..) {
            let slot = &mut self.slots[slot];
            let Some(stored) = found.next_if(|row| row.key == slot.key) else { continue };
            self.bytes += stored.bytes();
            slot.is_stored = true;
            if judges {
                self.uniques.replace(&slot.key, None, Some(&stored.cells));
                slot.cells = Some(stored.cells.clone());
            }
            match caught(&*self.place.spawn, || P::Row::from_cells(stored.cells)) {
                Ok(Ok(row)) => slot.row = Some(row),
                Ok(Err(error)) => slot.broken = Some(format!("row {}: {error}", slot.key)),
                Err(reason) => slot.broken = Some(format!("row {}: {reason}", slot.key)),
            }
        }
        Ok(())
    }
}

fn cells_of<R: Row>(slot: &Slot<R>) -> Result<Option<Vec<Cell>>, String> {
    let cells = slot.row.as_ref().map(Row::to_cells).transpose();
    cells.map_err(|error| format!("row {}: {error}", slot.key))
}

impl<R: Row> Slot<R> {
    /// Makes the row of the cells again.
    fn restore(&mut self) {
        match self.cells.clone().map(R::from_cells).transpose() {
            Ok(row) => self.row = row,
            Err(error) => self.broken = Some(format!("row {}: {error}", self.key)),
        }
    }
}

/// Events that are judged one by one.
impl<P: Projection> FoldedRows<P> {
    /// Applies the steps of so many events, up to the first that leaves a row without cells, or one like another.
    async fn apply_judged(&mut self, steps: &[Step<P::Event>], mut applied: Applied) -> Applied {
        let (mut undo, mut asked_by, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        for steps in steps.chunk_by(|one, other| one.at == other.at) {
            let Some(at) = steps.first().map(|step| step.at).filter(|at| *at < applied.count) else { break };
            self.under_way = Some(at);
            match self.apply_one(steps, &mut undo) {
                Ok(more) => {
                    asked_by.extend(more.iter().map(|_| at));
                    questions.extend(more);
                }
                Err(reason) => {
                    self.take_back(&mut undo, at);
                    applied = Applied::halted(at, Halt::never(reason));
                }
            }
        }
        self.under_way = None;
        // All at once, as if none were in the way: if one is, what came after it is taken back.
        let is_known = |key: &RowKey| self.index.contains_key(key);
        if let Some((question, halt)) = self.uniques.ask(&self.place, &questions, is_known).await {
            let at = asked_by[question];
            self.take_back(&mut undo, at);
            applied = Applied::halted(at, halt);
        }
        applied
    }

    /// Applies an event. After an error it is to be taken back.
    fn apply_one(&mut self, steps: &[Step<P::Event>], undo: &mut Vec<Undo>) -> Result<Vec<Question>, String> {
        let begun = undo.len();
        for step in steps {
            let slot = &mut self.slots[step.slot];
            P::apply(&mut slot.row, &step.event);
            match cells_of(slot) {
                Ok(cells) => {
                    let cells = core::mem::replace(&mut slot.cells, cells);
                    undo.push(Undo { at: step.at, slot: step.slot, cells });
                }
                Err(reason) => {
                    slot.restore();
                    return Err(reason);
                }
            }
        }
        if self.uniques.is_empty() {
            return Ok(Vec::new());
        }
        let of_event = &undo[begun..];
        let mut seen = BTreeSet::new();
        let changing = of_event.iter().filter(|undo| seen.insert(undo.slot)).map(|undo| {
            let slot = &self.slots[undo.slot];
            Changing { key: &slot.key, before: undo.cells.as_ref(), after: slot.cells.as_ref() }
        });
        let changing: Vec<_> = changing.collect();
        self.uniques.change(&changing)
    }

    /// Takes back the events from that one on.
    fn take_back(&mut self, undo: &mut Vec<Undo>, from: usize) {
        while let Some(Undo { slot, cells, .. }) = undo.pop_if(|undo| undo.at >= from) {
            let slot = &mut self.slots[slot];
            self.uniques.replace(&slot.key, slot.cells.as_ref(), cells.as_ref());
            slot.cells = cells;
            slot.restore();
        }
    }
}

impl<P: Projection> FoldedRows<P> {
    /// Applies the events in order, up to the first that cannot be; a panic leaves all rows in pieces.
    async fn apply_all(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> Applied {
        let (steps, mut applied) = self.plan(events, terms);
        self.under_way = None;
        if let Err(error) = self.fetch().await {
            return Applied::halted(0, Halt::Store(error));
        }
        let broken = steps.iter().find_map(|step| Some((step.at, self.slots[step.slot].broken.clone()?)));
        if let Some((at, reason)) = broken {
            applied = Applied::halted(at, Halt::never(reason));
        }
        if self.judges() {
            applied = self.apply_judged(&steps, applied).await;
        } else {
            for step in steps.iter().take_while(|step| step.at < applied.count) {
                self.under_way = Some(step.at);
                P::apply(&mut self.slots[step.slot].row, &step.event);
            }
        }
        // Rows that only the others change are not changed.
        let others = steps.iter().filter(|step| step.at >= applied.count && step.is_first).count();
        for slot in self.planned.drain(self.planned.len() - others..) {
            self.slots[slot].is_planned = false;
        }
        applied.skipped = self.skipped.iter().filter(|at| **at < applied.count).count() as u64;
        applied
    }
}

#[async_trait]
impl<P: Projection> Overlay for FoldedRows<P> {
    async fn apply(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> Applied {
        let spawn = self.place.spawn.clone();
        match caught_in(&*spawn, self.apply_all(events, terms)).await {
            Ok(applied) => applied,
            Err(reason) => {
                self.discard();
                let halt = match self.under_way {
                    Some(ahead) => Halt::Panicked { ahead, reason },
                    None => Halt::Store(RowError::Other(Source::new(reason))),
                };
                Applied::halted(0, halt)
            }
        }
    }

    fn changes(&mut self) -> Result<Vec<Changed>, String> {
        let (judges, mut changes) = (self.judges(), Vec::with_capacity(self.planned.len()));
        for slot in self.planned.iter().map(|slot| &self.slots[*slot]).filter(|slot| slot.broken.is_none()) {
            let cells = match judges {
                true => slot.cells.clone(),
                false => cells_of(slot)?,
            };
            self.bytes += slot.key.len() as u64 + cells.iter().flatten().map(Cell::bytes).sum::<u64>();
            if cells.is_some() || slot.is_stored {
                changes.push((slot.key.clone(), cells));
            }
        }
        Ok(changes)
    }

    fn committed(&mut self) {
        if self.slots.len() > CACHED_ROWS || self.bytes > CACHED_BYTES {
            return self.discard();
        }
        for slot in self.planned.drain(..) {
            let slot = &mut self.slots[slot];
            slot.is_planned = false;
            slot.is_stored = slot.row.is_some() || slot.broken.is_some();
        }
    }

    fn discard(&mut self) {
        self.index.clear();
        self.slots.clear();
        self.planned.clear();
        self.missing.clear();
        self.uniques.clear();
        self.bytes = 0;
    }
}
