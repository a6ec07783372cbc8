//! The ways to the ports of an application.

use async_trait::async_trait;
use core::future::pending;
use core::net::SocketAddr;
use portolan::application::{Application, Ports};
use portolan::ports::{AppendError, Capabilities, EventStore, ReadError};
use portolan::prelude::{GraphqlClient, GraphqlServer, GrpcClient, GrpcServer, HttpClient, HttpServer};
use portolan::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled};
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

    /// The application's ports, through a server and a client. The server serves until the test's runtime ends.
    pub(crate) async fn open(self, application: &Application) -> Ports {
        let ports = application.ports();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        match self {
            Self::InProcess => ports,
            Self::Http => {
                let server = HttpServer::new(ports).with_raw_appends(true).bind(free).await.unwrap();
                let url = format!("http://{}", server.local_addr());
                tokio::spawn(server.serve(pending()));
                HttpClient::connect(url).await.unwrap().ports()
            }
            Self::Graphql => {
                let server = GraphqlServer::new(ports.clone()).with_projection_actions(true).bind(free).await.unwrap();
                let url = format!("http://{}/graphql", server.local_addr());
                tokio::spawn(server.serve(pending()));
                let mut client = GraphqlClient::connect(url).await.unwrap().ports();
                client.events = Arc::new(ReadRemotely { appended: ports.events, read: client.events });
                client
            }
            Self::Grpc => {
                let server = GrpcServer::new(ports).with_raw_appends(true).bind(free).await.unwrap();
                let uri = format!("http://{}", server.local_addr());
                tokio::spawn(server.serve(pending()));
                GrpcClient::connect(uri).await.unwrap().ports()
            }
        }
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
