//! One connection: hyper over a socket that gives up on a client that takes nothing, and that turns the bare
//! errors hyper itself answers with into problems.

use super::problem::of_connection;
use super::{App, respond};
use crate::wire::problem::MEDIA_TYPE;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use core::convert::Infallible;
use core::future::{Future as _, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portolan_kernel::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// How long what is left of a refused body is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// How long a live stream may take to say that it ends, once the server has been told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Set on a connection whose client may still be sending a body that nobody reads. Closed at once, it would be
/// reset, and the client would never see why.
#[derive(Debug, Clone, Default)]
pub(super) struct Lingering(Arc<AtomicBool>);

impl Lingering {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(app: Arc<App>, router: Router, socket: TcpStream) {
    let lingering = Lingering::default();
    let owed = Owed::default();
    let (give_back, given_back) = oneshot::channel();
    let io = TokioIo::new(Watched::new(socket, app.config.write_timeout, owed.clone(), give_back));
    let service = {
        let (lingering, owed) = (lingering.clone(), owed.clone());
        service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(lingering.clone());
            let answer = owed.answer();
            let request = request.map(|body| Arriving { body, owed: owed.clone() });
            let router = router.clone();
            Box::pin(async move { Ok::<_, Infallible>(answer.of(respond(router, request).await)) })
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.header_timeout)
        .max_header_size(app.config.head_bytes)
        .max_buf_size(app.config.head_bytes.max(64 << 10))
        .half_close(false)
        .serve_connection(io, service)
        .with_upgrades();
    let mut stopping = pin!(app.stopping());
    let mut told = false;
    // They begin when they are first polled, which is after the server has been told to stop.
    let mut farewell = pin!(async { tokio::time::sleep(FAREWELL).await });
    let mut rest_of_body = pin!(async { tokio::time::sleep(app.config.drain_timeout / 2).await });
    let ended = poll_fn(|context| {
        if !told && stopping.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(context) {
            return Poll::Ready(Some(ended));
        }
        let cut_off = told
            && (owed.is_none()
                || owed.is_live() && farewell.as_mut().poll(context).is_ready()
                || owed.awaits_body() && rest_of_body.as_mut().poll(context).is_ready());
        if cut_off { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    let Some(ended) = ended else { return };
    let late = matches!(&ended, Err(error) if error.is_timeout()) && owed.has_part_of_a_head();
    drop(connection);
    // One that a mounted service has taken over is that service's.
    if owed.is_upgraded() {
        return;
    }
    let Ok(mut socket) = given_back.await else { return };
    if late {
        let _ = tokio::time::timeout(LINGER, socket.write_all(&last_answer(StatusCode::REQUEST_TIMEOUT))).await;
    }
    let _ = socket.shutdown().await;
    if late || ended.is_err() || lingering.0.load(Ordering::Relaxed) {
        let _ = tokio::time::timeout(LINGER, drained(&mut socket)).await;
    }
}

async fn drained(socket: &mut TcpStream) -> io::Result<()> {
    let mut waste = [0; 16 << 10];
    while socket.read(&mut waste).await? > 0 {}
    Ok(())
}

/// The answers that hyper still owes the client. What it writes while it owes none is its own.
#[derive(Debug, Clone, Default)]
struct Owed(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Answers from the call of the service to the drop of their body. Hyper drops an empty one before it writes
    /// the head.
    under_way: AtomicUsize,
    /// Whether answers may still be in hyper's buffer.
    unflushed: AtomicBool,
    /// Whether a handler waits for more of a request's body.
    awaits_body: AtomicBool,
    /// Whether the answer is a live stream, which has no end of its own.
    live: AtomicBool,
    /// Whether bytes have come since the last request was taken or answered: the beginning of the next.
    part_of_a_head: AtomicBool,
    /// Whether a mounted service has taken the connection over.
    upgraded: AtomicBool,
}

#[derive(Debug)]
struct Answer(Arc<State>);

impl Owed {
    fn answer(&self) -> Answer {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        self.0.unflushed.store(true, Ordering::Relaxed);
        self.0.part_of_a_head.store(false, Ordering::Relaxed);
        Answer(self.0.clone())
    }

    /// Hyper flushes the socket only once its buffer is empty.
    fn flushed(&self) {
        if self.0.under_way.load(Ordering::Relaxed) == 0 {
            self.0.unflushed.store(false, Ordering::Relaxed);
        }
    }

    fn is_none(&self) -> bool {
        !self.0.unflushed.load(Ordering::Relaxed)
    }

    fn is_live(&self) -> bool {
        self.0.live.load(Ordering::Relaxed)
    }

    fn is_upgraded(&self) -> bool {
        self.0.upgraded.load(Ordering::Relaxed)
    }

    fn has_part_of_a_head(&self) -> bool {
        self.0.part_of_a_head.load(Ordering::Relaxed)
    }

    fn awaits_body(&self) -> bool {
        self.0.awaits_body.load(Ordering::Relaxed)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.part_of_a_head.store(false, Ordering::Relaxed);
    }
}

impl Answer {
    fn of(self, response: http::Response<axum::body::Body>) -> http::Response<Answered> {
        let media_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.upgraded.store(true, Ordering::Relaxed);
        }
        let live = media_type.is_some_and(|media_type| media_type.starts_with(b"text/event-stream"));
        self.0.live.store(live, Ordering::Relaxed);
        response.map(|body| Answered { body, _answer: self })
    }
}

/// A request's body that tells whether it is waited for.
struct Arriving {
    body: Incoming,
    owed: Owed,
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.owed.0.awaits_body.store(frame.is_pending(), Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.owed.0.awaits_body.store(false, Ordering::Relaxed);
    }
}

/// A body that says when it is done.
struct Answered {
    body: axum::body::Body,
    _answer: Answer,
}

impl hyper::body::Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// A socket that times out when the peer takes nothing, and gives hyper's own bare errors a body.
///
/// It gives the socket back when hyper drops it, for what is left to say; one that was taken over it does not.
struct Watched {
    socket: Option<TcpStream>,
    give_back: Option<oneshot::Sender<TcpStream>>,
    write_timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    stalled: bool,
    owed: Owed,
    instead: Bytes,
}

impl Watched {
    fn new(socket: TcpStream, write_timeout: Duration, owed: Owed, give_back: oneshot::Sender<TcpStream>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(write_timeout));
        let (socket, give_back) = (Some(socket), Some(give_back));
        Self { socket, give_back, write_timeout, deadline, stalled: false, owed, instead: Bytes::new() }
    }

    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.socket.as_mut().expect("it is given back in drop alone"))
    }

    /// Turns a stall that lasts too long into an error.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = false;
            return written;
        }
        if !self.stalled {
            self.stalled = true;
            self.deadline.as_mut().reset(Instant::now() + self.write_timeout);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }

    /// The status of an error of hyper's own, which is a head alone. One that hyper puts into its buffer behind an
    /// answer stays bare.
    fn bare_error(&self, bytes: &[u8]) -> Option<StatusCode> {
        let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        let status = StatusCode::from_bytes(status).ok()?;
        (self.owed.is_none() && status.is_client_error()).then_some(status)
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let instead = self.instead.clone();
            let written = self.socket().poll_write(context, &instead);
            let written = ready!(self.watch(written, context))?;
            let _ = self.instead.split_to(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The problem of this status as a whole answer, after which the connection closes.
fn last_answer(status: StatusCode) -> Vec<u8> {
    let body = of_connection(status).encode();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.into_bytes(), body].concat()
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (false, Some(socket), Some(give_back)) =
            (self.owed.is_upgraded(), self.socket.take(), self.give_back.take())
        {
            // Nobody waits for it where the connection was cut off.
            let _ = give_back.send(socket);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.socket().poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.owed.0.part_of_a_head.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        if let Some(status) = self.bare_error(bytes) {
            self.instead = last_answer(status).into();
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = self.socket().poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        ready!(self.poll_instead(context))?;
        let written = self.socket().poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        self.owed.flushed();
        self.socket().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        self.socket().poll_shutdown(context)
    }
}
