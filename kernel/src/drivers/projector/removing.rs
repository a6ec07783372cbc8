//! Removing an edition: its rows, what was said of it, and what it has parked.

use super::super::lease::acquire;
use super::super::task::Stop;
use super::acting::RIVALS;
use super::env::Env;
use super::errors;
use super::registry::Stored;
use super::standing::{self, Standing, checkpoint};
use super::{acting, parking, record};
use crate::drivers::backoff::Backoff;
use crate::ports::{Lease, LeaseError, ProjectionError, RowError, Source};
use crate::values::{Batch, Checkpoint, Edition, Move, Name, Position, Token};
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

/// Removes the edition, as an operator wishes.
///
/// Nobody may work on it. Whoever holds its lease is watched for the lease's time to live: one who has died is taken over
/// from, one who lives and is to stop gets the time to.
pub(super) async fn remove_wished(of: &Stored, edition: Edition) -> Result<(), ProjectionError> {
    let (env, model) = (&*of.env, of.model());
    let standing = Standing::load(env, model).await.map_err(errors::rows)?;
    if !standing.is_defined(edition) {
        return Err(ProjectionError::NotFound { name: model.name.clone(), what: format!("edition {edition}") });
    }
    if let Some(reason) = why_not(of, &standing, edition) {
        return Err(ProjectionError::Invalid(reason));
    }
    let is_wanted = standing.control().wanted(edition.version) == edition;
    let lease = seize(env, &model.name, edition, is_wanted).await?;
    let removed = remove_if(of, edition, (&lease.name, lease.token), |now| why_not(of, now, edition).is_none()).await;
    let _ = env.leases.release(lease).await;
    match removed.map_err(errors::rows)? {
        true => Ok(()),
        false => Err(ProjectionError::Invalid(format!("edition {edition} has come to be read; ask for the status"))),
    }
}

/// Why the edition cannot be removed, in a sentence.
fn why_not(of: &Stored, standing: &Standing, edition: Edition) -> Option<String> {
    let version = of.model().version;
    if standing.active == Some(edition) || standing.read_by(Some(version)) == Some(edition) {
        return Some(format!("edition {edition} is read; activate or rebuild another first"));
    }
    let is_made = standing.worked_on(version).contains(&edition);
    is_made.then(|| format!("edition {edition} is being made; cancel the rebuild instead"))
}

/// Removes the edition once nobody works on it any more, unless it is told to stop before; whoever has died is taken over
/// from.
pub(super) async fn remove_left_over(of: &Stored, edition: Edition, stop: &Stop) -> Result<(), ProjectionError> {
    let name = lease_name(&of.model().name, edition)?;
    let Some(lease) = acquire(&of.env.leasing(), &name, stop, |_| {}).await else { return Ok(()) };
    let is_over = |now: &Standing| now.left_over(edition.version).contains(&edition);
    let removed = remove_if(of, edition, (&name, lease.token()), is_over).await;
    lease.release().await;
    removed.map(drop).map_err(errors::rows)
}

fn lease_name(projection: &Name, edition: Edition) -> Result<Name, ProjectionError> {
    edition.checkpoint(projection).map_err(|error| ProjectionError::Invalid(error.to_string()))
}

fn leases(error: LeaseError) -> ProjectionError {
    match error {
        LeaseError::Busy(source) => ProjectionError::Busy(source),
        LeaseError::Unknown(source) => ProjectionError::Unknown(source),
        LeaseError::Corrupt { place } => ProjectionError::Corrupt { place },
        other => ProjectionError::Other(Source::new(other)),
    }
}

