//! Limits of a server and of a client.

use core::fmt;
use core::time::Duration;

/// The limits of a server.
///
/// ```
/// let mut config = portolan_http::ServerConfig::default();
/// config.max_connections = 64;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Connections served at once; further ones wait in the system's queue. 1,024.
    pub max_connections: usize,
    /// How long the head of a request may take, and how long a connection may stand idle. 30 s.
    pub header_timeout: Duration,
    /// How long the body of a request may take, from its first byte to its last. 30 s.
    pub body_timeout: Duration,
    /// How long a client may take none of an answer's bytes before it is cut off. 30 s.
    pub write_timeout: Duration,
    /// How many bytes the head of a request may have. 64 KiB.
    pub head_bytes: usize,
    /// How many bytes the body of a request may have. 2 MiB.
    pub body_bytes: u64,
    /// How many bytes the body of `POST /append` may have. `None`: enough for what the store takes in one
    /// append, which is for the usual limits about 91 MiB.
    pub append_body_bytes: Option<u64>,
    /// How many bytes the bodies of all requests under way may have together; past it a request is answered
    /// 503. 256 MiB.
    pub bodies_bytes: usize,
    /// The most events or rows in a page of the routes for people; `POST /read` has the store's limit. 1,000.
    pub page_events: u32,
    /// How often a silent live connection gets a comment, so that a dead one is noticed. 15 s.
    pub live_keep_alive: Duration,
    /// How often a live connection is told, at most, how far the log has come while nothing matches. 1 s.
    pub live_progress: Duration,
    /// How long is waited at most for what `Prefer: wait` asks for, in whole seconds: by `GET /changed` for a change, by
    /// others for projections. 25 s.
    pub changed_wait: Duration,
    /// How long accepted requests may take to finish once the server has been told to stop; what is left of a
    /// body has half of that to arrive. 10 s.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            head_bytes: 64 << 10,
            body_bytes: 2 << 20,
            append_body_bytes: None,
            bodies_bytes: 256 << 20,
            page_events: 1_000,
            live_keep_alive: Duration::from_secs(15),
            live_progress: Duration::from_secs(1),
            changed_wait: Duration::from_secs(25),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The credentials and the limits of a client.
///
/// ```
/// let mut config = portolan_http::ClientConfig::default();
/// config.authorization = Some("Bearer 9f86d081884c7d65".to_owned());
/// assert!(!format!("{config:?}").contains("9f86"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The header `Authorization` of every request, such as `Bearer` and a key; `Debug` does not show it. It travels as it is:
    /// whoever can listen on the way has it, where no TLS proxy stands beside the client. None.
    pub authorization: Option<String>,
    /// How long making a connection may take. 5 s.
    pub connect_timeout: Duration,
    /// How long a request may take, from its first byte to the last of its answer. Past it, an append or a
    /// command is `Unknown`, and a read or a query `Busy`. 60 s.
    pub request_timeout: Duration,
    /// How many bytes an answer may have. 1 GiB.
    pub answer_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            authorization: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            answer_bytes: 1 << 30,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorization, connect_timeout, request_timeout, answer_bytes } = self;
        f.debug_struct("ClientConfig")
            .field("authorization", &authorization.as_ref().map(|_| "…"))
            .field("connect_timeout", connect_timeout)
            .field("request_timeout", request_timeout)
            .field("answer_bytes", answer_bytes)
            .finish()
    }
}
