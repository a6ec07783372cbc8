//! What the writer remembers of streams: a bounded cache.

use portolan_kernel::values::StreamId;
use std::collections::HashMap;

/// What is known of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// Its number in table `streams`; `None` while it has none.
    pub(crate) number: Option<i64>,
    /// Its last revision.
    pub(crate) last: Option<i64>,
}

/// The heads of the streams used last. Two generations: when the young one is full it becomes the old one,
/// and what is not used again goes with it. So no use costs more than a look-up.
pub(crate) struct Heads {
    young: HashMap<StreamId, Head>,
    old: HashMap<StreamId, Head>,
    generation: usize,
}

impl Heads {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: (capacity / 2).max(1) }
    }

    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<Head> {
        if let Some(head) = self.young.get(stream) {
            return Some(*head);
        }
        let (stream, head) = self.old.remove_entry(stream)?;
        self.set(stream, head);
        Some(head)
    }

    pub(crate) fn set(&mut self, stream: StreamId, head: Head) {
        if self.young.len() >= self.generation && !self.young.contains_key(&stream) {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(stream, head);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
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
        let kept = Head { number: Some(1), last: Some(7) };
        heads.set(stream(0), kept);
        for number in 1..1_000 {
            heads.set(stream(number), Head::default());
            assert_eq!(heads.get(&stream(0)), Some(kept));
            assert!(heads.young.len() + heads.old.len() <= 10);
        }
        assert_eq!(heads.get(&stream(1)), None);
    }

    #[test]
    fn the_newest_value_wins_over_an_old_generation() {
        let mut heads = Heads::new(4);
        heads.set(stream(0), Head { number: Some(1), last: Some(0) });
        heads.set(stream(1), Head::default());
        heads.set(stream(2), Head::default());
        heads.set(stream(0), Head { number: Some(1), last: Some(1) });
        assert_eq!(heads.get(&stream(0)).and_then(|head| head.last), Some(1));
    }
}
