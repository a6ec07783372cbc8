//! Buses that take another way with a command.

use crate::bus::{Inner, Mutant, Outcome};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_conformance::Crossing;
use portolan_kernel::ports::{Body, CommandEnvelope, CommandError, CommandInfo, Receipt};
use portolan_kernel::values::Format;
use std::sync::Arc;

/// Keeps what it waits for when it is dropped itself.
struct Unforgetting(Option<BoxFuture<'static, Outcome>>);

impl Future for Unforgetting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(inner) = &mut self.0 else { return Poll::Pending };
        let polled = inner.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl Drop for Unforgetting {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            std::mem::forget(inner);
        }
    }
}

/// The command of the suite's decision model.
const TAKE_SEAT: &str = "take-seat";

fn at_once(inner: Arc<Inner>, command: CommandEnvelope) -> BoxFuture<'static, Outcome> {
    Box::pin(async move { inner.bus.dispatch(command).await })
}

/// Sends it up to three times, while `again` says so.
async fn retried(inner: Arc<Inner>, command: CommandEnvelope, again: fn(&Outcome) -> bool) -> Outcome {
    for _ in 0..2 {
        let outcome = inner.bus.dispatch(command.clone()).await;
        if !again(&outcome) {
            return outcome;
        }
    }
    inner.bus.dispatch(command).await
}

/// Answers what it has answered to the same key before.
async fn remembered(inner: Arc<Inner>, command: CommandEnvelope, key: Option<String>) -> Outcome {
    let Some(key) = key else { return inner.bus.dispatch(command).await };
    let kept = inner.kept.lock().unwrap().get(&key).cloned();
    if let Some(kept) = kept {
        return kept.map(|mut receipt| {
            receipt.repeated = true;
            receipt
        });
    }
    let outcome = inner.bus.dispatch(command).await;
    inner.kept.lock().unwrap().insert(key, outcome.clone());
    outcome
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new(
        "sends everything twice",
        &["CB-03", "CB-05", "CB-06", "CB-07", "CB-08", "CB-09", "CB-10", "CB-11", "CB-12", "CB-13", "CB-model"],
    )
    .dispatch(|inner, command| {
        Box::pin(async move {
            let first = inner.bus.dispatch(command.clone()).await;
            let _ = inner.bus.dispatch(command).await;
            first
        })
    }),
    Mutant::new("sends rejected commands again", &["CB-03", "CB-05"]).dispatch(|inner, command| {
        Box::pin(retried(inner, command, |outcome| matches!(outcome, Err(CommandError::Rejected { .. }))))
    }),
    Mutant::new("sends again what is unknown, with or without an id", &["CB-03", "CB-04", "CB-06", "CB-08"]).dispatch(
        |inner, command| Box::pin(retried(inner, command, |outcome| matches!(outcome, Err(CommandError::Unknown(_))))),
    ),
    Mutant::new("lets one in at a time", &["CB-03", "CB-08", "CB-10", "CB-12"]).dispatch(|inner, command| {
        Box::pin(async move {
            let _one = inner.one.lock().await;
            inner.bus.dispatch(command).await
        })
    }),
    Mutant::new(
        "remembers outcomes by id",
        &["CB-01", "CB-02", "CB-03", "CB-04", "CB-05", "CB-07", "CB-08", "CB-09", "CB-11", "CB-12", "CB-model"],
    )
    .dispatch(|inner, command| {
        let key = command.id.as_ref().map(ToString::to_string);
        Box::pin(remembered(inner, command, key))
    }),
    Mutant::new(
        "remembers outcomes by tenant, name and id",
        &["CB-02", "CB-03", "CB-04", "CB-05", "CB-08", "CB-09", "CB-12", "CB-model"],
    )
    .dispatch(|inner, command| {
        let (name, tenant) = (command.name.clone(), command.metadata.tenant.clone());
        let key = command.id.as_ref().map(|id| format!("{name} {tenant:?} {id}"));
        Box::pin(remembered(inner, command, key))
    }),
    Mutant::new("takes no body of more than 64 KiB", &["CB-06", "CB-13"]).dispatch(|inner, command| {
        let size = match &command.body {
            Body::Typed(typed) => typed.encode().unwrap().len(),
            Body::Encoded(bytes, _) => bytes.len(),
        };
        match size > 64 << 10 {
            true => Box::pin(async { Err(CommandError::Malformed("more than 64 KiB".into())) }),
            false => at_once(inner, command),
        }
    }),
    Mutant::new("keeps what its callers have left", &["CB-03", "CB-06", "CB-10"])
        .dispatch(|inner, command| Box::pin(Unforgetting(Some(at_once(inner, command))))),
    Mutant::new("answers before it waits", &["CB-03", "CB-08", "CB-09", "CB-13"]).dispatch(|inner, mut command| {
        Box::pin(async move {
            let wait_for = core::mem::take(&mut command.wait_for);
            let within = command.within.take();
            let receipt = inner.bus.dispatch(command).await?;
            match wait_for.is_empty() {
                true => Ok(receipt),
                false => {
                    tokio::time::sleep(within.unwrap_or(Duration::from_millis(20)).min(Duration::from_millis(20)))
                        .await;
                    Ok(receipt)
                }
            }
        })
    }),
    Mutant::new("cuts off at the deadline", &["CB-08", "CB-09", "CB-13"]).dispatch(|inner, mut command| {
        Box::pin(async move {
            let Some(within) = command.within.take() else { return inner.bus.dispatch(command).await };
            let cut_off = tokio::time::timeout(within, inner.bus.dispatch(command)).await;
            cut_off.unwrap_or(Err(CommandError::DeadlinePassed))
        })
    }),
    Mutant::new("cuts off a model at its deadline", &["CB-08"]).dispatch(|inner, mut command| {
        Box::pin(async move {
            let within = if command.name.as_str() == TAKE_SEAT { command.within.take() } else { None };
            let Some(within) = within else { return inner.bus.dispatch(command).await };
            let cut_off = tokio::time::timeout(within, inner.bus.dispatch(command)).await;
            cut_off.unwrap_or(Err(CommandError::DeadlinePassed))
        })
    }),
    Mutant::new("rejects what a model makes no events of", &["CB-06", "CB-model"]).dispatch(|inner, command| {
        Box::pin(async move {
            let is_models = command.name.as_str() == TAKE_SEAT;
            match inner.bus.dispatch(command).await {
                Ok(receipt) if is_models && receipt.position.is_none() => Err(CommandError::Rejected {
                    code: "nothing".into(),
                    message: "nothing happens".into(),
                    fields: serde_json::json!({}),
                }),
                outcome => outcome,
            }
        })
    }),
    Mutant::new("waits for ever where there are no events", &["CB-09", "CB-13"]).dispatch(|inner, command| {
        Box::pin(async move {
            let waits = !command.wait_for.is_empty();
            match inner.bus.dispatch(command).await {
                Ok(receipt) if waits && receipt.position.is_none() => futures::future::pending().await,
                outcome => outcome,
            }
        })
    }),
    Mutant::new("waits for new events alone", &["CB-09"]).dispatch(|inner, mut command| {
        Box::pin(async move {
            let name = format!("{} {:?}", command.name, command.id);
            if command.id.is_some() && inner.kept.lock().unwrap().insert(name, Ok(Default::default())).is_some() {
                command.wait_for.clear();
            }
            inner.bus.dispatch(command).await
        })
    }),
    Mutant::new("says that it lacks what it has", &["CB-07", "CB-13"]).lacks(&[
        Crossing::TypedBodies,
        Crossing::Descriptions,
        Crossing::Correlation,
    ]),
    Mutant::new("lacks correlations, and makes one up", &["CB-07", "CB-09", "CB-13"])
        .lacks(&[Crossing::Correlation])
        .outcome(|outcome| outcome.map(|receipt| receipt.with_correlation(Some("made up".into())))),
    Mutant::new("has two applications side by side", &["CB-04", "CB-06", "CB-08", "CB-10", "CB-12"]).divided(),
    Mutant::new("sends conflicts again instead", &["CB-03", "CB-05", "CB-08", "CB-11"])
        .compose(|mut parts| {
            parts.options = parts.options.with_conflicts(0);
            parts
        })
        .dispatch(|inner, command| {
            Box::pin(async move {
                for _ in 0..8 {
                    match inner.bus.dispatch(command.clone()).await {
                        Err(CommandError::Conflict { .. }) => {}
                        outcome => return outcome,
                    }
                }
                inner.bus.dispatch(command).await
            })
        }),
    Mutant::new("has no room for more than two", &["CB-03", "CB-04", "CB-10", "CB-12"]).dispatch(|inner, command| {
        Box::pin(async move {
            if Arc::strong_count(&inner) > 3 {
                return Err(CommandError::Busy(portolan_kernel::ports::Source::new("two are in")));
            }
            inner.bus.dispatch(command).await
        })
    }),
];

