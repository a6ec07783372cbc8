//! For people: `GET /streams/{id}` and `GET /events`, a page each, in either form; `POST /streams/{id}`, an append to one
//! stream.

use super::admission::Guest;
use super::commands::receipt_response;
use super::request::{Captured, Parameters, Request, etag, idempotency_key, is_known, json_body, named, text};
use super::{App, json};
use super::{id, live};
use crate::wire::append::contradiction;
use crate::wire::errors::PortError as _;
use crate::wire::event::{WireNew, WireRecorded};
use crate::wire::problem::Problem;
use crate::wire::read::PersonsPage;
use crate::wire::text::{At, ESCAPED, digits};
use crate::wire::{from_json, object};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::utf8_percent_encode;
use portolan_kernel::application::Admitted;
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::{FormedEvents, FormedPage, key_scope};
use portolan_kernel::ports::{AppendError, Caller, Receipt, Source};
use portolan_kernel::values::{
    Append, Direction, Expected, IdempotencyKey, Item, NewEvent, Query, Read, Revision, Start, StreamId,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A revision as a parameter.
struct After(Revision);

impl core::str::FromStr for After {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        digits(text).map(|number| Self(Revision::new(number))).ok_or("a revision is a number from 0")
    }
}

/// `form`: as events are stored, or as what they have become.
fn formed(guest: &Admitted, parameters: &mut Parameters) -> Result<FormedEvents, Problem> {
    let form = parameters.one("form")?.unwrap_or_default();
    guest.ports.in_form(form).ok_or_else(|| {
        let detail = "this server does not know what stored events have become, as the application is elsewhere; ask there, \
                      or for `form=stored`";
        Problem::new(StatusCode::NOT_IMPLEMENTED, "no-current-form", detail)
    })
}

pub(super) struct Limit(pub(super) u32);

impl core::str::FromStr for Limit {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = digits(text).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Self).ok_or("a limit is a number from 1 to 4294967295")
    }
}

pub(super) struct Way(pub(super) Direction);

impl core::str::FromStr for Way {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "forward" => Ok(Self(Direction::Forward)),
            "backward" => Ok(Self(Direction::Backward)),
            _ => Err("a direction is `forward` or `backward`"),
        }
    }
}

/// `type` and `stream` and `category`: any of those given; `tag`: all of them.
fn filter(parameters: &mut Parameters) -> Result<Item, Problem> {
    let mut item = Item::new();
    item.types = parameters.all("type")?;
    item.tags = parameters.all("tag")?;
    item.categories = parameters.all("category")?;
    item.streams = parameters.all("stream")?;
    Ok(item)
}

fn paged(app: &App, read: Read, parameters: &mut Parameters) -> Result<Read, Problem> {
    let limit = parameters.one::<Limit>("limit")?.map_or(Read::DEFAULT_LIMIT, |Limit(limit)| limit);
    let read = read.limit(limit.min(app.config.page_events).max(1)).until(parameters.one("until")?.map(|At(at)| at));
    Ok(match parameters.one("direction")? {
        Some(Way(Direction::Backward)) => read.backward(),
        _ => read,
    })
}

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    id: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let id: StreamId = named("id", id)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let after = parameters.one::<After>("after")?.map(|After(after)| after);
    let formed = formed(&guest, &mut parameters)?;
    if live::is_wanted(&parts.headers) {
        return live::stream(app, &guest, &formed, id, after, parameters, &parts.headers).await;
    }
    let read = paged(&app, Read::stream_after(id.clone(), after), &mut parameters)?;
    parameters.finish()?;
    let page = formed.read(read).await.map_err(|error| error.to_problem())?;
    let Some(revision) = page.stored.revision else {
        let missing = Problem::new(StatusCode::NOT_FOUND, "no-such-stream", format!("there is no stream {id}"));
        return Err(missing.with("stream", id.as_str()));
    };
    // What events have become changes with the application too, which no revision tells.
    if formed.form() == EventForm::Current {
        return persons_page(&page, EventForm::Current);
    }
    let mut response = if is_known(&parts.headers, revision) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        persons_page(&page, EventForm::Stored)?
    };
    if let Ok(tag) = HeaderValue::from_str(&etag(revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let after = parameters.one::<At>("after")?.map(|At(after)| after);
    let query = Query::of(filter(&mut parameters)?);
    let formed = formed(&guest, &mut parameters)?;
    if live::is_wanted(&parts.headers) {
        return live::events(app, &guest, &formed, query, after, parameters, &parts.headers).await;
    }
    let read = paged(&app, Read::log_after(query, after), &mut parameters)?;
    parameters.finish()?;
    let page = formed.read(read).await.map_err(|error| error.to_problem())?;
    persons_page(&page, formed.form())
}

fn persons_page(FormedPage { events, stored, .. }: &FormedPage, form: EventForm) -> Result<Response, Problem> {
    json(&PersonsPage {
        events: events.iter().map(|event| WireRecorded::formed(event, form)).collect(),
        next: stored.next.as_ref().map(|next| link(next, form)).transpose()?,
        at_frontier: stored.next.is_none(),
    })
}

/// The path of a page, with everything it needs to be the same read.
fn link(read: &Read, form: EventForm) -> Result<String, Problem> {
    let mut parameters: Vec<(&str, String)> = Vec::new();
    let path = match &read.from {
        Start::Stream(id, after) => {
            parameters.extend(after.map(|after| ("after", after.to_string())));
            format!("/streams/{}", utf8_percent_encode(id, ESCAPED))
        }
        Start::Log(query, after) if query.any_of.len() <= 1 && !query.system => {
            for item in &query.any_of {
                parameters.extend(item.types.iter().map(|name| ("type", name.to_string())));
                parameters.extend(item.tags.iter().map(|name| ("tag", name.to_string())));
                parameters.extend(item.categories.iter().map(|name| ("category", name.to_string())));
                parameters.extend(item.streams.iter().map(|name| ("stream", name.to_string())));
            }
            parameters.extend(after.map(|after| ("after", after.to_string())));
            "/events".to_owned()
        }
        _ => {
            let odd = "the store continues the page with a read of another kind";
            return Err(AppendError::Other(Source::new(odd)).to_problem());
        }
    };
    parameters.push(("limit", read.limit.to_string()));
    parameters.extend((read.direction == Direction::Backward).then(|| ("direction", "backward".to_owned())));
    parameters.extend(read.until.map(|until| ("until", until.to_string())));
    parameters.extend((form != EventForm::Stored).then(|| ("form", form.to_string())));
    let pair = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, ESCAPED));
    Ok(format!("{path}?{}", parameters.iter().map(pair).collect::<Vec<_>>().join("&")))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Events<'a> {
    #[serde(borrow, deserialize_with = "object::list")]
    events: Vec<WireNew<'a>>,
}

