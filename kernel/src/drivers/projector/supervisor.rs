//! Supervision: which editions this process works on, and that its workers are there.

use super::super::task::{Stop, Task};
use super::acting;
use super::registry::Stored;
use super::removing;
use super::standing::{self, Standing};
use super::worker;
use crate::ports::{ProjectionFailure, RowError};
use crate::values::Edition;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::pin::pin;
use event_listener::listener;
use futures::future::{Either, select};

/// Supervises the workers of this projection.
pub(super) fn start(of: Arc<Stored>) -> Task {
    let env = of.env.clone();
    Task::spawn(&*env.spawn, |stop| supervise(of, stop))
}

async fn supervise(of: Arc<Stored>, stop: Stop) {
    let env = of.env.clone();
    let mut is_defined = false;
    let (mut workers, mut removers) = (BTreeMap::new(), BTreeMap::new());
    while !stop.is_closed() {
        // Listening begins before the look, so that no wish falls between the two.
        listener!(env.wished => wished);
        if let Err(reason) = look(&of, &mut workers, &mut removers, &mut is_defined).await {
            of.has_failed(reason).await;
        }
        let pause = select(wished, env.sleep.sleep(env.options.look));
        select(pin!(stop.recv()), pause).await;
    }
    let all = || workers.values().chain(removers.values());
    all().for_each(Task::stop);
    for one in all() {
        one.stopped().await;
    }
}

/// Has those editions worked on that are to be, and no others; removes what is left over; and sees that the right edition
/// is active, also where nobody works on it any more.
async fn look(
    of: &Arc<Stored>,
    workers: &mut BTreeMap<Edition, Task>,
    removers: &mut BTreeMap<Edition, Task>,
    is_defined: &mut bool,
) -> Result<(), String> {
    let (env, model) = (&*of.env, of.model());
    if !*is_defined {
        standing::define(&*env.rows).await.map_err(|error| error.to_string())?;
        *is_defined = true;
    }
    let standing = Standing::load(env, model).await.map_err(|error| error.to_string())?;
    let worked_on = standing.worked_on(model.version);
    workers.retain(|_, worker| !worker.is_gone());
    workers.iter().filter(|(edition, _)| !worked_on.contains(edition)).for_each(|(_, worker)| worker.stop());
    for edition in worked_on {
        workers.entry(edition).or_insert_with(|| Task::spawn(&*env.spawn, |stop| keep(of.clone(), edition, stop)));
    }
    if to_activate(&standing).is_some() {
        activate(of).await.map_err(|error| error.to_string())?;
    }
    let left_over = standing.left_over(model.version);
    removers.retain(|_, remover| !remover.is_gone());
    removers.iter().filter(|(edition, _)| !left_over.contains(edition)).for_each(|(_, remover)| remover.stop());
    for edition in left_over.into_iter().filter(|edition| !workers.contains_key(edition)) {
        removers.entry(edition).or_insert_with(|| Task::spawn(&*env.spawn, |stop| remove(of.clone(), edition, stop)));
    }
    Ok(())
}

/// Removes what is left over, also when its holder has died, which takes the time that others have to notice that.
async fn remove(of: Arc<Stored>, edition: Edition, stop: Stop) {
    if let Err(error) = removing::remove_left_over(&of, edition, &stop).await {
        of.has_failed(error.to_string()).await;
    }
}

/// The edition that should be active, and is not.
fn to_activate(standing: &Standing) -> Option<Edition> {
    standing.to_activate().filter(|edition| standing.active != Some(*edition))
}

/// Switches readers to the edition that should be active. Usually its worker has done it.
async fn activate(of: &Stored) -> Result<(), RowError> {
    let standing = Standing::load_to_change(&of.env, of.model()).await?;
    let Some(edition) = to_activate(&standing) else { return Ok(()) };
    match acting::save(of, &standing, &standing.kept, Some(edition)).await {
        // Somebody else was faster; the next look tells.
        Err(RowError::CheckpointMoved { .. } | RowError::UnknownCollection { .. }) => Ok(()),
        saved => saved,
    }
}

/// Has a worker on the edition, and another one when that ends without having been told to.
async fn keep(of: Arc<Stored>, edition: Edition, stop: Stop) {
    let env = of.env.clone();
    loop {
        let worker = Task::spawn(&*env.spawn, |stop| worker::work(of.env.clone(), of.engine.clone(), edition, stop));
        if let Either::Left(_) = select(pin!(stop.recv()), pin!(worker.stopped())).await {
            worker.stop();
            worker.stopped().await;
            return;
        }
        of.has_failed(format!("the worker of edition {edition} ended unexpectedly; another one is started")).await;
        if let Either::Left(_) = select(pin!(stop.recv()), env.sleep.sleep(env.options.look)).await {
            return;
        }
    }
}

impl Stored {
    /// Remembers what has gone wrong around its workers.
    async fn has_failed(&self, reason: String) {
        let failure = ProjectionFailure::new(self.env.clock.now(), None, reason);
        *self.trouble.lock().await = Some(failure);
    }
}
