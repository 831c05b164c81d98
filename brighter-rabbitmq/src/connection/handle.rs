//! [`ConnectionHandle`]: a connection that a task opens, watches, and opens again.
//!
//! A caller that needs the connection calls [`ConnectionHandle::current`]. There is only one task, so the number of
//! attempts does not depend on the number of callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::confirm_watch::ConfirmWatch;
use super::io_thread::IoThread;
use super::owned_channel::OwnedChannel;
use super::reconnect_task::ReconnectTask;
use super::state::{ConnectionRole, ConnectionState, OpenConnection};
use crate::error::ConnectError;
use crate::settings::RabbitMqSettings;
use brighter_core::__private::report;
use brighter_core::channel::BrokerStatus;
use brighter_core::message::ChannelName;

/// A connection that is kept open, from its first use until `stop`.
pub(crate) struct ConnectionHandle {
    settings: Arc<RabbitMqSettings>,
    io: IoThread,
    state: watch::Receiver<ConnectionState>,
    confirms: Arc<ConfirmWatch>,
    /// The reconnect task, until it is started.
    task: Mutex<Option<ReconnectTask>>,
    /// The span of the log lines of the task.
    span: Span,
}

/// The longest time that a caller waits for a connection that is being opened.
const PATIENCE: Duration = Duration::from_secs(5);

impl ConnectionHandle {
    pub(crate) fn new(
        role: ConnectionRole,
        settings: Arc<RabbitMqSettings>,
        io: IoThread,
        stop: CancellationToken,
    ) -> Self {
        let confirms = Arc::new(ConfirmWatch::new());
        let task = ReconnectTask::new(
            role,
            Arc::clone(&settings),
            io.clone(),
            stop,
            Arc::clone(&confirms),
        );
        let (task, state) = task;
        Self {
            settings,
            io,
            state,
            confirms,
            task: Mutex::new(Some(task)),
            span: Span::none(),
        }
    }

    /// Adds the name of the connection's only channel to its log lines.
    pub(super) fn named(self, channel: &ChannelName) -> Self {
        let span = tracing::info_span!("connection", %channel);
        Self { span, ..self }
    }

    /// Opens an AMQP channel that is closed when it is dropped.
    pub(crate) async fn open_channel(&self, open: &OpenConnection) -> lapin::Result<OwnedChannel> {
        open.open_channel(self.io.clone()).await
    }

    /// Returns the connection. If there is none, waits for the current attempt to open it, and no longer.
    pub(crate) async fn current(&self) -> Result<Arc<OpenConnection>, ConnectError> {
        self.up(0, Some(PATIENCE), |_, is_new| is_new).await
    }

    /// Returns the connection after `lost`, which has ended even if its status does not show that yet. Waits no longer
    /// than [`current`](Self::current).
    pub(crate) async fn after(&self, lost: &OpenConnection) -> Result<Arc<OpenConnection>, ConnectError> {
        self.up(lost.generation, Some(PATIENCE), |_, is_new| is_new).await
    }

    /// Waits for a connection, until `limit` or without one. Returns early if waiting cannot succeed.
    pub(crate) async fn established(
        &self,
        limit: Option<Duration>,
    ) -> Result<Arc<OpenConnection>, ConnectError> {
        self.up(0, limit, |error, _| error.is_fatal()).await
    }

    /// Waits for a connection newer than a generation, until `limit`, or until `is_end` accepts the error of an
    /// attempt. `is_end` also gets whether the attempt ended after the waiting had begun.
    async fn up(
        &self,
        newer_than: u64,
        limit: Option<Duration>,
        is_end: impl Fn(&ConnectError, bool) -> bool,
    ) -> Result<Arc<OpenConnection>, ConnectError> {
        self.start();
        let mut state = self.state.clone();
        let mut last = None;
        let up = async {
            let mut failed_before = None;
            loop {
                match &*state.borrow_and_update() {
                    ConnectionState::Up(open) if open.is_alive() && open.generation > newer_than => {
                        return Ok(Arc::clone(open));
                    }
                    // The connection is lost, and the task is about to notice.
                    ConnectionState::Up(_) => failed_before = None,
                    ConnectionState::Down { failures, error } => {
                        let before = *failed_before.get_or_insert(*failures);
                        match error {
                            Some(error) if is_end(error, *failures > before) => return Err(error.clone()),
                            other => last.clone_from(other),
                        }
                    }
                    ConnectionState::Closed => return Err(ConnectError::Closed),
                }
                if state.changed().await.is_err() {
                    return Err(ConnectError::Closed);
                }
            }
        };
        let Some(limit) = limit else {
            return up.await;
        };
        match timeout(limit, up).await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or_else(|| ConnectError::silent(&self.settings.address, limit))),
        }
    }

    /// Returns the current status of the connection; `None` if it was never needed.
    pub(crate) fn status(&self) -> Option<BrokerStatus> {
        let disconnected = |error: Option<&ConnectError>| BrokerStatus::Disconnected {
            reason: error.map_or_else(|| "not connected yet".into(), |error| report(error)),
        };
        match &*self.state.borrow() {
            ConnectionState::Closed => Some(BrokerStatus::Closed),
            ConnectionState::Up(open) if !open.is_alive() => Some(disconnected(None)),
            ConnectionState::Up(open) => Some(match (open.blocked(), self.confirms.unconfirmed_since()) {
                (Some(reason), _) => BrokerStatus::Blocked { reason },
                (None, Some(since)) => BrokerStatus::Unconfirmed { since },
                (None, None) => BrokerStatus::Connected,
            }),
            ConnectionState::Down { .. } if self.is_idle() => None,
            ConnectionState::Down { error, .. } => Some(disconnected(error.as_ref())),
        }
    }

    /// Returns the watch over the confirms of this connection and of those after it.
    pub(crate) fn confirms(&self) -> &Arc<ConfirmWatch> {
        &self.confirms
    }

    /// Ends a connection on which the broker does not answer a publisher, so that the next node is tried.
    pub(crate) fn give_up(&self, open: &OpenConnection, reason: String) {
        self.confirms.give_up();
        open.give_up(reason);
    }

    /// Returns the connection if the broker blocks publishing on it.
    pub(crate) fn blocked(&self) -> Option<Arc<OpenConnection>> {
        match &*self.state.borrow() {
            ConnectionState::Up(open) if open.is_blocked() => Some(Arc::clone(open)),
            ConnectionState::Up(_) | ConnectionState::Down { .. } | ConnectionState::Closed => None,
        }
    }

    /// Waits until the connection is closed, after `stop`.
    pub(crate) async fn closed(&self) {
        // A connection that was never needed has nothing to close.
        drop(self.take_task());
        let mut state = self.state.clone();
        // An error means that the task has ended, which is equivalent.
        let _ = state
            .wait_for(|state| matches!(state, ConnectionState::Closed))
            .await;
    }

    /// Starts to connect, unless that has been done.
    pub(crate) fn start(&self) {
        if let Some(task) = self.take_task() {
            self.io.spawn(task.run().instrument(self.span.clone()));
        }
    }

    fn take_task(&self) -> Option<ReconnectTask> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_idle(&self) -> bool {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}
