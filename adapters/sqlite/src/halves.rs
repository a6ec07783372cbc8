//! A long page of everything, made by two threads side by side: each reads and decodes half of it.
//!
//! No position is left out and none is given out twice, so it is known before where the second half begins; and what one
//! snapshot of the file shows, every later one shows too.

use crate::append::position;
use crate::query::PAGE_BYTES;
use crate::read::{Bounds, Long, SHORT, number};
use portolan_kernel::values::{Direction, Page, Position, Read, Start};

/// Two reads that make one page.
pub(crate) struct Halves {
    pub(crate) parts: [Read; 2],
    /// Of each part.
    pub(crate) bounds: Bounds,
    limit: u32,
    frontier: Option<Position>,
}

impl Halves {
    /// The halves of a page, if it is one of everything, and long enough to be worth a second thread.
    pub(crate) fn of(read: &Read, long: &Long, page_events: u32) -> Option<Self> {
        let Start::Log(query, after) = &read.from else { return None };
        if !query.any_of.is_empty() || read.direction == Direction::Backward {
            return None;
        }
        let after = after.map_or(0, |after| number(after.get()));
        let events = u32::try_from((long.frontier - after).max(0)).unwrap_or(u32::MAX).min(read.limit).min(page_events);
        if i64::from(events) < 2 * SHORT {
            return None;
        }
        let half = events / 2;
        let middle = position(after + i64::from(half));
        let frontier = position(long.frontier);
        let first = read.clone().limit(half).until(middle);
        let second = Read::log_after(query.clone(), middle).limit(events - half).until(frontier);
        let bounds = Bounds { events, looks: i64::MAX, bytes: PAGE_BYTES / 2 };
        Some(Self { parts: [first, second], bounds, limit: read.limit, frontier })
    }

    /// The page that they make. The second is not waited for where the first is full before it comes to it.
    pub(crate) async fn join<E>(
        self,
        mut first: Page,
        second: impl Future<Output = Result<Page, E>>,
    ) -> Result<Page, E> {
        let next = match first.next {
            None => {
                let mut second = second.await?;
                first.events.append(&mut second.events);
                second.next
            }
            full => full,
        };
        let next = next.map(|next| next.limit(self.limit).until(self.frontier));
        Ok(Page::new(first.events, self.frontier, next, None))
    }
}
