//! Sagas: what of their registration is wrong.

use super::builder::BuildError;
use super::parts::Storage;
use crate::domain::Upcasters;
use crate::domain::saga::{PlanError, SagaHandler, counted_on};
use crate::drivers::SagaHandlers;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Those that are registered, if nothing is wrong with them.
pub(super) fn judge(
    registered: Vec<(&'static str, Result<SagaHandler, PlanError>)>,
    storage: &Storage,
    upcasters: &Arc<Upcasters>,
) -> Result<SagaHandlers, BuildError> {
    let kept = storage.events.capabilities().key_retention;
    let mut handlers = SagaHandlers::new();
    for (saga, handler) in registered {
        let handler = handler.map_err(|source| BuildError::Saga { saga, source })?.reading_by(upcasters)?;
        let (saga, version) = (handler.name().clone(), handler.version());
        let takes = handler.plan().longest();
        if let Some(kept) = kept.filter(|kept| counted_on(*kept) <= takes) {
            return Err(BuildError::KeysTooShort { saga, version, takes, kept });
        }
        if !handlers.add(handler) {
            return Err(BuildError::SameSaga { saga, version });
        }
    }
    Ok(handlers)
}
