//! WebSockets with the protocol `graphql-transport-ws`.
//!
//! One task a socket reads and writes; each operation has a task of its own, which hands its messages over through a
//! channel with little room. A client that takes nothing holds up its own operations alone, and is cut off in time.

use super::admission::{self, Shown};
use super::build::Built;
use super::context::{App, Context};
use super::execute::{Asking, Refused, answer, of_problem, panicked, prepare};
use super::request::{self, Answer, Refusal};
use super::service::Inner;
use crate::scalar::Given;
use crate::wire::object::{Named, Object};
use crate::wire::problem::Problem;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use futures::future::{BoxFuture, FutureExt as _};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, StatusCode, header};
use hyper_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use hyper_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use hyper_tungstenite::tungstenite::{Error, Message};
use hyper_tungstenite::{HyperWebsocket, HyperWebsocketStream};
use juniper::OperationType;
use juniper::http::GraphQLResponse;
use juniper_subscriptions::Connection;
use portolan_kernel::application::Admitted;
use portolan_kernel::ports::{AuthenticationError, Source};
use portolan_kernel::values::Metadata;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

const PROTOCOL: &str = "graphql-transport-ws";

/// How many messages of all operations may wait for the socket.
const ROOM: usize = 8;

/// Why a socket is closed, after the protocol.
type Closing = (u16, String);

fn shutting_down() -> Closing {
    (1001, "the server is shutting down".to_owned())
}

/// Takes a connection over.
pub(super) async fn accept<B>(inner: &Arc<Inner>, request: &mut Request<B>) -> Result<Answer, Refusal> {
    let app = &inner.app;
    admission::same_origin(request.headers(), &app.config.allowed_origins)?;
    let protocols = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut protocols = protocols.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if !protocols.any(|protocol| protocol.trim() == PROTOCOL) {
        let message = "a WebSocket here speaks graphql-transport-ws; name it as its subprotocol";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", message));
    }
    let permit = inner.sockets.clone().try_acquire_owned().ok().filter(|_| !app.is_stopping());
    let Some(permit) = permit else {
        let message = "there is no room for another WebSocket now; try again";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message));
    };
    // Whoever shows nothing by a header may still do so by `connection_init`: a browser cannot send one.
    let admitted = match request.headers().contains_key(header::AUTHORIZATION) {
        true => Some(admission::by_headers(inner, request.headers()).await?),
        false => None,
    };
    let arrived = Arrived {
        within: request::timeout(request.headers())?,
        metadata: request::metadata(request.headers()),
        admitted,
    };
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(app.config.body_bytes);
    config.max_frame_size = Some(app.config.body_bytes);
    let upgraded = hyper_tungstenite::upgrade(request, Some(config));
    let (mut answer, socket) =
        upgraded.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))?;
    answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let built = inner.built().await;
    let (app, inner) = (app.clone(), Arc::downgrade(inner));
    tokio::spawn(async move {
        serve(socket, app, arrived, built, inner).await;
        drop(permit);
    });
    Ok(answer)
}

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Incoming {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Shown>,
    },
    Ping {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    Pong {},
    Subscribe {
        id: String,
        payload: Object<Asking>,
    },
    Complete {
        id: String,
    },
}

impl Named for Incoming {
    const WHAT: &'static str = "a message as a JSON object";
}

/// What the request for a socket has brought.
struct Arrived {
    metadata: Metadata,
    within: Option<Duration>,
    /// Where it has shown who it is already.
    admitted: Option<Admitted>,
}

/// What an operation has for the socket.
struct Outgoing {
    id: String,
    /// The operation's number, which tells it from one before it under the same id.
    number: u64,
    text: String,
    last: bool,
}

async fn serve(socket: HyperWebsocket, app: Arc<App>, arrived: Arrived, built: Arc<Built>, inner: Weak<Inner>) {
    let Ok(Ok(socket)) = timeout(app.config.socket_timeout, socket).await else { return };
    let (sender, messages) = mpsc::channel(ROOM);
    let session = Session {
        app,
        arrived,
        context: None,
        expired: Some(core::future::pending().boxed()),
        built,
        inner,
        socket,
        sender,
        operations: BTreeMap::new(),
        tasks: JoinSet::new(),
        begun: 0,
    };
    session.run(messages).await;
}

/// Waits for it, and takes it away.
async fn gone(waiting: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(ready) = waiting {
        ready.await;
        *waiting = None;
    }
}

/// An operation that has not ended.
struct UnderWay {
    number: u64,
    /// How many bytes it came in.
    size: usize,
    task: AbortHandle,
}

