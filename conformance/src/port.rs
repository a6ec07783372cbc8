//! What the suite has to know of a port beside its laws.

use crate::laws::lacks;
use crate::{Trial, Verdict};
use futures::future::LocalBoxFuture;
use portolan_kernel::ports::{Capability, EventStore, LeaseStore, ReadModelStore, SnapshotStore};

/// A port with laws.
pub trait Port: Send + Sync + 'static {
    /// Its name in snake case, as reports write it.
    const NAME: &'static str;

    /// The check that takes the place of one which needs a capability that the store lacks.
    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict>;
}

impl Port for dyn EventStore {
    const NAME: &'static str = "event_store";

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::event_store_without(trial, lacked))
    }
}

impl Port for dyn SnapshotStore {
    const NAME: &'static str = "snapshot_store";

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::snapshot_store_without(trial, lacked))
    }
}

impl Port for dyn ReadModelStore {
    const NAME: &'static str = "read_model_store";

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::read_model_store_without(trial, lacked))
    }
}

impl Port for dyn LeaseStore {
    const NAME: &'static str = "lease_store";

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::lease_store_without(trial, lacked))
    }
}
