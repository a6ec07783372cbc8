//! Sagas on behalf of somebody: what a policy does not allow reaches nothing, and who acts is who was let in.

use async_trait::async_trait;
use portolan::MemoryStore;
use portolan::application::{Application, Ports};
use portolan::domain::saga::Phase;
use portolan::drivers::Roles;
use portolan::ports::*;
use portolan::values::{Name, Revision, SagaId, Timestamp};
use portolan_testing::TestRuntime;
use std::sync::{Arc, Mutex};

/// Keeps who asked.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, Option<String>)>>);

impl Kept {
    fn keep(&self, what: &str, actor: Option<String>) {
        self.0.lock().unwrap().push((what.into(), actor));
    }
}

fn summary(saga: SagaId) -> SagaSummary {
    let mut status = portolan::domain::saga::SagaState::new(saga.clone()).status(Timestamp::default());
    status.phase = Phase::Running;
    SagaSummary::new(saga, 1, Timestamp::default(), status)
}

#[async_trait]
impl SagaOrchestrator for Kept {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.keep("start", start.metadata.actor);
        Ok(SagaStarted::new(start.saga, 1, None))
    }
    async fn list(&self, _: ListSagas) -> Result<SagaPage, SagaError> {
        self.keep("list", None);
        Ok(SagaPage::new(vec![summary(saga("transfer")), summary(saga("order"))], None))
    }
    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.keep("status", None);
        Ok(summary(saga))
    }
    async fn timeline(&self, _: SagaId, _: Option<Revision>, _: u32) -> Result<SagaTimeline, SagaError> {
        self.keep("timeline", None);
        Ok(SagaTimeline::default())
    }
    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.keep("act", act.metadata.actor);
        Ok(summary(act.saga))
    }
    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        Ok(Vec::new())
    }
}

fn saga(name: &str) -> SagaId {
    SagaId::new(name, "1").unwrap()
}

async fn ports(kept: &Arc<Kept>, roles: &[&str]) -> Ports {
    let policy = Roles::from_json(
        br#"{"clerk": {"starts": ["transfer"]}, "guest": {"sagas": ["order"]}, "operator": {"steers": ["*"]}}"#,
    );
    let caller = roles.iter().fold(Caller::new("ann"), |caller, role| caller.with_role(*role));
    let application = Application::builder(MemoryStore::new(), TestRuntime::held().runtime()).build().await.unwrap();
    let ports = application.ports().with_sagas(kept.clone());
    ports.on_behalf_of(caller, Arc::new(policy.unwrap()))
}

/// What each role may do, of: start, see, its timeline, act; to a transfer and to an order.
#[tokio::test]
async fn roles_decide_about_sagas() {
    for (role, transfer, order, listed) in [
        ("nobody", [false; 4], [false; 4], 0),
        ("clerk", [true, true, true, false], [false; 4], 1),
        ("guest", [false; 4], [false, true, true, false], 1),
        ("operator", [false, true, true, true], [false, true, true, true], 2),
    ] {
        let kept = Arc::new(Kept::default());
        let sagas = ports(&kept, &[role]).await.sagas;
        for (name, expected) in [("transfer", transfer), ("order", order)] {
            let may = |denied: bool| !denied;
            let denied = |error: Option<SagaError>| matches!(error, Some(SagaError::Denied(_)));
            let found = [
                may(denied(sagas.start(StartSaga::new(saga(name), 1.into())).await.err())),
                may(denied(sagas.status(saga(name)).await.err())),
                may(denied(sagas.timeline(saga(name), None, 1).await.err())),
                may(denied(sagas.act(ActOnSaga::new(saga(name), SagaAction::Abort)).await.err())),
            ];
            assert_eq!(found, expected, "{role} {name}");
            let named = sagas.list(ListSagas::all().named(Name::new(name).unwrap())).await;
            assert_eq!(!denied(named.err()), expected[1], "{role} {name}");
        }
        let reached = kept.0.lock().unwrap().iter().filter(|(what, _)| what != "list").count();
        assert_eq!(reached, transfer.iter().chain(&order).filter(|may| **may).count(), "{role}");
        assert_eq!(sagas.list(ListSagas::all()).await.unwrap().sagas.len(), listed, "{role}");
    }
}

#[tokio::test]
async fn who_starts_and_acts_is_who_was_let_in() {
    let kept = Arc::new(Kept::default());
    let sagas = ports(&kept, &["clerk", "operator"]).await.sagas;
    let mut start = StartSaga::new(saga("transfer"), 1.into());
    start.metadata.actor = Some("eve".into());
    sagas.start(start).await.unwrap();
    let mut act = ActOnSaga::new(saga("transfer"), SagaAction::Retry);
    act.metadata.actor = Some("eve".into());
    sagas.act(act).await.unwrap();
    let ann = || Some("ann".to_owned());
    assert_eq!(*kept.0.lock().unwrap(), [("start".into(), ann()), ("act".into(), ann())]);
}
