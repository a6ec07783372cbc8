//! WebSockets byte by byte: frames that no client would send.

use super::support::{House, house, house_of};
use core::time::Duration;
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);

/// A WebSocket without anybody between the test and its bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn open(house: &House) -> Self {
        // So that little is on the way to who takes nothing.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut socket = socket.connect(house.address).await.unwrap();
        let head = "GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(tokio::time::timeout(PATIENCE, socket.read_u8()).await.unwrap().unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        Self(socket)
    }

    /// Sends bytes, for as long as anybody takes them.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(PATIENCE, self.0.write_all(bytes)).await;
    }

    /// The first byte and the payload of the next frame; `None` once the connection has ended.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let first = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => self.0.read_u16().await.ok()?.into(),
                127 => self.0.read_u64().await.ok()?.try_into().ok()?,
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server answers, or ends the connection")
    }

    async fn is_acknowledged(&mut self) -> bool {
        self.frame()
            .await
            .is_some_and(|(first, payload)| first == 0x81 && payload.starts_with(b"{\"type\":\"connection_ack\""))
    }

    /// The code that the server closes with, before it ends the connection.
    async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((first, payload)) = self.frame().await {
            if first == 0x88 {
                code = payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            }
        }
        code
    }
}

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const CONTINUES: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A frame as a client sends it, with a mask that changes nothing.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(0xFE);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0xFF);
            bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

const INIT: &[u8] = br#"{"type":"connection_init"}"#;

async fn goes_on(house: &House) {
    assert!(house.data("{ store { identity } }", json!({})).await["store"]["identity"].is_string());
}

#[tokio::test]
async fn frames_may_come_in_pieces() {
    let house = house().await;
    let mut socket = Raw::open(&house).await;
    for byte in frame(FIN | TEXT, INIT) {
        socket.send(&[byte]).await;
    }
    assert!(socket.is_acknowledged().await);
    let mut socket = Raw::open(&house).await;
    let (start, end) = INIT.split_at(7);
    // With a mask, and a control frame in between.
    let mask = [1, 2, 3, 4];
    let masked = |payload: &[u8]| -> Vec<u8> { payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect() };
    for (first, payload) in [(TEXT, start), (FIN | PING, &b"x"[..]), (CONTINUES, b""), (FIN | CONTINUES, end)] {
        let mut bytes = frame(first, &masked(payload));
        bytes[2..6].copy_from_slice(&mask);
        socket.send(&bytes).await;
    }
    assert_eq!(socket.frame().await, Some((0x8A, b"x".to_vec())));
    assert!(socket.is_acknowledged().await);
}

