//! A server to ask, and plain HTTP to ask it by.

use super::orchestra::Sagas;
use super::scripted::{Commands, Questions};
use super::shelf::Shelf;
use core::net::SocketAddr;
use portolan::application::{Ports, Runtime};
use portolan::ports::EventStore;
use portolan::prelude::{MemoryStore, TokioRuntime as _};
use portolan::values::{Append, EventType, NewEvent, StreamId};
use portolan_graphql::{GraphqlServer, ServerConfig};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct House {
    pub(crate) commands: Arc<Commands>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) sagas: Arc<Sagas>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: tokio::sync::oneshot::Sender<()>,
    pub(crate) served: tokio::task::JoinHandle<()>,
}

pub(crate) struct Parts {
    pub(crate) commands: Arc<Commands>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) sagas: Arc<Sagas>,
    pub(crate) store: Arc<MemoryStore>,
}

impl Parts {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::builder().build());
        Self {
            commands: Arc::default(),
            questions: Arc::default(),
            shelf: Arc::default(),
            sagas: Arc::default(),
            store,
        }
    }

    pub(crate) fn ports(&self) -> Ports {
        let spawn = Runtime::tokio().spawn;
        let ports = Ports::new(self.commands.clone(), self.questions.clone(), self.store.clone(), spawn);
        ports.with_projections(self.shelf.clone()).with_sagas(self.sagas.clone())
    }
}

pub(crate) async fn house() -> House {
    house_with(|server| server).await
}

pub(crate) async fn house_of(change: impl FnOnce(&mut ServerConfig)) -> House {
    let mut config = ServerConfig::default();
    change(&mut config);
    house_with(|server| server.with_config(config)).await
}

pub(crate) async fn house_with(change: impl FnOnce(GraphqlServer) -> GraphqlServer) -> House {
    let parts = Parts::new();
    serve(parts, change).await
}

pub(crate) async fn serve(parts: Parts, change: impl FnOnce(GraphqlServer) -> GraphqlServer) -> House {
    let server = change(GraphqlServer::new(parts.ports())).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let served = tokio::spawn(server.serve(async { drop(stopped.await) }));
    let Parts { commands, questions, shelf, sagas, store } = parts;
    House { commands, questions, shelf, sagas, store, address, stop, served }
}

/// An answer over HTTP.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl House {
    pub(crate) fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Got {
        send(self.address, head, body).await
    }

    pub(crate) async fn get(&self, target: &str, headers: &str) -> Got {
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"), b"").await
    }

    pub(crate) async fn post(&self, body: &[u8], headers: &str) -> Got {
        let length = body.len();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.send(&head, body).await
    }

    pub(crate) async fn operation(&self, query: &str, variables: Value) -> Got {
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.post(body.as_bytes(), "content-type: application/json\r\n").await
    }

    /// The data of an operation that has to succeed.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.operation(query, variables).await.json();
        assert_eq!(answer.get("errors"), None, "{query}");
        answer["data"].take()
    }

    /// Appends events of these payloads to a stream.
    pub(crate) async fn append(&self, stream: &str, payloads: &[&str]) {
        let event = |payload: &&str| {
            let kind: EventType = "thing.happened".parse().unwrap();
            NewEvent::new(stream.parse::<StreamId>().unwrap(), kind, payload.to_string())
        };
        let mut append = Append::default();
        append.events = payloads.iter().map(event).collect();
        self.store.append(append).await.unwrap();
    }
}

pub(crate) async fn send(address: SocketAddr, head: &str, body: &[u8]) -> Got {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    // A server may answer before it has all of it.
    let _ = socket.write_all(body).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head, body: answer[end + 4..].to_vec() }
}
