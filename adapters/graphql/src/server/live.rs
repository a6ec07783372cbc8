//! Subscriptions: events after a position, and a row of a projection whenever it changes.

use super::call::{Arguments, Call};
use super::commands::position;
use super::context::{App, Context};
use super::events::{formed, query};
use super::rows::{self, Table};
use super::store::json;
use super::tail::Ends;
use crate::wire::errors::of_subscription;
use crate::wire::event::WireEvent;
use crate::wire::problem::Problem;
use core::time::Duration;
use futures::stream::{self, BoxStream, StreamExt as _};
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::{FormedDelivery, FormedSubscription, From, SubscribeError};
use portolan_kernel::values::{Position, Query, RowKey};
use serde_json::{Value, json as object};
use std::sync::Arc;
use tokio::time::Instant;

/// What a subscription answers with, as often as there is something.
pub(super) type Live = BoxStream<'static, Result<Value, Problem>>;

/// What a delivery is, as `DeliveryKind` of the schema has it.
pub(super) const KINDS: [(&str, &str); 4] = [
    ("EVENT", "An event that matches."),
    ("PROGRESS", "Everything up to the position has been delivered or does not match."),
    ("CAUGHT_UP", "All that was there has been delivered; what follows is live."),
    ("FELL_BEHIND", "The subscriber was too slow, and reads from the store again. Nothing is lost."),
];

/// Begins a subscription. A start that is wrong is an error here, and not one in the middle.
pub(super) async fn subscribe(call: &Call, context: &Context, mut given: Arguments) -> Result<Live, Problem> {
    match call {
        Call::Stream => {
            let query = Query::stream(given.required("id")?);
            events(context, query, given).await
        }
        Call::Events => {
            let query = query(&mut given)?;
            events(context, query, given).await
        }
        Call::Row(table) => {
            let key = given.required("key")?;
            Ok(row(context, table.clone(), key))
        }
        _ => Err(Problem::wrong("", "wrong-value", "this is no subscription")),
    }
}

async fn events(context: &Context, query: Query, mut given: Arguments) -> Result<Live, Problem> {
    let after = position(&mut given, "after")?;
    let from = match (after, given.flag("fromNow")) {
        (Some(after), false) => From::After(after),
        (None, false) => From::Beginning,
        (None, true) => From::Now,
        (Some(_), true) => {
            return Err(Problem::wrong("fromNow", "contradiction", "it begins after a position, or now"));
        }
    };
    let formed = formed(context, &mut given)?;
    let mut subscription = formed.subscribe(query, from);
    let first = tokio::select! {
        first = subscription.next() => first,
        () = context.app.stopping() => None,
    };
    let first = match first {
        Some(Ok(delivery)) => delivery,
        Some(Err(error)) => return Err(of_subscription(&error)),
        None => return Err(Problem::new("shutting-down", "the server is shutting down")),
    };
    let events = Events {
        app: context.app.clone(),
        subscription,
        first: Some(first),
        form: formed.form(),
        passed: None,
        progress_due: Instant::now(),
        states: given.flag("states"),
        ended: false,
    };
    Ok(stream::unfold(events, Events::next).boxed())
}

struct Events {
    app: Arc<App>,
    subscription: FormedSubscription,
    first: Option<FormedDelivery>,
    form: EventForm,
    /// How far the log has come past what does not match, where the client has not been told yet.
    passed: Option<Position>,
    /// When it may be told next.
    progress_due: Instant,
    /// Whether the client wants more than events.
    states: bool,
    ended: bool,
}

impl Events {
    /// What the client is told next. It is made when the connection has room for it, and not before: a slow reader holds
    /// up itself alone.
    async fn next(mut self) -> Option<(Result<Value, Problem>, Self)> {
        while !self.ended {
            match self.delivery().await? {
                Ok(delivery) => {
                    if let Some(told) = self.told(&delivery) {
                        return Some((Ok(told), self));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some((Err(of_subscription(&error)), self));
                }
            }
        }
        None
    }

    async fn delivery(&mut self) -> Option<Result<FormedDelivery, SubscribeError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        loop {
            // With every commit, each idle subscriber hears how far the log has come; of what came within a while only
            // the last is passed on.
            tokio::select! {
                biased;
                () = self.app.stopping() => return None,
                () = tokio::time::sleep_until(self.progress_due), if self.passed.is_some() => {
                    self.progress_due = Instant::now() + self.app.config.live_progress;
                    if let Some(position) = self.passed.take() {
                        return Some(Ok(FormedDelivery::Progress(position)));
                    }
                }
                delivery = self.subscription.next() => match delivery? {
                    Ok(FormedDelivery::Progress(position)) if self.states => self.passed = Some(position),
                    Ok(FormedDelivery::Progress(_)) => {}
                    other => {
                        self.passed = None;
                        return Some(other);
                    }
                },
            }
        }
    }

    fn told(&self, delivery: &FormedDelivery) -> Option<Value> {
        let at = |position: &Position| position.to_string();
        let (kind, position, event) = match delivery {
            FormedDelivery::Event { event, resume } => {
                ("EVENT", resume.as_ref().map(at), json(&WireEvent::formed(event, self.form)))
            }
            _ if !self.states => return None,
            FormedDelivery::Progress(position) => ("PROGRESS", Some(at(position)), Value::Null),
            FormedDelivery::CaughtUp(position) => ("CAUGHT_UP", position.as_ref().map(at), Value::Null),
            FormedDelivery::FellBehind => ("FELL_BEHIND", None, Value::Null),
            _ => return None,
        };
        Some(object!({ "kind": kind, "position": position, "event": event }))
    }
}

fn row(context: &Context, table: Arc<Table>, key: RowKey) -> Live {
    let ends = context.app.tail.watch();
    let watched = Watched { context: context.clone(), table, key, ends, sent: None, ended: false };
    stream::unfold(watched, Watched::next).boxed()
}

struct Watched {
    context: Context,
    table: Arc<Table>,
    key: RowKey,
    ends: Ends,
    /// The row as the client has it; `None` before the first.
    sent: Option<Value>,
    ended: bool,
}

impl Watched {
    /// The row as soon as it is another than the client has.
    async fn next(mut self) -> Option<(Result<Value, Problem>, Self)> {
        let patience = self.context.app.config.live_rows;
        while !self.ended {
            if self.sent.is_some() {
                tokio::select! {
                    biased;
                    () = self.context.app.stopping() => return None,
                    // An error is the end of the task behind it, after which the log is looked at now and then.
                    _ = self.ends.changed() => {}
                    // Rows change without an event too: when another edition is activated.
                    () = tokio::time::sleep(patience) => {}
                }
                self.applied(patience).await;
            }
            match rows::one(&self.context, &self.table, self.key.clone(), None).await {
                Ok(row) if self.sent.as_ref() != Some(&row) => {
                    self.sent = Some(row.clone());
                    return Some((Ok(row), self));
                }
                Ok(_) => {}
                Err(problem) if problem.code == "busy" => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(problem) => {
                    self.ended = true;
                    return Some((Err(problem), self));
                }
            }
        }
        None
    }

    /// Waits until what has come is in the rows. A projection that does not move is looked at later.
    async fn applied(&mut self, patience: Duration) {
        let Some(end) = *self.ends.borrow_and_update() else { return };
        let applied = self.context.ports.projections.wait_for(self.table.projection.clone(), end);
        let _ = tokio::time::timeout(patience, applied).await;
    }
}
