//! The same two routes with `Accept: text/event-stream`: live, by server-sent events.
//!
//! A recorded event is a frame without `event:`, so that a browser's `onmessage` gets it. `event: caught-up` and
//! `event: fell-behind` tell of the state, `event: problem` of the error that ends the stream; a frame of only an
//! `id:` moves the place to resume from. `id:` is always a position. Of the several events that a stored one has become
//! only the last has one.

use super::App;
use super::admission::unauthenticated;
use super::request::{Parameters, checked, text};
use crate::wire::errors::{PortError as _, of_subscription};
use crate::wire::event::WireRecorded;
use crate::wire::problem::Problem;
use crate::wire::text::At;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use core::convert::Infallible;
use core::time::Duration;
use futures::stream::{self, StreamExt as _};
use portolan_kernel::application::Admitted;
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::{FormedDelivery, FormedEvents, FormedSubscription, From, SubscribeError};
use portolan_kernel::values::{Position, Query, Read, Revision, StreamId, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Whether the client takes server-sent events and named them; with `q=0` it names what it does not take.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        let refused = |part: &str| {
            let (name, weight) = part.split_once('=').unwrap_or_default();
            name.eq_ignore_ascii_case("q") && weight.parse() == Ok(0.0_f32)
        };
        named && !parts.any(refused)
    })
}

/// The events of the stream, after a position (`Last-Event-ID`) or a revision (`after`), or from now
/// (`from=now`). The stream may be yet to come.
pub(super) async fn stream(
    app: Arc<App>,
    guest: &Admitted,
    formed: &FormedEvents,
    id: StreamId,
    after: Option<Revision>,
    parameters: Parameters,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let from = match (start(parameters, headers)?, after) {
        (Some(from), _) => from,
        (None, None) => From::Beginning,
        (None, Some(after)) => From::After(position_of(guest, &id, after).await?),
    };
    serve(app, guest, formed, Query::stream(id), from).await
}

/// The events that match, after a position (`Last-Event-ID`, or `after`), or from now (`from=now`).
pub(super) async fn events(
    app: Arc<App>,
    guest: &Admitted,
    formed: &FormedEvents,
    query: Query,
    after: Option<Position>,
    parameters: Parameters,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let from = start(parameters, headers)?.unwrap_or(after.map_or(From::Beginning, From::After));
    serve(app, guest, formed, query, from).await
}

/// `Last-Event-ID` comes first: it is what a client sends when it resumes with the URL it began with.
fn start(mut parameters: Parameters, headers: &HeaderMap) -> Result<Option<From>, Problem> {
    let from = parameters.one::<String>("from")?;
    parameters.finish()?;
    const RESUME: &str = "Last-Event-ID";
    let unusable = |problem| Problem { status: StatusCode::BAD_REQUEST, ..problem };
    if let Some(id) = text(headers, RESUME).map_err(unusable)?.filter(|id| !id.is_empty()) {
        let At(position) = checked(RESUME, &id).map_err(unusable)?;
        return Ok(Some(From::After(position)));
    }
    match from.as_deref() {
        None => Ok(None),
        Some("beginning") => Ok(Some(From::Beginning)),
        Some("now") => Ok(Some(From::Now)),
        Some(_) => Err(Problem::wrong("from", "wrong-value", "it is `beginning` or `now`")),
    }
}

async fn position_of(guest: &Admitted, id: &StreamId, revision: Revision) -> Result<Position, Problem> {
    let before = revision.get().checked_sub(1).map(Revision::new);
    let read = Read::stream_after(id.clone(), before).limit(1);
    let page = guest.ports.events.read(read).await.map_err(|error| error.to_problem())?;
    let event = page.events.first().filter(|event| event.revision == revision);
    event.map(|event| event.position).ok_or_else(|| {
        Problem::wrong(
            "after",
            "wrong-value",
            format!("{id} has no revision {revision}; its last is {:?}", page.revision),
        )
    })
}

async fn serve(
    app: Arc<App>,
    guest: &Admitted,
    formed: &FormedEvents,
    query: Query,
    from: From,
) -> Result<Response, Problem> {
    let mut subscription = formed.subscribe(query, from);
    // The first delivery is awaited, so that a start that is wrong is an answer and not a broken stream.
    let first = tokio::select! {
        first = subscription.next() => first,
        () = app.stopping() => None,
    };
    let first = match first {
        Some(Err(error)) => return Err(of_subscription(&error)),
        Some(Ok(delivery)) => Some(Ok(delivery)),
        None => {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "the server is shutting down"));
        }
    };
    let expires = guest.caller.until;
    let live = Live {
        app,
        subscription,
        first,
        is_within: false,
        form: formed.form(),
        passed: None,
        progress_due: Instant::now(),
        expires,
        ended: false,
    };
    let mut response = Sse::new(stream::unfold(live, Live::frame)).into_response();
    // Proxies that buffer would hold back what is live.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// How long the system's clock is not looked at: it can be set forward, and a host can sleep.
const LOOKS_EVERY: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// Ready at this moment of a clock that is looked at anew, so often at least; never without one.
async fn come(moment: Option<Timestamp>, every: Duration, now: impl Fn() -> Timestamp) {
    let Some(moment) = moment else { return core::future::pending().await };
    loop {
        match moment.as_micros().saturating_sub(now().as_micros()) {
            0 => return,
            left => tokio::time::sleep(Duration::from_micros(left).min(every)).await,
        }
    }
}

