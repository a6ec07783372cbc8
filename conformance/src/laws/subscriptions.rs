//! ES-19 to ES-22: the kernel's subscriptions over the store.

use crate::ask::{Ask, Store, event, given, name, one, some};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use async_trait::async_trait;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt};
use portolan_kernel::drivers::{Delivery, From, SubscribeError, Subscription, Subscriptions};
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError, Spawn};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Recorded,
};
use std::sync::Arc;
use tokio::sync::watch;

law! {
    dyn EventStore, es_19_subscriptions, "ES-19",
    "From the start, after a position, from now: every matching event is delivered once, in the order of the log, while \
     writers append; catch-up turns live with no loss and no repeat at the seam.",
    checks: [from_the_start, after_each_position, from_now, live_by_every_query, past_the_frontier, at_the_seam_beside_writers],
}

law! {
    dyn EventStore, es_20_caught_up_and_progress, "ES-20",
    "A subscription says when it has caught up and when it falls behind, and reports progress when the filter passes \
     nothing.",
    checks: [says_when_it_has_caught_up, reports_progress_past_what_does_not_match, says_when_it_falls_behind],
}

law! {
    dyn EventStore, es_21_slow_consumers, "ES-21",
    "A slow consumer is bounded, and writers never wait for it. 500 subscribers share one tail reader.",
    checks: [writers_never_wait_for_a_slow_consumer, five_hundred_share_one_reader],
}

law! {
    dyn EventStore, es_22_resuming, "ES-22",
    "Cancelled and resumed after the last seen position, a subscription misses nothing.",
    checks: [resumed_after_every_delivery, resumed_live, resumed_beside_writers],
}

struct Tasks;

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// Subscriptions whose deliveries come within a time or never.
#[derive(Clone)]
pub(super) struct Watches {
    subscriptions: Subscriptions,
    patience: Duration,
}

struct Watch {
    subscription: Subscription,
    patience: Duration,
    left: usize,
}

/// More deliveries, or resumptions, than any check needs: a wrong store can go on for ever.
const MOST: usize = 5_000;

impl Watches {
    pub(super) fn of(trial: &Trial<dyn EventStore>, store: &Store) -> Self {
        Self::with_buffer(trial, store, Subscriptions::DEFAULT_BUFFER)
    }

    fn with_buffer(trial: &Trial<dyn EventStore>, store: &Store, pages: usize) -> Self {
        let subscriptions = Subscriptions::with_buffer(store.clone(), Arc::new(Tasks), pages);
        Self { subscriptions, patience: trial.patience() }
    }

    fn subscribe(&self, query: Query, from: From) -> Watch {
        Watch { subscription: self.subscriptions.subscribe(query, from), patience: self.patience, left: MOST }
    }
}

/// The next delivery, which has to come.
#[track_caller]
fn next(watch: &mut Watch) -> impl Future<Output = Verdict<Delivery>> {
    let at = Location::caller();
    async move {
        let found = |actual: String| Broken::new("the next delivery of a subscription", "a delivery", actual).at(at);
        match tokio::time::timeout(watch.patience, watch.subscription.next()).await {
            Ok(Some(Ok(_))) if watch.left == 0 => Err(found("more and more, without an end".to_string())),
            Ok(Some(Ok(delivery))) => {
                watch.left -= 1;
                Ok(delivery)
            }
            Ok(Some(Err(error))) => Err(found(format!("it ended: {error}"))),
            Ok(None) => Err(found("it ended".to_string())),
            Err(_) => Err(found(format!("nothing within {:?}", watch.patience))),
        }
    }
}

/// Where a delivery allows to resume.
fn resumable(delivery: &Delivery) -> Option<Position> {
    match delivery {
        Delivery::Event(event) => Some(event.position),
        Delivery::Progress(position) => Some(*position),
        Delivery::CaughtUp(position) => *position,
        _ => None,
    }
}

