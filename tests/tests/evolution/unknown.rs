//! Events of types and versions that a reader does not know, as an old process meets them in a rolling deploy (UP-04).

use super::events::{OLD, SEEN, UserEvent, write};
use super::readers::{INLINE, PATHS, Path, Seen, Tell, User, builder, lines, raw_or_events, until_caught_up, users};
use portolan::MemoryStore;
use portolan::drivers::{CommandBusExt, From, ProjectionRegistryExt, TypedDelivery};
use portolan::ports::{EventStore, ProjectionRegistry, SnapshotStore};
use portolan::prelude::inline;
use portolan::values::{Append, Name, Recorded, StreamId};
use std::sync::Arc;
use std::sync::Mutex;

/// Written by an application that is newer.
const NEW: [(&str, u32, &str); 3] = [
    ("user.deleted", 1, "{}"),
    ("user.created", 4, r#"{"emails":["m@n"]}"#),
    ("user.email-updated", 3, r#"{"email":"o@p"}"#),
];

const LAST: &str = r#"user.email-updated {"email":"o@p"}"#;

fn all_that_is_known() -> Vec<String> {
    SEEN.iter().copied().chain([LAST]).map(String::from).collect()
}

#[tokio::test]
async fn by_itself_every_path_fails_and_says_at_which_event() {
    for (new, words) in [
        (
            NEW[0],
            "event 9 of user-1 (user.deleted version 1) cannot be decoded: the event type user.deleted is unknown",
        ),
        (
            NEW[1],
            "event 9 of user-1 (user.created version 4) cannot be decoded: it has version 4 after upcasting, and the application knows version 3",
        ),
    ] {
        let store = MemoryStore::builder().build();
        let last = write(&store, OLD.into_iter().chain([new])).await;
        for path in PATHS {
            let error = path.seen::<false>(&store, last).await.unwrap_err();
            assert!(error.contains(words), "{path:?}: {error}");
        }
    }
}

#[tokio::test]
async fn every_path_can_skip_them() {
    let store = MemoryStore::builder().build();
    let last = write(&store, OLD.into_iter().chain(NEW)).await;
    for path in PATHS {
        assert_eq!(path.seen::<true>(&store, last).await, Ok(all_that_is_known()), "{path:?}");
    }
    assert!(PATHS.contains(&Path::View));
}

#[tokio::test]
async fn a_projection_inside_of_appends_refuses_or_skips_them() {
    let strict = MemoryStore::builder().inline(inline::<Seen<INLINE>>().unwrap()).build();
    write(&strict, OLD).await;
    let refused = strict.append(Append::new([super::events::stored(NEW[0])])).await.unwrap_err();
    assert!(refused.to_string().contains("user.deleted is unknown"), "{refused}");
    let lenient = MemoryStore::builder().inline(inline::<Seen<INLINE, true>>().unwrap()).build();
    let last = write(&lenient, OLD.into_iter().chain(NEW)).await;
    let application = builder(&lenient).projection::<Seen<INLINE, true>>().build().await.unwrap();
    let read = async |of: &dyn ProjectionRegistry| of.get::<Seen<INLINE, true>>().get("all").await;
    assert_eq!(lines(application.ports(), "inline", last, read).await, Ok(all_that_is_known()));
    application.shutdown().await;
}

#[tokio::test]
async fn what_is_skipped_is_told_and_a_subscription_goes_on_past_it() {
    let store = MemoryStore::builder().build();
    write(&store, OLD.into_iter().chain(NEW)).await;
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let hook = skipped.clone();
    let tell = move |event: &Recorded| hook.lock().unwrap().push(format!("{} {}", event.event_type, event.version));
    let application = builder(&store).on_skipped(tell).events::<UserEvent>().build().await.unwrap();
    let events = application.typed_events().on_unknown(portolan::domain::Unknown::Skip);
    let all = until_caught_up(events.subscribe::<UserEvent>(users(), From::Beginning)).await.unwrap();
    assert_eq!(*skipped.lock().unwrap(), ["user.deleted 1", "user.created 4"]);
    let [.., one, other, _] = &all[..] else { panic!("{all:?}") };
    for progress in [one, other] {
        assert!(matches!(progress, TypedDelivery::Progress(_)), "{progress:?}");
    }
}

#[tokio::test]
async fn they_are_had_as_they_are_stored() {
    let store = MemoryStore::builder().build();
    write(&store, OLD.into_iter().chain(NEW)).await;
    let ports = builder(&store).build().await.unwrap().ports();
    let mut expected = all_that_is_known();
    expected.splice(8..8, ["raw user.deleted 1".to_owned(), "raw user.created 4".to_owned()]);
    assert_eq!(raw_or_events(&ports).await, expected);
}

/// A newer process knows what was passed over, and must not take such a state for whole.
#[tokio::test]
async fn a_state_without_them_is_kept_in_no_snapshot() {
    let kept = async |events: Vec<(&str, u32, &str)>| {
        let store = MemoryStore::builder().build();
        write(&store, events).await;
        let runtime = portolan_testing::TestRuntime::held();
        let application = portolan::application::Application::builder(store.clone(), runtime.runtime());
        let ports = application.aggregate::<User<true>>().build().await.unwrap().ports();
        ports.commands.send(Tell { create: true }).await.unwrap();
        runtime.spawn.run().await;
        let kind = Name::new(format!("state@{}", store.capabilities().identity)).unwrap();
        store.load(StreamId::new("user-1").unwrap(), kind, None).await.unwrap().is_some()
    };
    assert!(kept(OLD.into()).await);
    assert!(!kept(OLD.into_iter().chain(NEW).collect()).await);
}
