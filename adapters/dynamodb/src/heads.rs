//! What the process remembers of streams: a bounded cache of their last revisions.

use portolan_kernel::values::StreamId;
use std::collections::HashMap;

/// The last revisions of the streams used last; `None` of a stream known to be missing. Two generations: when the
/// young one is full it becomes the old one, and what is not used again goes with it. So no use costs more than a
/// look-up.
#[derive(Debug)]
pub(crate) struct Heads {
    young: HashMap<StreamId, Option<u64>>,
    old: HashMap<StreamId, Option<u64>>,
    generation: usize,
}

impl Heads {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: (capacity / 2).max(1) }
    }

    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<Option<u64>> {
        if let Some(last) = self.young.get(stream) {
            return Some(*last);
        }
        let (stream, last) = self.old.remove_entry(stream)?;
        self.put(stream, last);
        Some(last)
    }

    /// Notes a last revision. Streams only grow, so the larger one is the later one.
    pub(crate) fn set(&mut self, stream: StreamId, last: Option<u64>) {
        let last = self.get(&stream).map_or(last, |known| known.max(last));
        self.put(stream, last);
    }

    pub(crate) fn forget(&mut self, stream: &StreamId) {
        self.young.remove(stream);
        self.old.remove(stream);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn put(&mut self, stream: StreamId, last: Option<u64>) {
        if self.young.len() >= self.generation && !self.young.contains_key(&stream) {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(stream, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: usize) -> StreamId {
        StreamId::new(format!("s-{number}")).unwrap()
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut heads = Heads::new(10);
        heads.set(stream(0), Some(7));
        for number in 1..1_000 {
            heads.set(stream(number), None);
            assert_eq!(heads.get(&stream(0)), Some(Some(7)));
            assert!(heads.young.len() + heads.old.len() <= 10);
        }
        assert_eq!(heads.get(&stream(1)), None);
    }

    #[test]
    fn the_later_revision_wins_in_whatever_order_they_come() {
        let mut heads = Heads::new(4);
        heads.set(stream(0), Some(3));
        heads.set(stream(1), None);
        heads.set(stream(2), None);
        heads.set(stream(0), Some(1));
        assert_eq!(heads.get(&stream(0)), Some(Some(3)));
        heads.forget(&stream(0));
        assert_eq!(heads.get(&stream(0)), None);
    }
}
