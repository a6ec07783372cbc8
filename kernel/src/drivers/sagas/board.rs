//! Which shards there are, who holds them, and where what is told of a saga goes.

use super::index::{SAGA_SLOTS, saga_slot};
use crate::values::{Name, Revision, SagaId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use async_channel::Sender;
use core::fmt;
use core::ops::Range;

/// A share of the sagas of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shard {
    pub(super) name: Name,
    pub(super) number: u32,
}

impl Shard {
    /// That of a saga, of so many.
    pub(super) fn of(saga: &SagaId, shards: u32) -> Self {
        let number = u64::from(saga_slot(saga)) * u64::from(shards) / u64::from(SAGA_SLOTS);
        // Less than the number of shards.
        Self { name: saga.name().clone(), number: u32::try_from(number).unwrap_or_default() }
    }

    /// Its slots, if there are so many shards.
    pub(super) fn slots(&self, shards: u32) -> Range<u32> {
        let first = |number: u32| {
            let first = (u64::from(number) * u64::from(SAGA_SLOTS)).div_ceil(u64::from(shards));
            u32::try_from(first).unwrap_or(SAGA_SLOTS)
        };
        first(self.number)..first(self.number + 1)
    }
}

/// The lease and the checkpoint of the shard.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$sagas/{}/{}", self.name, self.number)
    }
}

/// What a shard is told.
#[derive(Debug)]
pub(super) enum Told {
    /// The stream of a saga has grown to this fact.
    Grown(SagaId, Revision),
    /// Another process has less to do: the shard is to be given up.
    GiveUp,
}

/// What this process knows of the shards of its sagas.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Those it holds.
    held: BTreeMap<Shard, Sender<Told>>,
    /// Who holds those that it does not, as far as it has seen.
    seen: BTreeMap<Shard, Name>,
    /// Why processes of a name receive nothing more here, or what they passed over last.
    troubles: BTreeMap<Name, String>,
}

impl Board {
    /// This process holds the shard, and is told there from now on.
    pub(super) fn take(&mut self, shard: Shard, to: Sender<Told>) {
        self.seen.remove(&shard);
        self.held.insert(shard, to);
    }

    /// This process does not hold the shard any more.
    pub(super) fn leave(&mut self, shard: &Shard) {
        self.held.remove(shard);
    }

    /// Somebody else holds the shard.
    pub(super) fn see(&mut self, shard: &Shard, holder: &Name) {
        if self.seen.get(shard) != Some(holder) {
            self.seen.insert(shard.clone(), holder.clone());
        }
    }

    /// Why processes of this name receive nothing more here, if anything is in the way, or what they passed over last.
    pub(super) fn say(&mut self, name: &Name, trouble: Option<String>) {
        match trouble {
            Some(trouble) => drop(self.troubles.insert(name.clone(), trouble)),
            None => drop(self.troubles.remove(name)),
        }
    }

    /// What was said last.
    pub(super) fn trouble(&self, name: &Name) -> Option<&String> {
        self.troubles.get(name)
    }

    /// Tells the shard, if it is held here.
    pub(super) fn tell(&self, shard: &Shard, told: Told) {
        if let Some(to) = self.held.get(shard) {
            // It may be about to be left.
            let _ = to.try_send(told);
        }
    }

    /// The shards of this name that this process may ask somebody for, who has at least two more than it; none as long as it
    /// is not known of each shard who holds it.
    pub(super) fn wanted(&self, name: &Name, shards: u32) -> Option<(Name, Vec<u32>)> {
        let all = (0..shards).map(|number| Shard { name: name.clone(), number });
        let (held, others): (Vec<_>, Vec<_>) = all.partition(|shard| self.held.contains_key(shard));
        let mut of_others: BTreeMap<&Name, Vec<u32>> = BTreeMap::new();
        for shard in &others {
            of_others.entry(self.seen.get(shard)?).or_default().push(shard.number);
        }
        let (richest, mut theirs) = of_others.into_iter().max_by_key(|(_, theirs)| theirs.len())?;
        theirs.truncate(theirs.len().saturating_sub(held.len()) / 2);
        (!theirs.is_empty()).then(|| (richest.clone(), theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    fn shard(number: u32) -> Shard {
        Shard { name: name("s"), number }
    }

    #[test]
    fn every_slot_is_in_one_shard_and_that_is_the_saga_s() {
        for shards in [1, 2, 3, 7, 16, 1_000] {
            let ranges: Vec<_> = (0..shards).map(|number| shard(number).slots(shards)).collect();
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, SAGA_SLOTS));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            for n in 0..500 {
                let saga = SagaId::new("s", &format!("{n}")).unwrap();
                assert!(Shard::of(&saga, shards).slots(shards).contains(&saga_slot(&saga)), "{saga} of {shards}");
            }
        }
    }

    #[test]
    fn shards_are_asked_for_until_all_have_about_as_many() {
        let (mut board, told) = (Board::default(), async_channel::unbounded().0);
        assert_eq!(board.wanted(&name("s"), 4), None);
        for number in 0..3 {
            board.see(&shard(number), &name("a"));
        }
        assert_eq!(board.wanted(&name("s"), 4), None, "nobody knows who holds the last one");
        board.see(&shard(3), &name("a"));
        assert_eq!(board.wanted(&name("s"), 4), Some((name("a"), alloc::vec![0, 1])));
        board.take(shard(0), told.clone());
        assert_eq!(board.wanted(&name("s"), 4), Some((name("a"), alloc::vec![1])));
        board.take(shard(1), told);
        assert_eq!(board.wanted(&name("s"), 4), None, "two and two");
        board.see(&shard(3), &name("b"));
        assert_eq!(board.wanted(&name("s"), 4), None);
        board.leave(&shard(0));
        assert_eq!(board.wanted(&name("s"), 4), None, "it is nobody's as far as is known");
    }
}
