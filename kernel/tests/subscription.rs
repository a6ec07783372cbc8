//! Subscriptions over a store that fits on a page: what they say, and when.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

use event_listener::Event;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use portolan_kernel::drivers::{Delivery, From, SubscribeError, Subscription, Subscriptions};
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Log {
    events: Mutex<Vec<Arc<Recorded>>>,
    appended: Event,
    reads: AtomicUsize,
    waits: AtomicUsize,
    broken: AtomicBool,
    turns_in_circles: AtomicBool,
}

impl Log {
    fn add(&self, stream: &str) -> Position {
        let mut events = self.events.lock().unwrap();
        let position = Position::new(events.len() as u64 * 10 + 7).unwrap();
        let event = NewEvent::new(StreamId::new(stream).unwrap(), EventType::new("t").unwrap(), "{}");
        let revision = Revision::after(events.iter().rfind(|e| e.stream == stream).map(|e| e.revision));
        events.push(Arc::new(Recorded::new(event, revision, position, Timestamp::default())));
        drop(events);
        self.appended.notify(usize::MAX);
        position
    }

    fn fail(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.appended.notify(usize::MAX);
    }

    fn frontier(&self) -> Option<Position> {
        self.events.lock().unwrap().last().map(|event| event.position)
    }
}

#[async_trait::async_trait]
impl EventStore for Log {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Err(AppendError::Invalid("the tests add events themselves".into()))
    }

    /// Pages of at most two events, matching or not, so that some pages are empty and not the last.
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(ReadError::Other(Source::new("broken")));
        }
        if self.turns_in_circles.load(Ordering::SeqCst) {
            return Ok(Page::new(Vec::new(), self.frontier(), Some(read), None));
        }
        let frontier = self.frontier().min(read.until.or(Some(Position::MAX)));
        let events = self.events.lock().unwrap().clone();
        let Start::Log(query, after) = &read.from else { panic!("subscriptions read the log") };
        let rest = events.into_iter().filter(|e| Some(e.position) > *after && Some(e.position) <= frontier);
        let rest: Vec<_> = rest.collect();
        let matching = rest.iter().take(2).filter(|e| query.matches(e)).cloned().collect();
        let next = (rest.len() > 2).then(|| read.clone().after(&rest[1]).until(frontier));
        Ok(Page::new(matching, frontier, next, None))
    }

    async fn recall(&self, _: Name, _: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(None)
    }

    async fn checkpoint(&self, _: Name) -> Result<CheckpointState, ReadError> {
        Ok(CheckpointState::new(self.capabilities().identity, None, Token(0)))
    }

    async fn changed(&self, _: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        loop {
            let appended = self.appended.listen();
            if self.frontier() > after || self.broken.load(Ordering::SeqCst) {
                return Ok(());
            }
            appended.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(StoreId::from_bytes([5; 16]))
    }
}

#[derive(Default)]
struct Tasks {
    running: Arc<AtomicUsize>,
    started: AtomicUsize,
}

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.clone();
        running.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            task.await;
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// A runtime that is shutting down.
struct NoTasks;

impl Spawn for NoTasks {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}
}

fn setup(buffer: usize) -> (Arc<Log>, Arc<Tasks>, Subscriptions) {
    let (log, tasks) = (Arc::new(Log::default()), Arc::new(Tasks::default()));
    (log.clone(), tasks.clone(), Subscriptions::with_buffer(log, tasks, buffer))
}

async fn next(subscription: &mut Subscription) -> Delivery {
    tokio::time::timeout(Duration::from_secs(5), subscription.next()).await.unwrap().unwrap().unwrap()
}

async fn expect(subscription: &mut Subscription, expected: impl IntoIterator<Item = Seen>) {
    for expected in expected {
        let seen = match next(subscription).await {
            Delivery::Event(event) => Seen::At(event.position),
            Delivery::Progress(position) => Seen::To(position),
            Delivery::CaughtUp(position) => Seen::CaughtUp(position),
            Delivery::FellBehind => Seen::FellBehind,
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, expected);
    }
}

