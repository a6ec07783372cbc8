//! A fault at every request: whatever a single request does, a lease is granted to one at a time, and the error says
//! whether it may have been.

use super::requests::{MOST_REQUESTS, all_came_true, at_once};
use super::support::log::{fresh_log, name};
use super::support::{Fault, Network, Rule};
use portolan_kernel::ports::{Lease, LeaseError, LeaseStore};
use portolan_kernel::values::Token;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(30);

/// What is asked of a lease that somebody has, but for the first.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Grant,
    TakeOver,
    Renew,
    Release,
}

/// Who has the lease, by another handle's view. It takes the lease where nobody has, and gives it back.
async fn holder(store: &dyn LeaseStore) -> Option<Lease> {
    match store.grant(name("p"), name("watch"), TTL).await {
        Err(LeaseError::Held(by)) => Some(by),
        Ok(lease) => {
            store.release(lease).await.unwrap();
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_changed_or_not_whatever_request_fails() {
    at_once(Fault::ALL.into_iter().flat_map(|fault| {
        [Ask::Grant, Ask::TakeOver, Ask::Renew, Ask::Release].map(|ask| async move {
            for n in 1..=MOST_REQUESTS {
                assert!(n < MOST_REQUESTS, "{fault:?}: no end of requests");
                let what = format!("{ask:?}, {fault:?} at request {n}");
                let (calm, network, log) = (Network::new(), Network::new(), fresh_log());
                let (other, store) = (calm.store(&log).await, network.store(&log).await);
                let seen = Lease::new(name("p"), name("one"), Token(1), TTL);
                let taken = Lease::new(name("p"), name("two"), Token(2), TTL);
                let (before, after) = match ask {
                    Ask::Grant => (None, Some(seen.clone())),
                    Ask::TakeOver => (Some(seen.clone()), Some(taken)),
                    Ask::Renew => (Some(seen.clone()), Some(seen.clone().renewed(1))),
                    Ask::Release => (Some(seen.clone()), None),
                };
                if before.is_some() {
                    other.grant(name("p"), name("one"), TTL).await.unwrap();
                }
                network.reset();
                network.inject(Rule::new(fault).nth(n));
                let answer = match ask {
                    Ask::Grant => store.grant(name("p"), name("one"), TTL).await.map(Some),
                    Ask::TakeOver => store.take_over(seen, name("two"), TTL).await.map(Some),
                    Ask::Renew => store.renew(seen).await.map(Some),
                    Ask::Release => store.release(seen).await.map(|()| None),
                };
                let befallen = network.befallen() > 0;
                all_came_true(fault).await;
                let now = holder(&other).await;
                match answer {
                    Ok(answer) => assert!(answer == after && now == after, "{what}: {answer:?}, and now {now:?}"),
                    Err(LeaseError::Busy(_)) => assert_eq!(now, before, "{what}: Busy, and yet changed"),
                    Err(LeaseError::Unknown(_)) => assert!(now == before || now == after, "{what}: now {now:?}"),
                    Err(other) => panic!("{what}: {other:?}"),
                }
                if !befallen {
                    return;
                }
            }
        })
    }))
    .await;
}
