//! What becomes of a duplicate: a request that was handled before.

mod unsent;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use unsent::{SendUnsent, UnsentError, UnsentSlot};

use crate::telemetry::{WarningLimit, id_beside_span};
use brighter_core::__private::Repeated;
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::id::MessageId;
use brighter_core::inbox::InboxKey;
use brighter_core::outbox::{Outbox, OutboxError};
use brighter_core::request::Request;

/// How long the delivery of a request waits at most while another delivery of it is being handled.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A reply for a duplicate, whose request was handled the first time.
#[diagnostic::on_unimplemented(
    message = "there is no reply to give to a duplicate: `{Self}` has no default",
    label = "its reply is `{Self}`, which has no `Default`",
    note = "write `#[derive(Default)]` above `{Self}`, or `on_duplicate = reject` in the attribute"
)]
pub trait DuplicateReply {
    /// The reply.
    fn duplicate_reply() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DuplicateReply for T {
    fn duplicate_reply() -> Self {
        T::default()
    }
}

/// The treatment of a duplicate.
pub(crate) enum OnDuplicate<R: Request> {
    /// Fails.
    Reject,
    /// Drops it, with a note in the log.
    Warn(fn() -> R::Reply),
    /// Sends again what handling the message posted, by whichever handler.
    Replay(fn() -> R::Reply, Arc<dyn Outbox>),
}

/// The requests of one handler, as an inbox knows them, and what is done with their duplicates.
pub(crate) struct Duplicates<R: Request> {
    context: Arc<str>,
    on_duplicate: OnDuplicate<R>,
    unsent: UnsentSlot,
    /// Whether it was said that requests come without an id.
    warned: AtomicBool,
    /// How often it is said that duplicates are dropped.
    dropped: WarningLimit<()>,
}

impl<R: Request> Duplicates<R> {
    pub(crate) fn new(context: &str, on_duplicate: OnDuplicate<R>, unsent: UnsentSlot) -> Self {
        Self {
            context: context.into(),
            on_duplicate,
            unsent,
            warned: AtomicBool::new(false),
            dropped: WarningLimit::default(),
        }
    }

    /// The name of the handler in the inbox.
    pub(crate) fn context(&self) -> &Arc<str> {
        &self.context
    }

    /// Answers a request that was handled before.
    pub(crate) async fn answer(&self, key: &InboxKey, cx: &Context) -> Result<R::Reply, HandlerError> {
        let (id, context) = (&key.id, &*self.context);
        if let Some(repeated) = cx.get::<Repeated>() {
            repeated.note();
        }
        // What the handling posted has the id of the message as its cause, if there was a message.
        let cause = cx.message_id().unwrap_or(id);
        match &self.on_duplicate {
            OnDuplicate::Reject => {
                self.send_unsent(cause, id).await?;
                Err(HandlerError::Duplicate {
                    id: id.clone(),
                    context: context.to_owned(),
                })
            }
            OnDuplicate::Warn(reply) => {
                self.send_unsent(cause, id).await?;
                let request_id = id_beside_span(Some(id), cx).map(tracing::field::display);
                match self.dropped.count(()) {
                    Some(1) => tracing::warn!(
                        request_id,
                        context,
                        "duplicate dropped; the request was handled before"
                    ),
                    Some(count) => tracing::warn!(
                        request_id,
                        context,
                        count,
                        "duplicates dropped; the requests were handled before"
                    ),
                    None => tracing::debug!(
                        request_id,
                        context,
                        "duplicate dropped; the request was handled before"
                    ),
                }
                Ok(reply())
            }
            OnDuplicate::Replay(reply, outbox) => {
                let replayed = match outbox.resending() {
                    Some(resending) => resending.replay(cause).await,
                    None => Err(OutboxError::Unsupported("sending dispatched messages again")),
                };
                let again = replayed.map_err(|error| HandlerError::Inbox(error.into()))?;
                self.send_unsent(cause, id).await?;
                let request_id = id_beside_span(Some(id), cx).map(tracing::field::display);
                tracing::info!(
                    request_id,
                    context,
                    again,
                    "duplicate; sending again what its first handling posted"
                );
                Ok(reply())
            }
        }
    }

    /// Where no sweeper of this process does, sends what the first handling has left in the outbox: once the duplicate
    /// is acked, nothing else would.
    async fn send_unsent(&self, cause: &MessageId, id: &MessageId) -> Result<(), HandlerError> {
        let Some(unsent) = self.unsent.get() else {
            return Ok(());
        };
        unsent.send_unsent(cause).await.map_err(|error| match error {
            UnsentError::Outbox(error) => HandlerError::Inbox(error.into()),
            UnsentError::Broker(error) => HandlerError::Inbox(error.into()),
            UnsentError::Claimed(left) => self.in_progress(id, left),
        })
    }

    /// The error for a request that another delivery of it is handling, for this much longer at most.
    pub(crate) fn in_progress(&self, id: &MessageId, left: Duration) -> HandlerError {
        HandlerError::InProgress {
            id: id.clone(),
            context: self.context.to_string(),
            retry_delay: whole_seconds(left).min(LONGEST_WAIT),
        }
    }

    /// The error for another request with a known id.
    pub(crate) fn collision(&self, id: &MessageId) -> HandlerError {
        HandlerError::Collision {
            id: id.clone(),
            context: self.context.to_string(),
        }
    }

    /// Logs once that requests come without an id.
    pub(crate) fn warn_of_no_id(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let (context, request) = (&*self.context, std::any::type_name::<R>());
            tracing::warn!(
                context,
                request,
                "requests come without an id, so their duplicates are not recognised; give it a field `id: MessageId`"
            );
        }
    }
}

/// Rounded up, as a broker may need a queue for each length of delay.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_and_whole_ones_stay() {
        let seconds = Duration::from_secs;
        assert_eq!(whole_seconds(seconds(7)), seconds(7));
        assert_eq!(whole_seconds(seconds(7) + Duration::from_nanos(1)), seconds(8));
        assert_eq!(whole_seconds(Duration::MAX), seconds(u64::MAX));
    }
}
