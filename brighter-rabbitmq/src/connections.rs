//! [`Connections`]: the connections of a broker, with the tasks that publish and settle on them.

use std::sync::Arc;

use futures_util::future::{join_all, join3};
use tokio_util::sync::CancellationToken;

use crate::connection::{
    ConnectionChoice, ConnectionHandle, ConnectionRole, IoThread, IsolatedConnections, OpenConnection,
};
use crate::consume::{OpenQuestions, Starts};
use crate::error::ConnectError;
use crate::publish::{DelayQueues, Publisher};
use crate::settings::RabbitMqSettings;
use crate::topology::DeclareFailure;
use brighter_core::channel::{BrokerStatus, ChannelError};
use brighter_core::message::ChannelName;

/// The state that all clones of a broker, and all unsettled deliveries, share.
pub(crate) struct Connections {
    pub(crate) settings: Arc<RabbitMqSettings>,
    pub(crate) publishing: Arc<ConnectionHandle>,
    pub(crate) consuming: ConnectionHandle,
    /// Connections for channels over which the broker closed the shared one.
    pub(crate) isolated: IsolatedConnections,
    /// Tracks which channels are declaring or starting to consume.
    pub(crate) starts: Starts,
    /// The questions of consumers that hear nothing.
    pub(crate) questions: Arc<OpenQuestions>,
    pub(crate) publisher: Publisher,
    pub(crate) delays: DelayQueues,
    /// Cancelled when no more messages are accepted for publishing.
    pub(crate) closing: CancellationToken,
    /// Cancelled when the connections close.
    pub(crate) disconnect: CancellationToken,
    /// Runs work that `drop` cannot wait for.
    pub(crate) io: IoThread,
}

impl Connections {
    /// Starts the I/O thread and the publish task. A connection is opened when it is first needed.
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
            isolated: IsolatedConnections::new(Arc::clone(&settings), io.clone(), disconnect.clone()),
            starts: Starts::default(),
            questions: Arc::default(),
            publishing,
            publisher,
            delays: DelayQueues::default(),
            settings,
            closing,
            disconnect,
            io,
        })
    }

    /// Returns the channel's own connection, if the channel is isolated.
    ///
    /// # Errors
    /// Returns [`ChannelError::Unavailable`] during the pause after the broker closed the channel's own connection.
    pub(crate) fn isolated(&self, name: &ChannelName) -> Result<Option<Arc<ConnectionHandle>>, ChannelError> {
        match self.isolated.choose(name) {
            ConnectionChoice::Shared => Ok(None),
            ConnectionChoice::Isolated(handle) => Ok(Some(handle)),
            ConnectionChoice::Rests(reason) => Err(ChannelError::Unavailable { reason }),
        }
    }

    /// Records the effect of a failed request on its connection, and returns the error for the caller.
    pub(crate) fn failed(
        &self,
        name: &ChannelName,
        open: &OpenConnection,
        is_isolated: bool,
        failure: DeclareFailure,
    ) -> ChannelError {
        let closed = failure.closed_connection().is_some();
        let error = failure.at(open.address());
        match (closed, is_isolated) {
            (true, true) => self.isolated.blame(name, &error.to_string()),
            (true, false) => self.isolated.suspect(name, &error.to_string()),
            (false, _) => {}
        }
        error
    }

    /// Waits until every connection is closed, after they were told to disconnect.
    pub(crate) async fn closed(&self) {
        let isolated = self.isolated.connections();
        let isolated = join_all(isolated.iter().map(|(_, connection)| connection.closed()));
        join3(self.publishing.closed(), self.consuming.closed(), isolated).await;
    }

    /// Returns the worst status of the connections. A connection that was never needed does not count.
    pub(crate) fn status(&self) -> BrokerStatus {
        if self.closing.is_cancelled() {
            return BrokerStatus::Closed;
        }
        let handles = [&*self.publishing, &self.consuming];
        let found = handles.into_iter().filter_map(ConnectionHandle::status);
        let isolated = self.isolated.connections().into_iter();
        let isolated = isolated.filter_map(|(channel, connection)| {
            let status = connection.status()?;
            Some(match status {
                BrokerStatus::Disconnected { reason } => BrokerStatus::Disconnected {
                    reason: format!("the connection of the channel `{channel}` alone: {reason}"),
                },
                other => other,
            })
        });
        let unanswered = self.questions.unanswered_since();
        let unanswered = unanswered.map(|since| BrokerStatus::Unconfirmed { since });
        let worst = found.chain(isolated).chain(unanswered).max_by_key(badness);
        worst.unwrap_or(BrokerStatus::Connected)
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
