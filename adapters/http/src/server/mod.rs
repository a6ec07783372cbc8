//! The server: ports in, HTTP out. Listening, limits, and the end of it.

mod admission;
mod commands;
mod connection;
mod correlation;
mod health;
mod id;
mod live;
mod mount;
mod openapi;
mod problem;
mod projections;
mod queries;
mod request;
mod routes;
mod rows;
mod rows_by_index;
mod sagas;
mod schema;
mod schemas;
mod store;
mod streams;

use crate::config::ServerConfig;
use crate::error::ServeError;
use crate::wire::problem::Problem;
use admission::Gate;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::task::Poll;
use core::time::Duration;
use correlation::Correlation;
use mount::Mounted;
pub use mount::{BoxError, MountBody};
use portolan_kernel::Bytes;
use portolan_kernel::application::{Admission, Ports};
use portolan_kernel::ports::{QueryInfo, Source};
use portolan_kernel::values::Name;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::panic::catch_unwind;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// A server that offers [`Ports`] over HTTP/1.1.
///
/// ```no_run
/// # async fn example(ports: portolan_kernel::application::Ports) -> Result<(), Box<dyn std::error::Error>> {
/// use portolan_http::{HttpServer, shutdown_signal};
///
/// HttpServer::new(ports).serve("127.0.0.1:8080".parse()?, shutdown_signal()).await?;
/// # Ok(()) }
/// ```
///
/// # Laws
///
/// **TR-1** to **TR-3** and **TR-5**; the crate's documentation has the routes and the wire.
pub struct HttpServer {
    ports: Ports,
    admission: Admission,
    config: ServerConfig,
    switches: Switches,
    mounted: Vec<Mounted>,
}

/// Which routes there are that not everybody should reach.
#[derive(Debug, Clone, Copy)]
struct Switches {
    raw_appends: bool,
    projection_actions: bool,
    saga_actions: bool,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("config", &self.config)
            .field("switches", &self.switches)
            .finish_non_exhaustive()
    }
}

impl HttpServer {
    /// A server of these ports, with the usual limits and without the routes that write to the store directly.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        let switches = Switches { raw_appends: false, projection_actions: true, saga_actions: true };
        Self { ports, admission: Admission::default(), config: ServerConfig::default(), switches, mounted: Vec::new() }
    }

    /// The same server, with these limits.
    #[must_use]
    pub fn with_config(self, config: ServerConfig) -> Self {
        Self { config, ..self }
    }

    /// The same server, for those whom this lets in. Without it, everybody is let in, and believed in what he says of actor
    /// and tenant.
    ///
    /// It stands before every route but `/healthz`, `/readyz` and `/openapi.json`, and before what is no route. It does not
    /// stand before [mounted](Self::mount) services: they authenticate themselves.
    ///
    /// ```
    /// # fn example(server: portolan_http::HttpServer, keys: &[u8], roles: &[u8])
    /// # -> Result<portolan_http::HttpServer, Box<dyn std::error::Error>> {
    /// use portolan_kernel::application::Admission;
    /// use portolan_kernel::drivers::{Roles, StaticKeys};
    ///
    /// let admission = Admission::by(StaticKeys::from_json(keys)?).with_policy(Roles::from_json(roles)?);
    /// Ok(server.with_admission(admission))
    /// # }
    /// ```
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same server; whether it has `POST /append` and `POST /streams/{id}`. These bypass the domain: whoever
    /// reaches them writes what no command would. Off, they answer 405.
    #[must_use]
    pub fn with_raw_appends(self, raw_appends: bool) -> Self {
        Self { switches: Switches { raw_appends, ..self.switches }, ..self }
    }

    /// The same server; whether it has `POST /projections/{name}/{action}`, by which operators pause, rebuild or empty
    /// projections. It has, unless it is told otherwise: unlike raw appends they write no fact, and whatever they do to
    /// rows a rebuild mends. Turn them off where strangers reach the server. Off, they answer 405.
    #[must_use]
    pub fn with_projection_actions(self, projection_actions: bool) -> Self {
        Self { switches: Switches { projection_actions, ..self.switches }, ..self }
    }

    /// The same server; whether it has `POST /sagas/{name}/{id}/{action}`, by which operators retry, skip, compensate and abort.
    /// It has, unless it is told otherwise; each action is recorded with its actor. Turn them off where strangers reach the
    /// server. Off, they answer 405.
    #[must_use]
    pub fn with_saga_actions(self, saga_actions: bool) -> Self {
        Self { switches: Switches { saga_actions, ..self.switches }, ..self }
    }

    /// Listens. Connections wait until [`BoundServer::serve`]; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn bind(self, address: SocketAddr) -> Result<BoundServer, ServeError> {
        mount::check(&self.mounted)?;
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (local, listener) =
            bound.await.map_err(|error: io::Error| ServeError::Bind { address, source: Source::new(error) })?;
        Ok(BoundServer { server: self, listener, local })
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
    server: HttpServer,
    listener: TcpListener,
    local: SocketAddr,
}