/// The lease on the edition, from nobody or from one who has died.
async fn seize(env: &Env, projection: &Name, edition: Edition, is_wanted: bool) -> Result<Lease, ProjectionError> {
    let name = lease_name(projection, edition)?;
    let grant = || env.leases.grant(name.clone(), env.holder.clone(), env.options.lease);
    let mut seen = match grant().await {
        Ok(lease) => return Ok(lease),
        Err(LeaseError::Held(seen)) => seen,
        Err(other) => return Err(leases(other)),
    };
    // Whoever is to stop has looked at the wishes by then.
    let patience = env.options.look * 2;
    let pause = (env.options.look / 10).max(Duration::from_millis(1));
    let (mut unchanged, mut waited) = (Duration::ZERO, Duration::ZERO);
    loop {
        if unchanged >= seen.time_to_live {
            return env.leases.take_over(seen, env.holder.clone(), env.options.lease).await.map_err(leases);
        }
        env.sleep.sleep(pause).await;
        (unchanged, waited) = (unchanged + pause, waited + pause);
        match grant().await {
            Ok(lease) => return Ok(lease),
            Err(LeaseError::Held(now)) if now == seen => {}
            Err(LeaseError::Held(now)) if is_wanted || waited > patience => {
                return Err(ProjectionError::Invalid(format!(
                    "{} works on edition {edition}; stop that first",
                    now.holder
                )));
            }
            Err(LeaseError::Held(now)) => (seen, unchanged) = (now, Duration::ZERO),
            Err(other) => return Err(leases(other)),
        }
    }
}

/// Removes it, if that is right now that nobody else can begin to work on it; tells whether.
///
/// What was said of it goes first, under its own checkpoint, fenced as its worker would be: from then on nobody begins to
/// read it, and if this ends half-way, the rest is removed another time. Whoever was about to switch readers to it still
/// knew it; so the wishes are changed too, by which such a switch is judged: it came before, or it is made anew. The
/// checkpoint goes back with the rows, so that an edition of the same number begins anew.
async fn remove_if(
    of: &Stored,
    edition: Edition,
    (name, token): (&Name, Token),
    is_right: impl Fn(&Standing) -> bool,
) -> Result<bool, RowError> {
    let (env, rows, model) = (&*of.env, &of.env.rows, of.model());
    let standing = Standing::load(env, model).await?;
    if !is_right(&standing) {
        return Ok(false);
    }
    standing::define(&**rows).await?;
    let claim = async || {
        let state = checkpoint(env, model, edition).await?;
        Ok::<_, RowError>(Checkpoint::new(name.clone(), state, token, Move::Claim))
    };
    rows.commit(record::forget(Batch::new(claim().await?), &model.name, edition)?).await?;
    if let Some(said) = standing.record(edition)
        && is_activated(of, edition).await?
    {
        rows.commit(record::say(Batch::new(claim().await?), &model.name, edition, said)?).await?;
        return Ok(false);
    }
    let most = rows.limits().batch_changes.min(rows.limits().page_rows).max(1) as usize;
    loop {
        let parked = parking::load(&**rows, &model.name, edition, None, most).await?;
        if parked.is_empty() {
            break;
        }
        let released = |batch, position: &Position| parking::release(batch, &model.name, edition, *position);
        let batch = parked.keys().try_fold(Batch::new(claim().await?), released)?;
        rows.commit(batch).await?;
    }
    let checkpoint = Checkpoint { to: Move::Reset(None), ..claim().await? };
    rows.remove(model.name.clone(), edition.to_stored(), checkpoint).await?;
    Ok(true)
}

/// Whether readers were switched to the edition, judged so that nobody switches them any more who has decided it before.
async fn is_activated(of: &Stored, edition: Edition) -> Result<bool, RowError> {
    let mut rivals = Backoff::new(&*of.env.ids, &*of.env.sleep, RIVALS);
    loop {
        let standing = Standing::load_to_change(&of.env, of.model()).await?;
        if standing.active == Some(edition) {
            return Ok(true);
        }
        match acting::save(of, &standing, &standing.kept, None).await {
            // Somebody has wished something since.
            Err(error @ (RowError::CheckpointMoved { .. } | RowError::Unknown(_))) => {
                if !rivals.pause().await {
                    return Err(error);
                }
            }
            saved => return saved.map(|()| false),
        }
    }
}
