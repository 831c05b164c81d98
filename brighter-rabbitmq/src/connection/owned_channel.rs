//! [`OwnedChannel`]: an AMQP channel that is closed when it is dropped.

use std::ops::Deref;
use std::time::Duration;

use tokio::time::timeout;

use super::connection_end::ConnectionEnd;
use super::io_thread::IoThread;

/// The deadline for closing a channel.
const CLOSING: Duration = Duration::from_secs(5);

/// An AMQP channel that is closed when it is dropped, even with unanswered requests. So a future that is dropped before
/// it completes leaves neither a channel nor a consumer at the broker.
///
/// lapin does this only for a channel without a consumer. Its state for the answer to `basic.consume` keeps the channel
/// alive, and the consumer stays for as long as the connection.
pub(crate) struct OwnedChannel {
    amqp: lapin::Channel,
    io: IoThread,
    end: ConnectionEnd,
}

impl OwnedChannel {
    /// Opens a channel. If this future is dropped, lapin closes the channel as soon as it is open, because nothing was
    /// requested on it.
    pub(super) async fn open(
        connection: &lapin::Connection,
        io: IoThread,
        end: ConnectionEnd,
    ) -> lapin::Result<Self> {
        let amqp = connection.create_channel().await?;
        Ok(Self { amqp, io, end })
    }

    /// Waits for an answer, and returns `None` if the connection ends before.
    pub(crate) async fn while_up<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        self.end.while_up(asking).await
    }

    /// Closes the channel, and waits for the answer.
    pub(crate) async fn close(self) -> lapin::Result<()> {
        self.amqp.close(200, "done".into()).await
    }
}

impl Deref for OwnedChannel {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.amqp
    }
}

impl Drop for OwnedChannel {
    fn drop(&mut self) {
        // The channel is closed, or its close was sent.
        if !self.amqp.status().connected() {
            return;
        }
        let (amqp, end) = (self.amqp.clone(), self.end.clone());
        // If lapin closed the channel itself, a close that crosses one of the broker's would end the connection. The
        // deadline ends only the wait: the broker reads the request after its current work.
        self.io.spawn(async move {
            let closing = timeout(CLOSING, amqp.close(200, "done".into()));
            let _ = end.while_up(closing).await;
        });
    }
}
