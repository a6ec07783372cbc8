//! Subscriptions over `graphql-transport-ws`.

use super::shelf::cells;
use super::support::{House, house, house_of};
use core::net::SocketAddr;
use core::time::Duration;
use futures::{SinkExt as _, StreamExt as _};
use portolan::ports::EventStore as _;
use portolan::values::Read;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// What comes next: a message, or the code that the socket is closed with.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Message(Value),
    Closed(Option<u16>),
}

impl Socket {
    pub(crate) async fn bare(address: SocketAddr, path: &str) -> Result<Self, Error> {
        Self::with_headers(address, path, &[]).await
    }

    pub(crate) async fn with_headers(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let socket = TcpStream::connect(address).await.unwrap();
        Ok(Self(client_async(request, socket).await?.0))
    }

    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let mut socket = Self::bare(address, path).await.unwrap();
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// One that has shown this and been let in.
    pub(crate) async fn shown(address: SocketAddr, authorization: &str) -> Self {
        let mut socket = Self::bare(address, "/graphql").await.unwrap();
        socket.send(json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    pub(crate) async fn next(&mut self) -> Next {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something has to come");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] != "ping" {
                        return Next::Message(message);
                    }
                }
                Some(Ok(Message::Close(frame))) => return Next::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Next::Closed(None),
            }
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        match self.next().await {
            Next::Message(message) => message,
            closed => panic!("{closed:?}"),
        }
    }

    /// The value of this field in what comes next for this operation.
    pub(crate) async fn field(&mut self, id: &str, field: &str) -> Value {
        let mut message = self.message().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert_eq!(message["payload"].get("errors"), None, "{message}");
        message["payload"]["data"][field].take()
    }
}

async fn open(house: &House) -> Socket {
    Socket::open(house.address, "/graphql").await
}

const EVENTS: &str = "subscription { events { kind position event { revision data } } }";

#[tokio::test]
async fn events_come_each_once_and_resume_after_a_position() {
    let house = house().await;
    house.append("thing-1", &["0", "1"]).await;
    let mut socket = open(&house).await;
    socket.subscribe("a", EVENTS).await;
    let mut last = Value::Null;
    for n in 0..2 {
        let delivery = socket.field("a", "events").await;
        assert_eq!((&delivery["kind"], &delivery["event"]["data"]), (&json!("EVENT"), &json!(n)));
        last = delivery["position"].clone();
    }
    house.append("thing-1", &["2"]).await;
    assert_eq!(socket.field("a", "events").await["event"], json!({ "revision": "2", "data": 2 }));
    drop(socket);

    house.append("thing-1", &["3"]).await;
    let mut socket = open(&house).await;
    let resumed = format!("subscription {{ stream(id: \"thing-1\", after: {last}) {{ event {{ data }} }} }}");
    socket.subscribe("b", &resumed).await;
    for n in 2..4 {
        assert_eq!(socket.field("b", "stream").await["event"]["data"], n);
    }
}

#[tokio::test]
async fn fields_come_in_the_order_they_were_asked_for() {
    let house = house().await;
    house.append("thing-1", &["0"]).await;
    let mut socket = open(&house).await;
    socket.subscribe("a", "subscription { events { position kind event { version data id } } }").await;
    let Some(Ok(Message::Text(text))) = socket.0.next().await else { panic!("something has to come") };
    let places = ["position", "kind", "event", "version", "data\":", "id\":\"0"].map(|name| text.rfind(name));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    let got = house.operation("{ store { lacks identity } commands { name field } }", json!({})).await;
    let text = String::from_utf8(got.body).unwrap();
    let places = ["store", "lacks", "identity", "commands"].map(|name| text.find(name));
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test]
async fn the_state_is_told_to_who_wants_it() {
    let house = house().await;
    house.append("thing-1", &["0"]).await;
    let mut socket = open(&house).await;
    socket
        .subscribe("a", "subscription { stream(id: \"thing-2\", states: true) { kind position event { id } } }")
        .await;
    assert_eq!(socket.field("a", "stream").await["kind"], "CAUGHT_UP");
    house.append("thing-1", &["1"]).await;
    let progress = socket.field("a", "stream").await;
    assert_eq!((&progress["kind"], &progress["event"]), (&json!("PROGRESS"), &Value::Null));
    house.append("thing-2", &["2"]).await;
    assert_eq!(socket.field("a", "stream").await["kind"], "EVENT");

    socket.subscribe("b", "subscription { events(fromNow: true) { event { data } } }").await;
    // The subscription has begun once the server answers what was asked after it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.append("thing-3", &["3"]).await;
    loop {
        let message = socket.message().await;
        if message["id"] == "b" {
            assert_eq!(message["payload"]["data"]["events"]["event"]["data"], 3);
            break;
        }
    }
}

