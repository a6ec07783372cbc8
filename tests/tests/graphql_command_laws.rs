//! The laws of the command bus, through GraphQL: client and server, and the suite's application behind them.

use portolan_conformance::{Served, command_bus_laws};
use portolan_graphql::{GraphqlClient, GraphqlServer};
use std::error::Error;

async fn remote(served: &Served) -> Result<GraphqlClient, Box<dyn Error + Send + Sync>> {
    let server = GraphqlServer::new(served.ports()).bind("127.0.0.1:0".parse()?).await?;
    let url = format!("http://{}/graphql", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(GraphqlClient::connect(url).await?)
}

command_bus_laws! {
    open: remote,
}
