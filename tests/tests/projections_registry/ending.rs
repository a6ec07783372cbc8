//! Leases at the ends of things: a process that ends, one that has died, and an operator who removes.

use super::support::*;
use async_trait::async_trait;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::domain::collection_of;
use portolan::ports::ProjectionAction::*;
use portolan::ports::{
    Lease, LeaseError, LeaseStore, ProjectionRegistry, ProjectionState, ReadModelStore, RowError, RowLimits,
};
use portolan::values::{Batch, Checkpoint, CheckpointState, Collection, Edition, Find, Name, RowKey, Rowset, Versions};
use std::sync::{Arc, Mutex};

/// Its answers come late, and it tells when it has granted.
struct Late {
    store: MemoryStore,
    granted: tokio::sync::Semaphore,
}

#[async_trait]
impl LeaseStore for Late {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let granted = self.store.grant(name, holder, time_to_live).await;
        self.granted.add_permits(1);
        tokio::time::sleep(Duration::from_millis(50)).await;
        granted
    }
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.store.take_over(seen, holder, time_to_live).await
    }
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.store.renew(lease).await
    }
    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.store.release(lease).await
    }
}

#[tokio::test]
async fn a_lease_that_is_granted_while_the_process_ends_is_given_up() {
    let world = World::new();
    let leases = Arc::new(Late { store: world.store.clone(), granted: tokio::sync::Semaphore::new(0) });
    let (store, of_leases) = (Arc::new(world.store.clone()), leases.clone());
    let storage = Storage::new(store.clone(), store.clone()).with_read_models(store).with_leases(of_leases);
    let process = world.process_over(storage).projection::<Balances>().build().await.unwrap();
    leases.granted.acquire().await.unwrap().forget();
    process.shutdown().await;
    let lease = Edition::first(1).checkpoint(&balances()).unwrap();
    world.store.grant(lease, name("test"), Duration::from_secs(1)).await.expect("it is free");
}

#[tokio::test]
async fn what_is_left_over_goes_also_when_its_holder_has_died() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 5).await;
    registry.wait_for(balances(), last).await.unwrap();

    let rebuild = Edition { version: 1, rebuild: 1 };
    let lease = rebuild.checkpoint(&balances()).unwrap();
    world.store.grant(lease, name("the dead"), Duration::from_millis(500)).await.unwrap();
    registry.act(balances(), Pause).await.unwrap();
    registry.act(balances(), Rebuild).await.unwrap();
    world.store.define(collection_of::<Balance>(balances(), rebuild.to_stored()).unwrap()).await.unwrap();
    registry.act(balances(), CancelRebuild).await.unwrap();
    let editions = |status: &portolan::ports::ProjectionStatus| status.editions.len();
    assert_eq!(status_when(&*registry, |status| editions(status) == 1).await.editions[0].edition, Edition::first(1));
}

/// Lets an operator act just before the rows are written to for the first time since it was told to.
struct Interrupted {
    store: MemoryStore,
    is_due: AtomicBool,
    act: Mutex<Option<futures::future::BoxFuture<'static, ()>>>,
    versions: AtomicUsize,
    gets: AtomicUsize,
    checkpoints: AtomicUsize,
}

impl Interrupted {
    fn over(world: &World) -> Arc<Self> {
        let (is_due, act) = (false.into(), Mutex::default());
        let (versions, gets, checkpoints) = (0.into(), 0.into(), 0.into());
        Arc::new(Self { store: world.store.clone(), is_due, act, versions, gets, checkpoints })
    }

    fn storage(self: Arc<Self>, world: &World) -> Storage {
        let store = Arc::new(world.store.clone());
        Storage::new(store.clone(), store.clone()).with_leases(store).with_read_models(self)
    }

    async fn interrupt(&self) {
        if self.is_due.swap(false, Ordering::SeqCst) {
            let act = self.act.lock().unwrap().take();
            act.expect("it is due once").await;
        }
    }
}

#[async_trait]
impl ReadModelStore for Interrupted {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        self.store.define(collection).await
    }
    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.versions.fetch_add(1, Ordering::SeqCst);
        self.store.versions(collection).await
    }
    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        if batch.checkpoint.name.starts_with("projection/") {
            self.interrupt().await;
        }
        self.store.commit(batch).await
    }
    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.store.get(collection, version, keys).await
    }
    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        self.store.find(find).await
    }
    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.checkpoints.fetch_add(1, Ordering::SeqCst);
        ReadModelStore::checkpoint(&self.store, name).await
    }
    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.store.remove(collection, version, checkpoint).await
    }
    fn limits(&self) -> RowLimits {
        ReadModelStore::limits(&self.store)
    }
}

