//! GraphQL under a path of the HTTP server, which knows it as any other service.

use super::live::{Next, Socket};
use super::support::{Parts, send};
use core::time::Duration;
use portolan::HttpServer;
use portolan_graphql::{GraphqlClient, GraphqlServer};
use serde_json::json;

#[tokio::test]
async fn http_mounts_it_whole() {
    let parts = Parts::new();
    let graphql = GraphqlServer::new(parts.ports()).service().await;
    let server = HttpServer::new(parts.ports()).mount("/graphql", graphql);
    let server = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(async { drop(stopped.await) }));

    let client = GraphqlClient::connect(format!("http://{address}/graphql")).await.unwrap();
    assert_eq!(client.ports().commands.commands(), portolan::ports::CommandBus::commands(&*parts.commands));
    for (target, media_type) in [
        ("/graphql/schema", "application/graphql"),
        ("/graphql/graphiql/react.js", "text/javascript"),
        ("/graphql?query=%7Bstore%7Block%7D%7D", "application/json"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let got = send(address, &head, b"").await;
        assert_eq!(got.status, 200, "{target}");
        assert!(got.head.contains(&format!("content-type: {media_type}")), "{}", got.head);
    }

    let own = format!("http://{address}");
    for (origin, is_let_in) in [(own.as_str(), true), ("http://elsewhere.example", false)] {
        let opened = Socket::with_headers(address, "/graphql", &[("origin", origin)]).await;
        assert_eq!(opened.is_ok(), is_let_in, "{origin}");
    }
    let mut socket = Socket::open(address, "/graphql").await;
    socket.subscribe("a", "subscription { balances(key: \"acc-1\") { balance } }").await;
    assert_eq!(socket.field("a", "balances").await, json!({ "balance": "-100" }));
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), served).await;
    ended.expect("an open WebSocket does not hold up the server").unwrap();
    loop {
        match socket.next().await {
            Next::Message(message) => assert_eq!(message["type"], "complete"),
            Next::Closed(code) => {
                assert_eq!(code, Some(1001));
                break;
            }
        }
    }
}
