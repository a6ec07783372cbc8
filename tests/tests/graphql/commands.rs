//! Commands by their own fields.

use super::support::house;
use portolan::ports::{CommandError, Receipt, Source, Violation};
use portolan::values::{EventId, Position, Revision};
use rstest::rstest;
use serde_json::{Value, json};

const OPEN: &str = "mutation($input: OpenAccountInput!, $options: CommandOptions) {
    openAccount(input: $input, options: $options) { __typename ... on Receipt { position repeated } }
}";

#[tokio::test]
async fn typed_input_arrives_as_json() {
    let house = house().await;
    let input = json!({
        "account_id": "ann", "kind": "savings_plus", "limit": "18446744073709551615",
        "owners": [{ "first_name": "Ann", "parent": { "first_name": "Eve" } }], "note": null, "share": 1, "small": -7,
        "more": { "a": [1, { "b": null }], "n": 18446744073709551615_u64 },
    });
    let options = json!({ "id": "k 1", "correlation": "c", "within": 2.5, "waitFor": ["balances"], "metadata": { "actor": "ann" } });
    let data = house.data(OPEN, json!({ "input": input, "options": options })).await;
    assert_eq!(data["openAccount"], json!({ "__typename": "Receipt", "position": null, "repeated": false }));
    let (command, body) = house.commands.last();
    assert_eq!(
        body,
        json!({
            "account_id": "ann", "kind": "savings-plus", "limit": u64::MAX,
            "owners": [{ "first-name": "Ann", "parent": { "first-name": "Eve" } }], "note": null, "share": 1.0, "small": -7,
            "more": { "a": [1, { "b": null }], "n": u64::MAX },
        })
    );
    assert_eq!(command.name, "open-account");
    assert_eq!(command.id.as_deref(), Some("k 1"));
    assert_eq!(command.within, Some(core::time::Duration::from_millis(2_500)));
    assert_eq!(command.wait_for, [super::shelf::name("balances")]);
    assert_eq!((command.metadata.correlation.as_deref(), command.metadata.actor.as_deref()), (Some("c"), Some("ann")));
}

#[tokio::test]
async fn literals_arrive_like_variables() {
    let house = house().await;
    let literal = r#"mutation { openAccount(input: {
        account_id: "ann", kind: checking, limit: 18446744073709551615, owners: { first_name: "Ann" }, share: 2
    }) { __typename } }"#;
    house.data(literal, json!({})).await;
    let expected = json!({
        "account_id": "ann", "kind": "checking", "limit": u64::MAX, "owners": [{ "first-name": "Ann" }], "share": 2.0,
    });
    assert_eq!(house.commands.last().1, expected);
}

#[tokio::test]
async fn without_a_schema_the_input_is_json_or_its_text() {
    let house = house().await;
    let variable = "mutation($input: JSON!) { closeAccount(input: $input) { __typename } }";
    house.data(variable, json!({ "input": { "account_id": "ann", "n": 1.5 } })).await;
    assert_eq!(house.commands.last().1, json!({ "account_id": "ann", "n": 1.5 }));
    let text = r#"mutation { closeAccount(input: "{\"account_id\":\"ann\"}") { __typename } }"#;
    house.data(text, json!({})).await;
    assert_eq!(house.commands.last().1, json!({ "account_id": "ann" }));
    house.data("mutation { tick { __typename } }", json!({})).await;
    assert_eq!(house.commands.last().1, json!({}));
}

#[tokio::test]
async fn commands_of_one_document_are_carried_out_in_its_order() {
    let house = house().await;
    let document = r#"mutation { a: slow(input: "{\"n\":1}") { __typename } b: tick { __typename } }"#;
    house.data(document, json!({})).await;
    let arrived: Vec<_> =
        house.commands.arrived.lock().unwrap().iter().map(|command| command.name.to_string()).collect();
    assert_eq!(arrived, ["slow", "tick"]);
}