/// The events delivered until everything up to `end` has been.
#[track_caller]
fn events_up_to(subscription: &mut Watch, end: Option<Position>) -> impl Future<Output = Verdict<Vec<Arc<Recorded>>>> {
    let at = Location::caller();
    async move {
        let mut events = Vec::new();
        loop {
            let delivery = next(subscription).await.map_err(|broken| broken.at(at))?;
            let reached = resumable(&delivery);
            if let Delivery::Event(event) = delivery {
                events.push(event);
            }
            if reached >= end {
                return Ok(events);
            }
        }
    }
}

/// The events that a subscription brings until it has caught up.
#[track_caller]
fn events_until_caught_up(
    subscription: &mut Watch,
) -> impl Future<Output = Verdict<(Vec<Arc<Recorded>>, Option<Position>)>> {
    let at = Location::caller();
    async move {
        let mut events = Vec::new();
        loop {
            match next(subscription).await.map_err(|broken| broken.at(at))? {
                Delivery::Event(event) => events.push(event),
                Delivery::CaughtUp(frontier) => return Ok((events, frontier)),
                _ => {}
            }
        }
    }
}

/// Three streams, several events an append, and more events than a page.
async fn fill(store: &Store, appends: u32) -> Verdict {
    for number in 0..appends {
        let stream = ["a-1", "b-1", "a-2", "$s-1"][number as usize % 4];
        store.wrote(some(stream, number * 4..number * 4 + 1 + number % 4)).await?;
    }
    Ok(())
}

fn of_category(category: &str) -> Query {
    Query::of(portolan_kernel::values::Item::new().category(name(category)))
}

async fn from_the_start(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let (nothing, frontier) =
        events_until_caught_up(&mut Watches::of(trial, &store).subscribe(Query::all(), From::Beginning)).await?;
    expect_eq!((nothing.len(), frontier), (0, None), "a subscription to an empty store, caught up");

    fill(&store, 150).await?;
    let log = store.log().await?;
    for query in [Query::all(), Query::all().with_system(), of_category("a"), Query::stream(name("b-1"))] {
        let expected: Vec<_> = log.iter().filter(|event| query.matches(event)).cloned().collect();
        let mut subscription = Watches::of(trial, &store).subscribe(query.clone(), From::Beginning);
        let (events, _) = events_until_caught_up(&mut subscription).await?;
        expect_eq!(events, expected, "a subscription from the start to {query:?}");
    }
    Ok(())
}

async fn after_each_position(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    fill(&store, 9).await?;
    let log = store.log().await?;
    let subscriptions = Watches::of(trial, &store);
    for after in log.iter().map(|event| event.position) {
        let expected: Vec<_> = log.iter().filter(|event| event.position > after).cloned().collect();
        let mut subscription = subscriptions.subscribe(Query::all().with_system(), From::After(after));
        let (events, _) = events_until_caught_up(&mut subscription).await?;
        expect_eq!(events, expected, "a subscription after position {after}");
    }
    Ok(())
}

async fn from_now(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    fill(&store, 9).await?;
    let mut subscription = Watches::of(trial, &store).subscribe(Query::all(), From::Now);
    let before = store.log().await?.last().map(|event| event.position);
    let first = next(&mut subscription).await?;
    expect_eq!(first, Delivery::CaughtUp(before), "the first delivery of a subscription from now");
    let done = store.wrote(some("a-1", 0..3)).await?;
    let events = events_up_to(&mut subscription, done.last).await?;
    let numbers: Vec<_> = events.iter().map(|event| event.event.clone()).collect();
    expect_eq!(numbers, [event("a-1", 0), event("a-1", 1), event("a-1", 2)], "what a subscription from now brings");
    Ok(())
}

async fn live_by_every_query(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let subscriptions = Watches::of(trial, &store);
    let queries = [Query::all(), Query::all().with_system(), of_category("a"), Query::stream(name("$s-1"))];
    let mut live = Vec::new();
    for query in queries {
        let mut subscription = subscriptions.subscribe(query.clone(), From::Now);
        events_until_caught_up(&mut subscription).await?;
        live.push((query, subscription));
    }
    for (number, stream) in (0..).zip(["a-1", "$s-1", "b-1"]) {
        let last = store.wrote(one(stream, number)).await?.last;
        for (query, subscription) in &mut live {
            let expected: Vec<_> =
                Some(event(stream, number)).into_iter().filter(|event| query.matches(event)).collect();
            let events = given(&events_up_to(subscription, last).await?);
            expect_eq!(events, expected, "what a live subscription to {query:?} brings of an event in {stream}");
        }
    }
    Ok(())
}

