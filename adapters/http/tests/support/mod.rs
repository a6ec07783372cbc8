//! A small application behind a server: the suite's reference store, and buses that answer what a test asks for.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod access;
pub(crate) mod projections;
pub(crate) mod sagas;
pub(crate) mod schemas;

use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_conformance::ReferenceStore;
use portolan_http::{HttpClient, HttpServer, ServerConfig};
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{
    Answer, AppendError, Body, Capabilities, Clock, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore,
    QueryBus, QueryEnvelope, QueryError, QueryInfo, ReadError, Receipt, Source, Spawn, Violation,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, EventId, Name, NewEvent, Page, Position, Query, Read, Recalled, Revision,
    StreamId, Timestamp,
};
use projections::Projections;
use sagas::Sagas;
use schemas::Schemas;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

pub(crate) struct Tasks;

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_785_000_000_000_001)
    }
}

/// Takes the command `echo`; others answer with the error they are named after. It remembers what came.
pub(crate) struct Commands {
    pub(crate) seen: Mutex<Vec<CommandEnvelope>>,
    store: Arc<dyn EventStore>,
}

fn new_event(stream: &str) -> NewEvent {
    NewEvent::new(stream.parse().unwrap(), "t".parse().unwrap(), "{}")
}

#[async_trait]
impl CommandBus for Commands {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let Body::Encoded(bytes, _) = &command.body else { panic!("a typed body crossed the wire") };
        let body: Value = serde_json::from_slice(bytes).map_err(|error| CommandError::Malformed(error.to_string()))?;
        let stream: StreamId = "account-ann".parse().unwrap();
        let result = match &*command.name {
            "echo" => Ok(Receipt::new(
                vec![(stream, Some(Revision::new(3))), ("b".parse().unwrap(), None)],
                Position::new(17),
                vec![EventId::from_bytes([7; 16])],
                false,
            )
            .with_correlation(command.metadata.correlation.clone())
            .with_command(command.id.as_ref().map(Name::to_string))),
            "write" => {
                let event = new_event("written").with_metadata(command.metadata.encode());
                let appended = self.store.append(Append::new([event])).await.unwrap();
                let receipt = Receipt::new(appended.streams, appended.last, Vec::new(), false);
                Ok(receipt.with_correlation(command.metadata.correlation.clone()))
            }
            "repeated" => Ok(Receipt::new(vec![], None, vec![], true).with_correlation(Some("the first".into()))),
            "denied" => Err(CommandError::Denied("ann is no teller".into())),
            "deadline-passed" => Err(CommandError::DeadlinePassed),
            "not-caught-up" => Err(CommandError::NotCaughtUp {
                receipt: Box::new(Receipt::new(
                    vec![(stream, Some(Revision::new(3)))],
                    Position::new(17),
                    vec![],
                    false,
                )),
                waiting: command.wait_for.clone(),
            }),
            "invalid" => Err(CommandError::Invalid(vec![Violation::new("amount", "wrong-type", "a number, please")])),
            "rejected" => Err(CommandError::Rejected {
                code: "insufficient-funds".into(),
                message: "2 cents short".into(),
                fields: json!({ "missing": 2 }),
            }),
            "conflict" => Err(CommandError::Conflict { stream, actual: Some(Revision::new(9)) }),
            "key-reused" => Err(CommandError::KeyReused),
            "shutting-down" => Err(CommandError::ShuttingDown),
            "busy" => Err(CommandError::Busy(Source::new("full"))),
            "unknown" => Err(CommandError::Unknown(Source::new("lost"))),
            "damaged" => Err(CommandError::Other(Source::new(AppendError::Corrupt {
                place: "/srv/bank.db: table log, position 2".into(),
            }))),
            "other" => Err(CommandError::Other(Source::new("odd"))),
            "panic" => panic!("as asked"),
            "slow" => {
                tokio::time::sleep(Duration::from_millis(body["ms"].as_u64().unwrap_or(0))).await;
                Ok(Receipt::none())
            }
            _ => Err(CommandError::UnknownCommand(command.name.clone())),
        };
        self.seen.lock().unwrap().push(command);
        result
    }

    fn commands(&self) -> Vec<CommandInfo> {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        let told =
            CommandInfo::new(Name::new("echo").unwrap()).with_description("Comes back.").with_schema(Some(schema));
        vec![told, CommandInfo::new(Name::new("write").unwrap())]
    }
}

/// What the query `typed` takes, as schemars writes such a struct.
pub(crate) fn typed_parameters() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Typed",
        "type": "object",
        "properties": {
            "owner": { "type": "string" },
            "limit": { "type": ["integer", "null"], "format": "uint32", "minimum": 0 },
            "rate": { "type": "number" },
            "closed": { "type": "boolean" },
            "revisions": { "type": "array", "items": { "type": "integer" } },
            "status": { "$ref": "#/$defs/Status" },
            "maybe_status": { "anyOf": [{ "$ref": "#/$defs/Status" }, { "type": "null" }] },
            "level": { "enum": [1, 2, 3] },
            "either": { "type": ["integer", "string"] },
            "range": { "$ref": "#/$defs/Range" },
            "anything": true
        },
        "required": ["owner"],
        "additionalProperties": false,
        "$defs": {
            "Status": { "oneOf": [{ "type": "string", "const": "open" }, { "type": "string", "const": "closed" }] },
            "Range": { "type": "object", "properties": { "from": { "type": "integer" } } }
        }
    })
}

