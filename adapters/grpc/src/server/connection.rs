//! Connections: as many as are allowed, cut off when they are dead or the server ends.

use crate::config::ServerConfig;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use futures::Stream;
use futures::stream;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The connections that a server accepts, until it drops the stream. Each ends when the other half of `cut_off` is
/// dropped.
pub(super) fn accepted(
    listener: TcpListener,
    config: &ServerConfig,
    cut_off: watch::Receiver<()>,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    // A peer that lives answers a ping within the timeout, so that one that says nothing for longer is dead, or has never
    // begun.
    let longest_silence = config.keep_alive_interval.saturating_add(config.keep_alive_timeout);
    let free = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    stream::unfold((listener, free, cut_off), move |(listener, free, cut_off)| async move {
        // The semaphore is never closed; without a permit there is no accepting.
        let permit = free.clone().acquire_owned().await.ok()?;
        let socket = accept(&listener).await;
        let mut ends = cut_off.clone();
        let connection = Connection {
            socket,
            cut_off: Box::pin(async move { while ends.changed().await.is_ok() {} }),
            silent: Box::pin(tokio::time::sleep(longest_silence)),
            heard: Instant::now(),
            longest_silence,
            _permit: permit,
        };
        Some((Ok(connection), (listener, free, cut_off)))
    })
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

/// A connection that ends with its server, and when it has been silent for too long.
pub(super) struct Connection {
    socket: TcpStream,
    cut_off: Pin<Box<dyn Future<Output = ()> + Send>>,
    silent: Pin<Box<Sleep>>,
    heard: Instant,
    longest_silence: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.cut_off.as_mut().poll(context).is_ready() {
            return Poll::Ready(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended"));
        }
        while self.silent.as_mut().poll(context).is_ready() {
            let due = self.heard + self.longest_silence;
            if due <= Instant::now() {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the connection is dead"));
            }
            self.silent.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(end) = self.poll_end(context) {
            return Poll::Ready(Err(end));
        }
        let read = Pin::new(&mut self.socket).poll_read(context, into);
        if read.is_ready() {
            self.heard = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket.connect_info()
    }
}