async fn past_the_frontier(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0)).await?;
    let mut subscription = Watches::of(trial, &store).subscribe(Query::all(), From::After(Position::MAX));
    let refusal = tokio::time::timeout(trial.patience(), subscription.subscription.next()).await;
    expect_is!(
        refusal,
        Ok(Some(Err(SubscribeError::AheadOfLog { after: Position::MAX, .. }))),
        "a subscription after a position past the frontier"
    );
    Ok(())
}

/// Writers that append side by side; gives the position of the last event when they are done.
async fn write_beside(store: &Store, writers: u32, appends: u32) -> Verdict<Option<Position>> {
    let writing = (0..writers).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..appends {
                let stream = ["a", "b", "$s"][number as usize % 3];
                store.wrote(some(&format!("{stream}-{writer}"), number * 3..number * 3 + 1 + number % 3)).await?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    });
    for written in join_all(writing).await {
        written.map_err(|error| Broken::new("writing beside subscribers", "no panic", error.to_string()))??;
    }
    Ok(store.log().await?.last().map(|event| event.position))
}

/// Follows a query from the beginning until it has come to the end that it is told, resuming after every
/// `patience` deliveries; the positions seen.
pub(super) async fn follow(
    subscriptions: Watches,
    query: Query,
    mut end: watch::Receiver<Option<Position>>,
    mut patience: impl FnMut() -> usize,
) -> Verdict<Vec<Position>> {
    let (mut from, mut reached, mut seen) = (From::Beginning, None, Vec::new());
    for _ in 0..MOST {
        let mut subscription = subscriptions.subscribe(query.clone(), from);
        let mut left = patience();
        while left > 0 {
            let last: Option<Position> = *end.borrow_and_update();
            if last.is_some() && reached >= last {
                return Ok(seen);
            }
            // A delivery that is waited for no longer is not lost.
            tokio::select! {
                _ = end.changed(), if last.is_none() => {}
                delivery = next(&mut subscription) => {
                    let delivery = delivery?;
                    left -= 1;
                    reached = reached.max(resumable(&delivery));
                    from = reached.map_or(from, From::After);
                    if let Delivery::Event(event) = delivery {
                        seen.push(event.position);
                    }
                }
            }
        }
    }
    Err(Broken::new("a subscription that is resumed again and again", "an end of the log", "none"))
}

/// Followers that come one after another while writers write, all of which have to see every event once.
async fn follow_writers(
    trial: &Trial<dyn EventStore>,
    store: &Store,
    followers: u64,
    buffer: usize,
    patience: impl Fn(u64) -> Box<dyn FnMut() -> usize + Send>,
) -> Verdict {
    let subscriptions = Watches::with_buffer(trial, store, buffer);
    let (tell, told) = watch::channel(None);
    let queries = [Query::all(), of_category("a"), Query::all().with_system()];
    let following = (0..followers).zip(queries.into_iter().cycle()).map(|(n, query)| {
        let following = follow(subscriptions.clone(), query.clone(), told.clone(), patience(n));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            (query, following.await)
        })
    });
    let following: Vec<_> = following.collect();
    // Nobody listens any more when all have failed, and then they say so below.
    let _ = tell.send(write_beside(store, 4, 15).await?);
    let log = store.log().await?;
    for followed in join_all(following).await {
        let (query, seen) = followed.map_err(|error| Broken::new("a subscriber", "no panic", error.to_string()))?;
        let expected = log.iter().filter(|event| query.matches(event)).map(|event| event.position);
        expect_eq!(seen?, expected.collect::<Vec<_>>(), "what a subscriber to {query:?} saw beside writers");
    }
    Ok(())
}

