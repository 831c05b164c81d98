//! The [`Connections`] of a broker, with what publishes and settles on them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::connection::{ConnectionHandle, ConnectionRole, IoThread};
use crate::error::ConnectError;
use crate::publish::{DelayQueues, Publisher};
use crate::settings::RabbitMqSettings;
use brighter_core::channel::BrokerStatus;

/// What all clones of a broker share, and every delivery until it is settled.
pub(crate) struct Connections {
    pub(crate) settings: Arc<RabbitMqSettings>,
    pub(crate) publishing: Arc<ConnectionHandle>,
    pub(crate) consuming: ConnectionHandle,
    pub(crate) publisher: Publisher,
    pub(crate) delays: DelayQueues,
    /// No more messages are taken to be published.
    pub(crate) closing: CancellationToken,
    /// The connections go.
    pub(crate) disconnect: CancellationToken,
    /// For what a drop has to leave to later.
    pub(crate) io: IoThread,
}

impl Connections {
    /// Starts the thread and the task that publishes. No connection is made before one is needed.
    pub(crate) fn open(settings: RabbitMqSettings) -> Result<Self, ConnectError> {
        let settings = Arc::new(settings);
        let io = IoThread::shared().map_err(|error| ConnectError::Thread(Arc::new(error)))?;
        let (closing, disconnect) = (CancellationToken::new(), CancellationToken::new());
        let connection =
            |role| ConnectionHandle::new(role, Arc::clone(&settings), io.clone(), disconnect.clone());
        let publishing = Arc::new(connection(ConnectionRole::Publisher));
        let publisher = Publisher::start(
            Arc::clone(&publishing),
            Arc::clone(&settings),
            &io,
            closing.clone(),
        );
        Ok(Self {
            consuming: connection(ConnectionRole::Consumer),
            publishing,
            publisher,
            delays: DelayQueues::default(),
            settings,
            closing,
            disconnect,
            io,
        })
    }

    /// The worse of the two connections'; one that nobody has needed yet does not count.
    pub(crate) fn status(&self) -> BrokerStatus {
        if self.closing.is_cancelled() {
            return BrokerStatus::Closed;
        }
        let handles = [&*self.publishing, &self.consuming];
        let found = handles.into_iter().filter_map(ConnectionHandle::status);
        found.max_by_key(badness).unwrap_or(BrokerStatus::Connected)
    }
}

fn badness(status: &BrokerStatus) -> u8 {
    match status {
        BrokerStatus::Connected => 0,
        BrokerStatus::Blocked { .. } => 1,
        BrokerStatus::Unconfirmed { .. } => 2,
        BrokerStatus::Disconnected { .. } => 3,
        _ => 4,
    }
}
