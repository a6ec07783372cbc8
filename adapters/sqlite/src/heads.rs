//! What the writer remembers of lists (streams, kinds, tags): a bounded cache of where they end.

use crate::links::Trail;
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
    /// Where its last entry stands. For a tag it is known only if this writer wrote it; for a kind it is not.
    pub(crate) trail: Trail,
}

/// A head that is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved<K> {
    pub(crate) name: K,
    pub(crate) head: Head,
    /// Its name is not in the file yet.
    pub(crate) is_new: bool,
    /// Where its last entry stands by the file, if that is known.
    pub(crate) stands: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Written,
    Moved,
    New,
}

#[derive(Clone, Copy)]
struct Slot {
    head: Head,
    state: State,
    /// Where its last entry stands by the file, if that is known.
    stands: Option<i64>,
}

/// The heads of the lists used last, by name. Two generations: when the young one is full it becomes the old one,
/// and what is not used again goes with it. So no use costs more than a look-up. What has moved in the present
/// transaction stays until it is written.
pub(crate) struct Heads<K> {
    young: HashMap<K, Slot>,
    old: HashMap<K, Slot>,
    /// The names of what has moved.
    moved: Vec<K>,
    generation: usize,
    /// As many as the young one holds.
    room: usize,
}

impl<K: Borrow<str> + Clone + Eq + Hash> Heads<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        let generation = (capacity / 2).max(1);
        Self { young: HashMap::new(), old: HashMap::new(), moved: Vec::new(), generation, room: generation }
    }

    pub(crate) fn get(&mut self, name: &str) -> Option<Head> {
        if let Some(slot) = self.young.get(name) {
            return Some(slot.head);
        }
        let (name, slot) = self.old.remove_entry(name)?;
        self.put(name, slot);
        Some(slot.head)
    }

    /// Remembers a head as it stands in the file.
    pub(crate) fn set(&mut self, name: K, head: Head) {
        self.put(name, Slot { head, state: State::Written, stands: head.trail.last() });
    }

    /// Remembers a head that is yet to be written, and was `before`; with its name, if that is new.
    pub(crate) fn advance(&mut self, name: &K, before: Head, head: Head, is_new: bool) {
        let state = if is_new { State::New } else { State::Moved };
        if let Some(slot) = self.young.get_mut(name.borrow()) {
            slot.head = head;
            if slot.state != State::Written {
                return;
            }
            slot.state = state;
        } else {
            let as_written = Slot { head, state, stands: before.trail.last() };
            let slot = self.old.remove(name.borrow()).filter(|slot| slot.state != State::Written);
            self.put(name.clone(), slot.map_or(as_written, |slot| Slot { head, ..slot }));
            if slot.is_some() {
                return;
            }
        }
        self.moved.push(name.clone());
    }

    fn put(&mut self, name: K, slot: Slot) {
        if self.young.len() >= self.room {
            let old = core::mem::replace(&mut self.old, core::mem::take(&mut self.young));
            self.young.extend(old.into_iter().filter(|(_, slot)| slot.state != State::Written));
            self.room = self.young.len() + self.generation;
        }
        self.young.insert(name, slot);
    }

    /// What has moved since it was asked for last, in the order in which it began to.
    pub(crate) fn take_moved(&mut self) -> Vec<Moved<K>> {
        let names = core::mem::take(&mut self.moved);
        let moved = names.into_iter().filter_map(|name| {
            let slot = match self.young.get_mut(name.borrow()) {
                Some(slot) => slot,
                None => self.old.get_mut(name.borrow())?,
            };
            let is_new = slot.state == State::New;
            slot.state = State::Written;
            let stands = core::mem::replace(&mut slot.stands, slot.head.trail.last());
            Some(Moved { name, head: slot.head, is_new, stands })
        });
        moved.collect()
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.moved.clear();
        self.room = self.generation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: usize) -> String {
        format!("s-{number}")
    }

    fn head(last: i64) -> Head {
        Head { number: Some(1), last: Some(last), trail: Trail::from(last + 100) }
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut heads = Heads::new(10);
        let kept = head(7);
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
        for moves in [false, true] {
            let mut heads = Heads::new(4);
            heads.set(stream(0), head(0));
            heads.set(stream(1), Head::default());
            heads.set(stream(2), Head::default());
            if moves {
                heads.advance(&stream(0), head(0), head(1), false);
            } else {
                heads.set(stream(0), head(1));
            }
            assert_eq!(heads.get(&stream(0)), Some(head(1)));
        }
    }

    #[test]
    fn what_has_moved_is_not_forgotten_before_it_is_written() {
        let mut heads = Heads::new(2);
        heads.advance(&stream(0), Head::default(), head(0), true);
        heads.advance(&stream(0), head(0), head(3), false);
        for number in 1..10 {
            heads.set(stream(number), Head::default());
        }
        assert_eq!(heads.get(&stream(0)), Some(head(3)));
        assert_eq!(heads.take_moved(), [Moved { name: stream(0), head: head(3), is_new: true, stands: None }]);
        heads.advance(&stream(0), head(3), head(4), false);
        let moved = Moved { name: stream(0), head: head(4), is_new: false, stands: Some(103) };
        assert_eq!(heads.take_moved(), [moved]);
        for number in 1..10 {
            heads.set(stream(number), Head::default());
        }
        assert_eq!(heads.get(&stream(0)), None);
        assert_eq!(heads.take_moved(), []);
    }
}
