//! The suite on a store in one file, right and wrong: what the laws of durability, damage, identity and several
//! processes find out.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

mod journal;
mod store;

use portolan_conformance::{Damage, EventStore, Fixture, Outcome, Place, Runner, event_store_laws, laws};
use std::collections::BTreeSet;
use store::{FileStore, Flaw};

/// Flips one bit of the journal: wherever, or one of a payload's, which leaves it readable and wrong.
async fn flip_a_bit(place: &Place) -> std::io::Result<()> {
    let mut bytes = std::fs::read(store::path(place))?;
    let before = br#""payload":"7"#;
    let payloads = bytes.windows(before.len()).enumerate().filter(|(_, window)| window == before);
    let payloads: Vec<_> = payloads.map(|(at, _)| at + before.len() - 1).collect();
    match payloads.get(fastrand::usize(..=2 * payloads.len())) {
        Some(at) => bytes[*at] ^= 1,
        None => {
            let at = fastrand::usize(..bytes.len());
            bytes[at] ^= 1 << fastrand::u8(..8);
        }
    }
    std::fs::write(store::path(place), bytes)
}

const TORN: &str = "a torn last record is an append that nobody was told of";

event_store_laws! {
    open: async |place: &Place| FileStore::open(place, Flaw::None),
    damage: flip_a_bit,
    blind_to: { Tail: TORN },
}

/// Runs the laws on a store with this flaw; `test` is what child processes run.
fn runner(flaw: Flaw, test: &str) -> Runner<dyn EventStore> {
    let fixture = move || Fixture::event_store(async move |place: &Place| FileStore::open(place, flaw));
    Runner::new(move || fixture().damage(flip_a_bit).blind_to(Damage::Tail, TORN)).quick().entry(test)
}

/// Which of the laws that `among` names are broken, and how.
fn broken_by(runner: &Runner<dyn EventStore>, among: impl Fn(&str) -> bool) -> (BTreeSet<&'static str>, String) {
    let (mut ids, mut how) = (BTreeSet::new(), String::new());
    for law in laws::event_store().into_iter().filter(|law| among(law.id)) {
        match runner.judge(&law) {
            Outcome::Kept { .. } => {}
            Outcome::Broken { check, broken } => {
                ids.insert(law.id);
                how += &format!("{} ({check}):\n{broken}\n", law.id);
            }
            Outcome::NotRun { check, why } => panic!("{check} was not run: {why}"),
            Outcome::Unreachable(broken) => panic!("{broken}"),
        }
    }
    (ids, how)
}

/// The laws that it breaks. Where they are not those declared, it is judged again: on a busy machine a process
/// is killed at another moment, and a law about time breaks by chance.
fn broken_in_the_end(
    runner: &Runner<dyn EventStore>,
    declared: &BTreeSet<&'static str>,
) -> (BTreeSet<&'static str>, String) {
    let (mut broken, how) = broken_by(runner, |_| true);
    for id in declared.symmetric_difference(&broken.clone()) {
        let breaks = || broken_by(runner, |law| law == *id).0.contains(id);
        match (0..3).any(|_| breaks() == declared.contains(id)) {
            true if declared.contains(id) => broken.insert(id),
            true => broken.remove(id),
            false => false,
        };
    }
    (broken, how)
}

/// Whether this check alone finds it. Of several that do, the first to find it is a matter of chance, as is where the power
/// is cut.
fn is_found_by(runner: &Runner<dyn EventStore>, check: &str) -> bool {
    let alone = || {
        laws::event_store().into_iter().filter_map(|mut law| {
            law.checks.retain(|of_law| of_law.name == check);
            (!law.checks.is_empty()).then_some(law)
        })
    };
    (0..5).any(|_| alone().any(|law| matches!(runner.judge(&law), Outcome::Broken { .. })))
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident breaks [$($law:literal),+] $(by $check:literal)?;)+) => {
        const FLAWS: &[(Flaw, &[&str])] = &[$((Flaw::$flaw, &[$($law),+])),+];

        $(#[test]
        fn $test() {
            let runner = runner(Flaw::$flaw, stringify!($test));
            if let Some(played) = laws::event_store().iter().find_map(|law| runner.played(law)) {
                return played.unwrap();
            }
            let declared = BTreeSet::from([$($law),+]);
            let (broken, how) = broken_in_the_end(&runner, &declared);
            assert_eq!(broken, declared, "the laws that {:?} breaks\n{how}", Flaw::$flaw);
            $(assert!(how.contains($check) || is_found_by(&runner, $check), "{how}");)?
        })+
    };
}

