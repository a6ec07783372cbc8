//! Registries that do something else, or nothing.

use crate::registry::{Answer, Inner, Mutant};
use portolan_kernel::ports::{
    ProjectionAction as Action, ProjectionError, ProjectionState, RowsQuestion, Source, WaitError,
};
use portolan_kernel::values::Name;
use std::sync::Arc;

/// Does something else; `None`: nothing, and says that it is done.
fn instead(
    inner: Arc<Inner>,
    name: Name,
    action: Action,
    other: impl FnOnce(Action) -> Option<Action> + Send + 'static,
) -> Answer<()> {
    Box::pin(async move {
        match other(action) {
            Some(action) => inner.registry.act(name, action).await,
            None => Ok(()),
        }
    })
}

/// A registry that does nothing of this kind, and says that it is done.
macro_rules! without {
    ($name:literal, $breaks:expr, $kind:pat) => {
        Mutant::new($name, $breaks).act(|inner, name, action| {
            instead(inner, name, action, |action| (!matches!(action, $kind)).then_some(action))
        })
    };
}

pub const MUTANTS: &[Mutant] = &[
    without!("pauses nothing", &["PR-01"], Action::Pause),
    without!("resumes nothing", &["PR-01", "PR-03", "PR-04"], Action::Resume),
    without!("resets nothing", &["PR-01"], Action::Reset),
    without!("rebuilds nothing", &["PR-04"], Action::Rebuild),
    without!("cancels nothing", &["PR-04"], Action::CancelRebuild),
    without!("activates nothing", &["PR-04"], Action::Activate(_)),
    without!("never goes back to the newest version", &["PR-04"], Action::Activate(None)),
    without!("removes nothing", &["PR-04"], Action::Remove(_)),
    without!("retries nothing", &["PR-03"], Action::Retry(_)),
    without!("retries one alone", &["PR-03"], Action::Retry(None)),
    without!("drops nothing", &["PR-01", "PR-03"], Action::Drop(_)),
    Mutant::new("resumes only what was paused", &["PR-03"]).act(|inner, name, action| {
        Box::pin(async move {
            let status = inner.registry.status(name.clone()).await?;
            let goes_on = matches!(status.state, ProjectionState::Stopped { .. }) && action == Action::Resume;
            if goes_on { Ok(()) } else { inner.registry.act(name, action).await }
        })
    }),
    // The one that is asked about it keeps to it, and the others know of nothing.
    Mutant::new("pauses for itself alone", &["PR-01"])
        .act(|inner, name, action| {
            Box::pin(async move {
                if action == Action::Pause {
                    inner.kept.lock().unwrap().insert(name);
                    return Ok(());
                }
                if action == Action::Resume {
                    inner.kept.lock().unwrap().remove(&name);
                }
                inner.registry.act(name, action).await
            })
        })
        .status(|inner, status| {
            if inner.kept.lock().unwrap().contains(&status.name) {
                status.state = ProjectionState::Paused;
            }
        })
        .wait(|inner, name, position| {
            Box::pin(async move {
                if inner.kept.lock().unwrap().contains(&name) {
                    return Err(WaitError::Stopped { name, reason: "it is paused here".into() });
                }
                inner.registry.wait_for(name, position).await
            })
        }),
    Mutant::new("does not pause what is paused", &["PR-01"]).act(|inner, name, action| {
        Box::pin(async move {
            if action == Action::Pause && !inner.kept.lock().unwrap().insert(name.clone()) {
                return Err(ProjectionError::Invalid("it is paused".into()));
            }
            inner.registry.act(name, action).await
        })
    }),
    Mutant::new("shows no rows of what is paused", &["PR-01"])
        .act(|inner, name, action| {
            Box::pin(async move {
                match action {
                    Action::Pause => drop(inner.kept.lock().unwrap().insert(name.clone())),
                    Action::Resume => drop(inner.kept.lock().unwrap().remove(&name)),
                    _ => {}
                }
                inner.registry.act(name, action).await
            })
        })
        .rows(|inner, question: RowsQuestion| {
            Box::pin(async move {
                if inner.kept.lock().unwrap().contains(&question.projection) {
                    return Err(ProjectionError::NotReady(question.projection));
                }
                inner.registry.rows(question).await
            })
        }),
    Mutant::new("resets by a rebuild", &["PR-01"]).act(|inner, name, action| {
        instead(inner, name, action, |action| Some(if action == Action::Reset { Action::Rebuild } else { action }))
    }),
    Mutant::new("rebuilds by a reset", &["PR-04"]).act(|inner, name, action| {
        instead(inner, name, action, |action| Some(if action == Action::Rebuild { Action::Reset } else { action }))
    }),
    Mutant::new("retries by dropping", &["PR-03"]).act(|inner, name, action| {
        Box::pin(async move {
            let Action::Retry(which) = action else { return inner.registry.act(name, action).await };
            let parked = inner.registry.parked(name.clone(), None, 100).await?.events;
            for event in parked.iter().filter(|event| which.is_none_or(|which| which == event.position)) {
                inner.registry.act(name.clone(), Action::Drop(event.position)).await?;
            }
            Ok(())
        })
    }),
    Mutant::new("drops by retrying", &["PR-03"]).act(|inner, name, action| {
        instead(inner, name, action, |action| {
            Some(if let Action::Drop(position) = action { Action::Retry(Some(position)) } else { action })
        })
    }),
    Mutant::new("drops all that wait for the one", &["PR-03"]).act(|inner, name, action| {
        Box::pin(async move {
            if matches!(action, Action::Drop(_)) {
                for event in inner.registry.parked(name.clone(), None, 100).await?.events {
                    inner.registry.act(name.clone(), Action::Drop(event.position)).await?;
                }
            }
            inner.registry.act(name, action).await
        })
    }),
    Mutant::new("says that it has removed what cannot be", &["PR-04"]).act(|inner, name, action| {
        Box::pin(async move {
            match inner.registry.act(name, action).await {
                Err(ProjectionError::Invalid(_) | ProjectionError::NotFound { .. })
                    if matches!(action, Action::Remove(_)) =>
                {
                    Ok(())
                }
                acted => acted,
            }
        })
    }),
    Mutant::new("takes what is not found for an error of its own", &["PR-01", "PR-04"]).act(|inner, name, action| {
        Box::pin(async move {
            inner.registry.act(name, action).await.map_err(|error| match error {
                ProjectionError::NotFound { .. } => ProjectionError::Other(Source::new("not found")),
                error => error,
            })
        })
    }),
];
