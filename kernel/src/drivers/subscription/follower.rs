//! One subscriber: it catches up by reads of its own, turns live, and falls back when it was too slow.

use super::tail::{Hub, News, Seat};
use super::{Delivery, From, SubscribeError, page, reached};
use crate::ports::{ReadError, Source};
use crate::values::{Page, Position, Query, Read};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;

pub(super) struct Follower {
    hub: Arc<Hub>,
    query: Query,
    /// Everything up to here is delivered, in `ready`, or does not match.
    cursor: Option<Position>,
    ready: VecDeque<Delivery>,
    phase: Phase,
}

enum Phase {
    Start(From),
    /// Makes this read next. With a seat, it fills the gap up to where the news begin.
    CatchUp(Read, Option<(Seat, Option<Position>)>),
    Join,
    Live(Seat),
    Ended,
}

impl Follower {
    pub(super) fn new(hub: Arc<Hub>, query: Query, from: From) -> Self {
        Self { hub, query, cursor: None, ready: VecDeque::new(), phase: Phase::Start(from) }
    }

    pub(super) async fn next(mut self) -> Option<(Result<Delivery, SubscribeError>, Self)> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some((Ok(delivery), self));
            }
            self.phase = match mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ended => return None,
                phase => match self.step(phase).await {
                    Ok(phase) => phase,
                    Err(error) => return Some((Err(error), self)),
                },
            }
        }
    }

    async fn step(&mut self, phase: Phase) -> Result<Phase, SubscribeError> {
        match phase {
            Phase::Start(From::Beginning) => Ok(self.catch_up(None)),
            Phase::Start(From::After(after)) => {
                let frontier = self.frontier().await?;
                if frontier < Some(after) {
                    let store = self.hub.store.capabilities().identity;
                    return Err(SubscribeError::AheadOfLog { after, store });
                }
                self.cursor = Some(after);
                Ok(self.catch_up(None))
            }
            Phase::Start(From::Now) => {
                self.cursor = self.frontier().await?;
                Ok(Phase::Join)
            }
            Phase::CatchUp(read, gap) => {
                let page = page(&*self.hub.store, read).await?;
                let to = reached(&page);
                let passed_all = self.take(&page) == 0;
                match page.next {
                    Some(next) => {
                        if passed_all && to > self.cursor {
                            self.ready.extend(to.map(Delivery::Progress));
                        }
                        self.cursor = self.cursor.max(to);
                        Ok(Phase::CatchUp(next, gap))
                    }
                    None => {
                        self.cursor = self.cursor.max(to);
                        match gap {
                            None => Ok(Phase::Join),
                            Some((seat, begins)) => Ok(self.seated(seat, begins)),
                        }
                    }
                }
            }
            Phase::Join => {
                let seat = self.hub.join(self.cursor);
                match seat.hear().await {
                    Some(News::Joined(begins)) => Ok(self.seated(seat, begins)),
                    Some(News::Failed(error)) => Err(error.into()),
                    Some(News::Page(..)) | None => Err(stopped().into()),
                }
            }
            Phase::Live(seat) => match seat.hear().await {
                Some(News::Page(page, to)) => {
                    self.take(&page);
                    if to > self.cursor {
                        self.cursor = to;
                        let last = self.ready.back();
                        if !matches!(last, Some(Delivery::Event(event)) if Some(event.position) == to) {
                            self.ready.extend(to.map(Delivery::Progress));
                        }
                    }
                    Ok(Phase::Live(seat))
                }
                Some(News::Failed(error)) => Err(error.into()),
                Some(News::Joined(_)) | None => {
                    self.ready.push_back(Delivery::FellBehind);
                    Ok(self.catch_up(None))
                }
            },
            Phase::Ended => Ok(Phase::Ended),
        }
    }

    /// Turns live, unless the news begin past what has been read: then the gap is read first.
    fn seated(&mut self, seat: Seat, begins: Option<Position>) -> Phase {
        if begins > self.cursor {
            return self.catch_up(Some((seat, begins)));
        }
        self.ready.push_back(Delivery::CaughtUp(self.cursor));
        Phase::Live(seat)
    }

    fn catch_up(&self, gap: Option<(Seat, Option<Position>)>) -> Phase {
        Phase::CatchUp(Read::log_after(self.query.clone(), self.cursor), gap)
    }

    /// Makes those events of the page ready that match and have not been seen; tells how many.
    fn take(&mut self, page: &Page) -> usize {
        let before = self.ready.len();
        let unseen = page.events.iter().filter(|event| Some(event.position) > self.cursor);
        self.ready.extend(unseen.filter(|event| self.query.matches(event)).cloned().map(Delivery::Event));
        self.ready.len() - before
    }

    async fn frontier(&self) -> Result<Option<Position>, ReadError> {
        let newest = Read::log(Query::all().with_system()).backward().limit(1);
        Ok(self.hub.store.read(newest).await?.frontier)
    }
}

fn stopped() -> ReadError {
    ReadError::Other(Source::new("the task that reads the tail was stopped; its runtime is shutting down"))
}
