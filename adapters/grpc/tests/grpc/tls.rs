//! TLS: a server with a certificate, clients with and without one.

use crate::support::{Noon, Running, append, command};
use portolan_conformance::ReferenceStore;
use portolan_grpc::{ClientConfig, ClientTls, ConnectError, GrpcClient, GrpcServer, ServeError, ServerTls};
use portolan_kernel::ports::{CommandBus as _, EventStore as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

async fn serving(tls: ServerTls) -> Running {
    let store = Arc::new(ReferenceStore::new(Arc::new(Noon)));
    Running::over(store, |server| server.with_raw_appends(true).with_tls(tls)).await
}

async fn connect(server: &Running, tls: ClientTls) -> Result<GrpcClient, ConnectError> {
    let uri = format!("https://localhost:{}", server.address.port());
    GrpcClient::connect_with_tls(uri, ClientConfig::default(), &tls).await
}

#[tokio::test]
async fn a_certificate_is_believed_by_its_authority() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let server = serving(ServerTls::new(certificate, key)).await;
    let client = connect(&server, ClientTls::new().with_authorities(authority.pem())).await.unwrap();
    client.append(append()).await.unwrap();
    client.dispatch(command("echo")).await.unwrap();
    // Not by another, nor by the system's, nor without TLS.
    for tls in [ClientTls::new().with_authorities(Authority::new().pem()), ClientTls::new()] {
        let error = connect(&server, tls).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    }
    assert!(GrpcClient::connect(format!("https://localhost:{}", server.address.port())).await.is_err());
    assert!(GrpcClient::connect(server.uri()).await.is_err());
    let error = GrpcClient::connect_with_tls(server.uri(), ClientConfig::default(), &ClientTls::new()).await;
    assert!(matches!(error, Err(ConnectError::Uri { .. })));
}

#[tokio::test]
async fn a_certificate_is_for_its_name() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("bank.example");
    let server = serving(ServerTls::new(certificate, key)).await;
    let believing = || ClientTls::new().with_authorities(authority.pem());
    assert!(connect(&server, believing()).await.is_err());
    connect(&server, believing().with_server_name("bank.example")).await.unwrap();
}

#[tokio::test]
async fn clients_show_theirs_where_they_are_asked() {
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.issue("localhost");
    let server = serving(ServerTls::new(certificate, key).with_client_authorities(of_clients.pem())).await;
    let believing = || ClientTls::new().with_authorities(authority.pem());
    assert!(connect(&server, believing()).await.is_err());
    let (certificate, key) = authority.issue("ann");
    assert!(connect(&server, believing().with_identity(certificate, key)).await.is_err());
    let (certificate, key) = of_clients.issue("ann");
    let client = connect(&server, believing().with_identity(certificate, key)).await.unwrap();
    client.dispatch(command("echo")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_certificate_is_said_before_anything_is_served() {
    let server = Running::start().await;
    let ports = server.client().await.ports();
    let served = GrpcServer::new(ports).with_tls(ServerTls::new("x", "y")).bind("127.0.0.1:0".parse().unwrap()).await;
    assert!(matches!(served, Err(ServeError::Tls(_))), "{served:?}");
}
