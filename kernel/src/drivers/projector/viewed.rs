//! The engine of the second form: events one by one, over rows that are read when they are asked for.

use super::caught::{caught, caught_in};
use super::engine::{Applied, CACHED_BYTES, CACHED_ROWS, Changed, Engine, Halt, Overlay, Place, Terms};
use super::env::Model;
use super::model::{ModelError, model_of};
use super::parking::Sequence;
use super::view::{View, ViewProjection, ViewRows, Viewed};
use crate::domain::{RecordedAs, Upcasters};
use crate::ports::Lifecycle;
use crate::values::{Beside, Recorded, RowKey};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::marker::PhantomData;

/// The engine of a [`ViewProjection`].
pub(super) struct ViewEngine<P> {
    model: Model,
    projection: PhantomData<fn() -> P>,
}

impl<P: ViewProjection> ViewEngine<P> {
    /// The engine of this projection.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(super) fn new() -> Result<Self, ModelError> {
        let model = model_of::<Viewed<P>, P::Event>(P::on_failure(), Lifecycle::Asynchronous)?;
        Ok(Self { model, projection: PhantomData })
    }
}

impl<P: ViewProjection> Engine for ViewEngine<P> {
    fn model(&self) -> &Model {
        &self.model
    }

    fn overlay(&self, place: Place) -> Box<dyn Overlay> {
        Box::new(Rows::<P> { rows: ViewRows::new(place), projection: PhantomData })
    }

    fn asks_replaying(&self) -> bool {
        true
    }

    fn sequences(&self, upcasters: &Upcasters, event: &Arc<Recorded>) -> Vec<Sequence> {
        match events::<P>(upcasters, event) {
            Ok((events, _)) => sequences::<P>(&events, event),
            Err(_) => vec![Sequence::Stream(event.stream.clone())],
        }
    }
}

type Events<P> = Vec<RecordedAs<<P as ViewProjection>::Event>>;

/// What the recorded event is made of, and whether some of it was passed over.
fn events<P: ViewProjection>(upcasters: &Upcasters, recorded: &Arc<Recorded>) -> Result<(Events<P>, bool), String> {
    let decoded = upcasters.decode::<P::Event>(recorded, P::on_unknown()).map_err(|error| error.to_string())?;
    let events = decoded.events.into_iter().map(|event| RecordedAs::new(event, recorded.clone())).collect();
    Ok((events, decoded.skipped > 0))
}

fn sequences<P: ViewProjection>(events: &[RecordedAs<P::Event>], recorded: &Recorded) -> Vec<Sequence> {
    let stream = || Sequence::Stream(recorded.stream.clone());
    let named = |event| P::sequence(event).and_then(|key| RowKey::new(key).ok()).map(Sequence::Key);
    let mut sequences: Vec<_> = events.iter().map(|event| named(event).unwrap_or_else(stream)).collect();
    if sequences.is_empty() {
        sequences.push(stream());
    }
    sequences.sort_unstable();
    sequences.dedup();
    sequences
}

struct Rows<P> {
    rows: ViewRows,
    projection: PhantomData<fn() -> P>,
}

impl<P: ViewProjection> Rows<P> {
    /// Applies an event, and tells whether some of it was passed over.
    async fn apply_one(&mut self, recorded: &Arc<Recorded>, terms: Terms<'_>) -> Result<bool, Halt> {
        let spawn = self.rows.place.spawn.clone();
        let events = caught(&*spawn, || events::<P>(&self.rows.place.upcasters, recorded)).flatten();
        let (events, is_skipped) = match events {
            Ok(events) => events,
            Err(_) if terms.held.holds_stream(&recorded.stream) => return Err(Halt::Held),
            Err(reason) => return Err(Halt::never(reason)),
        };
        if !terms.held.is_empty() {
            let sequences = caught(&*spawn, || sequences::<P>(&events, recorded)).map_err(Halt::never)?;
            if terms.held.holds(&sequences, &recorded.stream) {
                return Err(Halt::Held);
            }
        }
        let is_replaying = Some(recorded.position) <= terms.replayed;
        for event in &events {
            let outcome = caught_in(&*spawn, P::apply(&mut View::new(&mut self.rows, is_replaying), event)).await;
            // Whatever the projection made of it: rows that were not read are no ground to stand on.
            if let Some(error) = self.rows.trouble.take() {
                return Err(Halt::Store(error));
            }
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Halt::Failed { may_help: error.may_help(), reason: error.to_string() }),
                // What it met elsewhere may have passed.
                Err(reason) => return Err(Halt::Failed { may_help: true, reason }),
            }
            if !self.rows.beside.is_empty() && !self.rows.place.rows.limits().beside {
                return Err(Halt::Unfit(String::from(
                    "it asks for work beside its rows, which this store does not know; give it a store that does",
                )));
            }
        }
        if self.rows.changed() > terms.room {
            return Err(Halt::Full);
        }
        self.rows.judge().await.map(|()| is_skipped)
    }
}

#[async_trait]
impl<P: ViewProjection> Overlay for Rows<P> {
    async fn apply(&mut self, events: &[Arc<Recorded>], terms: Terms<'_>) -> Applied {
        let mut applied = Applied { count: 0, skipped: 0, halt: None };
        for recorded in events {
            self.rows.begin();
            match self.apply_one(recorded, terms).await {
                Ok(is_skipped) => {
                    applied.count += 1;
                    applied.skipped += u64::from(is_skipped);
                }
                Err(halt) => {
                    self.rows.take_back();
                    applied.halt = Some(halt);
                    break;
                }
            }
        }
        applied
    }

    fn changes(&mut self) -> Result<Vec<Changed>, String> {
        Ok(self.rows.changes())
    }

    fn beside(&self) -> Vec<Beside> {
        self.rows.beside.clone()
    }

    fn committed(&mut self) {
        if self.rows.len() > CACHED_ROWS || self.rows.bytes > CACHED_BYTES {
            self.rows.clear();
        }
        self.rows.committed();
    }

    fn discard(&mut self) {
        self.rows.clear();
    }
}
