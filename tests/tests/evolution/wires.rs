//! The wires on which people see events, and what is shown on each.

use super::events::UserEvent;
use super::readers::builder;
use core::net::SocketAddr;
use core::time::Duration;
use futures::{SinkExt, StreamExt};
use portolan::application::Ports;
use portolan::{GraphqlServer, HttpServer, MemoryStore};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// An entry as any of the wires shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) revision: u64,
    /// Empty where the wire tells of no form.
    pub(crate) form: String,
    pub(crate) part: Option<u64>,
    /// Why it is as it is stored.
    pub(crate) why: String,
    pub(crate) event_type: String,
    pub(crate) version: u64,
    pub(crate) data: Value,
}

impl Entry {
    fn of(entry: &Value) -> Self {
        let number = |value: &Value| match value {
            Value::String(digits) => digits.parse().unwrap(),
            number => number.as_u64().unwrap(),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let why = entry.get("not_current").or(entry.get("notCurrent")).map_or(&Value::Null, |why| &why["code"]);
        Self {
            revision: number(&entry["revision"]),
            form: text(&entry["form"]).to_lowercase(),
            part: entry.get("part").and_then(Value::as_u64),
            why: text(why),
            event_type: text(&entry["type"]),
            version: number(&entry["version"]),
            data: entry["data"].clone(),
        }
    }

    /// As the paths within an application tell of it.
    pub(crate) fn told(&self) -> (String, Value) {
        (self.event_type.clone(), self.data.clone())
    }
}

/// HTTP with GraphQL beside it, over an application that knows the events of users.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) stop: Option<oneshot::Sender<()>>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) json: Value,
}

pub(crate) async fn serve(store: &MemoryStore) -> Served {
    Served::over(builder(store).events::<UserEvent>().build().await.unwrap().ports()).await
}

impl Served {
    pub(crate) async fn over(ports: Ports) -> Self {
        let graphql = GraphqlServer::new(ports.clone()).service().await;
        let server = HttpServer::new(ports.clone()).mount("/graphql", graphql);
        let server = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async { drop(stopped.await) }));
        Self { address, ports, stop: Some(stop) }
    }

    async fn send(&self, request: String) -> Got {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let json = serde_json::from_str(body).unwrap_or_default();
        Got { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), json }
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Got {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")).await
    }

    /// The entries of all pages from there on, one page after another, and how many pages there were.
    pub(crate) async fn pages(&self, path: &str) -> (Vec<Entry>, usize) {
        let (mut entries, mut pages, mut next) = (Vec::new(), 0, Some(path.to_owned()));
        while let Some(path) = next {
            let page = self.get(&path, "").await;
            assert_eq!(page.status, 200, "{page:?}");
            entries.extend(page.json["events"].as_array().unwrap().iter().map(Entry::of));
            next = page.json["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        (entries, pages)
    }

    /// Follows live events, after this id if any.
    pub(crate) async fn sse(&self, path: &str, last_id: Option<&str>) -> Sse {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let resume = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{resume}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut sse = Sse(BufReader::new(socket));
        let head = sse.lines().await.unwrap();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        sse
    }

    pub(crate) async fn operation(&self, query: &str) -> Value {
        let body = json!({ "query": query }).to_string();
        let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json";
        self.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await.json
    }

    /// A page of this field of GraphQL: its entries with their cursors, and where it stands.
    pub(crate) async fn connection(&self, field: &str, arguments: &str) -> (Vec<(String, Entry)>, Value) {
        let query = format!(
            "{{ {field}({arguments}) {{
                edges {{ cursor node {{ {ENTRY} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
            }} }}"
        );
        let mut answer = self.operation(&query).await;
        assert_eq!(answer.get("errors"), None, "{arguments}");
        let connection = &mut answer["data"][field];
        let edge = |edge: &Value| (edge["cursor"].as_str().unwrap().to_owned(), Entry::of(&edge["node"]));
        (connection["edges"].as_array().unwrap().iter().map(edge).collect(), connection["pageInfo"].take())
    }

    /// What a subscription tells until it has caught up: entries, and where one may resume.
    pub(crate) async fn subscription(&self, field: &str, arguments: &str) -> Vec<(Option<String>, Option<Entry>)> {
        let mut socket = Socket::open(self.address).await;
        let all =
            format!("subscription {{ {field}(states: true, {arguments}) {{ kind position event {{ {ENTRY} }} }} }}");
        socket.subscribe(&all).await;
        let mut told = Vec::new();
        loop {
            let delivery = socket.next(field).await;
            let event = Some(&delivery["event"]).filter(|event| event.is_object());
            match delivery["kind"].as_str().unwrap() {
                "CAUGHT_UP" => return told,
                _ => told.push((delivery["position"].as_str().map(str::to_owned), event.map(Entry::of))),
            }
        }
    }
}

const ENTRY: &str = "type version revision form part notCurrent { code message } data";

/// One frame: where one may resume, and what it shows, if anything; `None` where it has caught up.
pub(crate) type Frame = Option<(Option<String>, Option<Entry>)>;

pub(crate) struct Sse(BufReader<TcpStream>);

impl Sse {
    async fn lines(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read =
                tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("something has to come");
            match line.trim_end_matches(['\r', '\n']) {
                _ if read.unwrap_or(0) == 0 => return None,
                "" => return Some(lines),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The next frame; nothing at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("something has to come, and not only signs of life")
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            let lines = self.lines().await?;
            let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let (id, data) = (field("id:"), field("data:"));
            match field("event:") {
                Some("caught-up") => return Some(None),
                Some(other) => panic!("{other}"),
                None if id.is_none() && data.is_none() => {}
                None => {
                    let entry = data.map(|data| Entry::of(&serde_json::from_str(data).unwrap()));
                    return Some(Some((id.map(str::to_owned), entry)));
                }
            }
        }
    }

    /// All frames until it has caught up.
    pub(crate) async fn until_caught_up(mut self) -> Vec<(Option<String>, Option<Entry>)> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await.expect("it does not end") {
            frames.push(frame);
        }
        frames
    }
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(address: SocketAddr) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let socket = TcpStream::connect(address).await.unwrap();
        let mut socket = Self(client_async(request, socket).await.unwrap().0);
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.message().await["type"], "connection_ack");
        socket
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, query: &str) {
        self.send(json!({ "type": "subscribe", "id": "a", "payload": { "query": query } })).await;
    }

    async fn message(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something has to come");
            if let Message::Text(text) = next.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn next(&mut self, field: &str) -> Value {
        let mut message = self.message().await;
        assert_eq!(message["payload"].get("errors"), None, "{message}");
        message["payload"]["data"][field].take()
    }
}

