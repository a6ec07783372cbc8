//! Wrong migrations, each found by the checks that are named beside it and by no other.

use super::between::Wrong;
use super::checks::{CHECKS, failing};
use std::collections::BTreeSet;

const ORDER: &str = CHECKS[0].0;
const CONTENT: &str = CHECKS[1].0;
const KILLED: &str = CHECKS[2].0;
const FAULTS: &str = CHECKS[3].0;
const NOT_EMPTY: &str = CHECKS[4].0;
const OTHER_SOURCE: &str = CHECKS[5].0;
const OTHERS: &str = CHECKS[6].0;
const LEFT_OUT: &str = CHECKS[7].0;
const DRY_RUN: &str = CHECKS[8].0;
const SOURCE: &str = CHECKS[9].0;
const TIMES: &str = CHECKS[10].0;
const KEYS: &str = CHECKS[11].0;
const UNFINISHED: &str = CHECKS[12].0;

const MUTANTS: [(Wrong, &[&str]); 15] = [
    (Wrong::Reversed, &[ORDER, CONTENT, KILLED, FAULTS, TIMES, KEYS]),
    (Wrong::NewIds, &[CONTENT, KILLED, FAULTS, TIMES, KEYS]),
    (Wrong::NoTags, &[CONTENT, KILLED, FAULTS, TIMES]),
    (Wrong::NoMetadata, &[CONTENT, KILLED, FAULTS, TIMES]),
    (Wrong::NoGuard, &[NOT_EMPTY, OTHERS]),
    (Wrong::Cut, &[KILLED, FAULTS, KEYS]),
    (Wrong::BelievesUnknown, &[FAULTS]),
    (Wrong::NoKeys, &[KEYS]),
    (Wrong::PassesOver, &[LEFT_OUT]),
    (Wrong::LosesFirst, &[ORDER, CONTENT, KILLED, FAULTS, OTHERS, LEFT_OUT, DRY_RUN, SOURCE, TIMES, KEYS]),
    (Wrong::WritesTarget, &[NOT_EMPTY, DRY_RUN]),
    (Wrong::WritesSource, &[SOURCE]),
    (Wrong::AnySource, &[OTHER_SOURCE]),
    (Wrong::OwnTime, &[TIMES]),
    (Wrong::WholeTooEarly, &[UNFINISHED]),
];

#[tokio::test]
async fn each_wrong_migration_is_found_by_the_checks_that_are_named() {
    let mut differences = Vec::new();
    for (wrong, expected) in MUTANTS {
        let found = failing(wrong).await;
        if found.iter().map(|(name, _)| *name).ne(expected.iter().copied()) {
            differences.push(format!("{wrong:?} is found by {found:?}, and not by {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn each_check_finds_some_wrong_migration() {
    let finding: BTreeSet<_> = MUTANTS.iter().flat_map(|(_, checks)| checks.iter().copied()).collect();
    assert_eq!(finding, CHECKS.iter().map(|(name, _)| *name).collect());
}