/// The state of one socket.
struct Session {
    app: Arc<App>,
    arrived: Arrived,
    /// Of the client, once it has said who it is and has been let in.
    context: Option<Context>,
    /// Ready once its credentials have expired; gone after that.
    expired: Option<BoxFuture<'static, ()>>,
    built: Arc<Built>,
    /// For the schema of the day; the service may be gone, and then the socket ends.
    inner: Weak<Inner>,
    socket: HyperWebsocketStream,
    sender: Sender<Outgoing>,
    operations: BTreeMap<String, UnderWay>,
    tasks: JoinSet<()>,
    begun: u64,
}

impl Session {
    async fn run(mut self, mut messages: mpsc::Receiver<Outgoing>) {
        let hello = Instant::now() + self.app.config.socket_timeout;
        let mut keep_alive = tokio::time::interval(self.app.config.socket_keep_alive);
        keep_alive.reset();
        let mut stopping = core::pin::pin!(self.app.stopping());
        let ended = loop {
            // The branches are taken in turn, so that neither a client that floods nor one that is flooded waits.
            let next = tokio::select! {
                () = &mut stopping => Err(Some(shutting_down())),
                () = tokio::time::sleep_until(hello), if self.context.is_none() => {
                    Err(Some((4408, "Connection initialisation timeout".to_owned())))
                }
                Some(outgoing) = messages.recv() => self.outgoing(outgoing).await,
                incoming = self.socket.next() => self.incoming(incoming).await,
                Some(_) = self.tasks.join_next() => Ok(()),
                () = gone(&mut self.expired), if self.expired.is_some() => Ok(()),
                _ = keep_alive.tick(), if self.context.is_some() => self.send(&json!({ "type": "ping" })).await,
            };
            if let Err(ended) = next {
                break ended;
            }
            // What was no subscription has been finished.
            if self.expired.is_none() && self.operations.is_empty() {
                break Some((4403, format!("Forbidden: {}", admission::expired().message)));
            }
        };
        self.tasks.abort_all();
        if let Some((code, reason)) = ended {
            // A reason has at most 123 bytes.
            let mut reason = reason;
            while reason.len() > 123 {
                reason.pop();
            }
            let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
            let _ = timeout(self.app.config.socket_timeout, self.socket.close(Some(frame))).await;
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Option<Closing>> {
        self.write(message.to_string()).await
    }

    async fn write(&mut self, text: String) -> Result<(), Option<Closing>> {
        let sent = timeout(self.app.config.socket_timeout, self.socket.send(Message::text(text))).await;
        // A client that is gone, or takes nothing, is not told.
        sent.map_err(|_| None)?.map_err(|_| None)
    }

    async fn outgoing(&mut self, outgoing: Outgoing) -> Result<(), Option<Closing>> {
        let Outgoing { id, number, text, last } = outgoing;
        // Of an operation that the client has ended it hears no more.
        if self.operations.get(&id).is_none_or(|own| own.number != number) {
            return Ok(());
        }
        if last {
            self.operations.remove(&id);
        }
        self.write(text).await
    }

    async fn incoming(&mut self, incoming: Option<Result<Message, Error>>) -> Result<(), Option<Closing>> {
        let text = match incoming {
            None => return Err(None),
            Some(Ok(Message::Close(_))) => {
                // The answer (RFC 6455, section 5.5.1) is made by then, and waits to be sent.
                let _ = timeout(self.app.config.socket_timeout, self.socket.flush()).await;
                return Err(None);
            }
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(Some((4400, "messages are text".to_owned()))),
            Some(Ok(_)) => return Ok(()),
            Some(Err(Error::Capacity(error))) => return Err(Some((1009, error.to_string()))),
            Some(Err(Error::Utf8(error))) => return Err(Some((1007, error))),
            Some(Err(Error::Protocol(error))) => return Err(Some((1002, error.to_string()))),
            Some(Err(_)) => return Err(None),
        };
        let Object(message): Object<Incoming> =
            serde_json::from_str(&text).map_err(|error| Some((4400, format!("Invalid message: {error}"))))?;
        match message {
            Incoming::ConnectionInit { .. } if self.context.is_some() => {
                Err(Some((4429, "Too many initialisation requests".to_owned())))
            }
            Incoming::ConnectionInit { payload } => {
                self.admit(payload.unwrap_or_default()).await?;
                self.send(&json!({ "type": "connection_ack" })).await
            }
            Incoming::Ping { payload } => {
                let mut pong = json!({ "type": "pong" });
                if let Some(payload) = payload {
                    pong["payload"] = Value::Object(payload);
                }
                self.send(&pong).await
            }
            Incoming::Pong {} => Ok(()),
            Incoming::Subscribe { id, payload: Object(payload) } => match self.context.clone() {
                Some(context) => self.begin(context, id, payload, text.len()).await,
                None => Err(Some((4401, "Unauthorized".to_owned()))),
            },
            Incoming::Complete { id } => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.task.abort();
                }
                Ok(())
            }
        }
    }

