//! Deciding by a model: fold what a query chooses, decide, append under a guard, and again when the guard fails.

use super::appending::{told, unless_busy};
use super::execution::{Execution, busy, check, no_name};
use super::loading::LoadError;
use super::order::Order;
use crate::domain::{Command, DecisionModel, Event, Rejection};
use crate::ports::{AppendError, CommandError, Receipt, Source};
use crate::values::{Guard, Item, Position, Query, Read, Revision, StreamId};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::type_name;

/// How many events a page of a fold asks for.
const PAGE: u32 = 1_000;

/// A model's state, and how far it has been folded.
struct Folded<M> {
    state: M,
    query: Query,
    /// The frontier of the last read: no event at or below it is missing from the state.
    frontier: Option<Position>,
    /// The last event folded.
    last: Option<(StreamId, Revision)>,
}

impl Execution {
    /// As [`execute`](Self::execute), for a command that a model decides.
    pub(super) async fn execute_model<M: DecisionModel>(
        &self,
        command: &M::Command,
        order: &Order<'_>,
    ) -> Result<Receipt, CommandError> {
        let query = M::query(command).map_err(|error| no_name(command.validate(), &error))?;
        // Equal commands have equal queries: concurrent duplicates meet here too.
        let _turns = self.turns().take_all(&contended(&query)).await.map_err(busy)?;
        if let Some(receipt) = self.recall(order).await? {
            return Ok(receipt);
        }
        check(command)?;
        match self.model_decides::<M>(command, query, order).await {
            // A duplicate elsewhere may have taken effect since, and changed the state that now rejects.
            Err(rejected @ CommandError::Rejected { .. }) => self.recall(order).await?.ok_or(rejected),
            outcome => outcome,
        }
    }

    async fn model_decides<M: DecisionModel>(
        &self,
        command: &M::Command,
        query: Query,
        order: &Order<'_>,
    ) -> Result<Receipt, CommandError> {
        let mut conflicts = self.backoff(self.options().conflicts);
        let mut folded = Folded { state: M::start(command), query, frontier: None, last: None };
        self.fold(&mut folded).await?;
        loop {
            let decided =
                folded.state.decide(command, &order.context(self.clock())).map_err(|rejection| rejection.to_error())?;
            if decided.is_empty() && order.key.is_none() {
                return Ok(order.nothing(Vec::new()));
            }
            let streams = decided.iter().map(stream_of::<M>).collect::<Result<Vec<_>, _>>()?;
            let make = || {
                let (append, ids) = order.append(decided.iter().zip(streams.iter().cloned()))?;
                Ok((append.guard(Guard::new(folded.query.clone(), folded.frontier)), ids))
            };
            let (append, ids) = make()?;
            match self.append(append, || make().map(|(append, _)| append), order).await {
                Ok(appended) if appended.repeated => return order.original(appended),
                Ok(appended) => return Ok(order.receipt(appended, ids)),
                Err(AppendError::GuardFailed { .. }) => {
                    let again = conflicts.pause().await;
                    self.fold(&mut folded).await?;
                    if !again {
                        return Err(given_up(folded.last, streams));
                    }
                    order.progress.retried();
                }
                Err(other) => return Err(told(other)),
            }
        }
    }

    /// Folds what the query chooses and the state does not have yet.
    async fn fold<M: DecisionModel>(&self, folded: &mut Folded<M>) -> Result<(), LoadError> {
        let mut busy = self.while_busy();
        let mut read = Read::log_after(folded.query.clone(), folded.frontier).limit(PAGE);
        loop {
            let page = match self.loader().events().read(read.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    unless_busy(error.into(), &mut busy).await?;
                    continue;
                }
            };
            for recorded in &page.events {
                let decoded = self.loader().upcasters().decode::<M::Event>(recorded, M::on_unknown());
                let decoded = decoded.map_err(LoadError::Decode)?;
                decoded.events.iter().for_each(|event| folded.state.evolve(event));
                folded.last = Some((recorded.stream.clone(), recorded.revision));
            }
            match page.next {
                Some(next) => read = next,
                None => {
                    folded.frontier = page.frontier;
                    return Ok(());
                }
            }
        }
    }
}

/// The stream that the event joins, which is one of the events' category.
fn stream_of<M: DecisionModel>(event: &M::Event) -> Result<StreamId, CommandError> {
    let stream = M::stream(event).map_err(|error| CommandError::Other(Source::new(error)))?;
    if stream.category() != M::Event::CATEGORY {
        let (model, event, category, own) =
            (type_name::<M>(), event.event_type(), stream.category(), M::Event::CATEGORY);
        return Err(CommandError::Other(Source::new(format!(
            "{model} puts {event} into the stream {stream} of category {category}, and its events are of category {own}"
        ))));
    }
    Ok(stream)
}

/// What the query is contended for by: each of its tags; for an item without tags its streams, else its categories,
/// else its types, else everything.
fn contended(query: &Query) -> Vec<String> {
    let everything = [Item::new()];
    let items = if query.any_of.is_empty() { &everything[..] } else { &query.any_of };
    let mut names = Vec::new();
    for item in items {
        if !item.tags.is_empty() {
            names.extend(item.tags.iter().map(|tag| format!("tag {tag}")));
        } else if !item.streams.is_empty() {
            // As an aggregate's commands do.
            names.extend(item.streams.iter().map(|stream| String::from(stream.as_str())));
        } else if !item.categories.is_empty() {
            names.extend(item.categories.iter().map(|category| format!("category {category}")));
        } else if !item.types.is_empty() {
            names.extend(item.types.iter().map(|event_type| format!("type {event_type}")));
        } else {
            names.push("everything".into());
        }
    }
    names
}

/// A conflict names a stream: that of the newest event in the way, or one that would have been written.
fn given_up(last: Option<(StreamId, Revision)>, streams: Vec<StreamId>) -> CommandError {
    match (last, streams.into_iter().next()) {
        (Some((stream, revision)), _) => CommandError::Conflict { stream, actual: Some(revision) },
        (None, Some(stream)) => CommandError::Conflict { stream, actual: None },
        (None, None) => CommandError::Busy(Source::new("what the decision depends on kept changing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: &str) -> T {
        T::try_from(text).unwrap()
    }

    #[rstest]
    #[case::all(Query::all(), &["everything"])]
    #[case::tags(Query::of(Item::new().event_type(name("t")).tag(name("a"))).or(Item::new().tag(name("b"))), &["tag a", "tag b"])]
    #[case::stream(Query::stream(name("s-1")), &["s-1"])]
    #[case::category(Query::of(Item::new().category(name("s")).event_type(name("t"))), &["category s"])]
    #[case::event_type(Query::of(Item::new().event_type(name("t"))), &["type t"])]
    fn a_query_is_contended_for_by_what_is_narrowest(#[case] query: Query, #[case] names: &[&str]) {
        assert_eq!(contended(&query), names);
    }
}
