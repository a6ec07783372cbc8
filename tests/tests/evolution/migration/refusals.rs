//! Why a migration does not begin, or stops: each error says what, where, and how to mend it (MG-05, MG-06).

use super::between::Wrong;
use super::checks::bad;
use super::history::{World, is_as_the_model, log, old, small_limits};
use portolan::domain::Upcasters;
use portolan::domain::history::{Histories, History, Hop};
use portolan::drivers::{Migration, MigrationError, MigrationReason};
use portolan::ports::{Capabilities, Capability, StoreId};
use portolan::values::{Append, EventType, Name, NewEvent, Query, Read, StreamId};
use portolan_conformance::ReferenceStore;
use rstest::rstest;
use std::sync::Arc;

#[rstest]
#[case::hop_fails(bad("user.address-set", 1, r#"{"addres":""}"#), "missing field `address`")]
#[case::unknown(bad("user.burnt", 1, "{}"), "its type is unknown to the chain")]
#[case::future(bad("user.created", 4, "{}"), "the chain knows its type up to version 3")]
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
    world.write(&[old(0)]).await;
    world.run().await.unwrap();
    let others: [Migration; 4] = [
        world.migration().keep_keys([Name::new("change").unwrap()]),
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

/// A chain that learns what it did not know goes on where it stopped, since what is there is what it would have made.
#[tokio::test]
async fn a_mended_chain_goes_on() {
    let (known, burnt) = (("user.kept", 1), ("user.burnt", 1));
    let chain = |types: &[(&str, u32)]| {
        let mut histories = Histories::new();
        for (event_type, version) in types {
            histories.add("chain", History::new().current(*event_type, *version));
        }
        Arc::new(histories.judge().unwrap())
    };
    for mend in [0, 1] {
        let world = World::new(Wrong::Nothing);
        for (event_type, version) in [known, known, burnt, known] {
            world.source.append(Append::new([bad(event_type, version, "{}")])).await.unwrap();
        }
        let migration =
            |types: &[(&str, u32)]| Migration::new(world.source.clone(), world.target.clone(), chain(types));
        assert!(matches!(migration(&[known]).run(|_| {}).await, Err(MigrationError::Event { .. })));
        let mended = || if mend == 0 { migration(&[known, burnt]) } else { migration(&[known]).keep_unknown() };
        assert_eq!(mended().dry_run().await.unwrap().copied, 2);
        let copied = mended().run(|_| {}).await.unwrap();
        assert_eq!((copied.read, copied.written), (4, 4));
        let verified = mended().verify().await.unwrap();
        assert_eq!((verified.events, verified.missing), (4, 0));
        // Once it has gone on, it is the chain that is known.
        let outcome = migration(&[known]).run(|_| {}).await;
        assert!(matches!(outcome, Err(MigrationError::OtherRules)), "{outcome:?}");
    }
}

/// What hops end at is current where nobody tells what is; and whoever shows an event and whoever copies it agree.
#[rstest]
#[case::end("user.email-updated", 1, Ok(1))]
#[case::past_the_end("user.email-updated", 2, Err("knows its type up to version 1"))]
#[case::start("user.mail-changed", 1, Ok(1))]
#[case::past_the_start("user.mail-changed", 9, Err("knows its type up to version 1"))]
#[case::unknown("user.burnt", 1, Err("its type is unknown to the chain"))]
#[tokio::test]
async fn the_end_of_a_chain_is_current(
    #[case] event_type: &str,
    #[case] version: u32,
    #[case] expected: Result<u64, &str>,
) {
    let mut histories = Histories::new();
    histories.add("chain", History::new().hop(Hop::from("user.mail-changed", 1).to("user.email-updated", 1)));
    let upcasters = Arc::new(histories.judge().unwrap());
    let world = World::new(Wrong::Nothing);
    world.source.append(Append::new([bad(event_type, version, "{}")])).await.unwrap();
    let page = world.source.read(Read::log(Query::all())).await.unwrap();
    let current = upcasters.current(&page.events[0]);
    assert_eq!(current.is_ok(), expected.is_ok(), "{current:?}");
    let outcome = Migration::new(world.source.clone(), world.target.clone(), upcasters).run(|_| {}).await;
    match (outcome, expected) {
        (Ok(copied), Ok(written)) => assert_eq!(copied.written, written),
        (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{error}"),
        (outcome, expected) => panic!("{outcome:?}, and not {expected:?}"),
    }
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
