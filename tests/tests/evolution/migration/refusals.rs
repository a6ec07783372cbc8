//! Why a migration does not begin, or stops: each error says what, where, and how to mend it (MG-05, MG-06).

use super::between::Wrong;
use super::checks::bad;
use super::history::{World, is_as_the_model, log, old, small_limits};
use portolan::domain::Upcasters;
use portolan::drivers::{Migration, MigrationError, MigrationReason};
use portolan::ports::{Capabilities, Capability};
use portolan::values::{Append, EventType, NewEvent, StoreId, StreamId};
use portolan_conformance::ReferenceStore;
use rstest::rstest;
use std::sync::Arc;

#[rstest]
#[case::hop_fails(bad("user.address-set", 1, r#"{"addres":""}"#), "missing field `address`")]
#[case::unknown(bad("user.burnt", 1, "{}"), "its type is unknown to the chain")]
#[case::future(bad("user.created", 4, "{}"), "the chain ends at version 3")]
#[tokio::test]
async fn what_cannot_be_copied_is_named(#[case] event: NewEvent, #[case] said: &str) {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0), old(2)]).await;
    let at = world.source.append(Append::new([event])).await.unwrap().last.unwrap();
    world.write(&[old(8)]).await;
    let told = world.run().await.unwrap_err();
    assert!(told.contains("event 2 of user-1 (") && told.contains(&format!("at position {at}")), "{told}");
    assert!(told.contains(said), "{told}");
    assert_eq!(log(&*world.target).await.len(), 1, "everything before it is there");
    let report = world.migration().dry_run().await.unwrap();
    assert_eq!((report.failed, report.failures[0].position), (1, at));
    assert!(report.to_string().contains(said), "{report}");
    assert_eq!(world.run().await.unwrap_err(), told, "and the next run stops there again");
}

#[tokio::test]
async fn what_is_unknown_is_kept_where_that_is_said() {
    let world = World::new(Wrong::Nothing);
    let unknown = [bad("user.burnt", 1, "{}"), bad("user.created", 4, "{}")];
    world.source.append(Append::new(unknown.clone())).await.unwrap();
    world.migration().keep_unknown().run(|_| {}).await.unwrap();
    let there: Vec<_> = log(&*world.target).await.iter().map(|event| event.event.clone()).collect();
    assert_eq!(there, unknown);
}

#[tokio::test]
async fn what_is_too_large_for_the_target_is_named() {
    let mut limits = small_limits();
    limits.event_bytes = 400;
    let world = World::with_limits(Wrong::Nothing, limits);
    let large = bad("user.created", 3, &format!(r#"{{"email":"{}","name":""}}"#, "x".repeat(400)));
    world.source.append(Append::new([large])).await.unwrap();
    let told = world.migration().run(|_| {}).await.unwrap_err();
    let is_too_large = |reason: &MigrationReason| matches!(reason, MigrationReason::TooLarge { limit: 400, .. });
    assert!(matches!(&told, MigrationError::Event { reason, .. } if is_too_large(reason)), "{told}");

    // A split is one append, or none.
    (limits.event_bytes, limits.append_events) = (10_000, 1);
    let world = World::with_limits(Wrong::Nothing, limits);
    world.write(&[old(4)]).await;
    let told = world.run().await.unwrap_err();
    assert!(told.contains("events that one becomes: 2 is more than the target takes, which is 1"), "{told}");
}

#[tokio::test]
async fn a_target_goes_on_as_it_was_begun() {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(8)]).await;
    world.run().await.unwrap();
    let others: [Migration; 4] = [
        world.migration().keep_unknown(),
        world.migration().with_system_streams(),
        world.migration().keep_times(world.target_time.clone()),
        Migration::new(world.source.clone(), world.target.clone(), Arc::new(Upcasters::new())),
    ];
    for other in others {
        let outcome = other.run(|_| {}).await;
        assert!(matches!(outcome, Err(MigrationError::OtherRules)), "{outcome:?}");
        assert!(matches!(other.dry_run().await, Err(MigrationError::OtherRules)));
    }
    world.run().await.unwrap();
}

#[tokio::test]
async fn stores_that_will_not_do_are_refused() {
    let world = World::new(Wrong::Nothing);
    let same = Migration::new(world.source.clone(), world.source.clone(), Arc::default());
    assert!(matches!(same.run(|_| {}).await, Err(MigrationError::SameStore(_))));
    let clock = world.source_time.clone();
    let unguarded = Capabilities::new(StoreId::from_bytes([1; 16])).lacking(Capability::Guard);
    let target = Arc::new(ReferenceStore::with_capabilities(clock, unguarded));
    let outcome = Migration::new(world.source.clone(), target, Arc::default()).run(|_| {}).await;
    assert!(matches!(outcome, Err(MigrationError::Unsupported(Capability::Guard))), "{outcome:?}");
    let broken = NewEvent::new(StreamId::new("$migration").unwrap(), EventType::new("x").unwrap(), "{");
    world.target.append(Append::new([broken])).await.unwrap();
    assert!(matches!(world.migration().run(|_| {}).await, Err(MigrationError::NoRecord { .. })));
}

/// One stream an append and no keys: less is not needed.
#[tokio::test]
async fn a_target_that_lacks_the_rest_will_do() {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0), super::history::Old { stream: 2, ..old(4) }, old(8)]).await;
    let little = [Capability::SeveralStreams, Capability::Keys, Capability::Checkpoints];
    let little = little.into_iter().fold(Capabilities::new(StoreId::from_bytes([1; 16])), Capabilities::lacking);
    let target: Arc<dyn portolan::ports::EventStore> =
        Arc::new(ReferenceStore::with_capabilities(world.source_time.clone(), little));
    world.migration_of(&world.source, &target).run(|_| {}).await.unwrap();
    is_as_the_model(&*world.source, &*target).await.unwrap();
}

#[tokio::test]
async fn verification_finds_what_differs_and_what_is_missing() {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0), old(4)]).await;
    let before = world.migration().verify().await.unwrap();
    assert_eq!((before.events, before.missing), (0, 3));
    world.run().await.unwrap();
    world.write(&[old(8)]).await;
    let after = world.migration().verify().await.unwrap();
    assert_eq!((after.events, after.missing), (3, 1));
    world.target.append(Append::new([super::between::stray()])).await.unwrap();
    assert!(matches!(world.migration().verify().await, Err(MigrationError::Foreign { .. })));
}

#[tokio::test]
async fn a_report_is_for_a_person() {
    let world = World::new(Wrong::Nothing);
    world.write(&[old(0), old(4), old(8), super::history::Old { stream: 2, ..old(2) }]).await;
    let report = world.migration().dry_run().await.unwrap().to_string();
    for line in [
        "4 events (",
        "in 2 streams become 4 (",
        "         1  user.created 1  becomes user.created 3\n",
        "         1  user.created 3  unchanged\n",
        "         1  user.moved 1  split into user.address-set 3, user.email-updated 3\n",
        "         1  user.newsletter-flagged 1  retired\n",
        "1 streams lose all of their events:\n  user-2\n",
    ] {
        assert!(report.contains(line), "{line:?} in\n{report}");
    }
}
