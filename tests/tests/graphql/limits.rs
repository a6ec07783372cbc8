//! What is refused, and that the server goes on.

use super::support::{House, house, house_of};
use rstest::rstest;
use serde_json::json;

async fn goes_on(house: &House) {
    let data = house.data("{ store { identity } }", json!({})).await;
    assert!(data["store"]["identity"].is_string());
}

#[rstest]
#[case::no_json("{\"query\":", 400, "malformed")]
#[case::no_object("[]", 400, "malformed")]
#[case::batch(r#"["{ store { identity } }"]"#, 400, "malformed")]
#[case::batch_of_objects(r#"[{"query":"{ store { identity } }"}]"#, 400, "malformed")]
#[case::empty("", 400, "malformed")]
#[case::no_query("{}", 400, "malformed")]
#[case::unknown_member(r#"{"query":"{ store { identity } }","colour":1}"#, 400, "malformed")]
#[case::variables_no_object(r#"{"query":"{ store { identity } }","variables":[]}"#, 400, "malformed")]
#[case::timeout_no_number(r#"{"query":"{ store { identity } }","extensions":{"timeout":"x"}}"#, 400, "invalid-request")]
#[case::no_document(r#"{"query":"{ store { identity }"}"#, 200, "malformed")]
#[case::no_operation(r#"{"query":"fragment f on Store { identity }"}"#, 200, "invalid-document")]
#[case::unknown_field(r#"{"query":"{ store { colour } }"}"#, 200, "invalid-document")]
#[case::unknown_argument(r#"{"query":"{ events(colour: 1) { frontier } }"}"#, 200, "invalid-document")]
#[case::undefined_variable(r#"{"query":"{ events(first: $n) { frontier } }"}"#, 200, "invalid-document")]
#[case::cycle(
    r#"{"query":"{ store { ...a } } fragment a on Store { ...b } fragment b on Store { ...a }"}"#,
    200,
    "invalid-document"
)]
#[case::subscription(r#"{"query":"subscription { events { kind } }"}"#, 200, "not-here")]
#[case::other_operation(r#"{"query":"query a { store { identity } }","operationName":"b"}"#, 200, "no-such-operation")]
#[tokio::test]
async fn what_cannot_be_carried_out_is_refused(#[case] body: &str, #[case] status: u16, #[case] code: &str) {
    let house = house().await;
    let got = house.post(body.as_bytes(), "content-type: application/json\r\n").await;
    assert_eq!((got.status, got.code().as_str()), (status, code), "{}", got.json());
    assert!(got.json()["errors"][0]["message"].as_str().is_some_and(|message| !message.is_empty()));
    // A client that knows of the media type gets a status too.
    let headers = "content-type: application/json\r\naccept: application/graphql-response+json\r\n";
    assert_eq!(house.post(body.as_bytes(), headers).await.status, 400);
    goes_on(&house).await;
}

