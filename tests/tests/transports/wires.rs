//! The ways to the ports of an application.

use async_trait::async_trait;
use core::future::pending;
use core::net::SocketAddr;
use portolan::application::{Admission, Ports};
use portolan::ports::{AppendError, Capabilities, Credentials, EventStore, ReadError};
use portolan::prelude::{GraphqlClient, GraphqlServer, GrpcClient, GrpcServer, HttpClient, HttpServer};
use portolan::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled};
use std::error::Error;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    InProcess,
    Http,
    Graphql,
    Grpc,
}

impl Wire {
    /// All, the first the one that others are measured by.
    pub(crate) const ALL: [Self; 4] = [Self::InProcess, Self::Http, Self::Graphql, Self::Grpc];

    /// An application's ports, through a server and a client. The server serves until the test's runtime ends.
    pub(crate) async fn open(self, ports: Ports) -> Ports {
        self.open_to(ports, Admission::default(), None).await.unwrap()
    }

    /// The same through a server that lets in whom this admits, for one who shows that.
    pub(crate) async fn open_to(
        self,
        ports: Ports,
        admission: Admission,
        shown: Option<String>,
    ) -> Result<Ports, Box<dyn Error + Send + Sync>> {
        macro_rules! config {
            ($adapter:ident) => {{
                let mut config = portolan::$adapter::ClientConfig::default();
                config.authorization = shown;
                config
            }};
        }
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(match self {
            Self::InProcess => {
                let credentials = shown.map_or_else(Credentials::none, Credentials::new);
                admission.admit(&credentials, &ports).await?.ports
            }
            Self::Http => {
                let server = HttpServer::new(ports).with_raw_appends(true).with_admission(admission).bind(free).await?;
                let url = format!("http://{}", server.local_addr());
                tokio::spawn(server.serve(pending()));
                HttpClient::connect_with(url, config!(http)).await?.ports()
            }
            Self::Graphql => {
                let server = GraphqlServer::new(ports.clone()).with_projection_actions(true).with_saga_actions(true);
                let server = server.with_admission(admission).bind(free).await?;
                let url = format!("http://{}/graphql", server.local_addr());
                tokio::spawn(server.serve(pending()));
                let mut client = GraphqlClient::connect_with(url, config!(graphql)).await?.ports();
                client.events = Arc::new(ReadRemotely { appended: ports.events, read: client.events });
                client
            }
            Self::Grpc => {
                let server = GrpcServer::new(ports).with_raw_appends(true).with_admission(admission).bind(free).await?;
                let uri = format!("http://{}", server.local_addr());
                tokio::spawn(server.serve(pending()));
                GrpcClient::connect_with(uri, config!(grpc)).await?.ports()
            }
        })
    }
}

/// GraphQL carries no appends: they go to the store itself. All that is read comes over the wire.
struct ReadRemotely {
    appended: Arc<dyn EventStore>,
    read: Arc<dyn EventStore>,
}

#[async_trait]
impl EventStore for ReadRemotely {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.appended.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.read.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.read.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.read.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.read.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.read.capabilities()
    }
}
