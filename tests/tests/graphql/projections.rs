//! Projections: their state, their rows, and what operators do.

use super::shelf::cells;
use super::support::{House, Parts, house, house_with, serve};
use portolan::ports::ProjectionAction;
use portolan::values::{Edition, Position};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_row_has_a_field_a_column() {
    let house = house().await;
    let query = r#"{ balances(key: "acc-1", atLeast: 3) { key owner balance share open tags seal key2 columns } }"#;
    assert_eq!(
        house.data(query, json!({})).await["balances"],
        json!({
            "key": "acc-1", "owner": "Bob", "balance": "-100", "share": 0.5, "open": false, "tags": { "a": [1] },
            "seal": "/w==", "key2": null,
            "columns": {
                "owner": "Bob", "balance": -100, "share": 0.5, "open": false, "tags": { "a": [1] }, "seal": "/w==",
                "key": null,
            },
        })
    );
    assert_eq!(house.data(r#"{ balances(key: "none") { owner } }"#, json!({})).await["balances"], Value::Null);
}

#[tokio::test]
async fn rows_by_key_are_asked_for_at_once() {
    let house = house().await;
    let before = house.shelf.asked.load(Ordering::SeqCst);
    let fields: String = (0..50).map(|n| format!("r{n}: balances(key: \"acc-{n}\") {{ balance }} ")).collect();
    let data = house.data(&format!("{{ {fields} }}"), json!({})).await;
    assert_eq!((&data["r5"]["balance"], &data["r6"]), (&json!("300"), &Value::Null));
    assert_eq!(house.shelf.asked.load(Ordering::SeqCst) - before, 1);
    // A list is one question too, however many rows it has.
    house.data("{ balancesList { edges { node { key owner columns } } } }", json!({})).await;
    assert_eq!(house.shelf.asked.load(Ordering::SeqCst) - before, 2);
}

async fn keys(house: &House, field: &str) -> (Vec<String>, Value) {
    let page =
        "{ edges { cursor node { key } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edition }";
    let mut connection = house.data(&format!("{{ page: {field} {page} }}"), json!({})).await["page"].take();
    assert_eq!(connection["edition"], "3.1");
    let edges = connection["edges"].as_array().unwrap();
    let keys = edges.iter().map(|edge| edge["node"]["key"].as_str().unwrap().to_owned()).collect();
    (keys, connection["pageInfo"].take())
}

#[tokio::test]
async fn rows_are_walked_by_key_and_by_index() {
    let house = house().await;
    for (field, arguments, expected) in [
        ("balancesList", "", &["acc-0", "acc-1", "acc-2", "acc-3", "acc-4", "acc-5"][..]),
        ("balancesList", r#"from: "acc-2", to: "acc-4","#, &["acc-2", "acc-3", "acc-4"]),
        ("balancesByOwner", r#"owner: "Bob","#, &["acc-1", "acc-3", "acc-5"]),
        ("balancesByOwner", r#"from: "B","#, &["acc-1", "acc-3", "acc-5"]),
        ("balancesByOwner", "", &["acc-0", "acc-2", "acc-4", "acc-1", "acc-3", "acc-5"]),
        ("balancesByStanding", "open: true,", &["acc-2", "acc-3", "acc-4", "acc-5"]),
        ("balancesByStanding", r#"open: true, from: "100", to: 200,"#, &["acc-3", "acc-4"]),
        ("balancesByStanding", "open: false, balance: -100,", &["acc-1"]),
        ("balancesByOwner", "owner: null,", &[]),
    ] {
        for step in [1, 2, 9] {
            let (mut forward, mut backward) = (Vec::new(), Vec::new());
            let mut cursor = String::new();
            loop {
                let (keys, info) = keys(&house, &format!("{field}({arguments} first: {step} {cursor})")).await;
                forward.extend(keys);
                assert_eq!(info["hasPreviousPage"], !cursor.is_empty());
                if info["hasNextPage"] == false {
                    break;
                }
                cursor = format!("after: {}", info["endCursor"]);
            }
            cursor.clear();
            loop {
                let (keys, info) = keys(&house, &format!("{field}({arguments} last: {step} {cursor})")).await;
                backward.splice(0..0, keys);
                if info["hasPreviousPage"] == false {
                    break;
                }
                cursor = format!("before: {}", info["startCursor"]);
            }
            assert_eq!(forward, expected, "{field} {arguments} by {step}");
            assert_eq!(backward, expected, "{field} {arguments} by {step}, from the end");
        }
    }
}

#[tokio::test]
async fn questions_that_no_index_answers_are_refused() {
    let house = house().await;
    for (field, path) in [
        (r#"balancesByStanding(balance: "1")"#, "balance"),
        ("balancesByStanding(from: 1)", "from"),
        ("balancesByStanding(open: true, balance: 1, from: 1)", "from"),
        (r#"balancesList(after: "x")"#, "after"),
        (r#"balances(key: "")"#, "key"),
        ("balancesList(first: 1, last: 1)", "first"),
    ] {
        let selection = if field.starts_with("balances(") { "key" } else { "edition" };
        let got = house.operation(&format!("{{ {field} {{ {selection} }} }}"), json!({})).await;
        assert_eq!(got.json()["errors"][0]["extensions"]["violations"][0]["path"], path, "{field}");
    }
}

#[tokio::test]
async fn a_projection_that_is_not_ready_gets_its_columns_once_it_is() {
    let parts = Parts::new();
    parts.shelf.is_ready.store(false, Ordering::SeqCst);
    let house = serve(parts, |server| server).await;
    let untyped = r#"{ balances(key: "acc-1") { key columns } }"#;
    let got = house.operation(untyped, json!({})).await;
    assert_eq!(got.json()["errors"][0]["extensions"], json!({ "code": "not-ready", "name": "balances" }));
    assert_eq!(house.operation(r#"{ balances(key: "acc-1") { owner } }"#, json!({})).await.code(), "invalid-document");

    house.shelf.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(house.data(untyped, json!({})).await["balances"]["columns"]["owner"], "Bob");
    for _ in 0..100 {
        let got = house
            .operation(r#"{ balances(key: "acc-1") { owner } balancesByOwner(owner: "Bob") { edition } }"#, json!({}));
        let got = got.await.json();
        if got["data"]["balances"]["owner"] == "Bob" {
            return;
        }
        tokio::time::sleep(core::time::Duration::from_millis(100)).await;
    }
    panic!("the schema was not built anew");
}

#[tokio::test]
async fn a_status_is_told_whole() {
    let house = house().await;
    let query = r#"{ projections { name } projection(name: "balances") {
        version lifecycle state reason edition position frontier lagEvents lagTime eventsPerSecond parked skipped
        lastError { at position reason } editions { edition state stalledSince isActive isReady position holder }
        parkedEvents(first: 2) { events { position stream key reason } next }
    } }"#;
    let data = house.data(query, json!({})).await;
    assert_eq!(data["projections"], json!([{ "name": "balances" }]));
    assert_eq!(
        data["projection"],
        json!({
            "version": 3, "lifecycle": "INLINE_IF_POSSIBLE", "state": "STOPPED", "reason": "é: no such \"column\"",
            "edition": "3.1", "position": "7", "frontier": "9223372036854775807", "lagEvents": "18446744073709551615",
            "lagTime": "3.000000007", "eventsPerSecond": "9", "parked": "2", "skipped": "4",
            "lastError": { "at": "2026-07-25T17:20:00.000001Z", "position": "8", "reason": "it is odd" },
            "editions": [{
                "edition": "2", "state": "STALLED", "stalledSince": "2026-07-25T17:20:00.000001Z", "isActive": true,
                "isReady": true, "position": "5", "holder": "worker 1",
            }],
            "parkedEvents": {
                "events": [
                    { "position": "1", "stream": "account-1", "key": "acc-1", "reason": "it is odd" },
                    { "position": "2", "stream": "account-1", "key": null, "reason": "it is odd" },
                ],
                "next": "2",
            },
        })
    );
    let got = house.operation(r#"{ projection(name: "none") { name } }"#, json!({})).await;
    assert_eq!(got.json()["errors"][0]["extensions"], json!({ "code": "unknown-projection", "name": "none" }));
}

const ACT: &str = "mutation($action: ProjectionAction!, $version: Int, $edition: String, $position: Position) {
    actOnProjection(projection: \"balances\", action: $action, version: $version, edition: $edition, position: $position)
}";

#[tokio::test]
async fn actions_are_off_unless_they_are_allowed() {
    let house = house().await;
    assert_eq!(house.operation(ACT, json!({ "action": "RESET" })).await.code(), "invalid-document");
    assert!(house.shelf.acted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_action_can_be_taken() {
    let house = house_with(|server| server.with_projection_actions(true)).await;
    for (variables, expected) in [
        (json!({ "action": "PAUSE" }), ProjectionAction::Pause),
        (json!({ "action": "RESUME" }), ProjectionAction::Resume),
        (json!({ "action": "RESET" }), ProjectionAction::Reset),
        (json!({ "action": "REBUILD" }), ProjectionAction::Rebuild),
        (json!({ "action": "CANCEL_REBUILD" }), ProjectionAction::CancelRebuild),
        (json!({ "action": "ACTIVATE", "version": 2 }), ProjectionAction::Activate(Some(2))),
        (json!({ "action": "ACTIVATE" }), ProjectionAction::Activate(None)),
        (json!({ "action": "REMOVE", "edition": "3.1" }), ProjectionAction::Remove(Edition { version: 3, rebuild: 1 })),
        (json!({ "action": "RETRY" }), ProjectionAction::Retry(None)),
        (json!({ "action": "DROP", "position": "7" }), ProjectionAction::Drop(Position::new(7).unwrap())),
    ] {
        assert_eq!(house.data(ACT, variables).await["actOnProjection"], true);
        assert_eq!(house.shelf.acted.lock().unwrap().pop(), Some(expected));
    }
    for (variables, path) in [
        (json!({ "action": "DROP" }), "position"),
        (json!({ "action": "REMOVE" }), "edition"),
        (json!({ "action": "ACTIVATE", "version": 65_536 }), "version"),
    ] {
        let got = house.operation(ACT, variables).await;
        assert_eq!(got.json()["errors"][0]["extensions"]["violations"][0]["path"], path);
    }
    assert!(house.shelf.acted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn waiting_tells_why_it_is_of_no_use() {
    let house = house().await;
    let wait = |position: &str| format!("{{ waitFor(projection: \"balances\", position: {position}, wait: 0.05) }}");
    assert_eq!(house.data(&wait("7"), json!({})).await["waitFor"], true);
    assert_eq!(house.data(&wait("998"), json!({})).await["waitFor"], false);
    let got = house.operation(&wait("999"), json!({})).await;
    let expected = json!({ "code": "event-parked", "name": "balances", "position": "999" });
    assert_eq!(got.json()["errors"][0]["extensions"], expected);
    house.shelf.rows.lock().unwrap().insert("more".into(), cells("Ann", 1));
}
