//! [`OpenConnection`] and [`ConnectionState`]: the state of a connection.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection_end::ConnectionEnd;
use super::connector::{Connected, SocketCut};
use super::io_thread::IoThread;
use super::owned_channel::OwnedChannel;
use super::traffic::Traffic;
use crate::error::ConnectError;
use crate::url::Address;

/// The purpose of a connection. There are two connections, so that a broker that blocks publishers does not block the
/// acknowledgements that would relieve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionRole {
    Publisher,
    Consumer,
    /// Serves one channel, over which the broker closed a shared connection.
    Isolated,
}

impl ConnectionRole {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
            Self::Isolated => "isolated consumer",
        }
    }
}

/// A connection, and its generation, counted from 1.
pub(crate) struct OpenConnection {
    pub(crate) connection: Connection,
    pub(crate) generation: u64,
    /// The address of its node.
    address: Address,
    /// The index of its node, in the order in which this connection prefers the nodes.
    node: usize,
    since: Instant,
    traffic: Arc<Traffic>,
    /// The reason why the broker blocks publishing.
    blocked: watch::Sender<Option<String>>,
    /// The reason why this process ends the connection.
    given_up: watch::Sender<Option<String>>,
    /// Cancelled when there is a newer connection to another node. This one lasts until nothing needs it.
    retired: CancellationToken,
    /// Why another node is to be looked for.
    left: watch::Sender<Option<String>>,
    end: ConnectionEnd,
    /// Dropped last: a connection that could not be closed in order is closed nevertheless.
    cut: SocketCut,
}

impl OpenConnection {
    pub(super) fn new(connected: Connected, generation: u64) -> Self {
        Self {
            connection: connected.connection,
            generation,
            address: connected.address,
            node: connected.node,
            since: Instant::now(),
            traffic: connected.traffic,
            blocked: watch::Sender::new(None),
            given_up: watch::Sender::new(None),
            retired: CancellationToken::new(),
            left: watch::Sender::new(None),
            end: ConnectionEnd::default(),
            cut: connected.cut,
        }
    }

    /// Ends this connection, so that the reconnect task tries the next node. The first reason is reported.
    pub(crate) fn give_up(&self, reason: impl Into<String>) {
        self.given_up.send_if_modified(|given_up| {
            let is_first = given_up.is_none();
            given_up.get_or_insert_with(|| reason.into());
            is_first
        });
    }

    /// Returns the reason why this process has given the connection up, if it has.
    pub(super) fn given_up(&self) -> Option<String> {
        self.given_up.borrow().clone()
    }

    /// Waits until the connection is given up.
    pub(super) async fn until_given_up(&self) {
        // The sender is in `self`, so this cannot fail.
        let _ = self.given_up.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns whether this process has given the connection up: messages in flight are sent again on the next one.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.borrow().is_some()
    }

    /// Asks the reconnect task for a connection to another node, because this one does not answer what it is asked. What
    /// was begun here is finished here, if it can be.
    pub(crate) fn leave(&self, reason: &str) {
        self.left.send_if_modified(|left| {
            let is_first = left.is_none();
            left.get_or_insert_with(|| reason.to_owned());
            is_first
        });
    }

    /// There is no other node.
    pub(super) fn stay(&self) {
        self.left.send_replace(None);
    }

    /// Whether its node has been found not to answer.
    pub(crate) fn is_left(&self) -> bool {
        self.left.borrow().is_some()
    }

    /// Waits until another node is asked for, and returns why.
    pub(super) async fn until_left(&self) -> String {
        let mut left = self.left.subscribe();
        // The sender is here, so this is no error.
        let reason = left.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }

    /// Waits for what was asked by this connection, for as long as that lasts: what is asked while it ends may never be
    /// answered.
    ///
    /// # Errors
    /// [`ConnectError::Lost`]
    pub(crate) async fn while_up<T>(&self, asking: impl Future<Output = T>) -> Result<T, ConnectError> {
        self.end.while_up(asking).await.ok_or_else(|| {
            let silence = std::io::Error::other("the connection ended before an answer arrived");
            ConnectError::lost(&self.address, silence)
        })
    }

    /// Returns what ends every wait for an answer when it is dropped.
    pub(super) fn end_when_dropped(&self) -> DropGuard {
        self.end.when_dropped()
    }

    /// Opens an AMQP channel that is closed when it is dropped.
    pub(super) async fn open_channel(&self, io: IoThread) -> lapin::Result<OwnedChannel> {
        OwnedChannel::open(&self.connection, io, self.end.clone()).await
    }

    /// Tells the users of this connection to go on with the next one, when what they have begun here is done.
    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.is_cancelled()
    }

    /// Waits until there is another connection to continue on.
    pub(crate) async fn until_retired(&self) {
        self.retired.cancelled().await;
    }

    /// Returns the address of its node.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn node(&self) -> usize {
        self.node
    }

    pub(super) fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns how long the connection had been idle when the other side ended it; `None` if it did not.
    pub(super) fn idle_when_ended(&self) -> Option<Duration> {
        self.traffic.idle_when_ended()
    }

    /// Shuts the socket down, without waiting for the other side.
    pub(super) fn cut(&self) {
        self.cut.cut();
    }

    /// Records why the broker blocks publishing, or that it does not.
    pub(super) fn set_blocked(&self, reason: Option<String>) {
        self.blocked.send_replace(reason);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.given_up.borrow().is_none() && self.connection.status().connected()
    }

    /// Returns why the broker blocks publishing, if it does.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits until the broker unblocks publishing, or the connection is lost.
    pub(crate) async fn unblocked(&self) {
        // The sender is in `self`, so this cannot fail.
        let _ = self.blocked.subscribe().wait_for(Option::is_none).await;
    }
}

/// The state that the task publishes to those that wait for a connection.
#[derive(Clone)]
pub(super) enum ConnectionState {
    /// There is no connection, after this many attempts in a row, with the error of the last.
    Down {
        failures: u32,
        error: Option<ConnectError>,
    },
    Up(Arc<OpenConnection>),
    Closed,
}
