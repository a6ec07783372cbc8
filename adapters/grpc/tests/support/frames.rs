//! HTTP/2 by hand, for what no library would send.

use core::time::Duration;
use portolan_grpc::proto;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const APPEND: &str = "/portolan.v1.EventStore/Append";

/// A frame of HTTP/2 (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers as literals (RFC 7541, section 6.2.2).
pub(crate) fn headers(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "server"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A message in gRPC's frame.
pub(crate) fn message(message: &impl prost::Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    framed.extend(body);
    framed
}

pub(crate) fn append_request(payload: usize) -> proto::AppendRequest {
    let payload = vec![b'x'; payload].into();
    let event = proto::NewEvent { stream: "s".into(), r#type: "t".into(), format: 2, payload, ..Default::default() };
    proto::AppendRequest { events: vec![event], ..Default::default() }
}

/// A connection on which the two sides have greeted each other.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// `window` is how much of each answer may come before it is asked for more.
    pub(crate) async fn connect(address: SocketAddr, window: u32) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let [a, b, c, d] = window.to_be_bytes();
        greeting.extend(frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d]));
        socket.write_all(&greeting).await.unwrap();
        let mut raw = Self(socket);
        assert_eq!(raw.next().await, (SETTINGS, 0));
        raw
    }

    /// Whether it could be sent: the server may have closed the connection.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The kind and the stream of the next frame.
    pub(crate) async fn next(&mut self) -> (u8, u32) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        (kind, u32::from_be_bytes(stream))
    }

    /// All that still comes, once the server has closed the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), self.0.read_to_end(&mut rest));
        let _ = closed.await.expect("the connection is not closed");
        rest
    }
}
