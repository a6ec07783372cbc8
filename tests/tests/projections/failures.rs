//! Events that cannot be applied: stopped at, skipped, found by halving.

use crate::model::*;
use crate::world::*;
use portolan::ports::{ProjectionAction, ProjectionState};
use portolan::values::Position;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

fn is_stopped(world: &World, name: &portolan::values::Name) -> bool {
    world.said(name, FIRST).is_some_and(|said| matches!(said.state, ProjectionState::Stopped { .. }))
}

#[test]
fn it_stops_at_the_event_and_goes_on_when_that_is_dropped() {
    let (world, name) = (World::new(), named::<Accounts<STOP>>());
    world.append([deposited(1, 1), deposited(2, 2)]);
    let bad = world.append([broken(1)]).unwrap();
    world.append([deposited(1, 4), deposited(3, 5)]);
    let alone = world.alone("one");
    let mut work = alone.folded::<Accounts<STOP>>(FIRST);
    world.run_until(&mut work, || is_stopped(&world, &name));
    let said = world.said(&name, FIRST).unwrap();
    assert_eq!(said.stopped_at, Some(bad));
    assert_eq!(said.last_error.unwrap().position, Some(bad));
    assert!(!said.is_ready);
    world.check::<Accounts<STOP>>(FIRST);
    assert_eq!(world.rows_of(&name, FIRST).len(), 2, "what is before it is applied");

    // It tries again when told to, and stops again.
    world.wish(&alone, &name, ProjectionAction::Resume);
    world.run_until(&mut work, || world.said(&name, FIRST).unwrap().requests_done == 1 && is_stopped(&world, &name));

    // Another worker does not go on by itself.
    drop(work);
    let mut work = alone.folded::<Accounts<STOP>>(FIRST);
    world.run_for(&mut work, 300);
    assert_eq!(world.said(&name, FIRST).unwrap().stopped_at, Some(bad));

    world.wish(&alone, &name, ProjectionAction::Drop(bad));
    world.catch_up(&mut work, &name, FIRST);
    let said = world.said(&name, FIRST).unwrap();
    assert_eq!((said.requests_done, said.stopped_at), (2, None));
    let fold = world.fold::<Accounts<STOP>>(world.last_to_apply(), &BTreeSet::from([bad]));
    assert_eq!(world.rows_of(&name, FIRST), fold);
}

#[test]
fn a_panic_of_the_store_is_blamed_on_no_event() {
    let (world, name) = (World::new(), named::<Accounts<SKIP>>());
    world.append([deposited(1, 1), deposited(2, 2), deposited(3, 3)]);
    world.steps.panics.store(1, Ordering::SeqCst);
    let mut work = world.alone("one").folded::<Accounts<SKIP>>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(world.steps.panics.load(Ordering::SeqCst), 0, "it has panicked");
    world.check::<Accounts<SKIP>>(FIRST);
    assert_eq!(world.rows_of(&name, FIRST).len(), 3);
}

#[test]
fn it_skips() {
    let (world, name) = (World::new(), named::<Accounts<SKIP>>());
    let bad: BTreeSet<Position> = (0..20)
        .filter_map(|n| {
            let is_bad = n % 3 == 1;
            let position = world.append([if is_bad { broken(n % 4) } else { deposited(n % 4, n) }]).unwrap();
            is_bad.then_some(position)
        })
        .collect();
    let mut work = world.alone("one").folded::<Accounts<SKIP>>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(world.rows_of(&name, FIRST), world.fold::<Accounts<SKIP>>(world.last_to_apply(), &bad));
    assert!(world.said(&name, FIRST).unwrap().last_error.is_some());
}

#[test]
fn an_event_that_makes_rows_alike_is_found_by_halving() {
    for at in [0, 1, 17, 63, 64, 99] {
        let (world, name) = (World::new(), named::<Accounts<PARK>>());
        let mut bad = None;
        for n in 0..100 {
            let email = if n == at { "same@example.org".to_owned() } else { format!("{n}@example.org") };
            let position = world.append([opened(n, &email)]);
            bad = if n == at { position } else { bad };
        }
        let twice = world.append([opened("twice", "same@example.org")]).unwrap();
        let later = world.append([deposited("twice", 1), deposited(at, 2)]).unwrap();
        let mut work = world.alone("one").folded::<Accounts<PARK>>(FIRST);
        world.catch_up(&mut work, &name, FIRST);
        let parked: Vec<_> = world.parked::<Accounts<PARK>>(FIRST).into_iter().map(|it| it.position).collect();
        assert_eq!(parked.len(), 2, "{parked:?}: the second of the two, and the deposit after it");
        assert_eq!(parked[0], twice);
        assert!(parked[1] < later);
        assert!(bad.is_some());
        world.check::<Accounts<PARK>>(FIRST);
    }
}

