//! [`SendUnsent`]: sends what the first handling of a message has left in the outbox.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use brighter_core::channel::PublishError;
use brighter_core::id::MessageId;
use brighter_core::outbox::OutboxError;

/// Sends what the handling of a message has left in the outbox, where no sweeper does.
pub(crate) trait SendUnsent: Send + Sync {
    /// Sends what the handling of this message has posted and nobody has sent. What the broker refuses is in the log
    /// and stays in the outbox.
    fn send_unsent<'a>(&'a self, cause: &'a MessageId) -> BoxFuture<'a, Result<(), UnsentError>>;
}

/// Where a [`SendUnsent`] is found once the processor is built; nothing, where a sweeper sends.
pub(crate) type UnsentSlot = Arc<OnceLock<Arc<dyn SendUnsent>>>;

/// Why something is left that should come to be sent.
pub(crate) enum UnsentError {
    /// The outbox cannot be asked.
    Outbox(OutboxError),
    /// The broker is away.
    Broker(PublishError),
    /// Somebody has claimed it, and sends it or is dead: known when this time has passed.
    Claimed(Duration),
}
