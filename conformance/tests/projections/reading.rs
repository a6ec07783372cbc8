//! Registries that answer with other rows, or other parked events.

use crate::registry::{Answer, Inner, Mutant};
use portolan_kernel::ports::{ParkedPage, ProjectionError, RowsAnswer, RowsQuestion, WhichRows};
use portolan_kernel::values::{Direction, Edition, Position};
use std::sync::Arc;

/// Asks another question.
fn asking(
    inner: Arc<Inner>,
    mut question: RowsQuestion,
    change: impl FnOnce(&mut RowsQuestion) + Send + 'static,
) -> Answer<RowsAnswer> {
    change(&mut question);
    Box::pin(async move { inner.registry.rows(question).await })
}

/// Tells another page of parked events than there is.
fn page(
    inner: Arc<Inner>,
    name: portolan_kernel::values::Name,
    after: Option<Position>,
    limit: u32,
    change: impl FnOnce(&mut ParkedPage) + Send + 'static,
) -> Answer<ParkedPage> {
    Box::pin(async move {
        let mut page = inner.registry.parked(name, after, limit).await?;
        change(&mut page);
        Ok(page)
    })
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("prefers no version", &["PR-04"])
        .rows(|inner, question| asking(inner, question, |question| question.prefer = None)),
    Mutant::new("answers before rows are there", &["PR-01", "PR-06"])
        .rows(|inner, question| asking(inner, question, |question| question.at_least = None)),
    Mutant::new("knows one direction", &["PR-01"]).rows(|inner, question| {
        asking(inner, question, |question| {
            if let WhichRows::Page { direction, .. } = &mut question.rows {
                *direction = Direction::Forward;
            }
        })
    }),
    Mutant::new("has pages of any size", &["PR-01", "PR-02", "PR-04"]).rows(|inner, question| {
        asking(inner, question, |question| {
            if let WhichRows::Page { limit, .. } = &mut question.rows {
                *limit = 100;
            }
        })
    }),
    Mutant::new("has one page alone", &["PR-01", "PR-02", "PR-04"]).rows(|inner, question| {
        Box::pin(async move {
            let mut answer = inner.registry.rows(question).await?;
            answer.next = None;
            Ok(answer)
        })
    }),
    Mutant::new("begins each page with the row before", &["PR-01", "PR-02", "PR-04"]).rows(|inner, question| {
        Box::pin(async move {
            let mut answer = inner.registry.rows(question).await?;
            if answer.next.is_some() && answer.rows.len() > 1 {
                let shorter = answer.rows.len() - 1;
                let last = answer.rows[shorter - 1].key.clone();
                answer.next = answer.next.map(|mut next| {
                    next.key = last;
                    next
                });
            }
            Ok(answer)
        })
    }),
    Mutant::new("goes on in the edition that is read now", &["PR-04"]).rows(|inner, question| {
        Box::pin(async move {
            let read = inner.registry.status(question.projection.clone()).await?.edition;
            asking(inner, question, move |question| {
                if let (WhichRows::Page { after: Some(cursor), .. }, Some(read)) = (&mut question.rows, read) {
                    cursor.version = read.to_stored();
                }
            })
            .await
        })
    }),
    Mutant::new("begins anew where a listing is gone", &["PR-04"]).rows(|inner, question| {
        Box::pin(async move {
            match inner.registry.rows(question.clone()).await {
                Err(ProjectionError::Gone { .. }) => inner.registry.rows(question.after(None)).await,
                answer => answer,
            }
        })
    }),
    Mutant::new("says that the first edition answers", &["PR-01", "PR-04"]).rows(|inner, question| {
        Box::pin(async move {
            let mut answer = inner.registry.rows(question).await?;
            answer.collection.version = Edition::first(answer.edition().version).to_stored();
            Ok(answer)
        })
    }),
    Mutant::new("takes a missing index for one without rows", &["PR-01"]).rows(|inner, question| {
        Box::pin(async move {
            let any = RowsQuestion::keys(question.projection.clone(), Vec::new());
            match inner.registry.rows(question).await {
                Err(ProjectionError::Invalid(_)) => inner.registry.rows(any).await,
                answer => answer,
            }
        })
    }),
    Mutant::new("tells nothing of what is parked", &["PR-03"])
        .parked(|inner, name, after, limit| page(inner, name, after, limit, |page| *page = ParkedPage::default())),
    Mutant::new("tells the last parked event first", &["PR-03"])
        .parked(|inner, name, after, limit| page(inner, name, after, limit, |page| page.events.reverse())),
    Mutant::new("has one page of parked events", &["PR-03"])
        .parked(|inner, name, after, limit| page(inner, name, after, limit, |page| page.next = None)),
    Mutant::new("begins each page of parked events anew", &["PR-03"])
        .parked(|inner, name, _, limit| page(inner, name, None, limit, |_| {})),
    Mutant::new("tells more parked events than are asked for", &["PR-03"])
        .parked(|inner, name, after, _| page(inner, name, after, 100, |_| {})),
    Mutant::new("does not tell the key that waits", &["PR-03"]).parked(|inner, name, after, limit| {
        page(inner, name, after, limit, |page| page.events.iter_mut().for_each(|event| event.key = None))
    }),
    Mutant::new("does not tell why events are parked", &["PR-03"]).parked(|inner, name, after, limit| {
        page(inner, name, after, limit, |page| page.events.iter_mut().for_each(|event| event.reason.clear()))
    }),
];