/// Answers `echo` with its parameters, and `typed` too, which has a schema.
#[derive(Default)]
pub(crate) struct Queries(pub(crate) Mutex<Vec<QueryEnvelope>>);

#[async_trait]
impl QueryBus for Queries {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        self.0.lock().unwrap().push(query.clone());
        match &*query.name {
            "echo" | "typed" => Ok(Answer::json(query.parameters).with_revision(Some(Revision::new(5)))),
            "missing" => Err(QueryError::NotFound("no account bob".into())),
            "busy" => Err(QueryError::Busy(Source::new("full"))),
            _ => Err(QueryError::UnknownQuery(query.name)),
        }
    }

    fn queries(&self) -> Vec<QueryInfo> {
        let told = QueryInfo::new(Name::new("typed").unwrap()).with_description("Comes back, typed.");
        vec![
            QueryInfo::new(Name::new("echo").unwrap()),
            told.with_schemas(Some(typed_parameters()), Some(json!({ "type": "object" }))),
        ]
    }
}

/// A store that can be read, and written only as long as nobody says otherwise.
pub(crate) struct WriteProtected {
    pub(crate) store: ReferenceStore,
    pub(crate) is_protected: AtomicBool,
}

#[async_trait]
impl EventStore for WriteProtected {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.is_protected.load(Ordering::Relaxed) {
            return Err(AppendError::Other(Source::new("attempt to write a readonly database")));
        }
        self.store.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.store.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.store.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.store.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.store.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

/// A server on a port of its own, which stops when this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) projections: Arc<Projections>,
    pub(crate) sagas: Arc<Sagas>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) stopped: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|server| server.with_raw_appends(true)).await
    }

    pub(crate) async fn configured(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::default();
        change(&mut config);
        Self::with(|server| server.with_raw_appends(true).with_config(config)).await
    }

    pub(crate) async fn with(change: impl FnOnce(HttpServer) -> HttpServer) -> Self {
        Self::over(Arc::new(ReferenceStore::new(Arc::new(Noon))), change).await
    }

    pub(crate) async fn over(store: Arc<dyn EventStore>, change: impl FnOnce(HttpServer) -> HttpServer) -> Self {
        let (queries, projections) = (Arc::new(Queries::default()), Arc::new(Projections::default()));
        let commands = Arc::new(Commands { seen: Mutex::default(), store: store.clone() });
        let ports = Ports::new(commands.clone(), queries.clone(), store.clone(), Arc::new(Tasks));
        let sagas = Sagas::over(store.clone(), commands.clone(), queries.clone(), Arc::new(Noon), Arc::new(Tasks));
        let sagas = Arc::new(sagas);
        let ports = ports.with_projections(projections.clone()).with_schemas(Arc::new(Schemas));
        let ports = ports.with_sagas(sagas.clone());
        let server = change(HttpServer::new(ports)).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let address = server.local_addr();
        let task = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Self { address, store, commands, queries, projections, sagas, stop: Some(stop), stopped: Some(task) }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take();
    }

    pub(crate) async fn client(&self) -> HttpClient {
        HttpClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes on a connection of their own, and takes one answer.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut socket = self.connect().await;
        socket.write_all(request.as_ref()).await.unwrap();
        Reply::read(&mut socket).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.raw(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n{body}")).await
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, path: &str, headers: &[&str], body: &str) -> Reply {
        self.send("POST", path, &[&["Content-Type: application/json"], headers].concat(), body).await
    }
}

/// An answer, read to its announced end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn read(socket: &mut TcpStream) -> Self {
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, Self::read_all(socket)).await.expect("no answer within 10 s")
    }

    /// The head alone, of an answer without a body.
    pub(crate) async fn read_head(socket: &mut TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        Self { status: head[9..12].parse().unwrap(), head, body: Vec::new() }
    }

    /// The head of a request, and its body, which is left out.
    pub(crate) async fn read_request(socket: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length =
            head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        socket.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
        head
    }

    async fn read_all(socket: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                socket.read_buf(&mut bytes).await.unwrap() > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&bytes)
            );
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
        let status = text[9..12].parse().unwrap();
        let mut reply = Self { status, head: text, body: bytes.split_off(head) };
        if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().unwrap();
            while reply.body.len() < length && socket.read_buf(&mut reply.body).await.unwrap() > 0 {}
        }
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?} is no JSON"))
    }

    /// That this is a problem, of this status and type.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["type"], format!("urn:portolan:problem:{name}"), "{body}");
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        body
    }

    #[track_caller]
    pub(crate) fn is_ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()
    }
}
