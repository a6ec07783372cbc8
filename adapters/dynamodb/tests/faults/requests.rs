//! A fault at every request: whatever a single request does, an append is all or nothing, its error says which, and a
//! repetition with its key settles it.

use super::support::log::{all, event, fresh_log, key, log, name, recalled, wrote};
use super::support::{Fault, Network, Rule};
use portolan_kernel::ports::{AppendError, EventStore, ReadError};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Guard, Item, Move, Position, Query, Read, Recorded,
    Revision, Token,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Waits until what was still on its way has come true.
pub(super) async fn all_came_true(fault: Fault) {
    if let Fault::Late(delay) = fault {
        tokio::time::sleep(delay * 4).await;
    }
}

/// An append of this many requests would be no append any more.
pub(super) const MOST_REQUESTS: usize = 60;

/// A log with a past, and a network to it that is about to fail.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) log: String,
    /// Does no harm.
    pub(super) calm: Network,
    pub(super) network: Network,
    past: Vec<Arc<Recorded>>,
    checkpoint: CheckpointState,
}

/// How an append is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// One event, on no condition.
    Plain,
    /// One event, under a key.
    Keyed,
    /// Everything at once.
    Full,
}

impl Scene {
    /// The same log, over a network of its own.
    pub(super) fn apart(&self) -> Self {
        Self { network: Network::new(), ..self.clone() }
    }

    pub(super) async fn new() -> Self {
        let (log, calm) = (fresh_log(), Network::new());
        let store = calm.store(&log).await;
        wrote(&store, Append::new([event("a-1", 1), event("b-1", 2)])).await;
        wrote(&store, Append::new([event("a-1", 3)])).await;
        let state = store.checkpoint(name("c")).await.unwrap();
        wrote(&store, Append::default().checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Claim))).await;
        let checkpoint = store.checkpoint(name("c")).await.unwrap();
        let past = super::support::log::log(&store).await;
        Self { log, calm, network: Network::new(), past, checkpoint }
    }

    pub(super) fn append(&self, shape: Shape) -> Append {
        let tagged = event("d-1", 12).with_tags([name("red"), name("blue")]);
        match shape {
            Shape::Plain => Append::new([event("a-1", 10)]),
            Shape::Keyed => Append::new([event("a-1", 10)]).key(key("k")),
            Shape::Full => Append::new([event("a-1", 10), event("a-1", 11), tagged])
                .expect(name("a-1"), Expected::Exact(Revision::new(1)))
                .expect(name("b-1"), Expected::StreamExists)
                .expect(name("d-1"), Expected::NoStream)
                .guard(Guard::new(
                    Query::of(Item::new().tag(name("red"))),
                    self.past.last().map(|event| event.position),
                ))
                .checkpoint(Checkpoint::new(name("c"), self.checkpoint, Token(1), Move::At(self.past[1].position)))
                .key(key("k")),
        }
    }

    /// What is there of the append, time after time: each time the whole of it, with all that belongs to it.
    async fn written(&self, append: &Append, what: &str) -> Vec<Vec<Arc<Recorded>>> {
        let store = self.calm.store(&self.log).await;
        let now = log(&store).await;
        assert!(now.starts_with(&self.past), "{what}: the past has changed");
        let found: Vec<_> = now[self.past.len()..].chunks(append.events.len()).map(<[_]>::to_vec).collect();
        for events in &found {
            let events: Vec<_> = events.iter().map(|event| event.event.clone()).collect();
            assert_eq!(events, append.events, "{what}: no part of an append and nothing else");
        }
        let times = found.len();
        if append.key.is_some() {
            assert!(times <= 1, "{what}: written {times} times under one key");
            let recalled = recalled(&store, "k").await;
            assert_eq!(
                recalled.map(|done| done.last),
                (times == 1).then(|| now.last().map(|event| event.position)),
                "{what}"
            );
        }
        if let Some(checkpoint) = &append.checkpoint
            && let Move::At(to) = checkpoint.to
        {
            let stands = store.checkpoint(name("c")).await.unwrap().position;
            assert_eq!(stands, (times == 1).then_some(to).or(self.checkpoint.position), "{what}: the checkpoint");
        }
        found
    }
}

fn positions(done: &Appended) -> (Option<Position>, Option<Position>) {
    (done.first, done.last)
}

/// Lets the `n`th request of an append fail, and judges what comes of it. Whether there was an `n`th request.
async fn fail_one(shape: Shape, fault: Fault, n: usize, warm: bool) -> bool {
    let what = format!("{shape:?}, {fault:?} at request {n}, {}", if warm { "warm" } else { "cold" });
    let scene = Scene::new().await;
    let store = scene.network.store(&scene.log).await;
    if warm {
        log(&store).await;
        all(&store, Read::stream(name("a-1"))).await;
    }
    scene.network.reset();
    scene.network.inject(Rule::new(fault).nth(n));
    let append = scene.append(shape);
    let outcome = store.append(append.clone()).await;
    let befallen = scene.network.befallen() > 0;
    scene.network.reset();
    all_came_true(fault).await;

    let found = scene.written(&append, &what).await;
    let times = found.len();
    match &outcome {
        Ok(done) => {
            assert_eq!(times, 1, "{what}: acknowledged");
            let ends = [found[0].first(), found[0].last()].map(|event| event.map(|event| event.position));
            assert_eq!([done.first, done.last], ends, "{what}");
        }
        Err(AppendError::Busy(_)) => assert_eq!(times, 0, "{what}: Busy, and yet written"),
        Err(AppendError::Unknown(_)) => assert!(times <= 1, "{what}: written {times} times"),
        Err(other) => panic!("{what}: nothing forbids the append, and yet: {other:?}"),
    }
    if append.key.is_some() {
        // By the same handle, which knows what it sent, or by one that knows nothing.
        let again = if n.is_multiple_of(2) { store } else { scene.calm.store(&scene.log).await };
        let settled = again.append(append.clone()).await;
        let settled = settled.unwrap_or_else(|error| panic!("{what}: its key does not settle it: {error:?}"));
        assert_eq!(settled.repeated, times == 1, "{what}: {settled:?}");
        if let Ok(done) = &outcome {
            assert_eq!(positions(&settled), positions(done), "{what}");
        }
        assert_eq!(scene.written(&append, &what).await.len(), 1, "{what}: after its repetition");
    } else if times == 0 {
        let retried = store.append(append.clone()).await;
        retried.unwrap_or_else(|error| panic!("{what}: it cannot be retried: {error:?}"));
        assert_eq!(scene.written(&append, &what).await.len(), 1, "{what}: after its retry");
    }
    befallen
}

