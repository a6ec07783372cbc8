//! Questions, and pages of events.

use super::support::{House, house, house_of};
use portolan::values::Position;
use serde_json::{Value, json};

#[tokio::test]
async fn a_question_has_its_parameters_and_a_typed_answer() {
    let house = house().await;
    let query = r#"{ account(id: "ann", min_balance: "-9223372036854775808", options2: true, options: { atLeast: 7, within: 1.5 }) {
        id balance kind owners { name } rest
    } }"#;
    let rest = json!({ "id": "ann", "min-balance": i64::MIN, "options": true });
    assert_eq!(
        house.data(query, json!({})).await["account"],
        json!({
            "id": "ann", "balance": "18446744073709551615", "kind": "savings_plus", "owners": [{ "name": "Ann" }],
            "rest": rest,
        })
    );
    let asked = house.questions.arrived.lock().unwrap().pop().unwrap();
    assert_eq!((asked.at_least, asked.within), (Position::new(7), Some(core::time::Duration::from_millis(1_500))));
}

#[tokio::test]
async fn a_question_whose_name_is_taken_has_the_next() {
    let house = house().await;
    let query = "query($parameters: JSON) { events2(parameters: $parameters) events(first: 1) { frontier } }";
    let data = house.data(query, json!({ "parameters": { "id": "x" } })).await;
    assert_eq!(data["events2"]["rest"], json!({ "id": "x" }));
    assert_eq!(data["events"]["frontier"], Value::Null);
}

#[tokio::test]
async fn an_error_of_a_question_leaves_the_others_answered() {
    let house = house().await;
    let query = r#"{ a: account(id: "nobody") { id } b: account(id: "ann") { id } c: account(id: "odd") { balance } }"#;
    let answer = house.operation(query, json!({})).await.json();
    assert_eq!(answer["data"], json!({ "a": null, "b": { "id": "ann" }, "c": { "balance": null } }));
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors[0]["extensions"], json!({ "code": "not-found", "what": "no account nobody" }));
    assert_eq!(errors[0]["path"], json!(["a"]));
    let unfit = errors[1]["message"].as_str().unwrap();
    assert!(unfit.contains("\"much\" is no Long"), "{unfit}");
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_cut_off() {
    let house = house_of(|config| config.query_timeout = core::time::Duration::from_millis(50)).await;
    let got = house.operation(r#"{ account(id: "slow") { id } }"#, json!({})).await;
    assert_eq!(got.code(), "timed-out");
    house.data(r#"{ account(id: "ann") { id } }"#, json!({})).await;
}

#[tokio::test]
async fn an_event_is_told_whole() {
    let house = house().await;
    house.append("thing-1", &["{\"n\": 1}", "no JSON"]).await;
    let query = r#"{ stream(id: "thing-1") { revision frontier edges { cursor node {
        type version stream revision position tags format data dataBase64 metadata
    } } } }"#;
    let stream = house.data(query, json!({})).await["stream"].take();
    let last = stream["edges"][1]["node"]["position"].clone();
    assert_eq!((&stream["revision"], &stream["frontier"]), (&json!("1"), &last));
    let first = &stream["edges"][0]["node"];
    assert_eq!(first["data"], json!({ "n": 1 }));
    assert_eq!(first["dataBase64"], "eyJuIjogMX0=");
    assert_eq!(
        (&first["type"], &first["version"], &first["metadata"]),
        (&json!("thing.happened"), &json!("1"), &Value::Null)
    );
    assert_eq!(stream["edges"][1]["node"]["data"], Value::Null);
}

/// The revisions of one page, and the cursors at its ends.
async fn page(house: &House, arguments: &str) -> (Vec<String>, Value) {
    let query = format!(
        r#"{{ stream(id: "thing-1", {arguments}) {{
            edges {{ cursor node {{ revision }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
        }} }}"#
    );
    let mut stream = house.data(&query, json!({})).await["stream"].take();
    let edges = stream["edges"].as_array().unwrap();
    let revisions = edges.iter().map(|edge| edge["node"]["revision"].as_str().unwrap().to_owned()).collect();
    for (end, edge) in [("startCursor", edges.first()), ("endCursor", edges.last())] {
        if let Some(edge) = edge {
            assert_eq!(stream["pageInfo"][end], edge["cursor"], "{arguments}");
        }
    }
    (revisions, stream["pageInfo"].take())
}

#[tokio::test]
async fn pages_follow_the_relay_convention_and_see_one_frontier() {
    let house = house().await;
    house.append("thing-1", &["0", "1", "2", "3", "4"]).await;
    let (first, info) = page(&house, "first: 2").await;
    assert_eq!(
        (first, &info["hasNextPage"], &info["hasPreviousPage"]),
        (vec!["0".into(), "1".into()], &json!(true), &json!(false))
    );
    let (last, back) = page(&house, "last: 2").await;
    assert_eq!(
        (last, &back["hasPreviousPage"], &back["hasNextPage"]),
        (vec!["3".into(), "4".into()], &json!(true), &json!(false))
    );

    // What comes in between is no part of the walk.
    house.append("thing-1", &["5"]).await;
    let mut seen = Vec::new();
    let mut cursor = info["endCursor"].as_str().unwrap().to_owned();
    loop {
        let (revisions, info) = page(&house, &format!("first: 2, after: \"{cursor}\"")).await;
        seen.extend(revisions);
        if info["hasNextPage"] == false {
            break;
        }
        cursor = info["endCursor"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen, ["2", "3", "4"]);
    let before = back["startCursor"].as_str().unwrap();
    assert_eq!(page(&house, &format!("last: 9, before: \"{before}\"")).await.0, ["0", "1", "2"]);
    // A revision is a cursor too.
    assert_eq!(page(&house, "first: 9, after: \"3\"").await.0, ["4", "5"]);
}

#[tokio::test]
async fn parts_that_contradict_themselves_are_refused() {
    let house = house().await;
    for arguments in
        ["first: 1, last: 1", "first: 1, before: \"1\"", "first: 0", "last: -1", "after: \"x\"", "after: \"1~\""]
    {
        let got = house.operation(&format!("{{ events({arguments}) {{ frontier }} }}"), json!({})).await;
        assert_eq!(got.code(), "invalid-request", "{arguments}");
    }
}

#[tokio::test]
async fn the_log_is_read_by_items() {
    let house = house().await;
    house.append("thing-1", &["1"]).await;
    house.append("other-1", &["2"]).await;
    house.append("$system-1", &["3"]).await;
    for (arguments, expected) in [
        ("first: 9", &["1", "2"][..]),
        ("system: true", &["1", "2", "3"]),
        (r#"any: [{ categories: ["other"] }]"#, &["2"]),
        (r#"any: [{ streams: ["thing-1"] }, { categories: ["other"], types: ["thing.happened"] }]"#, &["1", "2"]),
        (r#"any: { tags: ["none"] }"#, &[]),
    ] {
        let data = house.data(&format!("{{ events({arguments}) {{ edges {{ node {{ data }} }} }} }}"), json!({})).await;
        let edges = data["events"]["edges"].as_array().unwrap();
        let found: Vec<_> = edges.iter().map(|edge| edge["node"]["data"].to_string()).collect();
        assert_eq!(found, expected, "{arguments}");
    }
    let got = house.operation(r#"{ events(any: [{}, { streams: ["a", ""] }]) { frontier } }"#, json!({})).await;
    assert_eq!(got.json()["errors"][0]["extensions"]["violations"][0]["path"], "any[1].streams[1]");
}
