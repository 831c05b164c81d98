//! `#[use_inbox]`: handles a request once, however often it comes.

mod claim_guard;
mod lease;

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
use crate::duplicate::{Duplicates, OnDuplicate, UnsentSlot};
use crate::handler::Call;
use brighter_core::error::HandlerError;
use brighter_core::inbox::{Begun, Fingerprint, Handling, Inbox, InboxKey};
use brighter_core::request::Request;

/// The layer of `#[use_inbox]`.
pub struct UseInboxLayer<R: Request>(Arc<UseInboxSettings<R>>);

struct UseInboxSettings<R: Request> {
    inbox: Arc<dyn Inbox>,
    duplicates: Duplicates<R>,
    lease: Duration,
    claimed: Arc<ClaimedElsewhere>,
    /// Whether it was said that the handler completes its requests outside of a transaction.
    told: AtomicBool,
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
            duplicates: Duplicates::new(context, on_duplicate, unsent),
            lease,
            claimed,
            told: AtomicBool::new(false),
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
            self.duplicates.warn_of_no_id();
            return inner.oneshot(call).await;
        };
        let key = Arc::new(InboxKey::new(id.clone(), Arc::clone(self.duplicates.context())));
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
                    Ok(Ok(_)) => {
                        self.tell_of_no_transaction();
                        held.complete().await;
                    }
                    // Before the panic goes on, so that who tries again does not find it running.
                    Ok(Err(_)) | Err(_) => held.abandon().await,
                }
                result.unwrap_or_else(|panic| resume_unwind(panic))
            }
            Begun::Running { left } => Err(self.duplicates.in_progress(&key.id, left)),
            Begun::Done => self.duplicates.answer(&key, call.context()).await,
            Begun::Collision => Err(self.duplicates.collision(&key.id)),
            other => {
                let reason = format!(
                    "the inbox answered {other:?}, which this version does not know: update brighter"
                );
                Err(HandlerError::Inbox(reason.into()))
            }
        }
    }

    /// Logs once that an effect may happen twice, where one attribute would make it happen once.
    fn tell_of_no_transaction(&self) {
        if self.inbox.has_transactions() && !self.told.swap(true, Ordering::Relaxed) {
            let context = &**self.duplicates.context();
            tracing::debug!(
                context,
                "the handler ended without `complete_in`, so its effect and the key of the request are not committed together; `#[transactional]` does that"
            );
        }
    }
}

impl<R: Request> fmt::Debug for UseInboxLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseInboxLayer")
            .field("context", self.0.duplicates.context())
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
