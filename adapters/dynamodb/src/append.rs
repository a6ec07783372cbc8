//! An append, on its caller's side: finds out what the writer needs to know, and keeps the order of judgment where a
//! refusal has to be looked at twice.

use crate::error::Fault;
use crate::job::{Answer, Need, Order};
use crate::keys::Kept;
use crate::streams::Streams;
use crate::table::Backoff;
use crate::{Inner, checkpoints, guard, keys};
use alloc::sync::Arc;
use futures::stream::{self, StreamExt, TryStreamExt};
use portolan_kernel::ports::{AppendError, Source, streams_of};
use portolan_kernel::values::{Append, Appended, Expected, IdempotencyKey, StreamId};
use tokio::time::Instant;

/// Streams that are looked at at once.
const PARALLEL: usize = 16;

impl Inner {
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let append = Arc::new(append);
        let mut order = Order {
            append: append.clone(),
            since: self.tail.now(),
            until: Instant::now() + self.table.patience,
            guarded: None,
            forbidden: None,
            guesses: true,
            moved: None,
        };
        let unknown = self.unknown(&append);
        self.learn(&unknown).await.map_err(Fault::refuses_append)?;
        loop {
            if let (Some(guard), None) = (&append.guard, order.guarded) {
                // Expectations are judged first, so a guard that fails is told to the writer.
                let searched = guard::search(self, guard).await.map_err(Fault::refuses_append)?;
                (order.guarded, order.forbidden) = (Some(searched.checked), searched.forbidden);
            }
            let until = order.until;
            let answer = self.writer.submit(order)?.await;
            let stopped = || AppendError::Unknown(Source::new("the runtime ended before the append was answered"));
            let need = match answer.map_err(|_| stopped())? {
                Answer::Done(appended) => return Ok(appended),
                Answer::Kept(kept) => return repeated(&append, *kept),
                Answer::Refused(refusal) => return self.unless_kept(&append, refusal).await,
                Answer::Beyond(refusal) => {
                    let refusal = self.unless_moved(&append, refusal).await?;
                    return self.unless_kept(&append, refusal).await;
                }
                Answer::Again(need, again) => {
                    order = *again;
                    need
                }
            };
            if Instant::now() >= until {
                return Err(AppendError::Busy(Source::new("the log kept changing")));
            }
            match need {
                Need::End => self.tail.follow().await.map_err(Fault::refuses_append)?,
                Need::Heads(streams) => {
                    let (learnt, followed) = futures::join!(self.learn(&streams), self.tail.follow());
                    learnt.and(followed).map_err(Fault::refuses_append)?;
                }
                Need::Guard => order.guarded = None,
                Need::Key => {
                    if let Some(kept) = self.kept(&append).await.map_err(Fault::refuses_append)? {
                        return repeated(&append, kept);
                    }
                }
            }
        }
    }

    /// The streams of an append whose last revision has to be looked up.
    fn unknown(&self, append: &Append) -> Vec<StreamId> {
        let mut state = self.tail.state();
        let missing: Vec<_> =
            append.expect.iter().filter(|(_, expected)| *expected == Expected::NoStream).map(|(s, _)| s).collect();
        let streams = streams_of(append).into_iter().filter(|stream| !missing.contains(stream));
        streams.filter(|stream| state.heads.get(stream).is_none()).cloned().collect()
    }

    /// Looks the last revisions of streams up.
    async fn learn(&self, streams: &[StreamId]) -> Result<(), Fault> {
        stream::iter(streams).map(Ok).try_for_each_concurrent(PARALLEL, |stream| self.learn_one(stream)).await
    }

    async fn learn_one(&self, stream: &StreamId) -> Result<(), Fault> {
        let (mut backoff, until) = (Backoff::default(), Instant::now() + self.table.patience);
        let streams = Streams { table: &self.table, space: &self.space };
        loop {
            let whole = self.tail.state().whole;
            let found = streams.records(stream, 0, u64::MAX, true, Some(1)).await?;
            if found.torn.is_none() {
                self.tail.learn(stream, found.records.first().map(|events| events.last()), whole);
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Fault::Damaged(format!("the last record of stream {stream}")));
            }
            backoff.pause().await;
        }
    }

    async fn kept(&self, append: &Append) -> Result<Option<Kept>, Fault> {
        let Some(key) = &append.key else { return Ok(None) };
        let item = self.space.key(&key.scope, &key.id);
        keys::look_up(&self.table, &item, self.retention, self.clock.now()).await
    }

    /// The answer that is recorded under the key, before a refusal is given.
    async fn unless_kept(&self, append: &Append, refusal: AppendError) -> Result<Appended, AppendError> {
        let judged = matches!(
            refusal,
            AppendError::Conflict { .. }
                | AppendError::GuardFailed { .. }
                | AppendError::CheckpointMoved { .. }
                | AppendError::Invalid(_)
        );
        match if judged { self.kept(append).await.map_err(Fault::refuses_append)? } else { None } {
            Some(kept) => repeated(append, kept),
            None => Err(refusal),
        }
    }

    /// That the checkpoint has moved, before that it would go past the frontier.
    async fn unless_moved(&self, append: &Append, refusal: AppendError) -> Result<AppendError, AppendError> {
        let Some(checkpoint) = &append.checkpoint else { return Ok(refusal) };
        let key = self.space.checkpoint(&checkpoint.name);
        let (actual, token) = match self.table.get(&key).await.map_err(Fault::refuses_append)? {
            Some(item) => checkpoints::decode(&key, &item).map_err(Fault::refuses_append)?,
            None => Default::default(),
        };
        if checkpoint.token < token || checkpoint.from != actual {
            return Ok(AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token });
        }
        Ok(refusal)
    }
}

fn repeated(append: &Append, kept: Kept) -> Result<Appended, AppendError> {
    match &append.key {
        Some(IdempotencyKey { scope, id, digest, .. }) if *digest != kept.recalled.digest => {
            Err(AppendError::KeyReused { scope: scope.clone(), id: id.clone() })
        }
        _ => Ok(kept.recalled.appended),
    }
}
