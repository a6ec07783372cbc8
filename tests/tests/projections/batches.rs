//! What is applied and what fails does not depend on where batches end.

use crate::model::*;
use crate::world::*;
use portolan::domain::{FailurePolicy, RecordedAs};
use portolan::drivers::{Alone, ApplyError, View, ViewProjection, Work};
use portolan::ports::{ProjectionState, RowLimits};
use portolan::values::{NewEvent, Position};
use proptest::prelude::*;

/// The accounts in the second form. Who opens one does not look what is there.
struct Viewed<const POLICY: u8>;

impl<const POLICY: u8> ViewProjection for Viewed<POLICY> {
    const NAME: &'static str = "accounts";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Account;

    async fn apply(view: &mut View<'_, Account>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let key = event.stream().as_str();
        match &event.event {
            AccountEvent::Opened { email } => {
                view.put(key, &Account { email: None, digest: 0, events: 0 })?;
                view.put(key, &Account { email: Some(email.clone()), digest: 0, events: 1 })
            }
            AccountEvent::Deposited { amount } => {
                let account = view.get(key).await?.unwrap_or(Account { email: None, digest: 0, events: 0 });
                view.put(key, &Account { digest: *amount, events: account.events + 1, ..account })
            }
            AccountEvent::Closed {} => view.delete(key),
        }
    }

    fn on_failure() -> FailurePolicy {
        policy(POLICY)
    }
}

/// Few accounts with fewer addresses, so that they are alike often, and often for a while only.
fn history() -> impl Strategy<Value = Vec<NewEvent>> {
    let one = (0..5_u8, 0..12_u64).prop_map(|(account, what)| match what {
        0..=5 => opened(account, ["a@example.org", "b@example.org", "c@example.org"][what as usize % 3]),
        6 | 7 => closed(account),
        8 => deposited(account, TOO_MUCH),
        9 => broken(account),
        amount => deposited(account, amount),
    });
    proptest::collection::vec(one, 0..40)
}

type Start = fn(&Alone) -> Work;

const FORMS: [Start; 6] = [
    |alone| alone.folded::<Accounts<STOP>>(FIRST),
    |alone| alone.folded::<Accounts<SKIP>>(FIRST),
    |alone| alone.folded::<Accounts<PARK>>(FIRST),
    |alone| alone.viewed::<Viewed<STOP>>(FIRST),
    |alone| alone.viewed::<Viewed<SKIP>>(FIRST),
    |alone| alone.viewed::<Viewed<PARK>>(FIRST),
];

/// The rows, what is parked, and where it has stopped.
type Outcome = (Rows, Vec<Position>, Option<Position>);

fn outcome(start: Start, histories: &[Vec<NewEvent>; 2], page: u32, changes: Option<u32>) -> Outcome {
    let world = World::with_limits(changes.map_or(RowLimits::default(), small_limits)).page(page);
    let name = named::<Accounts<STOP>>();
    let mut work = start(&world.alone("one"));
    for events in histories {
        world.append(events.clone());
        world.run_until(&mut work, || {
            let is_at_the_end = world.position::<Accounts<STOP>>(FIRST) >= world.last_to_apply();
            world.said(&name, FIRST).is_some_and(|said| match said.state {
                ProjectionState::Stopped { .. } => true,
                state => state == ProjectionState::CaughtUp && is_at_the_end,
            })
        });
    }
    let parked = world.parked::<Accounts<STOP>>(FIRST).into_iter().map(|parked| parked.position);
    (world.rows_of(&name, FIRST), parked.collect(), world.said(&name, FIRST).unwrap().stopped_at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_fails_is_the_same_for_batches_of_every_size(first in history(), second in history(), form in 0..6_usize) {
        let histories = [first, second];
        let one_by_one = outcome(FORMS[form], &histories, 1, None);
        for (page, changes) in [(2, None), (7, None), (1_000, None), (1_000, Some(6))] {
            let batched = outcome(FORMS[form], &histories, page, changes);
            prop_assert_eq!(&batched, &one_by_one, "pages of {} events, batches of {:?} rows", page, changes);
        }
    }
}

#[test]
fn rows_that_are_alike_for_a_while_only_count() {
    let alike = vec![opened(1, "a@example.org"), opened(2, "a@example.org"), opened(2, "b@example.org"), closed(1)];
    let too_large = vec![deposited(3, TOO_MUCH), closed(3), deposited(3, 1)];
    for form in [FORMS[2], FORMS[5]] {
        let (_, parked, _) = outcome(form, &[alike.clone(), too_large.clone()], 1_000, None);
        let parked: Vec<_> = parked.into_iter().map(Position::get).collect();
        assert_eq!(parked, [2, 3, 5, 6, 7], "the second of the two, what is too large, and what waits for either");
    }
}
