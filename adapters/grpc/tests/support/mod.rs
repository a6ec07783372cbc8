//! A small application behind a server: the suite's reference store, buses and projections that answer what a test asks
//! for.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod frames;
pub(crate) mod projections;
pub(crate) mod sagas;

use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_conformance::ReferenceStore;
use portolan_grpc::proto::commands_client::CommandsClient;
use portolan_grpc::proto::event_store_client::EventStoreClient;
use portolan_grpc::{ClientConfig, GrpcClient, GrpcServer, ServerConfig};
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{
    Answer, AppendError, Body, Capabilities, Clock, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore,
    QueryBus, QueryEnvelope, QueryError, QueryInfo, ReadError, Receipt, Source, Spawn, Violation,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, EventId, Format, Name, NewEvent, Page, Position, Query, Read, Recalled,
    Revision, StreamId, Timestamp,
};
use projections::Projections;
use sagas::Sagas;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::transport::Channel;

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

pub(crate) fn new_event(stream: &str) -> NewEvent {
    NewEvent::new(stream.parse().unwrap(), "t".parse().unwrap(), "{}")
}

pub(crate) fn append() -> Append {
    Append::new([new_event("s")])
}

pub(crate) fn command(name: &str) -> CommandEnvelope {
    CommandEnvelope::new(Name::new(name).unwrap(), Body::Encoded("{}".into(), Format::Json))
}

/// Takes the command `echo`; others answer with the error they are named after. It remembers what came.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) seen: Mutex<Vec<CommandEnvelope>>,
}

pub(crate) fn receipt() -> Receipt {
    let streams = vec![("account-ann".parse().unwrap(), Some(Revision::new(3))), ("b".parse().unwrap(), None)];
    Receipt::new(streams, Position::new(17), vec![EventId::from_bytes([7; 16])], false)
}

#[async_trait]
impl CommandBus for Commands {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let stream: StreamId = "account-ann".parse().unwrap();
        let result = match &*command.name {
            "echo" => Ok(receipt()
                .with_correlation(command.metadata.correlation.clone())
                .with_command(command.id.as_ref().map(Name::to_string))),
            "denied" => Err(CommandError::Denied("ann is no teller".into())),
            "deadline-passed" => Err(CommandError::DeadlinePassed),
            "not-caught-up" => {
                Err(CommandError::NotCaughtUp { receipt: Box::new(receipt()), waiting: command.wait_for.clone() })
            }
            "malformed" => Err(CommandError::Malformed("at line 1".into())),
            "invalid" => Err(CommandError::Invalid(vec![Violation::new("amount", "wrong-type", "a number, please")])),
            "rejected" => Err(CommandError::Rejected {
                code: "insufficient-funds".into(),
                message: "2 cents short".into(),
                fields: json!({ "missing": 2 }),
            }),
            "long" => Err(CommandError::Rejected {
                code: "long".into(),
                message: "long".into(),
                fields: json!({ "long": "x".repeat(300 << 10) }),
            }),
            "too-long" => Err(CommandError::Rejected {
                code: "too-long".into(),
                message: "too long".into(),
                fields: json!({ "long": "x".repeat(400 << 10) }),
            }),
            "conflict" => Err(CommandError::Conflict { stream, actual: Some(Revision::new(9)) }),
            "key-reused" => Err(CommandError::KeyReused),
            "shutting-down" => Err(CommandError::ShuttingDown),
            "busy" => Err(CommandError::Busy(Source::new("full"))),
            "unknown" => Err(CommandError::Unknown(Source::new("lost"))),
            "damaged" => Err(CommandError::Other(Source::new(AppendError::Corrupt {
                place: "/srv/bank.db: table log, position 2".into(),
            }))),
            "unknown-at-length" => Err(CommandError::Unknown(Source::new("x".repeat(400 << 10)))),
            "other" => Err(CommandError::Other(Source::new("odd"))),
            "panic" => panic!("as asked"),
            "slow" => {
                tokio::time::sleep(Duration::from_millis(400)).await;
                Ok(Receipt::none())
            }
            "stuck" => std::future::pending().await,
            _ => Err(CommandError::UnknownCommand(command.name.clone())),
        };
        self.seen.lock().unwrap().push(command);
        result
    }

    fn commands(&self) -> Vec<CommandInfo> {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        let told =
            CommandInfo::new(Name::new("echo").unwrap()).with_description("Comes back.").with_schema(Some(schema));
        vec![told, CommandInfo::new(Name::new("denied").unwrap())]
    }
}

/// Answers `echo` with its parameters.
#[derive(Default)]
pub(crate) struct Queries(pub(crate) Mutex<Vec<QueryEnvelope>>);

