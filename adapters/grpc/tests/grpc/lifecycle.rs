//! Start, health and stop.

use crate::support::{Noon, Running, WriteProtected, append, command};
use core::time::Duration;
use portolan_conformance::ReferenceStore;
use portolan_grpc::ServeError;
use portolan_kernel::ports::{CommandBus as _, CommandError, EventStore as _, ProjectionRegistry as _, WaitError};
use portolan_kernel::values::{Position, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tonic::Code;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codec::Streaming;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn accepted_work_is_finished() {
    let mut server = Running::start().await;
    let client = server.client().await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.dispatch(command("slow")).await }
    });
    let hint = tokio::spawn({
        let client = client.clone();
        async move { client.changed(Query::all(), None).await }
    });
    let wait = tokio::spawn({
        let client = client.clone();
        async move { client.wait_for("slow".parse().unwrap(), Position::MAX).await }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let address = server.address;
    server.ended().await;
    slow.await.unwrap().unwrap();
    hint.await.unwrap().unwrap();
    assert!(matches!(wait.await.unwrap(), Err(WaitError::Busy(_))));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn work_that_does_not_finish_is_cut_off() {
    let mut server = Running::configured(|config| config.drain_timeout = Duration::from_millis(200)).await;
    let client = server.client().await;
    let stuck = tokio::spawn(async move { client.dispatch(command("stuck")).await });
    let half = tokio::net::TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.ended().await;
    // The connection is gone with the server, whoever is at its other end.
    let cut = tokio::time::timeout(Duration::from_secs(10), stuck).await.expect("it is still waited for").unwrap();
    assert!(matches!(cut, Err(CommandError::Unknown(_))), "{cut:?}");
    drop(half);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let mut server = Running::start().await;
    let client = server.client().await;
    let stuck = tokio::spawn(async move { client.dispatch(command("stuck")).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.stopped.take().unwrap().abort();
    let cut = tokio::time::timeout(Duration::from_secs(10), stuck).await.expect("it is still waited for").unwrap();
    assert!(matches!(cut, Err(CommandError::Unknown(_))), "{cut:?}");
}

#[tokio::test]
async fn an_address_is_taken_once() {
    let server = Running::start().await;
    let ports = server.client().await.ports();
    let error = portolan_grpc::GrpcServer::new(ports).bind(server.address).await.unwrap_err();
    assert!(matches!(error, ServeError::Bind { address, .. } if address == server.address), "{error:?}");
}

/// The next status of a watch; `None` at its end.
async fn told(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let next = tokio::time::timeout(Duration::from_secs(10), watch.message()).await.expect("nothing is told");
    next.unwrap().map(|response| response.status())
}

#[tokio::test]
async fn health_is_that_of_the_store() {
    let store =
        Arc::new(WriteProtected { store: ReferenceStore::new(Arc::new(Noon)), is_protected: AtomicBool::new(false) });
    let mut config = portolan_grpc::ServerConfig::default();
    config.health_interval = Duration::from_millis(20);
    let mut server = Running::over(store.clone(), |server| server.with_config(config)).await;
    let mut client = HealthClient::new(server.channel().await).send_compressed(Gzip);
    let mut watch = client.watch(of("")).await.unwrap().into_inner();
    let mut unknown = client.watch(of("x")).await.unwrap().into_inner();
    assert_eq!(told(&mut unknown).await, Some(ServingStatus::ServiceUnknown));
    assert_eq!(told(&mut watch).await, Some(ServingStatus::Serving));
    for service in
        ["", "portolan.v1.EventStore", "portolan.v1.Commands", "portolan.v1.Queries", "portolan.v1.Projections"]
    {
        let status = client.check(of(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    assert_eq!(client.check(of("portolan.v2.Commands")).await.unwrap_err().code(), Code::NotFound);

    store.is_protected.store(true, Ordering::Relaxed);
    assert_eq!(told(&mut watch).await, Some(ServingStatus::NotServing));
    assert_eq!(client.check(of("")).await.unwrap().into_inner().status(), ServingStatus::NotServing);
    store.is_protected.store(false, Ordering::Relaxed);
    assert_eq!(told(&mut watch).await, Some(ServingStatus::Serving));
    store.append(append()).await.unwrap();

    server.ended().await;
    assert_eq!(told(&mut watch).await, Some(ServingStatus::NotServing));
    assert_eq!(told(&mut watch).await, None);
    assert_eq!(told(&mut unknown).await, None);
}
