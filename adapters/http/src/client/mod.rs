//! The client: the ports of an application that is somewhere else.

mod buses;
mod event_store;
mod projections;
mod sagas;
mod schemas;
mod transport;

use crate::config::ClientConfig;
use crate::error::ConnectError;
use crate::wire::capabilities::WireCapabilities;
use crate::wire::from_json;
use crate::wire::receipt::{WireCommands, WireQueries};
use core::fmt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{Capabilities, CommandInfo, QueryInfo, Source, Spawn};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use transport::{Failure, Transport};

/// A client of an [`HttpServer`](crate::HttpServer), over plain HTTP. A clone is the same client and shares its
/// connections.
///
/// It *is* the ports: [`EventStore`](portolan_kernel::ports::EventStore),
/// [`CommandBus`](portolan_kernel::ports::CommandBus), [`QueryBus`](portolan_kernel::ports::QueryBus),
/// [`ProjectionRegistry`](portolan_kernel::ports::ProjectionRegistry),
/// [`SagaOrchestrator`](portolan_kernel::ports::SagaOrchestrator) and
/// [`SchemaRegistry`](portolan_kernel::ports::SchemaRegistry), with the server's errors as they were. To these
/// come failures on the way: where nothing was sent `Busy`; where a request was sent and no answer came, `Unknown` for
/// an append, a command, a saga that was to be started, or an action upon a projection or a saga, and `Busy` for whatever
/// only asks.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let ports = portolan_http::HttpClient::connect("http://127.0.0.1:8080").await?.ports();
/// # Ok(()) }
/// ```
///
/// Appends need a server with [raw appends](crate::HttpServer::with_raw_appends).
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    capabilities: Capabilities,
    commands: Vec<CommandInfo>,
    queries: Vec<QueryInfo>,
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("url", &self.shared.transport.url()).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Connects to the server at a URL such as `http://127.0.0.1:8080`, and asks what it is and takes.
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
        let capabilities = ask::<WireCapabilities>(&transport, "/capabilities").await?.decode();
        let commands = ask::<WireCommands>(&transport, "/commands").await?.decode();
        let queries = ask::<WireQueries>(&transport, "/queries").await?.decode();
        let runtime = tokio::runtime::Handle::current();
        let shared = Shared { transport, capabilities, commands, queries, runtime };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The client as ports. Subscriptions are made here, of pages and hints; their tasks run on the tokio that
    /// the client was connected in.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let client = Arc::new(self.clone());
        let spawn = Arc::new(Tasks(self.shared.runtime.clone()));
        Ports::new(client.clone(), client.clone(), client.clone(), spawn)
            .with_projections(client.clone())
            .with_sagas(client.clone())
            .with_schemas(client)
    }
}

impl From<HttpClient> for Ports {
    fn from(client: HttpClient) -> Self {
        client.ports()
    }
}

struct Tasks(tokio::runtime::Handle);

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.0.spawn(task));
    }
}

async fn ask<T: DeserializeOwned>(transport: &Transport, path: &str) -> Result<T, ConnectError> {
    let url = || transport.url().to_owned();
    let answer = transport.send(Method::GET, path, Vec::new(), None, None).await.map_err(|failure| {
        let (Failure::NotSent(source) | Failure::Lost(source)) = failure;
        ConnectError::Unreachable { url: url(), source }
    })?;
    if !answer.status.is_success() {
        return Err(match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ConnectError::Denied { url: url(), reason: answer.problem().detail }
            }
            // Busy, starting or stopping.
            StatusCode::SERVICE_UNAVAILABLE => {
                ConnectError::Unreachable { url: url(), source: Source::new(answer.problem().detail) }
            }
            status => ConnectError::Protocol { url: url(), reason: format!("{path} answers {status}") },
        });
    }
    from_json(&answer.body).map_err(|problem: crate::wire::problem::Problem| ConnectError::Protocol {
        url: url(),
        reason: format!("{path}: {}", problem.detail),
    })
}
