//! How a processor without a sweeper sends what a first handling has left in the outbox.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Relay;
use crate::duplicate::{SendUnsent, UnsentError};
use brighter_core::__private::report;
use brighter_core::id::MessageId;
use brighter_core::outbox::OutboxError;

/// How many messages of one cause are sent at once.
const AT_ONCE: usize = 1_000;

impl SendUnsent for Relay {
    fn send_unsent<'a>(&'a self, cause: &'a MessageId) -> BoxFuture<'a, Result<(), UnsentError>> {
        self.send_all_of(cause).boxed()
    }
}

impl Relay {
    /// Sends what the handling of this message has posted and nobody has sent, until nothing is left but what the
    /// broker refuses.
    async fn send_all_of(&self, cause: &MessageId) -> Result<(), UnsentError> {
        let mut sent = 0;
        loop {
            let unsent = match self.outstanding_of(cause).await {
                Ok(unsent) if unsent.is_empty() => break,
                Ok(unsent) => unsent,
                Err(OutboxError::Unsupported(what)) => {
                    tracing::warn!(
                        %cause, what,
                        "what the first handling of a duplicate has left in the outbox cannot be found; no sweeper runs \
                         in this process, so have another process sweep the outbox"
                    );
                    break;
                }
                Err(error) => return Err(UnsentError::Outbox(error)),
            };
            let went = self.clear(&unsent).await.map_err(UnsentError::Outbox)?;
            sent += went.done.len();
            if let Some((_, error)) = went.outages.into_iter().next() {
                return Err(UnsentError::Broker(error));
            }
            if !went.done.is_empty() {
                continue;
            }
            let refused = went.refused;
            if refused.len() < unsent.len() {
                // Not ours to send, unless it was sent meanwhile.
                let is_refused = |id: &MessageId| refused.iter().any(|(refused, _)| refused == id);
                let left = self.outstanding_of(cause).await.map_err(UnsentError::Outbox)?;
                if !left.iter().all(is_refused) {
                    return Err(UnsentError::Claimed(self.settings.lease));
                }
            }
            if let Some((_, error)) = refused.first() {
                tracing::warn!(
                    %cause, messages = refused.len(), error = report(error),
                    "the broker refuses what the first handling of a duplicate has left in the outbox; no sweeper runs \
                     in this process, so mend the cause and send it by `clear_outbox`, or have another process sweep \
                     the outbox"
                );
            }
            break;
        }
        if sent > 0 {
            tracing::info!(%cause, sent, "sent messages that the first handling of a duplicate left in the outbox");
        }
        Ok(())
    }

    async fn outstanding_of(&self, cause: &MessageId) -> Result<Vec<MessageId>, OutboxError> {
        self.inspection()?.outstanding_of(cause, AT_ONCE).await
    }
}
