//! Stores that fail, and outcomes that nobody knows.

use crate::model::*;
use crate::world::*;
use portolan_testing::{Fault, Faulty, ReadFault};
use std::sync::Arc;

fn with_rows(world: &World, rows: Faulty<dyn portolan::ports::ReadModelStore>) -> World {
    World { rows: Arc::new(rows), ..world.clone() }
}

#[test]
fn whatever_write_fails_however_the_rows_are_a_fold() {
    let faults = [Fault::Busy, Fault::Conflict, Fault::LostOnTheWay, Fault::LostAnswer, Fault::Broken];
    for fault in faults {
        for n in 1..20 {
            if n <= 5 && matches!(fault, Fault::Conflict) {
                continue; // A conflict of definitions is another case.
            }
            let (world, name) = (World::with_limits(small_limits(8)).page(3), named::<Accounts<PARK>>());
            world.append((0..12).map(|n| if n == 5 { broken(9) } else { deposited(n % 3, n) }));
            let faulty = with_rows(&world, Faulty::new(world.rows.clone()).nth_write(n, fault.clone()));
            let mut work = faulty.alone("one").folded::<Accounts<PARK>>(FIRST);
            faulty.catch_up(&mut work, &name, FIRST);
            world.check::<Accounts<PARK>>(FIRST);
            assert_eq!(world.parked::<Accounts<PARK>>(FIRST).len(), 1, "{fault:?} {n}");
        }
    }
}

#[test]
fn whatever_read_fails_the_rows_are_a_fold() {
    for fault in [ReadFault::Busy, ReadFault::Broken] {
        for n in 1..20 {
            let (world, name) = (World::with_limits(small_limits(8)).page(3), named::<Accounts<STOP>>());
            world.append((0..12).map(|n| deposited(n % 3, n)));
            let mut faulty = with_rows(&world, Faulty::new(world.rows.clone()).nth_read(n, fault.clone()));
            faulty.events = Arc::new(Faulty::new(world.events.clone()).nth_read(n, fault.clone()));
            let mut work = faulty.alone("one").folded::<Accounts<STOP>>(FIRST);
            faulty.catch_up(&mut work, &name, FIRST);
            world.check::<Accounts<STOP>>(FIRST);
        }
    }
}

#[test]
fn leases_that_fail_keep_nobody_from_work_for_good() {
    for fault in [Fault::Busy, Fault::LostOnTheWay, Fault::LostAnswer, Fault::Broken, Fault::Conflict] {
        for n in 1..6 {
            let (world, name) = (World::new(), named::<Counter>());
            world.append([deposited(1, 1)]);
            let leases = Arc::new(Faulty::new(world.leases.clone()).nth_write(n, fault.clone()));
            let faulty = World { leases, ..world.clone() };
            let mut work = faulty.alone("one").folded::<Counter>(FIRST);
            faulty.catch_up(&mut work, &name, FIRST);
            world.append([deposited(1, 2)]);
            faulty.catch_up(&mut work, &name, FIRST);
            world.check::<Counter>(FIRST);
        }
    }
}

#[test]
fn trouble_is_said_once_it_is_over() {
    let (world, name) = (World::new(), named::<Counter>());
    world.append([deposited(1, 1)]);
    let faulty = with_rows(&world, Faulty::new(world.rows.clone()).nth_write(6, Fault::Broken));
    let mut work = faulty.alone("one").folded::<Counter>(FIRST);
    faulty.catch_up(&mut work, &name, FIRST);
    assert!(world.said(&name, FIRST).unwrap().last_error.is_some());
}
