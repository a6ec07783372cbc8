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
    /// A service cannot be mounted there.
    #[error("nothing can be mounted at {path:?}: {reason}")]
    Mount {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
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
    /// The credentials cannot be sent.
    #[error("the credentials cannot stand in a header; take visible ASCII, such as `Bearer` and a key")]
    Credentials,
    /// The server does not let this client in. Show other credentials: [`ClientConfig::authorization`].
    ///
    /// [`ClientConfig::authorization`]: crate::ClientConfig::authorization
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
