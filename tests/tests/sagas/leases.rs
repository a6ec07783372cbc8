//! For how long leases are asked: whoever takes sagas over waits for no lease that lives longer than theirs.

use crate::bank::Transfers;
use crate::orders::OrderEvent;
use crate::sharing::done_soon;
use async_trait::async_trait;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::{Projection, RecordedAs};
use portolan::drivers::{ProjectionOptions, SagaOptions};
use portolan::ports::{Lease, LeaseError, LeaseStore};
use portolan::prelude::Row;
use portolan::values::Name;
use portolan::{MemoryStore, TokioRuntime as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the leases were asked to live, by what they are on.
struct Asked {
    leases: Arc<dyn LeaseStore>,
    times: Mutex<BTreeMap<String, BTreeSet<Duration>>>,
}

impl Asked {
    fn note(&self, name: &Name, time_to_live: Duration) {
        self.times.lock().unwrap().entry(name.to_string()).or_default().insert(time_to_live);
    }
}

#[async_trait]
impl LeaseStore for Asked {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.note(&name, time_to_live);
        self.leases.grant(name, holder, time_to_live).await
    }
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.note(&seen.name, time_to_live);
        self.leases.take_over(seen, holder, time_to_live).await
    }
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.leases.renew(lease).await
    }
    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.leases.release(lease).await
    }
}

#[derive(Row)]
struct Count {
    events: u32,
}

/// A projection of the application's.
struct Counts;

impl Projection for Counts {
    const NAME: &'static str = "counts";
    const VERSION: u16 = 1;
    type Event = OrderEvent;
    type Row = Count;
    fn key(event: &RecordedAs<OrderEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Count>, _: &RecordedAs<OrderEvent>) {
        row.get_or_insert(Count { events: 0 }).events += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_is_leased_as_the_sagas_are() {
    let mut storage: Storage = MemoryStore::new().into();
    let asked = Arc::new(Asked { leases: storage.leases.clone().unwrap(), times: Mutex::default() });
    storage.leases = Some(asked.clone());
    let runtime = Runtime::tokio();
    let (of_sagas, of_projections) = (Duration::from_secs(2), Duration::from_secs(7));
    let transfers = Transfers { effects: None, sleep: runtime.sleep.clone() };
    let builder = Application::builder(storage, runtime).saga(transfers).projection::<Counts>();
    let builder = builder.saga_options(SagaOptions::default().with_lease(of_sagas));
    let builder = builder.projection_options(ProjectionOptions::default().with_lease(of_projections));
    let application = builder.build().await.unwrap();
    let has = |name: &str| asked.times.lock().unwrap().keys().any(|of| of.starts_with(name));
    let all = ["projection/counts@", "projection/$sagas@", "$sagas/transfer-money/"];
    done_soon("leases are asked for", async || all.into_iter().all(has)).await;
    for (name, times) in asked.times.lock().unwrap().iter() {
        let expected = if name.starts_with(all[0]) { of_projections } else { of_sagas };
        assert_eq!(*times, BTreeSet::from([expected]), "{name}");
    }
    application.shutdown().await;
}