/// One way to see events as what they have become.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    HttpStream,
    HttpEvents,
    HttpBackward,
    SseStream,
    SseEvents,
    GraphqlStream,
    GraphqlEvents,
    GraphqlBackward,
    GraphqlSubscription,
}

pub(crate) const WIRES: [Wire; 9] = {
    use Wire::*;
    [
        HttpStream,
        HttpEvents,
        HttpBackward,
        SseStream,
        SseEvents,
        GraphqlStream,
        GraphqlEvents,
        GraphqlBackward,
        GraphqlSubscription,
    ]
};

impl Wire {
    /// What is shown on it of the one stream there is, from old to new.
    pub(crate) async fn shown(self, served: &Served) -> Vec<Entry> {
        let events =
            |told: Vec<(Option<String>, Option<Entry>)>| told.into_iter().filter_map(|(_, event)| event).collect();
        match self {
            Self::HttpStream => served.pages("/streams/user-1?form=current&limit=2").await.0,
            Self::HttpEvents => served.pages("/events?category=user&form=current&limit=2").await.0,
            Self::HttpBackward => {
                let (mut all, _) = served.pages("/events?direction=backward&form=current&limit=2").await;
                all.reverse();
                all
            }
            Self::SseStream => events(served.sse("/streams/user-1?form=current", None).await.until_caught_up().await),
            Self::SseEvents => events(served.sse("/events?form=current", None).await.until_caught_up().await),
            Self::GraphqlStream => walk(served, "stream", "id: \"user-1\", form: CURRENT", true).await,
            Self::GraphqlEvents => walk(served, "events", "form: CURRENT", true).await,
            Self::GraphqlBackward => walk(served, "events", "form: CURRENT", false).await,
            Self::GraphqlSubscription => events(served.subscription("events", "form: CURRENT").await),
        }
    }
}

/// The entries of all pages, by the cursors at their ends.
async fn walk(served: &Served, field: &str, arguments: &str, forward: bool) -> Vec<Entry> {
    let (count, from, more, end) = match forward {
        true => ("first", "after", "hasNextPage", "endCursor"),
        false => ("last", "before", "hasPreviousPage", "startCursor"),
    };
    let (mut all, mut cursor) = (Vec::new(), "null".to_owned());
    loop {
        let page = format!("{arguments}, {count}: 2, {from}: {cursor}");
        let (edges, info) = served.connection(field, &page).await;
        let mut entries: Vec<_> = edges.into_iter().map(|(_, entry)| entry).collect();
        if !forward {
            entries.append(&mut all);
            all = entries;
        } else {
            all.append(&mut entries);
        }
        if info[more] == false {
            return all;
        }
        cursor = info[end].to_string();
    }
}