pub(super) async fn append(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    stream: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let stream: StreamId = named("id", stream)?;
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    let key = idempotency_key(&parts.headers)?;
    let expected = expected(&parts.headers)?;
    let events = from_json::<Events<'_>>(&body)?.events;
    let with_ids: Vec<bool> = events.iter().map(|event| event.id.is_some()).collect();
    let decode =
        |(at, event): (usize, WireNew<'_>)| event.decode(Some(&stream)).map_err(|wrong| contradiction(at, &wrong));
    let mut events = events.into_iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()?;

    let digest = digest(&guest.caller, &stream, &events)?;
    for (at, event) in events.iter_mut().enumerate().filter(|(at, _)| !with_ids.get(*at).copied().unwrap_or(false)) {
        event.id = match &key {
            Some(key) => id::derived(key, digest, at),
            None => id::fresh().map_err(|error| AppendError::Busy(Source::new(error.to_string())).to_problem())?,
        };
    }
    let ids = events.iter().map(|event| event.id).collect();

    let mut append = Append::new(events);
    if let Some(expected) = expected {
        append = append.expect(stream, expected);
    }
    if let Some(key) = key {
        // Different tenants have different keys.
        let scope = key_scope("POST /streams", guest.caller.tenant.as_deref());
        append = append.key(IdempotencyKey::new(scope, key, digest));
    }
    let appended = guest.ports.events.append(append).await.map_err(|error| match error {
        // The condition came in a header, so that its failure is a failed precondition.
        conflict @ AppendError::Conflict { .. } => {
            Problem { status: StatusCode::PRECONDITION_FAILED, ..conflict.to_problem() }
        }
        other => other.to_problem(),
    })?;
    receipt_response(&Receipt::new(appended.streams, appended.last, ids, appended.repeated))
}

/// `If-Match: "n"`: exactly this revision; `If-Match: *`: an existing stream; `If-None-Match: *`: no stream.
fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    let wrong = |header, message: &str| Err(Problem::wrong(header, "wrong-value", message));
    match (text(headers, "If-Match")?.as_deref(), text(headers, "If-None-Match")?.as_deref()) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Expected::StreamExists)),
        (None, Some("*")) => Ok(Some(Expected::NoStream)),
        (Some(tag), None) => {
            let number = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(digits);
            match number {
                Some(number) => Ok(Some(Expected::Exact(Revision::new(number)))),
                None => wrong("If-Match", "it is `*`, or one revision in quotes such as \"3\""),
            }
        }
        (None, Some(_)) => wrong("If-None-Match", "it can only be `*`"),
        (Some(_), Some(_)) => wrong("If-Match", "If-None-Match contradicts it; send one of the two"),
    }
}

/// A digest of what is asked: by whom, where he has a name or a tenant; the events, and where they go. The order of an
/// event's fields and white space between them do not count; within `data` and `metadata`, which are kept byte for byte,
/// they do.
fn digest(caller: &Caller, stream: &StreamId, events: &[NewEvent]) -> Result<[u8; 32], Problem> {
    let malformed = |error: serde_json::Error| Problem::malformed(error.to_string());
    let mut hash = Sha256::new();
    hash.update(stream.as_bytes());
    let mut part = |encoded: Vec<u8>| {
        hash.update((encoded.len() as u64).to_be_bytes());
        hash.update(encoded);
    };
    for event in events {
        part(serde_json::to_vec(&WireNew::new(event)).map_err(malformed)?);
    }
    // A list is no event. Ids derive from it all, so that those of two tenants differ as well.
    let Caller { tenant, actor, .. } = caller;
    if tenant.is_some() || actor.is_some() {
        part(serde_json::to_vec(&(tenant, actor)).map_err(malformed)?);
    }
    Ok(hash.finalize().into())
}
