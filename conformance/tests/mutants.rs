//! The suite, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run where std is")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a wrong store may panic")]

#[path = "mutants/appends.rs"]
mod appends;
#[path = "mutants/checkpoints.rs"]
mod checkpoints;
#[path = "mutants/expectations.rs"]
mod expectations;
#[path = "mutants/guards.rs"]
mod guards;
#[path = "support/judging.rs"]
mod judging;
#[path = "mutants/keys.rs"]
mod keys;
#[path = "mutants/narrow.rs"]
mod narrow;
#[path = "mutants/reads.rs"]
mod reads;
#[path = "mutants/right.rs"]
mod right;
#[path = "mutants/store.rs"]
mod store;
#[path = "mutants/subscriptions.rs"]
mod subscriptions;
#[path = "mutants/timing.rs"]
mod timing;

use judging::{AGAIN, broken_by, complaint, complaints, only};
use portolan_conformance::{Capability, EventStore, Law, Runner, laws};
use std::collections::BTreeSet;
use store::Mutant;

fn mutants() -> Vec<Mutant> {
    [
        appends::MUTANTS,
        expectations::MUTANTS,
        guards::MUTANTS,
        keys::MUTANTS,
        narrow::MUTANTS,
        checkpoints::MUTANTS,
        reads::MUTANTS,
        subscriptions::MUTANTS,
        timing::MUTANTS,
    ]
    .concat()
}

/// The laws that a store in memory can break. The others have wrong stores of their own, in `file_store/`.
fn event_store_laws() -> Vec<Law<dyn EventStore>> {
    let of_files = |law: &Law<_>| matches!(law.id, "ES-24" | "ES-25" | "ES-26");
    laws::event_store().into_iter().filter(|law| !of_files(law)).collect()
}

fn runner(mutant: Mutant, lacks: &'static [Capability]) -> Runner<dyn EventStore> {
    Runner::new(move || lacks.iter().fold(mutant.fixture(), |fixture, lack| fixture.lacks(*lack, "a variant")))
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let only = only();
    let mutants =
        mutants().into_iter().filter(|mutant| only.as_deref().is_none_or(|only| only == mutant.name)).collect();
    let wrong = complaints(mutants, 4, AGAIN, |mutant, again| {
        let certain = |law: &Law<_>| !mutant.perhaps.contains(&law.id);
        let judged = || event_store_laws().into_iter().filter(certain).collect();
        complaint(mutant.name, &runner(mutant, &[]), judged, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = mutants().iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = event_store_laws().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}

#[test]
fn right_stores_keep_every_law() {
    let only = only();
    let chosen = |store: &Mutant| only.as_deref().is_none_or(|only| only == store.name);
    let stores = right::stores().into_iter().filter(|(store, _)| chosen(store)).collect();
    let wrong = complaints(stores, 4, 0, |(store, lacks), _| {
        let (broken, how) = broken_by(&runner(store, lacks), event_store_laws());
        (!broken.is_empty()).then(|| format!("\n{} is right, and is said to break\n{how}", store.name))
    });
    assert!(wrong.is_empty(), "{wrong}");
}
