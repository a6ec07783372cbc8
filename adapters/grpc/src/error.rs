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
    /// The certificate, its key or the authorities cannot be used.
    #[error("cannot serve TLS: {0}")]
    Tls(#[source] Source),
}

/// Why a client does not connect.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI cannot be used.
    #[error("{uri:?} is no URI to connect to: {reason}")]
    Uri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate, its key or the authorities cannot be used.
    #[error("cannot use TLS: {0}")]
    Tls(#[source] Source),
    /// The [`authorization`](crate::ClientConfig::authorization) cannot be sent.
    #[error("the authorization has characters that cannot be sent; it is visible ASCII, with spaces")]
    Authorization,
    /// The server does not let this client in. Get other credentials.
    #[error("the server at {uri} does not let this client in: {reason}")]
    Denied {
        /// The URI.
        uri: String,
        /// Why, in the server's words.
        reason: String,
    },
    /// Nobody answers there now. Try again, with a pause.
    #[error("no server answers at {uri}: {source}")]
    Unreachable {
        /// The URI.
        uri: String,
        /// What happened.
        source: Source,
    },
    /// What answers there is no Portolan server, or one that this version does not understand.
    #[error("what answers at {uri} is no Portolan server of this version: {reason}")]
    Protocol {
        /// The URI.
        uri: String,
        /// What is odd about it.
        reason: String,
    },
}
