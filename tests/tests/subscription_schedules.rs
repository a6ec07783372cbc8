//! The seam between catch-up and live, under hundreds of schedules: no loss, no repeat, in order, whatever runs
//! when (ES-19, ES-21, ES-22).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

use futures::StreamExt;
use futures::future::BoxFuture;
use portolan_kernel::drivers::{Delivery, From, Subscriptions};
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SCHEDULES: usize = 600;

/// How often, over all schedules: it shows that they reach what they are about.
static FELL_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// A log whose every call is a point where another task may run.
struct Log {
    events: Mutex<Vec<Arc<Recorded>>>,
    page: usize,
}

impl Log {
    fn add(&self, streams: &[&str]) {
        let mut events = self.events.lock().unwrap();
        for stream in streams {
            let position = Position::new(events.len() as u64 + 1).unwrap();
            let event = NewEvent::new(StreamId::new(*stream).unwrap(), EventType::new("t").unwrap(), "{}");
            events.push(Arc::new(Recorded::new(event, Revision::default(), position, Timestamp::default())));
        }
    }

    fn frontier(&self) -> Option<Position> {
        self.events.lock().unwrap().last().map(|event| event.position)
    }
}

#[async_trait::async_trait]
impl EventStore for Log {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Err(AppendError::Invalid("the writers add events themselves".into()))
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        yield_now().await;
        let events = self.events.lock().unwrap().clone();
        let frontier = read.until.or_else(|| events.last().map(|event| event.position));
        let Start::Log(query, after) = &read.from else { panic!("subscriptions read the log") };
        let rest = events.iter().filter(|e| Some(e.position) > *after && Some(e.position) <= frontier);
        let rest: Vec<_> = rest.cloned().collect();
        let matching = rest.iter().take(self.page).filter(|event| query.matches(event)).cloned().collect();
        let next = (rest.len() > self.page).then(|| read.clone().after(&rest[self.page - 1]).until(frontier));
        yield_now().await;
        Ok(Page::new(matching, frontier, next, None))
    }

    async fn recall(&self, _: Name, _: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(None)
    }

    async fn checkpoint(&self, _: Name) -> Result<CheckpointState, ReadError> {
        Ok(CheckpointState::new(self.capabilities().identity, None, Token(0)))
    }

    /// Now and then too early, as a hint may be.
    async fn changed(&self, _: Query, after: Option<Position>) -> Result<(), ReadError> {
        for _ in 0..3 {
            if self.frontier() > after {
                break;
            }
            yield_now().await;
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(StoreId::from_bytes([5; 16]))
    }
}

struct Tasks;

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(spawn(task));
    }
}

/// Subscribes from `from` until it has come to `end`, cancelling and resuming after every `patience` deliveries;
/// gives the positions seen, and how often it fell behind.
async fn follow(
    subscriptions: Subscriptions,
    query: Query,
    mut from: From,
    end: Position,
    patience: usize,
) -> (Vec<Position>, usize) {
    let (mut seen, mut fell_behind) = (Vec::new(), 0);
    loop {
        let mut subscription = subscriptions.subscribe(query.clone(), from);
        for _ in 0..patience {
            let at = match subscription.next().await.unwrap().unwrap() {
                Delivery::Event(event) => {
                    seen.push(event.position);
                    Some(event.position)
                }
                Delivery::Progress(to) => Some(to),
                Delivery::CaughtUp(to) => to,
                _ => {
                    fell_behind += 1;
                    None
                }
            };
            if at >= Some(end) {
                return (seen, fell_behind);
            }
            from = at.map_or(from, From::After);
        }
    }
}

/// Two writers append, alone and in pairs, while subscribers of every kind follow them to the last event.
fn writers_and_subscribers(buffer: usize, patience: usize) {
    let log = Arc::new(Log { events: Mutex::new(Vec::new()), page: 2 });
    log.add(&["a-1", "b-1", "a-2"]);
    let subscriptions = Subscriptions::with_buffer(log.clone(), Arc::new(Tasks), buffer);

    let writers: Vec<_> = (0..2)
        .map(|_| {
            let log = log.clone();
            spawn(async move {
                for streams in [&["a-1"][..], &["b-1", "a-2"], &["$s-1"], &["b-1"]] {
                    log.add(streams);
                    yield_now().await;
                }
            })
        })
        .collect();
    let end = Position::new(3 + 2 * 5).unwrap();
    let only_a = Query::of(Item::new().category(Name::new("a").unwrap()));
    let followers: Vec<_> = [
        (Query::all(), From::Beginning),
        (only_a.clone(), From::Beginning),
        (Query::all().with_system(), From::After(Position::new(2).unwrap())),
        (only_a, From::After(Position::new(3).unwrap())),
    ]
    .into_iter()
    .map(|(query, from)| {
        let following = follow(subscriptions.clone(), query.clone(), from, end, patience);
        (query, from, spawn(following))
    })
    .collect();

    block_on(async {
        for writer in writers {
            writer.await.unwrap();
        }
        let events = log.events.lock().unwrap().clone();
        for (query, from, follower) in followers {
            let after = if let From::After(after) = from { Some(after) } else { None };
            let expected = events.iter().filter(|e| Some(e.position) > after && query.matches(e));
            let expected: Vec<_> = expected.map(|event| event.position).collect();
            let (seen, fell_behind) = follower.await.unwrap();
            FELL_BEHIND.fetch_add(fell_behind, Ordering::Relaxed);
            assert_eq!(seen, expected, "from {from:?} with a buffer of {buffer}");
        }
    });
}

#[test]
fn nothing_is_lost_or_repeated_at_the_seam() {
    shuttle::check_random(|| writers_and_subscribers(64, usize::MAX), SCHEDULES);
}

#[test]
fn nothing_is_lost_or_repeated_by_falling_behind() {
    shuttle::check_random(|| writers_and_subscribers(1, usize::MAX), SCHEDULES);
    assert!(FELL_BEHIND.load(Ordering::Relaxed) > 0, "no schedule made anybody fall behind");
}

#[test]
fn nothing_is_lost_or_repeated_by_resuming() {
    shuttle::check_random(|| writers_and_subscribers(2, 3), SCHEDULES);
}
