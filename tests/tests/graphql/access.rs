//! Who is let in over HTTP, what each may do, and what is written of it. Over WebSockets: `access_live`.

use super::support::{House, Parts, house_with, serve};
use async_trait::async_trait;
use portolan::application::Admission;
use portolan::drivers::{Roles, StaticKeys};
use portolan::ports::{AuthenticationError, Authenticator, Caller, Credentials, Source};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

pub(crate) const ANN: &str = "Bearer ann-has-this-key";
pub(crate) const EVE: &str = "Bearer eve-has-this-key";
pub(crate) const NODE: &str = "Bearer between-the-nodes";

const KEYS: &[u8] = br#"[
    {"key": "ann-has-this-key", "actor": "ann", "tenant": "north", "roles": ["all"]},
    {"key": "eve-has-this-key", "actor": "eve", "roles": ["nothing"]},
    {"key": "between-the-nodes", "actor": "node", "speaks_for_others": true, "roles": ["all"]}
]"#;

const ROLES: &[u8] = br#"{
    "all": {
        "commands": ["*"], "queries": ["*"], "streams": ["*", "$*"], "projections": ["*"], "operates": ["*"], "records": true,
        "starts": ["*"], "sagas": ["*"], "steers": ["*"]
    }
}"#;

pub(crate) fn admission() -> Admission {
    Admission::by(StaticKeys::from_json(KEYS).unwrap()).with_policy(Roles::from_json(ROLES).unwrap())
}

/// A server that lets in whom it knows.
pub(crate) async fn guarded() -> House {
    house_with(|server| server.with_admission(admission()).with_projection_actions(true).with_saga_actions(true)).await
}

/// An authenticator that says what a test wants it to, whatever is shown.
#[derive(Clone)]
pub(crate) struct Says(pub(crate) Arc<Mutex<Result<Caller, AuthenticationError>>>);

impl Says {
    pub(crate) fn new(said: Result<Caller, AuthenticationError>) -> Self {
        Self(Arc::new(Mutex::new(said)))
    }
}

#[async_trait]
impl Authenticator for Says {
    async fn authenticate(&self, _: &Credentials) -> Result<Caller, AuthenticationError> {
        self.0.lock().unwrap().clone()
    }
}

/// Says whether anything has reached a port since the server was made.
pub(crate) fn is_untouched(house: &House, asked: usize) -> bool {
    house.commands.arrived.lock().unwrap().is_empty()
        && house.questions.arrived.lock().unwrap().is_empty()
        && house.sagas.reached() == 0
        && house.shelf.acted.lock().unwrap().is_empty()
        && house.shelf.asked.load(Ordering::SeqCst) == asked
}

const EVERYTHING: [&str; 3] = [
    r#"{"query":"mutation { tick { __typename } }"}"#,
    r#"{"query":"{ account(id: \"ann\") { id } balances(key: \"acc-1\") { key } store { identity } }"}"#,
    r#"{"query":"{ __schema { queryType { name } } }"}"#,
];

async fn post(house: &House, authorization: &str, query: &str) -> Value {
    let headers = format!("content-type: application/json\r\nauthorization: {authorization}\r\n");
    let got = house.post(json!({ "query": query }).to_string().as_bytes(), &headers).await;
    assert_eq!(got.status, 200, "{query}");
    got.json()
}

