//! Sagas on the wire: how they stand, their facts, their definitions.

use super::text::{At, ESCAPED, Moment, Text};
use core::str::FromStr;
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{
    SagaFact, SagaInfo, SagaPage, SagaPhase, SagaStarted, SagaStatus, SagaSummary, SagaTimeline, SagaWay,
};
use portolan_kernel::values::{EventType, Name, Revision, SagaId, SagaIdError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The path of a saga.
pub(crate) fn path(saga: &SagaId) -> String {
    let part = |part| utf8_percent_encode(part, ESCAPED);
    format!("/sagas/{}/{}", part(saga.name()), part(saga.id()))
}

/// What an operator says to an action.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireAct {
    #[serde(default)]
    pub(crate) note: String,
}

/// A saga that was started, now or before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireStarted {
    name: String,
    id: String,
    #[serde(rename = "self")]
    path: String,
    version: u32,
    #[serde(default)]
    position: Option<At>,
    repeated: bool,
}

impl WireStarted {
    pub(crate) fn new(started: &SagaStarted) -> Self {
        Self {
            name: started.saga.name().to_string(),
            id: started.saga.id().to_string(),
            path: path(&started.saga),
            version: started.version,
            position: started.position.map(At),
            repeated: started.repeated,
        }
    }

    /// # Errors
    ///
    /// What is named is no saga.
    pub(crate) fn decode(self) -> Result<SagaStarted, SagaIdError> {
        let started =
            SagaStarted::new(SagaId::new(&self.name, &self.id)?, self.version, self.position.map(|At(at)| at));
        Ok(if self.repeated { started.as_repeated() } else { started })
    }
}

/// How a saga stands. What it does now is flat beside which it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSummary {
    name: String,
    id: String,
    #[serde(rename = "self")]
    path: String,
    version: u32,
    phase: String,
    #[serde(default)]
    step: Option<String>,
    #[serde(default)]
    way: Option<String>,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    since: Option<Text<Moment>>,
    #[serde(default)]
    due: Option<Text<Moment>>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    is_overdue: bool,
    started_at: Text<Moment>,
    #[serde(default)]
    deadline: Option<Text<Moment>>,
    #[serde(default)]
    lacks: Option<String>,
}

fn moment(at: Timestamp) -> Text<Moment> {
    Text(Moment(at))
}

fn timestamp(Text(Moment(at)): Text<Moment>) -> Timestamp {
    at
}

/// The ways there are; one that only a newer server knows is told as none.
const WAYS: [SagaWay; 3] = [SagaWay::Forward, SagaWay::Settle, SagaWay::Back];

impl WireSummary {
    pub(crate) fn new(of: &SagaSummary) -> Self {
        let status = &of.status;
        Self {
            name: of.saga.name().to_string(),
            id: of.saga.id().to_string(),
            path: path(&of.saga),
            version: of.version,
            phase: status.phase.name().to_owned(),
            step: status.step.clone(),
            way: status.way.map(|way| way.to_string()),
            attempt: status.attempt,
            since: status.since.map(moment),
            due: status.due.map(moment),
            reason: status.reason.clone(),
            is_overdue: status.is_overdue,
            started_at: moment(of.started_at),
            deadline: of.deadline.map(moment),
            lacks: of.lacks.clone(),
        }
    }

    /// A phase that only a newer server knows is neither progress nor an end to this client: somebody has to look, and the
    /// reason says why.
    ///
    /// # Errors
    ///
    /// What is named is no saga.
    pub(crate) fn decode(self) -> Result<SagaSummary, SagaIdError> {
        let saga = SagaId::new(&self.name, &self.id)?;
        let way = self.way.and_then(|told| WAYS.into_iter().find(|way| way.to_string() == told));
        let (phase, reason) = match self.phase.parse() {
            Ok(phase) => (phase, self.reason),
            Err(unknown) => {
                let why = self.reason.map(|reason| format!("; {reason}")).unwrap_or_default();
                (SagaPhase::NeedsOperator, Some(format!("the server is newer than this client: {unknown}{why}")))
            }
        };
        let mut status = SagaStatus::new(phase);
        (status.step, status.way, status.attempt) = (self.step, way, self.attempt);
        (status.since, status.due) = (self.since.map(timestamp), self.due.map(timestamp));
        (status.reason, status.is_overdue) = (reason, self.is_overdue);
        Ok(SagaSummary::new(saga, self.version, timestamp(self.started_at), status)
            .with_deadline(self.deadline.map(timestamp))
            .with_lacks(self.lacks))
    }
}

