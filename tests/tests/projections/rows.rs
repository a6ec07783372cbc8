//! Rows are a fold of the log, whatever the batches.

use crate::model::*;
use crate::world::*;
use portolan::ports::RowLimits;
use portolan::values::NewEvent;
use proptest::prelude::*;

fn events() -> impl Strategy<Value = Vec<NewEvent>> {
    let one = (0..6_u8, 0..8_u64).prop_map(|(account, what)| match what {
        0 => opened(account, &format!("{account}@example.org")),
        1 => closed(account),
        2 => foreign(),
        amount => deposited(account, amount),
    });
    proptest::collection::vec(one, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_equal_a_fold_whatever_the_batches(
        first in events(), second in events(), page in 1..40_u32, changes in 4..20_u32,
    ) {
        let world = World::with_limits(small_limits(changes)).page(page);
        world.append(first);
        let mut work = world.alone("one").folded::<Accounts<STOP>>(FIRST);
        world.catch_up(&mut work, &named::<Accounts<STOP>>(), FIRST);
        world.check::<Accounts<STOP>>(FIRST);
        world.append(second);
        world.catch_up(&mut work, &named::<Accounts<STOP>>(), FIRST);
        world.check::<Accounts<STOP>>(FIRST);
    }
}

#[test]
fn a_batch_that_is_too_large_in_bytes_is_cut_smaller() {
    let mut limits = RowLimits::default();
    limits.batch_bytes = 3_000;
    let world = World::with_limits(limits);
    world.append((0..100).map(|n| opened(n, &format!("{n}{}@example.org", "x".repeat(100)))));
    let mut work = world.alone("one").folded::<Accounts<STOP>>(FIRST);
    world.catch_up(&mut work, &named::<Accounts<STOP>>(), FIRST);
    world.check::<Accounts<STOP>>(FIRST);
}

#[test]
fn one_that_is_registered_late_begins_with_the_first_event() {
    let world = World::new();
    world.append((0..10).map(|n| deposited(n % 3, n)));
    let mut early = world.alone("one").folded::<Counter>(FIRST);
    world.catch_up(&mut early, &named::<Counter>(), FIRST);
    let mut late = world.alone("one").folded::<Accounts<STOP>>(FIRST);
    world.catch_up(&mut late, &named::<Accounts<STOP>>(), FIRST);
    world.check::<Accounts<STOP>>(FIRST);
    assert_eq!(world.rows_of(&named::<Accounts<STOP>>(), FIRST).len(), 3);
}

#[test]
fn events_of_others_move_the_checkpoint() {
    let world = World::new();
    world.append([deposited(1, 1)]);
    let last = world.append([foreign()]);
    let mut work = world.alone("one").folded::<Counter>(FIRST);
    world.catch_up(&mut work, &named::<Counter>(), FIRST);
    assert_eq!(world.position::<Counter>(FIRST), last);
}

#[test]
fn an_empty_log_is_caught_up_with() {
    let world = World::new();
    let mut work = world.alone("one").folded::<Counter>(FIRST);
    world.catch_up(&mut work, &named::<Counter>(), FIRST);
    assert!(world.said(&named::<Counter>(), FIRST).unwrap().is_ready);
}
