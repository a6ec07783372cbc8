//! Credentials of a client, and what its ports say where they are not enough.

use crate::support::access::{ANN, BOB, Guarded, NODE};
use crate::support::schemas;
use core::time::Duration;
use futures::StreamExt as _;
use portolan_http::{ClientConfig, ConnectError, HttpClient};
use portolan_kernel::application::Ports;
use portolan_kernel::drivers::{Delivery, From, SubscribeError};
use portolan_kernel::ports::{
    ActOnSaga, AppendError, Body, CommandEnvelope, CommandError, ListSagas, ProjectionAction, ProjectionError,
    QueryEnvelope, QueryError, ReadError, RowsQuestion, SagaAction, SagaError, SchemaError, StartSaga, WaitError,
};
use portolan_kernel::values::{Append, Format, IdempotencyKey, Item, Name, NewEvent, Position, Query, Read};
use std::sync::atomic::Ordering;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn command(of: &str) -> CommandEnvelope {
    CommandEnvelope::new(name(of), Body::Encoded("{}".into(), Format::Json))
}

fn append(to: &str) -> Append {
    Append::new([NewEvent::new(to.parse().unwrap(), "t".parse().unwrap(), "{}")])
}

/// What each port says to whatever it can be asked, where that is `Denied`.
async fn denials(ports: &Ports) -> Vec<String> {
    let mut said = Vec::new();
    macro_rules! denied {
        ($asked:expr, $error:path) => {
            match $asked.await {
                Err($error(reason)) => said.push(reason),
                other => panic!("{} is {other:?}", stringify!($asked)),
            }
        };
    }
    let Ports { commands, queries, projections, events, sagas, .. } = ports;
    let balances = || name("balances");
    denied!(commands.dispatch(command("echo")), CommandError::Denied);
    denied!(queries.ask(QueryEnvelope::new(name("echo"), "{}")), QueryError::Denied);
    denied!(events.append(append("mine-1")), AppendError::Denied);
    let key = IdempotencyKey::new(name("s"), name("i"), [0; 32]);
    denied!(events.append(append("mine-1").key(key)), AppendError::Denied);
    denied!(events.read(Read::stream("written".parse().unwrap())), ReadError::Denied);
    denied!(events.read(Read::log(Query::all())), ReadError::Denied);
    denied!(events.recall(name("s"), name("i")), ReadError::Denied);
    denied!(events.checkpoint(name("c")), ReadError::Denied);
    denied!(events.changed(Query::all(), None), ReadError::Denied);
    denied!(projections.status(balances()), ProjectionError::Denied);
    denied!(projections.act(balances(), ProjectionAction::Pause), ProjectionError::Denied);
    denied!(projections.parked(balances(), None, 1), ProjectionError::Denied);
    denied!(projections.rows(RowsQuestion::keys(balances(), Vec::new())), ProjectionError::Denied);
    denied!(projections.wait_for(balances(), Position::new(1).unwrap()), WaitError::Denied);
    let letter = || crate::support::sagas::saga("letter", "1");
    denied!(sagas.start(StartSaga::new(letter(), 1.into())), SagaError::Denied);
    denied!(sagas.list(ListSagas::all().named(name("letter"))), SagaError::Denied);
    denied!(sagas.status(letter()), SagaError::Denied);
    denied!(sagas.timeline(letter(), None, 1), SagaError::Denied);
    denied!(sagas.act(ActOnSaga::new(letter(), SagaAction::Abort)), SagaError::Denied);
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Beginning);
    let Some(Err(SubscribeError::Read(ReadError::Denied(reason)))) = live.next().await else { panic!("it is let in") };
    assert!(live.next().await.is_none());
    said.push(reason);
    said
}

#[tokio::test]
async fn what_no_role_allows_is_denied_by_every_port() {
    let guarded = Guarded::start().await;
    let client = guarded.client(BOB).await.ports();
    for reason in denials(&client).await {
        assert!(reason.starts_with("bob may not "), "{reason}");
    }
    assert!(client.projections.list().await.unwrap().is_empty());
    // What can be done at all is no secret, as with the lists of commands and questions.
    assert_eq!(client.schemas.list().await.unwrap(), schemas::all());
    assert_eq!(guarded.reached(), 0);
}

