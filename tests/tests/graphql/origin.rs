//! Pages of elsewhere: a browser sends what they ask for, and says where they are from.

use super::live::{Next, Socket};
use super::support::{House, house, house_of, house_with};
use async_trait::async_trait;
use core::time::Duration;
use portolan::application::Admission;
use portolan::ports::{AuthenticationError, Authenticator, Caller, Credentials};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The status and the code of an upgrade with these headers, with or without the subprotocol.
async fn upgrade(house: &House, headers: &str) -> (u16, String) {
    let head = format!(
        "GET /graphql HTTP/1.1\r\nhost: {}\r\nconnection: close, Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
        house.address
    );
    let got = house.send(&head, b"").await;
    (got.status, if got.status == 101 { String::new() } else { got.code() })
}

const PROTOCOL: &str = "sec-websocket-protocol: graphql-transport-ws\r\n";

#[tokio::test]
async fn a_page_of_another_origin_gets_no_web_socket() {
    let house = house_of(|config| config.socket_timeout = Duration::from_millis(100)).await;
    let (address, port) = (house.address, house.address.port());
    let denied = (403, "denied".to_owned());
    for origin in [
        "http://elsewhere.example".to_owned(),
        format!("http://elsewhere.example:{port}"),
        format!("http://localhost:{port}"),
        "http://127.0.0.1".to_owned(),
        "http://127.0.0.1:1".to_owned(),
        format!("http://{address}.elsewhere.example"),
        format!("http://elsewhere.example://{address}"),
        address.to_string(),
        "null".to_owned(),
        String::new(),
        "http://é".to_owned(),
        format!("http://{address}\r\norigin: http://elsewhere.example"),
        format!("http://elsewhere.example\r\norigin: http://{address}"),
    ] {
        let headers = format!("{PROTOCOL}origin: {origin}\r\n");
        assert_eq!(upgrade(&house, &headers).await, denied, "{origin}");
        // Before what else is wrong with it.
        assert_eq!(upgrade(&house, &format!("origin: {origin}\r\n")).await, denied, "{origin}");
    }
    assert_eq!(upgrade(&house, "").await, (400, "malformed".to_owned()));
}

#[tokio::test]
async fn its_own_page_and_who_is_no_page_get_one() {
    let house = house().await;
    // Behind a proxy with TLS, too.
    for origin in [None, Some(format!("http://{}", house.address)), Some(format!("https://{}", house.address))] {
        let headers: Vec<_> = origin.iter().map(|origin| ("origin", origin.as_str())).collect();
        let mut socket = Socket::with_headers(house.address, "/graphql", &headers).await.unwrap();
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }), "{origin:?}");
        socket.subscribe("a", "mutation { tick { __typename } }").await;
        assert_eq!(socket.field("a", "tick").await["__typename"], "Receipt");
        assert_ne!(socket.next().await, Next::Closed(None));
    }
}

#[tokio::test]
async fn a_server_may_allow_pages_of_other_origins() {
    let house = house_of(|config| {
        config.socket_timeout = Duration::from_millis(100);
        config.allowed_origins = vec!["https://app.example".to_owned(), "http://localhost:5173".to_owned()];
    })
    .await;
    let own = format!("http://{}", house.address);
    for (origin, status) in [
        ("https://app.example", 101),
        ("http://localhost:5173", 101),
        (own.as_str(), 101),
        ("http://app.example", 403),
        ("https://app.example:444", 403),
        ("https://app.example.elsewhere", 403),
        ("https://more.app.example", 403),
        ("http://localhost", 403),
        ("null", 403),
    ] {
        assert_eq!(upgrade(&house, &format!("{PROTOCOL}origin: {origin}\r\n")).await.0, status, "{origin}");
    }
}

/// Counts who asks to be let in.
#[derive(Clone, Default)]
struct Door(Arc<AtomicUsize>);

#[async_trait]
impl Authenticator for Door {
    async fn authenticate(&self, _: &Credentials) -> Result<Caller, AuthenticationError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(AuthenticationError::Missing)
    }
}

#[tokio::test]
async fn what_a_page_of_another_origin_shows_is_not_looked_at() {
    let door = Door::default();
    let house = house_with(|server| server.with_admission(Admission::by(door.clone()))).await;
    let shown = format!("{PROTOCOL}authorization: Bearer x\r\n");
    assert_eq!(upgrade(&house, &format!("{shown}origin: http://elsewhere.example\r\n")).await.0, 403);
    assert_eq!(door.0.load(Ordering::SeqCst), 0);
    assert_eq!(upgrade(&house, &shown).await.0, 401);
    assert_eq!(door.0.load(Ordering::SeqCst), 1);
}

/// Why `POST` needs no such rule: a page can have nothing but forms and plain text sent without asking first (Fetch, CORS),
/// and is told no when it asks.
#[tokio::test]
async fn a_page_of_another_origin_can_post_nothing() {
    let house = house().await;
    let body = json!({ "query": "mutation { tick { __typename } }" }).to_string();
    for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        for header in [format!("content-type: {simple}\r\n"), String::new()] {
            let headers = format!("origin: http://elsewhere.example\r\n{header}");
            let got = house.post(body.as_bytes(), &headers).await;
            assert_eq!((got.status, got.code().as_str()), (415, "media-type"), "{header}");
        }
    }
    let preflight = "OPTIONS /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: http://elsewhere.example\r\n\
        access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n";
    let got = house.send(preflight, b"").await;
    assert_eq!(got.status, 405);
    let asked = house.get("/graphql?query=%7Bstore%7Block%7D%7D", "origin: http://elsewhere.example\r\n").await;
    for answer in [got, asked] {
        assert!(!answer.head.contains("access-control-"), "{}", answer.head);
    }
    assert!(house.commands.arrived.lock().unwrap().is_empty());
}
