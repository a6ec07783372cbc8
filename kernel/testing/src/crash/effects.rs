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

    /// Tells a receiver that honours keys, such as that of a saga's step, `step.key()`: what comes again under its key counts
    /// once. Effects are compared without their keys, which may be random.
    ///
    /// # Cancellation
    ///
    /// It takes effect when it is first polled.
    pub async fn perform(&self, key: impl Into<String>, effect: impl Into<String>) {
        self.tell("perform", Some(key.into()), effect.into()).await;
    }

    /// Tells a receiver that knows no keys: what comes twice counts twice.
    ///
    /// # Cancellation
    ///
    /// As with [`perform`](Self::perform).
    pub async fn perform_without_key(&self, effect: impl Into<String>) {
        self.tell("perform_without_key", None, effect.into()).await;
    }

    async fn tell(&self, method: &'static str, key: Option<String>, effect: String) {
        let about = key.iter().map(|key| format!("{key}: {effect}")).next().unwrap_or_else(|| effect.clone());
        self.life.call(Boundary::new("effects", method, about), async { self.receiver.receive(key, effect) }).await;
    }
}

/// How often each effect came under each key.
#[derive(Debug, Default)]
pub(super) struct Receiver(Mutex<BTreeMap<(String, Option<String>), u64>>);

impl Receiver {
    fn receive(&self, key: Option<String>, effect: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((effect, key)).or_insert(0) += 1;
    }

    /// How often each effect counts: once a key.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        self.sum(|key, times| if key.is_some() { 1 } else { times })
    }

    /// How often each effect came.
    pub(super) fn came(&self) -> BTreeMap<String, u64> {
        self.sum(|_, times| times)
    }

    fn sum(&self, times: fn(Option<&String>, u64) -> u64) -> BTreeMap<String, u64> {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = BTreeMap::new();
        for ((effect, key), came) in &*received {
            *sum.entry(effect.clone()).or_insert(0) += times(key.as_ref(), *came);
        }
        sum
    }
}
