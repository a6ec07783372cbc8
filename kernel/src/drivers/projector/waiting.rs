//! Waiting until an event is in the rows that are read (PR-06).

use super::env::Env;
use super::reading::choose;
use super::registry::Stored;
use super::standing::{Standing, checkpoint, is_foreign, unless_missing};
use super::{control::What, errors, parking};
use crate::ports::{EventStore, ProjectionState, ReadError, WaitError};
use crate::values::{CheckpointState, Collection, Edition, Position, Query, Read};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::pin::pin;
use core::time::Duration;
use event_listener::listener;
use futures::future::{Either, select};

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Whoever knows this version of the rows; `None`: the one that is active.
    Prefers(Option<u16>),
    /// Who is in the midst of a listing of this edition.
    Of(Edition),
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);

/// Returns once every event up to the position is in the rows that the reader sees, and tells where those are; `None` when
/// there is no such event, so that any rows will do, or when the edition is gone that the reader is in.
///
/// # Errors
///
/// [`WaitError`], as soon as waiting longer is of no use.
pub(super) async fn reach(of: &Stored, reader: Reader, position: Position) -> Result<Option<Collection>, WaitError> {
    let (env, model) = (&*of.env, of.model());
    let Some(target) = last_match(env, &model.query, position).await? else { return Ok(None) };
    let mut seen = Vec::new();
    let mut stall = env.sleep.sleep(env.options.stall);
    let mut is_over = false;
    let mut pause = SHORTEST;
    loop {
        // Listening begins before the look, so that nothing falls between the two.
        listener!(env.moved => moved);
        let rows = choose(of, reader).await.map_err(errors::rows_waited)?;
        let read = rows.as_ref().map(|rows| Edition::stored(rows.version));
        let mut stands = Vec::new();
        match (read, reader) {
            (Some(read), _) => {
                let state = checkpoint(env, model, read).await.map_err(errors::rows_waited)?;
                if has_come(env, &state, target) {
                    let parked = parking::find(&*env.rows, &model.name, read, target).await;
                    return match unless_missing(parked) {
                        Ok(None) => Ok(rows),
                        Ok(Some(_)) => Err(WaitError::Parked { name: model.name.clone(), position: target }),
                        Err(error) => Err(errors::rows_waited(error)),
                    };
                }
                stands.push((read, state));
            }
            (None, Reader::Of(_)) => return Ok(None),
            (None, Reader::Prefers(_)) => {}
        }
        let standing = Standing::load(env, model).await.map_err(errors::rows_waited)?;
        let wanted = standing.control().wanted(model.version);
        if read != Some(wanted) {
            let state = checkpoint(env, model, wanted).await.map_err(errors::rows_waited)?;
            stands.push((wanted, state));
        }
        if let Some(reason) = stopped(env, &standing, &stands) {
            // It may have come there before it stopped, since it was looked at.
            if let Some(read) = read {
                let state = checkpoint(env, model, read).await.map_err(errors::rows_waited)?;
                if has_come(env, &state, target) {
                    continue;
                }
            }
            return Err(WaitError::Stopped { name: model.name.clone(), reason });
        }
        if stands != seen {
            (seen, pause) = (stands, SHORTEST);
            stall = env.sleep.sleep(env.options.stall);
        } else if is_over {
            return Err(WaitError::Stalled { name: model.name.clone() });
        }
        let moved = select(moved, env.sleep.sleep(pause));
        is_over = matches!(select(&mut stall, pin!(moved)).await, Either::Left(_));
        pause = (pause * 2).min(LONGEST);
    }
}

/// The last event that matches up to the position, once the log has come there.
async fn last_match(env: &Env, query: &Query, position: Position) -> Result<Option<Position>, WaitError> {
    reached(&*env.events, position).await.map_err(errors::log_waited)?;
    let mut next = Some(Read::log(query.clone()).backward().until(Some(position)).limit(1));
    while let Some(read) = next {
        let page = env.events.read(read).await.map_err(errors::log_waited)?;
        if let Some(event) = page.events.first() {
            return Ok(Some(event.position));
        }
        next = page.next;
    }
    Ok(None)
}

/// Returns once the log has come to the position.
///
/// # Errors
///
/// What reading the log may fail with.
pub(super) async fn reached(events: &dyn EventStore, position: Position) -> Result<(), ReadError> {
    let all = Query::all().with_system();
    loop {
        let frontier = events.read(Read::log(all.clone()).backward().limit(1)).await?.frontier;
        if frontier >= Some(position) {
            return Ok(());
        }
        events.changed(all.clone(), frontier).await?;
    }
}

/// Whether rows that stand there have the event in them.
fn has_come(env: &Env, state: &CheckpointState, target: Position) -> bool {
    is_foreign(env, state).is_none() && state.position >= Some(target)
}

/// Why none of them goes on, until an operator says so; `None` when one may.
fn stopped(env: &Env, standing: &Standing, stands: &[(Edition, CheckpointState)]) -> Option<String> {
    if standing.control().paused_at.is_some() {
        return Some("an operator has paused it; resume it".to_string());
    }
    let mut reasons =
        stands.iter().map(|(edition, state)| is_foreign(env, state).or_else(|| has_stopped(standing, *edition)));
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

/// Why the edition does not go on, unless an operator has said since that it shall.
pub(super) fn has_stopped(standing: &Standing, edition: Edition) -> Option<String> {
    let record = standing.record(edition)?;
    let ProjectionState::Stopped { reason } = &record.state else { return None };
    let goes_on = |what: &What| match what {
        What::Resume => true,
        What::Drop(position) => record.stopped_at.is_some_and(|at| at.get() == *position),
        What::Retry(_) => false,
    };
    let requests = standing.control().requests.iter().filter(|request| request.number > record.requests_done);
    let is_to_go_on = requests.map(|request| request.what).any(|what| goes_on(&what));
    (!is_to_go_on).then(|| reason.clone())
}