/// A page of sagas: `after` is what the parameter of that name has to be for the next one, and `next` the path of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSagas {
    sagas: Vec<WireSummary>,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    next: Option<String>,
}

impl WireSagas {
    pub(crate) fn new(page: SagaPage, next: impl FnOnce(&str) -> String) -> Self {
        let sagas = page.sagas.iter().map(WireSummary::new).collect();
        Self { sagas, next: page.next.as_deref().map(next), after: page.next }
    }

    /// # Errors
    ///
    /// What is named is no saga.
    pub(crate) fn decode(self) -> Result<SagaPage, SagaIdError> {
        let sagas = self.sagas.into_iter().map(WireSummary::decode).collect::<Result<_, _>>()?;
        Ok(SagaPage::new(sagas, self.after))
    }
}

/// A page of facts, with `after` and `next` as in a page of sagas.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireTimeline {
    facts: Vec<WireFact>,
    #[serde(default)]
    after: Option<u64>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireFact {
    revision: u64,
    at: Text<Moment>,
    #[serde(rename = "type")]
    event_type: Text<EventType>,
    data: Value,
}

impl WireTimeline {
    pub(crate) fn new(page: SagaTimeline, next: impl FnOnce(Revision) -> String) -> Self {
        let wire = |fact: SagaFact| WireFact {
            revision: fact.revision.get(),
            at: moment(fact.at),
            event_type: Text(fact.event_type),
            data: fact.data,
        };
        let facts = page.facts.into_iter().map(wire).collect();
        Self { facts, after: page.next.map(Revision::get), next: page.next.map(next) }
    }

    pub(crate) fn decode(self) -> SagaTimeline {
        let fact = |wire: WireFact| {
            SagaFact::new(Revision::new(wire.revision), timestamp(wire.at), wire.event_type.0, wire.data)
        };
        SagaTimeline::new(self.facts.into_iter().map(fact).collect(), self.after.map(Revision::new))
    }
}

/// `GET /saga-definitions`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireDefinitions {
    definitions: Vec<WireDefinition>,
}

