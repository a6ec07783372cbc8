//! Projections: what of their registration is wrong, and how they are put together.

use super::builder::BuildError;
use super::parts::{Runtime, Storage};
use crate::domain::{Projection, Upcasters};
use crate::drivers::{
    LocalProjections, ModelError, ProjectionForm, ProjectionOptions, SAGA_INDEX, SagaOptions, ViewProjection,
    WorkerPorts, Workers, saga_index,
};
use crate::ports::Lifecycle;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) struct ProjectionRegistration(fn() -> Result<ProjectionForm, ModelError>);

impl ProjectionRegistration {
    pub(super) fn of<P: Projection>() -> Self {
        Self(ProjectionForm::of::<P>)
    }

    pub(super) fn of_view<P: ViewProjection>() -> Self {
        Self(ProjectionForm::of_view::<P>)
    }

    /// The index of sagas.
    pub(super) fn of_sagas() -> Self {
        Self(saga_index)
    }
}

/// Those that are registered, if nothing is wrong with them.
pub(super) fn judge(
    registrations: &[ProjectionRegistration],
    storage: &Storage,
) -> Result<Vec<ProjectionForm>, BuildError> {
    let mut forms: Vec<ProjectionForm> = Vec::with_capacity(registrations.len());
    for registration in registrations {
        let form = (registration.0)().map_err(refused)?;
        if let Some(first) = forms.iter().find(|first| first.name() == form.name()) {
            let (name, first, second) = (form.name().to_string(), first.projection, form.projection);
            return Err(BuildError::SameProjection { name, first, second });
        }
        check(&form, storage)?;
        forms.push(form);
    }
    Ok(forms)
}

/// The projections over this storage, with workers on this runtime. Nothing is asked of the storage here: what has to be
/// defined in it, workers define, and try again for as long as it is busy.
///
/// The index of sagas is worked on under leases of the sagas' own: whoever takes their shards over waits for both.
pub(super) fn start(
    forms: Vec<ProjectionForm>,
    storage: &Storage,
    runtime: &Runtime,
    upcasters: &Arc<Upcasters>,
    (options, saga_options): (ProjectionOptions, &SagaOptions),
) -> LocalProjections {
    let is_index = |form: &ProjectionForm| form.name().as_str() == SAGA_INDEX;
    let workers = |options, is_needed: bool| is_needed.then(|| workers(storage, runtime, upcasters, options)).flatten();
    let of_index = workers(options.with_lease(saga_options.lease), forms.iter().any(is_index));
    let of_others = workers(options, forms.iter().any(|form| form.is_stored() && !is_index(form)));
    let named = forms.into_iter().filter_map(|form| {
        let (name, workers) = (form.name().clone(), if is_index(&form) { &of_index } else { &of_others });
        Some((name, form.over(&storage.events, upcasters, &runtime.spawn, workers.as_ref())?))
    });
    LocalProjections::start(named.collect::<BTreeMap<_, _>>())
}

fn refused(error: ModelError) -> BuildError {
    match error {
        ModelError::Mapping { projection, source } => BuildError::Mapping { projection, source },
        other => BuildError::Projection { reason: other.to_string() },
    }
}

/// What the storage has to have for it.
fn check(form: &ProjectionForm, storage: &Storage) -> Result<(), BuildError> {
    if !form.is_stored() {
        return Ok(());
    }
    let name = || form.name().to_string();
    let Some(read_models) = &storage.read_models else {
        return Err(BuildError::NoReadModels { name: name(), lacks: "read models" });
    };
    if storage.leases.is_none() {
        return Err(BuildError::NoReadModels { name: name(), lacks: "leases" });
    }
    form.check_rows(&read_models.limits()).map_err(|error| {
        let reason = alloc::format!("{}: {error}", form.name());
        BuildError::Projection { reason }
    })?;
    let runs = || storage.inline.iter().any(|inline| form.is_made_in(&inline.collection()));
    if form.lifecycle() == Lifecycle::Inline && !runs() {
        return Err(BuildError::NotInline { name: name(), version: form.version() });
    }
    Ok(())
}

fn workers(
    storage: &Storage,
    runtime: &Runtime,
    upcasters: &Arc<Upcasters>,
    options: ProjectionOptions,
) -> Option<Workers> {
    let (rows, leases) = storage.read_models.clone().zip(storage.leases.clone())?;
    let Runtime { clock, ids, sleep, spawn } = runtime.clone();
    let (events, inline, upcasters) = (storage.events.clone(), storage.inline.clone(), upcasters.clone());
    Some(Workers::new(WorkerPorts { events, rows, leases, clock, ids, sleep, spawn, upcasters, inline }, options))
}
