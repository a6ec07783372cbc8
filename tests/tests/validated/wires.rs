//! Over HTTP and gRPC, each a server on a socket and the crate's client.

use super::registry::Registry;
use core::future::pending;
use core::net::SocketAddr;
use futures::StreamExt as _;
use portolan::drivers::{Delivery, From};
use portolan::ports::{AppendError, PayloadViolation};
use portolan::prelude::*;
use portolan::values::{Append, Format, IdempotencyKey, NewEvent, Read};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(stream = "account-{account}")]
struct Open {
    account: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened {},
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("it never says no")]
struct Never;

impl Rejection for Never {}

#[derive(Default, Clone, Serialize, Deserialize)]
struct Account;

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Never;
    type Commands = (Open,);
    fn evolve(&mut self, _: &AccountEvent) {}
}

impl Decide<Open> for Account {
    fn decide(&self, _: &Open, _: &Context) -> Decision<Self> {
        Ok(vec![AccountEvent::Opened {}])
    }
}

#[derive(Debug, Clone, Copy)]
enum Wire {
    Http,
    Grpc,
}

async fn application() -> Application {
    let store = MemoryStore::builder().build();
    Application::builder(store, Runtime::tokio()).aggregate::<Account>().build().await.unwrap()
}

/// The ports that a server is made from.
async fn judged(application: &Application, schema: Value) -> Ports {
    let registry = Arc::new(Registry(vec![("account.deposited", schema), ("account.opened", json!(false))]));
    let validation = Validation::of(["account".parse().unwrap()]);
    validation.before(application.ports().with_schemas(registry)).await.unwrap()
}

async fn http(ports: Ports) -> SocketAddr {
    let server = HttpServer::new(ports).with_raw_appends(true).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(pending()));
    address
}

impl Wire {
    /// Those of a client of a server of these.
    async fn over(self, ports: Ports) -> Ports {
        match self {
            Self::Http => HttpClient::connect(format!("http://{}", http(ports).await)).await.unwrap().ports(),
            Self::Grpc => {
                let server = GrpcServer::new(ports).with_raw_appends(true);
                let server = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
                let uri = format!("http://{}", server.local_addr());
                tokio::spawn(server.serve(pending()));
                GrpcClient::connect(uri).await.unwrap().ports()
            }
        }
    }
}

fn deposit_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "amount": { "type": "integer", "minimum": 1 }, "notes": { "items": { "type": "string" } } },
        "required": ["amount"],
    })
}

fn event(stream: &str, event_type: &str, payload: impl Into<portolan::Bytes>) -> NewEvent {
    NewEvent::new(stream.parse().unwrap(), event_type.parse().unwrap(), payload)
}

fn deposit(payload: impl Into<portolan::Bytes>) -> NewEvent {
    event("account-ann", "account.deposited", payload)
}

