//! Sagas: how they stand, what they have been through, and what is asked of them.

use super::bus::{decode_json, decode_metadata, decode_schema, json_of, maybe_metadata};
use super::{Wrong, decode_list, decode_timestamp, maybe_position, number, parsed, required, timestamp};
use crate::proto::{self, describe_sagas_response, saga_timeline_response};
use portolan_kernel::domain::Json;
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaAction, SagaFact, SagaInfo, SagaPage, SagaPhase, SagaStarted, SagaStatus, SagaSummary,
    SagaTimeline, SagaWay, StartSaga,
};
use portolan_kernel::values::{Name, Revision, SagaId, SagaIdError, Timestamp};

impl From<&SagaId> for proto::SagaId {
    fn from(saga: &SagaId) -> Self {
        Self { name: saga.name().to_string(), id: saga.id().to_string() }
    }
}

pub(crate) fn decode_saga(saga: Option<proto::SagaId>) -> Result<SagaId, Wrong> {
    let proto::SagaId { name, id } = required("saga", saga)?;
    SagaId::new(&name, &id).map_err(|error| {
        let field = if matches!(error, SagaIdError::Name(_)) { "saga.name" } else { "saga.id" };
        Wrong::new(field, error.to_string())
    })
}

impl From<SagaPhase> for proto::SagaPhase {
    fn from(phase: SagaPhase) -> Self {
        match phase {
            SagaPhase::Running => Self::Running,
            SagaPhase::Waiting => Self::Waiting,
            SagaPhase::Compensating => Self::Compensating,
            SagaPhase::NeedsOperator => Self::NeedsOperator,
            SagaPhase::Completed => Self::Completed,
            SagaPhase::Compensated => Self::Compensated,
            SagaPhase::Aborted => Self::Aborted,
            _ => Self::Unspecified,
        }
    }
}

fn known_phase(phase: i32) -> Option<SagaPhase> {
    match proto::SagaPhase::try_from(phase).ok()? {
        proto::SagaPhase::Running => Some(SagaPhase::Running),
        proto::SagaPhase::Waiting => Some(SagaPhase::Waiting),
        proto::SagaPhase::Compensating => Some(SagaPhase::Compensating),
        proto::SagaPhase::NeedsOperator => Some(SagaPhase::NeedsOperator),
        proto::SagaPhase::Completed => Some(SagaPhase::Completed),
        proto::SagaPhase::Compensated => Some(SagaPhase::Compensated),
        proto::SagaPhase::Aborted => Some(SagaPhase::Aborted),
        proto::SagaPhase::Unspecified => None,
    }
}

/// A phase that is asked for.
fn decode_phase(field: &str, phase: i32) -> Result<SagaPhase, Wrong> {
    known_phase(phase).ok_or_else(|| Wrong::new(field, "it is no phase that is known here"))
}

/// What a server tells of the phase, and why. One that only a newer server knows is neither progress nor an end to this
/// client: somebody has to look, and the reason says why.
fn told_phase(phase: i32, reason: Option<String>) -> (SagaPhase, Option<String>) {
    if let Some(known) = known_phase(phase) {
        return (known, reason);
    }
    let why = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
    let newer = format!("the server is newer than this client: it tells the phase of number {phase}{why}");
    (SagaPhase::NeedsOperator, Some(newer))
}

impl From<SagaWay> for proto::SagaWay {
    fn from(way: SagaWay) -> Self {
        match way {
            SagaWay::Forward => Self::Forward,
            SagaWay::Settle => Self::Settle,
            SagaWay::Back => Self::Back,
        }
    }
}

/// A way that only a newer server knows is told as none.
fn told_way(way: i32) -> Option<SagaWay> {
    match proto::SagaWay::try_from(way).ok()? {
        proto::SagaWay::Forward => Some(SagaWay::Forward),
        proto::SagaWay::Settle => Some(SagaWay::Settle),
        proto::SagaWay::Back => Some(SagaWay::Back),
        proto::SagaWay::Unspecified => None,
    }
}

impl From<SagaAction> for proto::SagaAction {
    fn from(action: SagaAction) -> Self {
        match action {
            SagaAction::Retry => Self::Retry,
            SagaAction::Skip => Self::Skip,
            SagaAction::Compensate => Self::Compensate,
            SagaAction::Abort => Self::Abort,
        }
    }
}

pub(super) fn decode_saga_action(action: i32) -> Result<SagaAction, Wrong> {
    match proto::SagaAction::try_from(action) {
        Ok(proto::SagaAction::Retry) => Ok(SagaAction::Retry),
        Ok(proto::SagaAction::Skip) => Ok(SagaAction::Skip),
        Ok(proto::SagaAction::Compensate) => Ok(SagaAction::Compensate),
        Ok(proto::SagaAction::Abort) => Ok(SagaAction::Abort),
        Ok(proto::SagaAction::Unspecified) | Err(_) => {
            Err(Wrong::new("action", "it is missing, or none that is known here"))
        }
    }
}