#[derive(Debug, PartialEq)]
enum Seen {
    At(Position),
    To(Position),
    CaughtUp(Option<Position>),
    FellBehind,
}
use Seen::{At, CaughtUp, FellBehind, To};

/// Runs the other tasks as long as they have something to do.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn only(stream: &str) -> Query {
    Query::stream(StreamId::new(stream).unwrap())
}

#[tokio::test]
async fn from_the_beginning_and_on() {
    let (log, _, subscriptions) = setup(8);
    let mut all = subscriptions.subscribe(Query::all(), From::Beginning);
    expect(&mut all, [CaughtUp(None)]).await;
    let a = log.add("a-1");
    expect(&mut all, [At(a)]).await;
    let (b, c, d) = (log.add("a-1"), log.add("b-1"), log.add("a-1"));
    expect(&mut all, [At(b), At(c), At(d)]).await;
    let mut again = subscriptions.subscribe(Query::all(), From::Beginning);
    expect(&mut again, [At(a), At(b), At(c), At(d), CaughtUp(Some(d))]).await;
}

#[tokio::test]
async fn after_a_position_and_from_now() {
    let (log, _, subscriptions) = setup(8);
    let (a, b) = (log.add("a-1"), log.add("a-1"));
    let mut after = subscriptions.subscribe(Query::all(), From::After(a));
    let mut now = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut after, [At(b), CaughtUp(Some(b))]).await;
    let c = log.add("a-1");
    expect(&mut now, [CaughtUp(Some(c))]).await;
    let d = log.add("a-1");
    expect(&mut after, [At(c), At(d)]).await;
    expect(&mut now, [At(d)]).await;
}

#[tokio::test]
async fn one_joins_further_back_just_as_the_last_one_leaves() {
    let (log, _, subscriptions) = setup(8);
    let a = log.add("a-1");
    let mut leaving = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut leaving, [CaughtUp(Some(a))]).await;
    let mut joining = subscriptions.subscribe(Query::all(), From::Beginning);
    expect(&mut joining, [At(a)]).await;
    let b = log.add("a-1");
    expect(&mut leaving, [At(b)]).await;
    settle().await;
    assert!(joining.next().now_or_never().is_none(), "it waits to be let in, having seen no more than a");
    drop(leaving);
    expect(&mut joining, [CaughtUp(Some(a)), At(b)]).await;
}

#[tokio::test]
async fn a_position_past_the_frontier_is_refused() {
    let (log, _, subscriptions) = setup(8);
    let frontier = log.add("a-1");
    let past = Position::new(frontier.get() + 1).unwrap();
    let mut subscription = subscriptions.subscribe(Query::all(), From::After(past));
    let error = subscription.next().await.unwrap().unwrap_err();
    assert!(matches!(error, SubscribeError::AheadOfLog { after, .. } if after == past), "{error}");
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn progress_when_nothing_matches() {
    let (log, _, subscriptions) = setup(8);
    let foreign: Vec<_> = (0..5).map(|_| log.add("b-1")).collect();
    let mut mine = subscriptions.subscribe(only("a-1"), From::Beginning);
    expect(&mut mine, [To(foreign[1]), To(foreign[3]), CaughtUp(Some(foreign[4]))]).await;
    let (a, b) = (log.add("a-1"), log.add("$b-1"));
    expect(&mut mine, [At(a), To(b)]).await;
    let c = log.add("$c-1");
    expect(&mut mine, [To(c)]).await;
}

#[tokio::test]
async fn one_that_falls_behind_catches_up_by_itself() {
    let (log, _, subscriptions) = setup(1);
    let mut slow = subscriptions.subscribe(Query::all(), From::Now);
    let mut quick = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut slow, [CaughtUp(None)]).await;
    expect(&mut quick, [CaughtUp(None)]).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(log.add("a-1"));
        expect(&mut quick, [At(all[all.len() - 1])]).await;
    }
    expect(&mut slow, [At(all[0]), FellBehind]).await;
    expect(&mut slow, all[1..].iter().copied().map(At)).await;
    expect(&mut slow, [CaughtUp(Some(all[4]))]).await;
    let live = log.add("a-1");
    expect(&mut slow, [At(live)]).await;
}