async fn at_the_seam_beside_writers(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for _ in 0..trial.rounds(3) {
        follow_writers(trial, &store, 24, 3, |_| Box::new(|| usize::MAX)).await?;
    }
    Ok(())
}

async fn says_when_it_has_caught_up(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    fill(&store, 6).await?;
    let frontier = store.log().await?.last().map(|event| event.position);
    for query in [Query::all(), Query::stream(name("missing"))] {
        let mut subscription = Watches::of(trial, &store).subscribe(query.clone(), From::Beginning);
        let (_, caught_up) = events_until_caught_up(&mut subscription).await?;
        expect_eq!(caught_up, frontier, "where a subscription to {query:?} has caught up");
    }
    Ok(())
}

async fn reports_progress_past_what_does_not_match(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut subscription = Watches::of(trial, &store).subscribe(Query::stream(name("mine")), From::Beginning);
    events_until_caught_up(&mut subscription).await?;
    let mut last = store.wrote(one("mine", 0)).await?.last;
    expect_is!(next(&mut subscription).await?, Delivery::Event(_), "a delivery after a matching event");
    for number in 0..3 {
        last = store.wrote(some("foreign", number * 2..number * 2 + 2)).await?.last.max(last);
    }
    let mut told = 0;
    loop {
        let delivery = next(&mut subscription).await?;
        expect_is!(delivery, Delivery::Progress(_), "a delivery when nothing matches");
        told += 1;
        if resumable(&delivery) >= last {
            break;
        }
    }
    expect!(told <= 6, "at most a report an event, and {told} came for 6");
    let mine = store.wrote(one("mine", 1)).await?.last;
    expect_eq!(resumable(&next(&mut subscription).await?), mine, "what follows the reports");
    Ok(())
}

/// Makes a subscriber with room for one page slow, by letting another take each event first.
async fn fall_behind(trial: &Trial<dyn EventStore>) -> Verdict<(Store, Vec<Position>, Watch, Watch)> {
    let store = trial.open().await?;
    let subscriptions = Watches::with_buffer(trial, &store, 1);
    let mut slow = subscriptions.subscribe(Query::all(), From::Now);
    let mut quick = subscriptions.subscribe(Query::all(), From::Now);
    events_until_caught_up(&mut slow).await?;
    events_until_caught_up(&mut quick).await?;
    let mut written = Vec::new();
    for number in 0..4 {
        let last = store.wrote(one("a-1", number)).await?.last;
        events_up_to(&mut quick, last).await?;
        written.extend(last);
    }
    Ok((store, written, slow, quick))
}

async fn says_when_it_falls_behind(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, written, mut slow, _quick) = fall_behind(trial).await?;
    let (mut seen, mut fell_behind, mut caught_up) = (Vec::new(), 0, None);
    while caught_up.is_none() {
        match next(&mut slow).await? {
            Delivery::Event(event) => seen.push(event.position),
            Delivery::CaughtUp(frontier) => caught_up = frontier,
            Delivery::FellBehind => fell_behind += 1,
            _ => {}
        }
    }
    expect_eq!((seen, fell_behind), (written.clone(), 1), "what a slow subscriber saw, and how often it fell behind");
    expect_eq!(caught_up, written.last().copied(), "where it caught up again");
    let last = store.wrote(one("a-1", 9)).await?.last;
    expect_eq!(events_up_to(&mut slow, last).await?.len(), 1, "events after it caught up again");
    Ok(())
}

async fn writers_never_wait_for_a_slow_consumer(trial: &Trial<dyn EventStore>) -> Verdict {
    // Neither one that is polled no more, nor one that was dropped in the middle of a poll, holds up anybody.
    let (store, _, _slow, mut quick) = fall_behind(trial).await?;
    let mut half = Watches::of(trial, &store).subscribe(Query::all(), From::Beginning);
    let _ = half.subscription.next().now_or_never();
    let writing = async {
        let mut last = None;
        for number in 0..50 {
            last = store.wrote(one("b-1", number)).await?.last;
        }
        Verdict::Ok(last)
    };
    match tokio::time::timeout(Duration::from_secs(20), writing).await {
        Ok(last) => events_up_to(&mut quick, last?).await?,
        Err(_) => return Err(Broken::new("50 appends beside subscribers that are not polled", "an end", "they hang")),
    };
    Ok(())
}

