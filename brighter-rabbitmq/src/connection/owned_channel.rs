//! [`OwnedChannel`]: an AMQP channel that is closed when it is dropped.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::io_thread::IoThread;
use super::state::ConnectionState;

/// Closing a channel takes this long at most.
const CLOSING: Duration = Duration::from_secs(5);

/// An AMQP channel that is closed when it is dropped, whatever was asked on it and not answered yet: a future that is
/// dropped half way leaves neither a channel nor a consumer at the broker.
///
/// lapin does this for a channel with no consumer. What it keeps for the answer to `basic.consume` keeps the channel as
/// well, and the consumer that the answer tells of stays for as long as the connection.
pub(crate) struct OwnedChannel {
    amqp: lapin::Channel,
    io: IoThread,
    /// Of its connection, or of the one that has taken its place.
    state: watch::Receiver<ConnectionState>,
}

impl OwnedChannel {
    /// Opens a channel. If this future is dropped, lapin closes the channel as soon as it is open: nothing was asked
    /// on it.
    pub(super) async fn open(
        connection: &lapin::Connection,
        io: IoThread,
        state: watch::Receiver<ConnectionState>,
    ) -> lapin::Result<Self> {
        let amqp = connection.create_channel().await?;
        Ok(Self { amqp, io, state })
    }

    /// Waits for an answer, and returns `None` if the connection ends before: what is asked just then is never answered.
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
        // Closed, or closing: the request is on its way.
        if !self.amqp.status().connected() {
            return;
        }
        let (amqp, state) = (self.amqp.clone(), self.state.clone());
        // Left to lapin, a close that crosses one of the broker's would take down the connection. The deadline ends
        // the wait alone: the broker reads the request behind what it is busy with.
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
    // An error says that the task is gone, and the connection with it.
    let _ = state
        .wait_for(|state| !matches!(state, ConnectionState::Up(_)))
        .await;
}
