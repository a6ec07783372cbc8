//! Documents that are wide: what they cost is told before anything is asked.

use super::support::{House, house, house_of};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn goes_on(house: &House) {
    assert!(house.data("{ store { identity } }", json!({})).await["store"]["identity"].is_string());
}

fn aliased(count: usize, field: &str) -> String {
    let fields: String = (0..count).map(|n| format!("a{n}: {field} ")).collect();
    format!("{{ {fields} }}")
}

#[tokio::test]
async fn aliases_cost_as_much_as_fields() {
    let house = house().await;
    for (query, code) in [
        (aliased(200, "events(first: 1000) { edges { cursor } }"), "too-complex"),
        (aliased(1_000, "events { edges { cursor node { id } } }"), "too-long"),
        (aliased(2_000, "store { lacks }"), "too-long"),
        (aliased(100, "projections { parkedEvents(first: 1000) { events { position stream } } }"), "too-complex"),
    ] {
        assert_eq!(house.operation(&query, json!({})).await.code(), code, "{}", &query[..60]);
    }
    // As many as a document has room for are one question.
    let before = house.shelf.asked.load(Ordering::SeqCst);
    let data = house.data(&aliased(800, "balances(key: \"acc-1\") { key }"), json!({})).await;
    assert_eq!(data.as_object().unwrap().len(), 800);
    assert_eq!(house.shelf.asked.load(Ordering::SeqCst) - before, 1);
    goes_on(&house).await;
}

