//! The laws of projection registries, through GraphQL: client and server, and the suite's application behind them.

use portolan::prelude::*;
use portolan_conformance::{Place, Projected, projection_registry_laws};
use portolan_graphql::{GraphqlClient, GraphqlServer};
use portolan_kernel::ports::ProjectionRegistry;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

async fn remote(ports: Ports) -> Result<Arc<dyn ProjectionRegistry>, Box<dyn Error + Send + Sync>> {
    let server = GraphqlServer::new(ports).with_projection_actions(true).bind("127.0.0.1:0".parse()?).await?;
    let url = format!("http://{}/graphql", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(Arc::new(GraphqlClient::connect(url).await?))
}

projection_registry_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(Projected::on(MemoryStore::new()).through(remote)),
    lacks: {
        Durability: "the store behind it lives in memory",
        SeveralProcesses: "the store behind it lives in memory",
    },
}