#[tokio::test]
async fn what_is_wrong_is_told_in_words_of_the_wire() {
    let house = house().await;
    for body in ["[]", r#"["{ store { identity } }"]"#, r#"[{"query":"{ store { identity } }"}]"#, "1", "null"] {
        let got = house.post(body.as_bytes(), "content-type: application/json\r\n").await.json();
        let message = got["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("expected one operation as a JSON object; batches are not offered"), "{message}");
    }
    for question in [
        json!(1),
        json!([]),
        json!(["balances", null, { "keys": [] }, null]),
        json!({ "projection": "balances", "rows": 1 }),
        json!({ "projection": "balances", "rows": { "page": 1 } }),
        json!({ "projection": "balances", "rows": { "page": { "by": 1, "backward": false, "limit": 1, "after": null } } }),
        json!({ "projection": "balances", "rows": { "page": { "by": { "key": 1 }, "backward": false, "limit": 1 } } }),
        json!({ "projection": "balances", "rows": { "page": { "by": { "key": { "from": 1, "to": "unbounded" } } } } }),
        json!({ "projection": "balances", "rows": { "page": { "by": { "index": { "name": "a", "equals": [1] } } } } }),
        json!({ "projection": "balances", "rows": { "page": { "by": { "index": 1 } } } }),
        json!({ "projection": "balances", "rows": { "page": { "after": 1 } } }),
        json!({ "projection": "balances", "rows": { "page": { "after": { "values": [1] } } } }),
    ] {
        let got = house.operation("query($q: JSON!) { rows(question: $q) }", json!({ "q": question })).await.json();
        let error = &got["errors"][0];
        assert_eq!(error["extensions"]["code"], "invalid-request", "{got}");
        let text = error.to_string();
        assert!(!["Wire", "struct", "enum ", "tuple"].iter().any(|word| text.contains(word)), "{text}");
    }
    for metadata in [json!(1), json!([]), json!(["c"])] {
        let query = "mutation($m: JSON) { tick(options: { metadata: $m }) { __typename ... on Invalid { message } } }";
        let tick = house.data(query, json!({ "m": metadata })).await["tick"].take();
        assert_eq!(tick["__typename"], "Invalid", "{tick}");
        let message = tick["message"].as_str().unwrap();
        assert!(message.contains("expected an object of metadata"), "{message}");
    }
    assert!(house.commands.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_json_is_taken() {
    let house = house().await;
    let body = br#"{"query":"{ store { identity } }"}"#;
    for headers in [
        "",
        "content-type: text/plain\r\n",
        "content-type: text/plain; application/json\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: multipart/form-data; boundary=application/json\r\n",
    ] {
        let got = house.post(body, headers).await;
        assert_eq!((got.status, got.code().as_str()), (415, "media-type"), "{headers}");
    }
    assert_eq!(house.post(body, "content-type: application/json; charset=utf-8\r\n").await.status, 200);
}

#[tokio::test]
async fn a_giant_body_is_refused_and_told_so() {
    let house = house_of(|config| config.body_bytes = 10_000).await;
    let giant = vec![b' '; 1 << 20];
    let got = house.post(&giant, "content-type: application/json\r\n").await;
    assert_eq!((got.status, got.code().as_str()), (413, "body-too-large"));
    assert_eq!(got.json()["errors"][0]["extensions"]["limit"], "10000");
    goes_on(&house).await;
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let house = house_of(|config| config.body_timeout = core::time::Duration::from_millis(50)).await;
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n";
    let got = house.send(head, b"{").await;
    assert_eq!((got.status, got.code().as_str()), (408, "slow-request"));
    goes_on(&house).await;
}

#[tokio::test]
async fn a_deep_document_is_refused() {
    let house = house().await;
    let deep = |n: usize| format!("{{ {}frontier{} }}", "events { edges { node { ".repeat(n), " } } }".repeat(n));
    assert_eq!(house.operation(&deep(10), json!({})).await.code(), "too-deep");
    // Deep enough to break a stack, if anything went down there.
    assert_eq!(house.operation(&"{ a ".repeat(3_000), json!({})).await.code(), "too-deep");
    let by_fragments = "{ ...f0 } ".to_owned()
        + &(0..40).map(|n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1)).collect::<String>()
        + "fragment f40 on Query { store { identity } }";
    assert_eq!(house.operation(&by_fragments, json!({})).await.code(), "too-deep");
    let value = format!("{{ events(any: {}{}) {{ frontier }} }}", "[".repeat(3_000), "]".repeat(3_000));
    assert_eq!(house.operation(&value, json!({})).await.code(), "too-deep");
    // JSON itself is refused before.
    let variables = format!(
        r#"{{"query":"{{ store {{ identity }} }}","variables":{{"a":{}{}}}}}"#,
        "[".repeat(3_000),
        "]".repeat(3_000)
    );
    assert_eq!(house.post(variables.as_bytes(), "content-type: application/json\r\n").await.code(), "malformed");
    goes_on(&house).await;
}

/// As `graphql-js` and GraphiQL ask for a schema.
const INTROSPECTION: &str = "query IntrospectionQuery {
    __schema {
        queryType { name kind } mutationType { name kind } subscriptionType { name kind }
        types { ...FullType }
        directives { name description locations args { ...InputValue } }
    }
}
fragment FullType on __Type {
    kind name description
    fields(includeDeprecated: true) {
        name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
    }
    inputFields { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type {
    kind name ofType { name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind
        ofType { name kind ofType { name kind ofType { name kind ofType { name kind } } } } } } } } }
}";

