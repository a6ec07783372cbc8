//! A fault at every request of what is no append: a read is right or refused as busy, a snapshot is found, a log opens.

use super::requests::{MOST_REQUESTS, Scene, Shape, all_came_true, at_once};
use super::support::log::{fresh_log, name, wrote};
use super::support::{Fault, Network, Rule};
use portolan_dynamodb::{DynamoStore, OpenError};
use portolan_kernel::ports::{EventStore, ReadError, RowError, Snapshot, SnapshotError, SnapshotStore};
use portolan_kernel::values::{Item, Query, Read, Revision, Timestamp};

/// Lets each request of an action fail in turn: it comes to the same, or is refused as busy; and undisturbed it comes to
/// the same again.
pub(super) async fn each_request<T, F>(what: &str, scene: &Scene, act: impl Fn(DynamoStore) -> F)
where
    T: PartialEq + std::fmt::Debug,
    F: Future<Output = Result<T, Refused>>,
{
    let right = act(scene.calm.store(&scene.log).await).await.expect("undisturbed");
    for fault in Fault::ALL {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{what}, {fault:?}: no end of requests");
            let what = format!("{what}, {fault:?} at request {n}");
            let store = scene.network.store(&scene.log).await;
            scene.network.reset();
            scene.network.inject(Rule::new(fault).nth(n));
            let outcome = act(store.clone()).await;
            let befallen = scene.network.befallen() > 0;
            scene.network.reset();
            match outcome {
                Ok(outcome) => assert_eq!(outcome, right, "{what}"),
                Err(Refused::Busy) => {}
                Err(Refused::Otherwise(why)) => panic!("{what}: {why}"),
            }
            all_came_true(fault).await;
            assert_eq!(act(store).await.expect("undisturbed"), right, "{what}, and once more");
            if !befallen {
                break;
            }
        }
    }
}

/// Why a read or a snapshot's action was not answered.
#[derive(Debug)]
pub(super) enum Refused {
    Busy,
    Otherwise(String),
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy(_) => Self::Busy,
            other => Self::Otherwise(format!("{other:?}")),
        }
    }
}

impl From<RowError> for Refused {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Busy(_) => Self::Busy,
            other => Self::Otherwise(format!("{other:?}")),
        }
    }
}

impl From<SnapshotError> for Refused {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Busy(_) => Self::Busy,
            other => Self::Otherwise(format!("{other:?}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_right_or_refused_whatever_request_fails() {
    let scene = Scene::new().await;
    let store = scene.calm.store(&scene.log).await;
    wrote(&store, scene.append(Shape::Full)).await;
    let reads = [
        Read::log(Query::all()),
        Read::log(Query::all()).backward().limit(2),
        Read::log(Query::of(Item::new().tag(name("red")))),
        Read::log(Query::of(Item::new().category(name("a")))),
        Read::stream(name("a-1")),
        Read::stream(name("a-1")).backward().limit(1),
        Read::stream(name("missing-1")),
    ];
    at_once(reads.into_iter().map(|read| (read, scene.apart())).map(|(read, scene)| async move {
        let what = format!("{read:?}");
        each_request(&what, &scene, |store| {
            let read = read.clone();
            async move {
                let page = store.read(read).await?;
                Ok((page.events, page.revision, page.next.is_some()))
            }
        })
        .await;
    }))
    .await;
    each_request("recall", &scene, async |store| Ok(store.recall(name("tests"), name("k")).await?.map(|r| r.appended)))
        .await;
    each_request("checkpoint", &scene, async |store| Ok(store.checkpoint(name("c")).await?)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_saved_found_and_deleted_whatever_request_fails() {
    let scene = Scene::new().await;
    let state = vec![7; 450_000]; // more than one item holds
    let snapshot = |revision| {
        let at = Timestamp::from_micros(1);
        Snapshot::new(name("a-1"), name("balance"), Revision::new(revision), 1, state.clone(), at)
    };
    let (first, second) = (&snapshot(0), &snapshot(1));
    each_request("save and load", &scene, async |store| {
        store.save(first.clone()).await?;
        store.save(second.clone()).await?;
        Ok(store.load(name("a-1"), name("balance"), None).await?)
    })
    .await;
    each_request("delete and load", &scene, async |store| {
        store.delete(name("a-1"), name("balance"), Some(Revision::new(1))).await?;
        let left = store.load(name("a-1"), name("balance"), None).await?;
        Ok((left, store.load(name("a-1"), name("balance"), Some(Revision::new(0))).await?))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_opens_or_says_why_not_whatever_request_fails() {
    at_once(Fault::ALL.into_iter().map(|fault| async move {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{fault:?}: no end of requests");
            let (log, network) = (fresh_log(), Network::new());
            network.inject(Rule::new(fault).nth(n));
            let opened = network.try_store(&log).await;
            let befallen = network.befallen() > 0;
            network.reset();
            all_came_true(fault).await;
            let identity = network.store(&log).await.capabilities().identity;
            match opened {
                Ok(store) => assert_eq!(store.capabilities().identity, identity, "{fault:?} at request {n}"),
                Err(OpenError::Busy { .. }) => {}
                Err(other) => panic!("{fault:?} at request {n}: {other:?}"),
            }
            if !befallen {
                break;
            }
        }
    }))
    .await;
}
