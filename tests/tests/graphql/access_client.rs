//! The client shows who it is, and hears `Denied` of every port.

use super::access::{ANN, EVE, Says, admission, guarded, is_untouched};
use super::orchestra::every_call;
use super::shelf::name;
use super::support::{Parts, house_with};
use futures::StreamExt as _;
use portolan::application::{Admission, Ports};
use portolan::drivers::From;
use portolan::ports::{
    AuthenticationError, Body, Caller, CommandEnvelope, CommandError, Credentials, ProjectionAction, ProjectionError,
    QueryEnvelope, QueryError, ReadError, RowsQuestion, SagaError, Source, WaitError,
};
use portolan::values::{Format, Position, Query, Read};
use portolan_graphql::{ClientConfig, ConnectError, GraphqlClient};
use std::sync::atomic::Ordering;

fn showing(authorization: &str) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.authorization = Some(authorization.to_owned());
    config
}

/// What each port answers, where nothing is allowed.
async fn answers(ports: &Ports) -> Vec<(&'static str, Option<String>)> {
    let command = |error| match error {
        CommandError::Denied(reason) => Some(reason),
        _ => None,
    };
    let read = |error| match error {
        ReadError::Denied(reason) => Some(reason),
        _ => None,
    };
    let projection = |error| match error {
        ProjectionError::Denied(reason) => Some(reason),
        _ => None,
    };
    let tick = CommandEnvelope::new("tick".parse().unwrap(), Body::Encoded("{}".into(), Format::Json));
    let asked = ports.queries.ask(QueryEnvelope::new("account".parse().unwrap(), "{\"id\":\"ann\"}")).await;
    let waited = ports.projections.wait_for(name("balances"), Position::new(1).unwrap()).await;
    let balances = || RowsQuestion::keys(name("balances"), vec!["acc-1".parse().unwrap()]);
    let saga = |error| match error {
        SagaError::Denied(reason) => Some(reason),
        _ => None,
    };
    let sagas = every_call(&*ports.sagas, &super::orchestra::saga("order", "1")).await;
    let sagas = sagas.into_iter().map(|answer| ("saga", answer.err().and_then(saga)));
    let mut answers = vec![
        ("dispatch", ports.commands.dispatch(tick).await.err().and_then(command)),
        ("ask", asked.err().and_then(|error| if let QueryError::Denied(reason) = error { Some(reason) } else { None })),
        ("read", ports.events.read(Read::log(Query::all())).await.err().and_then(read)),
        ("read", ports.events.read(Read::stream("thing-1".parse().unwrap())).await.err().and_then(read)),
        ("recall", ports.events.recall(name("a"), name("b")).await.err().and_then(read)),
        ("checkpoint", ports.events.checkpoint(name("a")).await.err().and_then(read)),
        ("changed", ports.events.changed(Query::all(), None).await.err().and_then(read)),
        ("status", ports.projections.status(name("balances")).await.err().and_then(projection)),
        ("act", ports.projections.act(name("balances"), ProjectionAction::Pause).await.err().and_then(projection)),
        ("rows", ports.projections.rows(balances()).await.err().and_then(projection)),
        (
            "wait_for",
            waited.err().and_then(|error| if let WaitError::Denied(reason) = error { Some(reason) } else { None }),
        ),
        ("subscribe", {
            let first = ports.subscriptions.subscribe(Query::all(), From::Beginning).next().await.unwrap();
            let error = first.expect_err("nothing is allowed").to_string();
            error.contains("not allowed").then_some(error)
        }),
    ];
    answers.extend(sagas);
    answers
}

#[tokio::test]
async fn what_a_policy_denies_comes_back_of_every_port() {
    let house = guarded().await;
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let ports = GraphqlClient::connect_with(house.url(), showing(EVE)).await.unwrap().ports();
    let inside = admission().admit(&Credentials::new(EVE), &Parts::new().ports()).await.unwrap().ports;
    let (came, expected) = (answers(&ports).await, answers(&inside).await);
    for (port, reason) in &expected {
        assert!(reason.is_some(), "{port}");
    }
    assert_eq!(came, expected);
    assert_eq!(ports.projections.list().await.unwrap(), []);
    let parked = ports.projections.parked(name("balances"), None, 1).await;
    assert!(matches!(parked, Err(ProjectionError::Denied(_))), "{parked:?}");
    assert!(is_untouched(&house, asked));
}

#[tokio::test]
async fn who_is_not_known_any_more_hears_so_of_every_port() {
    let says = Says::new(Ok(Caller::new("ann")));
    let house = house_with(|server| {
        server.with_admission(Admission::by(says.clone())).with_projection_actions(true).with_saga_actions(true)
    })
    .await;
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let client = GraphqlClient::connect_with(house.url(), showing(ANN)).await.unwrap();
    let refused = |error: &AuthenticationError| match error {
        AuthenticationError::Denied(reason) => reason.clone(),
        other => other.to_string(),
    };
    for error in [
        AuthenticationError::Missing,
        AuthenticationError::Refused("they have expired".into()),
        AuthenticationError::Denied("ann is locked".into()),
    ] {
        let expected = refused(&error);
        *says.0.lock().unwrap() = Err(error);
        for (port, reason) in answers(&client.ports()).await {
            let reason = reason.unwrap_or_else(|| panic!("{port}"));
            assert!(reason == expected || (port == "subscribe" && reason.contains(&expected)), "{port}: {reason}");
        }
        let list = client.ports().projections.list().await;
        assert!(matches!(&list, Err(ProjectionError::Denied(reason)) if *reason == expected), "{list:?}");
    }
    *says.0.lock().unwrap() = Err(AuthenticationError::Busy(Source::new("no keys")));
    let tick = CommandEnvelope::new("tick".parse().unwrap(), Body::Encoded("{}".into(), Format::Json));
    let busy = client.ports().commands.dispatch(tick).await;
    assert!(
        matches!(&busy, Err(CommandError::Busy(source)) if source.to_string() == "who sends this cannot be found out now; try again"),
        "{busy:?}"
    );
    for answer in every_call(&*client.ports().sagas, &super::orchestra::saga("order", "1")).await {
        assert!(matches!(answer, Err(SagaError::Busy(_))), "{answer:?}");
    }
    let busy = client.ports().events.read(Read::log(Query::all())).await;
    assert!(matches!(busy, Err(ReadError::Busy(_))), "{busy:?}");
    assert!(is_untouched(&house, asked));
}

#[tokio::test]
async fn a_client_that_is_not_let_in_is_told_so() {
    let house = guarded().await;
    for config in [ClientConfig::default(), showing("Bearer forged-by-somebody"), showing("")] {
        let refused = GraphqlClient::connect_with(house.url(), config).await;
        assert!(matches!(&refused, Err(ConnectError::Denied { .. })), "{refused:?}");
    }
    for text in ["Bearer é", "Bearer a\r\nb: c"] {
        let refused = GraphqlClient::connect_with(house.url(), showing(text)).await;
        assert!(matches!(&refused, Err(ConnectError::Authorization)), "{refused:?}");
        assert!(!format!("{refused:?}").contains(text));
    }
    assert!(!format!("{:?}", showing(ANN)).contains("has-this-key"));
    let client = GraphqlClient::connect_with(house.url(), showing(ANN)).await.unwrap();
    assert!(!format!("{client:?}").contains("has-this-key"));
    house.append("thing-1", &["0"]).await;
    assert_eq!(client.ports().events.read(Read::log(Query::all())).await.unwrap().events.len(), 1);
}