#[test]
fn an_event_whose_row_has_no_cells_is_found_by_halving() {
    let (world, name) = (World::new(), named::<Accounts<SKIP>>());
    world.append((0..30).map(|n| deposited(n % 7, n)));
    let bad = world.append([deposited(3, TOO_MUCH)]).unwrap();
    world.append((0..30).map(|n| opened(n % 7 + 10, &format!("{n}@example.org"))));
    let mut work = world.alone("one").folded::<Accounts<SKIP>>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert_eq!(
        world.rows_of(&name, FIRST),
        world.fold::<Accounts<SKIP>>(world.last_to_apply(), &BTreeSet::from([bad]))
    );
}

#[test]
fn it_is_paused_and_goes_on() {
    let (world, name) = (World::new(), named::<Counter>());
    let alone = world.alone("one");
    let mut work = alone.folded::<Counter>(FIRST);
    world.append([deposited(1, 1)]);
    world.catch_up(&mut work, &name, FIRST);
    world.wish(&alone, &name, ProjectionAction::Pause);
    world.run_until(&mut work, || world.said(&name, FIRST).unwrap().state == ProjectionState::Paused);
    let stands = world.position::<Counter>(FIRST);
    world.append([deposited(1, 2)]);
    world.run_for(&mut work, 300);
    assert_eq!(world.position::<Counter>(FIRST), stands);
    world.wish(&alone, &name, ProjectionAction::Resume);
    world.catch_up(&mut work, &name, FIRST);
    world.check::<Counter>(FIRST);
}

#[test]
fn a_stop_outlives_a_pause() {
    let (world, name) = (World::new(), named::<Accounts<STOP>>());
    let bad = world.append([broken(1)]).unwrap();
    let alone = world.alone("one");
    let mut work = alone.folded::<Accounts<STOP>>(FIRST);
    world.run_until(&mut work, || is_stopped(&world, &name));
    world.wish(&alone, &name, ProjectionAction::Pause);
    world.run_until(&mut work, || world.said(&name, FIRST).unwrap().state == ProjectionState::Paused);
    assert_eq!(world.said(&name, FIRST).unwrap().stopped_at, Some(bad));
    drop(work);
    let mut work = alone.folded::<Accounts<STOP>>(FIRST);
    world.wish(&alone, &name, ProjectionAction::Drop(bad));
    world.wish(&alone, &name, ProjectionAction::Resume);
    world.catch_up(&mut work, &name, FIRST);
}

#[test]
fn rows_of_another_log_are_left_alone() {
    let (world, name) = (World::new(), named::<Counter>());
    world.append([deposited(1, 1)]);
    let mut work = world.alone("one").folded::<Counter>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    drop(work);
    let before = world.rows_of(&name, FIRST);
    let mut swapped = world.elsewhere();
    let other = World::new();
    other.append([deposited(1, 2), deposited(1, 3)]);
    swapped.events = other.events.clone();
    let mut work = swapped.alone("two").folded::<Counter>(FIRST);
    world.run_for(&mut work, 500);
    assert_eq!(world.rows_of(&name, FIRST), before);
    // A reset is another edition, whose checkpoint belongs to the new log.
    let second = portolan::values::Edition { version: 1, rebuild: 1 };
    let mut work = swapped.alone("two").folded::<Counter>(second);
    swapped.run_until(&mut work, || world.position::<Counter>(second) == other.last_to_apply());
}

#[test]
fn a_checkpoint_past_the_log_is_told() {
    use portolan::ports::ReadModelStore;
    use portolan::values::{Batch, Checkpoint, CheckpointState, Move, Token};
    let (world, name) = (World::new(), named::<Counter>());
    world.append([deposited(1, 1)]);
    let log = portolan::ports::EventStore::capabilities(&world.store).identity;
    let checkpoint = FIRST.checkpoint(&name).unwrap();
    let past = Move::At(Position::new(1_000).unwrap());
    let batch = Batch::new(Checkpoint::new(checkpoint, CheckpointState::new(log, None, Token(0)), Token(0), past));
    now(ReadModelStore::commit(&world.store, batch)).unwrap();
    let mut work = world.alone("one").folded::<Counter>(FIRST);
    world.run_until(&mut work, || is_stopped(&world, &name));
    let ProjectionState::Stopped { reason } = world.said(&name, FIRST).unwrap().state else { unreachable!() };
    assert!(reason.contains("restored"), "{reason}");
}
