//! The service: one endpoint, for whoever routes to it.

use super::admission;
use super::build::{Actions, Built, build};
use super::context::{App, Context};
use super::execute::{answer, of_problem, panicked, prepare, whole};
use super::loader::Loader;
use super::request::{self, Answer, BoxError, Refusal, answered, gotten, of_bytes, posted, refuse};
use super::tail::Tail;
use super::{page, socket};
use crate::config::ServerConfig;
use core::convert::Infallible;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::task::Poll;
use core::time::Duration;
use futures::future::{BoxFuture, FutureExt as _};
use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Body;
use juniper::OperationType;
use portolan_kernel::Bytes;
use portolan_kernel::application::{Admission, Ports};
use serde_json::json;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore, watch};

/// GraphQL as a [`tower::Service`], to be mounted under a path of any server: it expects paths without that beginning.
/// A clone is the same service.
///
/// | path | does |
/// |---|---|
/// | `/` | `POST`: an operation as JSON. `GET`: a query in the query string; a WebSocket for `graphql-transport-ws`; GraphiQL for a browser, whoever asks |
/// | `/schema` | the schema in the schema definition language, whoever asks |
/// | `/graphiql/…` | what GraphiQL is made of |
///
/// WebSockets need a server that hands connections over, as [`hyper::upgrade`] has it. They end with the last clone of
/// the service, or with [`close`](Self::close).
///
/// ```no_run
/// # async fn example(ports: portolan_kernel::application::Ports) {
/// let service = portolan_graphql::GraphqlServer::new(ports).service().await;
/// // HttpServer::new(ports).mount("/graphql", service)
/// # }
/// ```
#[derive(Clone)]
pub struct GraphqlService {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) app: Arc<App>,
    pub(super) admission: Admission,
    /// What callers get theirs of.
    pub(super) ports: Ports,
    actions: Actions,
    built: RwLock<Arc<Built>>,
    /// When a schema that lacks something was built last.
    rebuilt: Mutex<Instant>,
    /// A permit a WebSocket.
    pub(super) sockets: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for GraphqlService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphqlService").field("config", &self.inner.app.config).finish_non_exhaustive()
    }
}

/// How long a schema that lacks something stays as it is.
const REBUILD: Duration = Duration::from_secs(1);

impl GraphqlService {
    pub(super) async fn new(ports: Ports, admission: Admission, config: ServerConfig, actions: Actions) -> Self {
        let (stop, stopping) = watch::channel(false);
        let most = usize::try_from(config.page_rows).unwrap_or(usize::MAX);
        let sockets = Arc::new(Semaphore::new(config.max_sockets.min(Semaphore::MAX_PERMITS)));
        let built = RwLock::new(Arc::new(build(&ports, &config, actions).await));
        let (loader, tail) = (Loader::new(most), Tail::new(ports.subscriptions.clone()));
        let app = Arc::new(App { config, loader, tail, stopping });
        let rebuilt = Mutex::new(Instant::now());
        Self { inner: Arc::new(Inner { app, admission, ports, actions, built, rebuilt, sockets, stop }) }
    }

    /// The schema in the schema definition language, as it is served now.
    #[must_use]
    pub fn sdl(&self) -> String {
        self.inner.current().sdl.clone()
    }

    /// Ends subscriptions and WebSockets, and refuses new ones and new commands. Requests under way finish.
    pub fn close(&self) {
        // The receiver lives in `app`.
        let _ = self.inner.stop.send(true);
    }

    async fn respond<B>(self, mut request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let path = request.uri().path().trim_matches('/').to_owned();
        let answer = match path.as_str() {
            "" if hyper_tungstenite::is_upgrade_request(&request) => socket::accept(&self.inner, &mut request).await,
            "" => self.inner.operation(request).await,
            "schema" => self.inner.schema().await,
            asset => match asset.strip_prefix("graphiql/").filter(|_| self.inner.app.config.graphiql) {
                Some(name) => page::asset(name),
                None => Err(Refusal::new(StatusCode::NOT_FOUND, "no-such-route", "there is nothing here")),
            },
        };
        answer.unwrap_or_else(|refusal| refuse(&refusal))
    }
}

impl Inner {
    fn current(&self) -> Arc<Built> {
        self.built.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The schema. While some projection was not ready when it was built, it is built anew, at most once a second.
    pub(super) async fn built(&self) -> Arc<Built> {
        let current = self.current();
        if !current.is_partial {
            return current;
        }
        let Ok(mut rebuilt) = self.rebuilt.try_lock() else { return current };
        if rebuilt.elapsed() < REBUILD {
            return current;
        }
        let built =
            tokio::time::timeout(REBUILD, build(&self.ports, &self.app.config, self.actions)).await.map(Arc::new);
        *rebuilt = Instant::now();
        let Ok(built) = built else { return current };
        *self.built.write().unwrap_or_else(PoisonError::into_inner) = built.clone();
        built
    }

    async fn schema(&self) -> Result<Answer, Refusal> {
        if !self.app.config.introspection {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "no-such-route", "the schema is not told here"));
        }
        let sdl = self.built().await.sdl.clone();
        Ok(of_bytes(StatusCode::OK, "application/graphql; charset=utf-8", sdl.into()))
    }

    async fn operation<B>(&self, request: Request<B>) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let is_get = parts.method == Method::GET;
        let asks = parts.uri.query().filter(|query| !query.is_empty());
        if is_get && asks.is_none() && self.app.config.graphiql && wants_page(&parts.headers) {
            return Ok(page::page());
        }
        // Before anything of the body is read.
        let admitted = admission::by_headers(self, &parts.headers).await?;
        let asking = match parts.method {
            Method::POST => posted(&self.app, &parts.headers, body).await?,
            Method::GET => match asks {
                Some(query) => gotten(query)?,
                None => {
                    let message = "send a query by POST, or by GET as `?query=`";
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", message));
                }
            },
            _ => {
                let message = "GraphQL takes POST, and GET for queries";
                return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message));
            }
        };
        let within = asking.within().map_err(|problem| Refusal::of(StatusCode::BAD_REQUEST, problem))?;
        let within = match within {
            Some(within) => Some(within),
            None => request::timeout(&parts.headers)?,
        };
        let context = Context::new(&self.app, admitted, request::metadata(&parts.headers), within);
        let built = self.built().await;
        let refused = |errors| Ok(answered(&parts.headers, &json!({ "errors": errors }), true));
        let (ready, variables) = match prepare(&self.app, &built, &asking) {
            Ok(prepared) => prepared,
            Err(errors) => return refused(errors),
        };
        match ready.operation_type() {
            OperationType::Query => {}
            OperationType::Mutation if is_get => {
                let message = "a mutation is sent by POST: GET changes nothing";
                return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message));
            }
            OperationType::Mutation => {}
            OperationType::Subscription => {
                let message = "a subscription needs a WebSocket, with the protocol graphql-transport-ws";
                return refused(vec![of_problem(&crate::wire::problem::Problem::new("not-here", message))]);
            }
        }
        match answer(&ready, &variables, &context).await {
            Ok(answer) => Ok(answered(&parts.headers, &answer, false)),
            Err(errors) => refused(errors),
        }
    }
}

/// Whether it is a browser that asks for a page.
fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| range.trim().starts_with("text/html"))
}

impl<B> tower::Service<Request<B>> for GraphqlService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut core::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers().clone();
        let answer = AssertUnwindSafe(self.clone().respond(request)).catch_unwind();
        Box::pin(async move { Ok(answer.await.unwrap_or_else(|_| answered(&headers, &whole(&panicked()), false))) })
    }
}
