//! What is registered of a projection, judged before anything runs.

use super::env::Model;
use crate::domain::mapping::MappingError;
use crate::domain::{EventSet, FailurePolicy, ReadModel, collection_of, query_of};
use crate::ports::{Lifecycle, RowError, RowLimits};
use crate::values::{Edition, InvalidName, Name};

/// Why a projection cannot be registered. It is a mistake of the application.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ModelError {
    /// A name of it is none, or so long that its checkpoint has none.
    #[error("projection {projection}: {source}")]
    Name { projection: &'static str, source: InvalidName },
    /// Names with `$` are the system's.
    #[error("projection {0}: names that begin with $ are the system's; choose another")]
    System(&'static str),
    /// Names of editions and keys of parked events have these two between their parts.
    #[error("projection {0}: a projection's name has no @ and no /; choose another")]
    Divided(&'static str),
    /// Versions begin at 1.
    #[error("projection {0} has version 0; versions begin at 1")]
    Version(&'static str),
    /// Its columns or indexes contradict themselves.
    #[error("projection {projection}: {source}")]
    Rows { projection: &'static str, source: RowError },
    /// It does not fit its events.
    #[error("projection {projection}: {source}")]
    Mapping { projection: &'static str, source: MappingError },
}

/// The model of a projection whose rows are these, made of those events.
///
/// # Errors
///
/// [`ModelError`]. How much the store takes is judged by [`Model::check`], once there is one.
pub(super) fn model_of<M: ReadModel, E: EventSet>(
    policy: FailurePolicy,
    lifecycle: Lifecycle,
) -> Result<Model, ModelError> {
    if M::NAME.starts_with('$') {
        return Err(ModelError::System(M::NAME));
    }
    system_model_of::<M, E>(policy, lifecycle)
}

/// The same, also for a projection of the system's own.
///
/// # Errors
///
/// [`ModelError`].
pub(super) fn system_model_of<M: ReadModel, E: EventSet>(
    policy: FailurePolicy,
    lifecycle: Lifecycle,
) -> Result<Model, ModelError> {
    let projection = M::NAME;
    let named = |source| ModelError::Name { projection, source };
    let name = Name::new(projection).map_err(named)?;
    if name.contains(['@', '/']) {
        return Err(ModelError::Divided(projection));
    }
    if M::VERSION == 0 {
        return Err(ModelError::Version(projection));
    }
    Edition { version: u16::MAX, rebuild: u16::MAX }.checkpoint(&name).map_err(named)?;
    let edition = Edition::first(M::VERSION);
    let collection = collection_of::<M::Row>(name.clone(), edition.to_stored()).map_err(named)?;
    let of_no_store = RowLimits { columns: u32::MAX, indexes: u32::MAX, ..RowLimits::default() };
    of_no_store.check_collection(&collection).map_err(|source| ModelError::Rows { projection, source })?;
    let query = query_of::<E>().map_err(named)?;
    Ok(Model { name, version: M::VERSION, lifecycle, policy, query, collection })
}
