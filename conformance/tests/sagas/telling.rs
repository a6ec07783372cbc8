//! Orchestrators that drive well, and do not tell or hear what there is.

use crate::mutant::Mutant;
use portolan_kernel::ports::{ListSagas, SagaAction, SagaError, SagaPhase, SagaStarted, Source};
use portolan_kernel::ports::{SagaPage, SagaWay};

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("forgets notes", &["SG-09"]).act(|inner, mut act| {
        Box::pin(async move {
            act.note.clear();
            inner.act(act).await
        })
    }),
    Mutant::new("forgets who has acted", &["SG-09"]).act(|inner, mut act| {
        Box::pin(async move {
            act.metadata.actor = None;
            inner.act(act).await
        })
    }),
    Mutant::new("says that it has done what makes no sense", &["SG-01", "SG-09", "SG-07"]).act(|inner, act| {
        Box::pin(async move {
            match inner.act(act.clone()).await {
                Err(SagaError::NotNow { saga, .. }) => inner.status(saga).await,
                acted => acted,
            }
        })
    }),
    Mutant::new("gives no reason why not", &["SG-09"]).act(|inner, act| {
        Box::pin(async move {
            inner.act(act).await.map_err(|error| match error {
                SagaError::NotNow { saga, action, .. } => SagaError::NotNow { saga, action, reason: String::new() },
                error => error,
            })
        })
    }),
    Mutant::new("aborts where it is to compensate", &["SG-09"]).act(|inner, mut act| {
        Box::pin(async move {
            if act.action == SagaAction::Compensate {
                act.action = SagaAction::Abort;
            }
            inner.act(act).await
        })
    }),
    Mutant::new("lists what has ended as running", &["SG-09"]).list(|inner, list| {
        Box::pin(async move {
            let mut page = inner.list(list).await?;
            for summary in &mut page.sagas {
                if summary.status.phase == SagaPhase::Completed {
                    summary.status.phase = SagaPhase::Running;
                }
            }
            Ok(page)
        })
    }),
    Mutant::new("lists all whatever their phase", &["SG-05", "SG-08", "SG-09"]).list(|inner, mut list| {
        Box::pin(async move {
            list.phases.clear();
            inner.list(list).await
        })
    }),
    Mutant::new("lists all whatever their name", &["SG-09"]).list(|inner, mut list| {
        Box::pin(async move {
            list.name = None;
            inner.list(list).await
        })
    }),
    Mutant::new("has one page of a list", &["SG-09"])
        .list(|inner, list| Box::pin(async move { Ok(SagaPage::new(inner.list(list).await?.sagas, None)) })),
    Mutant::new("begins anew after a name", &["SG-09"]).list(|inner, mut list| {
        Box::pin(async move {
            list.after.take_if(|after| after.starts_with("suite-") && !after.contains(','));
            inner.list(list).await
        })
    }),
    Mutant::new("takes any cursor", &["SG-09"]).list(|inner, list| {
        Box::pin(async move {
            match inner.list(list).await {
                Err(SagaError::Invalid(_)) => inner.list(ListSagas::all()).await,
                page => page,
            }
        })
    }),
    Mutant::new("has one page of facts", &["SG-09"]).timeline(|inner, saga, after, limit| {
        Box::pin(async move {
            let mut page = inner.timeline(saga, after, limit).await?;
            page.next = None;
            Ok(page)
        })
    }),
    Mutant::new("begins each page of facts anew", &["SG-09"])
        .timeline(|inner, saga, _, limit| Box::pin(async move { inner.timeline(saga, None, limit).await })),
    Mutant::new("says of each start that it is the first", &["SG-03"]).start(|inner, start| {
        Box::pin(async move {
            let SagaStarted { saga, version, position, .. } = inner.start(start).await?;
            Ok(SagaStarted::new(saga, version, position))
        })
    }),
    Mutant::new("takes another input for the same", &["SG-03", "SG-08"]).start(|inner, start| {
        Box::pin(async move {
            match inner.start(start).await {
                Err(SagaError::StartedOtherwise(saga)) => Ok(SagaStarted::new(saga, 1, None).as_repeated()),
                started => started,
            }
        })
    }),
    Mutant::new("takes what is not found for an error of its own", &["SG-03"]).status(|status| {
        status.map_err(|error| match error {
            SagaError::NotFound(_) => SagaError::Other(Source::new("not found")),
            error => error,
        })
    }),
    Mutant::new("does not tell what it lacks", &["SG-08"]).summary(|summary| summary.lacks = None),
    Mutant::new("shows what cannot be undone as compensated", &["SG-01", "SG-05", "SG-09"]).summary(|summary| {
        if summary.status.phase == SagaPhase::NeedsOperator && summary.status.way == Some(SagaWay::Back) {
            summary.status.phase = SagaPhase::Compensated;
        }
    }),
    Mutant::new("does not say why it needs an operator", &["SG-05"]).summary(|summary| {
        if summary.status.phase == SagaPhase::NeedsOperator {
            summary.status.reason = None;
        }
    }),
    Mutant::new("is never overdue", &["SG-06"]).summary(|summary| summary.status.is_overdue = false),
    Mutant::new("does not tell until when it waits", &["SG-06"]).summary(|summary| summary.status.due = None),
    Mutant::new("describes the newest alone", &["SG-08"])
        .described(|described| described.retain(|info| info.version == 2)),
    Mutant::new("tells no intents", &["SG-01", "SG-06", "SG-07", "SG-08", "SG-09"]).timeline(
        |inner, saga, after, limit| {
            Box::pin(async move {
                let mut page = inner.timeline(saga, after, limit).await?;
                page.facts.retain(|fact| &*fact.event_type != "$saga.begun");
                Ok(page)
            })
        },
    ),
];