#[tokio::test]
async fn a_row_comes_at_once_and_whenever_it_has_changed() {
    let house = house().await;
    let mut socket = open(&house).await;
    socket.subscribe("a", "subscription { balances(key: \"new\") { key balance } }").await;
    assert_eq!(socket.field("a", "balances").await, Value::Null);
    house.shelf.rows.lock().unwrap().insert("new".into(), cells("Ann", 7));
    house.append("thing-1", &["0"]).await;
    assert_eq!(socket.field("a", "balances").await, json!({ "key": "new", "balance": "7" }));
    // What changes nothing is not told.
    for n in ["1", "2"] {
        house.append("thing-1", &[n]).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    house.shelf.rows.lock().unwrap().insert("new".into(), cells("Ann", 8));
    house.append("thing-1", &["3"]).await;
    assert_eq!(socket.field("a", "balances").await["balance"], "8");
    house.shelf.rows.lock().unwrap().remove("new");
    house.append("thing-1", &["4"]).await;
    assert_eq!(socket.field("a", "balances").await, Value::Null);
}

#[tokio::test]
async fn queries_and_mutations_go_over_the_socket_too() {
    let house = house().await;
    let mut socket = open(&house).await;
    let payload = json!({
        "query": "mutation($input: JSON!) { closeAccount(input: $input) { __typename } }",
        "variables": { "input": { "account_id": "ann" } }, "operationName": null, "extensions": { "timeout": 2 },
    });
    socket.send(json!({ "type": "subscribe", "id": "a", "payload": payload })).await;
    assert_eq!(socket.field("a", "closeAccount").await["__typename"], "Receipt");
    assert_eq!(socket.message().await, json!({ "type": "complete", "id": "a" }));
    let (command, body) = house.commands.last();
    assert_eq!((command.within, body), (Some(Duration::from_secs(2)), json!({ "account_id": "ann" })));
    // The id is free again.
    socket.subscribe("a", "{ store { lacks } }").await;
    assert!(socket.field("a", "store").await["lacks"].is_array());
}

#[tokio::test]
async fn what_is_wrong_with_an_operation_is_an_error_of_that_operation() {
    let house = house_of(|config| {
        config.socket_operations = 1;
        config.max_complexity = 1_000;
    })
    .await;
    let mut socket = open(&house).await;
    for (query, code) in [
        ("subscription { colour }", "invalid-document"),
        ("subscription {", "malformed"),
        ("subscription { events { kind } stream(id: \"a\") { kind } }", "invalid-document"),
        ("subscription { events(any: [{ streams: [\"\"] }]) { kind } }", "invalid-request"),
        ("subscription { events(after: \"999999\") { kind } }", "ahead-of-log"),
        ("subscription { events(after: \"1\", fromNow: true) { kind } }", "invalid-request"),
        ("{ events(first: 1000) { edges { cursor } } }", "too-complex"),
    ] {
        socket.subscribe("a", query).await;
        let message = socket.message().await;
        let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
        assert_eq!(errors[0]["extensions"]["code"], code, "{message}");
        if message["type"] == "next" {
            assert_eq!(socket.message().await["type"], "complete");
        }
    }
    socket.subscribe("a", EVENTS).await;
    socket.subscribe("b", EVENTS).await;
    let message = socket.message().await;
    assert_eq!((&message["id"], &message["payload"][0]["extensions"]["code"]), (&json!("b"), &json!("busy")));
}

#[tokio::test]
async fn what_is_wrong_with_the_protocol_closes_the_socket() {
    let house = house_of(|config| config.socket_timeout = Duration::from_millis(300)).await;
    for (messages, code) in [
        (vec![json!({ "type": "subscribe", "id": "a", "payload": { "query": EVENTS } })], 4401),
        (vec![json!({ "type": "connection_init" }), json!({ "type": "connection_init" })], 4429),
        (vec![json!({ "type": "colour" })], 4400),
        (vec![json!("text")], 4400),
        (vec![json!(["ping"])], 4400),
        (vec![json!(["connection_init"])], 4400),
        (
            vec![json!({ "type": "connection_init" }), json!({ "type": "subscribe", "id": "a", "payload": [EVENTS] })],
            4400,
        ),
        (vec![json!({ "type": "connection_init" }), json!({ "type": "subscribe", "id": 1, "payload": {} })], 4400),
        (
            vec![
                json!({ "type": "connection_init" }),
                json!({ "type": "subscribe", "id": "a", "payload": { "query": EVENTS } }),
                json!({ "type": "subscribe", "id": "a", "payload": { "query": EVENTS } }),
            ],
            4409,
        ),
        (vec![], 4408),
    ] {
        let mut socket = Socket::bare(house.address, "/graphql").await.unwrap();
        let said = format!("{messages:?}");
        for message in messages {
            socket.send(message).await;
        }
        let closed = loop {
            match socket.next().await {
                Next::Message(message) => assert_eq!(message["type"], "connection_ack", "{said}"),
                Next::Closed(code) => break code,
            }
        };
        assert_eq!(closed, Some(code), "{said}");
    }
    // Binary messages, and one that is too large.
    let mut socket = open(&house).await;
    socket.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(socket.next().await, Next::Closed(Some(4400)));
    let house = house_of(|config| config.body_bytes = 1_000).await;
    let mut socket = open(&house).await;
    let _ = socket.0.send(Message::text("x".repeat(100_000))).await;
    assert!(matches!(socket.next().await, Next::Closed(None | Some(1009))));
    house.data("{ store { lacks } }", json!({})).await;
}

#[tokio::test]
async fn a_socket_names_the_protocol_and_finds_room() {
    let house = house_of(|config| config.max_sockets = 1).await;
    let request = format!("ws://{}/graphql", house.address).into_client_request().unwrap();
    let refused = client_async(request, TcpStream::connect(house.address).await.unwrap()).await;
    assert!(matches!(&refused, Err(Error::Http(answer)) if answer.status() == 400), "{refused:?}");
    let socket = open(&house).await;
    let refused = Socket::bare(house.address, "/graphql").await.err();
    assert!(matches!(&refused, Some(Error::Http(answer)) if answer.status() == 503), "{refused:?}");
    drop(socket);
    for _ in 0..100 {
        if Socket::bare(house.address, "/graphql").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the room of a socket that is gone was not given back");
}

#[tokio::test]
async fn an_operation_that_the_client_ends_says_no_more() {
    let house = house().await;
    let mut socket = open(&house).await;
    socket.subscribe("a", EVENTS).await;
    house.append("thing-1", &["0"]).await;
    socket.field("a", "events").await;
    socket.send(json!({ "type": "complete", "id": "a" })).await;
    socket.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    house.append("thing-1", &["1"]).await;
    // The id is free, and its first subscription is gone.
    socket.subscribe("a", "subscription { events { event { data } } }").await;
    for n in 0..2 {
        assert_eq!(socket.field("a", "events").await, json!({ "event": { "data": n } }));
    }
}

#[tokio::test]
async fn a_slow_reader_holds_up_itself_alone() {
    let house = house_of(|config| config.socket_timeout = Duration::from_secs(1)).await;
    let mut slow = open(&house).await;
    slow.subscribe("a", EVENTS).await;
    let mut quick = open(&house).await;
    quick.subscribe("b", "subscription { events { event { revision } } }").await;
    // More than the buffers between the two hold.
    let payload = format!("\"{}\"", "x".repeat(200_000));
    for n in 0..100 {
        house.append("thing-1", &[&payload]).await;
        assert_eq!(quick.field("b", "events").await["event"]["revision"], n.to_string());
    }
    // It takes nothing, and is cut off; what was on the way to it still comes, and it is not all.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut came = 0;
    while let Next::Message(_) = slow.next().await {
        came += 1;
    }
    assert!(came < 100, "{came}");
    house.data("{ store { lacks } }", json!({})).await;
}

#[tokio::test]
async fn many_idle_subscriptions_share_one_reader() {
    let house = house().await;
    let mut sockets = Vec::new();
    for n in 0..10 {
        let mut socket = open(&house).await;
        for id in 0..50 {
            let query = if n % 2 == 0 {
                "subscription { events(fromNow: true) { position } }".to_owned()
            } else {
                format!("subscription {{ balances(key: \"acc-{}\") {{ balance }} }}", id % 5)
            };
            socket.subscribe(&id.to_string(), &query).await;
        }
        sockets.push(socket);
    }
    for socket in sockets.iter_mut().skip(1).step_by(2) {
        for _ in 0..50 {
            assert_eq!(socket.message().await["type"], "next");
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.append("thing-1", &["0"]).await;
    for socket in sockets.iter_mut().step_by(2) {
        for _ in 0..50 {
            assert_eq!(socket.message().await["type"], "next");
        }
    }
    assert_eq!(house.store.read(Read::stream("thing-1".parse().unwrap())).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn shutting_down_ends_subscriptions_and_says_so() {
    let house = house().await;
    let mut socket = open(&house).await;
    socket.subscribe("a", EVENTS).await;
    house.append("thing-1", &["0"]).await;
    socket.field("a", "events").await;
    house.stop.send(()).unwrap();
    loop {
        match socket.next().await {
            Next::Message(message) => assert_eq!(message["type"], "complete"),
            Next::Closed(code) => {
                assert_eq!(code, Some(1001));
                break;
            }
        }
    }
    tokio::time::timeout(PATIENCE, house.served).await.unwrap().unwrap();
}
