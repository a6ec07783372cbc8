//! Events shown as what they have become (UP-01): for each stored one, on pages, and live.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

extern crate alloc;

mod support;

use alloc::sync::Arc;
use futures::{FutureExt, StreamExt};
use portolan_kernel::application::Ports;
use portolan_kernel::domain::history::{Histories, History, Hop, Pieces};
use portolan_kernel::domain::{EventForm, NotCurrent, Upcasters};
use portolan_kernel::drivers::{Access, FormedDelivery, FormedEvent, FormedEvents, From};
use portolan_kernel::ports::{Caller, EventStore};
use portolan_kernel::values::{Append, EventType, Format, Item, NewEvent, Position, Query, Read, Recorded};
use rstest::rstest;
use serde::Deserialize;
use support::store::TestStore;

#[derive(Deserialize)]
struct Pair {
    first: String,
    second: String,
}

fn split(pair: Pair) -> Pieces {
    Pieces::new().event("created", 1, &pair.first).event("mailed", 1, &pair.second)
}

fn upcasters() -> Arc<Upcasters> {
    let history = History::new()
        .current("created", 2)
        .current("mailed", 1)
        .hop(
            Hop::from("created", 1)
                .try_with(|name: String| if name.is_empty() { Err("no name") } else { Ok(name) })
                .to("created", 2),
        )
        .hop(Hop::from("made", 1).to("created", 1))
        .hop(Hop::from("begun", 1).to("made", 1))
        .hop(Hop::from("pair", 1).split(split).to_any([("created", 1), ("mailed", 1)]))
        .hop(Hop::from("gone", 1).retire());
    let mut histories = Histories::new();
    histories.add("the test", history);
    // Of these nobody tells which version is current.
    histories.add("more", History::new().hop(Hop::from("by-hand", 1).to("by-hand", 2)));
    Arc::new(histories.judge().unwrap())
}

fn event(event_type: &str, version: u32, payload: &'static str) -> NewEvent {
    NewEvent::new("s-1".parse().unwrap(), event_type.parse().unwrap(), payload).with_version(version)
}

/// Type, version and payload.
fn told(event: &Recorded) -> String {
    let payload = std::str::from_utf8(&event.payload).unwrap();
    format!("{} {} {payload}", event.event_type, event.version)
}

fn recorded(store: &TestStore, event: NewEvent) -> Arc<Recorded> {
    store.write(Append::new([event]));
    store.events().pop().unwrap()
}

#[rstest]
#[case::current("created", 2, "\"A\"", &["created 2 \"A\""])]
#[case::one_hop("created", 1, "\"A\"", &["created 2 \"A\""])]
#[case::renamed_twice("begun", 1, "\"A\"", &["created 2 \"A\""])]
#[case::split("pair", 1, r#"{"first":"A","second":"B"}"#, &["created 2 \"A\"", "mailed 1 \"B\""])]
#[case::retired("gone", 1, "?", &[])]
#[case::nobody_tells("by-hand", 1, "1", &["by-hand 2 1"])]
#[case::the_end_of_what_nobody_tells("by-hand", 2, "1", &["by-hand 2 1"])]
#[test]
fn what_has_become_of_it(
    #[case] event_type: &str,
    #[case] version: u32,
    #[case] payload: &'static str,
    #[case] expected: &[&str],
) {
    let stored = event(event_type, version, payload).with_tags(["t".parse().unwrap()]).with_metadata("{}");
    let stored = recorded(&TestStore::default(), stored);
    let current = upcasters().current(&stored).unwrap();
    assert_eq!(current.iter().map(|event| told(event)).collect::<Vec<_>>(), expected);
    for event in current {
        // But for what versions change, it is the same.
        let mut same = (*event).clone();
        (same.event.event_type, same.event.version) = (stored.event_type.clone(), stored.version);
        same.event.payload = stored.payload.clone();
        assert_eq!(same, *stored);
    }
}

