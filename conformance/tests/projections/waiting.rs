//! Registries that wait otherwise.

use crate::registry::{Inner, Mutant};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::ports::WaitError;
use portolan_kernel::values::{Name, Position};
use std::sync::Arc;

type Waited = Result<(), WaitError>;

/// Makes something else of how a wait ends; `None`: it does not end.
fn ends(
    inner: Arc<Inner>,
    name: Name,
    position: Position,
    change: impl FnOnce(Waited) -> Option<Waited> + Send + 'static,
) -> BoxFuture<'static, Waited> {
    Box::pin(async move {
        match change(inner.registry.wait_for(name, position).await) {
            Some(waited) => waited,
            None => core::future::pending().await,
        }
    })
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("waits for nothing", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06", "PR-07"])
        .wait(|_, _, _| Box::pin(async { Ok(()) })),
    Mutant::new("waits for the position before", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06"]).wait(
        |inner, name, position| {
            Box::pin(async move {
                match Position::new(position.get() - 1) {
                    Some(before) => inner.registry.wait_for(name, before).await,
                    None => Ok(()),
                }
            })
        },
    ),
    Mutant::new("waits for the position after", &["PR-01", "PR-02", "PR-03", "PR-04", "PR-05", "PR-06", "PR-07"]).wait(
        |inner, name, position| {
            Box::pin(async move { inner.registry.wait_for(name, Position::new(position.get() + 1).unwrap()).await })
        },
    ),
    Mutant::new("waits for events of others", &["PR-06"]).wait(|inner, name, position| {
        Box::pin(async move {
            loop {
                inner.registry.wait_for(name.clone(), position).await?;
                let status = inner.registry.status(name.clone()).await;
                if status.is_ok_and(|status| name != "other" || status.position > Some(position)) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    }),
    Mutant::new("waits for what has stopped", &["PR-01", "PR-03"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| (!matches!(waited, Err(WaitError::Stopped { .. }))).then_some(waited))
    }),
    Mutant::new("waits for what is stalled", &["PR-06"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| (!matches!(waited, Err(WaitError::Stalled { .. }))).then_some(waited))
    }),
    Mutant::new("waits for what is parked", &["PR-03"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| (!matches!(waited, Err(WaitError::Parked { .. }))).then_some(waited))
    }),
    Mutant::new("overlooks what is parked", &["PR-03"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| {
            Some(if matches!(waited, Err(WaitError::Parked { .. })) { Ok(()) } else { waited })
        })
    }),
    Mutant::new("tells of whatever is parked up to there", &["PR-03"]).wait(|inner, name, position| {
        Box::pin(async move {
            inner.registry.wait_for(name.clone(), position).await?;
            let parked = inner.registry.parked(name.clone(), None, 1).await.map(|page| page.events);
            match parked.unwrap_or_default().first() {
                Some(first) if first.position < position => Err(WaitError::Parked { name, position: first.position }),
                _ => Ok(()),
            }
        })
    }),
    Mutant::new("takes stalled for stopped", &["PR-06"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| {
            Some(waited.map_err(|error| match error {
                WaitError::Stalled { name } => WaitError::Stopped { name, reason: "it does not move".into() },
                error => error,
            }))
        })
    }),
    Mutant::new("takes stopped for stalled", &["PR-01", "PR-03"]).wait(|inner, name, position| {
        ends(inner, name, position, |waited| {
            Some(waited.map_err(|error| match error {
                WaitError::Stopped { name, .. } => WaitError::Stalled { name },
                error => error,
            }))
        })
    }),
    Mutant::new("takes slow for stalled", &["PR-06"]).wait(|inner, name, position| {
        Box::pin(async move {
            let wait = inner.registry.wait_for(name.clone(), position);
            let waited = tokio::time::timeout(Duration::from_millis(1_500), wait).await;
            waited.unwrap_or(Err(WaitError::Stalled { name }))
        })
    }),
    Mutant::new("takes slow for stopped", &["PR-06"]).wait(|inner, name, position| {
        Box::pin(async move {
            let wait = inner.registry.wait_for(name.clone(), position);
            let waited = tokio::time::timeout(Duration::from_millis(1_500), wait).await;
            waited.unwrap_or(Err(WaitError::Stopped { name, reason: "it takes long".into() }))
        })
    }),
];
