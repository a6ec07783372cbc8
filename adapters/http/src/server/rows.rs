//! Rows of a projection: those of keys, a page by key, one; and any question of the port, whole.

use super::admission::Guest;
use super::projections::{Version, page_limit};
use super::request::{Captured, CapturedTwo, Parameters, Patience, Request, at_least, checked, json_body, named, two};
use super::streams::Way;
use super::{App, json, shutting_down};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::projection_errors::{behind, no_such_row};
use crate::wire::row_objects::{RowObject, RowObjects};
use crate::wire::rows::{Opaque, WireRowsAnswer, WireRowsQuestion};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use core::ops::Bound;
use core::time::Duration;
use portolan_kernel::application::Admitted;
use portolan_kernel::ports::{ProjectionError, ProjectionRegistry as _, RowsAnswer, RowsQuestion, Source};
use portolan_kernel::values::{By, Direction, Name, RowKey};
use std::sync::Arc;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let keys: Vec<RowKey> = parameters.all("keys")?;
    let mut question = if keys.is_empty() {
        let (from, to) = (parameters.one("from")?, parameters.one("to")?);
        let by = match (parameters.one("prefix")?, from, to) {
            (Some(prefix), None, None) => By::prefix(prefix),
            (None, from, to) => {
                By::Key(from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded))
            }
            _ => return Err(Problem::wrong("prefix", "contradiction", "it stands in place of `from` and `to`")),
        };
        let mut page = Page::of(&app, &mut parameters)?;
        if page.after.as_ref().is_some_and(|Opaque(cursor)| !cursor.values.is_empty()) {
            return Err(other_cursor());
        }
        page.question(name.clone(), by)
    } else {
        RowsQuestion::keys(name.clone(), keys)
    };
    question.prefer = parameters.one("version")?.map(|Version(version)| version);
    parameters.finish()?;
    let headers = &parts.headers;
    answered(&app, &guest, headers, &name, async |asking| json(&RowObjects::new(&asking.ask(question).await?))).await
}

/// The cursor is of a page that was asked for otherwise.
pub(super) fn other_cursor() -> Problem {
    Problem::wrong("cursor", "wrong-value", "it is of a page in another order; begin again without a cursor")
}

/// Which part of the rows a page has.
pub(super) struct Page {
    pub(super) limit: u32,
    pub(super) direction: Direction,
    pub(super) after: Option<Opaque>,
}

impl Page {
    pub(super) fn of(app: &App, parameters: &mut Parameters) -> Result<Self, Problem> {
        let limit = page_limit(app, parameters)?;
        let direction = parameters.one("direction")?.map_or(Direction::Forward, |Way(direction)| direction);
        Ok(Self { limit, direction, after: parameters.one("cursor")? })
    }

    pub(super) fn question(&mut self, projection: Name, by: By) -> RowsQuestion {
        let after = self.after.clone().map(|Opaque(cursor)| cursor);
        let question = RowsQuestion::page(projection, by).limit(self.limit).after(after);
        match self.direction {
            Direction::Forward => question,
            Direction::Backward => question.backward(),
        }
    }
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    path: CapturedTwo,
    request: Request,
) -> Result<Response, Problem> {
    let (name, key): (Name, _) = two("name", path)?;
    let key: RowKey = checked("key", &key)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let mut question = RowsQuestion::keys(name.clone(), vec![key.clone()]);
    question.prefer = parameters.one("version")?.map(|Version(version)| version);
    parameters.finish()?;
    answered(&app, &guest, &parts.headers, &name, async |asking| {
        let answer = asking.ask(question).await?;
        json(&RowObject::new(&answer, &key).ok_or_else(|| no_such_row(&name, &key))?)
    })
    .await
}

pub(super) async fn whole(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    let question = from_json::<WireRowsQuestion>(&body)?.decode(name.clone());
    let headers = &parts.headers;
    answered(&app, &guest, headers, &name, async |asking| json(&WireRowsAnswer::new(&asking.ask(question).await?)))
        .await
}

/// Questions of one request, which wait for the position that it names.
pub(super) struct Asking<'a> {
    app: &'a App,
    guest: &'a Admitted,
    at_least: Option<portolan_kernel::values::Position>,
}

impl Asking<'_> {
    pub(super) async fn ask(&self, question: RowsQuestion) -> Result<RowsAnswer, Problem> {
        let answer = self.guest.ports.projections.rows(question.at_least(self.at_least));
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|error| error.to_problem()),
            // Who waits for a position does not hold a shutdown up.
            () = self.app.stopping(), if self.at_least.is_some() => Err(shutting_down()),
        }
    }
}

/// The answer to a request, in the time it has: what `Request-Timeout` or `Prefer: wait` says, and 10 seconds if it waits for
/// a position and says nothing.
pub(super) async fn answered(
    app: &App,
    guest: &Admitted,
    headers: &HeaderMap,
    projection: &Name,
    work: impl AsyncFnOnce(Asking<'_>) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    const USUAL: Duration = Duration::from_secs(10);
    let at_least = at_least(headers)?;
    let patience = Patience::of(app, headers)?.or(at_least.map(|_| USUAL));
    let late = || match at_least {
        Some(position) => behind(projection, position),
        None => ProjectionError::Busy(Source::new("the deadline passed")).to_problem(),
    };
    patience.answer(work(Asking { app, guest, at_least }), late).await
}