#[rstest]
#[case::reserved_opcode(frame(FIN | 3, b"x"), 1002)]
#[case::reserved_control_opcode(frame(FIN | 0xB, b"x"), 1002)]
#[case::reserved_bits(frame(FIN | 0x40 | TEXT, INIT), 1002)]
#[case::compressed_though_nobody_said_so(frame(FIN | 0x70 | TEXT, INIT), 1002)]
#[case::unmasked([vec![FIN | TEXT, 26], INIT.to_vec()].concat(), 1002)]
#[case::continues_nothing(frame(FIN | CONTINUES, INIT), 1002)]
#[case::begins_in_the_middle([frame(TEXT, b"{"), frame(FIN | TEXT, INIT)].concat(), 1002)]
#[case::control_in_fragments(frame(PING, b"x"), 1002)]
#[case::control_too_large(frame(FIN | PING, &[b'x'; 126]), 1002)]
#[case::no_utf_8(frame(FIN | TEXT, b"{\"type\":\"\xFF\"}"), 1007)]
#[case::utf_8_cut_short(frame(FIN | TEXT, b"{\"type\":\"\xC3"), 1007)]
#[case::no_utf_8_in_fragments([frame(TEXT, b"{\""), frame(CONTINUES, b"\xFF"), frame(FIN | CONTINUES, b"\"}")].concat(), 1007)]
#[case::surrogates(frame(FIN | TEXT, b"\xED\xA0\x80"), 1007)]
#[case::close_with_half_a_code(frame(FIN | CLOSE, b"\x03"), 1002)]
#[case::too_large(frame(FIN | TEXT, &[b' '; 10_001]), 1009)]
#[case::much_too_large([vec![FIN | TEXT, 0xFF], (u64::MAX >> 1).to_be_bytes().to_vec(), vec![0; 4]].concat(), 1009)]
#[case::larger_than_any([vec![FIN | TEXT, 0xFF], u64::MAX.to_be_bytes().to_vec(), vec![0; 4]].concat(), 1009)]
#[case::too_large_in_fragments(
    [frame(TEXT, &[b' '; 6_000]), frame(CONTINUES, &[b' '; 6_000]), frame(FIN | CONTINUES, b"")].concat(), 1009
)]
#[case::fragments_without_end([frame(TEXT, b"{")].into_iter().chain((0..10_000).map(|_| frame(CONTINUES, b"    "))).flatten().collect(), 1009)]
#[case::http(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 1002)]
#[tokio::test]
async fn what_is_no_frame_closes_the_socket(
    #[case] bytes: Vec<u8>,
    #[case] code: u16,
    #[values(false, true)] is_open: bool,
) {
    let house = house_of(|config| {
        config.body_bytes = 10_000;
        config.max_sockets = 1;
    })
    .await;
    let mut socket = Raw::open(&house).await;
    if is_open {
        socket.send(&frame(FIN | TEXT, INIT)).await;
        assert!(socket.is_acknowledged().await);
    }
    socket.send(&bytes).await;
    let closed = socket.closed().await;
    // Where bytes are left that nobody reads, a reset may overtake what was said.
    assert!(closed == Some(code) || closed.is_none(), "{closed:?}");
    assert!(closed.is_some() || bytes.len() > 10_000, "{closed:?}");
    goes_on(&house).await;
    // Its room is free again.
    for _ in 0..100 {
        if super::live::Socket::bare(house.address, "/graphql").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the room of the socket was not given back");
}

#[rstest]
#[case::nothing_said(b"")]
#[case::normal(b"\x03\xE8")]
#[case::normal_with_a_reason(b"\x03\xE8bye")]
#[case::going_away(b"\x03\xE9")]
#[case::of_the_protocol(b"\x11\x94")]
#[tokio::test]
async fn a_close_is_answered_before_the_connection_ends(
    #[case] says: &[u8],
    #[values(false, true)] is_open: bool,
    #[values(false, true)] is_subscribed: bool,
) {
    let house = house().await;
    let mut socket = Raw::open(&house).await;
    if is_open {
        socket.send(&frame(FIN | TEXT, INIT)).await;
        assert!(socket.is_acknowledged().await);
        if is_subscribed {
            let query = json!({ "query": "subscription { events { kind } }" });
            let subscribe = json!({ "type": "subscribe", "id": "a", "payload": query });
            socket.send(&frame(FIN | TEXT, subscribe.to_string().as_bytes())).await;
        }
    }
    socket.send(&frame(FIN | CLOSE, says)).await;
    let (first, answer) = socket.frame().await.expect("a close is answered");
    // With the code that it had (RFC 6455, section 5.5.1).
    assert_eq!((first, answer.get(..2)), (FIN | CLOSE, says.get(..2)));
    assert_eq!(socket.frame().await, None);
    goes_on(&house).await;
}

#[tokio::test]
async fn who_says_nothing_whole_is_not_waited_for() {
    let house = house_of(|config| config.socket_timeout = Duration::from_millis(300)).await;
    for start in [&b""[..], &[FIN | TEXT], &[FIN | TEXT, 0xFF, 0, 0], &frame(TEXT, b"{"), &frame(FIN | TEXT, INIT)[..9]]
    {
        let mut socket = Raw::open(&house).await;
        socket.send(start).await;
        assert_eq!(socket.closed().await, Some(4408), "{start:?}");
    }
    // Fragments and pings that come and come are no sign of life.
    for more in [frame(CONTINUES, b""), frame(FIN | PING, b"")] {
        let socket = Raw::open(&house).await;
        let (mut reading, mut writing) = socket.0.into_split();
        let floods = tokio::spawn(async move {
            let _ = writing.write_all(&frame(TEXT, b"{")).await;
            while writing.write_all(&more).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut bytes)).await;
        let _ = read.expect("the server ends the connection");
        floods.await.unwrap();
    }
    goes_on(&house).await;
}

#[tokio::test]
async fn a_peer_that_is_gone_leaves_nothing() {
    let house = house_of(|config| config.max_sockets = 5).await;
    let subscribe =
        json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { events { kind } }" } });
    for n in 0..50 {
        let mut socket = loop {
            let probe = TcpStream::connect(house.address).await.unwrap();
            drop(probe);
            if super::live::Socket::bare(house.address, "/graphql").await.is_ok() {
                break Raw::open(&house).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        socket.send(&frame(FIN | TEXT, INIT)).await;
        socket.send(&frame(FIN | TEXT, subscribe.to_string().as_bytes())).await;
        if n % 2 == 0 {
            // Without a word: a reset instead of an end.
            socket.0.set_zero_linger().unwrap();
        }
    }
    goes_on(&house).await;
}

#[tokio::test]
async fn operations_of_one_socket_have_so_much_room_together() {
    let house = house_of(|config| config.body_bytes = 10_000).await;
    let mut socket = super::live::Socket::open(house.address, "/graphql").await;
    let padded = |size: usize| format!("subscription {{ events {{ kind }} }} #{}", "x".repeat(size));
    for id in ["a", "b"] {
        socket.subscribe(id, &padded(4_500)).await;
    }
    socket.subscribe("c", &padded(4_500)).await;
    let message = socket.message().await;
    assert_eq!((&message["id"], &message["payload"][0]["extensions"]["code"]), (&json!("c"), &json!("busy")));
    socket.send(json!({ "type": "complete", "id": "a" })).await;
    socket.subscribe("c", &padded(4_500)).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
    house.append("thing-1", &["0"]).await;
    let mut told = [socket.message().await["id"].take(), socket.message().await["id"].take()];
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [json!("b"), json!("c")]);
}
