//! Sagas: a mutation to start each, what is told of them, and what operators do; and the client that is their port.

use super::orchestra::{
    ERRORS, HOSTILE, act, definitions, error, every_call, input, page, saga, start, summaries, timeline,
};
use super::settled::Wire;
use super::support::{House, house, house_of, house_with};
use core::time::Duration;
use portolan::ports::{ListSagas, SagaAction, SagaError, SagaOrchestrator as _, SagaPhase, StartSaga};
use portolan::values::{Metadata, Position, Revision};
use portolan_graphql::GraphqlClient;
use rstest::rstest;
use serde_json::{Value, json};

async fn acting() -> House {
    house_with(|server| server.with_saga_actions(true)).await
}

async fn client(house: &House) -> GraphqlClient {
    GraphqlClient::connect(house.url()).await.unwrap()
}

fn metadata() -> Metadata {
    Metadata {
        correlation: Some("c-1".into()),
        causation: Some("c-0".into()),
        actor: Some("Ann Größe".into()),
        tenant: Some("north".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        more: [("ship".to_owned(), json!({ "deck": [1, null] }))].into_iter().collect(),
        ..Metadata::default()
    }
}

#[tokio::test]
async fn all_that_the_port_tells_and_takes_arrives_as_it_was() {
    let house = acting().await;
    let client = client(&house).await;
    let of = || saga("transfer-money", HOSTILE);

    let first = start(of()).with_metadata(metadata());
    let started = client.start(first.clone()).await.unwrap();
    assert_eq!((started.saga, started.version), (of(), u32::MAX));
    assert_eq!((started.position, started.repeated), (Some(Position::MAX), false));
    let second = StartSaga::new(saga("order", "1"), Value::Null);
    let started = client.start(second.clone()).await.unwrap();
    assert_eq!((started.position, started.repeated), (None, true));
    assert_eq!(*house.sagas.started.lock().unwrap(), [first, second]);

    for (nth, expected) in summaries().into_iter().enumerate() {
        assert_eq!(client.status(saga("order", &nth.to_string())).await.unwrap(), expected);
    }
    assert_eq!(client.describe().await.unwrap(), definitions());

    // The server has pages of at most 1,000.
    let last = Some(Revision::new(u64::MAX));
    assert_eq!(client.timeline(of(), last, u32::MAX).await.unwrap(), timeline());
    client.timeline(of(), None, 0).await.unwrap();
    assert_eq!(*house.sagas.timelines.lock().unwrap(), [(of(), last, 1_000), (of(), None, 0)]);
    let all = SagaPhase::ALL.into_iter().fold(ListSagas::all(), ListSagas::phase);
    let named = ListSagas::all().named("transfer-money".parse().unwrap());
    let lists = [ListSagas::all(), named.after(Some(String::new())).limit(0), all.after(Some(HOSTILE.into())).limit(7)];
    for list in lists.clone() {
        assert_eq!(client.list(list).await.unwrap(), page());
    }
    assert_eq!(*house.sagas.listed.lock().unwrap(), lists);

    let acts = SagaAction::ALL.map(|action| {
        let mut act = act(of()).with_metadata(metadata());
        act.action = action;
        act
    });
    for act in acts.clone() {
        assert_eq!(client.act(act).await.unwrap(), summaries()[0]);
    }
    assert_eq!(*house.sagas.acted.lock().unwrap(), acts);
}

#[tokio::test]
async fn every_error_arrives_as_it_was() {
    let house = acting().await;
    let client = client(&house).await;
    for text in ERRORS {
        let of = saga("transfer-money", text);
        let expected = format!("{:?}", error(&of).unwrap());
        for answer in every_call(&client, &of).await {
            assert_eq!(format!("{:?}", answer.unwrap_err()), expected);
        }
    }
    for (nth, answer) in every_call(&client, &saga("order", "panic")).await.into_iter().enumerate() {
        match answer {
            Err(SagaError::Unknown(_)) if matches!(nth, 0 | 4) => {}
            Err(SagaError::Other(_)) if !matches!(nth, 0 | 4) => {}
            other => panic!("{nth}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_answered_may_have_been_done() {
    let house = acting().await;
    let wire = Wire::to(house.address).await;
    let client = GraphqlClient::connect(format!("http://{}/graphql", wire.address)).await.unwrap();
    wire.lets_through(i64::MAX, 0);
    for (nth, answer) in every_call(&client, &saga("order", "1")).await.into_iter().enumerate() {
        match answer {
            Err(SagaError::Unknown(_)) if matches!(nth, 0 | 4) => {}
            Err(SagaError::Busy(_)) if !matches!(nth, 0 | 4) => {}
            other => panic!("{nth}: {other:?}"),
        }
    }
    assert_eq!((house.sagas.started.lock().unwrap().len(), house.sagas.acted.lock().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn a_server_that_is_gone_has_done_nothing() {
    let house = acting().await;
    let client = client(&house).await;
    let House { stop, served, sagas, .. } = house;
    stop.send(()).unwrap();
    served.await.unwrap();
    for answer in every_call(&client, &saga("order", "1")).await {
        assert!(matches!(answer, Err(SagaError::Busy(_))), "{answer:?}");
    }
    assert_eq!(sagas.reached(), 0);
}

#[tokio::test]
async fn each_definition_has_a_mutation_with_the_input_of_its_newest_version() {
    let house = house().await;
    let schema = String::from_utf8(house.get("/graphql/schema", "").await.body).unwrap();
    for declared in [
        "\" input: OrderInput!, \"How it is done.\" options: SagaOptions): SagaStarted",
        "\" input: String, \"How it is done.\" options: SagaOptions): SagaStarted",
        "\" input: JSON!, \"How it is done.\" options: SagaOptions): SagaStarted",
        "enum SagaPhase {",
        "NEEDS_OPERATOR",
    ] {
        assert!(schema.contains(declared), "{declared}:\n{schema}");
    }
    assert_eq!(schema.matches("startTransferMoney").count(), 1);
    assert!(!schema.contains("startOrderPayment"), "a process starts by events alone");
    assert!(!schema.contains("actOnSaga"), "actions are off unless they are allowed");

    let document = r#"mutation($order: OrderInput!, $any: JSON!, $options: SagaOptions) {
        startOrder(id: "o-1", input: $order, options: $options) { name id version position repeated }
        startPlain(id: "{}", input: "{}") { id }
        nothing: startPlain(id: "none") { id }
        startTick(id: "1") { position repeated }
        startTransferMoney(id: "a/b", input: $any) { id }
        text: startTransferMoney(id: "t", input: "[1, {}]") { id }
    }"#;
    let variables = json!({
        "order": { "amount": "18446744073709551615", "to": "{}" }, "any": input(), "options": { "correlation": "c-7" },
    });
    let data = house.data(document, variables).await;
    let started = json!({
        "name": "order", "id": "o-1", "version": "4294967295", "position": "9223372036854775807", "repeated": false,
    });
    assert_eq!((&data["startOrder"], &data["startTick"]), (&started, &json!({ "position": null, "repeated": true })));
    let came = house.sagas.started.lock().unwrap();
    let inputs: Vec<_> = came.iter().map(|start| start.input.clone()).collect();
    let order = json!({ "amount": u64::MAX, "to": "{}" });
    assert_eq!(inputs, [order, json!("{}"), Value::Null, json!({}), input(), json!([1, {}])]);
    assert_eq!((came[0].saga.clone(), came[4].saga.clone()), (saga("order", "o-1"), saga("transfer-money", "a/b")));
    let correlations: Vec<_> = came.iter().map(|start| start.metadata.correlation.as_deref()).collect();
    assert_eq!(correlations, [Some("c-7"), None, None, None, None, None]);
}

#[tokio::test]
async fn headers_go_for_what_a_field_leaves_out() {
    let house = acting().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let document = r#"mutation {
        startTick(id: "1") { id }
        own: startTick(id: "2", options: { correlation: "own" }) { id }
        actOnSaga(name: "tick", id: "1", action: COMPENSATE, note: "why") { phase isOverdue }
    }"#;
    let headers = format!("content-type: application/json\r\nx-correlation-id: c-9\r\ntraceparent: {trace}\r\n");
    let got = house.post(json!({ "query": document }).to_string().as_bytes(), &headers).await.json();
    assert_eq!(got["data"]["actOnSaga"], json!({ "phase": "RUNNING", "isOverdue": true }));
    let told = |correlation: &str| Metadata {
        correlation: Some(correlation.into()),
        traceparent: Some(trace.into()),
        ..Metadata::default()
    };
    let started: Vec<_> = house.sagas.started.lock().unwrap().iter().map(|start| start.metadata.clone()).collect();
    assert_eq!(started, [told("c-9"), told("own")]);
    let acted = house.sagas.acted.lock().unwrap().pop().unwrap();
    assert_eq!((acted.metadata, acted.action, &*acted.note), (told("c-9"), SagaAction::Compensate, "why"));
}

#[tokio::test]
async fn what_one_comes_to_hides_nothing_of_the_others() {
    let house = acting().await;
    let document = r#"mutation {
        one: startTick(id: "1") { id }
        two: startTick(id: "panic") { id }
        three: startTick(id: "otherwise") { id }
        four: actOnSaga(name: "tick", id: "panic", action: SKIP) { id }
        five: startTick(id: "5") { id }
    }"#;
    let got = house.operation(document, json!({})).await.json();
    let data = json!({ "one": { "id": "1" }, "two": null, "three": null, "four": null, "five": { "id": "5" } });
    assert_eq!(got["data"], data, "{got}");
    let codes: Vec<_> = got["errors"].as_array().unwrap().iter().map(|error| &error["extensions"]["code"]).collect();
    assert_eq!(codes, ["outcome-unknown", "saga-started-otherwise", "outcome-unknown"]);
}

/// Whoever has stopped waiting cannot know; what comes after it in the document has its time too.
#[tokio::test]
async fn what_takes_longer_than_its_caller_waits_may_be_done_yet() {
    let house = acting().await;
    let document = r#"mutation {
        startTick(id: "never") { id }
        actOnSaga(name: "tick", id: "never", action: SKIP) { id }
        after: startTick(id: "5") { id }
    }"#;
    let headers = "content-type: application/json\r\nrequest-timeout: 0.05\r\n";
    let body = json!({ "query": document }).to_string();
    let posted = house.post(body.as_bytes(), headers);
    let got = tokio::time::timeout(Duration::from_secs(30), posted).await.expect("it is answered").json();
    assert_eq!(got["data"], json!({ "startTick": null, "actOnSaga": null, "after": { "id": "5" } }), "{got}");
    let codes: Vec<_> = got["errors"].as_array().unwrap().iter().map(|error| &error["extensions"]["code"]).collect();
    assert_eq!(codes, ["outcome-unknown", "outcome-unknown"]);
}

#[rstest]
#[case::no_name(r#"{ saga(name: "", id: "1") { id } }"#, "name")]
#[case::a_separator(r#"{ saga(name: "a:b", id: "1") { id } }"#, "name")]
#[case::no_id(r#"{ saga(name: "order", id: "") { id } }"#, "id")]
#[case::control(r#"{ saga(name: "order", id: "a\nb") { id } }"#, "id")]
#[case::nul(r#"{ sagaTimeline(name: "order", id: "a\u0000b") { next } }"#, "id")]
#[case::long(&format!(r#"mutation {{ startTick(id: "{}") {{ id }} }}"#, "x".repeat(600)), "id")]
#[case::no_list(r#"{ sagas(name: "") { next } }"#, "name")]
#[case::backwards("{ sagas(first: -1) { next } }", "first")]
#[case::before_all(r#"{ sagaTimeline(name: "order", id: "1", after: -1) { next } }"#, "after")]
#[case::no_json(r#"mutation { startTransferMoney(id: "1", input: "{") { id } }"#, "input")]
#[case::twice(r#"mutation { startTransferMoney(id: "1", input: "{\"a\":1,\"a\":2}") { id } }"#, "input")]
#[case::twice_in_any(r#"mutation { startSaga(name: "order", id: "1", input: "[{\"a\":1,\"a\":1}]") { id } }"#, "input")]
#[case::nothing(r#"mutation { startSaga(name: "order", id: "1", input: "") { id } }"#, "input")]
#[case::deep(&format!(r#"mutation {{ startSaga(name: "order", id: "1", input: "{}") {{ id }} }}"#, "[".repeat(9_000)), "input")]
#[case::another_phase("{ sagas(phases: [RUNNING, PONDERING]) { next } }", "phases[1]")]
#[case::in_other_letters("{ sagas(phases: running) { next } }", "phases[0]")]
#[case::another_action(r#"mutation { actOnSaga(name: "order", id: "1", action: EXPLODE) { id } }"#, "action")]
#[case::metadata(r#"mutation { startTick(id: "1", options: { metadata: 7 }) { id } }"#, "metadata")]
#[tokio::test]
async fn what_cannot_be_meant_is_named_and_reaches_nothing(#[case] document: &str, #[case] path: &str) {
    let house = acting().await;
    let got = house.operation(document, json!({})).await.json();
    let extensions = &got["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "invalid-request", "{got}");
    assert_eq!(extensions["violations"][0]["path"], path, "{got}");
    assert_eq!(house.sagas.reached(), 0);
}

#[rstest]
#[case::no_action(r#"mutation { actOnSaga(name: "order", id: "1") { id } }"#)]
#[case::no_input(r#"mutation { startOrder(id: "1") { id } }"#)]
#[case::an_input_of_another_type(r#"mutation { startOrder(id: "1", input: { amount: "many" }) { id } }"#)]
#[case::an_unknown_field(r#"mutation { startOrder(id: "1", input: { amount: 1, colour: "red" }) { id } }"#)]
#[tokio::test]
async fn what_the_schema_forbids_reaches_nothing(#[case] document: &str) {
    let house = acting().await;
    assert_eq!(house.operation(document, json!({})).await.code(), "invalid-document");
    assert_eq!(house.sagas.reached(), 0);
}

#[tokio::test]
async fn pages_are_as_large_as_they_are_asked_for_and_cost_as_much() {
    let house = house_of(|config| config.page_events = 50).await;
    let query = "query($first: Int) { sagas(first: $first) { sagas { id phase } next } }";
    for (first, limit) in [(json!(null), 50), (json!(7), 7), (json!(i32::MAX), 50)] {
        house.data(query, json!({ "first": first })).await;
        assert_eq!(house.sagas.listed.lock().unwrap().pop().unwrap().limit, limit);
    }
    let house = house_of(|config| config.max_complexity = 300).await;
    assert_eq!(house.operation(query, json!({ "first": 500 })).await.code(), "too-complex");
    house.data(query, json!({ "first": 5 })).await;
}

#[tokio::test]
async fn without_leave_nobody_acts() {
    let house = house().await;
    let refused = client(&house).await.act(act(saga("order", "1"))).await;
    assert!(matches!(&refused, Err(SagaError::Other(_))), "{refused:?}");
    assert_eq!(house.sagas.reached(), 0);
}
