//! The laws of saga orchestrators, proven by wrong ones: each breaks exactly the laws it says, but for what one may
//! break by chance, and each law is broken by one.
//!
//! Some are the kernel's but for one thing; others are a plain orchestrator of these tests, which shares nothing of the
//! kernel's but the driver of one saga, over ports that are wrong.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "sagas/driving.rs"]
mod driving;
#[path = "sagas/facts.rs"]
mod facts;
#[path = "support/judging.rs"]
mod judging;
#[path = "leases/store.rs"]
#[allow(dead_code, reason = "shared with the suite of leases")]
mod leases;
#[path = "sagas/mutant.rs"]
mod mutant;
#[path = "sagas/plain.rs"]
mod plain;
#[path = "read_models/store.rs"]
#[allow(dead_code, reason = "shared with the suite of read models")]
mod rows;
#[path = "sagas/telling.rs"]
mod telling;

use judging::{AGAIN, broken_by, complaint, complaints, only};
use mutant::Mutant;
use portolan_conformance::{Law, Orchestrated, Runner, laws};
use std::collections::BTreeSet;

/// They mostly wait, so that several of them may do so at once.
const AT_ONCE: usize = 12;

fn mutants() -> Vec<Mutant> {
    [telling::MUTANTS, driving::MUTANTS].concat()
}

fn runner(mutant: Mutant) -> Runner<Orchestrated> {
    Runner::new(move || mutant.fixture())
}

fn law(id: &str) -> Vec<Law<Orchestrated>> {
    laws::saga_orchestrator().into_iter().filter(|law| law.id == id).collect()
}

fn ids() -> BTreeSet<&'static str> {
    laws::saga_orchestrator().iter().map(|law| law.id).collect()
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let only = only();
    let chosen = |mutant: &Mutant| only.as_deref().is_none_or(|only| only == mutant.name);
    let mutants = mutants().into_iter().filter(chosen);
    let trials = mutants.flat_map(|mutant| {
        let judged = ids().into_iter().filter(move |id| !mutant.perhaps.contains(id));
        judged.map(move |id| (mutant, id))
    });
    let wrong = complaints(trials.collect(), AT_ONCE, AGAIN, |(mutant, id), again| {
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
    let trials = driving::RIGHT.iter().flat_map(|right| ids().into_iter().map(move |id| (*right, id))).collect();
    let wrong = complaints(trials, AT_ONCE, 0, |(right, id), _| {
        let (broken, how) = broken_by(&runner(right), law(id));
        (!broken.is_empty()).then(|| format!("\n{} is right, and is said to break\n{how}", right.name))
    });
    assert!(wrong.is_empty(), "{wrong}");
}
