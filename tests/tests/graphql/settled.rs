//! Connections that end in the middle of a command: what has become of it is settled by its id.

use super::alike::{application, events};
use super::live::Socket;
use async_trait::async_trait;
use core::future::pending;
use core::net::SocketAddr;
use core::time::Duration;
use portolan::ports::{Body, CommandInfo};
use portolan::prelude::*;
use portolan::values::Format;
use portolan_graphql::{GraphqlClient, GraphqlServer};
use rstest::rstest;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where a command is held up, so that its connection ends there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Before,
    After,
}

/// A bus that holds commands up while it is told to.
struct Held {
    bus: Arc<dyn CommandBus>,
    at: At,
    is_holding: AtomicBool,
    arrived: Notify,
}

impl Held {
    async fn hold(&self, at: At) {
        if self.at == at && self.is_holding.load(Ordering::SeqCst) {
            self.arrived.notify_one();
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl CommandBus for Held {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.hold(At::Before).await;
        let receipt = self.bus.dispatch(command).await;
        self.hold(At::After).await;
        receipt
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }
}

/// Passes bytes on in both directions, as many as it has been told.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    up: Arc<AtomicI64>,
    down: Arc<AtomicI64>,
    cut: Arc<Notify>,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            up: Arc::new(AtomicI64::new(i64::MAX)),
            down: Arc::new(AtomicI64::new(i64::MAX)),
            cut: Arc::default(),
        };
        let (up, down, cut) = (wire.up.clone(), wire.down.clone(), wire.cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (up, down, cut) = (up.clone(), down.clone(), cut.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    for socket in [&client, &server] {
                        socket.set_zero_linger().unwrap();
                    }
                    let ((mut from, mut to), (mut answers, mut back)) = (client.into_split(), server.into_split());
                    tokio::select! {
                        () = passed(&mut from, &mut back, &up) => {}
                        () = passed(&mut answers, &mut to, &down) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        wire
    }

    /// So many bytes go through from here on.
    pub(crate) fn lets_through(&self, up: i64, down: i64) {
        self.up.store(up, Ordering::SeqCst);
        self.down.store(down, Ordering::SeqCst);
    }
}

async fn passed(from: &mut tokio::net::tcp::OwnedReadHalf, to: &mut tokio::net::tcp::OwnedWriteHalf, left: &AtomicI64) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let left = left.fetch_sub(i64::try_from(count).unwrap(), Ordering::SeqCst);
        let passing = count.min(usize::try_from(left).unwrap_or_default());
        if to.write_all(&bytes[..passing]).await.is_err() || passing < count {
            return;
        }
    }
}

async fn serve(ports: Ports) -> SocketAddr {
    let server = GraphqlServer::new(ports).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(pending()));
    address
}

async fn client(address: SocketAddr) -> GraphqlClient {
    GraphqlClient::connect(format!("http://{address}/graphql")).await.unwrap()
}

fn fill(id: &str) -> CommandEnvelope {
    let body = json!({ "jar": id, "coins": 1, "by": { "name": "Ann", "kind": "stranger" } }).to_string();
    CommandEnvelope::new("fill-jar".parse().unwrap(), Body::Encoded(body.into(), Format::Json))
        .with_id(id.parse().unwrap())
}

#[rstest]
#[case(At::Before)]
#[case(At::After)]
#[tokio::test]
async fn a_connection_that_ends_in_a_command_is_settled_by_its_id(#[case] at: At) {
    let application = application().await;
    let mut ports = application.ports();
    let (is_holding, arrived) = (AtomicBool::new(true), Notify::new());
    let held = Arc::new(Held { bus: ports.commands.clone(), at, is_holding, arrived });
    ports.commands = held.clone();
    let server = serve(ports).await;

    let wire = Wire::to(server).await;
    let far = client(wire.address).await;
    let sending = tokio::spawn(async move { far.dispatch(fill("http")).await });
    tokio::time::timeout(PATIENCE, held.arrived.notified()).await.unwrap();
    wire.cut.notify_waiters();
    let outcome = tokio::time::timeout(PATIENCE, sending).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(CommandError::Unknown(_))), "{outcome:?}");

    let mut socket = Socket::open(wire.address, "/graphql").await;
    let typed = "mutation { fillJar(
        input: { jar: \"socket\", coins: 1, by: { name: \"Ann\", kind: stranger } }, options: { id: \"socket\" }
    ) { __typename ... on Receipt { repeated } } }";
    socket.subscribe("a", typed).await;
    tokio::time::timeout(PATIENCE, held.arrived.notified()).await.unwrap();
    wire.cut.notify_waiters();
    assert_eq!(socket.next().await, super::live::Next::Closed(None));

    held.is_holding.store(false, Ordering::SeqCst);
    let near = client(server).await;
    let receipt = near.dispatch(fill("http")).await.unwrap();
    assert_eq!(receipt.repeated, at == At::After);
    let mut socket = Socket::open(server, "/graphql").await;
    socket.subscribe("a", typed).await;
    assert_eq!(socket.field("a", "fillJar").await, json!({ "__typename": "Receipt", "repeated": at == At::After }));
    assert_eq!(events(&application).await.len(), 2);
}

#[tokio::test]
async fn wherever_a_connection_is_cut_a_command_takes_effect_once() {
    let application = application().await;
    let server = serve(application.ports()).await;
    let (wire, near) = (Wire::to(server).await, client(server).await);
    let far = client(wire.address).await;
    let cuts =
        (0..2_600).step_by(101).map(|up| (up, i64::MAX)).chain((0..700).step_by(31).map(|down| (i64::MAX, down)));
    let (mut lost, mut came, mut done) = (0, 0, 0);
    for (n, (up, down)) in cuts.enumerate() {
        let id = format!("k{n}");
        wire.lets_through(up, down);
        let outcome = tokio::time::timeout(PATIENCE, far.dispatch(fill(&id))).await.unwrap();
        wire.lets_through(i64::MAX, i64::MAX);
        let settled = near.dispatch(fill(&id)).await.unwrap();
        match &outcome {
            Ok(receipt) => {
                came += 1;
                assert!(settled.repeated && receipt.streams == settled.streams, "{up} {down}");
            }
            Err(CommandError::Unknown(_)) => {
                lost += 1;
                done += usize::from(settled.repeated);
            }
            // Nothing was sent.
            Err(CommandError::Busy(_)) => assert!(!settled.repeated, "{up} {down}"),
            other => panic!("{up} {down}: {other:?}"),
        }
        assert_eq!(events(&application).await.len(), n + 1, "{up} {down}");
    }
    // Some were whole, and some of those whose answer was lost had been done.
    assert!(came > 0 && lost > done && done > 0, "{came} {lost} {done}");
}