impl BoundServer {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown` is ready. Then it accepts no more connections, closes those without a request whose
    /// head is complete, ends live streams within a second, and lets accepted requests finish, for as long as
    /// [`ServerConfig::drain_timeout`] says; those whose body is still on its way have half of that.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops at once; requests under way are cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let HttpServer { ports, admission, config, switches, mounted } = self.server;
        let (stop, stopping) = watch::channel(false);
        let free = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        let drain_timeout = config.drain_timeout;
        let bodies = Arc::new(Semaphore::new(config.bodies_bytes.clamp(1, Semaphore::MAX_PERMITS)));
        let schema = |question: QueryInfo| question.schema.map(|schema| (question.name, schema));
        let questions = ports.queries.queries().into_iter().filter_map(schema).collect();
        let gate = Gate::new(ports.clone(), admission);
        let sagas = openapi::definitions(&ports).await;
        let document = openapi::document(&ports, sagas, switches, &gate.security().await, &mounted);
        let document = document.to_string().into();
        let app = Arc::new(App { gate, config, questions, document, bodies, stopping });
        let router = routes::router(app.clone(), switches, &mounted);

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
                    let connection = connection::serve(app.clone(), router.clone(), socket);
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        // The receiver lives in `app`.
        let _ = stop.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(drain_timeout, drained).await;
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

/// What every handler sees.
pub(crate) struct App {
    /// The way to the ports.
    gate: Gate,
    config: ServerConfig,
    /// The schemas of the parameters of those questions that have one.
    questions: BTreeMap<Name, Value>,
    /// The OpenAPI document.
    document: Bytes,
    /// A permit a byte of all bodies that are being read or answered.
    bodies: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl App {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ready once the server has been told to stop.
    fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Base64 makes four bytes of three; around each event there is some JSON.
    fn append_body_bytes(&self, ports: &Ports) -> u64 {
        const PER_EVENT: u64 = 512;
        self.config.append_body_bytes.unwrap_or_else(|| {
            let limits = ports.events.capabilities().limits;
            let bytes = limits.append_bytes.saturating_add(limits.note_bytes);
            let events = u64::from(limits.append_events).saturating_mul(PER_EVENT);
            bytes.saturating_add(bytes / 3).saturating_add(events).saturating_add(self.config.body_bytes)
        })
    }
}

/// The router's answer. A panic is one too, and the server goes on.
async fn respond<B>(router: Router, mut request: http::Request<B>) -> Response
where
    B: hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
{
    let correlation = Correlation::of(&mut request);
    let mut answer = Box::pin(router.oneshot(request.map(Body::new)));
    let caught = poll_fn(|context| {
        // After a panic the future is dropped and never polled again, so that nobody sees it broken.
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    });
    let mut response = match caught.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(()) => {
            let detail = "the server failed while it answered; whether the request took effect is unknown";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "panicked", detail).into_response()
        }
    };
    correlation.onto(response.headers_mut());
    response
}

/// The answer to whoever waits when the server is told to stop.
fn shutting_down() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "the server is shutting down; ask again elsewhere")
}

/// A JSON answer.
fn json<T: Serialize>(value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", format!("the answer has no JSON form: {error}"))
            .with("reason", error.to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response())
}
