//! How projections stand, and what is done to them.

use super::{
    Wrong, decode_duration, decode_list, decode_timestamp, duration, maybe_position, number, parsed, position,
    required, timestamp, version,
};
use crate::proto::{self, act_request, parked_response, projection_state, projection_status};
use portolan_kernel::ports::{
    EditionStatus, Lag, Lifecycle, Parked, ParkedPage, ProjectionAction, ProjectionFailure, ProjectionState,
    ProjectionStatus,
};
use portolan_kernel::values::{Edition, Name};

impl From<Edition> for proto::Edition {
    fn from(edition: Edition) -> Self {
        Self { version: edition.version.into(), rebuild: edition.rebuild.into() }
    }
}

impl proto::Edition {
    pub(crate) fn checked(self) -> Result<Edition, Wrong> {
        Ok(Edition { version: version("version", self.version)?, rebuild: version("rebuild", self.rebuild)? })
    }
}

impl From<Lifecycle> for projection_status::Lifecycle {
    fn from(lifecycle: Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::Asynchronous => Self::Asynchronous,
            Lifecycle::Inline => Self::Inline,
            Lifecycle::InlineIfPossible => Self::InlineIfPossible,
            Lifecycle::Live => Self::Live,
            _ => Self::Unspecified,
        }
    }
}

fn decode_lifecycle(lifecycle: i32) -> Result<Lifecycle, Wrong> {
    use projection_status::Lifecycle as Given;
    match Given::try_from(lifecycle) {
        Ok(Given::Asynchronous) => Ok(Lifecycle::Asynchronous),
        Ok(Given::Inline) => Ok(Lifecycle::Inline),
        Ok(Given::InlineIfPossible) => Ok(Lifecycle::InlineIfPossible),
        Ok(Given::Live) => Ok(Lifecycle::Live),
        Ok(Given::Unspecified) | Err(_) => Err(Wrong::new("lifecycle", "it is none that is known here")),
    }
}

impl From<&ProjectionState> for proto::ProjectionState {
    fn from(state: &ProjectionState) -> Self {
        use projection_state::State;
        let state = match state {
            ProjectionState::CatchingUp => State::CatchingUp(()),
            ProjectionState::CaughtUp => State::CaughtUp(()),
            ProjectionState::Paused => State::Paused(()),
            ProjectionState::Stopped { reason } => State::Stopped(reason.clone()),
            ProjectionState::Stalled { since } => State::StalledSince(timestamp(*since)),
            _ => return Self { state: None },
        };
        Self { state: Some(state) }
    }
}

fn decode_state(state: Option<proto::ProjectionState>) -> Result<ProjectionState, Wrong> {
    use projection_state::State;
    Ok(match required("state", state.and_then(|state| state.state))? {
        State::CatchingUp(()) => ProjectionState::CatchingUp,
        State::CaughtUp(()) => ProjectionState::CaughtUp,
        State::Paused(()) => ProjectionState::Paused,
        State::Stopped(reason) => ProjectionState::Stopped { reason },
        State::StalledSince(since) => {
            ProjectionState::Stalled { since: decode_timestamp("state.stalled_since", Some(since))? }
        }
    })
}

impl From<&ProjectionStatus> for proto::ProjectionStatus {
    fn from(status: &ProjectionStatus) -> Self {
        Self {
            name: status.name.to_string(),
            version: status.version.into(),
            lifecycle: projection_status::Lifecycle::from(status.lifecycle).into(),
            state: Some((&status.state).into()),
            edition: status.edition.map(Into::into),
            position: number(status.position),
            frontier: number(status.frontier),
            lag_events: status.lag.events,
            lag_time: Some(duration(status.lag.time)),
            events_per_second: status.events_per_second,
            last_error: status.last_error.as_ref().map(|failure| projection_status::Failure {
                at: Some(timestamp(failure.at)),
                position: number(failure.position),
                reason: failure.reason.clone(),
            }),
            parked: status.parked,
            editions: status.editions.iter().map(Into::into).collect(),
            skipped: status.skipped,
        }
    }
}

impl From<&EditionStatus> for projection_status::EditionStatus {
    fn from(status: &EditionStatus) -> Self {
        Self {
            edition: Some(status.edition.into()),
            state: Some((&status.state).into()),
            active: status.is_active,
            ready: status.is_ready,
            position: number(status.position),
            holder: status.holder.as_ref().map(Name::to_string),
        }
    }
}

