//! [`StartedConsumer`]: what a start gives.

use std::sync::Arc;

use crate::connection::{ConnectionHandle, OpenConnection, OwnedChannel};

/// A consumer that the broker has.
pub(super) struct StartedConsumer {
    /// Closed unless it is taken over.
    pub(super) amqp: OwnedChannel,
    pub(super) incoming: lapin::Consumer,
    pub(super) open: Arc<OpenConnection>,
    /// The connection, if it is the channel's own.
    pub(super) isolated: Option<Arc<ConnectionHandle>>,
}
