//! The laws of leases, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "support/judging.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod judging;
#[path = "leases/store.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod store;

use core::time::Duration;
use judging::{AGAIN, complaint, complaints};
use portolan_conformance::{Place, Runner, laws, lease_store_laws};
use portolan_kernel::values::Name;
use std::collections::BTreeSet;
use store::{Kept, Mutant, RIGHT};

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "grants to everybody",
        breaks: &["LS-01", "LS-03", "LS-04", "LS-05"],
        blocks: |_, _| false,
        ..RIGHT
    },
    Mutant {
        name: "grants again to its holder",
        breaks: &["LS-01"],
        blocks: |held, holder| held.holder != *holder,
        ..RIGHT
    },
    Mutant { name: "takes over whatever stands", breaks: &["LS-03"], unchanged: |_, _| true, ..RIGHT },
    Mutant {
        name: "overlooks renewals",
        breaks: &["LS-03"],
        unchanged: |record, seen| record.token == seen.token,
        ..RIGHT
    },
    Mutant {
        name: "looks at the holder's name alone",
        breaks: &["LS-01"],
        held: |record, shown| record.holder == shown.holder || shown.token.0 != 1,
        ..RIGHT
    },
    Mutant {
        name: "lets a former holder renew and release",
        breaks: &["LS-01", "LS-04", "LS-05"],
        held: |_, _| true,
        ..RIGHT
    },
    Mutant {
        name: "wants the lease as it was last renewed",
        breaks: &["LS-01"],
        held: |record, shown| record == shown,
        ..RIGHT
    },
    Mutant { name: "counts no renewals", breaks: &["LS-01", "LS-03"], renew: |record, _| record, ..RIGHT },
    Mutant {
        name: "forgets the token with the release",
        breaks: &["LS-01", "LS-02", "LS-04"],
        release: |_| (0, None),
        ..RIGHT
    },
    Mutant {
        name: "releases nothing",
        breaks: &["LS-01", "LS-02", "LS-03", "LS-04"],
        release: |record| record,
        ..RIGHT
    },
    Mutant {
        name: "begins tokens at 0",
        breaks: &["LS-01", "LS-02", "LS-03", "LS-04"],
        token: |record| if record.0 == 0 && record.1.is_none() { 0 } else { record.0 + 1 },
        ..RIGHT
    },
    Mutant {
        name: "keeps the token in a take-over",
        breaks: &["LS-02", "LS-03", "LS-04", "LS-05"],
        token: |record| record.0 + u64::from(record.1.is_none()),
        ..RIGHT
    },
    Mutant { name: "folds case", breaks: &["LS-01"], key: |name| Name::new(name.to_lowercase()).unwrap(), ..RIGHT },
    Mutant {
        name: "does not tell renewals",
        breaks: &["LS-03", "LS-04", "LS-05"],
        told: |lease| lease.renewed(0),
        ..RIGHT
    },
    Mutant {
        name: "tells whole seconds",
        breaks: &["LS-03", "LS-04", "LS-05"],
        told: |mut lease| {
            lease.time_to_live = Duration::from_secs(lease.time_to_live.as_secs());
            lease
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets who holds it when it is closed",
        breaks: &["LS-05"],
        reopen: |kept| kept.values_mut().for_each(|record| record.1 = None),
        ..RIGHT
    },
    Mutant { name: "forgets all when it is closed", breaks: &["LS-02", "LS-05"], reopen: Kept::clear, ..RIGHT },
    Mutant { name: "lets leases expire by a clock of its own", breaks: &["LS-01"], expires: true, ..RIGHT },
    Mutant {
        name: "frees every name with a release",
        breaks: &["LS-01"],
        released: |kept| kept.values_mut().for_each(|record| record.1 = None),
        ..RIGHT
    },
    Mutant {
        name: "keeps the former time to live in a take-over",
        breaks: &["LS-03"],
        taken: |former, _| former,
        ..RIGHT
    },
    Mutant {
        name: "answers what it does not keep: parts of a millisecond",
        breaks: &["LS-03", "LS-04"],
        keeps: |mut lease| {
            lease.time_to_live = Duration::from_millis(u64::try_from(lease.time_to_live.as_millis()).unwrap());
            lease
        },
        ..RIGHT
    },
    Mutant { name: "looks, and then writes", breaks: &["LS-01", "LS-03"], races: true, ..RIGHT },
];

lease_store_laws! {
    open: async |place: &Place| Ok::<_, String>(RIGHT.open(place)),
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let wrong = complaints(MUTANTS.iter().collect(), 2, AGAIN, |mutant, again| {
        complaint(mutant.name, &Runner::new(|| mutant.fixture()), laws::lease_store, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::lease_store().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}
