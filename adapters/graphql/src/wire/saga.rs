//! Sagas: how they stand, what they have been through, and their definitions.

use super::text::{MaybeAt, MaybeRevision, Moment, Text, at, number, position, revision};
use core::fmt::{self, Display};
use core::str::FromStr;
use portolan_kernel::ports::{
    SagaAction, SagaFact, SagaInfo, SagaPage, SagaPhase, SagaStarted, SagaStatus, SagaSummary, SagaTimeline, SagaWay,
};
use portolan_kernel::values::{EventType, Name, Revision, SagaId, SagaIdError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A name as an enum of the schema has it: `needs-operator` is `NEEDS_OPERATOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loud<T>(pub(crate) T);

impl<T: Display> Display for Loud<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_uppercase().replace('-', "_"))
    }
}

fn quiet(text: &str) -> String {
    text.to_lowercase().replace('_', "-")
}

impl FromStr for Loud<SagaPhase> {
    type Err = <SagaPhase as FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        quiet(text).parse().map(Self)
    }
}

impl FromStr for Loud<SagaAction> {
    type Err = <SagaAction as FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        quiet(text).parse().map(Self)
    }
}

/// All ways.
pub(crate) const WAYS: [SagaWay; 3] = [SagaWay::Forward, SagaWay::Settle, SagaWay::Back];

/// A saga's id in its parts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireId {
    name: String,
    id: String,
}

impl WireId {
    pub(crate) fn new(saga: &SagaId) -> Self {
        Self { name: saga.name().to_string(), id: saga.id().to_string() }
    }

    pub(crate) fn decode(&self) -> Result<SagaId, SagaIdError> {
        SagaId::new(&self.name, &self.id)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireSaga {
    #[serde(flatten)]
    saga: WireId,
    version: Text<u32>,
    started_at: Text<Moment>,
    deadline: Option<Text<Moment>>,
    phase: String,
    step: Option<String>,
    way: Option<String>,
    attempt: Option<Text<u32>>,
    since: Option<Text<Moment>>,
    due: Option<Text<Moment>>,
    reason: Option<String>,
    is_overdue: bool,
    lacks: Option<String>,
}

fn moment(at: Option<Timestamp>) -> Option<Text<Moment>> {
    at.map(|at| Text(Moment(at)))
}

fn timestamp(at: Option<Text<Moment>>) -> Option<Timestamp> {
    at.map(|Text(Moment(at))| at)
}

impl WireSaga {
    pub(crate) fn new(summary: &SagaSummary) -> Self {
        let status = &summary.status;
        Self {
            saga: WireId::new(&summary.saga),
            version: Text(summary.version),
            started_at: Text(Moment(summary.started_at)),
            deadline: moment(summary.deadline),
            phase: Loud(status.phase).to_string(),
            step: status.step.clone(),
            way: status.way.map(|way| Loud(way).to_string()),
            attempt: status.attempt.map(Text),
            since: moment(status.since),
            due: moment(status.due),
            reason: status.reason.clone(),
            is_overdue: status.is_overdue,
            lacks: summary.lacks.clone(),
        }
    }

    /// A phase that only a newer server knows is neither progress nor an end to this client: somebody has to look, and the
    /// reason says why. A way that only it knows is told as none.
    pub(crate) fn decode(self) -> Result<SagaSummary, SagaIdError> {
        let known = SagaPhase::ALL.into_iter().find(|phase| Loud(*phase).to_string() == self.phase);
        let mut status = SagaStatus::new(known.unwrap_or(SagaPhase::NeedsOperator));
        status.step = self.step;
        status.way = self.way.and_then(|told| WAYS.into_iter().find(|way| Loud(*way).to_string() == told));
        status.attempt = self.attempt.map(|Text(attempt)| attempt);
        status.since = timestamp(self.since);
        status.due = timestamp(self.due);
        status.reason = match known {
            Some(_) => self.reason,
            None => {
                let why = self.reason.map(|reason| format!("; {reason}")).unwrap_or_default();
                Some(format!("the server is newer than this client: it tells the phase {:?}{why}", self.phase))
            }
        };
        status.is_overdue = self.is_overdue;
        let summary = SagaSummary::new(self.saga.decode()?, self.version.0, self.started_at.0.0, status);
        Ok(summary.with_deadline(timestamp(self.deadline)).with_lacks(self.lacks))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSagaPage {
    sagas: Vec<WireSaga>,
    next: Option<String>,
}

impl WireSagaPage {
    pub(crate) fn new(page: &SagaPage) -> Self {
        Self { sagas: page.sagas.iter().map(WireSaga::new).collect(), next: page.next.clone() }
    }

    pub(crate) fn decode(self) -> Result<SagaPage, SagaIdError> {
        Ok(SagaPage::new(self.sagas.into_iter().map(WireSaga::decode).collect::<Result<_, _>>()?, self.next))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireStarted {
    #[serde(flatten)]
    saga: WireId,
    version: Text<u32>,
    position: MaybeAt,
    repeated: bool,
}

impl WireStarted {
    pub(crate) fn new(started: &SagaStarted) -> Self {
        Self {
            saga: WireId::new(&started.saga),
            version: Text(started.version),
            position: at(started.position),
            repeated: started.repeated,
        }
    }

    pub(crate) fn decode(self) -> Result<SagaStarted, SagaIdError> {
        let started = SagaStarted::new(self.saga.decode()?, self.version.0, position(self.position));
        Ok(if self.repeated { started.as_repeated() } else { started })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireFact {
    revision: Text<u64>,
    at: Text<Moment>,
    r#type: Text<EventType>,
    data: Value,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireTimeline {
    facts: Vec<WireFact>,
    next: MaybeRevision,
}

impl WireTimeline {
    pub(crate) fn new(timeline: &SagaTimeline) -> Self {
        let fact = |fact: &SagaFact| WireFact {
            revision: Text(fact.revision.get()),
            at: Text(Moment(fact.at)),
            r#type: Text(fact.event_type.clone()),
            data: fact.data.clone(),
        };
        Self { facts: timeline.facts.iter().map(fact).collect(), next: number(timeline.next) }
    }

    pub(crate) fn decode(self) -> SagaTimeline {
        let fact =
            |wire: WireFact| SagaFact::new(Revision::new(wire.revision.0), wire.at.0.0, wire.r#type.0, wire.data);
        SagaTimeline::new(self.facts.into_iter().map(fact).collect(), revision(self.next))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireDefinition {
    name: Text<Name>,
    version: Text<u32>,
    description: String,
    schema: Option<Value>,
    plan: Value,
    trouble: Option<String>,
}

impl WireDefinition {
    pub(crate) fn new(info: SagaInfo) -> Self {
        let SagaInfo { name, version, description, schema, plan, trouble, .. } = info;
        Self { name: Text(name), version: Text(version), description, schema, plan, trouble }
    }

    pub(crate) fn decode(self) -> SagaInfo {
        let info = SagaInfo::new(self.name.0, self.version.0, self.plan);
        info.with_description(self.description).with_schema(self.schema).with_trouble(self.trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What only a newer server knows is looked at by somebody, and spoils no page.
    #[test]
    fn a_phase_or_a_way_of_tomorrow_is_one_saga_that_needs_an_operator() {
        let mut status = SagaStatus::new(SagaPhase::Compensating);
        (status.step, status.way, status.reason) = (Some("debit".into()), Some(SagaWay::Back), Some("no".into()));
        let known = SagaSummary::new(SagaId::new("order", "1").unwrap(), 1, Timestamp::default(), status);
        let told = serde_json::to_value(WireSaga::new(&known)).unwrap();
        for unknown in ["PONDERING", "", "compensating"] {
            let mut newer = told.clone();
            (newer["phase"], newer["way"]) = (json!(unknown), json!("SIDEWAYS"));
            let page = json!({ "sagas": [told, newer], "next": null });
            let page = WireSagaPage::deserialize(page).unwrap().decode().unwrap();
            let [same, newer] = &page.sagas[..] else { panic!("{page:?}") };
            assert_eq!(*same, known);
            assert_eq!((newer.status.phase, newer.status.way), (SagaPhase::NeedsOperator, None));
            let reason = newer.status.reason.as_deref().unwrap();
            assert!(reason.contains(&format!("{unknown:?}")) && reason.ends_with("; no"), "{reason}");
        }
        let mut newer = told;
        newer["way"] = json!("SIDEWAYS");
        let status = WireSaga::deserialize(newer).unwrap().decode().unwrap().status;
        assert_eq!((status.phase, status.way, status.reason.as_deref()), (SagaPhase::Compensating, None, Some("no")));
    }

    /// What a peer of tomorrow tells is not taken for anything of today.
    #[test]
    fn what_is_not_known_is_no_other() {
        let saga = SagaId::new("order", "1").unwrap();
        let told = SagaSummary::new(saga, 1, Timestamp::default(), SagaStatus::new(SagaPhase::NeedsOperator));
        let told = serde_json::to_value(WireSaga::new(&told)).unwrap();
        assert!(WireSaga::deserialize(&told).is_ok());
        for (member, unknown) in [
            ("phase", json!(null)),
            ("phase", json!(1)),
            ("way", json!([])),
            ("version", json!("4294967296")),
            ("version", json!("-1")),
        ] {
            let mut newer = told.clone();
            newer[member] = unknown;
            assert!(WireSaga::deserialize(&newer).is_err(), "{newer}");
        }
        assert_eq!(told["phase"], "NEEDS_OPERATOR");
        assert!("PONDER".parse::<Loud<SagaAction>>().is_err());
    }
}