/// A definition. What nobody said is left out.
#[derive(Debug, Serialize, Deserialize)]
struct WireDefinition {
    name: Text<Name>,
    version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    plan: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl WireDefinitions {
    pub(crate) fn new(infos: Vec<SagaInfo>) -> Self {
        let wire = |SagaInfo { name, version, description, schema, plan, trouble, .. }| WireDefinition {
            name: Text(name),
            version,
            description,
            schema,
            plan,
            trouble,
        };
        Self { definitions: infos.into_iter().map(wire).collect() }
    }

    pub(crate) fn decode(self) -> Vec<SagaInfo> {
        let info = |WireDefinition { name: Text(name), version, description, schema, plan, trouble }| {
            let info = SagaInfo::new(name, version, plan).with_description(description);
            info.with_schema(schema).with_trouble(trouble)
        };
        self.definitions.into_iter().map(info).collect()
    }
}

/// A place in a saga's stream, as a parameter.
pub(crate) struct After(pub(crate) Revision);

impl FromStr for After {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        super::text::digits(text).map(|number| Self(Revision::new(number))).ok_or("a revision is a number from 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;
    use portolan_kernel::values::Position;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    fn saga() -> SagaId {
        SagaId::new("transfer-money", "a/b \"%:\u{1F980}..").unwrap()
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn travels<W: Serialize + DeserializeOwned>(wire: &W) -> W {
        from_json(&serde_json::to_vec(wire).unwrap()).unwrap()
    }

    fn full(phase: SagaPhase, way: SagaWay) -> SagaSummary {
        let mut status = SagaStatus::new(phase);
        (status.step, status.way, status.attempt) = (Some("debit".into()), Some(way), Some(u32::MAX));
        (status.since, status.due) = (Some(at(1)), Some(at(u64::MAX)));
        (status.reason, status.is_overdue) = (Some("\"no\"\n".into()), true);
        SagaSummary::new(saga(), u32::MAX, at(1_785_000_000_000_001), status)
            .with_deadline(Some(at(2)))
            .with_lacks(Some("no handler".into()))
    }

    #[test]
    fn a_saga_comes_back_the_same() {
        for phase in SagaPhase::ALL {
            let bare = SagaSummary::new(saga(), 1, at(0), SagaStatus::new(phase));
            for summary in WAYS.map(|way| full(phase, way)).into_iter().chain([bare]) {
                assert_eq!(travels(&WireSummary::new(&summary)).decode(), Ok(summary));
            }
        }
    }

    /// What a newer server may say: other phases and ways, and more fields. One such saga spoils no page.
    #[test]
    fn what_only_a_newer_server_knows_is_looked_at_by_somebody() {
        let mut newer = serde_json::to_value(WireSummary::new(&full(SagaPhase::Running, SagaWay::Back))).unwrap();
        (newer["phase"], newer["way"], newer["mood"]) = (json!("dreaming"), json!("sideways"), json!({ "of": 1 }));
        let older = serde_json::to_value(WireSummary::new(&full(SagaPhase::Completed, SagaWay::Forward))).unwrap();
        let page: WireSagas = from_json(json!({ "sagas": [newer, older], "more": 1 }).to_string().as_bytes()).unwrap();
        let page = page.decode().unwrap();
        let [newer, older] = &page.sagas[..] else { panic!("{page:?}") };
        assert_eq!(*older, full(SagaPhase::Completed, SagaWay::Forward));
        assert_eq!((newer.status.phase, newer.status.way), (SagaPhase::NeedsOperator, None));
        let reason = newer.status.reason.as_deref().unwrap();
        assert!(reason.contains("dreaming") && reason.contains("\"no\"\n"), "{reason}");
        assert_eq!(newer.status.step.as_deref(), Some("debit"));
    }

    #[test]
    fn a_start_comes_back_the_same() {
        for started in
            [SagaStarted::new(saga(), u32::MAX, Some(Position::MAX)), SagaStarted::new(saga(), 1, None).as_repeated()]
        {
            assert_eq!(travels(&WireStarted::new(&started)).decode(), Ok(started));
        }
    }

    #[test]
    fn pages_come_back_the_same() {
        let sagas = vec![full(SagaPhase::Waiting, SagaWay::Settle)];
        let cursor = "c \u{1F980}%&=\n".to_owned();
        for page in [SagaPage::default(), SagaPage::new(sagas, Some(cursor))] {
            assert_eq!(travels(&WireSagas::new(page.clone(), str::to_owned)).decode(), Ok(page));
        }
        let data = json!({ "at": u64::MAX, "x": [null, 0.1, -1, {}], "type": "t" });
        let fact = SagaFact::new(Revision::new(u64::MAX), at(u64::MAX), EventType::new("$saga.begun").unwrap(), data);
        for page in [SagaTimeline::default(), SagaTimeline::new(vec![fact], Some(Revision::new(u64::MAX)))] {
            assert_eq!(travels(&WireTimeline::new(page.clone(), |next| next.to_string())).decode(), page);
        }
    }

    #[test]
    fn definitions_come_back_the_same() {
        let name = || Name::new("transfer-money").unwrap();
        let infos = vec![
            SagaInfo::new(name(), 1, json!({ "groups": [] })),
            SagaInfo::new(name(), u32::MAX, Value::Null)
                .with_description("Moves money.")
                .with_schema(Some(json!(true)))
                .with_trouble(Some("a newer event".into())),
        ];
        assert_eq!(travels(&WireDefinitions::new(infos.clone())).decode(), infos);
    }
}
