//! The laws of the command bus, through gRPC: client and server, and the suite's application behind them.

use portolan::prelude::*;
use portolan_conformance::{Served, command_bus_laws};
use std::error::Error;

async fn remote(served: &Served) -> Result<GrpcClient, Box<dyn Error + Send + Sync>> {
    let server = GrpcServer::new(served.ports()).bind("127.0.0.1:0".parse()?).await?;
    let uri = format!("http://{}", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(GrpcClient::connect(uri).await?)
}

command_bus_laws! {
    open: remote,
}
