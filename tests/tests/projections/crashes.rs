//! A worker that dies anywhere: the next one goes on, and nothing is lost or done twice.

use crate::model::*;
use crate::views::{BROKEN_CALLS, Cities, moved};
use crate::world::*;
use portolan::ports::ProjectionAction;
use portolan::values::Name;

/// Runs workers that die after `n` polls each, one after the other, until one has caught up; after each death the rows
/// are checked.
fn die_and_go_on(
    world: &World,
    name: &Name,
    n: u64,
    start: impl Fn(&World) -> portolan::drivers::Work,
    check: impl Fn(&World),
) {
    let mut polls = n;
    for _ in 0..10_000 {
        let mut work = start(world);
        let is_done = || {
            world.position_of(name, FIRST) >= world.last_to_apply()
                && world.said(name, FIRST).is_some_and(|said| said.state == portolan::ports::ProjectionState::CaughtUp)
        };
        world.run_for(&mut work, polls);
        drop(work);
        check(world);
        if is_done() {
            return;
        }
        // A life that is too short for a first batch, always, has no progress to make.
        polls += 1;
    }
    panic!("it never caught up");
}

#[test]
fn rows_are_a_fold_wherever_a_worker_dies() {
    for n in 1..120 {
        let world = World::with_limits(small_limits(8)).page(4);
        world.append((0..20).map(|n| deposited(n % 4, n)));
        die_and_go_on(
            &world,
            &named::<Accounts<STOP>>(),
            n,
            |world| world.elsewhere().alone("one").folded::<Accounts<STOP>>(FIRST),
            |world| world.check::<Accounts<STOP>>(FIRST),
        );
        world.check::<Accounts<STOP>>(FIRST);
    }
}

#[test]
fn parked_events_are_right_wherever_a_worker_dies() {
    for n in 1..160 {
        let world = World::with_limits(small_limits(8)).page(4);
        world.append([deposited(1, 1), broken(2), deposited(2, 3), deposited(1, 4), deposited(2, 5), deposited(3, 6)]);
        die_and_go_on(
            &world,
            &named::<Accounts<PARK>>(),
            n,
            |world| world.elsewhere().alone("one").folded::<Accounts<PARK>>(FIRST),
            |world| world.check::<Accounts<PARK>>(FIRST),
        );
        let parked = world.parked::<Accounts<PARK>>(FIRST);
        assert_eq!(parked.len(), 3, "the broken one and those behind it");
        // Dropping it sets those free that wait, each once.
        let alone = world.alone("one");
        world.wish(&alone, &named::<Accounts<PARK>>(), ProjectionAction::Drop(parked[0].position));
        let mut polls = n;
        while !world.parked::<Accounts<PARK>>(FIRST).is_empty() {
            let mut work = world.elsewhere().alone("one").folded::<Accounts<PARK>>(FIRST);
            world.run_for(&mut work, polls);
            polls += 1;
            drop(work);
            let mut without: std::collections::BTreeSet<_> =
                world.parked::<Accounts<PARK>>(FIRST).into_iter().map(|parked| parked.position).collect();
            without.insert(parked[0].position);
            let position = world.position::<Accounts<PARK>>(FIRST);
            let fold = world.fold::<Accounts<PARK>>(position, &without);
            assert_eq!(world.rows_of(&named::<Accounts<PARK>>(), FIRST), fold);
        }
    }
}

#[test]
fn a_view_is_applied_at_least_once_and_its_rows_count_once() {
    for n in 1..80 {
        let world = World::with_limits(small_limits(8)).page(3);
        world.append((0..9).map(|n| moved(n % 2, ["rome", "oslo", "riga"][n as usize % 3])));
        BROKEN_CALLS.with(|calls| calls.set(0));
        let name = name("cities");
        die_and_go_on(
            &world,
            &name,
            n,
            |world| world.elsewhere().alone("one").viewed::<Cities>(FIRST),
            |world| crate::views::check(world),
        );
        crate::views::check(&world);
    }
}
