//! Sagas arrive as they were.

use crate::support::sagas::{
    ERRORS, HOSTILE, act, definitions, error, every_call, page, saga, start, summaries, timeline,
};
use crate::support::{Running, lossy};
use portolan_grpc::GrpcClient;
use portolan_grpc::proto::{self, sagas_client::SagasClient};
use portolan_kernel::ports::{ListSagas, SagaAction, SagaError, SagaOrchestrator as _, SagaPhase, StartSaga};
use portolan_kernel::values::{Metadata, Position, Revision};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

fn metadata() -> Metadata {
    Metadata {
        correlation: Some("c-1".into()),
        causation: Some("c-0".into()),
        actor: Some("Ann Größe".into()),
        tenant: Some("north".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        more: [("ship".to_owned(), serde_json::json!({ "deck": [1, null] }))].into_iter().collect(),
        ..Metadata::default()
    }
}

#[tokio::test]
async fn what_is_started_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let first = start(saga("transfer-money", HOSTILE)).with_metadata(metadata());
    let started = client.start(first.clone()).await.unwrap();
    assert_eq!((started.saga, started.version), (saga("transfer-money", HOSTILE), u32::MAX));
    assert_eq!((started.position, started.repeated), (Some(Position::MAX), false));
    let second = StartSaga::new(saga("order", "1"), Value::Null);
    let started = client.start(second.clone()).await.unwrap();
    assert_eq!((started.position, started.repeated), (None, true));
    assert_eq!(*server.sagas.started.lock().unwrap(), [first, second]);
}

#[tokio::test]
async fn how_sagas_stand_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    for (nth, expected) in summaries().into_iter().enumerate() {
        assert_eq!(client.status(saga("order", &nth.to_string())).await.unwrap(), expected);
    }
    let of = saga("transfer-money", HOSTILE);
    let last = Some(Revision::new(u64::MAX));
    assert_eq!(client.timeline(of.clone(), last, u32::MAX).await.unwrap(), timeline());
    client.timeline(of.clone(), None, 0).await.unwrap();
    assert_eq!(*server.sagas.timelines.lock().unwrap(), [(of.clone(), last, u32::MAX), (of, None, 0)]);
    assert_eq!(client.describe().await.unwrap(), definitions());
}

#[tokio::test]
async fn every_list_and_its_page_arrive_as_they_were() {
    let server = Running::start().await;
    let client = server.client().await;
    let name = || "transfer-money".parse().unwrap();
    let all = SagaPhase::ALL.into_iter().fold(ListSagas::all(), ListSagas::phase);
    let lists = [
        ListSagas::all(),
        ListSagas::all().named(name()).after(Some(String::new())).limit(0),
        all.after(Some(HOSTILE.into())).limit(u32::MAX),
    ];
    for list in lists.clone() {
        assert_eq!(client.list(list).await.unwrap(), page());
    }
    assert_eq!(*server.sagas.listed.lock().unwrap(), lists);
}

#[tokio::test]
async fn every_action_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let acts = SagaAction::ALL.map(|action| {
        let mut act = act(saga("transfer-money", HOSTILE)).with_metadata(metadata());
        act.action = action;
        act
    });
    for act in acts.clone() {
        assert_eq!(client.act(act).await.unwrap(), summaries()[0]);
    }
    assert_eq!(*server.sagas.acted.lock().unwrap(), acts);
}

#[tokio::test]
async fn every_error_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    for text in ERRORS {
        let of = saga("transfer-money", text);
        let expected = format!("{:?}", error(&of).unwrap());
        for answer in every_call(&client, &of).await {
            assert_eq!(format!("{:?}", answer.unwrap_err()), expected);
        }
    }
}

#[tokio::test]
async fn what_breaks_off_may_have_been_done() {
    let server = Running::start().await;
    let answers = every_call(&server.client().await, &saga("order", "panic")).await;
    for (nth, answer) in answers.into_iter().enumerate() {
        let writes = matches!(nth, 0 | 4);
        match answer {
            Err(SagaError::Unknown(_)) if writes => {}
            Err(SagaError::Other(_)) if !writes => {}
            other => panic!("{nth}: {other:?}"),
        }
    }
    let losing = Arc::new(AtomicBool::new(false));
    let client = GrpcClient::connect(format!("http://{}", lossy(server.address, losing.clone()).await)).await.unwrap();
    losing.store(true, Ordering::Relaxed);
    let (before, of) = (server.sagas.started.lock().unwrap().len(), saga("order", "1"));
    for (nth, answer) in every_call(&client, &of).await.into_iter().enumerate() {
        match answer {
            Err(SagaError::Unknown(_)) if matches!(nth, 0 | 4) => {}
            Err(SagaError::Busy(_)) if !matches!(nth, 0 | 4) => {}
            other => panic!("{nth}: {other:?}"),
        }
    }
    assert_eq!(server.sagas.started.lock().unwrap().len(), before + 1);
}

