//! One story, told in process, over HTTP, over GraphQL by a client that is the ports, and by GraphQL's typed fields: it
//! comes out alike.

use super::support::send;
use core::future::pending;
use core::net::SocketAddr;
use portolan::ports::{Body, EventStore as _};
use portolan::prelude::*;
use portolan::values::{Format, Read, Recorded};
use portolan_graphql::{GraphqlClient, GraphqlServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "jar")]
enum JarEvent {
    Filled { coins: u64, by: Giver },
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Giver {
    name: String,
    kind: Kind,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    OldFriend,
    Stranger,
}

/// Fills a jar, which holds 100.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}")]
struct FillJar {
    jar: String,
    coins: u64,
    by: Giver,
}

#[derive(Rejection, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Full {
    TooFull { over: u64, by: Giver },
}

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self::TooFull { over, .. } = self;
        write!(f, "{over} too much")
    }
}

impl core::error::Error for Full {}

#[derive(Serialize, Deserialize, Clone, Default, Debug)]
struct Jar(u64);

impl Aggregate for Jar {
    const CATEGORY: &'static str = "jar";
    type Event = JarEvent;
    type Rejection = Full;
    type Commands = (FillJar,);

    fn evolve(&mut self, event: &JarEvent) {
        let JarEvent::Filled { coins, .. } = event;
        self.0 += coins;
    }
}

impl portolan::domain::Decide<FillJar> for Jar {
    fn decide(&self, command: &FillJar, _: &Context) -> Decision<Self> {
        match self.0.saturating_add(command.coins).saturating_sub(100) {
            0 => Ok(vec![JarEvent::Filled { coins: command.coins, by: command.by.clone() }]),
            over => Err(Full::TooFull { over, by: command.by.clone() }),
        }
    }
}

pub(crate) async fn application() -> Application {
    Application::builder(MemoryStore::builder().build(), Runtime::tokio()).aggregate::<Jar>().build().await.unwrap()
}

/// The ids of commands, and the commands.
fn story() -> Vec<(&'static str, Value)> {
    let fill = |coins: Value| json!({ "jar": "a", "coins": coins, "by": { "name": "Ann", "kind": "old-friend" } });
    vec![
        ("k1", fill(json!(60))),
        ("k1", fill(json!(60))),
        ("k1", fill(json!(61))),
        ("k2", fill(json!(u64::MAX))),
        ("k3", fill(json!(40))),
        ("k4", json!({ "jar": "", "coins": 1, "by": { "name": "Ann", "kind": "stranger" } })),
    ]
}

/// What came of each command, as text; of a store's words nothing is said.
async fn told(bus: &dyn CommandBus) -> Vec<String> {
    let mut told = Vec::new();
    for (id, body) in story() {
        let body = Body::Encoded(body.to_string().into(), Format::Json);
        let mut command = CommandEnvelope::new("fill-jar".parse().unwrap(), body).with_id(id.parse().unwrap());
        command.metadata.correlation = Some("c".into());
        told.push(format!("{:?}", bus.dispatch(command).await));
    }
    told
}

/// What an event is, but for when it was recorded.
pub(crate) async fn events(application: &Application) -> Vec<String> {
    let page = application.ports().events.read(Read::log(Query::all())).await.unwrap();
    let told = |event: &Arc<Recorded>| format!("{:?} {:?} {}", event.event, event.position, event.revision);
    page.events.iter().map(told).collect()
}

async fn graphql(application: &Application) -> SocketAddr {
    let server = GraphqlServer::new(application.ports()).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(pending()));
    address
}

#[tokio::test]
async fn every_way_to_the_ports_comes_out_alike() {
    let inside = application().await;
    let expected = (told(&*inside.ports().commands).await, events(&inside).await);
    assert_eq!(expected.1.len(), 3);

    let over_http = application().await;
    let server = HttpServer::new(over_http.ports()).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", server.local_addr());
    tokio::spawn(server.serve(pending()));
    let client = HttpClient::connect(url).await.unwrap();
    assert_eq!((told(&client).await, events(&over_http).await), expected);

    let over_graphql = application().await;
    let url = format!("http://{}/graphql", graphql(&over_graphql).await);
    let client = GraphqlClient::connect(url).await.unwrap();
    assert_eq!((told(&client).await, events(&over_graphql).await), expected);
    let read = client.read(Read::log(Query::all())).await.unwrap();
    assert_eq!(read, over_graphql.ports().events.read(Read::log(Query::all())).await.unwrap());
}

#[tokio::test]
async fn typed_fields_do_what_the_bus_does() {
    let inside = application().await;
    told(&*inside.ports().commands).await;
    let typed = application().await;
    let address = graphql(&typed).await;
    let document = "mutation($input: FillJarInput!, $id: String) {
        fillJar(input: $input, options: { id: $id, correlation: \"c\" }) {
            __typename
            ... on Receipt { repeated }
            ... on Rejection { code fields message }
        }
    }";
    let mut results = Vec::new();
    for (id, mut input) in story() {
        if input["by"]["kind"] == "old-friend" {
            input["by"]["kind"] = "old_friend".into();
        }
        let body = json!({ "query": document, "variables": { "input": input, "id": id } }).to_string();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = send(address, &head, body.as_bytes()).await.json();
        assert_eq!(answer.get("errors"), None, "{answer}");
        results.push(answer["data"]["fillJar"].take());
    }
    let over = u64::MAX - 100;
    let by = json!({ "name": "Ann", "kind": "old-friend" });
    assert_eq!(
        results,
        [
            json!({ "__typename": "Receipt", "repeated": false }),
            json!({ "__typename": "Receipt", "repeated": true }),
            json!({ "__typename": "KeyReused" }),
            json!({ "__typename": "Rejection", "code": "too-full", "fields": { "over": over, "by": by }, "message": format!("{over} too much") }),
            json!({ "__typename": "Receipt", "repeated": false }),
            json!({ "__typename": "Receipt", "repeated": false }),
        ]
    );
    // A jar without a name has a stream of its own.
    assert_eq!(events(&typed).await, events(&inside).await);
}
