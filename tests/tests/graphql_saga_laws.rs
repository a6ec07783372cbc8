//! The laws of saga orchestrators, through GraphQL.

use portolan::ports::SagaOrchestrator;
use portolan::prelude::*;
use portolan_conformance::{Orchestrated, Place, saga_laws};
use portolan_graphql::{GraphqlClient, GraphqlServer};
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

/// Server and client live in the runtime of the process whose ports these are, and die with it.
async fn remote(ports: Ports) -> Result<Arc<dyn SagaOrchestrator>, Box<dyn Error + Send + Sync>> {
    let server = GraphqlServer::new(ports).with_saga_actions(true).bind("127.0.0.1:0".parse()?).await?;
    let url = format!("http://{}/graphql", server.local_addr());
    tokio::spawn(server.serve(std::future::pending()));
    Ok(Arc::new(GraphqlClient::connect(url).await?))
}

saga_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(Orchestrated::on(MemoryStore::new()).through(remote)),
    lacks: { Durability: "the store behind it lives in memory", SeveralProcesses: "the store behind it lives in memory" },
}
