//! Parked events: what waits, what goes on, and what operators do.

use crate::model::*;
use crate::world::*;
use portolan::ports::{ProjectionAction, ProjectionState};
use portolan::values::Position;
use std::collections::BTreeSet;

type Parking = Accounts<PARK>;

fn positions(world: &World) -> Vec<Position> {
    world.parked::<Parking>(FIRST).into_iter().map(|parked| parked.position).collect()
}

#[test]
fn later_events_of_the_sequence_wait_and_others_go_on() {
    for page in [1, 2, 100] {
        let (world, name) = (World::new().page(page), named::<Parking>());
        world.append([deposited(1, 1), deposited(2, 2)]);
        let bad = world.append([broken(1)]).unwrap();
        let waits = world.append([deposited(1, 3)]).unwrap();
        world.append([deposited(2, 4)]);
        let mut work = world.alone("one").folded::<Parking>(FIRST);
        world.catch_up(&mut work, &name, FIRST);
        assert_eq!(positions(&world), [bad, waits]);
        world.check::<Parking>(FIRST);
        let parked = world.parked::<Parking>(FIRST);
        assert_eq!(parked[0].key, None, "it cannot be told");
        assert_eq!(parked[1].key.as_deref(), Some("account-1"));
        assert!(world.said(&name, FIRST).unwrap().is_ready);

        // They wait for the next worker, too.
        drop(work);
        let waits_too = world.append([deposited(1, 5)]).unwrap();
        let mut work = world.elsewhere().alone("one").folded::<Parking>(FIRST);
        world.catch_up(&mut work, &name, FIRST);
        assert_eq!(positions(&world), [bad, waits, waits_too]);
    }
}

#[test]
fn what_is_retried_in_vain_stays_and_keeps_its_sequence_waiting() {
    let (world, name) = (World::new(), named::<Parking>());
    world.append([broken(1), deposited(1, 3), deposited(2, 4)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    let parked = positions(&world);
    for (number, retry) in [(1, ProjectionAction::Retry(None)), (2, ProjectionAction::Retry(Some(parked[0])))] {
        world.wish(&alone, &name, retry);
        world.run_until(&mut work, || world.said(&name, FIRST).unwrap().requests_done == number);
        assert_eq!(positions(&world), parked);
    }
    // Only the one that failed can be retried by itself.
    world.wish(&alone, &name, ProjectionAction::Retry(Some(parked[1])));
    world.run_until(&mut work, || world.said(&name, FIRST).unwrap().requests_done == 3);
    assert_eq!(positions(&world), parked);
}

#[test]
fn what_can_be_applied_by_now_is_in_its_order() {
    // Two accounts have one address. When the first is gone, the second has it.
    let (world, name) = (World::new(), named::<Parking>());
    world.append([opened(1, "a@example.org")]);
    let second = world.append([opened(2, "a@example.org")]).unwrap();
    world.append([deposited(2, 1), deposited(2, 2)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(positions(&world).len(), 3);
    world.append([closed(1)]);
    world.catch_up(&mut work, &name, FIRST);
    world.wish(&alone, &name, ProjectionAction::Retry(Some(second)));
    world.run_until(&mut work, || positions(&world).is_empty());
    world.check::<Parking>(FIRST);
    assert_eq!(world.said(&name, FIRST).unwrap().parked, 0);
    // Nothing waits any more.
    world.append([deposited(2, 3)]);
    world.catch_up(&mut work, &name, FIRST);
    world.check::<Parking>(FIRST);
}

#[test]
fn a_retry_that_is_refused_by_the_store_stays_parked() {
    let (world, name) = (World::new(), named::<Parking>());
    world.append([opened(1, "a@example.org"), opened(2, "a@example.org"), opened(3, "b@example.org")]);
    world.append([opened(4, "b@example.org"), deposited(4, 1), deposited(2, 1)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(positions(&world).len(), 4);
    world.append([closed(3)]);
    world.catch_up(&mut work, &name, FIRST);
    world.wish(&alone, &name, ProjectionAction::Retry(None));
    world.run_until(&mut work, || world.said(&name, FIRST).unwrap().requests_done == 1);
    // That of 4 can be applied by now, with what waits for it; that of 2 still cannot.
    assert_eq!(positions(&world).len(), 2);
    world.check::<Parking>(FIRST);
}

#[test]
fn what_is_dropped_is_left_out_and_sets_free_what_waits() {
    let (world, name) = (World::new(), named::<Parking>());
    let bad = world.append([broken(1)]).unwrap();
    world.append([deposited(1, 3), deposited(1, 4), deposited(2, 5)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    world.wish(&alone, &name, ProjectionAction::Drop(bad));
    world.run_until(&mut work, || positions(&world).is_empty());
    let fold = world.fold::<Parking>(world.last_to_apply(), &BTreeSet::from([bad]));
    assert_eq!(world.rows_of(&name, FIRST), fold);
    assert_eq!(world.said(&name, FIRST).unwrap().requests_done, 1);
}

#[test]
fn what_is_dropped_is_counted_no_more() {
    let (world, name) = (World::new(), named::<Parking>());
    let bad = world.append([broken(1)]).unwrap();
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(world.said(&name, FIRST).unwrap().parked, 1);
    // Nothing waits behind it, whose release would count anew.
    world.wish(&alone, &name, ProjectionAction::Drop(bad));
    world.run_until(&mut work, || positions(&world).is_empty());
    assert_eq!(world.said(&name, FIRST).unwrap().parked, 0);
}

#[test]
fn rows_that_wait_through_a_stream_keep_their_order() {
    // The broken event stops stream 1; what waits there keeps row 1 waiting.
    let (world, name) = (World::with_limits(small_limits(6)), named::<Parking>());
    let bad = world.append([broken(1)]).unwrap();
    world.append((0..12).map(|n| deposited(1, n)));
    let worse = world.append([broken(1)]).unwrap();
    world.append([deposited(1, 3)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(positions(&world).len(), 15);
    world.wish(&alone, &name, ProjectionAction::Drop(bad));
    world.run_until(&mut work, || positions(&world).len() == 2);
    world.check_without::<Parking>(&[bad]);
    world.wish(&alone, &name, ProjectionAction::Drop(worse));
    world.run_until(&mut work, || positions(&world).is_empty());
    world.check_without::<Parking>(&[bad, worse]);
}

#[test]
fn it_parks_only_so_many() {
    let (mut world, name) = (World::new(), named::<Parking>());
    world.options = world.options.with_parked(3);
    world.append([broken(1), deposited(1, 1), deposited(2, 1), deposited(1, 2)]);
    let last = world.append([deposited(1, 3)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Parking>(FIRST);
    let is_stopped =
        || world.said(&name, FIRST).is_some_and(|said| matches!(said.state, ProjectionState::Stopped { .. }));
    world.run_until(&mut work, is_stopped);
    assert_eq!(world.said(&name, FIRST).unwrap().stopped_at, last);
    assert_eq!(positions(&world).len(), 3);
    world.check::<Parking>(FIRST);
    world.wish(&alone, &name, ProjectionAction::Drop(positions(&world)[0]));
    world.wish(&alone, &name, ProjectionAction::Resume);
    world.catch_up(&mut work, &name, FIRST);
    world.run_until(&mut work, || positions(&world).is_empty());
}
