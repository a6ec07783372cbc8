//! Fixtures: how the suite comes to a store.

use crate::{Place, Port};
use core::fmt;
use core::ops::AsyncFn;
use futures::future::LocalBoxFuture;
use portolan_kernel::ports::{Capability, EventStore, SnapshotStore};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

type Hook<T> = Box<dyn for<'a> Fn(&'a Place) -> LocalBoxFuture<'a, Result<T, String>>>;

/// How to open a store at a place, what it lacks, and how to damage it.
pub struct Fixture<P: Port + ?Sized> {
    open: Hook<Arc<P>>,
    lacks: BTreeMap<Capability, &'static str>,
    damage: Option<Hook<()>>,
    remote: Option<&'static str>,
}

impl<P: Port + ?Sized> fmt::Debug for Fixture<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("port", &P::NAME).field("lacks", &self.lacks).finish_non_exhaustive()
    }
}

impl Fixture<dyn EventStore> {
    /// Opens an event store.
    pub fn event_store<S: EventStore + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Place) -> Result<S, E> + 'static,
    ) -> Self {
        Self::new(hook(open, |store| Arc::new(store) as Arc<dyn EventStore>))
    }
}

impl Fixture<dyn SnapshotStore> {
    /// Opens a snapshot store.
    pub fn snapshot_store<S: SnapshotStore + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Place) -> Result<S, E> + 'static,
    ) -> Self {
        Self::new(hook(open, |store| Arc::new(store) as Arc<dyn SnapshotStore>))
    }
}

impl<P: Port + ?Sized> Fixture<P> {
    fn new(open: Hook<Arc<P>>) -> Self {
        Self { open, lacks: BTreeMap::new(), damage: None, remote: None }
    }

    /// The same, for a store that lacks a capability, and why.
    #[must_use]
    pub fn lacks(mut self, capability: Capability, reason: &'static str) -> Self {
        self.lacks.insert(capability, reason);
        self
    }

    /// The same, with a hook that damages the bytes of a closed store.
    #[must_use]
    pub fn damage<E: fmt::Display>(self, damage: impl AsyncFn(&Place) -> Result<(), E> + 'static) -> Self {
        Self { damage: Some(hook(damage, |()| ())), ..self }
    }

    /// The same, for a store that keeps nothing in the place's folder, and where it keeps it.
    ///
    /// A durable store of files is held to a simulated power cut there (ES-24). One that says this has to leave the
    /// folder empty.
    #[must_use]
    pub fn remote(self, reason: &'static str) -> Self {
        Self { remote: Some(reason), ..self }
    }

    pub(crate) fn remote_because(&self) -> Option<&'static str> {
        self.remote
    }

    pub(crate) async fn open(&self, place: &Place) -> Result<Arc<P>, String> {
        (self.open)(place).await
    }

    pub(crate) fn lacked(&self) -> &BTreeMap<Capability, &'static str> {
        &self.lacks
    }

    /// Damages the bytes at the place; `None` when the author gave no hook.
    pub(crate) async fn do_damage(&self, place: &Place) -> Option<Result<(), String>> {
        Some(self.damage.as_ref()?(place).await)
    }
}

fn hook<T: 'static, U: 'static, E: fmt::Display>(
    f: impl AsyncFn(&Place) -> Result<T, E> + 'static,
    into: fn(T) -> U,
) -> Hook<U> {
    let f = Rc::new(f);
    Box::new(move |place| {
        let f = f.clone();
        Box::pin(async move { f(place).await.map(into).map_err(|error| error.to_string()) })
    })
}
