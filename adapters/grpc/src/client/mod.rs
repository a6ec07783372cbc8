//! The client: the ports of an application that is somewhere else.

mod buses;
mod event_store;
mod projections;
mod sagas;
mod subscribe;
mod transport;

use crate::config::ClientConfig;
use crate::error::ConnectError;
use crate::proto::commands_client::CommandsClient;
use crate::proto::event_store_client::EventStoreClient;
use crate::proto::projections_client::ProjectionsClient;
use crate::proto::queries_client::QueriesClient;
use crate::proto::sagas_client::SagasClient;
use crate::proto::{CapabilitiesRequest, DescribeCommandsRequest, DescribeQueriesRequest};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::wire::{Wrong, decode_capabilities};
use core::fmt;
use futures::future::BoxFuture;
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{Capabilities, CommandInfo, QueryInfo, Spawn};
use std::sync::Arc;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use transport::{Failure, Shown, Transport};

/// A client of a [`GrpcServer`](crate::GrpcServer). A clone is the same client and shares its connection, which is made
/// anew when it is lost.
///
/// It *is* the ports: [`EventStore`](portolan_kernel::ports::EventStore),
/// [`CommandBus`](portolan_kernel::ports::CommandBus), [`QueryBus`](portolan_kernel::ports::QueryBus),
/// [`ProjectionRegistry`](portolan_kernel::ports::ProjectionRegistry) and
/// [`SagaOrchestrator`](portolan_kernel::ports::SagaOrchestrator), with the server's errors as they were. To these come
/// failures on the way: where no connection could be made, `Busy`; where a call was sent and no answer came, `Unknown` for
/// what changes something and `Busy` for what does not.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let ports = portolan_grpc::GrpcClient::connect("http://127.0.0.1:50051").await?.ports();
/// # Ok(()) }
/// ```
///
/// Appends need a server with [raw appends](crate::GrpcServer::with_raw_appends).
#[derive(Clone)]
pub struct GrpcClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    about: About,
    runtime: tokio::runtime::Handle,
}

/// What a server told of itself when it was first asked.
struct About {
    capabilities: Capabilities,
    /// How many bytes an append may have.
    append_bytes: u64,
    /// How many bytes any other request may have.
    request_bytes: u64,
    commands: Vec<CommandInfo>,
    queries: Vec<QueryInfo>,
}

impl fmt::Debug for GrpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient").field("uri", &self.shared.transport.uri()).finish_non_exhaustive()
    }
}

impl GrpcClient {
    /// Connects to the server at a URI such as `http://127.0.0.1:50051`, and asks what it is and takes. With the feature
    /// `tls` a URI may begin with `https`; then the system's authorities are believed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    pub async fn connect(uri: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::connect_with(uri, ClientConfig::default()).await
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
    pub async fn connect_with(uri: impl AsRef<str>, config: ClientConfig) -> Result<Self, ConnectError> {
        let transport = Transport::new(uri.as_ref(), config)?;
        #[cfg(feature = "tls")]
        let transport = if transport.is_secure() { transport.with_tls(&ClientTls::new())? } else { transport };
        Self::over(transport).await
    }

    /// The same, over TLS.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    #[cfg(feature = "tls")]
    pub async fn connect_with_tls(
        uri: impl AsRef<str>,
        config: ClientConfig,
        tls: &ClientTls,
    ) -> Result<Self, ConnectError> {
        let transport = Transport::new(uri.as_ref(), config)?;
        if !transport.is_secure() {
            return Err(ConnectError::Uri {
                uri: uri.as_ref().to_owned(),
                reason: "with TLS it begins with https://".to_owned(),
            });
        }
        Self::over(transport.with_tls(tls)?).await
    }

    async fn over(transport: Transport) -> Result<Self, ConnectError> {
        let transport = transport.opened();
        let about = About::ask(&transport).await.map_err(|failure| transport.refused(failure))?;
        let runtime = tokio::runtime::Handle::current();
        Ok(Self { shared: Arc::new(Shared { transport, about, runtime }) })
    }

    /// The client as ports. Subscriptions are made here, of pages and hints; their tasks run on the tokio that the client
    /// was connected in. [`GrpcClient::subscribe`] gives those that the server makes. This wire tells of no schemas: there are
    /// [`NoSchemas`](portolan_kernel::ports::NoSchemas).
    #[must_use]
    pub fn ports(&self) -> Ports {
        let client = Arc::new(self.clone());
        let spawn = Arc::new(Tasks(self.shared.runtime.clone()));
        Ports::new(client.clone(), client.clone(), client.clone(), spawn)
            .with_projections(client.clone())
            .with_sagas(client)
    }
}

impl From<GrpcClient> for Ports {
    fn from(client: GrpcClient) -> Self {
        client.ports()
    }
}

struct Tasks(tokio::runtime::Handle);

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.0.spawn(task));
    }
}

macro_rules! services {
    ($($name:ident: $client:ident),*) => {
        impl Transport {$(
            fn $name(&self) -> $client<InterceptedService<Channel, Shown>> {
                let client = $client::new(self.service()).max_decoding_message_size(self.config().answer_bytes);
                if self.config().compression {
                    client.send_compressed(Gzip).accept_compressed(Gzip)
                } else {
                    client
                }
            }
        )*}
    };
}
services!(
    event_store: EventStoreClient, commands: CommandsClient, queries: QueriesClient, projections: ProjectionsClient,
    sagas: SagasClient
);

/// Why a server did not say what it is.
enum Silence {
    Call(Failure),
    Answer(Wrong),
}

impl From<Failure> for Silence {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl From<Wrong> for Silence {
    fn from(wrong: Wrong) -> Self {
        Self::Answer(wrong)
    }
}

impl About {
    async fn ask(transport: &Transport) -> Result<Self, Silence> {
        let (mut events, mut commands, mut queries) =
            (transport.event_store(), transport.commands(), transport.queries());
        let store = transport.read(CapabilitiesRequest {}, async |asked| events.capabilities(asked).await).await?;
        let commands = transport.read(DescribeCommandsRequest {}, async |asked| commands.describe(asked).await).await?;
        let queries = transport.read(DescribeQueriesRequest {}, async |asked| queries.describe(asked).await).await?;
        Ok(Self {
            capabilities: decode_capabilities(&store)?,
            append_bytes: store.append_request_bytes,
            request_bytes: store.request_bytes,
            commands: commands.checked()?,
            queries: queries.checked()?,
        })
    }
}

impl Transport {
    fn refused(&self, silence: Silence) -> ConnectError {
        let uri = self.uri().to_owned();
        match silence {
            Silence::Call(Failure::NotSent(source) | Failure::Lost(source)) => {
                ConnectError::Unreachable { uri, source }
            }
            Silence::Call(Failure::Answered(status)) if status.code() == tonic::Code::Unavailable => {
                ConnectError::Unreachable { uri, source: transport::source_of(&status) }
            }
            Silence::Call(Failure::Answered(status)) => match transport::denied(&status) {
                Some(reason) => ConnectError::Denied { uri, reason },
                None => ConnectError::Protocol { uri, reason: transport::source_of(&status).to_string() },
            },
            Silence::Answer(wrong) => ConnectError::Protocol { uri, reason: wrong.to_string() },
        }
    }
}
