//! The client: the ports of an application that is somewhere else.

mod buses;
mod event_store;
mod projections;
mod sagas;
mod transport;

use crate::config::ClientConfig;
use crate::error::ConnectError;
use crate::wire::store::WireStore;
use core::fmt;
use futures::future::BoxFuture;
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{Capabilities, CommandInfo, QueryInfo, Source, Spawn};
use portolan_kernel::values::Name;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use transport::{Failure, Transport};

/// A client of a [`GraphqlServer`](crate::GraphqlServer), over plain HTTP. A clone is the same client and shares its
/// connections.
///
/// It *is* the ports [`CommandBus`](portolan_kernel::ports::CommandBus), [`QueryBus`](portolan_kernel::ports::QueryBus),
/// [`ProjectionRegistry`](portolan_kernel::ports::ProjectionRegistry) and
/// [`SagaOrchestrator`](portolan_kernel::ports::SagaOrchestrator), and what reads of
/// [`EventStore`](portolan_kernel::ports::EventStore), with the server's errors as they were. To these come failures on the
/// way: where the server does not know who asks, `Denied` of whichever port; where nothing was sent `Busy`; where an operation was sent and no answer came, `Unknown` for a command or an action
/// and `Busy` for what reads. This wire carries no appends: each is
/// [`Other`](portolan_kernel::ports::AppendError::Other).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let ports = portolan_graphql::GraphqlClient::connect("http://127.0.0.1:8080/graphql").await?.ports();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct GraphqlClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    capabilities: Capabilities,
    commands: Vec<CommandInfo>,
    queries: Vec<QueryInfo>,
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for GraphqlClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphqlClient").field("url", &self.shared.transport.url()).finish_non_exhaustive()
    }
}

/// What a client asks first.
const HELLO: &str = "{
    store {
        identity lacks keyRetention hintLatency
        limits { appendEvents appendBytes appendStreams eventBytes eventTags noteBytes queryTerms pageEvents }
    }
    commands { name description schema }
    queries { name description schema answerSchema }
}";

/// What a bus tells of a command or a question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    name: String,
    description: String,
    schema: Option<Value>,
    #[serde(default)]
    answer_schema: Option<Value>,
}

impl GraphqlClient {
    /// Connects to the server at a URL such as `http://127.0.0.1:8080/graphql`, and asks what it is and takes.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::connect_with(url, ClientConfig::default()).await
    }

    /// The same, with these limits.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    pub async fn connect_with(url: impl AsRef<str>, config: ClientConfig) -> Result<Self, ConnectError> {
        let transport = Transport::new(url.as_ref(), config)?;
        let url = || transport.url().to_owned();
        let odd = |reason: String| ConnectError::Protocol { url: url(), reason };
        let mut data = match transport.data(HELLO, json!({}), None).await {
            Ok(data) => data,
            Err(Failure::NotSent(source) | Failure::Lost(source)) => {
                return Err(ConnectError::Unreachable { url: url(), source });
            }
            Err(Failure::Refused(problem)) => {
                return Err(match problem.code.as_str() {
                    "unauthenticated" | "denied" => ConnectError::Denied { url: url(), reason: problem.message },
                    "busy" => ConnectError::Unreachable { url: url(), source: Source::new(problem.message) },
                    _ => odd(problem.message),
                });
            }
        };
        let capabilities = taken::<WireStore>(&mut data, "store").map_err(odd)?.decode();
        let name = |told: &Told| told.name.parse::<Name>().map_err(|error| odd(error.to_string()));
        let mut commands = Vec::new();
        for told in taken::<Vec<Told>>(&mut data, "commands").map_err(odd)? {
            commands.push(CommandInfo::new(name(&told)?).with_description(told.description).with_schema(told.schema));
        }
        let mut queries = Vec::new();
        for told in taken::<Vec<Told>>(&mut data, "queries").map_err(odd)? {
            let info = QueryInfo::new(name(&told)?).with_description(told.description);
            queries.push(info.with_schemas(told.schema, told.answer_schema));
        }
        let runtime = tokio::runtime::Handle::current();
        let shared = Shared { transport, capabilities, commands, queries, runtime };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The client as ports. Subscriptions are made here, of pages and hints; their tasks run on the tokio that the client
    /// was connected in. This wire tells of no schemas: there are [`NoSchemas`](portolan_kernel::ports::NoSchemas).
    #[must_use]
    pub fn ports(&self) -> Ports {
        let client = Arc::new(self.clone());
        let spawn = Arc::new(Tasks(self.shared.runtime.clone()));
        Ports::new(client.clone(), client.clone(), client.clone(), spawn)
            .with_projections(client.clone())
            .with_sagas(client)
    }
}

impl From<GraphqlClient> for Ports {
    fn from(client: GraphqlClient) -> Self {
        client.ports()
    }
}

fn taken<T: DeserializeOwned>(data: &mut Map<String, Value>, name: &str) -> Result<T, String> {
    serde_json::from_value(data.remove(name).unwrap_or_default()).map_err(|error| format!("{name}: {error}"))
}

struct Tasks(tokio::runtime::Handle);

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.0.spawn(task));
    }
}
