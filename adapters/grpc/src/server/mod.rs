//! The server: ports in, gRPC out. Listening, limits, and the end of it.

mod admission;
mod bodies;
mod call;
mod commands;
mod connection;
mod event_store;
mod health;
mod projections;
mod queries;
mod sagas;
mod subscribe;

use crate::config::ServerConfig;
use crate::error::ServeError;
use crate::proto;
use crate::proto::commands_server::CommandsServer;
use crate::proto::event_store_server::EventStoreServer;
use crate::proto::projections_server::ProjectionsServer;
use crate::proto::queries_server::QueriesServer;
use crate::proto::sagas_server::SagasServer;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use admission::Gate;
use bodies::Bodies;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use futures::FutureExt as _;
use health::Health;
use portolan_kernel::application::{Admission, Ports};
use portolan_kernel::ports::{Capabilities, Source};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::Status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::layer::layer_fn;

/// A server that offers [`Ports`] over gRPC.
///
/// ```no_run
/// # async fn example(ports: portolan_kernel::application::Ports) -> Result<(), Box<dyn std::error::Error>> {
/// use portolan_grpc::GrpcServer;
///
/// GrpcServer::new(ports).serve("127.0.0.1:50051".parse()?, std::future::pending()).await?;
/// # Ok(()) }
/// ```
///
/// # Laws
///
/// **TR-1** to **TR-4**; the crate's documentation has the services and the errors.
pub struct GrpcServer {
    ports: Ports,
    admission: Admission,
    config: ServerConfig,
    raw_appends: bool,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl fmt::Debug for GrpcServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServer")
            .field("config", &self.config)
            .field("raw_appends", &self.raw_appends)
            .finish_non_exhaustive()
    }
}

impl GrpcServer {
    /// A server of these ports, with the usual limits, without TLS, for everybody, and without appends that bypass the
    /// domain.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        Self {
            ports,
            admission: Admission::default(),
            config: ServerConfig::default(),
            raw_appends: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The same server, with these limits.
    #[must_use]
    pub fn with_config(self, config: ServerConfig) -> Self {
        Self { config, ..self }
    }

    /// The same server, for those whom this lets in, and for what it allows them. Health and reflection stay open to all.
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same server; whether it takes appends. These bypass the domain: whoever reaches them writes what no command
    /// would. Off, they are `PERMISSION_DENIED`.
    #[must_use]
    pub fn with_raw_appends(self, raw_appends: bool) -> Self {
        Self { raw_appends, ..self }
    }

    /// The same server, over TLS alone.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, tls: ServerTls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Listens. Connections wait until [`BoundServer::serve`]; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn bind(self, address: SocketAddr) -> Result<BoundServer, ServeError> {
        let builder = self.builder()?;
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (local, listener) =
            bound.await.map_err(|error: io::Error| ServeError::Bind { address, source: Source::new(error) })?;
        Ok(BoundServer { server: self, builder, listener, local })
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

    fn builder(&self) -> Result<tonic::transport::Server, ServeError> {
        let builder = tonic::transport::Server::builder()
            .max_concurrent_streams(self.config.max_concurrent_streams)
            .http2_max_header_list_size(self.config.metadata_bytes)
            .http2_keepalive_interval(Some(self.config.keep_alive_interval))
            .http2_keepalive_timeout(Some(self.config.keep_alive_timeout));
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return builder.tls_config(tls.to_config()).map_err(|error| ServeError::Tls(Source::new(error)));
        }
        Ok(builder)
    }
}

/// A server that listens already.
pub struct BoundServer {
    server: GrpcServer,
    builder: tonic::transport::Server,
    listener: TcpListener,
    local: SocketAddr,
}

impl fmt::Debug for BoundServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundServer").field("server", &self.server).field("local", &self.local).finish_non_exhaustive()
    }
}

