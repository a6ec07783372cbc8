//! The world outside: what a process did to it.

use super::life::{Boundary, Life};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A receiver outside of the store that remembers what it was told. Clones tell the same one; it outlives the process.
///
/// A call is a boundary, as one of a store is: the process may die before it, or after it without having heard the answer.
#[derive(Debug, Clone)]
pub struct Effects {
    receiver: Arc<Receiver>,
    life: Arc<Life>,
}

impl Effects {
    pub(super) fn new(receiver: Arc<Receiver>, life: Arc<Life>) -> Self {
        Self { receiver, life }
    }

    /// Tells a receiver that honours keys: what comes again under its key counts once.
    ///
    /// # Cancellation
    ///
    /// It takes effect when it is first polled.
    pub async fn perform(&self, key: impl AsRef<str>, effect: impl AsRef<str>) {
        self.tell("perform", true, format!("{}: {}", key.as_ref(), effect.as_ref())).await;
    }

    /// Tells a receiver that knows no keys: what comes twice counts twice.
    ///
    /// # Cancellation
    ///
    /// As with [`perform`](Self::perform).
    pub async fn perform_without_key(&self, effect: impl Into<String>) {
        self.tell("perform_without_key", false, effect.into()).await;
    }

    async fn tell(&self, method: &'static str, is_keyed: bool, effect: String) {
        let boundary = Boundary::new("effects", method, effect.clone());
        self.life.call(boundary, async { self.receiver.receive(is_keyed, effect) }).await;
    }
}

/// How often each effect came, and whether it had a key.
#[derive(Debug, Default)]
pub(super) struct Receiver(Mutex<BTreeMap<(bool, String), u64>>);

impl Receiver {
    fn receive(&self, is_keyed: bool, effect: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((is_keyed, effect)).or_insert(0) += 1;
    }

    /// How often each effect counts.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        self.read(|is_keyed, times| if is_keyed { 1 } else { times })
    }

    /// How often each effect came.
    pub(super) fn came(&self) -> BTreeMap<String, u64> {
        self.read(|_, times| times)
    }

    fn read(&self, times: fn(bool, u64) -> u64) -> BTreeMap<String, u64> {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = BTreeMap::new();
        for ((is_keyed, effect), came) in &*received {
            *read.entry(effect.clone()).or_insert(0) += times(*is_keyed, *came);
        }
        read
    }
}