#[tokio::test]
async fn headers_and_extensions_tell_of_the_whole_request() {
    let house = house().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = format!(
        "content-type: application/json\r\nx-correlation-id: c 1\r\ntraceparent: {trace}\r\nrequest-timeout: 2.5\r\n"
    );
    house.post(br#"{"query":"mutation { tick { __typename } }"}"#, &headers).await;
    let (command, _) = house.commands.last();
    assert_eq!(command.metadata.correlation.as_deref(), Some("c 1"));
    assert_eq!(command.metadata.traceparent.as_deref(), Some(trace));
    assert_eq!(command.within, Some(core::time::Duration::from_millis(2_500)));

    let body = json!({ "query": "mutation { tick { __typename } }", "extensions": { "timeout": 3 } }).to_string();
    house.post(body.as_bytes(), &headers).await;
    assert_eq!(house.commands.last().0.within, Some(core::time::Duration::from_secs(3)));
}

#[tokio::test]
async fn a_receipt_is_told_whole() {
    let house = house().await;
    let streams = vec![("account-1".parse().unwrap(), Some(Revision::new(u64::MAX))), ("b".parse().unwrap(), None)];
    let receipt = Receipt::new(streams, Some(Position::MAX), vec![EventId::from_bytes([1; 16])], true);
    house.commands.will_answer(Ok(receipt.with_correlation(Some("c".into())).with_command(Some("k".into()))));
    let all = "mutation { tick { ... on Receipt {
        stream revision position events streams { stream revision } correlation command repeated
    } } }";
    assert_eq!(
        house.data(all, json!({})).await["tick"],
        json!({
            "stream": "account-1", "revision": "18446744073709551615", "position": "9223372036854775807",
            "events": ["01010101-0101-0101-0101-010101010101"],
            "streams": [{ "stream": "account-1", "revision": "18446744073709551615" }, { "stream": "b", "revision": null }],
            "correlation": "c", "command": "k", "repeated": true,
        })
    );
}

#[rstest]
#[case(
    CommandError::Rejected { code: "no-room".into(), message: "no room".into(), fields: json!({ "missing": u64::MAX }) },
    "... on Rejection { code fields }",
    json!({ "__typename": "Rejection", "message": "no room", "code": "no-room", "fields": { "missing": u64::MAX } })
)]
#[case(
    CommandError::Invalid(vec![Violation::new("a[1].b", "zero", "é")]),
    "... on Invalid { violations { path code message } }",
    json!({
        "__typename": "Invalid", "message": "the command is invalid: a[1].b: é",
        "violations": [{ "path": "a[1].b", "code": "zero", "message": "é" }],
    })
)]
#[case(
    CommandError::Conflict { stream: "account-1".parse().unwrap(), actual: Some(Revision::new(3)) },
    "... on Conflict { stream actual }",
    json!({
        "__typename": "Conflict", "message": "account-1 kept changing under the command; try again",
        "stream": "account-1", "actual": "3",
    })
)]
#[case(
    CommandError::NotCaughtUp {
        receipt: Box::new(Receipt::new(vec![], Position::new(7), vec![], false)), waiting: vec!["balances".parse().unwrap()],
    },
    "... on NotCaughtUp { receipt { position } waiting }",
    json!({
        "__typename": "NotCaughtUp", "message": "committed, and not yet applied by balances",
        "receipt": { "position": "7" }, "waiting": ["balances"],
    })
)]
#[case(
    CommandError::Unknown(Source::new("the disk is gone")),
    "... on OutcomeUnknown { reason }",
    json!({
        "__typename": "OutcomeUnknown", "reason": "the disk is gone",
        "message": "the outcome of the command is unknown: the disk is gone; settle it by the same id",
    })
)]
#[case(
    CommandError::DeadlinePassed, "",
    json!({
        "__typename": "DeadlinePassed",
        "message": "the deadline passed before anything was written; try again with more time",
    })
)]
#[tokio::test]
async fn every_failure_is_a_type_with_its_fields(
    #[case] error: CommandError,
    #[case] selection: &str,
    #[case] expected: Value,
) {
    let house = house().await;
    house.commands.will_answer(Err(error));
    let query = format!("mutation {{ tick {{ __typename ... on CommandFailure {{ message }} {selection} }} }}");
    assert_eq!(house.data(&query, json!({})).await["tick"], expected);
}

