//! The laws of read models, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by
//! one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "support/judging.rs"]
mod judging;
#[path = "read_models/mutants.rs"]
mod mutants;
#[path = "read_models/store.rs"]
mod store;

use judging::{AGAIN, broken_by, complaint, complaints};
use mutants::MUTANTS;
use portolan_conformance::{Law, Place, Runner, laws, read_model_store_laws};
use portolan_kernel::ports::ReadModelStore;
use std::collections::BTreeSet;
use store::{RIGHT, RIGHT_ONES};

/// Laws about other processes, which a store in memory cannot break.
fn in_one_process(check: &str) -> bool {
    !["survives_being_killed", "processes_take_turns"].contains(&check)
}

read_model_store_laws! {
    open: async |_: &Place| Ok::<_, String>(RIGHT.open_alone()),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "it lives in memory",
    },
}

fn judged() -> Vec<Law<dyn ReadModelStore>> {
    let mut laws = laws::read_model_store();
    laws.iter_mut().for_each(|law| law.checks.retain(|check| in_one_process(check.name)));
    laws
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let wrong = complaints(MUTANTS.iter().collect(), 2, AGAIN, |mutant, again| {
        complaint(mutant.name, &Runner::new(|| mutant.fixture()), judged, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn right_ones_keep_every_law() {
    for right in RIGHT_ONES {
        let (broken, how) = broken_by(&Runner::new(|| right.fixture()), judged());
        assert!(broken.is_empty(), "{} is right, and is said to break\n{how}", right.name);
    }
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::read_model_store().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}
