//! The server alone: a listener, and the service behind it.

use super::build::Actions;
use super::request::{Answer, Refusal, refuse};
use super::service::GraphqlService;
use crate::config::ServerConfig;
use crate::error::ServeError;
use core::convert::Infallible;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use http::{Request, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portolan_kernel::application::{Admission, Ports};
use portolan_kernel::ports::Source;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service as _;

/// Offers [`Ports`] over GraphQL: as a [service](Self::service) for another server, or [alone](Self::serve). Both take an
/// [`Admission`]: that of a server that mounts the service is another.
///
/// ```no_run
/// # async fn example(ports: portolan_kernel::application::Ports) -> Result<(), Box<dyn std::error::Error>> {
/// use portolan_graphql::GraphqlServer;
///
/// // At http://127.0.0.1:8090/graphql
/// GraphqlServer::new(ports).serve("127.0.0.1:8090".parse()?, std::future::pending()).await?;
/// # Ok(()) }
/// ```
pub struct GraphqlServer {
    ports: Ports,
    admission: Admission,
    config: ServerConfig,
    actions: Actions,
}

impl fmt::Debug for GraphqlServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphqlServer")
            .field("config", &self.config)
            .field("actions", &self.actions)
            .finish_non_exhaustive()
    }
}

/// The path of a server alone.
const PATH: &str = "/graphql";

impl GraphqlServer {
    /// A server of these ports for everybody, with the usual limits and without actions on projections and sagas.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        Self { ports, admission: Admission::default(), config: ServerConfig::default(), actions: Actions::default() }
    }

    /// The same server, for those whom this lets in and for what it lets them do. The schema and GraphiQL's page stay
    /// open to everybody: what a schema tells is what is registered, and nothing of what is stored.
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same server, with these limits.
    #[must_use]
    pub fn with_config(self, config: ServerConfig) -> Self {
        Self { config, ..self }
    }

    /// The same server; whether it has the mutation `actOnProjection`. Whoever is let in and may operate a projection pauses
    /// it and empties its rows.
    #[must_use]
    pub fn with_projection_actions(self, projections: bool) -> Self {
        Self { actions: Actions { projections, ..self.actions }, ..self }
    }

    /// The same server; whether it has the mutation `actOnSaga`. Whoever is let in and may steer a saga skips its steps and
    /// ends it.
    #[must_use]
    pub fn with_saga_actions(self, sagas: bool) -> Self {
        Self { actions: Actions { sagas, ..self.actions }, ..self }
    }

    /// The service, for a server that mounts it. The schema is built now, of what is registered.
    pub async fn service(self) -> GraphqlService {
        GraphqlService::new(self.ports, self.admission, self.config, self.actions).await
    }

    /// Listens. Connections wait until [`BoundServer::serve`]; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn bind(self, address: SocketAddr) -> Result<BoundServer, ServeError> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (local, listener) =
            bound.await.map_err(|error: io::Error| ServeError::Bind { address, source: Source::new(error) })?;
        let config = self.config.clone();
        Ok(BoundServer { service: self.service().await, config, listener, local })
    }

    /// Listens and serves until `shutdown` is ready, then finishes what has been accepted.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn serve(self, address: SocketAddr, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        self.bind(address).await?.serve(shutdown).await;
        Ok(())
    }
}

/// A server that listens already.
#[derive(Debug)]
pub struct BoundServer {
    service: GraphqlService,
    config: ServerConfig,
    listener: TcpListener,
    local: SocketAddr,
}

impl BoundServer {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown` is ready. Then it accepts no more connections, ends subscriptions, and lets accepted
    /// requests finish, for as long as [`ServerConfig::drain_timeout`] says.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops at once; requests under way are cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let free = Arc::new(Semaphore::new(self.config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = core::pin::pin!(shutdown);
        loop {
            let accepted = async {
                // The semaphore is never closed; without a permit there is no accepting.
                let permit = free.clone().acquire_owned().await.ok();
                (accept(&self.listener).await, permit)
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                (socket, permit) = accepted => {
                    let (service, config, stopping) = (self.service.clone(), self.config.clone(), stopping.clone());
                    connections.spawn(async move {
                        connection(service, &config, socket, stopping).await;
                        drop(permit);
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        self.service.close();
        let _ = stop.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(self.config.drain_timeout, drained).await;
        connections.shutdown().await;
    }
}

/// The next connection. A failure to accept (out of file descriptors, a peer that left) passes: wait, and go on.
async fn accept(listener: &TcpListener) -> TcpStream {
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let _ = socket.set_nodelay(true);
                return socket;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(
    service: GraphqlService,
    config: &ServerConfig,
    socket: TcpStream,
    mut stopping: watch::Receiver<bool>,
) {
    let answer = service_fn(move |request| routed(service.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .serve_connection(TokioIo::new(socket), answer)
        .with_upgrades();
    let mut connection = core::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// The service under its path.
async fn routed(mut service: GraphqlService, mut request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path();
    let rest = path.strip_prefix(PATH).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(rest) = rest else {
        let refusal = Refusal::new(
            StatusCode::NOT_FOUND,
            "no-such-route",
            format!("there is nothing at {path}; GraphQL is at {PATH}"),
        );
        return Ok(refuse(&refusal));
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let rest = if rest.is_empty() { "/" } else { rest };
    if let Ok(uri) = format!("{rest}{query}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    service.call(request).await
}
