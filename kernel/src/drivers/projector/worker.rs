//! A worker: fills the rows of one edition.
//!
//! It has a lease, claims the edition's checkpoint under the lease's token, and then commits batch after batch: rows,
//! parked events, what it says of itself, and the checkpoint, together. Whatever fails, it begins again from what is
//! committed; so it can be dropped at any moment.

use super::super::lease::{Held, acquire, hold, pause};
use super::super::subscription::yield_now;
use super::super::task::Stop;
use super::claim::Shift;
use super::engine::Engine;
use super::env::Env;
use crate::ports::RowError;
use crate::values::{Edition, Name, Position};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::pin::pin;
use futures::future::{Either, select};

/// Works on the edition until told to stop.
///
/// # Cancellation
///
/// It can be dropped at any moment. Its lease is then given up by a task of its own, or taken over after its time to live
/// if there is no runtime any more.
pub(super) async fn work(env: Arc<Env>, engine: Arc<dyn Engine>, edition: Edition, stop: Stop) {
    let Ok(name) = edition.checkpoint(&engine.model().name) else {
        // No model has such a name; and without a checkpoint nothing can be done.
        let _ = stop.recv().await;
        return;
    };
    let (leasing, mut hunt) = (env.leasing(), Hunt::default());
    loop {
        let Some(mut lease) = acquire(&leasing, &name, &stop, |_| {}).await else { return };
        let is_over = {
            let term = pin!(term(&env, &*engine, edition, &name, &mut lease, &mut hunt));
            matches!(select(pin!(stop.recv()), term).await, Either::Left(_))
        };
        lease.release().await;
        if is_over {
            return;
        }
        yield_now().await;
    }
}

/// From one lease to its end.
async fn term(env: &Env, engine: &dyn Engine, edition: Edition, name: &Name, lease: &mut Held, hunt: &mut Hunt) {
    let token = lease.token();
    let shifts = async {
        loop {
            let end = match Shift::begin(env, engine, edition, name, token, &mut *hunt).await {
                Ok(shift) => shift.run().await,
                // There is nothing that it could be said under. Whoever asks sees why by themselves.
                Err(End::Stopped(_)) => {
                    env.sleep.sleep(env.options.look).await;
                    End::Moved
                }
                Err(end) => end,
            };
            match end {
                End::Superseded => return,
                End::Moved => yield_now().await,
                End::Trouble(reason) => {
                    hunt.trouble = Some(reason);
                    hunt.troubles = hunt.troubles.saturating_add(1);
                    pause(&*env.ids, &*env.sleep, hunt.troubles).await;
                }
                End::Stopped(reason) => {
                    hunt.stop = Some(reason);
                    yield_now().await;
                }
            }
        }
    };
    select(pin!(hold(lease)), pin!(shifts)).await;
}

/// Why a worker begins again from what is committed.
#[derive(Debug)]
pub(super) enum End {
    /// Somebody else has a larger token.
    Superseded,
    /// What it knows is not how things stand, or a batch has to be cut otherwise.
    Moved,
    /// A store is busy or gone.
    Trouble(String),
    /// It makes no sense to go on before an operator has looked.
    Stopped(String),
}

/// What a worker remembers while it begins again.
#[derive(Debug, Default)]
pub(super) struct Hunt {
    /// How many events a batch has at most; `None`: a page.
    pub(super) window: Option<usize>,
    /// The last event of a batch that the store refused: one up to here is to blame, and is found by halving.
    pub(super) suspect: Option<Position>,
    /// Events that cannot be applied, and why.
    pub(super) bad: BTreeMap<Position, String>,
    /// How often this event has failed, and whether a pause is due before it is tried again.
    pub(super) failed: Option<(Position, u32, bool)>,
    /// Parked events are tried one in a batch.
    pub(super) is_one_by_one: bool,
    /// What went wrong last, and how often in a row.
    pub(super) trouble: Option<String>,
    pub(super) troubles: u32,
    /// Why it has stopped, until that is said.
    pub(super) stop: Option<String>,
}

impl End {
    /// What is done about an error of the rows that no event is to blame for.
    pub(super) fn of_rows(error: RowError, token: crate::values::Token) -> Self {
        match error {
            RowError::CheckpointMoved { token: larger, .. } if larger > token => Self::Superseded,
            RowError::CheckpointMoved { .. } | RowError::Unknown(_) | RowError::Gone { .. } => Self::Moved,
            RowError::WrongStore { .. } | RowError::DefinedOtherwise { .. } | RowError::Corrupt { .. } => {
                Self::Stopped(error.to_string())
            }
            other => Self::Trouble(chain(&other)),
        }
    }
}

/// An error with its sources, in a sentence.
pub(super) fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
