//! What can go wrong around the wire: binding, and connecting.

use core::net::SocketAddr;
use portolan_kernel::ports::Source;

/// Why a server does not serve.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on: taken, or not allowed. Choose another.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: Source,
    },
}

/// Why a client does not connect.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error("{url:?} is no URL to connect to: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there now. Try again, with a pause.
    #[error("no server answers at {url}: {source}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What happened.
        source: Source,
    },
    /// What the client is to show of itself cannot be sent.
    #[error("the `authorization` of the client's configuration has characters that no header can carry")]
    Authorization,
    /// The server does not let the client in. Connect with other credentials.
    #[error("the server at {url} does not let this client in: {reason}")]
    Denied {
        /// The URL.
        url: String,
        /// What the server says.
        reason: String,
    },
    /// What answers there is no Portolan server, or one that this version does not understand.
    #[error("what answers at {url} is no Portolan server of this version: {reason}")]
    Protocol {
        /// The URL.
        url: String,
        /// What is odd about it.
        reason: String,
    },
}