impl From<StartSaga> for proto::StartSagaRequest {
    fn from(start: StartSaga) -> Self {
        Self {
            saga: Some((&start.saga).into()),
            input: json_of(&start.input),
            metadata: maybe_metadata(start.metadata),
        }
    }
}

impl proto::StartSagaRequest {
    pub(crate) fn checked(self) -> Result<StartSaga, Wrong> {
        let input = Json::decode_distinct(self.input.as_bytes());
        let input = input.map_err(|error| Wrong::new("input", error.to_string()))?;
        let start = StartSaga::new(decode_saga(self.saga)?, input);
        Ok(start.with_metadata(decode_metadata(self.metadata)?))
    }
}

impl From<&SagaStarted> for proto::StartSagaResponse {
    fn from(started: &SagaStarted) -> Self {
        Self {
            saga: Some((&started.saga).into()),
            version: started.version,
            position: number(started.position),
            repeated: started.repeated,
        }
    }
}

impl proto::StartSagaResponse {
    pub(crate) fn checked(self) -> Result<SagaStarted, Wrong> {
        let position = maybe_position("position", self.position)?;
        let started = SagaStarted::new(decode_saga(self.saga)?, self.version, position);
        Ok(if self.repeated { started.as_repeated() } else { started })
    }
}

impl From<&SagaSummary> for proto::SagaSummary {
    fn from(summary: &SagaSummary) -> Self {
        let status = &summary.status;
        Self {
            saga: Some((&summary.saga).into()),
            version: summary.version,
            started_at: Some(timestamp(summary.started_at)),
            deadline: summary.deadline.map(timestamp),
            phase: proto::SagaPhase::from(status.phase).into(),
            step: status.step.clone(),
            way: status.way.map(|way| proto::SagaWay::from(way).into()),
            attempt: status.attempt,
            since: status.since.map(timestamp),
            due: status.due.map(timestamp),
            reason: status.reason.clone(),
            overdue: status.is_overdue,
            lacks: summary.lacks.clone(),
        }
    }
}

