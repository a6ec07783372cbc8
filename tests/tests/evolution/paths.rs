//! Every path from stored bytes to values sees the same events (UP-01, UP-03).

use super::events::{OLD, SEEN, UserEvent, stored, write};
use super::readers::{
    INLINE, LIVE, PATHS, Path, Seen, User, WORKER, builder, lines, raw_or_events, until_caught_up, users,
};
use super::wires::{Entry, WIRES, serve};
use futures::TryStreamExt;
use portolan::MemoryStore;
use portolan::drivers::{EventStoreExt, From, ProjectionRegistryExt, TypedDelivery};
use portolan::ports::EventStore;
use portolan::prelude::inline;
use portolan::values::{Position, Query, Read, Recorded};
use std::sync::Arc;

async fn log(store: &MemoryStore) -> Vec<Arc<Recorded>> {
    store.read_all(Read::log(Query::all())).try_collect().await.unwrap()
}

#[tokio::test]
async fn every_path_sees_the_same_events() {
    let store = MemoryStore::builder().build();
    let last = write(&store, OLD).await;
    let before = log(&store).await;
    for path in PATHS {
        assert_eq!(path.seen::<false>(&store, last).await.as_deref(), Ok(&SEEN.map(String::from)[..]), "{path:?}");
    }
    // Where nothing is unknown, the policy changes nothing.
    for path in PATHS {
        assert_eq!(path.seen::<true>(&store, last).await.as_deref(), Ok(&SEEN.map(String::from)[..]), "{path:?}");
    }
    let ports = builder(&store).build().await.unwrap().ports();
    assert_eq!(raw_or_events(&ports).await, SEEN, "and a reader with upcasters of its own");
    let served = serve(&store).await;
    let seen = SEEN.map(|text| text.split_once(' ').unwrap());
    let seen = seen.map(|(event_type, data)| (event_type.to_owned(), serde_json::from_str(data).unwrap()));
    for wire in WIRES {
        let shown: Vec<_> = wire.shown(&served).await.iter().map(Entry::told).collect();
        assert_eq!(shown, seen, "{wire:?}, for people");
    }
    // The port's own reads carry what was stored, to the byte.
    assert_eq!(log(&store).await, before);
    for (recorded, old) in before.iter().zip(OLD) {
        let stored = stored(old);
        assert_eq!((&recorded.payload, recorded.version), (&stored.payload, stored.version));
        assert_eq!(recorded.event_type, stored.event_type);
    }
    assert_eq!(before.len(), OLD.len());
}

#[tokio::test]
async fn a_projection_inside_of_appends_sees_them_too() {
    let store = MemoryStore::builder().inline(inline::<Seen<INLINE>>().unwrap()).build();
    let last = write(&store, OLD).await;
    let application = builder(&store).projection::<Seen<INLINE>>().build().await.unwrap();
    let read = async |of: &dyn portolan::ports::ProjectionRegistry| of.get::<Seen<INLINE>>().get("all").await;
    assert_eq!(lines(application.ports(), "inline", last, read).await.as_deref(), Ok(&SEEN.map(String::from)[..]));
    application.shutdown().await;
}

#[tokio::test]
async fn all_in_one_application_agree() {
    let store = MemoryStore::builder().build();
    let last = write(&store, OLD).await;
    let application = builder(&store)
        .aggregate::<User>()
        .projection::<Seen<WORKER>>()
        .projection::<Seen<LIVE>>()
        .build()
        .await
        .unwrap();
    let read = async |of: &dyn portolan::ports::ProjectionRegistry| of.get::<Seen<WORKER>>().get("all").await;
    assert_eq!(lines(application.ports(), "by-worker", last, read).await.as_deref(), Ok(&SEEN.map(String::from)[..]));
    application.shutdown().await;
}

/// Where one may resume after this many deliveries, and what then comes.
#[tokio::test]
async fn only_the_last_of_several_carries_a_place_to_resume_from() {
    let store = MemoryStore::builder().build();
    write(&store, OLD).await;
    let events = builder(&store).events::<UserEvent>().build().await.unwrap().typed_events();
    let all = until_caught_up(events.subscribe::<UserEvent>(users(), From::Beginning)).await.unwrap();
    let places: Vec<_> = all
        .iter()
        .map(|delivery| match delivery {
            TypedDelivery::Event { event, resume } => (event.recorded.position.get(), resume.map(Position::get)),
            TypedDelivery::Progress(position) => (position.get(), Some(position.get())),
            other => panic!("{other:?}"),
        })
        .collect();
    let first = store.read(Read::log(Query::all()).limit(1)).await.unwrap().events[0].position.get();
    let at = |n: u64| first + n;
    let of = |n: u64| (at(n), Some(at(n)));
    let expected = [of(0), of(1), of(2), of(3), (at(4), None), of(4), of(5), of(6), of(7), of(8)];
    assert_eq!(places, expected, "the fifth has become two, which share its place; the third and seventh none");
    for (n, (_, resume)) in places.iter().enumerate() {
        let Some(resume) = resume.and_then(Position::new) else { continue };
        let rest = until_caught_up(events.subscribe::<UserEvent>(users(), From::After(resume))).await.unwrap();
        assert_eq!(rest, all[n + 1..], "after delivery {n} nothing is missed or repeated");
    }
}

#[tokio::test]
async fn a_path_says_which_event_it_cannot_read() {
    let store = MemoryStore::builder().build();
    let last =
        write(&store, [("user.created", 1, r#"{"mail":"a@b"}"#), ("user.address-set", 1, r#"{"address":1}"#)]).await;
    for path in PATHS {
        let error = path.seen::<true>(&store, last).await.unwrap_err();
        let words = "event 1 of user-1 (user.address-set version 1) cannot be decoded: user.address-set version 1 cannot be \
                     upcast: address: invalid type";
        assert!(error.contains(words), "{path:?}: {error}");
    }
    assert!(PATHS.contains(&Path::Worker));
}
