//! Sagas that answer what a test asks for, and remember what came.

use async_trait::async_trait;
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaAction, SagaError, SagaFact, SagaInfo, SagaOrchestrator, SagaPage, SagaPhase,
    SagaStarted, SagaStatus, SagaSummary, SagaTimeline, SagaWay, Source, StartSaga, Violation,
};
use portolan_kernel::values::{Position, Revision, SagaId, Timestamp};
use serde_json::{Value, json};
use std::sync::Mutex;

/// An id with what ids may hold.
pub(crate) const HOSTILE: &str = "../a/b:c?d#e%2F \"'\u{1F980}\u{202E}{$}";

pub(crate) fn saga(name: &str, id: &str) -> SagaId {
    SagaId::new(name, id).unwrap()
}

/// What no number of a browser holds, and what JSON has to escape.
pub(crate) fn input() -> Value {
    json!({ "amount": u64::MAX, "share": 0.1, "small": f64::MIN_POSITIVE, "to": "a\u{0}b \"\u{1F980}", "more": [null, {}] })
}

pub(crate) fn start(saga: SagaId) -> StartSaga {
    StartSaga::new(saga, input())
}

pub(crate) fn act(saga: SagaId) -> ActOnSaga {
    ActOnSaga::new(saga, SagaAction::Abort).with_note("seen\nto \u{1F980}")
}

/// A summary in each phase, with all that can be told and with the least.
pub(crate) fn summaries() -> Vec<SagaSummary> {
    let ways = [SagaWay::Forward, SagaWay::Settle, SagaWay::Back];
    let told = SagaPhase::ALL.into_iter().zip(ways.into_iter().cycle()).map(|(phase, way)| {
        let mut status = SagaStatus::new(phase);
        status.step = Some("debit \u{1F980}".into());
        status.way = Some(way);
        status.attempt = Some(u32::MAX);
        status.since = Some(Timestamp::from_micros(1));
        status.due = Some(Timestamp::from_micros(u64::MAX));
        status.reason = Some("no\nanswer".into());
        status.is_overdue = true;
        let started_at = Timestamp::from_micros(1_785_000_000_000_001);
        SagaSummary::new(saga("transfer-money", HOSTILE), u32::MAX, started_at, status)
            .with_deadline(Some(Timestamp::from_micros(0)))
            .with_lacks(Some("version 9".into()))
    });
    let mut empty = SagaStatus::new(SagaPhase::Running);
    (empty.step, empty.reason) = (Some(String::new()), Some(String::new()));
    let least = [SagaStatus::new(SagaPhase::Running), empty]
        .map(|status| SagaSummary::new(saga("order", "1"), 0, Timestamp::from_micros(0), status));
    told.chain(least).collect()
}

pub(crate) fn page() -> SagaPage {
    SagaPage::new(summaries(), Some("an opaque \u{1F980}".into()))
}

pub(crate) fn timeline() -> SagaTimeline {
    let fact = |revision, data| {
        let event_type = "$saga.begun".parse().unwrap();
        SagaFact::new(Revision::new(revision), Timestamp::from_micros(revision), event_type, data)
    };
    SagaTimeline::new(vec![fact(0, input()), fact(u64::MAX, Value::Null)], Some(Revision::new(u64::MAX)))
}

pub(crate) fn definitions() -> Vec<SagaInfo> {
    let of = |name: &str, version, schema| {
        let info = SagaInfo::new(name.parse().unwrap(), version, json!({ "steps": [{ "name": "debit" }] }));
        info.with_schema(Some(schema))
    };
    let amount = json!({ "type": "integer", "format": "uint64", "minimum": 0 });
    let order = json!({
        "type": "object", "properties": { "amount": amount, "to": { "type": "string" } }, "required": ["amount"],
    });
    let payment = SagaInfo::new("order-payment".parse().unwrap(), 1, json!({ "groups": [], "process": {} }));
    vec![
        of("order", 2, order),
        payment.with_trouble(Some("größer \"als\"\neine Zeile".into())),
        of("plain", 1, json!({ "type": ["string", "null"] })),
        of("tick", 1, json!({ "type": "object", "additionalProperties": false })),
        of("transfer-money", 1, json!({ "type": "string" })),
        SagaInfo::new("transfer-money".parse().unwrap(), u32::MAX, Value::Null).with_description("Moves \"money\"."),
    ]
}

/// Every error, by the id of the saga that has it.
pub(crate) const ERRORS: [&str; 11] =
    ["unknown", "not-found", "invalid", "otherwise", "not-now", "denied", "ending", "busy", "lost", "other", "damaged"];

