//! Interim.

use crate::ports::{ParkedPage, ReadModelStore, RowError};
use crate::values::{Collection, Edition, Name, Position, RowKey};
use alloc::vec::Vec;

pub(super) fn collection() -> Collection {
    Collection::new(Name::new("$parked").expect("it is written above"), 1)
}

pub(super) async fn page(
    _: &dyn ReadModelStore,
    _: &Name,
    _: Edition,
    _: Option<Position>,
    _: u32,
) -> Result<ParkedPage, RowError> {
    Ok(ParkedPage::default())
}

pub(super) async fn is_parked(_: &dyn ReadModelStore, _: &Name, _: Edition, _: Position) -> Result<bool, RowError> {
    Ok(false)
}

pub(super) async fn keys(_: &dyn ReadModelStore, _: &Name, _: Edition, _: u32) -> Result<Vec<RowKey>, RowError> {
    Ok(Vec::new())
}
