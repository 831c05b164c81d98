//! `#[transactional]`: begins a transaction for the handler, records the request in it, and commits.

mod unit_of_work;

use std::fmt;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use self::unit_of_work::Work;
pub(crate) use self::unit_of_work::{UnitOfWork, is_conflict};
use crate::duplicate::Duplicates;
use crate::handler::{Call, TransactionSlot};
use brighter_core::error::HandlerError;
use brighter_core::inbox::{Fingerprint, InboxKey, RecordedInTransaction};
use brighter_core::outbox::Outbox;
use brighter_core::request::Request;
use brighter_core::transaction::{HandlerTransaction, Recorded};

/// The layer of `#[transactional]`.
pub struct TransactionalLayer<R: Request, T: HandlerTransaction<O>, O: Outbox>(
    Arc<TransactionalSettings<R, T, O>>,
);

struct TransactionalSettings<R: Request, T: HandlerTransaction<O>, O: Outbox> {
    unit: UnitOfWork<T, O>,
    /// None if the transaction only reads, and so records nothing.
    duplicates: Option<Duplicates<R>>,
}

impl<R: Request, T: HandlerTransaction<O>, O: Outbox> TransactionalLayer<R, T, O> {
    pub(crate) fn new(unit: UnitOfWork<T, O>, duplicates: Option<Duplicates<R>>) -> Self {
        Self(Arc::new(TransactionalSettings { unit, duplicates }))
    }
}

impl<S, R: Request, T: HandlerTransaction<O>, O: Outbox> Layer<S> for TransactionalLayer<R, T, O> {
    type Service = TransactionalService<S, R, T, O>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = Arc::clone(&self.0);
        TransactionalService { inner, settings }
    }
}

/// The service of [`TransactionalLayer`].
pub struct TransactionalService<S, R: Request, T: HandlerTransaction<O>, O: Outbox> {
    inner: S,
    settings: Arc<TransactionalSettings<R, T, O>>,
}

impl<S: Clone, R: Request, T: HandlerTransaction<O>, O: Outbox> Clone for TransactionalService<S, R, T, O> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S, R, T, O> Service<Call<R>> for TransactionalService<S, R, T, O>
where
    S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
    R: Request,
    T: HandlerTransaction<O>,
    O: Outbox,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = BoxFuture<'static, Result<R::Reply, HandlerError>>;

    /// Always: whether the inner service is ready is asked in the transaction.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let (settings, inner) = (Arc::clone(&self.settings), self.inner.clone());
        Box::pin(async move { settings.handle(inner, call).await })
    }
}

/// The result of a request in a transaction.
enum Handled<T> {
    Now(T),
    Before,
}

impl<R: Request, T: HandlerTransaction<O>, O: Outbox> TransactionalSettings<R, T, O> {
    async fn handle<S>(&self, inner: S, call: Call<R>) -> Result<R::Reply, HandlerError>
    where
        S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone + Send + 'static,
        S::Future: Send,
    {
        let key = self.key(&call);
        let fingerprint = call.context().get::<Fingerprint>().map(|found| *found);
        if let Some(key) = &key {
            call.context().insert_arc(Arc::clone(key));
        }
        call.context().insert(RecordedInTransaction);
        let keys: Vec<_> = key.iter().map(|key| (&**key, fingerprint)).collect();
        let (duplicates, id) = (self.duplicates.as_ref(), key.as_ref().map(|key| &key.id));
        let again = call.clone();
        let work = move |slot: Arc<TransactionSlot>, recorded: Vec<Recorded>| {
            let (inner, call) = (inner.clone(), again.clone());
            async move {
                // Without a key, nothing was recorded.
                let (Some(duplicates), Some(id), Some(recorded)) = (duplicates, id, recorded.first()) else {
                    return run(inner, call, slot).await;
                };
                match *recorded {
                    Recorded::New => run(inner, call, slot).await,
                    Recorded::Done(_) => Ok(Work::Nothing(Handled::Before)),
                    Recorded::Running { left } => Err(duplicates.in_progress(id, left)),
                    Recorded::Collision => Err(duplicates.collision(id)),
                    other => {
                        let reason = format!(
                            "the inbox answered {other:?}, which this version does not know: update brighter"
                        );
                        Err(HandlerError::Inbox(reason.into()))
                    }
                }
            }
        };
        match self.unit.run(&keys, work).await? {
            Handled::Now(reply) => Ok(reply),
            Handled::Before => match (duplicates, &key) {
                // After the transaction: it may be the one that may write.
                (Some(duplicates), Some(key)) => duplicates.answer(key, call.context()).await,
                _ => Err(HandlerError::Inbox("a request without a key is recorded".into())),
            },
        }
    }

    /// The key of the request in the inbox, if it can be recognised, and is to be.
    fn key(&self, call: &Call<R>) -> Option<Arc<InboxKey>> {
        let duplicates = self.duplicates.as_ref()?;
        let Some(id) = call.id() else {
            duplicates.warn_of_no_id();
            return None;
        };
        Some(Arc::new(InboxKey::new(
            id.clone(),
            Arc::clone(duplicates.context()),
        )))
    }
}

async fn run<S, R>(
    inner: S,
    call: Call<R>,
    slot: Arc<TransactionSlot>,
) -> Result<Work<Handled<S::Response>>, HandlerError>
where
    S: Service<Call<R>, Error = HandlerError>,
{
    call.context().insert_arc(slot);
    Ok(Work::Commit(Handled::Now(inner.oneshot(call).await?)))
}

impl<R: Request, T: HandlerTransaction<O>, O: Outbox> fmt::Debug for TransactionalLayer<R, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalLayer")
            .field("context", &self.0.duplicates.as_ref().map(Duplicates::context))
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, R: Request, T: HandlerTransaction<O>, O: Outbox> fmt::Debug
    for TransactionalService<S, R, T, O>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