pub(crate) fn error(saga: &SagaId) -> Option<SagaError> {
    Some(match &**saga.id() {
        "unknown" => SagaError::UnknownDefinition(saga.name().clone()),
        "not-found" => SagaError::NotFound(saga.clone()),
        "invalid" => SagaError::Invalid(vec![Violation::new("amount", "wrong-type", "a number, please")]),
        "otherwise" => SagaError::StartedOtherwise(saga.clone()),
        "not-now" => SagaError::NotNow { saga: saga.clone(), action: SagaAction::Skip, reason: "it has\nended".into() },
        "denied" => SagaError::Denied("ann may not".into()),
        "ending" => SagaError::ShuttingDown,
        "busy" => SagaError::Busy(Source::new("full")),
        "lost" => SagaError::Unknown(Source::new("who knows")),
        "other" => SagaError::Other(Source::new("odd")),
        "damaged" => SagaError::Other(Source::new("the store is damaged at a place that the server's log names")),
        _ => return None,
    })
}

/// What `damaged` is before it travels.
fn raised(saga: &SagaId) -> Result<(), SagaError> {
    if &**saga.id() == "panic" {
        panic!("as asked");
    }
    if &**saga.id() == "damaged" {
        let place = "/srv/bank.db: table log, position 2".into();
        return Err(SagaError::Other(Source::new(portolan_kernel::ports::ReadError::Corrupt { place })));
    }
    error(saga).map_or(Ok(()), Err)
}

/// What is recorded about `never` never is.
async fn recorded(saga: &SagaId) -> Result<(), SagaError> {
    if &**saga.id() == "never" {
        core::future::pending::<()>().await;
    }
    raised(saga)
}

/// What each method of the port answers, of this saga.
pub(crate) async fn every_call(sagas: &dyn SagaOrchestrator, of: &SagaId) -> Vec<Result<(), SagaError>> {
    vec![
        sagas.start(start(of.clone())).await.map(drop),
        sagas.list(ListSagas::all().named(of.name().clone()).after(Some(of.id().to_string()))).await.map(drop),
        sagas.status(of.clone()).await.map(drop),
        sagas.timeline(of.clone(), None, 1).await.map(drop),
        sagas.act(act(of.clone())).await.map(drop),
    ]
}

#[derive(Default)]
pub(crate) struct Sagas {
    pub(crate) started: Mutex<Vec<StartSaga>>,
    pub(crate) listed: Mutex<Vec<ListSagas>>,
    pub(crate) shown: Mutex<Vec<SagaId>>,
    pub(crate) timelines: Mutex<Vec<(SagaId, Option<Revision>, u32)>>,
    pub(crate) acted: Mutex<Vec<ActOnSaga>>,
}

impl Sagas {
    pub(crate) fn reached(&self) -> usize {
        let shown = self.shown.lock().unwrap().len() + self.timelines.lock().unwrap().len();
        shown
            + self.listed.lock().unwrap().len()
            + self.started.lock().unwrap().len()
            + self.acted.lock().unwrap().len()
    }
}

#[async_trait]
impl SagaOrchestrator for Sagas {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.started.lock().unwrap().push(start.clone());
        recorded(&start.saga).await?;
        let position = (&**start.saga.id() != "1").then_some(Position::MAX);
        let started = SagaStarted::new(start.saga, u32::MAX, position);
        Ok(if position.is_none() { started.as_repeated() } else { started })
    }

    /// A cursor is the id of the saga whose error it has.
    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        self.listed.lock().unwrap().push(list.clone());
        if let (Some(name), Some(after)) = (&list.name, &list.after)
            && let Ok(saga) = SagaId::new(name, after)
        {
            raised(&saga)?;
        }
        let mut page = page();
        // After all of a name, and not after one that a cursor names.
        let is_name = |after: &str| page.sagas.iter().any(|found| found.saga.name() == after);
        if let Some(after) = list.after.filter(|after| is_name(after)) {
            page.sagas.retain(|found| found.saga.name().as_str() > after.as_str());
            page.next = None;
        }
        Ok(page)
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.shown.lock().unwrap().push(saga.clone());
        raised(&saga)?;
        let nth: usize = saga.id().parse().unwrap_or_default();
        Ok(summaries()[nth].clone())
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        self.timelines.lock().unwrap().push((saga.clone(), after, limit));
        raised(&saga)?;
        Ok(timeline())
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.acted.lock().unwrap().push(act.clone());
        recorded(&act.saga).await?;
        Ok(summaries()[0].clone())
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        Ok(definitions())
    }
}
