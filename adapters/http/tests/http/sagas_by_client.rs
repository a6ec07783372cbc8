//! The client as the port `SagaOrchestrator`.

use crate::support::access::{ANN, BOB, Guarded, NODE};
use crate::support::sagas::{ERROR, definition, errors, saga};
use crate::support::{Reply, Running};
use core::time::Duration;
use portolan_http::{ClientConfig, HttpClient};
use portolan_kernel::ports::{ActOnSaga, ListSagas, SagaAction, SagaError, SagaOrchestrator, SagaPhase, StartSaga};
use portolan_kernel::values::{Metadata, Revision, SagaId};
use rstest::rstest;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

async fn sagas(server: &Running) -> Arc<dyn SagaOrchestrator> {
    server.client().await.ports().sagas
}

#[tokio::test]
async fn the_client_is_the_orchestrator() {
    let server = Running::start().await;
    let (here, there) = (server.sagas.clone(), sagas(&server).await);
    assert_eq!(there.describe().await.unwrap(), here.describe().await.unwrap());
    let metadata = Metadata {
        correlation: Some("c \u{1F980}\n".into()),
        actor: Some("ann".into()),
        tenant: Some("".into()),
        traceparent: Some("of another form".into()),
        more: [("more".to_owned(), json!({ "a": [1] }))].into(),
        ..Metadata::default()
    };
    let ids = ["t-1", " a\"b\\c ", "\"quoted\"", "a/b%2Fc?#", "\u{1F980}%20", "\\", "timeline"];
    for id in ids {
        let unlucky = saga("transfer-money", id);
        let input = json!({ "amount": 13, "note": ["\u{1F980}\u{0}", 0.1, u64::MAX, -1, 5e-324] });
        let start = StartSaga::new(unlucky.clone(), input.clone()).with_metadata(metadata.clone());
        let started = there.start(start.clone()).await.unwrap();
        assert_eq!((&started.saga, started.version, started.repeated), (&unlucky, 2, false));
        assert!(started.position.is_some());
        assert_eq!(here.starts.lock().unwrap().pop(), Some(start.clone()));
        assert!(there.start(start.clone()).await.unwrap().repeated);
        let error = there.start(StartSaga::new(unlucky.clone(), json!({ "amount": 1 }))).await.unwrap_err();
        assert!(matches!(&error, SagaError::StartedOtherwise(of) if *of == unlucky), "{error:?}");

        here.drive(&unlucky).await;
        let stuck = there.status(unlucky.clone()).await.unwrap();
        assert_eq!(stuck, here.status(unlucky.clone()).await.unwrap());
        assert_eq!(stuck.status.phase, SagaPhase::NeedsOperator);
        let act = ActOnSaga::new(unlucky.clone(), SagaAction::Skip).with_note("so \"be\" it\n\u{0}");
        let act = act.with_metadata(metadata.clone());
        let acted = there.act(act.clone()).await.unwrap();
        assert_eq!(acted, here.status(unlucky.clone()).await.unwrap());
        assert_eq!(acted.status.phase, SagaPhase::Aborted);
        assert_eq!(here.acts.lock().unwrap().pop(), Some(act));

        let whole = here.timeline(unlucky.clone(), None, u32::MAX).await.unwrap();
        assert_eq!(there.timeline(unlucky.clone(), None, u32::MAX).await.unwrap(), whole);
        let (mut after, mut facts) = (None, Vec::new());
        loop {
            let page = there.timeline(unlucky.clone(), after, 2).await.unwrap();
            assert!(page.facts.len() <= 2);
            facts.extend(page.facts);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(facts, whole.facts);
    }
    assert_eq!(pages(&*there, ListSagas::all().limit(2)).await, pages(&*here, ListSagas::all().limit(2)).await);
    let filter =
        ListSagas::all().named(definition("transfer-money")).phase(SagaPhase::Aborted).phase(SagaPhase::Running);
    assert_eq!(pages(&*there, filter.clone().limit(3)).await.len(), ids.len());
    let asked = here.lists.lock().unwrap().iter().rev().find(|list| list.after.is_none()).cloned();
    assert_eq!(asked, Some(filter.limit(3)));
}

async fn pages(of: &dyn SagaOrchestrator, mut list: ListSagas) -> Vec<SagaId> {
    let mut found = Vec::new();
    loop {
        let page = of.list(list.clone()).await.unwrap();
        assert!(page.sagas.len() <= list.limit as usize);
        found.extend(page.sagas.into_iter().map(|summary| summary.saga));
        match page.next {
            None => return found,
            next => list = list.after(next),
        }
    }
}

/// Without a correlation, the saga's id is it (as where the orchestrator is in the same process).
#[tokio::test]
async fn a_saga_without_a_correlation_has_its_own() {
    let server = Running::start().await;
    let letter = saga("letter", "1");
    sagas(&server).await.start(StartSaga::new(letter.clone(), json!({}))).await.unwrap();
    let read = portolan_kernel::values::Read::stream(letter.stream());
    let page = server.store.read(read).await.unwrap();
    assert_eq!(Metadata::decode(&page.events[0].metadata).correlation.as_deref(), Some("letter/1"));
}

/// Each error of the port, from each of its functions, comes as it was.
#[tokio::test]
async fn every_error_comes_as_it_was() {
    let server = Running::start().await;
    let there = sagas(&server).await;
    for at in 0..errors(&saga(ERROR, "0")).len() {
        let of = saga(ERROR, &at.to_string());
        let expected = errors(&of).swap_remove(at);
        let is_damage = expected.to_string().contains("/srv");
        let same = |error: SagaError| match is_damage {
            true => {
                assert!(matches!(&error, SagaError::Other(source) if !source.to_string().contains("/srv")), "{error:?}")
            }
            false => assert_eq!(format!("{error:?}"), format!("{expected:?}")),
        };
        same(there.start(StartSaga::new(of.clone(), json!({}))).await.unwrap_err());
        same(there.status(of.clone()).await.unwrap_err());
        same(there.timeline(of.clone(), None, 1).await.unwrap_err());
        same(there.act(ActOnSaga::new(of.clone(), SagaAction::Abort)).await.unwrap_err());
        let named_by_list = errors(&saga(ERROR, &at.to_string())).swap_remove(at);
        let listed = there.list(ListSagas::all().after(Some(format!("error-{at}")))).await.unwrap_err();
        if !is_damage {
            assert_eq!(format!("{listed:?}"), format!("{named_by_list:?}"));
        }
    }
    server.sagas.tells.store(false, Ordering::Relaxed);
    assert!(matches!(there.describe().await, Err(SagaError::Busy(_))));
}

#[tokio::test]
async fn what_the_server_refuses_is_invalid() {
    let server = Running::start().await;
    let there = sagas(&server).await;
    let path = |error: SagaError| match error {
        SagaError::Invalid(violations) => violations[0].path.clone(),
        other => panic!("{other:?}"),
    };
    let letter = || saga("letter", "1");
    assert_eq!(path(there.list(ListSagas::all().limit(0)).await.unwrap_err()), "limit");
    assert_eq!(path(there.list(ListSagas::all().after(Some("x".into()))).await.unwrap_err()), "after");
    assert_eq!(path(there.timeline(letter(), Some(Revision::new(u64::MAX)), 0).await.unwrap_err()), "limit");
    assert_eq!(
        path(there.start(StartSaga::new(saga("transfer-money", "1"), json!({ "amount": 0 }))).await.unwrap_err()),
        "amount"
    );
    // More than the server takes, and deeper than it reads.
    assert_eq!(path(there.start(StartSaga::new(letter(), "x".repeat(3 << 20).into())).await.unwrap_err()), "");
    assert_eq!(
        path(there.act(ActOnSaga::new(letter(), SagaAction::Abort).with_note("x".repeat(3 << 20))).await.unwrap_err()),
        ""
    );
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let to = path(there.start(StartSaga::new(letter(), deep)).await.unwrap_err());
    assert!(to.starts_with("[0][0]"), "{to}");
    assert!(server.sagas.starts.lock().unwrap().iter().all(|start| start.saga != letter()));
}

#[tokio::test]
async fn where_actions_are_off_the_client_is_told() {
    let server = Running::with(|server| server.with_saga_actions(false)).await;
    let error = sagas(&server).await.act(ActOnSaga::new(saga("letter", "1"), SagaAction::Abort)).await.unwrap_err();
    assert!(matches!(&error, SagaError::Other(source) if source.to_string().contains("lets nobody")), "{error:?}");
}

/// A server that is no more: what only asks is `Busy`, and so is what was not sent.
#[tokio::test]
async fn where_nobody_listens_nothing_has_happened() {
    let mut server = Running::start().await;
    let there = sagas(&server).await;
    server.stop();
    server.stopped.take().unwrap().await.unwrap();
    let letter = || saga("letter", "1");
    assert!(matches!(there.start(StartSaga::new(letter(), 1.into())).await, Err(SagaError::Busy(_))));
    assert!(matches!(there.act(ActOnSaga::new(letter(), SagaAction::Abort)).await, Err(SagaError::Busy(_))));
    assert!(matches!(there.status(letter()).await, Err(SagaError::Busy(_))));
    assert!(matches!(there.list(ListSagas::all()).await, Err(SagaError::Busy(_))));
}

/// A server, or a proxy before it, that answers every request with this once a client has connected.
async fn answering(answer: String) -> Arc<dyn SagaOrchestrator> {
    let real = Running::start().await;
    let mut told = Vec::new();
    for path in ["/capabilities", "/commands", "/queries"] {
        told.push((path, String::from_utf8(real.get(path).await.body).unwrap()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let head = Reply::read_request(&mut socket).await;
            let known = told.iter().find(|(path, _)| head.starts_with(&format!("GET {path} ")));
            let reply = match known {
                Some((_, body)) => {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                }
                None => answer.clone(),
            };
            socket.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    let mut config = ClientConfig::default();
    config.request_timeout = Duration::from_secs(10);
    HttpClient::connect_with(format!("http://{address}"), config).await.unwrap().ports().sagas
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What is asked may be asked again; what was to be recorded may have been.
#[rstest]
#[case::a_broken_connection(String::new(), "Unknown", "Busy")]
#[case::a_bad_gateway(answer("502 Bad Gateway", "<html>"), "Unknown", "Busy")]
#[case::an_error_of_nobody(answer("500 Oops", ""), "Unknown", "Other")]
#[case::a_limit_of_a_proxy(answer("429 Too Many Requests", ""), "Busy", "Busy")]
#[case::a_proxy_without_the_route(answer("404 Not Found", "<html>"), "Other", "Other")]
#[case::no_answer_of_ours(answer("200 OK", "[]"), "Unknown", "Other")]
#[case::half_of_one(answer("201 Created", r#"{"name":"letter"}"#), "Unknown", "Other")]
#[case::of_no_saga(answer("200 OK", r#"{"name":"No Saga","id":"1","self":"/","version":1,"repeated":false,"phase":"running","started_at":"2026-07-25T17:20:00Z"}"#), "Unknown", "Other")]
#[case::a_problem_of_a_newer_server(
    answer("409 Conflict", r#"{"type":"urn:portolan:problem:saga-asleep","detail":"it sleeps"}"#),
    "Other",
    "Other"
)]
#[case::an_action_of_a_newer_server(answer("409 Conflict", r#"{"type":"urn:portolan:problem:saga-not-now","detail":"d","name":"letter","id":"1","action":"wake","reason":"r"}"#), "Other", "Other")]
#[tokio::test]
async fn what_is_no_answer_is_taken_with_care(#[case] answer: String, #[case] recording: &str, #[case] asking: &str) {
    let there = answering(answer).await;
    let variant = |error: SagaError| {
        let shown = format!("{error:?}");
        shown.split('(').next().unwrap().to_owned()
    };
    let letter = || saga("letter", "1");
    assert_eq!(variant(there.start(StartSaga::new(letter(), 1.into())).await.unwrap_err()), recording);
    assert_eq!(variant(there.act(ActOnSaga::new(letter(), SagaAction::Abort)).await.unwrap_err()), recording);
    assert_eq!(variant(there.status(letter()).await.unwrap_err()), asking);
    assert_eq!(variant(there.timeline(letter(), None, 1).await.unwrap_err()), asking);
    assert_eq!(variant(there.list(ListSagas::all()).await.unwrap_err()), asking);
    assert_eq!(variant(there.describe().await.unwrap_err()), asking);
}

#[tokio::test]
async fn a_newer_server_does_not_break_an_old_client() {
    let body = r#"{"name":"letter","id":"1","self":"/sagas/letter/1","version":1,"phase":"dreaming","way":"up","mood":{},
        "started_at":"2026-07-25T17:20:00Z"}"#;
    let there = answering(answer("200 OK", body)).await;
    let found = there.status(saga("letter", "1")).await.unwrap();
    assert_eq!(found.status.phase, SagaPhase::NeedsOperator);
    assert!(found.status.reason.unwrap().contains("dreaming"));
}

/// What each role may do over the wire; and who acts is who was let in, whatever he says.
#[tokio::test]
async fn roles_decide() {
    let guarded = Guarded::start().await;
    let sagas = async |who: &str| guarded.client(who).await.ports().sagas;
    let (ann, bob, node) = (sagas(ANN).await, sagas(BOB).await, sagas(NODE).await);
    let letter = || saga("letter", "1");
    let claims = Metadata { actor: Some("eve".into()), tenant: Some("south".into()), ..Metadata::default() };
    let start = |of: SagaId| StartSaga::new(of, json!({ "amount": 1 })).with_metadata(claims.clone());
    let abort = |of: SagaId| ActOnSaga::new(of, SagaAction::Abort).with_metadata(claims.clone());
    let denied = |error: SagaError, who: &str| match error {
        SagaError::Denied(reason) => assert!(reason.starts_with(&format!("{who} may not ")), "{reason}"),
        other => panic!("{other:?}"),
    };
    let before = guarded.reached();
    denied(bob.start(start(letter())).await.unwrap_err(), "bob");
    denied(bob.act(abort(letter())).await.unwrap_err(), "bob");
    denied(bob.status(letter()).await.unwrap_err(), "bob");
    denied(bob.timeline(letter(), None, 1).await.unwrap_err(), "bob");
    denied(bob.list(ListSagas::all().named(definition("letter"))).await.unwrap_err(), "bob");
    denied(ann.start(start(saga("transfer-money", "1"))).await.unwrap_err(), "ann");
    denied(ann.act(abort(letter())).await.unwrap_err(), "ann");
    assert_eq!(guarded.reached(), before);

    ann.start(start(letter())).await.unwrap();
    let seen = guarded.server.sagas.starts.lock().unwrap().pop().unwrap().metadata;
    assert_eq!((seen.actor.as_deref(), seen.tenant.as_deref()), (Some("ann"), Some("north")));
    assert_eq!(ann.status(letter()).await.unwrap().status.phase, SagaPhase::Running);
    // Nodes speak for others.
    node.act(abort(letter()).with_note("enough")).await.unwrap();
    let acted = ann.timeline(letter(), None, 100).await.unwrap().facts;
    let acted = acted.iter().find(|fact| fact.event_type == "$saga.acted").unwrap();
    assert_eq!((&acted.data["actor"], &acted.data["note"]), (&json!("eve"), &json!("enough")));
    // Lists show what may be seen, and definitions are no secret.
    assert_eq!(ann.list(ListSagas::all()).await.unwrap().sagas.len(), 1);
    assert!(bob.list(ListSagas::all()).await.unwrap().sagas.is_empty());
    assert_eq!(bob.describe().await.unwrap(), node.describe().await.unwrap());
}