/// Does all of this at once, each as a task.
pub(super) async fn at_once<F: Future<Output = ()> + Send + 'static>(tasks: impl Iterator<Item = F>) {
    let mut tasks: JoinSet<()> = tasks.collect();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

async fn fail_each(shape: Shape, warm: bool) {
    at_once(Fault::ALL.into_iter().map(|fault| async move {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{shape:?}, {fault:?}: no end of requests");
            if !fail_one(shape, fault, n, warm).await {
                assert!(n > 1, "{shape:?}, {fault:?}: no request was failed");
                return;
            }
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_append_is_all_or_nothing_whatever_request_fails() {
    fail_each(Shape::Plain, false).await;
    fail_each(Shape::Plain, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_with_a_key_is_settled_by_it_whatever_request_fails() {
    fail_each(Shape::Keyed, false).await;
    fail_each(Shape::Keyed, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_with_everything_is_all_or_nothing_whatever_request_fails() {
    fail_each(Shape::Full, false).await;
    fail_each(Shape::Full, true).await;
}

/// Two appends at once, which may share a request: the one that is to be refused takes the other along in nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_rightly_given_whatever_request_fails() {
    at_once(Fault::ALL.into_iter().map(|fault| async move {
        for n in 1..MOST_REQUESTS {
            let what = format!("{fault:?} at request {n}");
            let scene = Scene::new().await;
            let store = scene.network.store(&scene.log).await;
            scene.network.reset();
            scene.network.inject(Rule::new(fault).nth(n));
            let wrong = Append::new([event("a-1", 20)]).expect(name("a-1"), Expected::NoStream);
            let right = Append::new([event("b-1", 10)]).key(key("k"));
            let (refused, outcome) = tokio::join!(store.append(wrong), store.append(right.clone()));
            let befallen = scene.network.befallen() > 0;
            all_came_true(fault).await;
            match refused {
                Err(AppendError::Conflict { actual, .. }) => assert_eq!(actual, Some(Revision::new(1)), "{what}"),
                Err(AppendError::Busy(_) | AppendError::Unknown(_)) => {}
                other => panic!("{what}: the stream is there, and yet: {other:?}"),
            }
            let times = scene.written(&right, &what).await.len();
            match outcome {
                Ok(_) => assert_eq!(times, 1, "{what}: acknowledged"),
                Err(AppendError::Busy(_)) => assert_eq!(times, 0, "{what}: Busy, and yet written"),
                Err(AppendError::Unknown(_)) => {}
                Err(other) => panic!("{what}: nothing forbids the append, and yet: {other:?}"),
            }
            if !befallen {
                return;
            }
        }
        panic!("{fault:?}: no end of requests")
    }))
    .await;
}

/// A DynamoDB that fails every request for as long as it lasts: an error in the end, and all is well afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_appends_with_an_error_and_is_survived() {
    at_once(Fault::ALL.into_iter().map(|fault| async move {
        let what = format!("{fault:?} at every request");
        let scene = Scene::new().await;
        let builder = scene.network.builder(&scene.log).busy_timeout(Duration::from_secs(2));
        let store = builder.open().await.unwrap();
        scene.network.inject(Rule::new(fault).times(usize::MAX));
        let append = scene.append(Shape::Full);
        let outcome = store.append(append.clone()).await;
        let read = store.read(Read::log(Query::all())).await;
        scene.network.reset();
        all_came_true(fault).await;
        let times = scene.written(&append, &what).await.len();
        match outcome {
            Ok(_) => assert_eq!(times, 1, "{what}: acknowledged"),
            Err(AppendError::Busy(_)) => assert_eq!(times, 0, "{what}: Busy, and yet written"),
            Err(AppendError::Unknown(_)) => {}
            Err(other) => panic!("{what}: {other:?}"),
        }
        match read {
            Ok(_) => assert!(matches!(fault, Fault::Slow(_)), "{what}: read all the same"),
            Err(ReadError::Busy(_)) => {}
            Err(other) => panic!("{what}: {other:?}"),
        }
        let settled = store.append(append.clone()).await.unwrap_or_else(|error| panic!("{what}, over: {error:?}"));
        assert_eq!(settled.repeated, times == 1, "{what}");
        assert_eq!(scene.written(&append, &what).await.len(), 1, "{what}: after its repetition");
    }))
    .await;
}