async fn log(ports: &Ports) -> usize {
    ports.events.read(Read::log(portolan::values::Query::all().with_system())).await.unwrap().events.len()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_append_is_refused_with_all_that_is_wrong(#[values(Wire::Http, Wire::Grpc)] wire: Wire) {
    let application = application().await;
    let client = wire.over(judged(&application, deposit_schema()).await).await;
    let append = Append::new([
        deposit(r#"{"amount":1}"#),
        deposit(r#"{"amount":0,"notes":["a",1]}"#),
        event("other-1", "odd", "no JSON"),
        event("account-bob", "account.closed", "{}"),
        deposit(&b"\xff"[..]),
        deposit("{}").with_format(Format::Binary),
        event("account-bob", "account.deposited", r#"{"amount":1}"#).with_version(2),
    ]);
    let Err(AppendError::Nonconforming(wrong)) = client.events.append(append).await else { panic!() };
    let expected = [
        (1, "/amount", "it is less than the minimum of 1"),
        (1, "/notes/1", "it is not of type \"string\""),
        (3, "", "there is no version 1 of event account.closed; the list of schemas has all that are known"),
        (4, "", "it cannot be read as JSON: expected value at line 1 column 1"),
        (5, "", "its format is not JSON, and no schema can speak of it"),
        (6, "", "there is no version 2 of event account.deposited; the list of schemas has all that are known"),
    ];
    assert_eq!(wrong, expected.map(|(event, pointer, message)| PayloadViolation::new(event, pointer, message)));
    assert_eq!(log(&application.ports()).await, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_right_or_of_others_passes_and_is_seen_live(#[values(Wire::Http, Wire::Grpc)] wire: Wire) {
    let application = application().await;
    let client = wire.over(judged(&application, deposit_schema()).await).await;
    let mut live = client.subscriptions.subscribe(portolan::values::Query::all(), From::Beginning);
    for of in [
        deposit(r#"{"amount":1,"notes":[]}"#),
        event("other-1", "account.deposited", "no JSON"),
        event("$account", "account.deposited", "no JSON"),
        event("$account-1", "x", &b"\xff"[..]).with_format(Format::Binary),
    ] {
        client.events.append(Append::new([of])).await.unwrap();
    }
    assert_eq!(log(&application.ports()).await, 4);
    let mut seen = 0;
    while seen < 2 {
        if let Delivery::Event(event) = live.next().await.unwrap().unwrap() {
            assert!(!event.stream.is_system());
            seen += 1;
        }
    }
}

/// By the schema of `account.opened` nothing is one, and the command that records one is none of the judge's business.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_applications_own_appends_are_not_judged(#[values(Wire::Http, Wire::Grpc)] wire: Wire) {
    let application = application().await;
    let client = wire.over(judged(&application, deposit_schema()).await).await;
    let raw = client.events.append(Append::new([event("account-ann", "account.opened", "{}")])).await;
    assert!(matches!(raw, Err(AppendError::Nonconforming(_))), "{raw:?}");
    client.commands.send(Open { account: "ann".into() }).await.unwrap();
    assert_eq!(log(&application.ports()).await, 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_key_is_answered_after_the_schemas_have_changed(#[values(Wire::Http, Wire::Grpc)] wire: Wire) {
    let application = application().await;
    let key = || IdempotencyKey::new("raw".parse().unwrap(), "k".parse().unwrap(), [1; 32]).with_note("note");
    let append = || Append::new([deposit(r#"{"amount":1}"#)]).key(key());
    let before = wire.over(judged(&application, deposit_schema()).await).await;
    let first = before.events.append(append()).await.unwrap();
    let after = wire.over(judged(&application, json!({ "required": ["currency"] })).await).await;
    assert_eq!(after.events.append(append()).await.unwrap(), first.as_repeated());
    let without_key = after.events.append(Append::new([deposit(r#"{"amount":1}"#)])).await;
    assert!(matches!(without_key, Err(AppendError::Nonconforming(_))), "{without_key:?}");
    assert_eq!(log(&application.ports()).await, 1);
}

/// As people append: the same judgment, in words; and JSON that is far too deep for any reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_plain_http() {
    let application = application().await;
    let url = format!("http://{}/streams/account-ann", http(judged(&application, deposit_schema()).await).await);
    let post = |data: &str, key: &str| {
        let body = format!(r#"{{"events":[{{"type":"account.deposited","data":{data}}}]}}"#);
        let request = ureq::post(&url).header("Content-Type", "application/json").header("Idempotency-Key", key);
        let mut answer = request.config().http_status_as_error(false).build().send(&body).unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.body_mut().read_to_string().unwrap()).unwrap())
    };
    let (status, problem) = tokio::task::block_in_place(|| post(r#"{"amount":"1"}"#, "k"));
    assert_eq!((status, &problem["type"]), (422, &json!("urn:portolan:problem:nonconforming-append")));
    let listed = json!([{ "event": 0, "pointer": "/amount", "message": "it is not of type \"integer\"" }]);
    assert_eq!(problem["violations"], listed);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (status, problem) = tokio::task::block_in_place(|| post(&deep, "k"));
    assert_eq!(status, 422, "{problem}");
    assert!(problem["violations"][0]["message"].as_str().unwrap().contains("recursion limit"), "{problem}");
    let (status, problem) = tokio::task::block_in_place(|| post(r#"{"amount":1,"amount":2}"#, "k"));
    assert_eq!(status, 422, "{problem}");
    assert_eq!(log(&application.ports()).await, 0);

    let (status, receipt) = tokio::task::block_in_place(|| post(r#"{"amount":1}"#, "k"));
    assert_eq!((status, &receipt["repeated"]), (200, &json!(false)));
    let (status, receipt) = tokio::task::block_in_place(|| post(r#"{"amount":1}"#, "k"));
    assert_eq!((status, &receipt["repeated"]), (200, &json!(true)));
    // Under a key that is taken, what is wrong is first of all something else.
    let (status, problem) = tokio::task::block_in_place(|| post(r#"{"amount":"1"}"#, "k"));
    assert_eq!((status, &problem["type"]), (409, &json!("urn:portolan:problem:key-reused")));
}
