//! TLS, by rustls: who one is, and whom one believes. All certificates and keys are PEM.

use core::fmt;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// The certificate of a server, and whose clients it takes.
#[derive(Clone)]
pub struct ServerTls {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// The certificate, with those between it and its authority, and its key.
    #[must_use]
    pub fn new(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), client_authorities: None }
    }

    /// The same; clients have to show a certificate of one of these authorities.
    #[must_use]
    pub fn with_client_authorities(self, authorities: impl Into<Vec<u8>>) -> Self {
        Self { client_authorities: Some(authorities.into()), ..self }
    }

    pub(crate) fn to_config(&self) -> ServerTlsConfig {
        let config = ServerTlsConfig::new().identity(Identity::from_pem(&self.certificate, &self.key));
        match &self.client_authorities {
            Some(authorities) => config.client_ca_root(Certificate::from_pem(authorities)),
            None => config,
        }
    }
}

/// Whom a client believes, and who it is.
#[derive(Clone, Default)]
pub struct ClientTls {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// The system's authorities, no certificate of its own, and the name in the URI.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, but believing these authorities alone.
    #[must_use]
    pub fn with_authorities(self, authorities: impl Into<Vec<u8>>) -> Self {
        Self { authorities: Some(authorities.into()), ..self }
    }

    /// The same, with a certificate for a server that asks for one, and its key.
    #[must_use]
    pub fn with_identity(self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { identity: Some((certificate.into(), key.into())), ..self }
    }

    /// The same, of a server whose certificate is for this name.
    #[must_use]
    pub fn with_server_name(self, name: impl Into<String>) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    pub(crate) fn to_config(&self) -> ClientTlsConfig {
        let mut config = match &self.authorities {
            Some(authorities) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}