#[test]
fn one_of_a_current_version_is_not_even_copied() {
    let stored = recorded(&TestStore::default(), event("created", 2, "\"A\"").with_format(Format::Binary));
    assert!(matches!(&upcasters().current(&stored).unwrap()[..], [same] if Arc::ptr_eq(same, &stored)));
}

#[rstest]
#[case::unknown("deleted", 1, "unknown-type", "no history of this application tells of the event type deleted")]
#[case::future("created", 3, "unknown-version", "knows no version 3 of created")]
#[case::too_old("mailed", 0, "unknown-version", "knows no version 0 of mailed")]
#[case::future_of_the_retired("gone", 2, "unknown-version", "knows no version 2 of gone")]
#[case::future_of_what_nobody_tells("by-hand", 3, "unknown-version", "knows no version 3 of by-hand")]
#[case::failed("created", 1, "upcast-failed", "created version 1 cannot be upcast: no name")]
#[case::failed_in_a_part("pair", 1, "upcast-failed", "created version 1 cannot be upcast: no name")]
#[test]
fn why_nobody_can_say(#[case] event_type: &str, #[case] version: u32, #[case] code: &str, #[case] words: &str) {
    let payload = if event_type == "pair" { r#"{"first":"","second":"B"}"# } else { "\"\"" };
    let stored = recorded(&TestStore::default(), event(event_type, version, payload));
    let error = upcasters().current(&stored).unwrap_err();
    assert_eq!(error.code(), code);
    assert!(error.to_string().contains(words), "{error}");
}

#[rstest]
#[case::of_three_and_itself("created", &["begun", "created", "made", "pair"])]
#[case::of_a_split("mailed", &["mailed", "pair"])]
#[case::in_the_middle("made", &["begun", "made"])]
#[case::itself_alone("gone", &["gone"])]
#[case::to_itself("by-hand", &["by-hand"])]
#[case::unknown("deleted", &["deleted"])]
#[test]
fn where_a_type_comes_from(#[case] event_type: &str, #[case] expected: &[&str]) {
    let wanted: EventType = event_type.parse().unwrap();
    let mut sources = upcasters().sources_of(&wanted);
    assert_eq!(sources[0], wanted);
    sources.sort();
    assert_eq!(sources.iter().map(EventType::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_query_is_widened_by_its_types_alone() {
    let tagged = Item::new().tag("t".parse().unwrap());
    let query = Query::of(tagged.clone().event_type("mailed".parse().unwrap())).or(tagged.clone()).with_system();
    let widened = upcasters().query_of_sources(query);
    let types = ["mailed", "pair"].map(|name| name.parse().unwrap());
    let first = types.into_iter().fold(tagged.clone(), Item::event_type);
    assert_eq!(widened, Query::of(first).or(tagged).with_system());
    assert_eq!(upcasters().query_of_sources(Query::all()), Query::all());
}

const LOG: [(&str, u32, &str); 8] = [
    ("begun", 1, "\"A\""),
    ("gone", 1, ""),
    ("pair", 1, r#"{"first":"B","second":"C"}"#),
    ("pair", 1, r#"{"first":"","second":"D"}"#),
    ("deleted", 1, "{}"),
    ("mailed", 1, "\"E\""),
    ("created", 7, "{}"),
    ("gone", 1, ""),
];

fn log() -> Arc<TestStore> {
    let store = TestStore::new();
    for (event_type, version, payload) in LOG {
        store.write(Append::new([event(event_type, version, payload)]));
    }
    store
}

fn ports(store: &Arc<TestStore>) -> Ports {
    let nobody = support::bank_on(store).now_or_never().unwrap().ports();
    Ports::new(nobody.commands, nobody.queries, store.clone(), support::runtime().spawn)
}

fn formed(store: &Arc<TestStore>, form: EventForm) -> FormedEvents {
    ports(store).with_upcasters(upcasters()).in_form(form).unwrap()
}

/// Position, part, what it is, and why it is that.
fn shown(event: &FormedEvent) -> String {
    let part = event.part.map(|n| format!(".{n}")).unwrap_or_default();
    let why = event.not_current.as_ref().map(NotCurrent::code).unwrap_or_default();
    format!("{}{part} {} {why}", event.recorded.position, told(&event.recorded)).trim_end().to_owned()
}

const ALL: [&str; 7] = [
    "10 created 2 \"A\"",
    "30.1 created 2 \"B\"",
    "30.2 mailed 1 \"C\"",
    r#"40 pair 1 {"first":"","second":"D"} upcast-failed"#,
    "50 deleted 1 {} unknown-type",
    "60 mailed 1 \"E\"",
    "70 created 7 {} unknown-version",
];

fn of_type(event_type: &str) -> Query {
    Query::of(Item::new().event_type(event_type.parse().unwrap()))
}

/// What each query finds: what is of the type now, and what might be.
fn queries() -> [(Query, Vec<&'static str>); 6] {
    [
        (Query::all(), ALL.to_vec()),
        (of_type("created"), vec![ALL[0], ALL[1], ALL[3], ALL[6]]),
        (of_type("mailed"), vec![ALL[2], ALL[3], ALL[5]]),
        (of_type("begun"), vec![]),
        (of_type("pair"), vec![ALL[3]]),
        (of_type("deleted"), vec![ALL[4]]),
    ]
}

#[tokio::test]
async fn pages_show_what_is_of_a_type_now() {
    let store = log();
    let events = formed(&store, EventForm::Current);
    for limit in [1, 2, 9] {
        for (query, expected) in queries() {
            let (mut seen, mut next) = (Vec::new(), Some(Read::log(query.clone()).limit(limit)));
            while let Some(read) = next {
                assert!(matches!(&read.from, portolan_kernel::values::Start::Log(of, _) if *of == query), "{read:?}");
                let page = events.read(read).await.unwrap();
                assert!(page.stored.events.len() <= limit as usize);
                seen.extend(page.events.iter().map(shown));
                next = page.stored.next;
            }
            assert_eq!(seen, expected, "{query:?} by {limit}");
        }
    }
    let page = events.read(Read::stream("s-1".parse().unwrap())).await.unwrap();
    assert_eq!(page.events.iter().map(shown).collect::<Vec<_>>(), ALL);
    assert_eq!(page.stored.revision.map(|last| last.get()), Some(7), "the last one is retired, and it is there");
}

#[tokio::test]
async fn the_stored_form_is_what_the_port_gives() {
    let store = log();
    let events = formed(&store, EventForm::Stored);
    let read = Read::log(of_type("pair")).limit(1);
    let page = events.read(read.clone()).await.unwrap();
    let of_port = store.read(read).await.unwrap();
    assert_eq!(page.stored, of_port);
    assert!(page.events.iter().all(|event| event.part.is_none() && event.not_current.is_none()));
    assert!(page.events.iter().map(|event| &event.recorded).eq(&of_port.events));
    let deliveries = events.subscribe(Query::all(), From::Beginning).take(LOG.len());
    let seen: Vec<_> = deliveries.map(|delivery| delivery.unwrap()).collect().await;
    for (delivery, stored) in seen.iter().zip(store.events()) {
        let FormedDelivery::Event { event, resume } = delivery else { panic!("{delivery:?}") };
        assert_eq!((&event.recorded, *resume), (&stored, Some(stored.position)));
    }
}

#[test]
fn nobody_makes_up_a_current_form() {
    let ports = ports(&TestStore::new());
    assert!(ports.in_form(EventForm::Current).is_none());
    assert_eq!(ports.in_form(EventForm::Stored).unwrap().form(), EventForm::Stored);
    assert_eq!(["stored", "current"].map(str::parse), [Ok(EventForm::Stored), Ok(EventForm::Current)]);
    assert!("Current".parse::<EventForm>().is_err());
}

/// What is delivered until it has caught up: what is shown, and where one may resume.
async fn delivered(events: &FormedEvents, query: &Query, from: From) -> Vec<(String, Option<u64>)> {
    let mut all = Vec::new();
    let mut subscription = events.subscribe(query.clone(), from);
    loop {
        all.push(match subscription.next().await.unwrap().unwrap() {
            FormedDelivery::Event { event, resume } => (shown(&event), resume.map(Position::get)),
            FormedDelivery::Progress(position) => (String::new(), Some(position.get())),
            FormedDelivery::CaughtUp(_) => return all,
            other => panic!("{other:?}"),
        });
    }
}

#[tokio::test]
async fn a_subscription_resumed_at_any_place_gives_the_rest() {
    let events = formed(&log(), EventForm::Current);
    for (query, expected) in queries() {
        let all = delivered(&events, &query, From::Beginning).await;
        let seen: Vec<_> = all.iter().map(|(shown, _)| shown).filter(|shown| !shown.is_empty()).collect();
        assert_eq!(seen, expected, "{query:?}");
        for (n, (_, resume)) in all.iter().enumerate() {
            if let Some(resume) = resume.and_then(Position::new) {
                assert_eq!(delivered(&events, &query, From::After(resume)).await, all[n + 1..], "{query:?} after {n}");
            }
        }
    }
    let places: Vec<_> =
        delivered(&events, &Query::all(), From::Beginning).await.into_iter().map(|(_, at)| at).collect();
    let expected = [Some(10), Some(20), None, Some(30), Some(40), Some(50), Some(60), Some(70), Some(80)];
    assert_eq!(places, expected, "retired ones move the place; of two parts, only the second does");
}

#[tokio::test]
async fn a_retired_event_that_comes_live_moves_the_place() {
    let store = log();
    let mut live = formed(&store, EventForm::Current).subscribe(of_type("mailed"), From::Now);
    assert!(matches!(live.next().await, Some(Ok(FormedDelivery::CaughtUp(_)))));
    store.write(Append::new([event("gone", 1, "")]));
    let last = store.events().last().unwrap().position;
    assert_eq!(live.next().await.unwrap().unwrap(), FormedDelivery::Progress(last));
    store.write(Append::new([event("pair", 1, r#"{"first":"G","second":"H"}"#)]));
    let Some(Ok(FormedDelivery::Event { event: one, resume })) = live.next().await else { panic!("an event") };
    assert_eq!((shown(&one), resume), ("100.2 mailed 1 \"H\"".to_owned(), Some(one.recorded.position)));
    // Those that are found, and have become nothing or something else, move it too.
    for (query, event) in [(Query::all(), event("gone", 1, "")), (of_type("begun"), event("begun", 1, "\"F\""))] {
        let mut live = formed(&store, EventForm::Current).subscribe(query, From::Now);
        assert!(matches!(live.next().await, Some(Ok(FormedDelivery::CaughtUp(_)))));
        store.write(Append::new([event]));
        let last = store.events().last().unwrap().position;
        assert_eq!(live.next().await.unwrap().unwrap(), FormedDelivery::Progress(last));
    }
}

/// What the store is asked for is what a policy judges, in either form.
#[tokio::test]
async fn a_policy_judges_what_is_read() {
    let policy = |_: &Caller, access: &Access<'_>| match access {
        Access::Log(query) if query.any_of.iter().all(|item| item.types.len() == 1) => Ok(()),
        _ => Err("one type at a time".to_owned()),
    };
    let ports = ports(&log()).with_upcasters(upcasters()).on_behalf_of(Caller::new("ann"), Arc::new(policy));
    for (event_type, is_let_in) in [("deleted", true), ("mailed", false)] {
        let events = ports.in_form(EventForm::Current).unwrap();
        let page = events.read(Read::log(of_type(event_type))).await;
        assert_eq!(page.is_ok(), is_let_in, "{page:?}");
        let first = events.subscribe(of_type(event_type), From::Beginning).next().await.unwrap();
        assert_eq!(first.is_ok(), is_let_in, "{first:?}");
        assert!(ports.in_form(EventForm::Stored).unwrap().read(Read::log(of_type(event_type))).await.is_ok());
    }
}
