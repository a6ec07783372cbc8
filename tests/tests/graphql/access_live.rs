//! Who is let in over WebSockets, and for how long.

use super::access::{ANN, EVE, Says, admission, guarded, is_untouched};
use super::live::{Next, Socket};
use super::support::{House, house_with};
use core::time::Duration;
use portolan::application::Admission;
use portolan::ports::{AuthenticationError, Caller, Source};
use portolan::values::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio_tungstenite::tungstenite::Error;

/// The moment so many milliseconds from now.
pub(crate) fn soon(milliseconds: u64) -> Timestamp {
    let at = SystemTime::now() + Duration::from_millis(milliseconds);
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(at.as_micros().try_into().unwrap())
}

const EVENTS: &str = "subscription { events { event { data } } }";

/// What a socket gets for `connection_init` with this payload.
async fn init(house: &House, headers: &[(&'static str, &str)], payload: Option<Value>) -> Next {
    let mut socket = Socket::with_headers(house.address, "/graphql", headers).await.unwrap();
    let mut message = json!({ "type": "connection_init" });
    if let Some(payload) = payload {
        message["payload"] = payload;
    }
    socket.send(message).await;
    socket.next().await
}

#[tokio::test]
async fn a_socket_shows_who_it_is_once() {
    let house = guarded().await;
    let ack = || Next::Message(json!({ "type": "connection_ack" }));
    let closed = |code| Next::Closed(Some(code));
    let header = [("authorization", ANN)];
    for (headers, payload, expected) in [
        (&[][..], Some(json!({ "authorization": ANN })), ack()),
        (&[], Some(json!({ "Authorization": ANN, "more": 1 })), ack()),
        (&header, None, ack()),
        (&header, Some(json!({ "more": 1 })), ack()),
        (&header, Some(Value::Null), ack()),
        (&[], None, closed(4401)),
        (&[], Some(json!({})), closed(4401)),
        (&[], Some(json!({ "authorization": null })), closed(4401)),
        (&[], Some(json!({ "authorization": "" })), closed(4403)),
        (&[], Some(json!({ "authorization": "Bearer forged-by-somebody" })), closed(4403)),
        (&[], Some(json!({ "authorization": format!("{ANN}\u{e9}") })), closed(4403)),
        (&[], Some(json!({ "authorization": format!("{ANN}\n") })), closed(4403)),
        (&[], Some(json!({ "authorization": [ANN] })), closed(4403)),
        (&[], Some(json!({ "authorization": ANN.repeat(10_000) })), closed(4403)),
        (&[], Some(json!({ "authorization": ANN, "Authorization": ANN })), closed(4403)),
        // Even the same: which one counts is not for the server to choose.
        (&header, Some(json!({ "authorization": ANN })), closed(4403)),
        (&[], Some(json!([ANN])), closed(4400)),
        (&[], Some(json!(ANN)), closed(4400)),
    ] {
        assert_eq!(init(&house, headers, payload.clone()).await, expected, "{headers:?} {payload:?}");
    }
    // Before it has, nothing is carried out.
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let mut socket = Socket::bare(house.address, "/graphql").await.unwrap();
    socket.subscribe("a", "mutation { tick { __typename } }").await;
    assert_eq!(socket.next().await, closed(4401));
    let mut socket = Socket::bare(house.address, "/graphql").await.unwrap();
    socket.send(json!({ "type": "connection_init" })).await;
    socket.subscribe("a", "mutation { tick { __typename } }").await;
    assert_eq!(socket.next().await, closed(4401));
    assert!(is_untouched(&house, asked));
}

#[tokio::test]
async fn a_header_that_is_not_good_gets_no_socket() {
    let house = guarded().await;
    for headers in [
        &[("authorization", "Bearer forged-by-somebody")][..],
        &[("authorization", "")],
        &[("authorization", ANN), ("authorization", ANN)],
    ] {
        let refused = Socket::with_headers(house.address, "/graphql", headers).await.err();
        assert!(matches!(&refused, Some(Error::Http(answer)) if answer.status() == 401), "{refused:?}");
    }
}

#[tokio::test]
async fn what_an_authenticator_says_is_told_as_the_protocol_has_it() {
    for (said, status, code) in [
        (AuthenticationError::Denied("ann is locked".into()), 403, 4403),
        (AuthenticationError::Busy(Source::new("no keys")), 503, 1013),
        (AuthenticationError::Missing, 401, 4401),
    ] {
        let house = house_with(|server| server.with_admission(Admission::by(Says::new(Err(said))))).await;
        assert_eq!(init(&house, &[], None).await, Next::Closed(Some(code)));
        let refused = Socket::with_headers(house.address, "/graphql", &[("authorization", ANN)]).await.err();
        assert!(matches!(&refused, Some(Error::Http(answer)) if answer.status() == status), "{refused:?}");
    }
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_ends_at_once() {
    let house = guarded().await;
    house.append("thing-1", &["0"]).await;
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let mut socket = Socket::shown(house.address, EVE).await;
    for query in [
        EVENTS,
        "subscription { stream(id: \"thing-1\") { event { data } } }",
        "subscription { balances(key: \"acc-1\") { balance } }",
    ] {
        socket.subscribe("a", query).await;
        let message = socket.message().await;
        let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
        assert_eq!(errors[0]["extensions"]["code"], "denied", "{message}");
        if message["type"] == "next" {
            assert_eq!(socket.message().await["type"], "complete");
        }
    }
    socket.subscribe("a", "mutation { tick { __typename } }").await;
    assert_eq!(socket.field("a", "tick").await["__typename"], "Denied");
    assert_eq!(socket.message().await["type"], "complete");
    assert!(is_untouched(&house, asked));

    let mut socket = Socket::shown(house.address, ANN).await;
    socket.subscribe("a", EVENTS).await;
    assert_eq!(socket.field("a", "events").await["event"]["data"], 0);
    socket.subscribe("b", "mutation { tick(options: { metadata: \"{}\" }) { __typename } }").await;
    socket.subscribe("b2", "mutation { tick { __typename } }").await;
    while socket.message().await["id"] != "b2" {}
    let metadata = house.commands.last().0.metadata;
    assert_eq!((metadata.actor.as_deref(), metadata.tenant.as_deref()), (Some("ann"), Some("north")));
}

#[tokio::test]
async fn a_subscription_ends_with_its_credentials() {
    let says = Says::new(Ok(Caller::new("ann").until(soon(1_500))));
    let house = house_with(|server| server.with_admission(Admission::by(says.clone()))).await;
    let mut socket = Socket::shown(house.address, ANN).await;
    house.append("thing-1", &["0"]).await;
    socket.subscribe("live", EVENTS).await;
    assert_eq!(socket.field("live", "events").await["event"]["data"], 0);
    socket.subscribe("row", "subscription { balances(key: \"acc-1\") { balance } }").await;
    assert_eq!(socket.field("row", "balances").await["balance"], "-100");
    // What was asked before is answered.
    socket.subscribe("asked", "{ waitFor(projection: \"balances\", position: 998, wait: 3) }").await;

    let mut ended = Vec::new();
    for _ in 0..2 {
        let message = socket.message().await;
        assert_eq!(message["type"], "error", "{message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], "unauthenticated");
        assert!(message["payload"][0]["message"].as_str().is_some_and(|text| text.contains("expired")));
        ended.push(message["id"].as_str().unwrap().to_owned());
    }
    ended.sort_unstable();
    assert_eq!(ended, ["live", "row"]);
    house.append("thing-1", &["1"]).await;
    for query in [EVENTS, "mutation { tick { __typename } }"] {
        socket.subscribe("late", query).await;
        let message = socket.message().await;
        assert_eq!(message["payload"][0]["extensions"]["code"], "unauthenticated", "{message}");
    }
    assert_eq!(socket.field("asked", "waitFor").await, false);
    assert_eq!(socket.message().await, json!({ "type": "complete", "id": "asked" }));
    assert_eq!(socket.next().await, Next::Closed(Some(4403)));
    assert!(house.commands.arrived.lock().unwrap().is_empty());

    // With new ones it goes on.
    *says.0.lock().unwrap() = Ok(Caller::new("ann").until(soon(60_000)));
    let mut socket = Socket::shown(house.address, ANN).await;
    socket.subscribe("live", "subscription { events(after: \"1\") { event { data } } }").await;
    assert_eq!(socket.field("live", "events").await["event"]["data"], 1);
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_off_from_what_comes_later() {
    let says = Says::new(Ok(Caller::new("ann").until(soon(1_000))));
    let house = house_with(|server| server.with_admission(Admission::by(says))).await;
    let mut socket = Socket::shown(house.address, ANN).await;
    socket.subscribe("live", EVENTS).await;
    // More than the buffers between the two hold.
    let payload = format!("\"{}\"", "x".repeat(200_000));
    for _ in 0..100 {
        house.append("thing-1", &[&payload]).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut came = 0;
    let last = loop {
        match socket.message().await {
            next if next["type"] == "next" => came += 1,
            last => break last,
        }
    };
    assert_eq!(last["payload"][0]["extensions"]["code"], "unauthenticated");
    assert!(came < 100, "{came}");
    assert_eq!(socket.next().await, Next::Closed(Some(4403)));
}

#[tokio::test]
async fn callers_who_watch_one_row_get_their_own() {
    let house = house_with(|server| server.with_admission(admission())).await;
    let mut sockets = Vec::new();
    for n in 0..20 {
        sockets.push(Socket::shown(house.address, if n % 2 == 0 { ANN } else { EVE }).await);
    }
    for socket in &mut sockets {
        socket.subscribe("a", "subscription { balances(key: \"acc-1\") { balance } }").await;
    }
    for (n, socket) in sockets.iter_mut().enumerate() {
        let message = socket.message().await;
        let payload = &message["payload"];
        if n % 2 == 0 {
            assert_eq!(payload, &json!({ "data": { "balances": { "balance": "-100" } } }));
        } else {
            assert_eq!(payload["errors"][0]["extensions"]["code"], "denied", "{message}");
        }
    }
}
