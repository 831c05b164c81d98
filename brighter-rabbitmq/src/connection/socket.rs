//! [`Socket`]: the connection that lapin reads and writes, in plaintext or with TLS.
//!
//! lapin supports TLS itself, but with fifty more crates for the key formats of other libraries. It accepts any socket
//! of its runtime, so [`Kit`] is tokio's runtime with our socket. In the socket, [`NestingLimit`] limits the depth of
//! the tables that lapin parses.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::traffic::{TimedStream, Traffic};
use crate::wire::NestingLimit;

/// A connection to a node of the broker. Data for lapin is never nested deeper than lapin can parse.
pub(super) struct Socket {
    stream: SocketStream,
    nesting: NestingLimit,
}

enum SocketStream {
    Plain(Compat<TimedStream>),
    Tls(Box<Compat<TlsStream<TimedStream>>>),
}

impl Socket {
    fn new(stream: SocketStream) -> Self {
        Self {
            stream,
            nesting: NestingLimit::default(),
        }
    }

    pub(super) fn plain(stream: TimedStream) -> Self {
        Self::new(SocketStream::Plain(stream.compat()))
    }

    /// Does the TLS handshake with the server of this name.
    pub(super) async fn tls(stream: TimedStream, config: ClientConfig, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Self::new(SocketStream::Tls(Box::new(stream.compat()))))
    }
}

/// Evaluates the same expression for either kind of stream.
macro_rules! either {
    ($socket:expr, $stream:ident => $done:expr) => {
        match &mut $socket.stream {
            SocketStream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $done
            }
            SocketStream::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $done
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let count = ready!(either!(this, stream => stream.poll_read(cx, buf)))?;
        if let Some(read) = buf.get_mut(..count) {
            this.nesting.apply(read);
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_close(cx))
    }
}

/// tokio as a runtime for lapin, with [`Socket`] as its connections.
#[derive(Debug, Clone)]
pub(super) struct Kit(Tokio);

impl Kit {
    /// Returns the caller's runtime for lapin.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub(super) fn current() -> Runtime<Self> {
        Runtime::new(Self(Tokio::current()))
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for Kit {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// Refuses, and lapin never calls it: the bound that tokio's method needs has no public name.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Socket, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    /// Connects in plaintext. lapin calls it only if it gets no socket, and it always gets one here.
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = TcpStream::connect(address);
        async {
            let stream = TimedStream::new(connecting.await?, Arc::new(Traffic::new()));
            Ok(Socket::plain(stream))
        }
    }
}
