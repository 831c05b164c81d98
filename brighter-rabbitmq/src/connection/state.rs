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
}

impl ConnectionRole {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
        }
    }
}

/// A connection, and the how-manieth it is.
pub(crate) struct OpenConnection {
    pub(crate) connection: Connection,
    pub(crate) generation: u64,
    /// Why the broker takes no messages for now.
    blocked: watch::Sender<Option<String>>,
    /// Dropped last: what could not be closed politely is closed all the same.
    _cut: SocketCut,
}

impl OpenConnection {
    pub(super) fn new(connection: Connection, generation: u64, cut: SocketCut) -> Self {
        Self {
            connection,
            generation,
            blocked: watch::Sender::new(None),
            _cut: cut,
        }
    }

    /// Notes why the broker takes no messages for now, or that it takes them.
    pub(super) fn set_blocked(&self, reason: Option<String>) {
        self.blocked.send_replace(reason);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.connection.status().connected()
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
