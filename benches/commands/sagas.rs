//! Sagas of three steps, each a command.

use crate::Run;
use crate::account::{self, Deposit};
use crate::support::Outcome;
use crate::support::fixture::Kind;
use crate::support::report::{Latencies, Sample, latencies, note};
use portolan::ports::StartSaga;
use portolan::prelude::*;
use portolan::values::SagaId;
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
#[derive(Clone, Default)]
struct Round {
    /// Who waits for the last step of which.
    waiting: Arc<Mutex<HashMap<Name, oneshot::Sender<()>>>>,
}

impl Saga for Round {
    const NAME: &'static str = "round";
    type Input = Rounds;

    fn definition() -> saga::Definition<Self> {
        let definition = saga::Definition::new().step(saga::Step::new("first", Self::deposit));
        definition.step(saga::Step::new("second", Self::deposit)).step(saga::Step::new("third", Self::last))
    }
}

impl Round {
    async fn deposit(&self, rounds: &Rounds, step: &StepContext) -> Result<(), StepError> {
        step.send(Deposit::to(rounds.account)).await?;
        Ok(())
    }

    async fn last(&self, rounds: &Rounds, step: &StepContext) -> Result<(), StepError> {
        self.deposit(rounds, step).await?;
        if let Some(waiting) = self.waiting().remove(step.saga().id()) {
            let _ = waiting.send(());
        }
        Ok(())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Name, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    let name = format!("{} sagas of three steps, 64 in flight", run.options.sagas);
    if !run.options.wants(&name) {
        return Ok(());
    }
    let beside = run.disk.beside(kind)?;
    let (storage, file) = account::storage(kind).await?;
    let round = Round::default();
    let bank = account::builder(storage.clone()).saga(round.clone()).build().await?;
    let (start, share) = (Instant::now(), run.options.sagas.div_ceil(IN_FLIGHT));
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..IN_FLIGHT {
        tasks.spawn(one_after_the_other(bank.ports(), round.clone(), client, share));
    }
    let mut all = latencies();
    while let Some(finished) = tasks.join_next().await {
        all.add(finished??)?;
    }
    let sample = Sample { done: all.len(), took: start.elapsed(), latencies: all };
    account::close(bank, storage, file).await;
    run.report.row(kind.name(), &name, "sagas", &sample, &beside);
    Ok(())
}

/// Starts so many, each when the one before it has ended.
async fn one_after_the_other(ports: Ports, round: Round, client: u64, many: u64) -> Outcome<Latencies> {
    let mut latencies = latencies();
    for number in 0..many {
        let id = SagaId::new(Round::NAME, &format!("{client}-{number}"))?;
        let (ended, last_step) = oneshot::channel();
        round.waiting().insert(id.id().clone(), ended);
        let one = Instant::now();
        let input = serde_json::json!({ "account": client });
        ports.sagas.start(StartSaga::new(id.clone(), input)).await?;
        last_step.await?;
        // The step has had its effect; that the saga has ended is recorded after that.
        while !ports.sagas.status(id.clone()).await?.status.phase.is_end() {
            tokio::task::yield_now().await;
        }
        note(&mut latencies, one.elapsed());
    }
    Ok(latencies)
}
