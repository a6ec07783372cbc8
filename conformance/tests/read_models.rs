//! The laws of read models, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by
//! one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "read_models/mutants.rs"]
mod mutants;
#[path = "read_models/store.rs"]
mod store;

use mutants::MUTANTS;
use portolan_conformance::{Outcome, Place, Runner, laws, read_model_store_laws};
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

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let mut wrong = String::new();
    for mutant in RIGHT_ONES.iter().chain(MUTANTS) {
        let runner = Runner::new(|| mutant.fixture()).quick();
        let (mut broken, mut how) = (BTreeSet::new(), String::new());
        for mut law in laws::read_model_store() {
            law.checks.retain(|check| in_one_process(check.name));
            match runner.judge(&law) {
                Outcome::Kept { checks, .. } => assert!(checks > 0, "{} has no check", law.id),
                Outcome::Broken { check, broken: found } => {
                    broken.insert(law.id);
                    how += &format!("{} ({check}):\n{found}\n", law.id);
                }
                Outcome::NotRun { check, why } => panic!("{check} was not run: {why}"),
                Outcome::Unreachable(broken) => panic!("{broken}"),
            }
        }
        let declared: BTreeSet<_> = mutant.breaks.iter().copied().collect();
        if broken != declared {
            wrong += &format!("\nA store that {} breaks {broken:?}, and not {declared:?}:\n{how}", mutant.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::read_model_store().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}