#[tokio::test]
async fn clients_can_ask_for_the_schema_within_the_usual_limits() {
    let data = house().await.data(INTROSPECTION, json!({})).await;
    assert_eq!(data["__schema"]["queryType"]["name"], "Query");
    // The documentation of the limit tells what it needs.
    let house = house_of(|config| config.max_depth = 18).await;
    house.data(INTROSPECTION, json!({})).await;
    let house = house_of(|config| config.max_depth = 17).await;
    assert_eq!(house.operation(INTROSPECTION, json!({})).await.code(), "too-deep");
}

#[tokio::test]
async fn a_document_that_asks_for_too_much_is_refused() {
    let house = house_of(|config| config.max_complexity = 2_000).await;
    house.data("{ events(first: 100) { edges { node { id } } } }", json!({})).await;
    for query in [
        "{ events(first: 1000) { edges { node { id } } } }",
        "{ events(last: 1000) { edges { node { id } } } }",
        "query($n: Int) { events(first: $n) { edges { node { id } } } }",
        "query($n: Int = 1000) { events(first: $n) { edges { node { id } } } }",
        "{ a: events { ...e } b: events { ...e } c: events { ...e } d: events { ...e } e: events { ...e } }
         fragment e on EventConnection { edges { node { id type } } }",
        "{ projections { name parkedEvents(first: 1000) { events { position } } } }",
        "{ balancesList(first: 800) { edges { node { key } } } }",
    ] {
        let variables = if query.contains('=') { json!({}) } else { json!({ "n": 1_000 }) };
        let got = house.operation(query, variables).await;
        assert_eq!(got.code(), "too-complex", "{query}");
        assert_eq!(got.json()["errors"][0]["extensions"]["limit"], "2000");
    }
    goes_on(&house).await;
}

#[tokio::test]
async fn fragments_that_multiply_are_refused_in_time() {
    let house = house().await;
    let bomb = "{ ...f0 } ".to_owned()
        + &(0..12)
            .map(|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} ...f{0} ...f{0} }} ", n + 1))
            .collect::<String>()
        + "fragment f12 on Query { store { identity } }";
    assert_eq!(house.operation(&bomb, json!({})).await.code(), "too-long");
    let long = format!("{{ {} }}", "store { identity } ".repeat(5_000));
    assert_eq!(house.operation(&long, json!({})).await.code(), "too-long");
    goes_on(&house).await;
}

#[tokio::test]
async fn introspection_can_be_turned_off() {
    const ASK: &str = "{ __schema { types { name } } }";
    let house = house().await;
    assert!(house.data(ASK, json!({})).await["__schema"]["types"].is_array());
    assert_eq!(house.get("/graphql/schema", "").await.status, 200);
    let house = house_of(|config| config.introspection = false).await;
    for query in [ASK, r#"{ __type(name: "Query") { name } }"#] {
        assert_eq!(house.operation(query, json!({})).await.code(), "invalid-document");
    }
    assert_eq!(house.get("/graphql/schema", "").await.status, 404);
    assert_eq!(house.data("{ __typename }", json!({})).await["__typename"], "Query");
}

#[tokio::test]
async fn a_get_reads_and_changes_nothing() {
    let house = house().await;
    let got = house.get("/graphql?query=%7B+store+%7B+identity+%7D+%7D", "").await;
    assert!(got.json()["data"]["store"]["identity"].is_string());
    let got = house.get("/graphql?query=mutation+%7B+tick+%7B+__typename+%7D+%7D", "").await;
    assert_eq!((got.status, got.code().as_str()), (405, "method-not-allowed"));
    assert!(got.head.contains("allow: get, post"), "{}", got.head);
    assert!(house.commands.arrived.lock().unwrap().is_empty());
    assert_eq!(house.get("/graphql", "").await.status, 400);
    assert_eq!(house.get("/elsewhere", "").await.status, 404);
    assert_eq!(house.get("/graphqlx", "").await.status, 404);
    let put = "PUT /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(house.send(put, b"").await.status, 405);
}