    /// Lets the client in by what it has shown, now or with the request for the socket.
    async fn admit(&mut self, shown: Shown) -> Result<(), Option<Closing>> {
        let Arrived { metadata, within, admitted } = &mut self.arrived;
        let Some(inner) = self.inner.upgrade() else { return Err(Some(shutting_down())) };
        let admitted = async {
            let credentials = shown.credentials()?;
            match admitted.take() {
                None => inner.admission.admit(&credentials, &inner.ports).await,
                Some(admitted) if credentials.authorization.is_none() => Ok(admitted),
                Some(_) => Err(admission::wrong("there is a header Authorization already")),
            }
        };
        let admitted = tokio::select! {
            admitted = timeout(self.app.config.socket_timeout, admitted) => admitted
                .unwrap_or_else(|_| Err(AuthenticationError::Busy(Source::new("finding that out takes too long")))),
            () = self.app.stopping() => return Err(Some(shutting_down())),
        };
        let admitted = admitted.map_err(|error| Some(admission::closing(&error)))?;
        let context = Context::new(&self.app, admitted, core::mem::take(metadata), *within);
        self.expired = Some(context.expired().boxed());
        self.context = Some(context);
        Ok(())
    }

    async fn begin(
        &mut self,
        context: Context,
        id: String,
        asking: Asking,
        size: usize,
    ) -> Result<(), Option<Closing>> {
        if self.operations.contains_key(&id) {
            return Err(Some((4409, format!("Subscriber for {id} already exists"))));
        }
        let (most, room) = (self.app.config.socket_operations, self.app.config.body_bytes);
        let held: usize = self.operations.values().map(|operation| operation.size).sum();
        let refused = if self.expired.is_none() {
            Some(admission::expired())
        } else if self.operations.len() >= most {
            Some(Problem::new("busy", format!("at most {most} operations are possible on one WebSocket")))
        } else if held.saturating_add(size) > room {
            // They are kept for as long as they go on.
            let message = format!("the operations under way on one WebSocket have at most {room} bytes together");
            Some(Problem::new("busy", message))
        } else {
            None
        };
        if let Some(problem) = refused {
            let message = json!({ "type": "error", "id": id, "payload": [of_problem(&problem)] });
            return self.send(&message).await;
        }
        match self.inner.upgrade() {
            Some(inner) => self.built = inner.built().await,
            None => return Err(Some(shutting_down())),
        }
        self.begun += 1;
        let number = self.begun;
        let (built, sender) = (self.built.clone(), self.sender.clone());
        let operation = Operating { id: id.clone(), number, sender };
        let task = self.tasks.spawn(async move {
            let ended = AssertUnwindSafe(operation.run(&context, &built, &asking)).catch_unwind().await;
            let message = match ended {
                Ok(Ok(())) => json!({ "type": "complete", "id": operation.id }),
                Ok(Err(errors)) => json!({ "type": "error", "id": operation.id, "payload": errors }),
                Err(_) => json!({ "type": "error", "id": operation.id, "payload": [of_problem(&panicked())] }),
            };
            operation.tell(message.to_string(), true).await;
        });
        self.operations.insert(id, UnderWay { number, size, task });
        Ok(())
    }
}

/// An answer of an operation, as the protocol has it.
#[derive(Serialize)]
struct Answered<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    payload: &'a GraphQLResponse<Given>,
}

/// One operation under way.
struct Operating {
    id: String,
    number: u64,
    sender: Sender<Outgoing>,
}

impl Operating {
    /// Waits for room. Without a socket there is nobody to tell.
    async fn tell(&self, text: String, last: bool) {
        let _ = self.sender.send(Outgoing { id: self.id.clone(), number: self.number, text, last }).await;
    }

    async fn next(&self, answer: &GraphQLResponse<Given>) {
        // Not by way of a `Value`, which would lose the order of the fields.
        let message = Answered { kind: "next", id: &self.id, payload: answer };
        self.tell(serde_json::to_string(&message).unwrap_or_default(), false).await;
    }

    async fn run(&self, context: &Context, built: &Built, asking: &Asking) -> Result<(), Refused> {
        let within = asking.within().map_err(|problem| vec![of_problem(&problem)])?;
        let context = &context.with_timeout(within);
        let (ready, variables) = prepare(&context.app, built, asking)?;
        if ready.operation_type() != OperationType::Subscription {
            let answer = answer(&ready, &variables, context).await?;
            self.next(&answer).await;
            return Ok(());
        }
        let followed = async {
            let streams = ready.resolve_into_stream(&variables, context).await;
            let (streams, errors) = streams.map_err(|error| super::execute::refused(&error))?;
            let mut answers = Connection::from_stream(streams, errors);
            while let Some(output) = answers.next().await {
                self.next(&GraphQLResponse::from_result(Ok((output.data, output.errors)))).await;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            () = context.expired() => Err(vec![of_problem(&admission::expired())]),
            followed = followed => followed,
        }
    }
}
