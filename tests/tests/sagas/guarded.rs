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

/// Keeps who asked, and pages through a transfer and an order unless there are others.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, Option<String>)>>, Vec<SagaId>);

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
    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        self.keep("list", None);
        let key = |saga: &SagaId| format!("{},{}", saga.name(), saga.id());
        // After a cursor, or after all sagas of a name: a comma comes before all that a name is made of.
        let is_after = |saga: &SagaId| match list.after.as_deref() {
            Some(cursor) if cursor.contains(',') => *key(saga) > *cursor,
            Some(name) => saga.name().as_str() > name,
            None => true,
        };
        let is_named = |saga: &SagaId| list.name.as_ref().is_none_or(|name| name == saga.name());
        let all = if self.1.is_empty() { vec![saga("order"), saga("transfer")] } else { self.1.clone() };
        let mut found: Vec<_> = all.into_iter().filter(|saga| is_after(saga) && is_named(saga)).collect();
        let has_more = found.len() > list.limit as usize;
        found.truncate(list.limit as usize);
        let next = found.last().filter(|_| has_more).map(key);
        Ok(SagaPage::new(found.into_iter().map(summary).collect(), next))
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
        let info = |name| SagaInfo::new(Name::new(name).unwrap(), 1, serde_json::Value::Null);
        Ok(["order", "transfer"].map(|name| info(name).with_trouble(Some("an event".into()))).into())
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

/// Whoever may not see a saga learns nothing of it from the pages, whatever their size: neither its name nor its id, and not how
/// many there are.
#[tokio::test]
async fn pages_say_nothing_of_what_may_not_be_seen() {
    let of = |name: &str, id: &str| SagaId::new(name, id).unwrap();
    let orders = [of("order", "1"), of("order", "2"), of("order", "3")];
    let mut all = vec![of("loan", "1"), of("loan", "2")];
    all.extend(orders.clone());
    all.extend([of("order-2", "1"), of("transfer", "1"), of("transfer", "2"), of("unheard-of", "1")]);
    for (role, expected) in [("nobody", &[][..]), ("guest", &orders), ("operator", &all)] {
        for limit in [1, 2, 3, 4, 100] {
            let kept = Arc::new(Kept(Mutex::default(), all.clone()));
            let sagas = ports(&kept, &[role]).await.sagas;
            let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = sagas.list(ListSagas::all().after(after).limit(limit)).await.unwrap();
                pages += 1;
                if let Some(cursor) = &page.next {
                    let last = page.sagas.last().expect("a page that goes on ends at a saga");
                    assert_eq!(*cursor, format!("{},{}", last.saga.name(), last.saga.id()), "{role} {limit}");
                }
                found.extend(page.sagas.into_iter().map(|summary| summary.saga));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{role} {limit}");
            assert!(pages <= 1 + expected.len() / limit as usize, "{role} {limit}: {pages} pages");
        }
    }
}

/// However much stands between what a caller may see, a page costs no more than so many of what it passes over.
#[tokio::test]
async fn a_page_passes_over_so_many_definitions_and_no_more() {
    let of = |n: usize, id: &str| SagaId::new(&format!("hidden-{n:03}"), id).unwrap();
    for (hidden, may) in [(64, true), (65, false)] {
        let mut all: Vec<_> = (0..hidden).flat_map(|n| [of(n, "1"), of(n, "2")]).collect();
        all.push(saga("order"));
        let kept = Arc::new(Kept(Mutex::default(), all));
        let sagas = ports(&kept, &["guest"]).await.sagas;
        match sagas.list(ListSagas::all().limit(1)).await {
            Ok(page) => assert!(may && page.sagas.len() == 1 && page.next.is_none(), "{hidden}: {page:?}"),
            Err(SagaError::Denied(why)) => assert!(!may && why.contains("name a definition"), "{hidden}: {why}"),
            Err(other) => panic!("{other:?}"),
        }
        assert!(kept.0.lock().unwrap().len() <= 65, "{hidden}");
        let named = sagas.list(ListSagas::all().named(Name::new("order").unwrap())).await.unwrap();
        assert_eq!(named.sagas.len(), 1, "{hidden}");
    }
}

/// Definitions are no secret; what is in their way tells of events and sagas.
#[tokio::test]
async fn trouble_is_told_to_whoever_may_see_the_sagas() {
    for (role, expected) in
        [("nobody", [false, false]), ("guest", [true, false]), ("clerk", [false, true]), ("operator", [true, true])]
    {
        let described = ports(&Arc::default(), &[role]).await.sagas.describe().await.unwrap();
        assert_eq!(described.iter().map(|info| info.trouble.is_some()).collect::<Vec<_>>(), expected, "{role}");
    }
}