/// Right ones of unusual kinds.
pub const RIGHT: &[Mutant] = &[
    Mutant::new("as it is", &[]),
    Mutant::new("carries on when the caller has left", &[]).dispatch(|inner, command| {
        Box::pin(async move {
            let carried = tokio::spawn(async move { inner.bus.dispatch(command).await });
            carried.await.unwrap()
        })
    }),
    Mutant::new("writes everything as JSON", &[]).dispatch(|inner, mut command| {
        if let Body::Typed(typed) = &command.body {
            command.body = Body::Encoded(typed.encode().unwrap(), Format::Json);
        }
        at_once(inner, command)
    }),
    Mutant::new("takes its time", &[]).dispatch(|inner, command| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            let outcome = inner.bus.dispatch(command).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            outcome
        })
    }),
    Mutant::new("takes only JSON", &[]).lacks(&[Crossing::TypedBodies]).dispatch(|inner, command| match command.body {
        Body::Typed(_) => Box::pin(async { Err(CommandError::Malformed("only JSON".into())) }),
        Body::Encoded(..) => at_once(inner, command),
    }),
    Mutant::new("tells less", &[])
        .lacks(&[Crossing::Descriptions, Crossing::Correlation])
        .commands(|infos| infos.into_iter().map(|info| CommandInfo::new(info.name)).collect())
        .outcome(|outcome| {
            let less = |receipt: Receipt| receipt.with_correlation(None);
            outcome.map(less).map_err(|error| match error {
                CommandError::NotCaughtUp { receipt, waiting } => {
                    CommandError::NotCaughtUp { receipt: Box::new(less(*receipt)), waiting }
                }
                other => other,
            })
        }),
];
