//! How projections stand.

use super::store::Span;
use super::text::{At, MaybeAt, Moment, Text, at, position};
use portolan_kernel::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionFailure, ProjectionState, ProjectionStatus,
};
use portolan_kernel::values::{Edition, Name, RowKey, StreamId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireStatus {
    name: Text<Name>,
    version: u16,
    lifecycle: WireLifecycle,
    state: WireState,
    reason: Option<String>,
    stalled_since: Option<Text<Moment>>,
    edition: Option<Text<Edition>>,
    position: MaybeAt,
    frontier: MaybeAt,
    lag_events: Text<u64>,
    lag_time: Text<Span>,
    events_per_second: Text<u64>,
    last_error: Option<WireFailure>,
    parked: Text<u64>,
    skipped: Text<u64>,
    editions: Vec<WireEdition>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum WireLifecycle {
    Asynchronous,
    Inline,
    InlineIfPossible,
    Live,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum WireState {
    CatchingUp,
    CaughtUp,
    Paused,
    Stopped,
    Stalled,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireFailure {
    at: Text<Moment>,
    position: MaybeAt,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEdition {
    edition: Text<Edition>,
    state: WireState,
    reason: Option<String>,
    stalled_since: Option<Text<Moment>>,
    is_active: bool,
    is_ready: bool,
    position: MaybeAt,
    holder: Option<Text<Name>>,
}

/// A state in its parts: which, why, since when.
fn parts(state: &ProjectionState) -> (WireState, Option<String>, Option<Text<Moment>>) {
    match state {
        ProjectionState::CaughtUp => (WireState::CaughtUp, None, None),
        ProjectionState::Paused => (WireState::Paused, None, None),
        ProjectionState::Stopped { reason } => (WireState::Stopped, Some(reason.clone()), None),
        ProjectionState::Stalled { since } => (WireState::Stalled, None, Some(Text(Moment(*since)))),
        _ => (WireState::CatchingUp, None, None),
    }
}

fn state(state: WireState, reason: Option<String>, since: Option<Text<Moment>>) -> ProjectionState {
    match state {
        WireState::CatchingUp => ProjectionState::CatchingUp,
        WireState::CaughtUp => ProjectionState::CaughtUp,
        WireState::Paused => ProjectionState::Paused,
        WireState::Stopped => ProjectionState::Stopped { reason: reason.unwrap_or_default() },
        WireState::Stalled => {
            ProjectionState::Stalled { since: since.map(|Text(Moment(since))| since).unwrap_or_default() }
        }
    }
}

impl WireStatus {
    pub(crate) fn new(status: &ProjectionStatus) -> Self {
        let (state, reason, stalled_since) = parts(&status.state);
        let edition = |edition: &EditionStatus| {
            let (state, reason, stalled_since) = parts(&edition.state);
            WireEdition {
                edition: Text(edition.edition),
                state,
                reason,
                stalled_since,
                is_active: edition.is_active,
                is_ready: edition.is_ready,
                position: at(edition.position),
                holder: edition.holder.clone().map(Text),
            }
        };
        let failure = |failure: &ProjectionFailure| WireFailure {
            at: Text(Moment(failure.at)),
            position: at(failure.position),
            reason: failure.reason.clone(),
        };
        Self {
            name: Text(status.name.clone()),
            version: status.version,
            lifecycle: match status.lifecycle {
                Lifecycle::Inline => WireLifecycle::Inline,
                Lifecycle::InlineIfPossible => WireLifecycle::InlineIfPossible,
                Lifecycle::Live => WireLifecycle::Live,
                _ => WireLifecycle::Asynchronous,
            },
            state,
            reason,
            stalled_since,
            edition: status.edition.map(Text),
            position: at(status.position),
            frontier: at(status.frontier),
            lag_events: Text(status.lag.events),
            lag_time: Text(Span(status.lag.time)),
            events_per_second: Text(status.events_per_second),
            last_error: status.last_error.as_ref().map(failure),
            parked: Text(status.parked),
            skipped: Text(status.skipped),
            editions: status.editions.iter().map(edition).collect(),
        }
    }

    pub(crate) fn decode(self) -> ProjectionStatus {
        let lifecycle = match self.lifecycle {
            WireLifecycle::Asynchronous => Lifecycle::Asynchronous,
            WireLifecycle::Inline => Lifecycle::Inline,
            WireLifecycle::InlineIfPossible => Lifecycle::InlineIfPossible,
            WireLifecycle::Live => Lifecycle::Live,
        };
        let edition = |wire: WireEdition| {
            let mut status = EditionStatus::new(wire.edition.0);
            status.state = state(wire.state, wire.reason, wire.stalled_since);
            (status.is_active, status.is_ready) = (wire.is_active, wire.is_ready);
            status.position = position(wire.position);
            status.holder = wire.holder.map(|Text(holder)| holder);
            status
        };
        let failure = |wire: WireFailure| ProjectionFailure::new(wire.at.0.0, position(wire.position), wire.reason);
        let mut status = ProjectionStatus::new(self.name.0, self.version, lifecycle);
        status.state = state(self.state, self.reason, self.stalled_since);
        status.edition = self.edition.map(|Text(edition)| edition);
        status.position = position(self.position);
        status.frontier = position(self.frontier);
        status.lag = Lag::new(self.lag_events.0, self.lag_time.0.0);
        status.events_per_second = self.events_per_second.0;
        status.last_error = self.last_error.map(failure);
        status.parked = self.parked.0;
        status.skipped = self.skipped.0;
        status.editions = self.editions.into_iter().map(edition).collect();
        status
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireParked {
    position: Text<At>,
    stream: Text<StreamId>,
    key: Option<Text<RowKey>>,
    reason: String,
    at: Text<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireParkedPage {
    events: Vec<WireParked>,
    next: MaybeAt,
}

impl WireParkedPage {
    pub(crate) fn new(page: &ParkedPage) -> Self {
        let event = |parked: &Parked| WireParked {
            position: Text(At(parked.position)),
            stream: Text(parked.stream.clone()),
            key: parked.key.clone().map(Text),
            reason: parked.reason.clone(),
            at: Text(Moment(parked.at)),
        };
        Self { events: page.events.iter().map(event).collect(), next: at(page.next) }
    }

    pub(crate) fn decode(self) -> ParkedPage {
        let event = |wire: WireParked| {
            let key = wire.key.map(|Text(key)| key);
            Parked::new(wire.position.0.0, wire.stream.0, key, wire.reason, wire.at.0.0)
        };
        ParkedPage::new(self.events.into_iter().map(event).collect(), position(self.next))
    }
}
