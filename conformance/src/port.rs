//! What the suite has to know of a port beside its laws.

use crate::bus::{Crossing, Served};
use crate::inline::Inlining;
use crate::issued::{Issued, Passing};
use crate::laws::lacks;
use crate::projections::Projected;
use crate::sagas::Orchestrated;
use crate::{Place, Trial, Verdict};
use core::fmt;
use futures::future::LocalBoxFuture;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{Capability, CommandBus, EventStore, LeaseStore, ReadModelStore, SnapshotStore};

/// A port with laws.
pub trait Port: Send + Sync + 'static {
    /// Its name in snake case, as reports write it.
    const NAME: &'static str;

    /// What a fixture opens it at.
    type Site: 'static;

    /// What an implementation may lack.
    type Lack: Lack;

    /// The check that takes the place of one which needs a capability that the store lacks.
    fn without(trial: &Trial<Self>, lacked: Self::Lack) -> LocalBoxFuture<'_, Verdict>;
}

/// What implementations of a port may lack; everything else is its core, and none can do without.
pub trait Lack: Copy + Ord + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// All there are.
    const ALL: &'static [Self];

    /// Its name in kebab case, as reports write it.
    fn as_str(self) -> &'static str;
}

impl Lack for Capability {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

impl Port for dyn EventStore {
    const NAME: &'static str = "event_store";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::event_store_without(trial, lacked))
    }
}

impl Port for dyn SnapshotStore {
    const NAME: &'static str = "snapshot_store";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::snapshot_store_without(trial, lacked))
    }
}

impl Port for dyn CommandBus {
    const NAME: &'static str = "command_bus";

    type Site = Served;
    type Lack = Crossing;

    fn without(trial: &Trial<Self>, lacked: Crossing) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::command_bus_without(trial, lacked))
    }
}

impl Port for dyn ReadModelStore {
    const NAME: &'static str = "read_model_store";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::read_model_store_without(trial, lacked))
    }
}

impl Port for Storage {
    const NAME: &'static str = "inline";

    type Site = Inlining;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::inline_without(trial, lacked))
    }
}

impl Port for dyn LeaseStore {
    const NAME: &'static str = "lease_store";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::lease_store_without(trial, lacked))
    }
}

impl Port for Issued {
    const NAME: &'static str = "authenticator";

    type Site = Place;
    type Lack = Passing;

    fn without(trial: &Trial<Self>, lacked: Passing) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::authenticator_without(trial, lacked))
    }
}

impl Port for Projected {
    const NAME: &'static str = "projection_registry";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::projections_without(trial, lacked))
    }
}

impl Port for Orchestrated {
    const NAME: &'static str = "saga_orchestrator";

    type Site = Place;
    type Lack = Capability;

    fn without(trial: &Trial<Self>, lacked: Capability) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(lacks::sagas_without(trial, lacked))
    }
}