impl BoundServer {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown` is ready. Then it accepts no more connections and no more calls on those there are, ends
    /// subscriptions with `UNAVAILABLE` and the reason `SHUTTING_DOWN`, and lets accepted calls finish, for as long as
    /// [`ServerConfig::drain_timeout`] says.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops at once; calls under way are cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let GrpcServer { ports, admission, config, raw_appends, .. } = self.server;
        let (stop, stopping) = watch::channel(false);
        let (cut, cut_off) = watch::channel(());
        let drain_timeout = config.drain_timeout;
        let incoming = connection::accepted(self.listener, &config, cut_off);
        let bodies = Bodies::new(&config);
        let append_request_bytes = append_request_bytes(&config, &ports.events.capabilities());
        let app = Arc::new(App { config, raw_appends, append_request_bytes, stopping });
        let routes = routes(&app, Health { app: app.clone(), events: ports.events.clone() });
        let gate = Arc::new(Gate { admission, ports });
        let stopped = app.stopping();
        let builder = self.builder.layer(layer_fn(move |inner| bodies.around(gate.before(inner))));
        let serving = builder.serve_with_incoming_shutdown(routes, incoming, stopped);

        let mut serving = core::pin::pin!(serving.fuse());
        tokio::select! {
            biased;
            () = shutdown => {}
            // Accepting does not fail, and so it does not end by itself.
            _ = &mut serving => {}
        }
        // The receiver lives in `app`.
        let _ = stop.send(true);
        let _ = tokio::time::timeout(drain_timeout, serving).await;
        // What is left is cut off here, as it is when this future is dropped.
        drop(cut);
    }
}

/// All services, each with the size of request that it takes.
fn routes(app: &Arc<App>, health: Health) -> Routes {
    macro_rules! limited {
        ($service:expr, $bytes:expr) => {
            $service.accept_compressed(Gzip).send_compressed(Gzip).max_decoding_message_size($bytes)
        };
    }
    let bytes = app.config.request_bytes;
    let routes = Routes::new(limited!(EventStoreServer::from_arc(app.clone()), app.append_request_bytes))
        .add_service(limited!(CommandsServer::from_arc(app.clone()), bytes))
        .add_service(limited!(QueriesServer::from_arc(app.clone()), bytes))
        .add_service(limited!(ProjectionsServer::from_arc(app.clone()), bytes))
        .add_service(limited!(SagasServer::from_arc(app.clone()), bytes))
        .add_service(limited!(HealthServer::new(health), bytes));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // For the details of statuses.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // The sets are constants that a test has registered.
    let routes = match reflection().build_v1() {
        Ok(service) => routes.add_service(limited!(service, bytes)),
        Err(_) => routes,
    };
    match reflection().build_v1alpha() {
        Ok(service) => routes.add_service(limited!(service, bytes)),
        Err(_) => routes,
    }
}

/// What every handler sees. The ports are not in it: a call brings those of its caller.
pub(crate) struct App {
    config: ServerConfig,
    raw_appends: bool,
    /// How many bytes an append may have, as a request.
    append_request_bytes: usize,
    stopping: watch::Receiver<bool>,
}

impl App {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ready once the server has been told to stop, or has been dropped.
    fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// How long a call that waits for something waits: half of its deadline at most, so that the answer that nothing has
    /// happened comes in time.
    fn longest_wait(&self, metadata: &MetadataMap) -> Result<Duration, Status> {
        let longest = self.config.longest_wait;
        Ok(call::within(metadata)?.map_or(longest, |within| longest.min(within / 2)))
    }
}

/// How many bytes an append may have: those of its events, and what stands around each.
fn append_request_bytes(config: &ServerConfig, capabilities: &Capabilities) -> usize {
    const PER_EVENT: u64 = 256;
    let bytes = config.append_request_bytes.unwrap_or_else(|| {
        let limits = &capabilities.limits;
        let bytes = limits.append_bytes.saturating_add(limits.note_bytes);
        let events = u64::from(limits.append_events).saturating_mul(PER_EVENT);
        let other = config.request_bytes as u64;
        usize::try_from(bytes.saturating_add(events).saturating_add(other)).unwrap_or(usize::MAX)
    });
    bytes.max(config.request_bytes)
}
