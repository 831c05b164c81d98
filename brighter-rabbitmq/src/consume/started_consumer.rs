//! [`StartedConsumer`]: the result of a start.

use std::sync::Arc;

use crate::connection::{ConnectionHandle, OpenConnection, OwnedChannel};

/// A consumer that the broker has registered.
pub(super) struct StartedConsumer {
    /// Closed when dropped, unless another owner takes it.
    pub(super) amqp: OwnedChannel,
    pub(super) incoming: lapin::Consumer,
    pub(super) open: Arc<OpenConnection>,
    /// The connection, if it is the channel's own.
    pub(super) isolated: Option<Arc<ConnectionHandle>>,
}