flaws! {
    acknowledging_before_writing: AcknowledgesBeforeWriting breaks ["ES-23", "ES-24", "ES-25"];
    tearing_appends: TearsAppends breaks ["ES-11", "ES-24", "ES-25", "ES-26"];
    losing_keys_on_restart: LosesKeysOnRestart breaks ["ES-09", "ES-11", "ES-24", "ES-model"];
    losing_checkpoints_on_restart: LosesCheckpointsOnRestart breaks ["ES-13", "ES-24", "ES-model"];
    forgetting_the_last_on_restart: ForgetsTheLastOnRestart breaks ["ES-01", "ES-02", "ES-13", "ES-14", "ES-15", "ES-24", "ES-25", "ES-26", "ES-model"];
    counting_positions_anew: PositionsStartAnew breaks ["ES-01", "ES-02", "ES-24", "ES-model"];
    ignoring_checksums: IgnoresChecksums breaks ["ES-26"];
    ending_at_damage: EndsAtDamage breaks ["ES-26"];
    ending_at_zeros: EndsAtZeros breaks ["ES-26"] by "zeroed_blocks_are_noticed";
    skipping_damage: SkipsDamage breaks ["ES-26"];
    a_new_identity_at_each_opening: NewIdentityAtEachOpening breaks ["ES-24", "ES-25", "ES-27", "ES-model", "capabilities"];
    one_identity_for_all: OneIdentityForAll breaks ["ES-27"];
    taking_checkpoints_of_others: TakesCheckpointsOfOthers breaks ["ES-06", "ES-27"];
    locking_nobody_out: LocksNobodyOut breaks ["ES-25"];
    judging_by_an_old_view: JudgesByAnOldView breaks ["ES-11", "ES-25"];
    never_syncing: NeverSyncs breaks ["ES-24"] by "survives_a_power_cut";
    syncing_after_acknowledging: SyncsAfterAcknowledging breaks ["ES-24"] by "survives_a_power_cut";
    syncing_the_first_append_alone: SyncsTheFirstAppendAlone breaks ["ES-24"] by "survives_a_power_cut";
    syncing_another_file: SyncsAnotherFile breaks ["ES-24"] by "survives_a_power_cut";
    syncing_before_writing: SyncsBeforeWriting breaks ["ES-24"] by "survives_a_power_cut";
    syncing_large_appends_alone: SyncsLargeAppendsAlone breaks ["ES-24"] by "survives_a_power_cut";
    ignoring_failed_syncs: IgnoresFailedSyncs breaks ["ES-24"] by "nothing_is_acknowledged_while_syncs_fail";
    refusing_what_it_wrote: RefusesWhatItWrote breaks ["ES-11"] by "a_failed_sync_is_told_truly";
    taking_back_what_it_showed: TakesBackWhatItShowed breaks ["ES-25"] by "a_reader_beside_killed_writers";
    hinting_at_its_own_only: HintsAtItsOwnOnly breaks ["ES-23", "ES-25"];
}

/// Runs the law of durability on the right store as another process.
fn durability(variables: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let run = command.args(["--exact", "event_store::es_24_durability"]).envs(variables.iter().copied());
    let run = run.output().unwrap();
    assert!(run.status.success());
    String::from_utf8(run.stderr).unwrap()
}

#[test]
fn a_power_cut_that_cannot_be_made_is_told_on_a_line_of_its_own() {
    let said = durability(&[("PATH", "/nowhere")]);
    assert!(said.contains("es_24_durability: NOT RUN: survives_a_power_cut: a power cut needs a C compiler"), "{said}");
    assert!(!durability(&[]).contains("NOT RUN") || cfg!(not(target_os = "linux")), "{said}");
}

#[test]
fn a_store_that_says_it_has_no_files_has_none() {
    let test = "a_store_that_says_it_has_no_files_has_none";
    let remote = || Fixture::event_store(async |place: &Place| FileStore::open(place, Flaw::None)).remote("it is not");
    let runner = Runner::new(remote).quick().entry(test);
    let law = laws::es_24_durability();
    if let Some(played) = runner.played(&law) {
        return played.unwrap();
    }
    let outcome = runner.judge(&law);
    assert!(matches!(outcome, Outcome::Broken { check: "survives_a_power_cut", .. }), "{outcome:?}");
}

/// The laws that the wrong stores in memory leave to these.
#[test]
fn each_law_of_files_and_processes_is_broken_by_a_flaw() {
    for law in ["ES-24", "ES-25", "ES-26"] {
        assert!(FLAWS.iter().any(|(_, breaks)| breaks.contains(&law)), "{law}");
    }
}