#[rstest]
#[case::none("", false)]
#[case::empty("authorization:\r\n", true)]
#[case::no_scheme("authorization: ann-has-this-key\r\n", true)]
#[case::no_key("authorization: Bearer \r\n", true)]
#[case::another_scheme("authorization: Basic ann-has-this-key\r\n", true)]
#[case::forged("authorization: Bearer bob-has-this-key\r\n", true)]
#[case::altered("authorization: Bearer Ann-has-this-key\r\n", true)]
#[case::cut_short("authorization: Bearer ann-has-this-ke\r\n", true)]
#[case::longer("authorization: Bearer ann-has-this-keyy\r\n", true)]
#[case::two_in_one("authorization: Bearer ann-has-this-key, Bearer ann-has-this-key\r\n", true)]
#[case::doubled("authorization: Bearer ann-has-this-key\r\nauthorization: Bearer ann-has-this-key\r\n", true)]
#[case::beside_another("authorization: Bearer ann-has-this-key\r\nAuthorization: Bearer x\r\n", true)]
#[case::not_ascii("authorization: Bearer ann-has-this-key\u{e9}\r\n", true)]
#[case::huge(&format!("authorization: Bearer {}\r\n", "ann-has-this-key".repeat(4_000)), true)]
#[tokio::test]
async fn who_is_not_known_reaches_nothing(#[case] headers: &str, #[case] shows: bool) {
    let house = guarded().await;
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let mut answers = Vec::new();
    for body in EVERYTHING {
        answers.push(house.post(body.as_bytes(), &format!("content-type: application/json\r\n{headers}")).await);
    }
    // What is wrong with the rest of a request is nobody's business but a caller's.
    answers.push(house.post(b"{", headers).await);
    answers.push(house.get("/graphql?query=%7B+store+%7B+identity+%7D+%7D", headers).await);
    answers.push(house.get("/graphql", headers).await);
    answers.push(
        house.send(&format!("PUT /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"), b"").await,
    );
    for got in answers {
        assert_eq!((got.status, got.code().as_str()), (401, "unauthenticated"));
        let challenge = if shows { "bearer error=\"invalid_token\"" } else { "bearer" };
        assert!(got.head.contains(&format!("www-authenticate: {challenge}\r\n")), "{}", got.head);
        assert!(!String::from_utf8_lossy(&got.body).contains("has-this-key"));
    }
    assert!(is_untouched(&house, asked));
}

