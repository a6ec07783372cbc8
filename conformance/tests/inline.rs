//! PR-08 for stores, proven by wrong stores: each breaks exactly the checks it says, and each check is broken by one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "support/judging.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod judging;
#[path = "inline/mutants.rs"]
mod mutants;
#[path = "read_models/store.rs"]
#[allow(dead_code, reason = "shared with the suite of read models")]
mod rows;
#[path = "inline/store.rs"]
mod store;

use judging::{complaints, only};
use mutants::MUTANTS;
use portolan_conformance::{Outcome, Runner, laws};
use std::collections::BTreeSet;
use store::{Mutant, RIGHT};

/// What takes another process, which a store in memory cannot have. It is seen red by hand, on a store of files.
const ELSEWHERE: [&str; 2] = ["survives_being_killed", "processes_count_together"];

fn checks() -> BTreeSet<&'static str> {
    let checks = laws::inline().into_iter().flat_map(|law| law.checks).map(|check| check.name);
    checks.filter(|check| !ELSEWHERE.contains(check)).collect()
}

fn breaks(mutant: &'static Mutant, check: &'static str) -> Option<String> {
    let [mut law] = <[_; 1]>::try_from(laws::inline()).unwrap();
    law.checks.retain(|of| of.name == check);
    match Runner::new(|| mutant.fixture()).quick().judge(&law) {
        Outcome::Kept { checks, .. } => {
            assert_eq!(checks, 1);
            None
        }
        Outcome::Broken { broken, .. } => Some(format!("{check}:\n{broken}\n")),
        other => panic!("{other:?}"),
    }
}

/// Races are lost by chance: what is not as declared is judged again.
fn in_the_end(mutant: &'static Mutant, check: &'static str) -> Option<String> {
    let declared = mutant.breaks.contains(&check);
    let mut found = breaks(mutant, check);
    for _ in 0..3 {
        if found.is_some() == declared {
            break;
        }
        found = breaks(mutant, check);
    }
    found
}

#[test]
fn each_mutant_breaks_exactly_its_checks() {
    let chosen = |mutant: &&Mutant| only().is_none_or(|only| only == mutant.name);
    let mutants: Vec<_> = core::iter::once(&RIGHT).chain(MUTANTS).filter(chosen).collect();
    let found = complaints(mutants, 4, 0, |mutant, _| {
        let how: Vec<_> = checks().into_iter().filter_map(|check| Some((check, in_the_end(mutant, check)?))).collect();
        let broken: BTreeSet<_> = how.iter().map(|(check, _)| *check).collect();
        let declared: BTreeSet<_> = mutant.breaks.iter().copied().collect();
        let how: String = if only().is_some() { how.into_iter().map(|(_, how)| how).collect() } else { String::new() };
        let wrong = broken != declared || only().is_some();
        wrong.then(|| format!("\nA store that {} breaks\n  {broken:?}, and not\n  {declared:?}\n{how}", mutant.name))
    });
    assert!(found.is_empty(), "{found}");
}

#[test]
fn each_check_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    assert_eq!(broken, checks());
}
