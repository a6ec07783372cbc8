//! Interim.
use super::engine::Engine;
use super::env::Model;
use super::model::{ModelError, model_of};
use crate::domain::{Projection, RecordedAs, Upcasters, decode_recorded};
use crate::values::{Recorded, RowKey};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

pub(super) struct Folded<P> {
    model: Model,
    projection: PhantomData<fn() -> P>,
}

impl<P: Projection> Folded<P> {
    pub(super) fn new() -> Result<Self, ModelError> {
        let model = model_of::<P, P::Event>(P::on_failure(), P::lifecycle())?;
        Ok(Self { model, projection: PhantomData })
    }
}

impl<P: Projection> Engine for Folded<P> {
    fn model(&self) -> &Model {
        &self.model
    }
}

type Part<P> = (RowKey, RecordedAs<<P as Projection>::Event>);

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
