//! The context of a decision: time, actor, tenant and ids. A decision knows nothing else of the world.

use crate::values::{EventId, Timestamp};
use alloc::string::String;
use core::cell::Cell;
use core::fmt;
use sha2::{Digest, Sha256};

/// What ids derive from: equal seeds give equal ids, different ones never the same.
#[derive(Clone, PartialEq, Eq)]
pub struct IdSeed([u8; 32]);

impl fmt::Debug for IdSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSeed(..)")
    }
}

impl IdSeed {
    /// The seed of the command with this id in this scope (its tenant and name). A repetition has the same.
    #[must_use]
    pub fn of_command(scope: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["command", scope, id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The seed of something that happens once: `fresh` is an id that nobody has seen before.
    #[must_use]
    pub fn fresh(fresh: EventId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"fresh");
        hash.update(fresh.as_bytes());
        Self(hash.finalize().into())
    }

    /// The id of the `n`th event that was decided.
    #[must_use]
    pub fn event_id(&self, n: u32) -> EventId {
        self.derive(b"event", n)
    }

    /// The `n`th id that a decision asks for.
    #[must_use]
    pub fn nth_id(&self, n: u32) -> EventId {
        self.derive(b"id", n)
    }

    /// An id for the whole: what correlates everything that follows, when nothing else was given.
    #[must_use]
    pub fn correlation_id(&self) -> EventId {
        self.derive(b"correlation", 0)
    }

    fn derive(&self, what: &[u8], n: u32) -> EventId {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(what);
        hash.update(n.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        // Version 8 ("custom") and the variant of RFC 9562.
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        EventId::from_bytes(bytes)
    }
}

/// What a decision sees besides state and command.
///
/// Made anew for each attempt: ids are equal on every retry, and the time is the clock's at that attempt.
#[derive(Debug, Clone)]
pub struct Context {
    seed: IdSeed,
    now: Timestamp,
    actor: Option<String>,
    tenant: Option<String>,
    given: Cell<u32>,
}

impl Context {
    /// The context of a decision at this time whose ids derive from this seed.
    #[must_use]
    pub fn new(seed: IdSeed, now: Timestamp) -> Self {
        Self { seed, now, actor: None, tenant: None, given: Cell::new(0) }
    }

    /// A context for tests of decisions: at the epoch, by nobody, with the same ids each time.
    #[must_use]
    pub fn for_test() -> Self {
        Self::new(IdSeed::of_command("test", "test"), Timestamp::default())
    }

    /// The same context at this time.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The same context on behalf of this actor.
    #[must_use]
    pub fn by(self, actor: Option<String>) -> Self {
        Self { actor, ..self }
    }

    /// The same context in this tenant.
    #[must_use]
    pub fn in_tenant(self, tenant: Option<String>) -> Self {
        Self { tenant, ..self }
    }

    /// The time of the decision.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// On whose behalf, if known.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// In which tenant, if any.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// A new id, another one with each call; the same ones on every retry and repetition of the command.
    ///
    /// ```
    /// # use portolan_kernel::domain::Context;
    /// let (first, again) = (Context::for_test(), Context::for_test());
    /// assert_eq!(first.new_id(), again.new_id());
    /// assert_ne!(first.new_id(), first.new_id());
    /// ```
    #[must_use]
    pub fn new_id(&self) -> EventId {
        let n = self.given.get();
        self.given.set(n + 1);
        self.seed.nth_id(n)
    }
}
