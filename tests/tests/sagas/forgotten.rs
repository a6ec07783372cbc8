//! Nobody drives a saga, or an operator is waited for, for longer than the store keeps keys.

use crate::bank::{Bank, Transfers, Trouble, saga, start};
use crate::driving::{settled, trace};
use portolan::MemoryStore;
use portolan::application::{Application, BuildError, Storage};
use portolan::domain::saga::{End, SagaHandler};
use portolan::drivers::{SagaNudge, SagaRest};
use portolan::ports::{ActOnSaga, SagaAction, SagaError, SagaPhase};
use portolan_testing::TestRuntime;
use portolan_testing::crash::streams;
use rstest::rstest;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As stores keep keys that are told nothing else.
const WEEK: Option<Duration> = Some(Duration::from_secs(7 * 24 * 60 * 60));

struct World {
    storage: Storage,
    runtime: TestRuntime,
    bank: Bank,
}

async fn world(kept: Option<Duration>) -> World {
    let runtime = TestRuntime::held();
    let storage = MemoryStore::builder().clock(runtime.clock.clone()).key_retention(kept).build();
    let storage: Storage = storage.into();
    let bank = Bank::new(storage.clone(), runtime.runtime(), None).await;
    settled(&runtime, bank.open()).await;
    World { storage, runtime, bank }
}

impl World {
    /// The process dies while a step is at work that does not answer, and nobody is there for so long.
    async fn dies_for(&self, trouble: Trouble, away: Duration) {
        self.bank.driver.start(start(trouble, 30)).await.unwrap();
        let (nudge, id) = (SagaNudge::new(), saga("t-1"));
        assert!(futures::poll!(Box::pin(self.bank.driver.drive(&id, &nudge))).is_pending());
        self.runtime.advance(away);
    }

    async fn drive(&self) -> SagaRest {
        settled(&self.runtime, self.bank.drive()).await
    }

    async fn acts(&self, action: SagaAction) -> Result<SagaPhase, SagaError> {
        let act = ActOnSaga::new(saga("t-1"), action);
        self.bank.driver.act(act).await.map(|summary| summary.status.phase)
    }

    /// How often the account was written to.
    async fn booked(&self, account: &str) -> usize {
        streams(&self.storage).await.get(&format!("account-{account}")).map_or(0, Vec::len)
    }
}

/// It has taken effect, and its key is forgotten: it is not done again, and a key that is free proves nothing.
#[rstest]
#[case::debit(Trouble::SilentDebit, "debit", "started, debit forward 1, -unknown, BACK, STOP")]
#[case::credit(
    Trouble::SilentCredit,
    "credit",
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, -unknown, STOP"
)]
#[tokio::test]
async fn what_was_in_flight_is_left_to_an_operator(
    #[case] trouble: Trouble,
    #[case] step: &str,
    #[case] expected: &str,
) {
    let world = world(WEEK).await;
    world.dies_for(trouble, 8 * DAY).await;
    let before = streams(&world.storage).await;
    assert_eq!(world.drive().await, SagaRest::NeedsOperator);
    assert_eq!(trace(&world.storage).await, expected);
    assert_eq!(streams(&world.storage).await, before);
    let stands = world.bank.driver.status(saga("t-1")).await.unwrap().status;
    let reason = stands.reason.unwrap();
    let told = format!("it is unknown whether {step} has happened, and its key may be forgotten by now: no answer");
    assert!(reason.starts_with(&told), "{reason}");
    let refused = world.acts(SagaAction::Retry).await.unwrap_err();
    let SagaError::NotNow { reason, .. } = &refused else { panic!("{refused}") };
    assert!(reason.contains("so that another attempt could do it twice; look, do by hand what is missing"), "{reason}");
    world.acts(SagaAction::Skip).await.unwrap();
    assert!(matches!(world.drive().await, SagaRest::Ended(_)));
    assert_eq!(streams(&world.storage).await, before, "nothing of it is done by guessing");
}

/// The same where the keys are there: it is found out.
#[rstest]
#[case::in_time(WEEK, 6)]
#[case::kept_for_good(None, 800)]
#[tokio::test]
async fn what_was_in_flight_is_found_by_its_key(#[case] kept: Option<Duration>, #[case] days: u32) {
    let world = world(kept).await;
    world.dies_for(Trouble::SilentCredit, days * DAY).await;
    assert_eq!(world.drive().await, SagaRest::Ended(End::Completed));
    assert!(trace(&world.storage).await.contains("credit settle 1, +"));
    assert_eq!((world.booked("ann").await, world.booked("bob").await), (2, 1));
}

/// It could not be found out what had happened, and an operator comes when the key is gone.
#[tokio::test]
async fn an_operator_who_comes_late_cannot_have_it_tried_again() {
    let world = world(WEEK).await;
    world.bank.driver.start(start(Trouble::NoKey, 30)).await.unwrap();
    assert_eq!(world.drive().await, SagaRest::NeedsOperator);
    let booked = world.booked("bob").await;
    world.runtime.advance(6 * DAY);
    assert_eq!(world.acts(SagaAction::Retry).await.unwrap(), SagaPhase::Waiting);
    assert_eq!(world.drive().await, SagaRest::NeedsOperator);
    world.runtime.advance(DAY);
    assert!(matches!(world.acts(SagaAction::Retry).await, Err(SagaError::NotNow { .. })));
    assert_eq!(world.booked("bob").await, booked, "nothing is sent under a key that may be gone");
    assert_eq!(world.acts(SagaAction::Compensate).await.unwrap(), SagaPhase::Compensating);
    assert_eq!(world.drive().await, SagaRest::Ended(End::Compensated));
}

/// What is known not to have happened can be tried at any time.
#[rstest]
#[case::a_step(Trouble::NoAuditor, "audit forward 2, -refused, STOP")]
#[case::a_compensation(Trouble::NoRefund, "debit back 4, -refused, STOP")]
#[tokio::test]
async fn what_was_refused_is_tried_again_however_late(#[case] trouble: Trouble, #[case] expected: &str) {
    let world = world(WEEK).await;
    world.bank.driver.start(start(trouble, 30)).await.unwrap();
    assert_eq!(world.drive().await, SagaRest::NeedsOperator);
    world.runtime.advance(30 * DAY);
    world.acts(SagaAction::Retry).await.unwrap();
    assert_eq!(world.drive().await, SagaRest::NeedsOperator);
    let trace = trace(&world.storage).await;
    assert!(trace.ends_with(expected), "{trace}");
}

/// Clocks differ, so that keys have to be kept for more than the longest time.
#[rstest]
#[case::as_long(Duration::ZERO, false)]
#[case::a_little_longer(Duration::from_secs(1), false)]
#[case::long_enough(Duration::from_secs(60 * 60 + 1), true)]
#[tokio::test]
async fn keys_are_kept_for_more_than_the_longest_time(#[case] more: Duration, #[case] is_built: bool) {
    let runtime = TestRuntime::held();
    let transfers = || Transfers { effects: None, sleep: runtime.runtime().sleep };
    let takes = SagaHandler::new(transfers()).unwrap().plan().longest();
    let store = MemoryStore::builder().clock(runtime.clock.clone()).key_retention(Some(takes + more)).build();
    let built = Application::builder(store, runtime.runtime()).saga(transfers()).build().await;
    match built {
        Ok(_) => assert!(is_built),
        Err(BuildError::KeysTooShort { kept, .. }) => assert!(!is_built && kept == takes + more),
        Err(error) => panic!("{error}"),
    }
}
