//! Fixtures: how the suite comes to a store.

use crate::bus::Served;
use crate::inline::Inlining;
use crate::issued::Issued;
use crate::projections::Projected;
use crate::sagas::Orchestrated;
use crate::{Place, Port};
use core::fmt;
use core::ops::AsyncFn;
use futures::future::LocalBoxFuture;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{CommandBus, EventStore, Inline, LeaseStore, ReadModelStore, SnapshotStore};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

type Hook<S, T> = Box<dyn for<'a> Fn(&'a S) -> LocalBoxFuture<'a, Result<T, String>>>;

/// Damage to the files of a closed store, wherever in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// A bit of any byte is flipped.
    Bytes,
    /// A block of 512 bytes holds zeros.
    Zeros,
    /// A file ends too early.
    Tail,
}

impl Damage {
    /// What it is in few words, as reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "flipped bytes",
            Self::Zeros => "zeroed blocks",
            Self::Tail => "a lost tail",
        }
    }
}

/// How to open what is on trial, what it lacks, and how to damage it.
pub struct Fixture<P: Port + ?Sized> {
    open: Hook<P::Site, Arc<P>>,
    lacks: BTreeMap<P::Lack, &'static str>,
    damage: Option<Hook<Place, ()>>,
    remote: Option<&'static str>,
    blind_to: BTreeMap<Damage, &'static str>,
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

impl Fixture<dyn ReadModelStore> {
    /// Opens a store of read models.
    pub fn read_model_store<S: ReadModelStore + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Place) -> Result<S, E> + 'static,
    ) -> Self {
        Self::new(hook(open, |store| Arc::new(store) as Arc<dyn ReadModelStore>))
    }
}

impl Fixture<dyn LeaseStore> {
    /// Opens a store of leases.
    pub fn lease_store<S: LeaseStore + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Place) -> Result<S, E> + 'static,
    ) -> Self {
        Self::new(hook(open, |store| Arc::new(store) as Arc<dyn LeaseStore>))
    }
}

impl Fixture<Issued> {
    /// Opens an authenticator, with what it has issued.
    pub fn authenticator<E: fmt::Display>(open: impl AsyncFn(&Place) -> Result<Issued, E> + 'static) -> Self {
        Self::new(hook(open, Arc::new))
    }
}

impl Fixture<Projected> {
    /// Opens a storage for projections.
    pub fn projections<E: fmt::Display>(open: impl AsyncFn(&Place) -> Result<Projected, E> + 'static) -> Self {
        Self::new(hook(open, Arc::new))
    }
}

impl Fixture<Orchestrated> {
    /// Opens a storage for sagas.
    pub fn sagas<E: fmt::Display>(open: impl AsyncFn(&Place) -> Result<Orchestrated, E> + 'static) -> Self {
        Self::new(hook(open, Arc::new))
    }
}

impl Fixture<Storage> {
    /// Opens a store that runs these projections inside of its appends.
    pub fn inline<S: Into<Storage> + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Place, Vec<Arc<dyn Inline>>) -> Result<S, E> + 'static,
    ) -> Self {
        let open = async move |site: &Inlining| open(&site.place, site.inline.clone()).await;
        Self::new(hook(open, |store: S| Arc::new(store.into())))
    }
}

impl Fixture<dyn CommandBus> {
    /// Opens a command bus over the ports of an application that the suite serves.
    pub fn command_bus<B: CommandBus + 'static, E: fmt::Display>(
        open: impl AsyncFn(&Served) -> Result<B, E> + 'static,
    ) -> Self {
        Self::new(hook(open, |bus| Arc::new(bus) as Arc<dyn CommandBus>))
    }
}

impl<P: Port + ?Sized> Fixture<P> {
    fn new(open: Hook<P::Site, Arc<P>>) -> Self {
        Self { open, lacks: BTreeMap::new(), damage: None, remote: None, blind_to: BTreeMap::new() }
    }

    /// The same, for an implementation that lacks something, and why.
    #[must_use]
    pub fn lacks(mut self, lack: P::Lack, reason: &'static str) -> Self {
        self.lacks.insert(lack, reason);
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

    /// The same, for a store that cannot notice this damage to its files, and why.
    ///
    /// Every other store answers as before the damage, or with an error (ES-26). One that says this may lose events to
    /// it without a word, and still changes none. A log whose end is written nowhere else is blind to a lost
    /// [`Tail`](Damage::Tail): it looks like an append that was never acknowledged.
    #[must_use]
    pub fn blind_to(mut self, damage: Damage, reason: &'static str) -> Self {
        self.blind_to.insert(damage, reason);
        self
    }

    pub(crate) fn blindness(&self) -> &BTreeMap<Damage, &'static str> {
        &self.blind_to
    }

    pub(crate) fn remote_because(&self) -> Option<&'static str> {
        self.remote
    }

    pub(crate) async fn open(&self, site: &P::Site) -> Result<Arc<P>, String> {
        (self.open)(site).await
    }

    pub(crate) fn lacked(&self) -> &BTreeMap<P::Lack, &'static str> {
        &self.lacks
    }

    /// Damages the bytes at the place; `None` when the author gave no hook.
    pub(crate) async fn do_damage(&self, place: &Place) -> Option<Result<(), String>> {
        Some(self.damage.as_ref()?(place).await)
    }
}

fn hook<S: 'static, T: 'static, U: 'static, E: fmt::Display>(
    f: impl AsyncFn(&S) -> Result<T, E> + 'static,
    into: fn(T) -> U,
) -> Hook<S, U> {
    let f = Rc::new(f);
    Box::new(move |site| {
        let f = f.clone();
        Box::pin(async move { f(site).await.map(into).map_err(|error| error.to_string()) })
    })
}
