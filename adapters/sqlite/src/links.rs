//! How the events of a stream lead back to those before them.
//!
//! Each event names the one before it, and one further back, so that every event is a few steps away from the last one. How
//! far the second way leads, the revision alone tells. So no index by stream and revision is written, of which each append
//! touched a leaf of its own. (E. Myers, "An applicative random-access stack", Information Processing Letters 17, 1983.)

use crate::error::Fault;

/// The revision that an event names besides the one before it; that is the same for every other one. 0 for the first.
pub(crate) fn jump(revision: i64) -> i64 {
    // It is a sum of numbers 2^k - 1, the largest first: the jump is over the last of them.
    let mut rest = u64::try_from(revision).unwrap_or(0);
    while rest > 0 {
        let largest = (1 << (u64::BITS - 1 - (rest + 1).leading_zeros())) - 1;
        if largest == rest {
            return revision - rest.cast_signed();
        }
        rest -= largest;
    }
    0
}

/// Where an event leads to, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    /// The position of the event before it in its stream; 0 for none.
    pub(crate) previous: i64,
    /// The position of the event at its [`jump`]; 0: it is the one before it.
    pub(crate) jump: i64,
}

impl Link {
    /// Where the event at the jump stands; 0 for none.
    pub(crate) fn far(self) -> i64 {
        if self.jump == 0 { self.previous } else { self.jump }
    }
}

/// The positions of the last event of a stream, of the one that it jumps to, of the one that this jumps to, and so on: as
/// many as are known, and there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trail {
    /// 0: not known, or there is none.
    positions: [i64; ROOM],
}

/// With three, every other event would have to look one up; with so many, hardly one does.
const ROOM: usize = 6;

impl Trail {
    /// Of an event nothing is known of but where it stands.
    pub(crate) fn from(position: i64) -> Self {
        let mut positions = [0; ROOM];
        positions[0] = position;
        Self { positions }
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> Option<i64> {
        Some(self.positions[0]).filter(|position| *position != 0)
    }

    /// Goes on to the next event, of which this is the link. `far_of` looks up where the event of a revision, at a
    /// position, jumps to.
    pub(crate) fn follow(
        &mut self,
        revision: i64,
        position: i64,
        mut far_of: impl FnMut(i64, i64) -> Result<i64, Fault>,
    ) -> Result<Link, Fault> {
        if revision == 0 {
            *self = Self::from(position);
            return Ok(Link::default());
        }
        let known = &mut self.positions;
        let previous = known[0];
        let goes_one_back = jump(revision) == revision - 1;
        if !goes_one_back {
            // It jumps as far as two jumps of the one before it.
            if known[1] == 0 {
                known[1] = far_of(revision - 1, previous)?;
            }
            if known[2] == 0 {
                known[2] = far_of(jump(revision - 1), known[1])?;
            }
        }
        let link = Link { previous, jump: if goes_one_back { 0 } else { known[2] } };
        if goes_one_back {
            known.rotate_right(1);
        } else {
            known.copy_within(2.., 1);
            known[ROOM - 1] = 0;
        }
        known[0] = position;
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_one_back_or_two_jumps_of_the_one_before() {
        assert_eq!((0..8).map(jump).collect::<Vec<_>>(), [0, 0, 1, 0, 3, 4, 3, 0]);
        for revision in 1..10_000 {
            let (first, second) = (jump(revision - 1), jump(jump(revision - 1)));
            let are_alike = revision - 1 - first == first - second;
            assert_eq!(jump(revision), if are_alike { second } else { revision - 1 });
        }
        for revision in [i64::MAX, i64::MAX - 1, i64::MAX - 2, 1 << 62] {
            assert!((0..revision).contains(&jump(revision)), "{revision}");
        }
        assert_eq!((jump(-1), jump(i64::MIN)), (0, 0), "what a damaged row says harms nobody");
    }

    #[test]
    fn every_event_is_few_steps_away() {
        for last in [1, 9, 1_000, 32_767, 100_000] {
            for sought in (0..last).step_by(7) {
                let (mut at, mut steps) = (last, 0);
                while at > sought {
                    at = if jump(at) >= sought { jump(at) } else { at - 1 };
                    steps += 1;
                }
                assert!(steps <= 3 * (i64::BITS - last.leading_zeros()), "{steps} from {last} to {sought}");
            }
        }
    }

    /// Positions are ten times the revision, and ten more.
    fn is_right(link: Link, revision: i64) -> bool {
        let at = |revision: i64| 10 * revision + 10;
        match revision {
            0 => link == Link::default(),
            _ => link.previous == at(revision - 1) && link.far() == at(jump(revision)),
        }
    }

    #[test]
    fn a_trail_links_as_jumps_do_and_seldom_looks_one_up() {
        let looked_up = core::cell::Cell::new(0);
        let far_of = |revision: i64, position: i64| {
            assert_eq!(position, 10 * revision + 10);
            looked_up.set(looked_up.get() + 1);
            Ok(10 * jump(revision) + 10)
        };
        let mut trail = Trail::default();
        for revision in 0..10_000 {
            let link = trail.follow(revision, 10 * revision + 10, far_of).unwrap();
            assert!(is_right(link, revision), "{revision}: {link:?}");
            // One that was forgotten goes on from its last position alone.
            let mut afresh = Trail::from(10 * revision + 10);
            let before = looked_up.get();
            let link = afresh.follow(revision + 1, 10 * revision + 20, far_of).unwrap();
            assert!(is_right(link, revision + 1), "{revision}: {link:?}");
            looked_up.set(before);
        }
        assert!(looked_up.get() < 500, "{}", looked_up.get());
    }
}