#[tokio::test]
async fn nothing_is_sent_to_nobody() {
    let mut server = Running::start().await;
    let client = server.client().await;
    server.ended().await;
    for answer in every_call(&client, &saga("order", "1")).await {
        assert!(matches!(answer, Err(SagaError::Busy(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_input_that_is_too_large_is_not_sent() {
    let server = Running::configured(|config| config.request_bytes = 64 << 10).await;
    let client = server.client().await;
    let start = StartSaga::new(saga("order", "1"), Value::String("x".repeat(70 << 10)));
    let refused = client.start(start).await;
    assert!(matches!(&refused, Err(SagaError::Invalid(wrong)) if wrong[0].code == "too-large"), "{refused:?}");
    let long = act(saga("order", "1")).with_note("x".repeat(70 << 10));
    assert!(matches!(client.act(long).await, Err(SagaError::Invalid(_))));
    assert_eq!(server.sagas.reached(), 0);
}

#[tokio::test]
async fn a_strangers_calls_are_completed_by_their_metadata() {
    let server = Running::start().await;
    let mut client = SagasClient::new(server.channel().await);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let with = |mut request: Request<proto::StartSagaRequest>| {
        request.metadata_mut().insert("x-correlation-id", "c-9".parse().unwrap());
        request.metadata_mut().insert("traceparent", trace.parse().unwrap());
        request
    };
    let id = || Some(proto::SagaId { name: "order".into(), id: "1".into() });
    let bare = proto::StartSagaRequest { saga: id(), input: "[1e400]".into(), metadata: None };
    let status = client.start(bare.clone()).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "input");
    let bare = proto::StartSagaRequest { input: "{}".into(), ..bare };
    client.start(with(Request::new(bare.clone()))).await.unwrap();
    let own = proto::Metadata { correlation_id: Some("own".into()), ..Default::default() };
    client.start(with(Request::new(proto::StartSagaRequest { metadata: Some(own), ..bare }))).await.unwrap();
    let came: Vec<_> = server.sagas.started.lock().unwrap().iter().map(|start| start.metadata.clone()).collect();
    let told = |correlation: &str| Metadata {
        correlation: Some(correlation.into()),
        traceparent: Some(trace.into()),
        ..Metadata::default()
    };
    assert_eq!(came, [told("c-9"), told("own")]);
    let mut request = Request::new(proto::ActOnSagaRequest { saga: id(), action: 1, ..Default::default() });
    request.metadata_mut().insert("x-correlation-id", "c-9".parse().unwrap());
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    client.act(request).await.unwrap();
    let acted = server.sagas.acted.lock().unwrap().pop().unwrap();
    assert_eq!((acted.metadata, acted.action, &*acted.note), (told("c-9"), SagaAction::Retry, ""));
    // The least that can be said.
    client.list(proto::ListSagasRequest::default()).await.unwrap();
    assert_eq!(server.sagas.listed.lock().unwrap().pop().unwrap(), ListSagas::all());
    client.timeline(proto::SagaTimelineRequest { saga: id(), ..Default::default() }).await.unwrap();
    assert_eq!(server.sagas.timelines.lock().unwrap().pop().unwrap(), (saga("order", "1"), None, 100));
}

#[tokio::test]
async fn what_is_no_saga_is_named_and_reaches_nothing() {
    let server = Running::start().await;
    let mut client = SagasClient::new(server.channel().await);
    let id = |name: &str, id: &str| Some(proto::SagaId { name: name.into(), id: id.into() });
    let long = "x".repeat(600);
    let wrong_ids = [
        (None, "saga"),
        (id("", "1"), "saga.name"),
        (id("a:b", "1"), "saga.name"),
        (id("Ännchen\u{7}", "1"), "saga.name"),
        (id("order", ""), "saga.id"),
        (id("order", "a\u{0}b"), "saga.id"),
        (id("order", "a\nb"), "saga.id"),
        (id("order", &long), "saga.id"),
    ];
    for (saga, field) in wrong_ids {
        let statuses = [
            client
                .start(proto::StartSagaRequest { saga: saga.clone(), input: "1".into(), metadata: None })
                .await
                .unwrap_err(),
            client.status(proto::SagaStatusRequest { saga: saga.clone() }).await.unwrap_err(),
            client.timeline(proto::SagaTimelineRequest { saga: saga.clone(), ..Default::default() }).await.unwrap_err(),
            client
                .act(proto::ActOnSagaRequest { saga: saga.clone(), action: 1, ..Default::default() })
                .await
                .unwrap_err(),
        ];
        for status in statuses {
            assert_eq!(status.code(), Code::InvalidArgument, "{saga:?}: {status:?}");
            let named = &status.get_details_bad_request().unwrap().field_violations[0].field;
            assert_eq!(named, field, "{saga:?}");
            assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_REQUEST");
        }
    }
    for input in ["", "{", "nothing", "1 2", r#"{"a":1,"a":2}"#, &"[".repeat(100_000)] {
        let request = proto::StartSagaRequest { saga: id("order", "1"), input: input.into(), metadata: None };
        let status = client.start(request).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "input", "{input:.9}");
    }
    // Kinds that are not known are refused, and not taken for others.
    for action in [0, 5, -1, i32::MAX] {
        let request = proto::ActOnSagaRequest { saga: id("order", "1"), action, ..Default::default() };
        let status = client.act(request).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "action");
    }
    for phase in [0, 8, -1, i32::MAX] {
        let request = proto::ListSagasRequest { phases: vec![1, phase], ..Default::default() };
        let status = client.list(request).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "phases[1]");
    }
    let request = proto::ListSagasRequest { name: Some(String::new()), ..Default::default() };
    assert_eq!(client.list(request).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(server.sagas.reached(), 0);
}
