//! Two workers have the effects of one.

use crate::model::*;
use crate::world::*;
use core::time::Duration;
use portolan_testing::TestRuntime;

#[test]
fn one_works_and_the_other_takes_over_when_it_is_gone() {
    let (world, name) = (World::new(), named::<Counter>());
    world.append([deposited(1, 1)]);
    let mut first = world.alone("first").folded::<Counter>(FIRST);
    world.catch_up(&mut first, &name, FIRST);
    // One that waits does nothing as long as the first renews: each of its sleeps is over at once, and the first is
    // polled in between.
    let contender = World { runtime: TestRuntime::held(), ..world.clone() };
    let mut second = contender.alone("second").folded::<Counter>(FIRST);
    let token = world.checkpoint::<Counter>(FIRST).unwrap().token;
    for _ in 0..20 {
        contender.runtime.advance(Duration::from_secs(4));
        world.run_for(&mut second, 20);
        world.run_for(&mut first, 20);
    }
    assert_eq!(world.checkpoint::<Counter>(FIRST).unwrap().token, token, "it was taken over from one that lives");
    // The first is no longer polled: it hangs.
    world.append([deposited(1, 2)]);
    for _ in 0..20 {
        contender.runtime.advance(Duration::from_secs(4));
        world.run_for(&mut second, 50);
    }
    world.catch_up(&mut second, &name, FIRST);
    world.check::<Counter>(FIRST);
    assert!(world.checkpoint::<Counter>(FIRST).unwrap().token > token);

    // It wakes up late: nothing that it writes counts. Then it waits in its turn, and as its sleeps pass at once, and the
    // second hangs now, it is the one that takes over.
    world.append([deposited(1, 3)]);
    world.run_until(&mut first, || {
        world.check::<Counter>(FIRST);
        world.position::<Counter>(FIRST) == world.last_to_apply()
    });
    assert!(world.checkpoint::<Counter>(FIRST).unwrap().token > token);
    world.check::<Counter>(FIRST);
}

/// At each moment of a batch a rival takes over, commits, and lets the first go on.
#[test]
fn a_late_writer_is_refused_wherever_it_slept() {
    for n in 1..100 {
        let (world, name) = (World::with_limits(small_limits(8)).page(3), named::<Accounts<STOP>>());
        world.append((0..6).map(|n| deposited(n % 3, n)));
        let mut first = world.alone("first").folded::<Accounts<STOP>>(FIRST);
        world.run_for(&mut first, n);
        let mut second = world.elsewhere().alone("second").folded::<Accounts<STOP>>(FIRST);
        world.catch_up(&mut second, &name, FIRST);
        world.check::<Accounts<STOP>>(FIRST);
        for _ in 0..100 {
            world.run_for(&mut first, 2);
            world.check::<Accounts<STOP>>(FIRST);
        }
        world.append([deposited(1, 7)]);
        world.run_until(&mut first, || world.position::<Accounts<STOP>>(FIRST) >= world.last_to_apply());
        world.check::<Accounts<STOP>>(FIRST);
    }
}

#[test]
fn one_that_is_told_to_stop_ends_and_gives_its_lease_up() {
    for n in 0..60 {
        let (world, name) = (World::new(), named::<Counter>());
        world.append([deposited(1, 1)]);
        let mut work = world.alone("first").folded::<Counter>(FIRST);
        if n > 0 {
            world.run_for(&mut work, n);
        }
        let (worker, run) = work;
        drop(run);
        let mut worker = worker;
        poll_until(&mut worker, 10, || false).expect("it ends");
        // Nobody has to wait for it: the sleeps of the next one never end.
        let held = World { runtime: TestRuntime::held(), ..world.clone() };
        let mut next = held.alone("next").folded::<Counter>(FIRST);
        // A grant that was under way when it was told to may be left behind; from then on the lease is its own.
        if n > 4 {
            world.catch_up(&mut next, &name, FIRST);
        }
    }
}
