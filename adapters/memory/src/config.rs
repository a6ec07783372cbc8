//! What can be said of a store before it is made.

use crate::inline::Inlined;
use crate::log::Log;
use crate::read_models::ReadModels;
use crate::{MemoryStore, Shared};
use alloc::sync::Arc;
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use event_listener::Event;
use portolan_kernel::ports::{Capabilities, Capability, Clock, Inline, Limits, StoreId};
use portolan_kernel::values::Timestamp;
use std::hash::RandomState;
use std::sync::{Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// What can be said of a [`MemoryStore`] before it is made.
///
/// ```
/// use core::time::Duration;
/// use portolan_memory::MemoryStore;
///
/// let store = MemoryStore::builder().key_retention(Some(Duration::from_secs(60))).build();
/// ```
#[must_use]
pub struct MemoryConfig {
    clock: Arc<dyn Clock>,
    key_retention: Option<Duration>,
    limits: Limits,
    inline: Vec<Arc<dyn Inline>>,
}

impl MemoryConfig {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            key_retention: Some(Duration::from_hours(7 * 24)),
            limits: Limits::default(),
            inline: Vec::new(),
        }
    }

    /// The clock that stamps events and expires keys; the system's unless given.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long idempotency keys are kept, and take memory; `None`: as long as the store. A week unless given.
    pub fn key_retention(self, key_retention: Option<Duration>) -> Self {
        Self { key_retention, ..self }
    }

    /// How much the store takes at once; [`Limits::default`] unless given.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// A projection to run inside of each append (PR-08). One of the same name and version takes the place of the one
    /// before.
    pub fn inline(mut self, projection: Arc<dyn Inline>) -> Self {
        self.inline.push(projection);
        self
    }

    /// The store, empty.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let capabilities = Capabilities::new(random_identity())
            .lacking(Capability::Durability)
            .lacking(Capability::SeveralProcesses)
            .with_key_retention(self.key_retention)
            .with_hint_latency(Duration::from_millis(20))
            .with_limits(self.limits);
        let mut read_models = ReadModels::default();
        let inline = Inlined::new(self.inline, &mut read_models);
        MemoryStore(Arc::new(Shared {
            capabilities,
            clock: self.clock,
            log: RwLock::new(Log::new(self.key_retention)),
            grown: Event::new(),
            snapshots: RwLock::default(),
            read_models: RwLock::new(read_models),
            inline,
            leases: Mutex::default(),
        }))
    }
}

impl core::fmt::Debug for MemoryConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MemoryConfig").field("key_retention", &self.key_retention).finish_non_exhaustive()
    }
}

/// 128 bits from the random keys of std's hashers: random enough to tell stores apart, and never failing.
fn random_identity() -> StoreId {
    let half = || RandomState::new().build_hasher().finish();
    StoreId::from_bytes(((u128::from(half()) << 64) | u128::from(half())).to_be_bytes())
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}
