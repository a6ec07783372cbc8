//! The index on the wires: a projection that is operated like others, and no type of the schema.

use crate::trips::{Goes, Kind, World, sagas, trip};
use portolan::ports::{ProjectionAction, ProjectionRegistry, RowsQuestion};
use portolan::values::By;
use portolan::{HttpClient, HttpServer};
use portolan_graphql::GraphqlServer;

#[tokio::test]
async fn over_http_it_is_a_projection() {
    let world = World::new(Kind::Memory).await;
    world.goes(&trip("a,b"), Goes::Well).await;
    world.caught_up().await;
    let server = HttpServer::new(world.application.ports()).with_projection_actions(true);
    let server = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let served = tokio::spawn(server.serve(std::future::pending()));
    let far = HttpClient::connect(&url).await.unwrap().ports().projections;
    let near = world.projections();
    assert_eq!(far.list().await.unwrap(), near.list().await.unwrap());
    let question = || RowsQuestion::page(sagas(), By::key());
    let rows = far.rows(question()).await.unwrap().rows;
    assert_eq!(rows, near.rows(question()).await.unwrap().rows);
    assert_eq!(far.rows(RowsQuestion::keys(sagas(), vec![rows[0].key.clone()])).await.unwrap().rows, rows);
    far.act(sagas(), ProjectionAction::Pause).await.unwrap();
    while near.status(sagas()).await.unwrap().state != portolan::ports::ProjectionState::Paused {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    served.abort();
}

#[tokio::test]
async fn in_graphql_it_has_no_types_of_its_own() {
    let world = World::new(Kind::Memory).await;
    world.start(&trip("a"), Goes::Well).await;
    world.caught_up().await;
    let sdl = GraphqlServer::new(world.application.ports()).service().await.sdl();
    assert!(sdl.contains("type Projection ") && !sdl.contains("SagasRow"), "{sdl}");
}
