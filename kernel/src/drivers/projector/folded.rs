//! The engine of the pure form: a typed row a key, folded in memory and turned into cells once a key a batch.

use super::engine::{Applied, CACHED_BYTES, CACHED_ROWS, Changed, Engine, Halt, Overlay, Place, Terms};
use super::env::Model;
use super::model::{ModelError, model_of};
use super::parking::Sequence;
use crate::domain::{Projection, RecordedAs, Row, Upcasters, decode_recorded};
use crate::ports::RowError;
use crate::values::{Cell, Recorded, RowKey};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
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
}

impl<P: Projection> Engine for Folded<P> {
    fn model(&self) -> &Model {
        &self.model
    }

    fn overlay(&self, place: Place) -> Box<dyn Overlay> {
        Box::new(FoldedRows::<P> {
            place,
            index: BTreeMap::new(),
            slots: Vec::new(),
            planned: Vec::new(),
            missing: Vec::new(),
            bytes: 0,
        })
    }

    fn asks_replaying(&self) -> bool {
        false
    }

    fn sequences(&self, upcasters: &Upcasters, event: &Arc<Recorded>) -> Vec<Sequence> {
        let stream = || vec![Sequence::Stream(event.stream.clone())];
        let Ok(parts) = parts::<P>(upcasters, event) else { return stream() };
        let mut sequences: Vec<_> = parts.into_iter().map(|(key, _)| Sequence::Key(key)).collect();
        sequences.sort_unstable();
        sequences.dedup();
        if sequences.is_empty() { stream() } else { sequences }
    }
}

pub(super) type Part<P> = (RowKey, RecordedAs<<P as Projection>::Event>);

/// What the recorded event is made of, each with the key of its row. Those that change no row are left out.
pub(super) fn parts<P: Projection>(upcasters: &Upcasters, recorded: &Arc<Recorded>) -> Result<Vec<Part<P>>, String> {
    let events = decode_recorded::<P::Event>(upcasters, recorded).map_err(|error| error.to_string())?;
    let mut parts = Vec::with_capacity(events.len());
    for event in events {
        let event = RecordedAs::new(event, recorded.clone());
        if let Some(key) = P::key(&event) {
            parts.push((RowKey::new(key).map_err(|error| error.to_string())?, event));
        }
    }
    Ok(parts)
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
}

struct Slot<R> {
    key: RowKey,
    row: Option<R>,
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
    event: RecordedAs<E>,
}

impl<P: Projection> FoldedRows<P> {
    /// What is to be done, and why not more.
    fn plan(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> (Vec<Step<P::Event>>, Applied) {
        let mut steps = Vec::with_capacity(events.len());
        let mut last = usize::MAX;
        for (at, recorded) in events.iter().enumerate() {
            let halted = |halt| Applied { count: at, halt: Some(halt) };
            let parts = match parts::<P>(&self.place.upcasters, recorded) {
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
            let (begun, planned) = (steps.len(), self.planned.len());
            for (key, event) in parts {
                if self.slots.get(last).is_none_or(|slot| slot.key != key) {
                    last = self.slot(key);
                }
                let slot = &mut self.slots[last];
                if !slot.is_planned {
                    slot.is_planned = true;
                    self.planned.push(last);
                }
                steps.push(Step { at, slot: last, event });
            }
            if self.planned.len() > terms.room {
                for slot in self.planned.drain(planned..) {
                    self.slots[slot].is_planned = false;
                }
                steps.truncate(begun);
                return (steps, halted(Halt::Full));
            }
        }
        (steps, Applied { count: events.len(), halt: None })
    }

    fn slot(&mut self, key: RowKey) -> usize {
        if let Some(slot) = self.index.get(&key) {
            return *slot;
        }
        let slot = self.slots.len();
        self.index.insert(key.clone(), slot);
        self.slots.push(Slot { key, row: None, is_stored: false, is_planned: false, broken: None });
        self.missing.push(slot);
        slot
    }

    /// Reads the rows of the new slots.
    async fn fetch(&mut self) -> Result<(), RowError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.missing.iter().map(|slot| self.slots[*slot].key.clone()).collect();
        let mut found = self.place.get(&keys).await?.into_iter().peekable();
        for slot in self.missing.drain(..) {
            let slot = &mut self.slots[slot];
            let Some(stored) = found.next_if(|row| row.key == slot.key) else { continue };
            self.bytes += stored.bytes();
            slot.is_stored = true;
            match P::Row::from_cells(stored.cells) {
                Ok(row) => slot.row = Some(row),
                Err(error) => slot.broken = Some(format!("row {}: {error}", slot.key)),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl<P: Projection> Overlay for FoldedRows<P> {
    async fn apply(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> Applied {
        let (steps, mut applied) = self.plan(events, terms);
        if let Err(error) = self.fetch().await {
            return Applied { count: 0, halt: Some(Halt::Store(error)) };
        }
        let broken = steps.iter().find_map(|step| Some((step.at, self.slots[step.slot].broken.clone()?)));
        if let Some((at, reason)) = broken {
            applied = Applied { count: at, halt: Some(Halt::never(reason)) };
        }
        for step in steps {
            if step.at >= applied.count {
                break;
            }
            P::apply(&mut self.slots[step.slot].row, &step.event);
        }
        applied
    }

    fn changes(&mut self) -> Result<Vec<Changed>, String> {
        let mut changes = Vec::with_capacity(self.planned.len());
        for slot in self.planned.iter().map(|slot| &self.slots[*slot]).filter(|slot| slot.broken.is_none()) {
            let cells = slot.row.as_ref().map(Row::to_cells).transpose();
            let cells = cells.map_err(|error| format!("row {}: {error}", slot.key))?;
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
        self.bytes = 0;
    }
}
