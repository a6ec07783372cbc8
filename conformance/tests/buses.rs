//! The laws of command buses, proven by wrong ones: each breaks exactly the laws it says, and each law is broken by
//! one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run where std is")]
#![allow(clippy::unwrap_used, reason = "a wrong bus may panic")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a wrong bus may miscount")]

#[path = "buses/bus.rs"]
mod bus;
#[path = "buses/commands.rs"]
mod commands;
#[path = "support/judging.rs"]
mod judging;
#[path = "buses/outcomes.rs"]
mod outcomes;
#[path = "buses/parts.rs"]
mod parts;
#[path = "buses/ways.rs"]
mod ways;

use bus::Mutant;
use judging::{AGAIN, broken_by, complaint, complaints, only};
use portolan_conformance::{CommandBus, Place, REPORT, Runner, Served, capability_matrix, command_bus_laws, laws};
use std::collections::BTreeSet;
use std::process::Command;

command_bus_laws! {
    open: async |served: &Served| Ok::<_, String>(served.ports().commands),
}

/// They mostly wait, so that many of them may do so at once.
const AT_ONCE: usize = 12;

fn mutants() -> Vec<Mutant> {
    [commands::MUTANTS, outcomes::MUTANTS, ways::MUTANTS, parts::MUTANTS].concat()
}

fn runner(mutant: Mutant) -> Runner<dyn CommandBus> {
    Runner::new(move || mutant.fixture())
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let only = only();
    let mutants =
        mutants().into_iter().filter(|mutant| only.as_deref().is_none_or(|only| only == mutant.name)).collect();
    let wrong = complaints(mutants, AT_ONCE, AGAIN, |mutant, again| {
        complaint(mutant.name, &runner(mutant), laws::command_bus, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = mutants().iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::command_bus().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}

#[test]
fn right_buses_keep_every_law() {
    let wrong = complaints(ways::RIGHT.to_vec(), AT_ONCE, 0, |bus, _| {
        let (broken, how) = broken_by(&runner(bus), laws::command_bus());
        (!broken.is_empty()).then(|| format!("\n{} is right, and is said to break\n{how}", bus.name))
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn results_become_a_table_of_buses() {
    let place = Place::fresh().unwrap();
    let mut this_binary = Command::new(std::env::current_exe().unwrap());
    let run = this_binary.args(["--exact", "command_bus::cb_01_names"]).env(REPORT, place.dir()).output().unwrap();
    assert!(run.status.success());
    let matrix = capability_matrix(place.dir()).unwrap();
    assert!(matrix.starts_with("| | laws kept | typed-bodies | descriptions | correlation |"), "{matrix}");
    assert!(matrix.contains("(buses::command_bus) | 1 of 1 | yes | yes | yes |"), "{matrix}");
}
