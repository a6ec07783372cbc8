//! When an edition may be read, and which one is.

use crate::model::*;
use crate::world::*;
use portolan::ports::{ProjectionAction, ReadModelStore};
use portolan::values::Edition;

fn active(world: &World) -> Option<Edition> {
    now(world.store.versions(named::<Counter>())).unwrap().active.map(Edition::stored)
}

const SECOND: Edition = Edition { version: 1, rebuild: 1 };

#[test]
fn an_edition_is_read_once_it_has_caught_up_and_not_before() {
    let (world, name) = (World::new().page(2), named::<Counter>());
    world.append((0..9).map(|n| deposited(1, n)));
    let alone = world.alone("one");
    let mut work = alone.folded::<Counter>(FIRST);
    world.run_until(&mut work, || {
        let is_ready = world.said(&name, FIRST).is_some_and(|said| said.is_ready);
        let has_all = world.position::<Counter>(FIRST) == world.last_to_apply();
        assert_eq!(is_ready, has_all, "ready in the batch that catches up");
        assert_eq!(active(&world), is_ready.then_some(FIRST), "and active in the same");
        is_ready
    });

    world.wish(&alone, &name, ProjectionAction::Rebuild);
    let mut rebuild = alone.folded::<Counter>(SECOND);
    world.run_until(&mut rebuild, || {
        let has_all = world.position::<Counter>(SECOND) == world.last_to_apply();
        assert_eq!(active(&world), Some(if has_all { SECOND } else { FIRST }));
        has_all
    });
    assert_eq!(world.rows_of(&name, FIRST), world.rows_of(&name, SECOND));
}

#[test]
fn a_reset_is_read_before_its_first_event() {
    let (world, name) = (World::new().page(1), named::<Counter>());
    world.append((0..3).map(|n| deposited(1, n)));
    let alone = world.alone("one");
    let mut work = alone.folded::<Counter>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    world.wish(&alone, &name, ProjectionAction::Reset);
    let mut reset = alone.folded::<Counter>(SECOND);
    world.run_until(&mut reset, || active(&world) == Some(SECOND));
    assert_eq!(world.position::<Counter>(SECOND), None);
    world.catch_up(&mut reset, &name, SECOND);
}

#[test]
fn one_that_is_not_wanted_is_not_made_active() {
    let (world, name) = (World::new(), named::<Counter>());
    let alone = world.alone("one");
    world.append([deposited(1, 1)]);
    world.wish(&alone, &name, ProjectionAction::Activate(Some(2)));
    let mut work = alone.folded::<Counter>(FIRST);
    world.catch_up(&mut work, &name, FIRST);
    assert!(world.said(&name, FIRST).unwrap().is_ready);
    assert_eq!(active(&world), None, "another version is pinned");
    // The pin changes while it has nothing else to do.
    world.wish(&alone, &name, ProjectionAction::Activate(Some(1)));
    world.run_until(&mut work, || active(&world) == Some(FIRST));
}

#[test]
fn an_older_edition_that_is_still_worked_on_does_not_take_its_place_back() {
    let (world, name) = (World::new(), named::<Counter>());
    let alone = world.alone("one");
    world.append([deposited(1, 1)]);
    world.wish(&alone, &name, ProjectionAction::Rebuild);
    let (mut old, mut new) = (alone.folded::<Counter>(FIRST), alone.folded::<Counter>(SECOND));
    world.catch_up(&mut new, &name, SECOND);
    world.catch_up(&mut old, &name, FIRST);
    assert_eq!(active(&world), Some(SECOND));
    assert!(world.said(&name, FIRST).unwrap().is_ready);
}
