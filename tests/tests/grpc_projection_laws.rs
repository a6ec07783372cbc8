//! The laws of projection registries, through gRPC: client and server, and the suite's application behind them.

use portolan::prelude::*;
use portolan_conformance::{Place, Projected, projection_registry_laws};
use portolan_kernel::ports::ProjectionRegistry;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

async fn remote(ports: Ports) -> Result<Arc<dyn ProjectionRegistry>, Box<dyn Error + Send + Sync>> {
    let server = GrpcServer::new(ports).bind("127.0.0.1:0".parse()?).await?;
    let uri = format!("http://{}", server.local_addr());
    // It serves until the test's runtime ends.
    tokio::spawn(server.serve(std::future::pending()));
    Ok(Arc::new(GrpcClient::connect(uri).await?))
}

projection_registry_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(Projected::on(MemoryStore::new()).through(remote)),
    lacks: {
        Durability: "the store behind it lives in memory",
        SeveralProcesses: "the store behind it lives in memory",
    },
}