/// Whoever was let in once is not for ever. Nothing has happened, not even to an append.
#[tokio::test]
async fn who_is_let_in_no_longer_is_denied_by_every_port() {
    let guarded = Guarded::start().await;
    let client = guarded.client(NODE).await.ports();
    client.commands.dispatch(command("write")).await.unwrap();
    let reached = guarded.reached();
    guarded.doorman.revokes.store(true, Ordering::Relaxed);
    for reason in denials(&client).await {
        assert_eq!(reason, "these credentials are not accepted: they were revoked");
    }
    assert!(matches!(client.projections.list().await, Err(ProjectionError::Denied(_))));
    assert!(matches!(client.sagas.list(ListSagas::all()).await, Err(SagaError::Denied(_))));
    assert!(matches!(client.sagas.describe().await, Err(SagaError::Denied(_))));
    assert!(matches!(client.schemas.list().await, Err(SchemaError::Denied(_))));
    assert!(matches!(client.schemas.schema(schemas::event("open"), 2).await, Err(SchemaError::Denied(_))));
    assert_eq!(guarded.reached(), reached);
}

#[tokio::test]
async fn a_client_shows_its_credentials_with_everything() {
    let guarded = Guarded::start().await;
    let ports = guarded.client(ANN).await.ports();
    let mut sent = command("write");
    sent.metadata.actor = Some("eve".into());
    ports.commands.dispatch(sent).await.unwrap();
    let seen = guarded.server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!((seen.metadata.actor.as_deref(), seen.metadata.tenant.as_deref()), (Some("ann"), Some("north")));
    ports.queries.ask(QueryEnvelope::new(name("echo"), "{}")).await.unwrap();
    ports.events.append(append("mine-1")).await.unwrap();
    ports.events.append(Append::default()).await.unwrap();
    ports.events.read(Read::stream("mine-1".parse().unwrap())).await.unwrap();
    let written = Query::of(Item::new().category(name("written")));
    ports.events.changed(written, None).await.unwrap();
    let denied = ports.events.append(append("written")).await;
    assert!(matches!(denied, Err(AppendError::Denied(_))), "{denied:?}");
}

#[tokio::test]
async fn a_node_does_for_others_what_it_may() {
    let guarded = Guarded::start().await;
    let ports = guarded.client(NODE).await.ports();
    let mut sent = command("write");
    sent.metadata.actor = Some("eve".into());
    ports.commands.dispatch(sent).await.unwrap();
    let seen = guarded.server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!((seen.metadata.actor.as_deref(), seen.metadata.tenant), (Some("eve"), None));
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Beginning);
    assert!(matches!(live.next().await, Some(Ok(Delivery::Event(_)))));
    assert_eq!(ports.projections.list().await.unwrap().len(), 1);
    ports.projections.act(name("balances"), ProjectionAction::Pause).await.unwrap();
}

async fn connecting(guarded: &Guarded, authorization: Option<&str>) -> ConnectError {
    let mut config = ClientConfig::default();
    config.authorization = authorization.map(str::to_owned);
    config.request_timeout = Duration::from_secs(10);
    HttpClient::connect_with(format!("http://{}", guarded.server.address), config).await.unwrap_err()
}

#[tokio::test]
async fn a_client_that_is_not_let_in_does_not_connect() {
    let guarded = Guarded::start().await;
    for (authorization, says) in [
        (None, "credentials are needed"),
        (Some("Bearer nobody-has-this"), "nobody has this key"),
        (Some("Bearer banned"), "ann is banned"),
    ] {
        let error = connecting(&guarded, authorization).await;
        let ConnectError::Denied { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains(says), "{reason}");
    }
    let error = connecting(&guarded, Some("Bearer busy")).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    for unsendable in ["Bearer a\nb", "Bearer \u{0}", "\u{7F}"] {
        let error = connecting(&guarded, Some(unsendable)).await;
        assert!(matches!(error, ConnectError::Credentials), "{error:?}");
    }
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn credentials_show_themselves_nowhere() {
    let mut config = ClientConfig::default();
    config.authorization = Some("Bearer ann-has-this-key".into());
    let guarded = Guarded::start().await;
    for shown in [format!("{config:?}"), format!("{:?}", guarded.client(ANN).await)] {
        assert!(!shown.contains("has-this"), "{shown}");
    }
}
