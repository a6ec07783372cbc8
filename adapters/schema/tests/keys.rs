//! Where the judgment stands among the others: after limits and the key, before the conditions (ES-06, ES-09).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use portolan_kernel::ports::{AppendError, EventStore as _};
use portolan_kernel::values::{Append, Expected, IdempotencyKey, Tag};
use portolan_schema::{ValidatedStore, Validation};
use serde_json::json;
use std::sync::Arc;
use support::{Registry, World, event};

fn key(digest: u8) -> IdempotencyKey {
    IdempotencyKey::new("scope".parse().unwrap(), "id".parse().unwrap(), [digest; 32]).with_note("note")
}

fn append(payload: &'static str) -> Append {
    Append::new([event("x-1", "a", payload)])
}

#[tokio::test]
async fn a_recorded_key_is_answered_as_it_was_recorded() {
    let before = World::new(Validation::all(), [("a", 1, Some(json!({ "required": ["n"] })))]);
    let first = before.store.append(append(r#"{"n":1}"#).key(key(1))).await.unwrap();
    // Another process, by whose schemas the same would be wrong.
    let strict = Registry::new([("a", 1, Some(json!(false)))]);
    let after = ValidatedStore::new(before.inner.clone(), Arc::new(strict), Validation::all());
    let again = after.append(append(r#"{"n":1}"#).key(key(1)).expect("x-1".parse().unwrap(), Expected::NoStream)).await;
    assert_eq!(again.unwrap(), first.clone().as_repeated());
    // Even while nobody can tell of schemas.
    let failing = Registry::new([]);
    failing.fail(portolan_kernel::ports::SchemaError::Busy(portolan_kernel::ports::Source::new("full")));
    let busy = ValidatedStore::new(before.inner.clone(), Arc::new(failing), Validation::all());
    assert_eq!(busy.append(append(r#"{"n":1}"#).key(key(1))).await.unwrap(), first.as_repeated());

    let reused = after.append(append(r#"{"n":1}"#).key(key(2))).await;
    assert!(matches!(reused, Err(AppendError::KeyReused { .. })), "{reused:?}");
    assert_eq!(before.count().await, 1);
}

#[tokio::test]
async fn a_refused_append_does_not_take_its_key() {
    let world = World::new(Validation::all(), [("a", 1, Some(json!({ "required": ["n"] })))]);
    let refused = world.store.append(append("{}").key(key(1))).await;
    assert!(matches!(refused, Err(AppendError::Nonconforming(_))), "{refused:?}");
    assert_eq!(world.inner.recall("scope".parse().unwrap(), "id".parse().unwrap()).await.unwrap(), None);
    assert!(!world.store.append(append(r#"{"n":1}"#).key(key(2))).await.unwrap().repeated);
}

#[tokio::test]
async fn limits_come_first_and_conditions_last() {
    let world = World::new(Validation::all(), [("a", 1, Some(json!(false)))]);
    let tags = (0..=world.inner.capabilities().limits.event_tags).map(|n| Tag::new(format!("t:{n}")).unwrap());
    let too_many = world.store.append(Append::new([event("x-1", "a", "{}").with_tags(tags)])).await;
    assert!(matches!(too_many, Err(AppendError::TooLarge { .. })), "{too_many:?}");
    let conflict = append("{}").expect("x-1".parse().unwrap(), Expected::StreamExists);
    let refused = world.store.append(conflict).await;
    assert!(matches!(refused, Err(AppendError::Nonconforming(_))), "{refused:?}");
}