#[rstest]
#[case::unknown_field(json!({ "account_id": "a", "kind": "checking", "limit": 1, "owners": [], "colour": 1 }), "colour")]
#[case::missing_field(json!({ "account_id": "a", "kind": "checking", "owners": [] }), "limit")]
#[case::wrong_type(json!({ "account_id": 1, "kind": "checking", "limit": 1, "owners": [] }), "account_id")]
#[case::wrong_enum(json!({ "account_id": "a", "kind": "savings-plus", "limit": 1, "owners": [] }), "kind")]
#[case::wrong_long(json!({ "account_id": "a", "kind": "checking", "limit": "1.5", "owners": [] }), "64 bits")]
#[case::long_too_large(json!({ "account_id": "a", "kind": "checking", "limit": "18446744073709551616", "owners": [] }), "64 bits")]
#[case::null(json!({ "account_id": null, "kind": "checking", "limit": 1, "owners": [] }), "account_id")]
#[case::nested(json!({ "account_id": "a", "kind": "checking", "limit": 1, "owners": [{ "parent": null }] }), "first_name")]
#[case::int_too_large(json!({ "account_id": "a", "kind": "checking", "limit": 1, "owners": [], "small": 2147483648_u32 }), "small")]
#[tokio::test]
async fn what_the_schema_forbids_reaches_no_handler(#[case] input: Value, #[case] named: &str) {
    let house = house().await;
    let got = house.operation(OPEN, json!({ "input": input })).await;
    assert_eq!((got.status, got.code().as_str()), (200, "invalid-document"));
    let message = got.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(named), "{message}");
    assert!(house.commands.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn options_are_judged_too() {
    let house = house().await;
    for (options, path) in [
        (json!({ "within": 0 }), "within"),
        (json!({ "within": -1 }), "within"),
        (json!({ "id": "" }), "id"),
        (json!({ "waitFor": ["a", "b\u{0}"] }), "waitFor[1]"),
        (json!({ "metadata": { "actor": 1 } }), "metadata"),
    ] {
        let query = "mutation($options: CommandOptions) {
            tick(options: $options) { __typename ... on Invalid { violations { path } } }
        }";
        let data = house.data(query, json!({ "options": options })).await;
        let expected = json!({ "__typename": "Invalid", "violations": [{ "path": path }] });
        assert_eq!(data["tick"], expected, "{options}");
    }
    assert!(house.commands.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_becomes_of_one_command_hides_nothing_of_the_others() {
    let house = house().await;
    let query = r#"mutation {
        a: tick { __typename }
        b: panic(input: "{}") { __typename ... on OutcomeUnknown { reason } }
        c: tick(options: { within: -1 }) { __typename }
        d: dispatch(command: "", body: "{}") { __typename }
        e: tick { __typename }
    }"#;
    let reason = "the server failed while it carried the command out";
    assert_eq!(
        house.data(query, json!({})).await,
        json!({
            "a": { "__typename": "Receipt" }, "b": { "__typename": "OutcomeUnknown", "reason": reason },
            "c": { "__typename": "Invalid" }, "d": { "__typename": "Invalid" }, "e": { "__typename": "Receipt" },
        })
    );
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_goes_on() {
    let house = house().await;
    let got = house.operation(r#"{ account(id: "panic") { id } }"#, json!({})).await;
    assert_eq!(got.code(), "panicked");
    house.data("mutation { tick { __typename } }", json!({})).await;
}
