//! Questions: what they are answered from, how new the answer is, and how long it takes.

extern crate alloc;

mod support;

use alloc::sync::Arc;
use core::time::Duration;
use futures::TryStreamExt;
use portolan_kernel::drivers::*;
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use serde::{Deserialize, Serialize};
use support::bank::*;
use support::store::{Stall, TestStore};
use support::{TestRuntime, builder_in_time, now, settle};

/// What has come in, in all accounts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Income {}

impl Question for Income {
    const NAME: &'static str = "income";
    const DESCRIPTION: &'static str = "What has come in.";
    type Answer = u64;

    fn answer_schema() -> Option<serde_json::Value> {
        Some(serde_json::json!({"type": "integer"}))
    }
}

async fn income(_: Income, context: QueryContext) -> Result<Reply<u64>, QueryError> {
    let deposited = Query::of(Item::new().category(Name::new("account").expect("a name")));
    let add = async |sum: u64, event: portolan_kernel::domain::RecordedAs<AccountEvent>| match *event {
        AccountEvent::Deposited { amount } => Ok(sum + amount),
        _ => Ok(sum),
    };
    Ok(Reply::new(context.events_of::<AccountEvent>(deposited).try_fold(0, add).await?))
}

/// Says who asks.
#[derive(Serialize, Deserialize)]
struct Who {}

impl Question for Who {
    const NAME: &'static str = "who";
    type Answer = (Option<String>, Option<String>);
}

async fn who(_: Who, context: QueryContext) -> Result<Reply<(Option<String>, Option<String>)>, QueryError> {
    let Metadata { actor, tenant, .. } = context.metadata().clone();
    Ok(Reply::new((actor, tenant)))
}

async fn asked(store: &Arc<TestStore>) -> (Arc<dyn QueryBus>, Arc<TestRuntime>) {
    let (app, time) = builder_in_time(store);
    let app = app.query(income).query(who).query(balance).build().await.expect("it is in order");
    (app.ports().queries, time)
}

fn deposited(store: &TestStore, account: &str, amount: &'static str) -> Position {
    store.write_event(account, "account.deposited", amount);
    store.events().last().expect("it is written").position
}

#[tokio::test]
async fn a_handler_reads_the_log_typed_page_after_page() {
    let store = TestStore::with_pages_of(2);
    for account in ["account-ann", "account-bob", "account-eve"] {
        store.write_event(account, "account.opened", r#"{"owner":"x"}"#);
        deposited(&store, account, r#"{"amount":5}"#);
    }
    store.write_event("other-1", "anything", "{}");
    let (bus, _) = asked(&store).await;
    assert_eq!(bus.query(Income {}).await.unwrap().answer, 15);
    store.write_event("account-ann", "account.frozen", "{}");
    let error = bus.query(Income {}).await.unwrap_err().to_string();
    assert!(error.contains("event 2 of account-ann"), "{error}");
}

#[tokio::test]
async fn a_handler_knows_who_asks() {
    let (bus, _) = asked(&TestStore::new()).await;
    let answer = bus.query(Who {}).actor("ann").tenant("acme").await.unwrap().answer;
    assert_eq!(answer, (Some("ann".into()), Some("acme".into())));
}

#[tokio::test]
async fn queries_are_described() {
    let (bus, _) = asked(&TestStore::new()).await;
    let income = bus.queries().into_iter().find(|info| &*info.name == "income").unwrap();
    assert_eq!((&*income.description, income.schema.is_none()), ("What has come in.", true));
    assert_eq!(income.answer_schema.unwrap()["type"], "integer");
}

#[tokio::test]
async fn an_answer_is_not_older_than_it_may_be() {
    let store = TestStore::new();
    let (bus, time) = asked(&store).await;
    let first = deposited(&store, "account-ann", r#"{"amount":5}"#);
    assert_eq!(bus.query(Income {}).at_least(first).await.unwrap().answer, 5);
    // What is not there yet is waited for.
    let second = Position::new(first.get() + 10);
    let asking = tokio::spawn({
        let bus = bus.clone();
        async move { bus.query(Income {}).at_least(second).await }
    });
    settle().await;
    assert!(!asking.is_finished());
    assert_eq!(Some(deposited(&store, "account-bob", r#"{"amount":2}"#)), second);
    assert_eq!(asking.await.unwrap().unwrap().answer, 7);
    // A position of no event, for ten seconds, or as long as there is time.
    for (within, ends_after) in [(None, 10), (Some(5), 5), (Some(20), 20)] {
        let bus = bus.clone();
        let asking = tokio::spawn(async move {
            let asking = bus.query(Income {}).at_least(Position::MAX);
            match within {
                Some(within) => asking.deadline(Duration::from_secs(within)).await,
                None => asking.await,
            }
        });
        settle().await;
        time.pass(Duration::from_secs(ends_after) - Duration::from_millis(1));
        settle().await;
        assert!(!asking.is_finished(), "{within:?}");
        time.pass(Duration::from_millis(1));
        assert!(matches!(now(asking).await, Err(QueryError::Busy(_))), "{within:?}");
    }
}

#[tokio::test]
async fn a_deadline_ends_a_question() {
    let store = TestStore::new();
    let (bus, time) = asked(&store).await;
    store.stall(Stall::Read);
    let asking = tokio::spawn(async move { bus.query(Income {}).deadline(Duration::from_secs(5)).await });
    settle().await;
    time.pass(Duration::from_secs(5));
    let error = now(asking).await.unwrap_err();
    assert!(matches!(&error, QueryError::Busy(source) if source.to_string().contains("deadline")), "{error}");
}
