//! Events shown to people in both forms, over HTTP, server-sent events and GraphQL (UP-01, UP-03).

use super::events::{OLD, SEEN, UserEvent, write};
use super::readers::builder;
use super::wires::{Entry, Served, WIRES, serve};
use futures::TryStreamExt;
use portolan::domain::history::{Hop, Pieces};
use portolan::drivers::EventStoreExt;
use portolan::values::{Query, Read};
use portolan::{GraphqlClient, HttpClient, MemoryStore};
use serde_json::{Value, json};

/// After what everybody can read: an unknown type, a version from the future, one whose hop fails, and a retired one.
const ODD: [(&str, u32, &str); 4] = [
    ("user.deleted", 1, r#"{"by":"Eve"}"#),
    ("user.created", 4, r#"{"emails":["m@n"]}"#),
    ("user.address-set", 1, r#"{"address":1}"#),
    ("user.newsletter-flagged", 1, "{}"),
];

fn log() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    OLD.into_iter().chain(ODD)
}

async fn served() -> Served {
    let store = MemoryStore::builder().build();
    write(&store, log()).await;
    serve(&store).await
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What is shown in the form of now.
fn shown() -> Vec<Entry> {
    let entry = |revision, part, text: &str| {
        let (event_type, data) = text.split_once(' ').unwrap();
        let (form, why) = ("current".to_owned(), String::new());
        Entry { revision, form, part, why, event_type: event_type.to_owned(), version: 3, data: json(data) }
    };
    let places = [(0, None), (1, None), (3, None), (4, Some(1)), (4, Some(2)), (5, None), (7, None), (8, None)];
    let known = places.into_iter().zip(SEEN).map(|((revision, part), text)| entry(revision, part, text));
    let odd = [(9, "unknown-type", ODD[0]), (10, "unknown-version", ODD[1]), (11, "upcast-failed", ODD[2])];
    let odd = odd.map(|(revision, why, stored)| Entry {
        form: "stored".into(),
        why: why.into(),
        ..entry_of(revision, stored)
    });
    known.chain(odd).collect()
}

fn entry_of(revision: u64, (event_type, version, data): (&str, u32, &str)) -> Entry {
    let (form, why) = (String::new(), String::new());
    Entry { revision, form, part: None, why, event_type: event_type.into(), version: version.into(), data: json(data) }
}

#[tokio::test]
async fn every_wire_shows_what_events_have_become_and_which_are_as_they_are_stored() {
    let served = served().await;
    for wire in WIRES {
        assert_eq!(wire.shown(&served).await, shown(), "{wire:?}");
    }
}

#[tokio::test]
async fn the_stored_form_is_the_one_that_nobody_has_to_ask_for() {
    let served = served().await;
    let stored: Vec<_> = (0..).zip(log()).map(|(revision, stored)| entry_of(revision, stored)).collect();
    for path in ["/streams/user-1", "/events"] {
        let unasked = served.get(path, "").await.json;
        assert_eq!(unasked, served.get(&format!("{path}?form=stored"), "").await.json);
        assert_eq!(served.pages(&format!("{path}?limit=2")).await.0, stored);
        let frames = served.sse(path, None).await.until_caught_up().await;
        assert!(frames.iter().all(|(id, _)| id.is_some()), "{frames:?}");
        assert!(frames.into_iter().map(|(_, entry)| entry.unwrap()).eq(stored.iter().cloned()));
    }
    let told: Vec<_> = stored.iter().map(|entry| Entry { form: "stored".into(), ..entry.clone() }).collect();
    for arguments in ["first: 99", "first: 99, form: STORED", "first: 99, form: null"] {
        let (edges, _) = served.connection("events", arguments).await;
        assert!(edges.into_iter().map(|(_, entry)| entry).eq(told.iter().cloned()), "{arguments}");
    }
}

/// Whenever the connection is cut, after a frame or between the parts of one event, whoever keeps what he has seen up to the
/// last id has all in the end, and nothing twice.
#[tokio::test]
async fn live_events_cut_anywhere_resume_with_the_rest() {
    let served = served().await;
    for (path, count) in [
        ("/streams/user-1?form=current", shown().len()),
        ("/events?form=current", shown().len()),
        ("/events?type=user.email-updated&form=current", 3),
        ("/events?type=user.address-set&form=current", 3),
    ] {
        let all = served.sse(path, None).await.until_caught_up().await;
        let seen: Vec<_> = all.iter().filter(|(_, entry)| entry.is_some()).cloned().collect();
        assert_eq!(seen.len(), count, "{path}: {seen:?}");
        for cut in 0..=seen.len() {
            let kept = seen[..cut].iter().rposition(|(id, _)| id.is_some()).map_or(0, |last| last + 1);
            let last_id = kept.checked_sub(1).and_then(|last| seen[last].0.as_deref());
            let rest = served.sse(path, last_id).await.until_caught_up().await;
            let rest: Vec<_> = rest.into_iter().filter(|(_, entry)| entry.is_some()).collect();
            assert_eq!(rest, seen[kept..], "{path} cut after {cut}");
        }
    }
    let seen = served.sse("/events?form=current", None).await.until_caught_up().await;
    let without: Vec<_> = seen.iter().filter(|(id, _)| id.is_none()).flat_map(|(_, entry)| entry).collect();
    assert!(matches!(&without[..], [entry] if (entry.revision, entry.part) == (4, Some(1))), "{without:?}");
}

/// Big ones, so that the server waits for whoever reads while there is more to tell of an event.
fn burst(_: Value) -> Pieces {
    let email = "x".repeat(200_000);
    (0..20).fold(Pieces::new(), |pieces, _| pieces.event("user.email-updated", 3, &json!({ "email": email })))
}

#[tokio::test]
async fn the_end_of_the_server_does_not_come_between_parts() {
    let store = MemoryStore::builder().build();
    write(&store, [("user.burst", 1, "{}"); 10]).await;
    let hop = Hop::from("user.burst", 1).split(burst).to_any([("user.email-updated", 3)]);
    let application = builder(&store).events::<UserEvent>().upcaster(hop).build().await.unwrap();
    let mut served = Served::over(application.ports()).await;
    let mut live = served.sse("/events?form=current", None).await;
    live.frame().await.unwrap();
    // It has sent what the buffers between the two hold.
    tokio::time::sleep(core::time::Duration::from_millis(300)).await;
    served.stop.take();
    let (mut last, mut count) = (None, 1);
    while let Some(frame) = live.frame().await {
        (last, count) = (frame, count + 1);
    }
    assert!(count < 200, "it was told to end before it had told everything");
    let Some((Some(_), Some(entry))) = last else { panic!("it ended without a place to resume from, after {count}") };
    assert_eq!((entry.part, count % 20), (Some(20), 0));
}

#[tokio::test]
async fn a_retired_event_that_comes_live_moves_the_place_to_resume_from() {
    let served = served().await;
    for path in ["/streams/user-1?form=current", "/events?type=user.moved&form=current"] {
        let mut live = served.sse(path, None).await;
        while live.frame().await.unwrap().is_some() {}
        let event = if path.contains("moved") { OLD[4] } else { OLD[2] };
        let position = write(&*served.ports.events, [event]).await;
        assert_eq!(live.frame().await, Some(Some((Some(position.to_string()), None))), "{path}");
    }
}

#[tokio::test]
async fn types_are_those_of_now() {
    let served = served().await;
    let all = shown();
    let of = |wanted: &[usize]| wanted.iter().map(|n| all[*n].clone()).collect::<Vec<_>>();
    for (event_type, expected) in [
        ("user.created", of(&[0, 5, 7, 9])),
        // One that cannot be read might be one of these.
        ("user.address-set", of(&[2, 3, 10])),
        ("user.email-updated", of(&[1, 4, 6])),
        ("user.mail-changed", vec![]),
        ("user.moved", vec![]),
        ("user.newsletter-flagged", vec![]),
        ("user.deleted", of(&[8])),
    ] {
        let path = format!("/events?type={event_type}&form=current");
        for limit in [1, 2, 99] {
            assert_eq!(served.pages(&format!("{path}&limit={limit}")).await.0, expected, "{event_type} by {limit}");
        }
        let live = served.sse(&path, None).await.until_caught_up().await;
        assert_eq!(live.into_iter().filter_map(|(_, entry)| entry).collect::<Vec<_>>(), expected, "{event_type}");
        let any = format!("any: {{ types: [\"{event_type}\"] }}, form: CURRENT");
        let (edges, _) = served.connection("events", &any).await;
        assert_eq!(edges.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), expected, "{event_type}");
        let live = served.subscription("events", &any).await;
        assert_eq!(live.into_iter().filter_map(|(_, entry)| entry).collect::<Vec<_>>(), expected, "{event_type}");
    }
    let several = "/events?type=user.email-updated&type=user.deleted&category=user&form=current";
    assert_eq!(served.pages(several).await.0, of(&[1, 4, 6, 8]));
    // By what it was stored as, in the stored form alone.
    assert_eq!(served.pages("/events?type=user.moved").await.0, [entry_of(4, OLD[4])]);
}

#[tokio::test]
async fn pages_are_counted_by_stored_events() {
    let served = served().await;
    let (entries, pages) = served.pages("/streams/user-1?form=current&limit=1").await;
    assert_eq!((entries, pages), (shown(), log().count()));
    let third = served.get("/streams/user-1?form=current&limit=1&after=1", "").await.json;
    assert_eq!((&third["events"], &third["at_frontier"]), (&json!([]), &json!(false)), "retired, and more to come");
    let fifth = served.get("/streams/user-1?form=current&limit=1&after=3", "").await.json;
    let parts = fifth["events"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    for same in ["id", "position", "revision", "recorded_at", "tags", "metadata", "stream"] {
        assert_eq!(parts[0][same], parts[1][same], "{same}");
    }
    let failed = served.get("/streams/user-1?form=current&limit=1&after=10", "").await.json;
    let message = failed["events"][0]["not_current"]["message"].as_str().unwrap();
    assert!(message.starts_with("user.address-set version 1 cannot be upcast: address: invalid type"), "{message}");
}

#[tokio::test]
async fn a_page_in_the_current_form_has_no_entity_tag() {
    let served = served().await;
    let stored = served.get("/streams/user-1", "").await;
    assert!(stored.head.contains("etag: \"12\""), "{stored:?}");
    let known = "If-None-Match: \"12\"\r\n";
    assert_eq!(served.get("/streams/user-1", known).await.status, 304);
    // A new version of the application may show the same revision otherwise.
    let current = served.get("/streams/user-1?form=current", known).await;
    assert_eq!(current.status, 200);
    assert!(!current.head.contains("etag"), "{current:?}");
}

#[tokio::test]
async fn every_cursor_of_graphql_begins_right_there() {
    let served = served().await;
    for (field, which) in [("events", "form: CURRENT"), ("stream", "id: \"user-1\", form: CURRENT")] {
        let (edges, info) = served.connection(field, which).await;
        let entries: Vec<_> = edges.iter().map(|(_, entry)| entry.clone()).collect();
        assert_eq!(entries, shown());
        assert_eq!(info["startCursor"], edges[0].0);
        for (n, (cursor, entry)) in edges.iter().enumerate() {
            let (rest, info) = served.connection(field, &format!("{which}, after: \"{cursor}\"")).await;
            let rest: Vec<_> = rest.into_iter().map(|(_, entry)| entry).collect();
            assert_eq!(rest, entries[n + 1..], "{field} after {cursor}");
            assert_eq!(info["hasPreviousPage"], true);
            let (before, info) = served.connection(field, &format!("{which}, last: 99, before: \"{cursor}\"")).await;
            assert_eq!(
                before.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(),
                entries[..n],
                "{field} before {cursor}"
            );
            if let Some((last, _)) = before.last() {
                assert_eq!(info["endCursor"], *last);
            }
            // It is one in the stored form too, which has no parts.
            let (stored, _) =
                served.connection(field, &format!("{}, after: \"{cursor}\"", which.replace("CURRENT", "STORED"))).await;
            assert_eq!(
                stored.first().map(|(_, next)| next.revision),
                Some(entry.revision + 1),
                "{field} after {cursor}"
            );
        }
        // A page that begins within an event leads back to its first part.
        let (second, info) = served.connection(field, &format!("{which}, first: 1, after: \"{}\"", edges[3].0)).await;
        assert_eq!(second.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(), [entries[4].clone()]);
        let (back, _) = served.connection(field, &format!("{which}, last: 1, before: {}", info["startCursor"])).await;
        assert_eq!(back.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(), [entries[3].clone()]);
    }
}

#[tokio::test]
async fn a_subscription_of_graphql_resumes_at_every_place() {
    let served = served().await;
    for which in ["form: CURRENT", "any: { types: [\"user.email-updated\"] }, form: CURRENT"] {
        let all = served.subscription("events", which).await;
        let seen: Vec<_> = all.iter().filter(|(_, entry)| entry.is_some()).cloned().collect();
        for (n, (position, _)) in seen.iter().enumerate() {
            let Some(position) = position else {
                assert_eq!(seen[n].1.as_ref().unwrap().part, Some(1));
                continue;
            };
            let rest = served.subscription("events", &format!("{which}, after: \"{position}\"")).await;
            let rest: Vec<_> = rest.into_iter().filter(|(_, entry)| entry.is_some()).collect();
            assert_eq!(rest, seen[n + 1..], "{which} after {n}");
        }
    }
    let all = served.subscription("stream", "id: \"user-1\", form: CURRENT").await;
    assert_eq!(all.iter().filter(|(position, _)| position.is_none()).count(), 1, "{all:?}");
}

#[tokio::test]
async fn at_the_end_of_a_wire_the_current_form_is_refused_and_nothing_is_upcast() {
    let near = served().await;
    let client = HttpClient::connect(format!("http://{}", near.address)).await.unwrap();
    let of_graphql = GraphqlClient::connect(format!("http://{}/graphql", near.address)).await.unwrap();
    let stored: Vec<_> = near.ports.events.read_all(Read::log(Query::all())).try_collect().await.unwrap();
    for events in [client.ports().events, of_graphql.ports().events] {
        let over: Vec<_> = events.read_all(Read::log(Query::all())).try_collect().await.unwrap();
        assert_eq!(over, stored, "a client is the port, which carries stored events");
    }
    let far = Served::over(client.ports()).await;
    for path in ["/streams/user-1", "/events"] {
        for headers in ["", "Accept: text/event-stream\r\n"] {
            let refused = far.get(&format!("{path}?form=current"), headers).await;
            assert_eq!((refused.status, &refused.json["type"]), (501, &json!("urn:portolan:problem:no-current-form")));
            assert!(refused.json["detail"].as_str().unwrap().contains("form=stored"), "{refused:?}");
        }
        assert_eq!(far.pages(path).await.0.len(), log().count());
        let wrong = near.get(&format!("{path}?form=now"), "").await;
        assert_eq!((wrong.status, &wrong.json["violations"][0]["path"]), (422, &json!("form")));
    }
    let refused = far.operation("{ events(form: CURRENT) { frontier } }").await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "no-current-form");
    let document = near.get("/openapi.json", "").await.json;
    for path in ["/streams/{id}", "/events"] {
        let operation = &document["paths"][path]["get"];
        let form = operation["parameters"].as_array().unwrap().iter().find(|parameter| parameter["name"] == "form");
        assert_eq!(form.unwrap()["schema"], json!({ "enum": ["stored", "current"], "default": "stored" }));
        let refusals = operation["responses"]["501"].to_string();
        assert!(refusals.contains("problem.no-current-form"), "{refusals}");
    }
}

#[tokio::test]
async fn the_schema_of_graphql_says_which_form_is_the_usual_one() {
    let served = served().await;
    for root in ["Query", "Subscription"] {
        let asked = format!("{{ __type(name: \"{root}\") {{ fields {{ name args {{ name defaultValue }} }} }} }}");
        let answer = served.operation(&asked).await;
        for field in ["events", "stream"] {
            let fields = answer["data"]["__type"]["fields"].as_array().unwrap();
            let args = &fields.iter().find(|other| other["name"] == field).unwrap()["args"];
            let form = args.as_array().unwrap().iter().find(|argument| argument["name"] == "form").unwrap();
            assert_eq!(form["defaultValue"], "STORED", "{root}.{field}");
        }
    }
}
