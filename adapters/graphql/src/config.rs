//! Limits of a server and of a client.

use core::fmt;
use core::time::Duration;

/// The limits of a server.
///
/// ```
/// let mut config = portolan_graphql::ServerConfig::default();
/// config.max_depth = 8;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How many bytes the body of a request may have, and a message of a WebSocket. 2 MiB.
    pub body_bytes: usize,
    /// How long the body of a request may take, from its first byte to its last. 30 s.
    pub body_timeout: Duration,
    /// How long a query may take to be answered, unless the request has a timeout of its own. A mutation is never cut off.
    /// 60 s.
    pub query_timeout: Duration,
    /// How deep a document may nest: selections, fragments, values. What GraphiQL asks of a schema needs 18. 24.
    pub max_depth: usize,
    /// How many tokens a document may have. 10,000.
    pub max_tokens: usize,
    /// How much a document may ask for: a field counts 1, one that asks a port 10, and what is below a page as often as the
    /// page may have entries. What is asked of the schema itself counts as far as it is more than tools ask. 250,000.
    pub max_complexity: u64,
    /// Whether the schema can be asked for, by introspection and at `/schema`. `true`.
    pub introspection: bool,
    /// Whether `GET` with `Accept: text/html` is answered with GraphiQL. `true`.
    pub graphiql: bool,
    /// The most events in a page. 1,000.
    pub page_events: u32,
    /// The most rows in a page, and the most rows by key in one question. 1,000.
    pub page_rows: u32,
    /// How long `changed` and `waitFor` wait at most. 25 s.
    pub changed_wait: Duration,
    /// How often a subscription is told, at most, how far the log has come while nothing matches. 1 s.
    pub live_progress: Duration,
    /// How often a watched row is looked at without an event. 10 s.
    pub live_rows: Duration,
    /// The origins, as browsers write them, whose pages may open a WebSocket: `https://app.example.org`. Those of the
    /// server's own host may in any case, and so may who is no page. None.
    pub allowed_origins: Vec<String>,
    /// How long a WebSocket may take to say who it is, and to take a message. 30 s.
    pub socket_timeout: Duration,
    /// How often a WebSocket is told that the server lives. 15 s.
    pub socket_keep_alive: Duration,
    /// The most operations under way on one WebSocket; they came in at most [`body_bytes`](Self::body_bytes) together. 100.
    pub socket_operations: usize,
    /// The most WebSockets at once; further ones are refused with 503. 1,024.
    pub max_sockets: usize,
    /// Of a [`GraphqlServer`](crate::GraphqlServer): how long accepted requests may take to finish once it has been told
    /// to stop. 10 s.
    pub drain_timeout: Duration,
    /// Of a [`GraphqlServer`](crate::GraphqlServer): how long the head of a request may take, and how long a connection may
    /// stand idle. 30 s.
    pub header_timeout: Duration,
    /// Of a [`GraphqlServer`](crate::GraphqlServer): connections served at once. 1,024.
    pub max_connections: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            body_bytes: 2 << 20,
            body_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(60),
            max_depth: 24,
            max_tokens: 10_000,
            max_complexity: 250_000,
            introspection: true,
            graphiql: true,
            page_events: 1_000,
            page_rows: 1_000,
            changed_wait: Duration::from_secs(25),
            live_progress: Duration::from_secs(1),
            live_rows: Duration::from_secs(10),
            allowed_origins: Vec::new(),
            socket_timeout: Duration::from_secs(30),
            socket_keep_alive: Duration::from_secs(15),
            socket_operations: 100,
            max_sockets: 1_024,
            drain_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            max_connections: 1_024,
        }
    }
}

/// The limits of a client, and what it shows of itself.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What every request has as its header `Authorization`: a scheme, a space, and what belongs to it. `Debug` does not tell
    /// it. `None`.
    pub authorization: Option<String>,
    /// How long making a connection may take. 5 s.
    pub connect_timeout: Duration,
    /// How long a request may take, from its first byte to the last of its answer. Past it, a command is `Unknown`, and a
    /// read or a query `Busy`. 60 s.
    pub request_timeout: Duration,
    /// How many bytes an answer may have. 1 GiB.
    pub answer_bytes: usize,
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