struct Live {
    app: Arc<App>,
    subscription: FormedSubscription,
    first: Option<Result<FormedDelivery, SubscribeError>>,
    /// Whether more follows of the stored event that was told of last.
    is_within: bool,
    form: EventForm,
    /// How far the log has come past what does not match, where the client has not been told yet.
    passed: Option<Position>,
    /// When it may be told next.
    progress_due: Instant,
    /// When the caller's credentials do.
    expires: Option<Timestamp>,
    ended: bool,
}

impl Live {
    /// The next frame. It is made when the connection has room for it, and not before: a slow reader holds up
    /// itself alone.
    async fn frame(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.ended {
            return None;
        }
        if !self.is_within && self.expires.is_some_and(|expires| expires <= now()) {
            return Some((Ok(self.last(&expired())), self));
        }
        let keep_alive = Instant::now() + self.app.config.live_keep_alive;
        let delivery = match self.first.take() {
            Some(first) => first,
            // What an event has become is told whole, whatever else there is.
            None if self.is_within => self.subscription.next().await?,
            None => loop {
                // With every commit, each idle subscriber hears how far the log has come. Many connections
                // would carry little else, so of what came within a while only the last is passed on.
                tokio::select! {
                    biased;
                    () = self.app.stopping() => return None,
                    () = come(self.expires, LOOKS_EVERY, now) => return Some((Ok(self.last(&expired())), self)),
                    () = tokio::time::sleep_until(self.progress_due), if self.passed.is_some() => {
                        self.progress_due = Instant::now() + self.app.config.live_progress;
                        if let Some(position) = self.passed.take() {
                            break Ok(FormedDelivery::Progress(position));
                        }
                    }
                    delivery = self.subscription.next() => match delivery? {
                        Ok(FormedDelivery::Progress(position)) => self.passed = Some(position),
                        other => break other,
                    },
                    () = tokio::time::sleep_until(keep_alive) => {
                        return Some((Ok(Event::default().comment("")), self));
                    }
                }
            },
        };
        // Whatever tells a position of its own tells more than the progress before it.
        if matches!(delivery, Ok(FormedDelivery::Event { resume: Some(_), .. } | FormedDelivery::CaughtUp(_))) {
            self.passed = None;
        }
        self.is_within = matches!(delivery, Ok(FormedDelivery::Event { resume: None, .. }));
        let event = match delivery {
            Ok(delivery) => frame_of(&delivery, self.form),
            Err(error) => Err(of_subscription(&error)),
        };
        let event = event.unwrap_or_else(|problem| self.last(&problem));
        Some((Ok(event), self))
    }

    /// The frame that says why there is no other after it.
    fn last(&mut self, problem: &Problem) -> Event {
        self.ended = true;
        problem.report();
        Event::default().event("problem").data(String::from_utf8_lossy(&problem.encode()))
    }
}

fn expired() -> Problem {
    unauthenticated("the credentials have expired; come back with new ones, after the last event")
}

fn frame_of(delivery: &FormedDelivery, form: EventForm) -> Result<Event, Problem> {
    let event = Event::default();
    Ok(match delivery {
        FormedDelivery::Event { event: formed, resume } => {
            let data = serde_json::to_string(&WireRecorded::formed(formed, form));
            let data = data.map_err(|error| Problem::malformed(error.to_string()))?;
            let event = event.data(data);
            match resume {
                Some(position) => event.id(position.to_string()),
                None => event,
            }
        }
        FormedDelivery::Progress(position) => event.id(position.to_string()),
        FormedDelivery::CaughtUp(position) => {
            let at = position.map(|position| position.to_string());
            let event = event.event("caught-up").data(json!({ "position": at }).to_string());
            match at {
                Some(at) => event.id(at),
                None => event,
            }
        }
        FormedDelivery::FellBehind => event.event("fell-behind").data("{}"),
        _ => event.comment("a delivery of a kind that has no form on this wire"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};

    const HOUR: u64 = 3_600_000_000;

    /// Over in a while; a moment that does not come is told by the end of the test's patience.
    async fn comes(moment: Option<Timestamp>, looks: &AtomicU64, clock: impl Fn(u64) -> u64) -> bool {
        let now = || Timestamp::from_micros(clock(looks.fetch_add(1, Ordering::Relaxed)));
        tokio::time::timeout(Duration::from_secs(2), come(moment, Duration::from_millis(1), now)).await.is_ok()
    }

    #[tokio::test]
    async fn a_clock_that_is_set_is_looked_at_again() {
        let noon = Some(Timestamp::from_micros(12 * HOUR));
        let set_forward = |looks| if looks < 3 { 11 * HOUR } else { 13 * HOUR };
        assert!(comes(noon, &AtomicU64::new(0), set_forward).await);
        assert!(comes(noon, &AtomicU64::new(0), |_| 12 * HOUR).await);
        for (moment, looked) in [(noon, true), (Some(Timestamp::from_micros(u64::MAX)), true), (None, false)] {
            let looks = AtomicU64::new(0);
            assert!(!comes(moment, &looks, |_| 12 * HOUR - 1_000_000_000).await, "{moment:?}");
            assert_eq!(looks.into_inner() > 2, looked, "{moment:?}");
        }
    }
}
