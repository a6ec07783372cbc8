//! The crash matrix of a transfer: whatever goes wrong, and wherever the process dies, it ends in the same way (SG-02).

use crate::bank::{Bank, Trouble, saga, start};
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::domain::Event as _;
use portolan::domain::saga::{SagaEvent, SagaState};
use portolan::ports::RawEvent;
use portolan::sqlite::{Durability, SqliteStore};
use portolan::values::{Read, SagaId};
use portolan_testing::crash::{CrashReport, Process, Trial, streams};
use portolan_testing::crash_points;
use rstest::rstest;
use std::collections::BTreeMap;

async fn transferred(process: &Process, trouble: Trouble, amount: i64) {
    let bank = Bank::new(process.storage(), process.runtime(), Some(process.effects())).await;
    bank.open().await;
    while bank.driver.start(start(trouble, amount)).await.is_err() {
        bank.pause().await;
    }
    bank.drive().await;
}

/// The facts of the transfer.
pub(crate) async fn facts(storage: &Storage) -> Vec<SagaEvent> {
    facts_of(storage, &saga("t-1")).await
}

pub(crate) async fn facts_of(storage: &Storage, of: &SagaId) -> Vec<SagaEvent> {
    let page = storage.events.read(Read::stream(of.stream())).await.unwrap();
    let decode = |recorded: &portolan::values::Recorded| {
        let event = &recorded.event;
        let raw = RawEvent::new(event.event_type.clone(), event.version, event.format, event.payload.clone());
        SagaEvent::decode(&raw).unwrap()
    };
    page.events.iter().map(|recorded| decode(recorded)).collect()
}

/// How it stands: phase, and which steps hold it up. Times and numbers of attempts differ rightly.
async fn end(storage: &Storage) -> (String, BTreeMap<String, Vec<String>>) {
    let state = SagaState::fold(saga("t-1"), &facts(storage).await).unwrap();
    let status = state.status(state.started_at().unwrap());
    (format!("{} {}", status.phase, status.step.unwrap_or_default()), streams(storage).await)
}

fn crashed(trouble: Trouble, amount: i64, twice: usize) -> CrashReport {
    crash_points(async |trial| MemoryStore::builder().clock(trial.clock).build())
        .run(async move |process: &Process| transferred(process, trouble, amount).await)
        .observe(end)
        .twice(twice)
        .check()
}

#[rstest]
#[case::well(Trouble::None, 30)]
#[case::refused_at_once(Trouble::None, 130)]
#[case::frozen(Trouble::Frozen, 30)]
#[case::no_refund(Trouble::NoRefund, 30)]
#[case::silent_credit(Trouble::SilentCredit, 30)]
#[case::lost_credit(Trouble::LostCredit, 30)]
#[case::silent_debit(Trouble::SilentDebit, 30)]
#[case::lost_debit(Trouble::LostDebit, 30)]
#[case::silent_letter(Trouble::SilentLetter, 30)]
#[case::no_auditor(Trouble::NoAuditor, 30)]
#[case::overdue(Trouble::Overdue, 30)]
fn it_ends_in_the_same_way_wherever_it_dies(#[case] trouble: Trouble, #[case] amount: i64) {
    let report = crashed(trouble, amount, 60);
    assert_eq!(report.tried.len(), 2 * report.boundaries.len() + 60);
    let folder = tempfile::tempdir().unwrap();
    let open = async |trial: Trial| {
        let builder = SqliteStore::builder(folder.path().join(format!("{}.db", trial.number))).clock(trial.clock);
        builder.durability(Durability::SurvivesProcessCrashOnly).open().await.unwrap()
    };
    let points = crash_points(open).run(async move |process: &Process| transferred(process, trouble, amount).await);
    assert_eq!(points.observe(end).check().boundaries, report.boundaries, "on SQLite");
}

/// The start, the first intent, and four outcomes: with each the intent of the next step, and with the last the end.
#[test]
fn four_steps_are_six_appends() {
    let report = crashed(Trouble::None, 30, 0);
    let appends = report.boundaries.iter().filter(|call| call.to_string().starts_with("events.append $saga")).count();
    assert_eq!(appends, 6, "{report}");
}
