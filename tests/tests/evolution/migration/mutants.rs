//! Wrong migrations, each found by the checks that are named beside it and by no other.

use super::between::Wrong;
use super::checks::{CHECKS, fail_exactly};
use std::collections::BTreeSet;

const MUTANTS: [(Wrong, &[&str]); 14] = [
    (Wrong::Reversed, &[]),
    (Wrong::NewIds, &[]),
    (Wrong::NoTags, &[]),
    (Wrong::NoMetadata, &[]),
    (Wrong::NoGuard, &[]),
    (Wrong::Cut, &[]),
    (Wrong::BelievesUnknown, &[]),
    (Wrong::NoKeys, &[]),
    (Wrong::PassesOver, &[]),
    (Wrong::LosesFirst, &[]),
    (Wrong::WritesTarget, &[]),
    (Wrong::WritesSource, &[]),
    (Wrong::AnySource, &[]),
    (Wrong::OwnTime, &[]),
];

#[tokio::test]
async fn each_wrong_migration_is_found_by_the_checks_that_are_named() {
    for (wrong, expected) in MUTANTS {
        fail_exactly(wrong, expected).await;
    }
}

#[test]
fn each_check_finds_some_wrong_migration() {
    let finding: BTreeSet<_> = MUTANTS.iter().flat_map(|(_, checks)| checks.iter().copied()).collect();
    assert_eq!(finding, CHECKS.iter().map(|(name, _)| *name).collect());
}
