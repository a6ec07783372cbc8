//! Idempotency keys, kept for a time.

use crate::Map;
use alloc::collections::VecDeque;
use core::time::Duration;
use portolan_kernel::values::{Name, Recalled, Timestamp};

/// How many expired keys one append cleans up at most: more than it can add, and few enough to be quick.
const CLEANED_AT_ONCE: usize = 4;

/// A key's scope and id.
pub(crate) type Key = (Name, Name);

pub(crate) struct Keys {
    retention: Option<Duration>,
    records: Map<Key, (Timestamp, Recalled)>,
    /// When which key was recorded, oldest first; empty when keys are kept for good.
    by_age: VecDeque<(Timestamp, Key)>,
}

impl Keys {
    pub(crate) fn new(retention: Option<Duration>) -> Self {
        Self { retention, records: Map::default(), by_age: VecDeque::new() }
    }

    fn expired(&self, recorded_at: Timestamp, now: Timestamp) -> bool {
        self.retention.is_some_and(|retention| now >= recorded_at.plus(retention))
    }

    /// What was recorded under the key, unless it has expired.
    pub(crate) fn get(&self, key: &Key, now: Timestamp) -> Option<&Recalled> {
        self.records.get(key).filter(|(at, _)| !self.expired(*at, now)).map(|(_, recalled)| recalled)
    }

    pub(crate) fn put(&mut self, key: Key, recalled: Recalled, now: Timestamp) {
        if self.retention.is_some() {
            self.by_age.push_back((now, key.clone()));
        }
        self.records.insert(key, (now, recalled));
    }

    /// Forgets some of the keys that have expired.
    pub(crate) fn clean_up(&mut self, now: Timestamp) {
        for _ in 0..CLEANED_AT_ONCE {
            let Some((at, key)) =
                self.by_age.pop_front_if(|(at, _)| self.retention.is_some_and(|retention| now >= at.plus(retention)))
            else {
                return;
            };
            // An expired key may have been recorded anew since.
            if self.records.get(&key).is_some_and(|(recorded_at, _)| *recorded_at == at) {
                self.records.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::values::Appended;

    fn key(n: u64) -> Key {
        (Name::new("test").unwrap(), Name::new(n.to_string()).unwrap())
    }

    fn recalled() -> Recalled {
        Recalled::new(Appended::new(None, None, Vec::new()), [0; 32])
    }

    #[test]
    fn a_key_is_there_until_its_retention_has_passed() {
        let mut keys = Keys::new(Some(Duration::from_micros(10)));
        keys.put(key(1), recalled(), Timestamp::from_micros(100));
        assert!(keys.get(&key(1), Timestamp::from_micros(109)).is_some());
        assert!(keys.get(&key(1), Timestamp::from_micros(110)).is_none(), "expired, though not cleaned up");
    }

    #[test]
    fn memory_is_bounded_by_what_has_not_expired() {
        let mut keys = Keys::new(Some(Duration::from_micros(10)));
        for n in 0..10_000 {
            keys.clean_up(Timestamp::from_micros(n));
            keys.put(key(n), recalled(), Timestamp::from_micros(n));
            assert!(keys.records.len() <= 11 && keys.by_age.len() <= 11, "{} keys are kept", keys.records.len());
        }
    }

    #[test]
    fn cleaning_up_spares_a_key_recorded_anew() {
        let mut keys = Keys::new(Some(Duration::from_micros(10)));
        keys.put(key(1), recalled(), Timestamp::from_micros(0));
        keys.put(key(1), recalled(), Timestamp::from_micros(15));
        keys.clean_up(Timestamp::from_micros(20));
        assert!(keys.get(&key(1), Timestamp::from_micros(20)).is_some());
        assert_eq!(keys.by_age.len(), 1);
    }
}
