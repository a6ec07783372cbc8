//! What a registry says of its projections, on the wire, whole.

use super::capabilities::WireDuration;
use super::text::{At, Moment, Text};
use portolan_kernel::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionFailure, ProjectionState, ProjectionStatus,
};
use portolan_kernel::values::{Edition, Name, RowKey, StreamId};
use serde::{Deserialize, Serialize};

/// `GET /projections`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireProjections {
    pub(crate) projections: Vec<WireStatus>,
}

/// How a projection stands. Its state is flat: `state`, and `reason` or `since` beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireStatus {
    name: Text<Name>,
    version: u16,
    lifecycle: WireLifecycle,
    #[serde(flatten)]
    state: WireState,
    edition: Option<Text<Edition>>,
    position: Option<At>,
    frontier: Option<At>,
    lag: WireLag,
    events_per_second: u64,
    last_error: Option<WireFailure>,
    parked: u64,
    skipped: u64,
    editions: Vec<WireEdition>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireLifecycle {
    Asynchronous,
    Inline,
    InlineIfPossible,
    Live,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum WireState {
    CatchingUp,
    CaughtUp,
    Paused,
    Stopped { reason: String },
    Stalled { since: Text<Moment> },
}

#[derive(Debug, Serialize, Deserialize)]
struct WireLag {
    events: u64,
    time: WireDuration,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireFailure {
    at: Text<Moment>,
    position: Option<At>,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireEdition {
    edition: Text<Edition>,
    #[serde(flatten)]
    state: WireState,
    is_active: bool,
    is_ready: bool,
    position: Option<At>,
    holder: Option<Text<Name>>,
}

impl WireState {
    fn new(state: &ProjectionState) -> Self {
        match state {
            ProjectionState::CaughtUp => Self::CaughtUp,
            ProjectionState::Paused => Self::Paused,
            ProjectionState::Stopped { reason } => Self::Stopped { reason: reason.clone() },
            ProjectionState::Stalled { since } => Self::Stalled { since: Text(Moment(*since)) },
            _ => Self::CatchingUp,
        }
    }

    fn decode(self) -> ProjectionState {
        match self {
            Self::CatchingUp => ProjectionState::CatchingUp,
            Self::CaughtUp => ProjectionState::CaughtUp,
            Self::Paused => ProjectionState::Paused,
            Self::Stopped { reason } => ProjectionState::Stopped { reason },
            Self::Stalled { since: Text(Moment(since)) } => ProjectionState::Stalled { since },
        }
    }
}

impl WireLifecycle {
    fn new(lifecycle: Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::Inline => Self::Inline,
            Lifecycle::InlineIfPossible => Self::InlineIfPossible,
            Lifecycle::Live => Self::Live,
            _ => Self::Asynchronous,
        }
    }

    fn decode(self) -> Lifecycle {
        match self {
            Self::Asynchronous => Lifecycle::Asynchronous,
            Self::Inline => Lifecycle::Inline,
            Self::InlineIfPossible => Lifecycle::InlineIfPossible,
            Self::Live => Lifecycle::Live,
        }
    }
}

impl WireFailure {
    fn new(failure: &ProjectionFailure) -> Self {
        let ProjectionFailure { at, position, reason, .. } = failure;
        Self { at: Text(Moment(*at)), position: position.map(At), reason: reason.clone() }
    }

    fn decode(self) -> ProjectionFailure {
        let Text(Moment(at)) = self.at;
        ProjectionFailure::new(at, self.position.map(|At(at)| at), self.reason)
    }
}

impl WireEdition {
    fn new(of: &EditionStatus) -> Self {
        Self {
            edition: Text(of.edition),
            state: WireState::new(&of.state),
            is_active: of.is_active,
            is_ready: of.is_ready,
            position: of.position.map(At),
            holder: of.holder.clone().map(Text),
        }
    }

    fn decode(self) -> EditionStatus {
        let mut of = EditionStatus::new(self.edition.0);
        of.state = self.state.decode();
        (of.is_active, of.is_ready) = (self.is_active, self.is_ready);
        of.position = self.position.map(|At(at)| at);
        of.holder = self.holder.map(|Text(name)| name);
        of
    }
}

impl WireStatus {
    pub(crate) fn new(status: &ProjectionStatus) -> Self {
        Self {
            name: Text(status.name.clone()),
            version: status.version,
            lifecycle: WireLifecycle::new(status.lifecycle),
            state: WireState::new(&status.state),
            edition: status.edition.map(Text),
            position: status.position.map(At),
            frontier: status.frontier.map(At),
            lag: WireLag { events: status.lag.events, time: WireDuration::new(status.lag.time) },
            events_per_second: status.events_per_second,
            last_error: status.last_error.as_ref().map(WireFailure::new),
            parked: status.parked,
            skipped: status.skipped,
            editions: status.editions.iter().map(WireEdition::new).collect(),
        }
    }

    pub(crate) fn decode(self) -> ProjectionStatus {
        let mut status = ProjectionStatus::new(self.name.0, self.version, self.lifecycle.decode());
        status.state = self.state.decode();
        status.edition = self.edition.map(|Text(edition)| edition);
        status.position = self.position.map(|At(at)| at);
        status.frontier = self.frontier.map(|At(at)| at);
        status.lag = Lag::new(self.lag.events, self.lag.time.decode());
        status.events_per_second = self.events_per_second;
        status.last_error = self.last_error.map(WireFailure::decode);
        status.parked = self.parked;
        status.skipped = self.skipped;
        status.editions = self.editions.into_iter().map(WireEdition::decode).collect();
        status
    }
}

/// A page of parked events; `next` is what to ask after.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireParkedPage {
    events: Vec<WireParked>,
    next: Option<At>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireParked {
    position: At,
    stream: Text<StreamId>,
    key: Option<Text<RowKey>>,
    reason: String,
    at: Text<Moment>,
}

impl WireParkedPage {
    pub(crate) fn new(page: &ParkedPage) -> Self {
        let wire = |parked: &Parked| WireParked {
            position: At(parked.position),
            stream: Text(parked.stream.clone()),
            key: parked.key.clone().map(Text),
            reason: parked.reason.clone(),
            at: Text(Moment(parked.at)),
        };
        Self { events: page.events.iter().map(wire).collect(), next: page.next.map(At) }
    }

    pub(crate) fn decode(self) -> ParkedPage {
        let parked = |wire: WireParked| {
            let (At(position), Text(stream), Text(Moment(at))) = (wire.position, wire.stream, wire.at);
            Parked::new(position, stream, wire.key.map(|Text(key)| key), wire.reason, at)
        };
        ParkedPage::new(self.events.into_iter().map(parked).collect(), self.next.map(|At(at)| at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;
    use core::time::Duration;
    use portolan_kernel::values::{Position, Timestamp};

    fn comes_back(status: &ProjectionStatus) {
        let json = serde_json::to_vec(&WireStatus::new(status)).unwrap();
        assert_eq!(from_json::<WireStatus>(&json).unwrap().decode(), *status);
    }

    #[test]
    fn a_status_comes_back_the_same() {
        let name = || Name::new("a/b \"%\u{1F980}").unwrap();
        let at = Timestamp::from_micros(1_785_000_000_000_001);
        let states = [
            ProjectionState::CatchingUp,
            ProjectionState::CaughtUp,
            ProjectionState::Paused,
            ProjectionState::Stopped { reason: "event \"7\"\n".into() },
            ProjectionState::Stalled { since: at },
        ];
        let lifecycles = [Lifecycle::Asynchronous, Lifecycle::Inline, Lifecycle::InlineIfPossible, Lifecycle::Live];
        for lifecycle in lifecycles {
            comes_back(&ProjectionStatus::new(name(), u16::MAX, lifecycle));
        }
        for state in states {
            let mut edition = EditionStatus::new(Edition { version: 3, rebuild: 2 });
            (edition.state, edition.is_active, edition.is_ready) = (state.clone(), true, true);
            (edition.position, edition.holder) = (Some(Position::MAX), Some(name()));
            let mut status = ProjectionStatus::new(name(), 3, Lifecycle::Asynchronous);
            status.state = state;
            status.edition = Some(edition.edition);
            (status.position, status.frontier) = (Position::new(7), Some(Position::MAX));
            status.lag = Lag::new(u64::MAX, Duration::new(u64::MAX, 1));
            status.events_per_second = u64::MAX;
            status.last_error = Some(ProjectionFailure::new(at, Some(Position::MAX), "no \"key\"".into()));
            status.parked = 3;
            status.skipped = u64::MAX;
            status.editions = vec![EditionStatus::new(Edition::first(1)), edition];
            comes_back(&status);
        }
    }

    #[test]
    fn parked_events_come_back_the_same() {
        let parked = |key: Option<&str>| {
            let key = key.map(|key| RowKey::new(key).unwrap());
            Parked::new(Position::MAX, "a/b %".parse().unwrap(), key, "why\n".into(), Timestamp::from_micros(u64::MAX))
        };
        for page in [
            ParkedPage::default(),
            ParkedPage::new(vec![parked(None), parked(Some("k \u{1F980}"))], Some(Position::MAX)),
        ] {
            let json = serde_json::to_vec(&WireParkedPage::new(&page)).unwrap();
            assert_eq!(from_json::<WireParkedPage>(&json).unwrap().decode(), page);
        }
    }
}
