//! Limits of a server and of a client.

use core::fmt;
use core::time::Duration;

/// The limits of a server.
///
/// ```
/// let mut config = portolan_grpc::ServerConfig::default();
/// config.max_connections = 64;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Connections served at once; further ones wait in the system's queue. 1,024.
    pub max_connections: usize,
    /// Calls under way at once on one connection, subscriptions included; further ones wait. 200.
    pub max_concurrent_streams: u32,
    /// How many bytes the metadata of a call may have. 64 KiB.
    pub metadata_bytes: u32,
    /// How many bytes a request may have, once decompressed. 4 MiB.
    pub request_bytes: usize,
    /// How many bytes an append may have. `None`: enough for what the store takes in one append, which is for the usual
    /// limits about 71 MiB.
    pub append_request_bytes: Option<usize>,
    /// How many bytes the requests of all calls under way may have together, as sent; past it a call fails with
    /// `RESOURCE_EXHAUSTED`. 256 MiB.
    pub requests_bytes: usize,
    /// How long a request may take to arrive, from its head to its last byte. 30 s.
    pub request_timeout: Duration,
    /// How often a connection that is silent is asked whether it lives. 30 s.
    pub keep_alive_interval: Duration,
    /// How long its answer may take; then it is cut off, as is one that never begins to speak HTTP/2. 20 s.
    pub keep_alive_timeout: Duration,
    /// How often a subscription is told, at most, how far the log has come while nothing matches. 1 s.
    pub live_progress: Duration,
    /// How long `Changed` and `WaitFor` wait at most before they answer that nothing has happened. 25 s.
    pub longest_wait: Duration,
    /// How often the store is asked how it is while somebody watches the server's health. 5 s.
    pub health_interval: Duration,
    /// How long accepted calls may take to finish once the server has been told to stop. 10 s.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            max_concurrent_streams: 200,
            metadata_bytes: 64 << 10,
            request_bytes: 4 << 20,
            append_request_bytes: None,
            requests_bytes: 256 << 20,
            request_timeout: Duration::from_secs(30),
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(20),
            live_progress: Duration::from_secs(1),
            longest_wait: Duration::from_secs(25),
            health_interval: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The limits of a client, and what it shows.
///
/// What `Debug` writes has no secret in it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long making a connection may take. 5 s.
    pub connect_timeout: Duration,
    /// How long a call may take, from its beginning to the end of its answer. Past it, an append or a command is
    /// `Unknown`, and a read or a query `Busy`. 60 s.
    pub request_timeout: Duration,
    /// How many bytes an answer may have, once decompressed. 1 GiB.
    pub answer_bytes: usize,
    /// How often a connection with calls under way is asked whether it lives. 30 s.
    pub keep_alive_interval: Duration,
    /// How long its answer may take; then its calls fail, and the next makes a new one. 20 s.
    pub keep_alive_timeout: Duration,
    /// Whether requests are compressed, and answers may be, with gzip. No.
    pub compression: bool,
    /// What is shown with every call as `authorization`, such as `Bearer <key>`; over a network that others can read, with
    /// TLS alone. None.
    pub authorization: Option<String>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("answer_bytes", &self.answer_bytes)
            .field("keep_alive_interval", &self.keep_alive_interval)
            .field("keep_alive_timeout", &self.keep_alive_timeout)
            .field("compression", &self.compression)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .finish()
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            answer_bytes: 1 << 30,
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(20),
            compression: false,
            authorization: None,
        }
    }
}
