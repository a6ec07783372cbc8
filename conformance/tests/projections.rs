//! The laws of projection registries, proven by wrong ones, and by applications over wrong stores: each breaks exactly
//! the laws it says, and each law is broken by one.
//!
//! What takes another process (kills, a worker that is halted) runs on stores of files and tables, which the adapters'
//! own tests bring.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "projections/acting.rs"]
mod acting;
#[path = "support/judging.rs"]
mod judging;
#[path = "leases/store.rs"]
#[allow(dead_code, reason = "shared with the suite of leases")]
mod leases;
#[path = "projections/reading.rs"]
mod reading;
#[path = "projections/registry.rs"]
mod registry;
#[path = "read_models/store.rs"]
#[allow(dead_code, reason = "shared with the suite of read models")]
mod rows;
#[path = "projections/storages.rs"]
mod storages;
#[path = "projections/telling.rs"]
mod telling;
#[path = "projections/waiting.rs"]
mod waiting;

use judging::{AGAIN, broken_by, complaint, complaints, only};
use portolan_conformance::{Law, Projected, Runner, laws};
use registry::Mutant;
use std::collections::BTreeSet;

/// They mostly wait, so that many of them may do so at once.
const AT_ONCE: usize = 32;

fn mutants() -> Vec<Mutant> {
    [telling::MUTANTS, acting::MUTANTS, reading::MUTANTS, waiting::MUTANTS, storages::MUTANTS].concat()
}

fn runner(mutant: Mutant) -> Runner<Projected> {
    Runner::new(move || mutant.fixture())
}

fn law(id: &str) -> Vec<Law<Projected>> {
    laws::projection_registry().into_iter().filter(|law| law.id == id).collect()
}

fn ids() -> BTreeSet<&'static str> {
    laws::projection_registry().iter().map(|law| law.id).collect()
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let only = only();
    let chosen = |mutant: &Mutant| only.as_deref().is_none_or(|only| only == mutant.name);
    let mutants = mutants().into_iter().filter(chosen);
    let trials = mutants.flat_map(|mutant| ids().into_iter().map(move |id| (mutant, id))).collect();
    let wrong = complaints(trials, AT_ONCE, AGAIN, |(mutant, id), again| {
        let declared: Vec<_> = mutant.breaks.iter().copied().filter(|of| *of == id).collect();
        complaint(mutant.name, &runner(mutant), || law(id), &declared, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = mutants().iter().flat_map(|mutant| mutant.breaks).copied().collect();
    assert_eq!(broken, ids());
}

#[test]
fn right_ones_keep_every_law() {
    let trials = storages::RIGHT.iter().flat_map(|right| ids().into_iter().map(move |id| (*right, id))).collect();
    let wrong = complaints(trials, AT_ONCE, 0, |(right, id), _| {
        let (broken, how) = broken_by(&runner(right), law(id));
        (!broken.is_empty()).then(|| format!("\n{} is right, and is said to break\n{how}", right.name))
    });
    assert!(wrong.is_empty(), "{wrong}");
}
