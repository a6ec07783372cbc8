//! The laws of the store, through gRPC: client, server with raw appends, and the store in memory behind them.

use portolan::prelude::*;
use portolan_conformance::{Place, event_store_laws};
use std::error::Error;

async fn remote(place: &Place) -> Result<GrpcClient, Box<dyn Error + Send + Sync>> {
    let store = MemoryStore::builder().clock(place.clock()).build();
    let application = Application::builder(store, Runtime::tokio()).build().await?;
    let server = GrpcServer::new(application.ports()).with_raw_appends(true).bind("127.0.0.1:0".parse()?).await?;
    let uri = format!("http://{}", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(GrpcClient::connect(uri).await?)
}

event_store_laws! {
    open: remote,
    lacks: {
        Durability: "the store behind it lives in memory",
        SeveralProcesses: "the store behind it lives in memory",
    },
}