fn maybe_timestamp(field: &str, at: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Wrong> {
    at.map(|at| decode_timestamp(field, Some(at))).transpose()
}

impl proto::SagaSummary {
    pub(crate) fn checked(self) -> Result<SagaSummary, Wrong> {
        let (phase, reason) = told_phase(self.phase, self.reason);
        let mut status = SagaStatus::new(phase);
        status.step = self.step;
        status.way = self.way.and_then(told_way);
        status.attempt = self.attempt;
        status.since = maybe_timestamp("since", self.since)?;
        status.due = maybe_timestamp("due", self.due)?;
        status.reason = reason;
        status.is_overdue = self.overdue;
        let started_at = decode_timestamp("started_at", self.started_at)?;
        let summary = SagaSummary::new(decode_saga(self.saga)?, self.version, started_at, status);
        Ok(summary.with_deadline(maybe_timestamp("deadline", self.deadline)?).with_lacks(self.lacks))
    }
}

impl From<ListSagas> for proto::ListSagasRequest {
    fn from(list: ListSagas) -> Self {
        Self {
            name: list.name.as_ref().map(Name::to_string),
            phases: list.phases.into_iter().map(|phase| proto::SagaPhase::from(phase).into()).collect(),
            after: list.after,
            limit: Some(list.limit),
        }
    }
}

impl proto::ListSagasRequest {
    pub(crate) fn checked(self) -> Result<ListSagas, Wrong> {
        let mut list = ListSagas::all().after(self.after).limit(self.limit.unwrap_or(ListSagas::DEFAULT_LIMIT));
        list.name = self.name.map(|name| parsed("name", &name)).transpose()?;
        let phase = |(at, phase): (usize, i32)| decode_phase(&format!("phases[{at}]"), phase);
        list.phases = self.phases.into_iter().enumerate().map(phase).collect::<Result<_, _>>()?;
        Ok(list)
    }
}

impl From<&SagaPage> for proto::ListSagasResponse {
    fn from(page: &SagaPage) -> Self {
        Self { sagas: page.sagas.iter().map(Into::into).collect(), next: page.next.clone() }
    }
}

impl proto::ListSagasResponse {
    pub(crate) fn checked(self) -> Result<SagaPage, Wrong> {
        Ok(SagaPage::new(decode_list("sagas", self.sagas, proto::SagaSummary::checked)?, self.next))
    }
}

impl From<&SagaTimeline> for proto::SagaTimelineResponse {
    fn from(timeline: &SagaTimeline) -> Self {
        let fact = |fact: &SagaFact| saga_timeline_response::Fact {
            revision: fact.revision.get(),
            at: Some(timestamp(fact.at)),
            r#type: fact.event_type.to_string(),
            data: json_of(&fact.data),
        };
        Self { facts: timeline.facts.iter().map(fact).collect(), next: timeline.next.map(Revision::get) }
    }
}

impl proto::SagaTimelineResponse {
    pub(crate) fn checked(self) -> Result<SagaTimeline, Wrong> {
        let facts = decode_list("facts", self.facts, |fact| {
            let (at, event_type) = (decode_timestamp("at", fact.at)?, parsed("type", &fact.r#type)?);
            Ok(SagaFact::new(Revision::new(fact.revision), at, event_type, decode_json("data", &fact.data)?))
        })?;
        Ok(SagaTimeline::new(facts, self.next.map(Revision::new)))
    }
}

impl From<ActOnSaga> for proto::ActOnSagaRequest {
    fn from(act: ActOnSaga) -> Self {
        Self {
            saga: Some((&act.saga).into()),
            action: proto::SagaAction::from(act.action).into(),
            note: act.note,
            metadata: maybe_metadata(act.metadata),
        }
    }
}

impl proto::ActOnSagaRequest {
    pub(crate) fn checked(self) -> Result<ActOnSaga, Wrong> {
        let act = ActOnSaga::new(decode_saga(self.saga)?, decode_saga_action(self.action)?).with_note(self.note);
        Ok(act.with_metadata(decode_metadata(self.metadata)?))
    }
}

impl From<SagaInfo> for describe_sagas_response::Definition {
    fn from(info: SagaInfo) -> Self {
        Self {
            name: info.name.to_string(),
            version: info.version,
            description: info.description,
            schema: info.schema.as_ref().map(json_of),
            plan: json_of(&info.plan),
            trouble: info.trouble,
        }
    }
}

impl proto::DescribeSagasResponse {
    pub(crate) fn checked(self) -> Result<Vec<SagaInfo>, Wrong> {
        decode_list("definitions", self.definitions, |given| {
            let plan = decode_json("plan", &given.plan)?;
            let info = SagaInfo::new(parsed("name", &given.name)?, given.version, plan);
            let info = info.with_description(given.description).with_trouble(given.trouble);
            Ok(info.with_schema(decode_schema("schema", given.schema)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::errors::PortError as _;
    use portolan_kernel::ports::SagaError;

    /// What only a newer server knows is looked at by somebody, and spoils no page.
    #[test]
    fn a_phase_or_a_way_of_tomorrow_is_one_saga_that_needs_an_operator() {
        let mut status = SagaStatus::new(SagaPhase::Compensating);
        (status.step, status.way, status.reason) = (Some("debit".into()), Some(SagaWay::Back), Some("no".into()));
        let told = SagaSummary::new(SagaId::new("order", "1").unwrap(), 1, Timestamp::default(), status);
        let wire = proto::SagaSummary::from(&told);
        for unknown in [0, 99, -1, i32::MAX] {
            let newer = proto::SagaSummary { phase: unknown, way: Some(unknown), ..wire.clone() };
            let page = proto::ListSagasResponse { sagas: vec![wire.clone(), newer], next: None }.checked().unwrap();
            let [known, newer] = &page.sagas[..] else { panic!("{page:?}") };
            assert_eq!(*known, told);
            assert_eq!((newer.status.phase, newer.status.way), (SagaPhase::NeedsOperator, None));
            let reason = newer.status.reason.as_deref().unwrap();
            assert!(reason.contains(&unknown.to_string()) && reason.ends_with("; no"), "{reason}");
            assert_eq!(newer.status.step, told.status.step);
            let way = proto::SagaSummary { way: Some(unknown), ..wire.clone() }.checked().unwrap().status;
            assert_eq!((way.phase, way.way, way.reason.as_deref()), (SagaPhase::Compensating, None, Some("no")));
        }
    }

    /// What a peer of tomorrow asks for or refuses is not taken for anything of today.
    #[test]
    fn what_is_not_known_is_no_other() {
        let saga = SagaId::new("order", "1").unwrap();
        for unknown in [0, 99, -1, i32::MAX] {
            let not_now =
                proto::saga_error::NotNow { saga: Some((&saga).into()), action: unknown, reason: String::new() };
            let error = Some(proto::saga_error::Error::NotNow(not_now));
            assert!(SagaError::from_detail(proto::SagaError { error }).is_none());
        }
        assert!(SagaError::from_detail(proto::SagaError { error: None }).is_none());
    }
}
