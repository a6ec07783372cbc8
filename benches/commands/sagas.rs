//! Sagas of three steps, each a command.

use crate::Run;
use crate::account::{self, Deposit};
use crate::support::Outcome;
use crate::support::fixture::Kind;
use crate::support::report::{Latencies, Sample, latencies, note};
use futures::StreamExt;
use portolan::drivers::{Delivery, From};
use portolan::ports::{SagaPhase, StartSaga};
use portolan::prelude::*;
use portolan::values::{Item, Query};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// So many are started and have not ended.
const IN_FLIGHT: u64 = 64;

#[derive(Serialize, Deserialize)]
struct Rounds {
    account: u64,
}

/// Three deposits, one after the other.
struct Round;

impl Saga for Round {
    const NAME: &'static str = "round";
    type Input = Rounds;

    fn definition() -> saga::Definition<Self> {
        let definition = saga::Definition::new().step(saga::Step::new("first", Self::deposit));
        definition.step(saga::Step::new("second", Self::deposit)).step(saga::Step::new("third", Self::deposit))
    }
}

impl Round {
    async fn deposit(&self, rounds: &Rounds, step: &StepContext) -> Result<(), StepError> {
        step.send(Deposit::to(rounds.account)).await?;
        Ok(())
    }
}

/// Who waits for the end of which saga. Who asked for its status again and again would take the core from the sagas.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<HashMap<StreamId, oneshot::Sender<()>>>>);

impl Ends {
    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, saga: &SagaId) -> oneshot::Receiver<()> {
        let (tells, told) = oneshot::channel();
        self.waiting().insert(saga.stream(), tells);
        told
    }

    /// Tells of each end from now on; it is under way when this returns.
    async fn follow(&self, ports: &Ports) -> Outcome<()> {
        let ended = Query::of(Item::new().event_type("$saga.ended".parse()?)).with_system();
        let mut subscription = ports.subscriptions.subscribe(ended, From::Now);
        while !matches!(subscription.next().await.ok_or("no subscription")??, Delivery::CaughtUp(_)) {}
        let ends = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = subscription.next().await {
                if let Delivery::Event(event) = delivery
                    && let Some(tells) = ends.waiting().remove(&event.stream)
                {
                    let _ = tells.send(());
                }
            }
        });
        Ok(())
    }
}

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    let name = format!("{} sagas of three steps, 64 in flight", run.options.sagas);
    if !run.options.wants(&name) {
        return Ok(());
    }
    let beside = run.disk.beside(kind)?;
    let (storage, file) = account::storage(kind).await?;
    let bank = account::builder(storage.clone()).saga(Round).build().await?;
    let ends = Ends::default();
    ends.follow(&bank.ports()).await?;
    let (start, share) = (Instant::now(), run.options.sagas.div_ceil(IN_FLIGHT));
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..IN_FLIGHT {
        tasks.spawn(one_after_the_other(bank.ports(), ends.clone(), client, share));
    }
    let mut all = latencies();
    while let Some(finished) = tasks.join_next().await {
        all.add(finished??)?;
    }
    let sample = Sample { done: all.len(), took: start.elapsed(), latencies: all };
    all_are_complete(&bank.ports(), share).await?;
    account::close(bank, storage, file).await;
    run.report.row(kind.name(), &name, "sagas", &sample, &beside);
    Ok(())
}

/// Starts so many, each when it is on record that the one before it has ended.
async fn one_after_the_other(ports: Ports, ends: Ends, client: u64, many: u64) -> Outcome<Latencies> {
    let mut latencies = latencies();
    for number in 0..many {
        let id = saga(client, number)?;
        let ended = ends.of(&id);
        let one = Instant::now();
        let input = serde_json::json!({ "account": client });
        ports.sagas.start(StartSaga::new(id.clone(), input)).await?;
        ended.await?;
        note(&mut latencies, one.elapsed());
    }
    Ok(latencies)
}

/// Whether all have ended as they should.
async fn all_are_complete(ports: &Ports, share: u64) -> Outcome<()> {
    for (client, number) in (0..IN_FLIGHT).flat_map(|client| (0..share).map(move |number| (client, number))) {
        let phase = ports.sagas.status(saga(client, number)?).await?.status.phase;
        if phase != SagaPhase::Completed {
            return Err(format!("saga {number} of client {client} is {phase:?}").into());
        }
    }
    Ok(())
}

fn saga(client: u64, number: u64) -> Outcome<SagaId> {
    Ok(SagaId::new(Round::NAME, &format!("{client}-{number}"))?)
}
