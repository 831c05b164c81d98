//! [`OwnedChannel`]: an AMQP channel that is closed when it is dropped.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::io_thread::IoThread;
use super::state::ConnectionState;

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
    /// The state of its connection, or of the one after it.
    state: watch::Receiver<ConnectionState>,
}

impl OwnedChannel {
    /// Opens a channel. If this future is dropped, lapin closes the channel as soon as it is open, because nothing was
    /// requested on it.
    pub(super) async fn open(
        connection: &lapin::Connection,
        io: IoThread,
        state: watch::Receiver<ConnectionState>,
    ) -> lapin::Result<Self> {
        let amqp = connection.create_channel().await?;
        Ok(Self { amqp, io, state })
    }

    /// Waits for an answer, and returns `None` if the connection ends first: a request at that moment is never
    /// answered.
    pub(crate) async fn while_up<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = asking => Some(answer),
            () = until_down(self.state.clone()) => None,
        }
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
        let (amqp, state) = (self.amqp.clone(), self.state.clone());
        // If lapin closed the channel itself, a close that crosses one of the broker's would end the connection. The
        // deadline ends only the wait: the broker reads the request after its current work.
        self.io.spawn(async move {
            tokio::select! {
                _ = timeout(CLOSING, amqp.close(200, "done".into())) => {}
                () = until_down(state) => {}
            }
        });
    }
}

/// Waits until there is no connection.
async fn until_down(mut state: watch::Receiver<ConnectionState>) {
    // An error means that the task has ended, and the connection with it.
    let _ = state
        .wait_for(|state| !matches!(state, ConnectionState::Up(_)))
        .await;
}