#[tokio::test]
async fn an_edition_that_is_activated_while_it_is_removed_stays_whole() {
    let world = World::new();
    let process = world.process().projection::<Balances<1>>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 5).await;
    registry.wait_for(balances(), last).await.unwrap();
    // The second version has caught up once, and nobody works on it any more.
    let mut second = Hand::on(&world, 2, 0).await;
    registry.act(balances(), Activate(Some(1))).await.unwrap();
    second.begin().await;
    second.reach(last, &[("ann", 50)]).await;
    second.is_ready(false).await;
    second.leave().await;

    // The operator's process works on nothing that is left: all leases of the first version are held.
    let rows = Interrupted::over(&world);
    let storage = rows.clone().storage(&world);
    let removes = world.process_over(storage).projection::<Balances<1>>().build().await.unwrap();
    let activates = registry.clone();
    let act = async move { activates.act(balances(), Activate(Some(2))).await.unwrap() };
    *rows.act.lock().unwrap() = Some(Box::pin(act));
    rows.is_due.store(true, Ordering::SeqCst);
    let refused = removes.ports().projections.act(balances(), Remove(Edition::first(2))).await;
    assert!(!rows.is_due.load(Ordering::SeqCst), "it came between");
    assert!(refused.is_err(), "it is read");
    let status = registry.status(balances()).await.unwrap();
    let second = status.editions.iter().find(|edition| edition.edition == Edition::first(2)).unwrap();
    assert!(second.is_active && second.is_ready, "{second:?}");
    assert_eq!(read(&*registry).await, [("ann".into(), 50)]);
}

#[tokio::test]
async fn one_that_is_resumed_with_nothing_to_do_has_caught_up() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 1).await;
    registry.wait_for(balances(), last).await.unwrap();
    registry.act(balances(), Pause).await.unwrap();
    status_when(&*registry, |status| status.editions[0].state == ProjectionState::Paused).await;
    registry.act(balances(), Resume).await.unwrap();
    status_when(&*registry, |status| status.editions[0].state == ProjectionState::CaughtUp).await;
}

#[tokio::test]
async fn requests_do_not_pile_up_while_nobody_carries_them_out() {
    let world = World::new();
    let process = world.process().projection::<Balances<1, false, true>>().build().await.unwrap();
    let registry = process.ports().projections;
    let poison = world.append("account-ann", "account.closed", "{}").await;
    let last = world.deposit("bob", 7).await;
    registry.wait_for(balances(), last).await.unwrap();
    registry.act(balances(), Pause).await.unwrap();
    status_when(&*registry, |status| status.editions[0].state == ProjectionState::Paused).await;
    for _ in 0..50 {
        for action in [Retry(Some(poison)), Retry(None), Drop(poison)] {
            registry.act(balances(), action).await.unwrap();
        }
    }
    let cells =
        world.store.get(name("$projections"), Some(1), vec![key("balances")]).await.unwrap().rows.remove(0).cells;
    let portolan::values::Cell::Text(requests) = &cells[3] else { panic!("{cells:?}") };
    let requests: serde_json::Value = serde_json::from_str(requests).unwrap();
    // What stands after the drop is carried out after it, and what stood before it, before.
    let what: Vec<_> = requests.as_array().unwrap().iter().map(|request| request["what"].clone()).collect();
    let (one, all) = (serde_json::json!({"Retry": poison.get()}), serde_json::json!({"Retry": null}));
    assert_eq!(what, [one.clone(), all.clone(), serde_json::json!({"Drop": poison.get()}), one, all]);
    registry.act(balances(), Resume).await.unwrap();
    status_when(&*registry, |status| status.parked == 0).await;
}

#[tokio::test]
async fn a_projection_that_has_nothing_to_do_reads_no_checkpoints() {
    let world = World::new();
    let rows = Interrupted::over(&world);
    let process = world.process_over(rows.clone().storage(&world)).projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 5).await;
    registry.wait_for(balances(), last).await.unwrap();
    status_when(&*registry, |status| status.state == ProjectionState::CaughtUp).await;
    pause().await;
    let count = || [&rows.versions, &rows.gets, &rows.checkpoints].map(|count| count.load(Ordering::SeqCst));
    let before = count();
    while count()[0] < before[0] + 40 {
        pause().await;
    }
    let [versions, gets, checkpoints] = core::array::from_fn(|at| count()[at] - before[at]);
    assert_eq!(checkpoints, 0, "nothing is to be moved: {versions} looks, {gets} times rows");
}
