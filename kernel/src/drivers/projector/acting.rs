//! What operators do to a projection: changes of its wishes by compare-and-set, tried again when a rival was faster.

use super::control::{self, Control, Wanted, What};
use super::errors;
use super::registry::Stored;
use super::standing::{self, Standing, unless_missing};
use super::{parking, removing};
use crate::drivers::backoff::Backoff;
use crate::ports::{ProjectionAction, ProjectionError, RowError, Source};
use crate::values::{Edition, Position};
use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// How often a change is made anew that a rival was faster than.
pub(super) const RIVALS: u32 = 16;

/// Acts upon the projection.
pub(super) async fn act(of: &Stored, action: ProjectionAction) -> Result<(), ProjectionError> {
    if let ProjectionAction::Remove(edition) = action {
        return removing::remove_wished(of, edition).await;
    }
    let (env, model) = (&*of.env, of.model());
    let mut rivals = Backoff::new(&*env.ids, &*env.sleep, RIVALS);
    loop {
        let mut standing = Standing::load_to_change(env, model).await.map_err(errors::rows)?;
        let loaded = standing.kept.clone();
        standing.kept.control = changed(of, &standing, action).await?;
        let named = standing.to_activate().filter(|_| matches!(action, ProjectionAction::Activate(_)));
        let activate = named.filter(|edition| standing.active != Some(*edition));
        if standing.kept.control == loaded.control && activate.is_none() {
            return Ok(());
        }
        match save(of, &standing, &loaded, activate).await {
            Ok(()) => {
                env.wished.notify(usize::MAX);
                return Ok(());
            }
            // A rival was faster, or nobody has defined the collection yet.
            Err(error @ (RowError::CheckpointMoved { .. } | RowError::UnknownCollection { .. })) => {
                standing::define(&*env.rows).await.map_err(errors::rows)?;
                if !rivals.pause().await {
                    return Err(ProjectionError::Busy(Source::new(error)));
                }
            }
            Err(RowError::Unknown(source)) => {
                let now = control::load(&*env.rows, &model.name).await.map_err(errors::rows)?;
                if now.control == standing.kept.control {
                    env.wished.notify(usize::MAX);
                    return Ok(());
                }
                return Err(ProjectionError::Unknown(source));
            }
            Err(error) => return Err(errors::rows(error)),
        }
    }
}

/// Puts the wishes of `standing` in place of those that were loaded, and switches readers to this edition.
pub(super) async fn save(
    of: &Stored,
    standing: &Standing,
    loaded: &control::Kept,
    activate: Option<Edition>,
) -> Result<(), RowError> {
    let (env, name) = (&of.env, &of.model().name);
    let log = env.events.capabilities().identity;
    let activate = activate.map(Edition::to_stored);
    control::save_and_activate(&*env.rows, log, name, loaded, standing.control(), activate).await
}

/// The wishes after the action.
async fn changed(of: &Stored, standing: &Standing, action: ProjectionAction) -> Result<Control, ProjectionError> {
    let version = of.model().version;
    let mut control = standing.control().clone();
    let done = done_by_all(of, standing);
    match action {
        ProjectionAction::Pause => control.paused_at = control.paused_at.or_else(|| Some(of.env.clock.now())),
        ProjectionAction::Resume => {
            control.paused_at = None;
            control.request(What::Resume, done);
        }
        ProjectionAction::Reset => {
            let wanted = control.wanted.entry(version).or_default();
            // One that nobody has begun yet is as empty as another would be.
            if !(wanted.at_once && standing.record(control_wanted(version, wanted)).is_none()) {
                *wanted = next(wanted, true)?;
            }
        }
        ProjectionAction::Rebuild => {
            // One that is not done yet is made of the same log by the same code.
            if standing.is_ready(control.wanted(version)) {
                let wanted = control.wanted.entry(version).or_default();
                *wanted = next(wanted, false)?;
            }
        }
        ProjectionAction::CancelRebuild => cancel(standing, &mut control, version)?,
        ProjectionAction::Activate(pinned) => {
            if let Some(named) = pinned
                && standing.ready_of(named).is_none()
            {
                return Err(not_found(of, format!("edition of version {named} that has caught up")));
            }
            control.pinned = pinned;
        }
        ProjectionAction::Retry(None) => control.request(What::Retry(None), done),
        ProjectionAction::Retry(Some(position)) => {
            if !is_parked(of, standing, position).await? {
                return Err(not_found(of, format!("parked event {position}")));
            }
            control.request(What::Retry(Some(position.get())), done);
        }
        ProjectionAction::Drop(position) => {
            let has_stopped_there = standing
                .worked_on(version)
                .iter()
                .any(|edition| standing.record(*edition).is_some_and(|record| record.stopped_at == Some(position)));
            if !has_stopped_there && !is_parked(of, standing, position).await? {
                return Err(not_found(of, format!("event {position} that is parked or stopped at")));
            }
            control.request(What::Drop(position.get()), done);
        }
        ProjectionAction::Remove(_) => {}
    }
    Ok(control)
}

fn not_found(of: &Stored, what: String) -> ProjectionError {
    ProjectionError::NotFound { name: of.model().name.clone(), what }
}

fn control_wanted(version: u16, wanted: &Wanted) -> Edition {
    Edition { version, rebuild: wanted.rebuild }
}

/// The next number, which none has had.
fn next(wanted: &Wanted, at_once: bool) -> Result<Wanted, ProjectionError> {
    let highest = wanted.highest.max(wanted.rebuild);
    let rebuild = highest.checked_add(1).ok_or_else(|| {
        ProjectionError::Invalid("it was rebuilt as often as a version can be; raise the version of its code".into())
    })?;
    Ok(Wanted { rebuild, highest: rebuild, at_once })
}

fn cancel(standing: &Standing, control: &mut Control, version: u16) -> Result<(), ProjectionError> {
    let wanted = control.wanted(version);
    if standing.is_ready(wanted) {
        return Ok(());
    }
    let Some(before) = standing.ready_of(version) else {
        return Err(ProjectionError::Invalid(format!(
            "edition {wanted} is made for the first time or after a reset; there is none to go back to"
        )));
    };
    let entry = control.wanted.entry(version).or_default();
    let highest = entry.highest.max(entry.rebuild);
    *entry = Wanted { rebuild: before.rebuild, highest, at_once: false };
    Ok(())
}

async fn is_parked(of: &Stored, standing: &Standing, position: Position) -> Result<bool, ProjectionError> {
    for edition in standing.worked_on(of.model().version) {
        let found = parking::find(&*of.env.rows, &of.model().name, edition, position).await;
        if unless_missing(found).map_err(errors::rows)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The number of the last request that all have carried out who work on an edition: those of this version, and those of
/// others that were heard of lately.
fn done_by_all(of: &Stored, standing: &Standing) -> u64 {
    const LATELY: u32 = 10;
    let (env, version) = (&of.env, of.model().version);
    let lately = env.options.stall.checked_mul(LATELY).unwrap_or(Duration::MAX);
    let worked_on = standing.worked_on(version);
    let of_own = worked_on.iter().map(|edition| standing.record(*edition).map_or(0, |record| record.requests_done));
    let others = standing.editions().filter(|edition| edition.version != version);
    let of_others = others.filter_map(|edition| standing.record(edition));
    let heard_of = of_others.filter(|record| record.said_at.plus(lately) >= env.clock.now());
    of_own.chain(heard_of.map(|record| record.requests_done)).min().unwrap_or(0)
}
