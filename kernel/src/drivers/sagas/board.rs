//! Which shards there are, who holds them, where what is told of a saga goes, and what is in the way of what.

use super::index::{SAGA_SLOTS, saga_slot};
use crate::values::{Name, Position, Revision, SagaId};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use async_channel::Sender;
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

    /// The name of its lease and of its checkpoint, if there are so many shards. Those of another number of shards have others:
    /// they are of other sagas, and to hold one is to hold none of these.
    pub(super) fn place(&self, shards: u32) -> String {
        format!("$sagas/{}/{}-of-{shards}", self.name, self.number)
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
    held: BTreeMap<Shard, Held>,
    /// Who holds those that it does not, as far as it has seen.
    seen: BTreeMap<Shard, Name>,
    /// Why processes of a name receive nothing more here, or what they passed over last.
    stuck: BTreeMap<Name, Stuck>,
}

/// A shard that is held.
#[derive(Debug)]
struct Held {
    to: Sender<Told>,
    /// Why nothing of it is driven, or not all.
    trouble: Option<String>,
    /// Its sagas that cannot be driven.
    hindered: BTreeMap<SagaId, Hindrance>,
}

/// Why a saga cannot be driven here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// The code is not here (SG-08).
    Lacks(String),
    /// Reading it, or writing to it, fails.
    Fails(String),
}

/// Why processes of a name receive nothing more here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stuck {
    /// The checkpoint of the feeder.
    pub(super) place: Name,
    /// The event that is not received. Once the checkpoint is past it, another process has had it received. `None`: it was
    /// passed over, and nobody will.
    pub(super) at: Option<Position>,
    pub(super) why: String,
}

impl Board {
    /// This process holds the shard, and is told there from now on.
    pub(super) fn take(&mut self, shard: Shard, to: Sender<Told>) {
        self.seen.remove(&shard);
        // What was in the way is so until somebody says otherwise.
        let trouble = self.held.remove(&shard).and_then(|held| held.trouble);
        self.held.insert(shard, Held { to, trouble, hindered: BTreeMap::new() });
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
    pub(super) fn say(&mut self, name: &Name, stuck: Option<Stuck>) {
        match stuck {
            Some(stuck) => drop(self.stuck.insert(name.clone(), stuck)),
            None => drop(self.stuck.remove(name)),
        }
    }

    /// What was said last.
    pub(super) fn stuck(&self, name: &Name) -> Option<&Stuck> {
        self.stuck.get(name)
    }

    /// Why this shard is not driven, or not all of it, if it is held here and anything is in the way.
    pub(super) fn say_of_shard(&mut self, shard: &Shard, trouble: Option<String>) {
        if let Some(held) = self.held.get_mut(shard) {
            held.trouble = trouble;
        }
    }

    /// Why this saga is not driven, if its shard is held here and anything is in the way.
    pub(super) fn say_of_saga(&mut self, shard: &Shard, saga: &SagaId, hindrance: Option<Hindrance>) {
        if let Some(held) = self.held.get_mut(shard) {
            match hindrance {
                Some(hindrance) => drop(held.hindered.insert(saga.clone(), hindrance)),
                None => drop(held.hindered.remove(saga)),
            }
        }
    }

    /// What is lacking here of the code for this saga, as far as driving it has shown.
    pub(super) fn lacking(&self, saga: &SagaId, shards: u32) -> Option<&String> {
        match self.held.get(&Shard::of(saga, shards))?.hindered.get(saga)? {
            Hindrance::Lacks(what) => Some(what),
            Hindrance::Fails(_) => None,
        }
    }

    /// What is in the way of the shards of this name that are held here, each once.
    pub(super) fn troubles(&self, name: &Name) -> Vec<String> {
        let of_name = || self.held.iter().filter(|(shard, _)| shard.name == *name).map(|(_, held)| held);
        let mut troubles: Vec<String> = Vec::new();
        for trouble in of_name().filter_map(|held| held.trouble.as_ref()) {
            if !troubles.contains(trouble) {
                troubles.push(trouble.clone());
            }
        }
        let failing = of_name().flat_map(|held| held.hindered.values()).filter_map(|hindrance| match hindrance {
            Hindrance::Fails(why) => Some(why),
            Hindrance::Lacks(_) => None,
        });
        let count = failing.clone().count();
        troubles.extend(failing.take(1).map(|first| match count {
            1 => first.clone(),
            _ => format!("{count} sagas cannot be driven here; {first}"),
        }));
        troubles
    }

    /// Tells the shard, if it is held here.
    pub(super) fn tell(&self, shard: &Shard, told: Told) {
        if let Some(held) = self.held.get(shard) {
            // It may be about to be left.
            let _ = held.to.try_send(told);
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

    #[test]
    fn what_is_in_the_way_is_told_as_long_as_it_is_and_the_shard_is_held() {
        let (mut board, told) = (Board::default(), async_channel::unbounded().0);
        let saga = |id: &str| SagaId::new("s", id).unwrap();
        let fails = |why: &str| Some(Hindrance::Fails(why.into()));
        board.say_of_saga(&Shard::of(&saga("a"), 1), &saga("a"), fails("nobody holds it"));
        assert_eq!(board.troubles(&name("s")), [""; 0]);
        board.take(shard(0), told.clone());
        board.say_of_saga(&shard(0), &saga("a"), fails("a fails"));
        board.say_of_saga(&shard(0), &saga("b"), Some(Hindrance::Lacks("code".into())));
        assert_eq!(board.troubles(&name("s")), ["a fails"]);
        assert_eq!(board.troubles(&name("other")), [""; 0]);
        assert_eq!((board.lacking(&saga("a"), 1), board.lacking(&saga("b"), 1)), (None, Some(&String::from("code"))));
        board.say_of_saga(&shard(0), &saga("c"), fails("c fails"));
        board.say_of_shard(&shard(0), Some("no index".into()));
        assert_eq!(board.troubles(&name("s")), ["no index", "2 sagas cannot be driven here; a fails"]);
        board.say_of_saga(&shard(0), &saga("a"), None);
        board.take(shard(0), told);
        assert_eq!(board.troubles(&name("s")), ["no index"], "sagas are found anew");
        board.leave(&shard(0));
        assert_eq!(board.troubles(&name("s")), [""; 0]);
    }

    #[test]
    fn shards_of_another_number_are_others() {
        assert_eq!(shard(3).place(8), "$sagas/s/3-of-8");
        assert_ne!(shard(3).place(8), shard(3).place(4));
    }
}
