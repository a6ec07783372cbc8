//! What the writer remembers of lists (streams, kinds, tags): a bounded cache of where they end.

use core::borrow::Borrow;
use core::hash::Hash;
use std::collections::HashMap;

/// What is known of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// Its number; `None` while it has none.
    pub(crate) number: Option<i64>,
    /// Its last entry; for a stream that is its last revision.
    pub(crate) last: Option<i64>,
}

/// The heads of the lists used last, by name. Two generations: when the young one is full it becomes the old one,
/// and what is not used again goes with it. So no use costs more than a look-up. What has moved in the present
/// transaction stays until it is written.
pub(crate) struct Heads<K> {
    young: HashMap<K, Head>,
    old: HashMap<K, Head>,
    moved: HashMap<K, Head>,
    generation: usize,
}

impl<K: Borrow<str> + Clone + Eq + Hash> Heads<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), moved: HashMap::new(), generation: (capacity / 2).max(1) }
    }

    pub(crate) fn get(&mut self, name: &str) -> Option<Head> {
        if let Some(head) = self.young.get(name) {
            return Some(*head);
        }
        if let Some((name, head)) = self.old.remove_entry(name) {
            self.set(name, head);
            return Some(head);
        }
        self.moved.get(name).copied()
    }

    /// Remembers a head as it stands in the file.
    pub(crate) fn set(&mut self, name: K, head: Head) {
        if self.young.len() >= self.generation && !self.young.contains_key::<str>(name.borrow()) {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(name, head);
    }

    /// Remembers a head that is yet to be written.
    pub(crate) fn advance(&mut self, name: K, head: Head) {
        self.moved.insert(name.clone(), head);
        self.set(name, head);
    }

    /// What has moved since it was asked for last.
    pub(crate) fn take_moved(&mut self) -> HashMap<K, Head> {
        core::mem::take(&mut self.moved)
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.moved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: usize) -> String {
        format!("s-{number}")
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

    #[test]
    fn what_has_moved_is_not_forgotten_before_it_is_written() {
        let mut heads = Heads::new(2);
        let moved = Head { number: Some(1), last: Some(3) };
        heads.advance(stream(0), moved);
        for number in 1..10 {
            heads.set(stream(number), Head::default());
        }
        assert_eq!(heads.get(&stream(0)), Some(moved));
        assert_eq!(heads.take_moved().len(), 1);
        assert_eq!(heads.get(&stream(0)), None);
    }
}