#[tokio::test]
async fn a_command_that_is_written_twice_is_sent_once() {
    let house = house().await;
    for query in [
        "mutation { tick { __typename } tick { ... on Receipt { repeated } } }",
        "mutation { tick { __typename } ... on Mutation { tick { ... on Receipt { repeated } } } }",
        "mutation { ...f ... { tick { __typename } } } fragment f on Mutation { tick { ... on Receipt { repeated } } }",
    ] {
        let data = house.data(query, json!({})).await;
        assert_eq!(data["tick"], json!({ "__typename": "Receipt", "repeated": false }), "{query}");
        assert_eq!(core::mem::take(&mut *house.commands.arrived.lock().unwrap()).len(), 1, "{query}");
    }
    // Under two names it is two.
    house
        .data(
            "mutation { tick { __typename } other: tick { __typename } ... { third: tick { __typename } } }",
            json!({}),
        )
        .await;
    assert_eq!(house.commands.arrived.lock().unwrap().len(), 3);
    // And so is the same document sent again, over a socket too.
    let mut socket = super::live::Socket::open(house.address, "/graphql").await;
    for id in ["a", "b"] {
        socket.subscribe(id, "mutation { tick { __typename } }").await;
        assert_eq!(socket.message().await["type"], "next");
        assert_eq!(socket.message().await["type"], "complete");
    }
    assert_eq!(house.commands.arrived.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn one_field_many_times_is_refused_in_time() {
    let house = house().await;
    // More than can be compared in time.
    for query in [
        "account(id: \"ann\") { id } ".repeat(800),
        "store { identity } ".repeat(2_000),
        "... on Query { store { lacks } } ".repeat(900),
    ] {
        let got = house.operation(&format!("{{ {query} }}"), json!({})).await;
        assert_eq!(got.code(), "invalid-document", "{query:.40}");
    }
    let got = house.operation(&format!("{{ store {{ {} }} }}", "identity ".repeat(9_900)), json!({})).await;
    assert_eq!(got.code(), "invalid-document");
    goes_on(&house).await;
}

#[tokio::test]
async fn fields_that_do_not_agree_are_refused_in_time() {
    let house = house().await;
    let query = format!("{{ {} }}", (0..900).map(|n| format!("account(id: \"{n}\") {{ id }} ")).collect::<String>());
    assert_eq!(house.operation(&query, json!({})).await.code(), "invalid-document");
    assert!(house.questions.arrived.lock().unwrap().is_empty());
    goes_on(&house).await;
}

#[tokio::test]
async fn fragments_that_spread_themselves_are_refused() {
    let house = house().await;
    let ring = |count: usize| {
        let parts: String = (0..count)
            .map(|n| format!("fragment f{n} on Query {{ store {{ lacks }} ...f{} }} ", (n + 1) % count))
            .collect();
        format!("{{ ...f0 }} {parts}")
    };
    for (query, code) in [
        (ring(1), "invalid-document"),
        (ring(2), "invalid-document"),
        (ring(10), "invalid-document"),
        // Each of them spreads all.
        (
            format!(
                "{{ ...f0 }} {}",
                (0..40)
                    .map(|n| {
                        let all: String = (0..40).map(|n| format!("...f{n} ")).collect();
                        format!("fragment f{n} on Query {{ {all} }} ")
                    })
                    .collect::<String>()
            ),
            "invalid-document",
        ),
        ("{ ...f } fragment f on Query { ... { ... { ...f } } }".to_owned(), "invalid-document"),
        ("subscription { ...f } fragment f on Subscription { events { kind } ...f }".to_owned(), "invalid-document"),
    ] {
        let got = house.operation(&query, json!({})).await;
        assert!(
            got.code() == code || got.code() == "too-deep" || got.code() == "too-long",
            "{} {query:.60}",
            got.code()
        );
        assert_eq!(got.json().get("data"), None);
    }
    goes_on(&house).await;
}

#[tokio::test]
async fn directives_in_heaps_change_nothing() {
    let house = house().await;
    for (directives, code) in [
        ("@skip(if: false) ".repeat(1_200), None),
        ("@include(if: true) @skip(if: false) ".repeat(600), None),
        ("@colour ".repeat(3_000), Some("invalid-document")),
        ("@skip(if: 1) ".repeat(1_200), Some("invalid-document")),
        ("@skip(if: false) ".repeat(3_000), Some("too-long")),
        ("@".repeat(9_000), Some("malformed")),
    ] {
        let got = house.operation(&format!("{{ store {directives} {{ lacks }} }}"), json!({})).await;
        match code {
            Some(code) => assert_eq!(got.code(), code, "{directives:.40}"),
            None => assert!(got.code().is_empty() || got.code() == "invalid-document", "{}", got.json()),
        }
        assert!(got.body.len() < 2 << 20, "{directives:.40} is answered with {} bytes", got.body.len());
    }
    goes_on(&house).await;
}

#[tokio::test]
async fn what_is_asked_of_the_schema_costs_too() {
    let house = house().await;
    let types = "__schema { types { fields { name args { name type { name ofType { name } } } type { name } } } }";
    let within = "fields { type { ".repeat(5) + "name" + &" } }".repeat(5);
    for query in [
        aliased(300, types),
        format!("{{ __schema {{ types {{ {within} }} }} }}"),
        format!("{{ __type(name: \"Query\") {{ {within} }} }}"),
        format!("{{ __schema {{ queryType {{ {within} }} }} }}"),
        format!(
            "{{ ...f }} fragment f on Query {{ __schema {{ types {{ ...t }} }} }} fragment t on __Type {{ {within} }}"
        ),
        format!(
            "{{ __schema {{ types {{ {} }} }} }}",
            "possibleTypes { interfaces { ".repeat(5) + "name" + &" } }".repeat(5)
        ),
    ] {
        assert_eq!(house.operation(&query, json!({})).await.code(), "too-complex", "{query:.80}");
    }
    let data = house.data(&format!("{{ {types} }}"), json!({})).await;
    assert!(data["__schema"]["types"].is_array());
    goes_on(&house).await;
}

#[tokio::test]
async fn giant_values_are_refused_or_carried_whole() {
    let house = house_of(|config| config.body_bytes = 3 << 20).await;
    let text = "x".repeat(2 << 20);
    let data = house
        .data(
            "mutation($input: JSON!) { closeAccount(input: $input) { __typename } }",
            json!({ "input": { "t": text } }),
        )
        .await;
    assert_eq!(data["closeAccount"]["__typename"], "Receipt");
    assert_eq!(house.commands.last().1["t"].as_str().map(str::len), Some(2 << 20));
    let list: Vec<Value> = (0..200_000).map(Value::from).collect();
    let data = house
        .data(
            "mutation($input: JSON!) { closeAccount(input: $input) { __typename } }",
            json!({ "input": { "l": list } }),
        )
        .await;
    assert_eq!(data["closeAccount"]["__typename"], "Receipt");
    // Variables that no operation has, and a name that is a book.
    let many: serde_json::Map<_, _> = (0..50_000).map(|n| (format!("v{n}"), Value::from(n))).collect();
    house.data("{ store { lacks } }", Value::Object(many)).await;
    let body = json!({ "query": "{ store { lacks } }", "operationName": text }).to_string();
    let got = house.post(body.as_bytes(), "content-type: application/json\r\n").await;
    assert_eq!(got.code(), "no-such-operation");
    assert_eq!(house.operation(&format!("{{ {text} }}"), json!({})).await.code(), "invalid-document");
    let got = house.operation(&format!("{{ account(id: \"{text}\") {{ id }} }}"), json!({})).await;
    assert_eq!(got.json()["data"]["account"]["id"].as_str().map(str::len), Some(2 << 20));
    // A body without a length.
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n";
    let chunks: Vec<u8> =
        (0..100).flat_map(|_| [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat()).collect();
    let got = house.send(head, &chunks).await;
    assert_eq!((got.status, got.code().as_str()), (413, "body-too-large"));
    goes_on(&house).await;
}
