//! The client that is the ports, beside the laws that run through it.

use super::support::{house, house_of, house_with};
use core::ops::Bound;
use portolan::ports::{
    AppendError, Body, CommandBus as _, CommandEnvelope, CommandError, EventStore as _, ProjectionAction,
    ProjectionError, ProjectionRegistry as _, QueryBus as _, QueryEnvelope, QueryError, RowsQuestion, WaitError,
};
use portolan::values::{Append, By, Cell, Edition, Format, Position};
use portolan_graphql::{ClientConfig, ConnectError, GraphqlClient};

#[tokio::test]
async fn the_registry_comes_back_whole() {
    let house = house_with(|server| server.with_projection_actions(true)).await;
    let client = GraphqlClient::connect(house.url()).await.unwrap();
    let balances = || super::shelf::name("balances");
    assert_eq!(client.list().await.unwrap(), house.shelf.list().await.unwrap());
    assert_eq!(client.status(balances()).await.unwrap(), house.shelf.status(balances()).await.unwrap());
    for (after, limit) in [(None, 2), (Position::new(2), 5)] {
        let expected = house.shelf.parked(balances(), after, limit).await.unwrap();
        assert_eq!(client.parked(balances(), after, limit).await.unwrap(), expected);
    }
    let by_owner = By::Index {
        name: "by-owner".parse().unwrap(),
        equals: vec![Cell::Text("Bob".into())],
        range: (Bound::Unbounded, Bound::Unbounded),
    };
    for question in [
        RowsQuestion::keys(balances(), vec!["acc-1".parse().unwrap(), "none".parse().unwrap()]),
        RowsQuestion::page(balances(), by_owner).limit(2).backward(),
    ] {
        let answer = client.rows(question.clone()).await.unwrap();
        assert_eq!(answer, house.shelf.rows(question.clone()).await.unwrap());
        if let Some(next) = answer.next {
            let question = question.after(Some(next));
            assert_eq!(client.rows(question.clone()).await.unwrap(), house.shelf.rows(question).await.unwrap());
        }
    }
    let actions = [
        ProjectionAction::Pause,
        ProjectionAction::CancelRebuild,
        ProjectionAction::Activate(Some(2)),
        ProjectionAction::Remove(Edition { version: 3, rebuild: 1 }),
        ProjectionAction::Retry(Position::new(1)),
        ProjectionAction::Drop(Position::MAX),
    ];
    for action in actions {
        client.act(balances(), action).await.unwrap();
        assert_eq!(house.shelf.acted.lock().unwrap().pop(), Some(action));
    }
    client.wait_for(balances(), Position::new(1).unwrap()).await.unwrap();
    let parked = client.wait_for(balances(), Position::new(999).unwrap()).await;
    assert!(matches!(parked, Err(WaitError::Parked { .. })), "{parked:?}");
    let unknown = client.status(super::shelf::name("none")).await;
    assert!(matches!(unknown, Err(ProjectionError::UnknownProjection(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_wait_goes_on_past_the_servers() {
    let house = house_of(|config| config.changed_wait = core::time::Duration::from_millis(20)).await;
    let client = GraphqlClient::connect(house.url()).await.unwrap();
    // No projection comes that far, and the server answers so, again and again.
    let waiting = client.wait_for(super::shelf::name("balances"), Position::new(998).unwrap());
    let waited = tokio::time::timeout(core::time::Duration::from_millis(500), waiting).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn questions_and_what_is_told_of_them_come_back() {
    let house = house().await;
    let client = GraphqlClient::connect(house.url()).await.unwrap();
    assert_eq!(client.queries(), house.questions.queries());
    assert_eq!(client.commands(), house.commands.commands());
    let ask = |id: &str| QueryEnvelope::new("account".parse().unwrap(), format!("{{\"id\":\"{id}\"}}"));
    assert_eq!(client.ask(ask("ann")).await.unwrap(), house.questions.ask(ask("ann")).await.unwrap());
    let missing = client.ask(ask("nobody")).await;
    assert!(matches!(&missing, Err(QueryError::NotFound(what)) if what == "no account nobody"), "{missing:?}");
}

#[tokio::test]
async fn this_wire_carries_no_appends() {
    let house = house().await;
    let client = GraphqlClient::connect(house.url()).await.unwrap();
    assert!(matches!(client.append(Append::default()).await, Err(AppendError::Other(_))));
    assert_eq!(client.capabilities(), house.store.capabilities());
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_command_unknown_and_a_question_busy() {
    let house = house().await;
    let mut config = ClientConfig::default();
    config.request_timeout = core::time::Duration::from_millis(50);
    let client = GraphqlClient::connect_with(house.url(), config).await.unwrap();
    let body = Body::Encoded("{}".into(), Format::Json);
    let lost = client.dispatch(CommandEnvelope::new("slow".parse().unwrap(), body)).await;
    assert!(matches!(lost, Err(CommandError::Unknown(_))), "{lost:?}");
    let lost = client.ask(QueryEnvelope::new("account".parse().unwrap(), "{\"id\":\"slow\"}")).await;
    assert!(matches!(lost, Err(QueryError::Busy(_))), "{lost:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_from_one_that_is_odd() {
    let house = house().await;
    let client = GraphqlClient::connect(house.url()).await.unwrap();
    let odd = GraphqlClient::connect(format!("http://{}/elsewhere", house.address)).await;
    assert!(matches!(odd, Err(ConnectError::Protocol { .. })), "{odd:?}");
    house.stop.send(()).unwrap();
    house.served.await.unwrap();
    let gone = GraphqlClient::connect(house.address.to_string()).await;
    assert!(matches!(gone, Err(ConnectError::Url { .. })), "{gone:?}");
    let gone = GraphqlClient::connect(format!("http://{}/graphql", house.address)).await;
    assert!(matches!(gone, Err(ConnectError::Unreachable { .. })), "{gone:?}");
    let body = Body::Encoded("{}".into(), Format::Json);
    let busy = client.dispatch(CommandEnvelope::new("tick".parse().unwrap(), body)).await;
    assert!(matches!(busy, Err(CommandError::Busy(_))), "{busy:?}");
}