async fn five_hundred_share_one_reader(trial: &Trial<dyn EventStore>) -> Verdict {
    let store: Store = trial.open().await?;
    let counting =
        Arc::new(Counting { store: store.clone(), waiting: Busiest::default(), reading: Busiest::default() });
    let counted: Store = counting.clone();
    let subscriptions = Watches::of(trial, &counted);
    let mut many: Vec<_> = (0..trial.rounds(500)).map(|_| subscriptions.subscribe(Query::all(), From::Now)).collect();
    for one in &mut many {
        events_until_caught_up(one).await?;
    }
    counting.reading.most.store(0, Ordering::SeqCst);
    for number in 0..3 {
        let last = store.wrote(one("a-1", number)).await?.last;
        for one in &mut many {
            expect_eq!(events_up_to(one, last).await?.len(), 1, "events for each of many subscribers");
        }
    }
    let most = (counting.waiting.most.load(Ordering::SeqCst), counting.reading.most.load(Ordering::SeqCst));
    expect_eq!(most, (1, 1), "calls of `changed` and of `read` at one time, with {} live subscribers", many.len());
    Ok(())
}

/// Counts how many calls are under way at one time.
struct Counting {
    store: Store,
    waiting: Busiest,
    reading: Busiest,
}

#[derive(Default)]
struct Busiest {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Call<'a>(&'a Busiest);

impl Busiest {
    fn call(&self) -> Call<'_> {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Call(self)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let _call = self.reading.call();
        self.store.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.store.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.store.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        let _call = self.waiting.call();
        self.store.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

async fn resumed_after_every_delivery(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    fill(&store, 12).await?;
    let (log, subscriptions) = (store.log().await?, Watches::of(trial, &store));
    let end = log.last().map(|event| event.position);
    for query in [Query::all(), of_category("b")] {
        let (mut from, mut seen) = (From::Beginning, Vec::new());
        for _ in 0..MOST {
            let delivery = next(&mut subscriptions.subscribe(query.clone(), from)).await?;
            from = resumable(&delivery).map_or(from, From::After);
            match delivery {
                Delivery::Event(event) => seen.push(event),
                Delivery::CaughtUp(at) if at >= end => break,
                _ => {}
            }
        }
        let expected: Vec<_> = log.iter().filter(|event| query.matches(event)).cloned().collect();
        expect_eq!(seen, expected, "what a subscriber to {query:?} saw, resuming after every delivery");
    }
    Ok(())
}

async fn resumed_live(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let subscriptions = Watches::of(trial, &store);
    let mut after = store.wrote(one("a-1", 0)).await?.last;
    for number in 1..4 {
        let mut subscription =
            subscriptions.subscribe(Query::all().with_system(), after.map_or(From::Beginning, From::After));
        events_until_caught_up(&mut subscription).await?;
        let live = store.wrote(one("$s-1", number)).await?.last;
        let seen = given(&events_up_to(&mut subscription, live).await?);
        expect_eq!(seen, [event("$s-1", number)], "what is brought live after resuming {number} times");
        drop(subscription);

        let missed = store.wrote(some("b-1", number * 2..number * 2 + 2)).await?.last;
        let mut resumed = subscriptions.subscribe(Query::all().with_system(), live.map_or(From::Now, From::After));
        let (events, _) = events_until_caught_up(&mut resumed).await?;
        let expected = [event("b-1", number * 2), event("b-1", number * 2 + 1)];
        expect_eq!(given(&events), expected, "what was written between two subscriptions");
        after = missed;
    }
    Ok(())
}

async fn resumed_beside_writers(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let patience = |seed| -> Box<dyn FnMut() -> usize + Send> {
        let mut random = fastrand::Rng::with_seed(seed);
        Box::new(move || random.usize(1..8))
    };
    follow_writers(trial, &store, 9, 2, patience).await
}