#[tokio::test]
async fn five_hundred_share_one_reader_which_ends_with_the_last() {
    let (log, tasks, subscriptions) = setup(8);
    let mut many: Vec<_> = (0..500).map(|_| subscriptions.subscribe(Query::all(), From::Now)).collect();
    for one in &mut many {
        expect(one, [CaughtUp(None)]).await;
    }
    let (reads, waits) = (log.reads.load(Ordering::SeqCst), log.waits.load(Ordering::SeqCst));
    for _ in 0..10 {
        let position = log.add("a-1");
        for one in &mut many {
            expect(one, [At(position)]).await;
        }
    }
    assert_eq!(log.reads.load(Ordering::SeqCst) - reads, 10);
    assert!(log.waits.load(Ordering::SeqCst) - waits <= 10);
    assert_eq!((tasks.started.load(Ordering::SeqCst), tasks.running.load(Ordering::SeqCst)), (1, 1));

    drop(many);
    settle().await;
    assert_eq!(tasks.running.load(Ordering::SeqCst), 0);
    let mut anew = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut anew, [CaughtUp(log.frontier())]).await;
    assert_eq!(tasks.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failure_of_the_shared_reader_reaches_everybody_live() {
    let (log, tasks, subscriptions) = setup(8);
    let mut many: Vec<_> = (0..3).map(|_| subscriptions.subscribe(Query::all(), From::Now)).collect();
    for one in &mut many {
        expect(one, [CaughtUp(None)]).await;
    }
    log.fail();
    for one in &mut many {
        let error = one.next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
        assert!(one.next().await.is_none());
    }
    settle().await;
    assert_eq!(tasks.running.load(Ordering::SeqCst), 0);

    log.broken.store(false, Ordering::SeqCst);
    let mut anew = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut anew, [CaughtUp(None)]).await;
}

#[tokio::test]
async fn a_runtime_that_runs_nothing_is_an_error() {
    let log = Arc::new(Log::default());
    let subscriptions = Subscriptions::new(log, Arc::new(NoTasks));
    for _ in 0..2 {
        let mut one = subscriptions.subscribe(Query::all(), From::Now);
        let refused = tokio::time::timeout(Duration::from_secs(5), one.next()).await.unwrap();
        assert!(matches!(refused, Some(Err(SubscribeError::Read(ReadError::Other(_))))));
    }
}

#[tokio::test]
async fn one_that_is_not_polled_holds_up_nobody() {
    let (log, _, subscriptions) = setup(1);
    let mut stuck = Vec::new();
    for polls in 0..4 {
        let mut one = subscriptions.subscribe(Query::all(), From::Beginning);
        for _ in 0..polls {
            let _ = one.next().now_or_never();
        }
        stuck.push(one);
    }
    let mut other = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut other, [CaughtUp(None)]).await;
    for _ in 0..5 {
        let position = log.add("a-1");
        expect(&mut other, [At(position)]).await;
    }
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_is_an_error() {
    let (log, _, subscriptions) = setup(8);
    let mut live = subscriptions.subscribe(Query::all(), From::Now);
    expect(&mut live, [CaughtUp(None)]).await;
    log.turns_in_circles.store(true, Ordering::SeqCst);
    log.add("a-1");
    for mut subscription in [live, subscriptions.subscribe(Query::all(), From::Beginning)] {
        let ended = tokio::time::timeout(Duration::from_secs(5), subscription.next()).await.unwrap();
        assert!(matches!(ended, Some(Err(SubscribeError::Read(ReadError::Other(_))))));
    }
}