impl proto::ProjectionStatus {
    pub(crate) fn checked(self) -> Result<ProjectionStatus, Wrong> {
        let name = parsed("name", &self.name)?;
        let lifecycle = decode_lifecycle(self.lifecycle)?;
        let mut status = ProjectionStatus::new(name, version("version", self.version)?, lifecycle);
        status.state = decode_state(self.state)?;
        let edition = self.edition.map(proto::Edition::checked).transpose();
        status.edition = edition.map_err(|wrong| wrong.of("edition"))?;
        status.position = maybe_position("position", self.position)?;
        status.frontier = maybe_position("frontier", self.frontier)?;
        status.lag = Lag::new(self.lag_events, decode_duration("lag_time", self.lag_time)?);
        status.events_per_second = self.events_per_second;
        let failure = |failure: projection_status::Failure| {
            let position = maybe_position("last_error.position", failure.position)?;
            Ok(ProjectionFailure::new(decode_timestamp("last_error.at", failure.at)?, position, failure.reason))
        };
        status.last_error = self.last_error.map(failure).transpose()?;
        status.parked = self.parked;
        status.skipped = self.skipped;
        status.editions = decode_list("editions", self.editions, projection_status::EditionStatus::checked)?;
        Ok(status)
    }
}

impl projection_status::EditionStatus {
    fn checked(self) -> Result<EditionStatus, Wrong> {
        let edition = required("edition", self.edition)?.checked().map_err(|wrong| wrong.of("edition"))?;
        let mut status = EditionStatus::new(edition);
        status.state = decode_state(self.state)?;
        (status.is_active, status.is_ready) = (self.active, self.ready);
        status.position = maybe_position("position", self.position)?;
        status.holder = self.holder.map(|holder| parsed("holder", &holder)).transpose()?;
        Ok(status)
    }
}

impl proto::ActRequest {
    /// The action is left out where it is of a kind that has no form on this wire.
    pub(crate) fn new(projection: &Name, action: ProjectionAction) -> Self {
        use act_request::Action;
        let action = match action {
            ProjectionAction::Pause => Some(Action::Pause(())),
            ProjectionAction::Resume => Some(Action::Resume(())),
            ProjectionAction::Reset => Some(Action::Reset(())),
            ProjectionAction::Rebuild => Some(Action::Rebuild(())),
            ProjectionAction::CancelRebuild => Some(Action::CancelRebuild(())),
            ProjectionAction::Activate(version) => {
                Some(Action::Activate(act_request::Activate { version: version.map(Into::into) }))
            }
            ProjectionAction::Remove(edition) => Some(Action::Remove(edition.into())),
            ProjectionAction::Retry(position) => Some(Action::Retry(act_request::Retry { position: number(position) })),
            ProjectionAction::Drop(position) => Some(Action::Drop(position.get())),
            _ => None,
        };
        Self { projection: projection.to_string(), action }
    }
}

pub(crate) fn decode_action(action: Option<act_request::Action>) -> Result<ProjectionAction, Wrong> {
    use act_request::Action;
    Ok(match required("action", action)? {
        Action::Pause(()) => ProjectionAction::Pause,
        Action::Resume(()) => ProjectionAction::Resume,
        Action::Reset(()) => ProjectionAction::Reset,
        Action::Rebuild(()) => ProjectionAction::Rebuild,
        Action::CancelRebuild(()) => ProjectionAction::CancelRebuild,
        Action::Activate(activate) => {
            let number = activate.version.map(|number| version("activate.version", number));
            ProjectionAction::Activate(number.transpose()?)
        }
        Action::Remove(edition) => ProjectionAction::Remove(edition.checked().map_err(|wrong| wrong.of("remove"))?),
        Action::Retry(retry) => ProjectionAction::Retry(maybe_position("retry.position", retry.position)?),
        Action::Drop(at) => ProjectionAction::Drop(position("drop", at)?),
    })
}

impl From<&ParkedPage> for proto::ParkedResponse {
    fn from(page: &ParkedPage) -> Self {
        let event = |event: &Parked| parked_response::ParkedEvent {
            position: event.position.get(),
            stream: event.stream.to_string(),
            key: event.key.as_ref().map(ToString::to_string),
            reason: event.reason.clone(),
            at: Some(timestamp(event.at)),
        };
        Self { events: page.events.iter().map(event).collect(), next: number(page.next) }
    }
}

impl proto::ParkedResponse {
    pub(crate) fn checked(self) -> Result<ParkedPage, Wrong> {
        let events = decode_list("events", self.events, |event| {
            let key = event.key.map(|key| parsed("key", &key)).transpose()?;
            let at = decode_timestamp("at", event.at)?;
            let (position, stream) = (position("position", event.position)?, parsed("stream", &event.stream)?);
            Ok(Parked::new(position, stream, key, event.reason, at))
        })?;
        Ok(ParkedPage::new(events, maybe_position("next", self.next)?))
    }
}
