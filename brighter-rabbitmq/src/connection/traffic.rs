//! [`TimedStream`]: a socket that records when it last carried data.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The times of the last traffic of a socket and of its end, in milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Traffic {
    opened: Instant,
    last: AtomicU64,
    /// 0 while the socket is open.
    ended: AtomicU64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// Returns how long the socket had been idle when the other side ended it; `None` if it did not.
    pub(super) fn idle_when_ended(&self) -> Option<Duration> {
        match self.ended.load(Ordering::Relaxed) {
            0 => None,
            ended => Some(Duration::from_millis(
                ended.saturating_sub(self.last.load(Ordering::Relaxed)),
            )),
        }
    }

    fn passed(&self, bytes: usize) {
        let now = self.now();
        let is_open = self.ended.load(Ordering::Relaxed) == 0;
        match bytes {
            0 if is_open => self.ended.store(now, Ordering::Relaxed),
            0 => {}
            _ => self.last.store(now, Ordering::Relaxed),
        }
    }

    fn now(&self) -> u64 {
        // 0 means that the socket is open.
        u64::try_from(self.opened.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

/// A socket that records its traffic.
pub(super) struct TimedStream {
    stream: TcpStream,
    traffic: Arc<Traffic>,
}

impl TimedStream {
    pub(super) fn new(stream: TcpStream, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let read = Pin::new(&mut self.stream).poll_read(task, buf);
        match &read {
            Poll::Ready(Ok(())) if had_room => self.traffic.passed(buf.filled().len() - before),
            Poll::Ready(Err(_)) => self.traffic.passed(0),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, buf);
        note(&self.traffic, &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(task, bufs);
        note(&self.traffic, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

fn note(traffic: &Traffic, written: &Poll<io::Result<usize>>) {
    match written {
        Poll::Ready(Ok(bytes)) if *bytes > 0 => traffic.passed(*bytes),
        Poll::Ready(Err(_)) => traffic.passed(0),
        Poll::Ready(Ok(_)) | Poll::Pending => {}
    }
}