#[tokio::test]
async fn what_a_schema_is_made_of_is_open() {
    let house = guarded().await;
    let schema = house.get("/graphql/schema", "").await;
    assert_eq!(schema.status, 200);
    assert!(String::from_utf8(schema.body).unwrap().contains("type Query"));
    assert_eq!(house.get("/graphql", "accept: text/html\r\n").await.status, 200);
    assert_eq!(house.get("/graphql/graphiql/react.js", "").await.status, 200);
    // A page is a page, and not what it asks for.
    assert_eq!(house.get("/graphql?query=%7B__typename%7D", "accept: text/html\r\n").await.status, 401);
    let post = "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: text/html\r\n\r\n";
    assert_eq!(house.send(post, b"").await.status, 401);
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let house = guarded().await;
    let head = |length: usize| {
        format!("POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    // One that does not come, and one that is larger than any.
    assert_eq!(house.send(&head(100), b"").await.status, 401);
    assert_eq!(house.send(&head(8 << 20), &vec![b' '; 8 << 20]).await.status, 401);
}

#[tokio::test]
async fn what_an_authenticator_says_is_told_as_http_has_it() {
    for (said, status, code, members) in [
        (AuthenticationError::Denied("é is locked".into()), 403, "denied", json!({ "reason": "é is locked" })),
        (
            AuthenticationError::Busy(Source::new("ldap://10.0.0.7 is gone")),
            503,
            "busy",
            json!({ "reason": "who sends this cannot be found out now; try again" }),
        ),
    ] {
        let house = house_with(|server| server.with_admission(Admission::by(Says::new(Err(said))))).await;
        let asked = house.shelf.asked.load(Ordering::SeqCst);
        for body in EVERYTHING {
            let got = house.post(body.as_bytes(), "content-type: application/json\r\n").await;
            assert_eq!((got.status, got.code().as_str()), (status, code));
            assert!(!String::from_utf8_lossy(&got.body).contains("ldap"), "{}", got.json());
            let mut extensions = got.json()["errors"][0]["extensions"].take();
            extensions.as_object_mut().unwrap().remove("code");
            assert_eq!(extensions, members);
            assert!(!got.head.contains("www-authenticate"));
        }
        assert!(is_untouched(&house, asked));
    }
}

/// A document for each field of the roots that asks a port, by the field; and whether a command's result tells of it.
const GUARDED: [(&str, &str); 32] = [
    ("stream", r#"{ stream(id: "thing-1") { frontier } }"#),
    ("events", "{ events { frontier } }"),
    ("account", r#"{ account(id: "ann") { id } }"#),
    ("events2", r#"{ events2(parameters: "{\"id\":\"x\"}") }"#),
    ("ask", r#"{ ask(query: "account", parameters: "{\"id\":\"x\"}") { revision } }"#),
    ("projection", r#"{ projection(name: "balances") { version } }"#),
    ("rows", r#"query { rows(question: "x") }"#),
    ("waitFor", r#"{ waitFor(projection: "balances", position: 1) }"#),
    ("balances", r#"{ balances(key: "acc-1") { key } }"#),
    ("balancesList", "{ balancesList { edition } }"),
    ("balancesByOwner", "{ balancesByOwner { edition } }"),
    ("balancesByStanding", "{ balancesByStanding { edition } }"),
    ("sagas", r#"{ sagas(name: "order") { next } }"#),
    ("saga", r#"{ saga(name: "order", id: "1") { phase } }"#),
    ("sagaTimeline", r#"{ sagaTimeline(name: "order", id: "1") { next } }"#),
    ("actOnSaga", r#"mutation { actOnSaga(name: "order", id: "1", action: RETRY) { phase } }"#),
    ("startSaga", r#"mutation { startSaga(name: "order", id: "1", input: "{}") { version } }"#),
    ("startOrder", r#"mutation { startOrder(id: "1", input: { amount: 1 }) { version } }"#),
    ("startPlain", r#"mutation { startPlain(id: "1", input: "x") { version } }"#),
    ("startTick", r#"mutation { startTick(id: "1") { version } }"#),
    ("startTransferMoney", r#"mutation { startTransferMoney(id: "1", input: "{}") { version } }"#),
    ("store.checkpoint", r#"{ store { checkpoint(name: "a") { token } } }"#),
    ("store.recall", r#"{ store { recall(scope: "a", id: "b") { first } } }"#),
    ("store.changed", "{ store { changed } }"),
    ("actOnProjection", r#"mutation { actOnProjection(projection: "balances", action: PAUSE) }"#),
    ("dispatch", r#"mutation { r: dispatch(command: "tick", body: "{}") { __typename } }"#),
    ("tick", "mutation { r: tick { __typename } }"),
    ("slow", r#"mutation { r: slow(input: "{}") { __typename } }"#),
    ("panic", r#"mutation { r: panic(input: "{}") { __typename } }"#),
    ("closeAccount", r#"mutation { r: closeAccount(input: "{}") { __typename } }"#),
    ("eventsForget", r#"mutation { r: eventsForget(input: "{}") { __typename } }"#),
    (
        "openAccount",
        r#"mutation { r: openAccount(input: { account_id: "a", kind: checking, limit: 1, owners: [] }) { __typename } }"#,
    ),
];

/// What tells no more than the schema does, or leaves out what the caller may not see.
const OPEN: [&str; 5] = ["store", "commands", "queries", "projections", "sagaDefinitions"];

fn denied(answer: &Value) -> bool {
    answer["data"]["r"]["__typename"] == "Denied" || answer["errors"][0]["extensions"]["code"] == "denied"
}

#[tokio::test]
async fn every_field_that_asks_a_port_is_guarded() {
    let house = guarded().await;
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let variables = json!({ "question": { "projection": "balances", "prefer": 3, "rows": { "keys": ["acc-1"] }, "atLeast": null } });
    for (field, document) in GUARDED {
        let answer = match field {
            "rows" => {
                let body =
                    json!({ "query": "query($question: JSON!) { rows(question: $question) }", "variables": variables });
                let headers = format!("content-type: application/json\r\nauthorization: {EVE}\r\n");
                house.post(body.to_string().as_bytes(), &headers).await.json()
            }
            _ => post(&house, EVE, document).await,
        };
        assert!(denied(&answer), "{field}: {answer}");
        let reason = answer.to_string();
        assert!(reason.contains("eve may not") || answer["data"]["r"].is_object(), "{reason}");
    }
    assert_eq!(post(&house, EVE, "{ projections { name } }").await["data"], json!({ "projections": [] }));
    assert!(
        post(&house, EVE, "{ store { identity } commands { name } queries { name } }").await.get("errors").is_none()
    );
    assert!(is_untouched(&house, asked));
    // Those that the caller may not see are left out.
    let sagas = post(&house, EVE, "{ sagas { sagas { id } } sagaDefinitions { name } }").await;
    assert_eq!(sagas["data"]["sagas"], json!({ "sagas": [] }));
    assert!(house.sagas.reached() > 0, "what it answers is thinned out");
    for (field, document) in GUARDED {
        let answer = post(&house, ANN, document).await;
        assert!(!denied(&answer), "{field}: {answer}");
    }

    // None is left out.
    let tested: BTreeSet<_> = GUARDED.iter().map(|(field, _)| *field).chain(OPEN).collect();
    let schema = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let schema = post(&house, EVE, schema).await["data"]["__schema"].take();
    for root in ["queryType", "mutationType"] {
        for field in schema[root]["fields"].as_array().unwrap() {
            assert!(tested.contains(field["name"].as_str().unwrap()), "{field} is not looked at");
        }
    }
}

#[tokio::test]
async fn parked_events_are_for_operators() {
    let roles = br#"{ "nothing": { "projections": ["balances"] } }"#;
    let admission = Admission::by(StaticKeys::from_json(KEYS).unwrap()).with_policy(Roles::from_json(roles).unwrap());
    let house = house_with(|server| server.with_admission(admission)).await;
    let query = r#"{ projection(name: "balances") { version parkedEvents { events { position } } } }"#;
    let answer = post(&house, EVE, query).await;
    assert_eq!(answer["data"], json!({ "projection": { "version": 3, "parkedEvents": null } }));
    assert!(denied(&answer));
}

#[tokio::test]
async fn who_sends_it_is_written_whatever_it_claims() {
    let house = guarded().await;
    let tick = r#"mutation($metadata: JSON) { tick(options: { metadata: $metadata }) { __typename } }"#;
    let ask = r#"query($metadata: JSON) { account(id: "ann", options: { metadata: $metadata }) { id } }"#;
    let start = r#"mutation($metadata: JSON) { startTick(id: "1", options: { metadata: $metadata }) { version } }"#;
    let act = r#"mutation($metadata: JSON) {
        actOnSaga(name: "order", id: "1", action: SKIP, options: { metadata: $metadata }) { phase }
    }"#;
    let claimed = json!({ "actor": "mallory", "tenant": "south", "correlation_id": "c" });
    for (key, claimed, actor, tenant) in [
        (ANN, claimed.clone(), Some("ann"), Some("north")),
        (ANN, Value::Null, Some("ann"), Some("north")),
        // One that has asked its callers itself.
        (NODE, claimed, Some("mallory"), Some("south")),
        (NODE, json!({ "correlation_id": "c" }), Some("node"), None),
    ] {
        for query in [tick, ask, start, act] {
            let body = json!({ "query": query, "variables": { "metadata": claimed } }).to_string();
            let headers = format!("content-type: application/json\r\nauthorization: {key}\r\n");
            assert!(house.post(body.as_bytes(), &headers).await.json().get("errors").is_none());
        }
        let command = house.commands.last().0.metadata;
        let question = house.questions.arrived.lock().unwrap().pop().unwrap().metadata;
        let started = house.sagas.started.lock().unwrap().pop().unwrap().metadata;
        let acted = house.sagas.acted.lock().unwrap().pop().unwrap().metadata;
        for metadata in [command, question, started, acted] {
            assert_eq!((metadata.actor.as_deref(), metadata.tenant.as_deref()), (actor, tenant), "{key} {claimed}");
            assert_eq!(
                metadata.correlation.as_deref(),
                claimed["correlation_id"].as_str(),
                "{key} {claimed} {metadata:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_has_begun_outlives_its_credentials() {
    let until = super::access_live::soon(500);
    let admission = Admission::by(Says::new(Ok(Caller::new("ann").until(until))));
    let house = serve(Parts::new(), |server| server.with_admission(admission)).await;
    let answer = post(&house, ANN, r#"{ waitFor(projection: "balances", position: 998, wait: 1.5) }"#).await;
    assert_eq!(answer, json!({ "data": { "waitFor": false } }));
}
