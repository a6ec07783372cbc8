//! The laws of the store, read through GraphQL. This wire carries no appends, so they go to the store itself; all that is
//! read comes through client and server.

use async_trait::async_trait;
use portolan::ports::{AppendError, Capabilities, EventStore, ReadError};
use portolan::prelude::*;
use portolan::values::{Append, Appended, CheckpointState, Page, Read, Recalled};
use portolan_conformance::{Place, event_store_laws};
use portolan_graphql::{GraphqlClient, GraphqlServer};
use std::error::Error;
use std::sync::Arc;

struct ReadRemotely {
    store: Arc<dyn EventStore>,
    client: GraphqlClient,
}

#[async_trait]
impl EventStore for ReadRemotely {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.client.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.client.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.client.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.client.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }
}

async fn remote(place: &Place) -> Result<ReadRemotely, Box<dyn Error + Send + Sync>> {
    let store = MemoryStore::builder().clock(place.clock()).build();
    let application = Application::builder(store, Runtime::tokio()).build().await?;
    let store = application.ports().events;
    let server = GraphqlServer::new(application.ports()).bind("127.0.0.1:0".parse()?).await?;
    let url = format!("http://{}/graphql", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(ReadRemotely { store, client: GraphqlClient::connect(url).await? })
}

event_store_laws! {
    open: remote,
    lacks: {
        Durability: "the store behind it lives in memory",
        SeveralProcesses: "the store behind it lives in memory",
    },
}
