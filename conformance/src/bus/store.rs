//! The reference store, with a plan for what goes wrong.

use crate::ReferenceStore;
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Capabilities, Clock, EventStore, ReadError, Source, StoreId};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Start, StreamId,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What goes wrong with an append.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A rival writes this first.
    Rival(Box<Append>),
    /// The store is busy: nothing is written.
    Busy,
    /// The outcome is unknown, and nothing was written.
    Lost,
    /// The outcome is unknown, and all was written.
    Written,
    /// It stands still before anything is written, until the gate opens.
    HeldBefore(Gate),
    /// It stands still after all was written, until the gate opens.
    HeldAfter(Gate),
}

/// Holds up whoever comes, until it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<watch::Sender<(bool, usize)>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::Sender::new((false, 0))))
    }

    /// Lets everyone pass, from now on.
    pub(crate) fn open(&self) {
        self.0.send_modify(|(open, _)| *open = true);
    }

    /// Ready once so many have come.
    pub(crate) async fn reached_by(&self, count: usize) {
        // The sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|(_, came)| *came >= count).await;
    }

    async fn pass(&self) {
        self.0.send_modify(|(_, came)| *came += 1);
        let _ = self.0.subscribe().wait_for(|(open, _)| *open).await;
    }
}

struct Plan {
    stream: Option<StreamId>,
    fault: Fault,
    times: usize,
}

/// Reads that stand still.
struct HeldRead {
    /// Of this stream; `None`: of the log.
    of: Option<StreamId>,
    gate: Gate,
    times: usize,
}

/// A store in memory that outlives its applications, and does as it is planned.
pub(crate) struct FaultyStore {
    inner: Arc<ReferenceStore>,
    plans: Mutex<Vec<Plan>>,
    held_reads: Mutex<Vec<HeldRead>>,
    appends: Mutex<Vec<Append>>,
}

/// How long keys are kept.
pub(crate) const RETENTION: Duration = Duration::from_secs(3600);

impl FaultyStore {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let identity = StoreId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)));
        let capabilities = Capabilities::new(identity).with_key_retention(Some(RETENTION));
        let inner = Arc::new(ReferenceStore::with_capabilities(clock, capabilities));
        Self { inner, plans: Mutex::default(), held_reads: Mutex::default(), appends: Mutex::default() }
    }

    /// The store without faults.
    pub(crate) fn inner(&self) -> Arc<ReferenceStore> {
        self.inner.clone()
    }

    /// Lets this go wrong with the next appends to the stream, or to any.
    pub(crate) fn plan(&self, stream: Option<&StreamId>, fault: Fault, times: usize) {
        locked(&self.plans).push(Plan { stream: stream.cloned(), fault, times });
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        locked(&self.plans).clear();
        locked(&self.held_reads).clear();
    }

    /// Holds up whoever reads the stream.
    pub(crate) fn hold_reads(&self, stream: StreamId, gate: Gate) {
        locked(&self.held_reads).push(HeldRead { of: Some(stream), gate, times: usize::MAX });
    }

    /// Holds up the next who reads the stream, or the log.
    pub(crate) fn hold_next_read(&self, of: Option<StreamId>, gate: Gate) {
        locked(&self.held_reads).push(HeldRead { of, gate, times: 1 });
    }

    fn gate_of(&self, read: &Read) -> Option<Gate> {
        let stream = match &read.from {
            Start::Stream(stream, _) => Some(stream),
            Start::Log(..) => None,
        };
        let mut held_reads = locked(&self.held_reads);
        let held = held_reads.iter_mut().find(|held| held.times > 0 && held.of.as_ref() == stream)?;
        held.times -= 1;
        Some(held.gate.clone())
    }

    /// Every append that was asked for, also in vain.
    pub(crate) fn appends(&self) -> Vec<Append> {
        locked(&self.appends).clone()
    }

    fn fault_of(&self, append: &Append) -> Option<Fault> {
        let mut plans = locked(&self.plans);
        let concerns = |stream: &StreamId| {
            append.events.iter().any(|event| event.stream == *stream)
                || append.expect.iter().any(|(expected, _)| expected == stream)
        };
        let plan = plans.iter_mut().find(|plan| plan.times > 0 && plan.stream.as_ref().is_none_or(concerns))?;
        plan.times = plan.times.saturating_sub(1);
        Some(plan.fault.clone())
    }
}

// Nothing under these locks panics halfway through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        locked(&self.appends).push(append.clone());
        let planned = || Source::new("as the check planned");
        match self.fault_of(&append) {
            None => self.inner.append(append).await,
            Some(Fault::Rival(rival)) => {
                self.inner.append(*rival).await?;
                self.inner.append(append).await
            }
            Some(Fault::Busy) => Err(AppendError::Busy(planned())),
            Some(Fault::Lost) => Err(AppendError::Unknown(planned())),
            Some(Fault::Written) => {
                self.inner.append(append).await?;
                Err(AppendError::Unknown(planned()))
            }
            Some(Fault::HeldBefore(gate)) => {
                gate.pass().await;
                self.inner.append(append).await
            }
            Some(Fault::HeldAfter(gate)) => {
                let appended = self.inner.append(append).await;
                gate.pass().await;
                appended
            }
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        if let Some(gate) = self.gate_of(&read) {
            gate.pass().await;
        }
        self.inner.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.inner.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
