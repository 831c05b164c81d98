//! What is known of a connection.

use std::sync::Arc;

use lapin::Connection;
use tokio::sync::watch;

use super::connector::SocketCut;
use crate::error::ConnectError;

/// What a connection is for. They are two, so that a broker that holds publishers back does not hold back
/// the acknowledgements that would relieve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionRole {
    Publisher,
    Consumer,
    /// Of one channel, which has ended a connection that others used.
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

/// A connection, and the how-manieth it is.
pub(crate) struct OpenConnection {
    pub(crate) connection: Connection,
    pub(crate) generation: u64,
    /// Why the broker takes no messages for now.
    blocked: watch::Sender<Option<String>>,
    /// Why this process ends the connection.
    given_up: watch::Sender<Option<String>>,
    /// Dropped last: what could not be closed politely is closed all the same.
    cut: SocketCut,
}

impl OpenConnection {
    pub(super) fn new(connection: Connection, generation: u64, cut: SocketCut) -> Self {
        Self {
            connection,
            generation,
            blocked: watch::Sender::new(None),
            given_up: watch::Sender::new(None),
            cut,
        }
    }

    /// Ends this connection, so that the reconnect task goes to the next node. The first reason is the one that is told.
    pub(crate) fn give_up(&self, reason: impl Into<String>) {
        self.given_up.send_if_modified(|given_up| {
            let is_first = given_up.is_none();
            given_up.get_or_insert_with(|| reason.into());
            is_first
        });
    }

    /// Waits until the connection is given up, and returns why.
    pub(super) async fn until_given_up(&self) -> String {
        // The sender is here, so this is no error.
        let _ = self.given_up.subscribe().wait_for(Option::is_some).await;
        self.given_up.borrow().clone().unwrap_or_default()
    }

    /// Shuts the socket down, whatever the other side does.
    pub(super) fn cut(&self) {
        self.cut.cut();
    }

    /// Notes why the broker takes no messages for now, or that it takes them.
    pub(super) fn set_blocked(&self, reason: Option<String>) {
        self.blocked.send_replace(reason);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.given_up.borrow().is_none() && self.connection.status().connected()
    }

    /// Why the broker takes no messages for now, if it does not.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits until the broker takes messages again, or the connection is lost.
    pub(crate) async fn unblocked(&self) {
        // The sender is here, so this is no error.
        let _ = self.blocked.subscribe().wait_for(Option::is_none).await;
    }
}

/// What the task tells those who wait for a connection.
#[derive(Clone)]
pub(super) enum ConnectionState {
    /// There is none, after this many attempts in a row; what the last one ended with.
    Down {
        failures: u32,
        error: Option<ConnectError>,
    },
    Up(Arc<OpenConnection>),
    Closed,
}
