//! `#[use_inbox]`: handles a request once, however often it comes.

mod claim_guard;
mod lease;
mod unsent;

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use self::claim_guard::ClaimGuard;
pub(crate) use self::lease::{ClaimedElsewhere, HandlingLimit};
pub(crate) use self::unsent::{SendUnsent, UnsentError, UnsentSlot};
use crate::handler::Call;
use crate::telemetry::{WarningLimit, id_beside_span};
use brighter_core::__private::Repeated;
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, Fingerprint, Handling, Inbox, InboxKey};
use brighter_core::outbox::{Outbox, OutboxError};
use brighter_core::request::Request;

/// How long the delivery of a request waits at most while another delivery of it is being handled.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A reply for a duplicate, whose request was handled the first time.
#[diagnostic::on_unimplemented(
    message = "`#[use_inbox]` has no reply to give to a duplicate: `{Self}` has no default",
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

/// What a [`UseInboxLayer`] does with a duplicate.
pub(crate) enum OnDuplicate<R: Request> {
    /// Fails.
    Reject,
    /// Drops it, with a note in the log.
    Warn(fn() -> R::Reply),
    /// Sends again what handling the message posted, by whichever handler.
    Replay(fn() -> R::Reply, Arc<dyn Outbox>),
}

/// The layer of `#[use_inbox]`.
pub struct UseInboxLayer<R: Request>(Arc<UseInboxSettings<R>>);

struct UseInboxSettings<R: Request> {
    inbox: Arc<dyn Inbox>,
    context: Arc<str>,
    lease: Duration,
    on_duplicate: OnDuplicate<R>,
    unsent: UnsentSlot,
    claimed: Arc<ClaimedElsewhere>,
    /// Whether it was said that requests come without an id.
    warned: AtomicBool,
    /// How often it is said that duplicates are dropped.
    dropped: WarningLimit<()>,
}

impl<R: Request> UseInboxLayer<R> {
    pub(crate) fn new(
        inbox: Arc<dyn Inbox>,
        context: &str,
        lease: Duration,
        on_duplicate: OnDuplicate<R>,
        unsent: UnsentSlot,
        claimed: Arc<ClaimedElsewhere>,
    ) -> Self {
        Self(Arc::new(UseInboxSettings {
            inbox,
            context: context.into(),
            lease,
            on_duplicate,
            unsent,
            claimed,
            warned: AtomicBool::new(false),
            dropped: WarningLimit::default(),
        }))
    }
}

impl<S, R: Request> Layer<S> for UseInboxLayer<R> {
    type Service = UseInboxService<S, R>;

    fn layer(&self, inner: S) -> UseInboxService<S, R> {
        let settings = Arc::clone(&self.0);
        UseInboxService { inner, settings }
    }
}

/// The service of [`UseInboxLayer`].
pub struct UseInboxService<S, R: Request> {
    inner: S,
    settings: Arc<UseInboxSettings<R>>,
}

impl<S: Clone, R: Request> Clone for UseInboxService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S, R> Service<Call<R>> for UseInboxService<S, R>
where
    S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
    R: Request,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = BoxFuture<'static, Result<R::Reply, HandlerError>>;

    /// Always: whether the inner service is ready is asked when the request turns out to be the first.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let (settings, inner) = (Arc::clone(&self.settings), self.inner.clone());
        Box::pin(async move { settings.once(inner, call).await })
    }
}

impl<R: Request> UseInboxSettings<R> {
    async fn once<S>(&self, inner: S, call: Call<R>) -> Result<R::Reply, HandlerError>
    where
        S: Service<Call<R>, Response = R::Reply, Error = HandlerError>,
    {
        let Some(id) = call.id() else {
            self.warn_of_no_id();
            return inner.oneshot(call).await;
        };
        let key = Arc::new(InboxKey::new(id.clone(), Arc::clone(&self.context)));
        let fingerprint = call.context().get::<Fingerprint>().map(|found| *found);
        brighter_core::__private::fault_point!("inbox.claim", HandlerError::Inbox);
        let lease = lease::lease(self.lease, call.context());
        let begun = self.inbox.begin(&key, fingerprint, lease).await;
        let begun = begun.map_err(|error| HandlerError::Inbox(error.into()))?;
        match &begun {
            Begun::Running { left } => self.claimed.note(&key, *left),
            _ => self.claimed.forget(&key),
        }
        match begun {
            Begun::First(claim) => {
                brighter_core::__private::fault_point!("inbox.claimed");
                let handling = Handling::new(Arc::clone(&self.inbox), Arc::clone(&key), claim);
                let handling = Arc::new(handling);
                call.context().insert_arc(Arc::clone(&key));
                call.context().insert_arc(Arc::clone(&handling));
                let held = ClaimGuard::new(Arc::clone(&self.inbox), key, claim);
                let result = AssertUnwindSafe(inner.oneshot(call)).catch_unwind().await;
                match &result {
                    // Committed with the effect.
                    Ok(Ok(_)) if handling.is_completed() => held.forget(),
                    Ok(Ok(_)) => held.complete().await,
                    // Before the panic goes on, so that who tries again does not find it running.
                    Ok(Err(_)) | Err(_) => held.abandon().await,
                }
                result.unwrap_or_else(|panic| resume_unwind(panic))
            }
            Begun::Running { left } => Err(HandlerError::InProgress {
                id: key.id.clone(),
                context: self.context.to_string(),
                retry_delay: whole_seconds(left).min(LONGEST_WAIT),
            }),
            Begun::Done => self.duplicate(&key, call.context()).await,
            Begun::Collision => Err(HandlerError::Collision {
                id: key.id.clone(),
                context: self.context.to_string(),
            }),
            other => {
                let reason = format!(
                    "the inbox answered {other:?}, which this version does not know: update brighter"
                );
                Err(HandlerError::Inbox(reason.into()))
            }
        }
    }

    async fn duplicate(&self, key: &InboxKey, cx: &Context) -> Result<R::Reply, HandlerError> {
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
            UnsentError::Claimed(left) => HandlerError::InProgress {
                id: id.clone(),
                context: self.context.to_string(),
                retry_delay: whole_seconds(left).min(LONGEST_WAIT),
            },
        })
    }

    fn warn_of_no_id(&self) {
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

impl<R: Request> fmt::Debug for UseInboxLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseInboxLayer")
            .field("context", &self.0.context)
            .field("lease", &self.0.lease)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, R: Request> fmt::Debug for UseInboxService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseInboxService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
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