#[async_trait]
impl QueryBus for Queries {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        self.0.lock().unwrap().push(query.clone());
        match &*query.name {
            "echo" => Ok(Answer::json(query.parameters).with_revision(Some(Revision::new(5)))),
            "binary" => {
                let mut answer = Answer::json(vec![0, 0xff]);
                answer.format = Format::Binary;
                Ok(answer)
            }
            "missing" => Err(QueryError::NotFound("no account bob".into())),
            "invalid" => Err(QueryError::Invalid(vec![Violation::new("a", "b", "c")])),
            "malformed" => Err(QueryError::Malformed("no object".into())),
            "busy" => Err(QueryError::Busy(Source::new("full"))),
            "other" => Err(QueryError::Other(Source::new("odd"))),
            "stuck" => std::future::pending().await,
            _ => Err(QueryError::UnknownQuery(query.name)),
        }
    }

    fn queries(&self) -> Vec<QueryInfo> {
        let told = QueryInfo::new(Name::new("typed").unwrap()).with_description("Comes back, typed.");
        let schema = json!({ "type": "object" });
        vec![QueryInfo::new(Name::new("echo").unwrap()), told.with_schemas(Some(schema.clone()), Some(schema))]
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

/// A store that counts what it is asked.
pub(crate) struct Counting {
    pub(crate) store: ReferenceStore,
    pub(crate) asked: AtomicUsize,
}

impl Counting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { store: ReferenceStore::new(Arc::new(Noon)), asked: AtomicUsize::new(0) })
    }

    fn count(&self) -> &ReferenceStore {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.count().append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.count().read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.count().recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.count().checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.count().changed(query, after).await
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

    pub(crate) async fn with(change: impl FnOnce(GrpcServer) -> GrpcServer) -> Self {
        Self::over(Arc::new(ReferenceStore::new(Arc::new(Noon))), change).await
    }

    pub(crate) async fn over(store: Arc<dyn EventStore>, change: impl FnOnce(GrpcServer) -> GrpcServer) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), store, change).await
    }

    pub(crate) async fn at(
        address: SocketAddr,
        store: Arc<dyn EventStore>,
        change: impl FnOnce(GrpcServer) -> GrpcServer,
    ) -> Self {
        let (commands, queries) = (Arc::new(Commands::default()), Arc::new(Queries::default()));
        let (projections, sagas) = (Arc::new(Projections::default()), Arc::new(Sagas::default()));
        let ports = Ports::new(commands.clone(), queries.clone(), store.clone(), Arc::new(Tasks));
        let ports = ports.with_projections(projections.clone()).with_sagas(sagas.clone());
        let server = change(GrpcServer::new(ports)).bind(address).await.unwrap();
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

    /// Once it has stopped.
    pub(crate) async fn ended(&mut self) {
        self.stop();
        let stopped = self.stopped.take().unwrap();
        tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("it does not stop").unwrap();
    }

    /// How often a command, a question, a projection or a saga has been asked for something.
    pub(crate) fn reached(&self) -> usize {
        let Projections { acted, asked, after, .. } = &*self.projections;
        let projections = acted.lock().unwrap().len() + asked.lock().unwrap().len() + after.lock().unwrap().len();
        projections
            + self.sagas.reached()
            + self.commands.seen.lock().unwrap().len()
            + self.queries.0.lock().unwrap().len()
    }

    pub(crate) fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn client(&self) -> GrpcClient {
        GrpcClient::connect(self.uri()).await.unwrap()
    }

    /// A client that shows this.
    pub(crate) async fn client_of(&self, authorization: &str) -> GrpcClient {
        let mut config = ClientConfig::default();
        config.authorization = Some(authorization.to_owned());
        GrpcClient::connect_with(self.uri(), config).await.unwrap()
    }

    pub(crate) async fn impatient_client(&self, timeout: Duration) -> GrpcClient {
        let mut config = ClientConfig::default();
        config.request_timeout = timeout;
        GrpcClient::connect_with(self.uri(), config).await.unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.uri()).unwrap().connect().await.unwrap()
    }

    /// A client that knows nothing of Portolan.
    pub(crate) async fn strange_store(&self) -> EventStoreClient<Channel> {
        EventStoreClient::new(self.channel().await)
    }

    /// Another one.
    pub(crate) async fn strange_commands(&self) -> CommandsClient<Channel> {
        CommandsClient::new(self.channel().await)
    }
}

/// A proxy before a server that, once told to, lets a call through and cuts the connection instead of letting the answer
/// back.
pub(crate) async fn lossy(behind: SocketAddr, losing: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(behind).await.unwrap();
            let losing = losing.clone();
            tokio::spawn(async move {
                let (mut near_in, mut near_out) = near.into_split();
                let (mut far_in, mut far_out) = far.into_split();
                let there = tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
                let mut bytes = vec![0; 64 << 10];
                while let Ok(length @ 1..) = tokio::io::AsyncReadExt::read(&mut far_in, &mut bytes).await {
                    // A frame of data, header or trailer for a call is an answer; those for the connection are not.
                    if losing.load(Ordering::Relaxed) && is_answer(&bytes[..length]) {
                        break;
                    }
                    tokio::io::AsyncWriteExt::write_all(&mut near_out, &bytes[..length]).await.unwrap();
                }
                there.abort();
            });
        }
    });
    address
}

/// Whether HTTP/2 frames, whole at the front, hold one that begins an answer (HEADERS).
fn is_answer(mut bytes: &[u8]) -> bool {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        if *kind == 1 {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(length..).unwrap_or_default();
    }
    false
}
