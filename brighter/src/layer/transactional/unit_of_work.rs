//! [`UnitOfWork`]: begins a transaction, records keys, runs what is to be done in it, and commits; and does so again where
//! that may help.

use std::any::{Any, type_name};
use std::error::Error;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use uuid::Uuid;

use crate::handler::TransactionSlot;
use brighter_core::__private::fault_point;
use brighter_core::error::{BoxError, HandlerError};
use brighter_core::inbox::{ClaimId, Fingerprint, Inbox, InboxError, InboxKey};
use brighter_core::outbox::Outbox;
use brighter_core::transaction::{
    HandlerTransaction, Recorded, TransactionError, TransactionGuard, TransactionOptions,
};

/// The number of attempts while other transactions are in the way, or an outcome is unknown; and the first pause between
/// them, which doubles.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// A transaction with the keys of the requests that are handled in it: one, or all of a batch.
pub(crate) struct UnitOfWork<T: HandlerTransaction<O>, O: Outbox> {
    /// None where no processor is built.
    pool: Option<T::Pool>,
    options: TransactionOptions,
    /// None if nothing is recorded.
    inbox: Option<Arc<dyn Inbox>>,
    has_attempts: bool,
    outbox: PhantomData<fn() -> O>,
}

/// The end of a transaction in which nothing has failed.
pub(super) enum Work<X> {
    Commit(X),
    /// Nothing was done, so it is rolled back.
    Nothing(X),
}

/// Why an attempt failed.
enum AttemptFailure {
    Final(HandlerError),
    /// Another attempt may succeed.
    Again(HandlerError),
}

/// An open transaction. When this is dropped it is rolled back, whichever owner drops it.
struct OpenTransaction {
    slot: Arc<TransactionSlot>,
    _guard: TransactionGuard,
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        self.slot.close();
    }
}

impl<T: HandlerTransaction<O>, O: Outbox> UnitOfWork<T, O> {
    pub(crate) fn new(
        pool: Option<T::Pool>,
        options: TransactionOptions,
        inbox: Option<Arc<dyn Inbox>>,
        has_attempts: bool,
    ) -> Self {
        Self {
            pool,
            options,
            inbox,
            has_attempts,
            outbox: PhantomData,
        }
    }

    /// Does the work in a transaction in which these keys are recorded. Does all of it again if another transaction was in
    /// the way. If the outcome of the commit is unknown, the keys tell whether the work is to be done again.
    pub(super) async fn run<X, W, F>(
        &self,
        keys: &[(&InboxKey, Option<Fingerprint>)],
        mut work: W,
    ) -> Result<X, HandlerError>
    where
        X: Send,
        W: FnMut(Arc<TransactionSlot>, Vec<Recorded>) -> F,
        F: Future<Output = Result<Work<X>, HandlerError>>,
    {
        // The lower half of such a UUID is random.
        let claim = ClaimId::new((Uuid::now_v7().as_u128() as u64) >> 1);
        // The result of a commit whose outcome is unknown.
        let mut unknown = None;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let failure = match self.attempt(keys, claim, &mut unknown, &mut work).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let error = match failure {
                AttemptFailure::Again(error) if attempt < ATTEMPTS => error,
                AttemptFailure::Final(error) | AttemptFailure::Again(error) => return Err(error),
            };
            let request_id = keys.first().map(|(key, _)| tracing::field::display(&key.id));
            tracing::debug!(
                request_id,
                attempt,
                error = error.report(),
                "running the transaction again"
            );
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        // The attempts are counted above.
        Err(HandlerError::Transaction("no attempt was made".into()))
    }

    async fn attempt<X, W, F>(
        &self,
        keys: &[(&InboxKey, Option<Fingerprint>)],
        claim: ClaimId,
        unknown: &mut Option<X>,
        work: &mut W,
    ) -> Result<X, AttemptFailure>
    where
        X: Send,
        W: FnMut(Arc<TransactionSlot>, Vec<Recorded>) -> F,
        F: Future<Output = Result<Work<X>, HandlerError>>,
    {
        let is_unknown = unknown.is_some();
        // While the outcome is unknown, it is asked for again whatever the error is.
        let asking = |error: HandlerError| match is_unknown {
            true => AttemptFailure::Again(HandlerError::Transaction(
                TransactionError::Unknown(error.into()).into(),
            )),
            false => classify::<T, O>(error),
        };
        let open = self.begin().await.map_err(asking)?;
        let recorded = match self.record(&open.slot, keys, claim).await {
            Ok(recorded) => recorded,
            Err(error) => {
                roll_back::<T, O>(&open.slot).await;
                return Err(asking(error));
            }
        };
        if let Some(done) = unknown.take()
            && recorded
                .iter()
                .any(|found| matches!(found, Recorded::Done(by) if *by == claim))
        {
            roll_back::<T, O>(&open.slot).await;
            return Ok(done);
        }
        let slot = Arc::clone(&open.slot);
        let result = AssertUnwindSafe(work(slot, recorded)).catch_unwind().await;
        let done = match result {
            Ok(Ok(Work::Commit(done))) => done,
            Ok(Ok(Work::Nothing(done))) => {
                roll_back::<T, O>(&open.slot).await;
                return Ok(done);
            }
            Ok(Err(error)) => {
                roll_back::<T, O>(&open.slot).await;
                return Err(match open.slot.take_conflict() {
                    Some(conflict) => AttemptFailure::Again(conflict),
                    None => classify::<T, O>(error),
                });
            }
            Err(panic) => {
                roll_back::<T, O>(&open.slot).await;
                resume_unwind(panic)
            }
        };
        let key = keys.first().map(|(key, _)| *key);
        if let Err(error) = self.prepare(&open.slot, key, claim).await {
            roll_back::<T, O>(&open.slot).await;
            return Err(classify::<T, O>(HandlerError::Failed(error)));
        }
        match commit::<T, O>(&open.slot).await {
            Ok(()) => Ok(done),
            Err(error @ TransactionError::Conflict(_)) => {
                Err(AttemptFailure::Again(HandlerError::Failed(error.into())))
            }
            Err(error @ TransactionError::Unknown(_)) => {
                let error = HandlerError::Transaction(error.into());
                // Without a key nobody can tell.
                if keys.is_empty() {
                    return Err(AttemptFailure::Final(error));
                }
                *unknown = Some(done);
                Err(AttemptFailure::Again(error))
            }
            Err(error) => Err(AttemptFailure::Final(HandlerError::Failed(error.into()))),
        }
    }

    async fn begin(&self) -> Result<OpenTransaction, HandlerError> {
        fault_point!("transaction.begin", HandlerError::Transaction);
        let pool = self.pool.as_ref();
        let pool = pool.ok_or_else(|| HandlerError::Transaction("there is no pool of connections".into()))?;
        let begun = T::begin(pool, &self.options).await;
        let (transaction, guard) = begun.map_err(|error| HandlerError::Transaction(error.into()))?;
        Ok(OpenTransaction {
            slot: TransactionSlot::new(transaction, self.has_attempts),
            _guard: guard,
        })
    }

    async fn record(
        &self,
        slot: &Arc<TransactionSlot>,
        keys: &[(&InboxKey, Option<Fingerprint>)],
        claim: ClaimId,
    ) -> Result<Vec<Recorded>, HandlerError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        fault_point!("transaction.record", HandlerError::Inbox);
        let mut borrowed = slot.borrow().ok_or_else(lost)?;
        let transaction = borrowed.get::<T>().ok_or_else(lost)?;
        let recorded = transaction.record(self.inbox()?, keys, claim).await;
        fault_point!("transaction.recorded");
        recorded.map_err(|error| HandlerError::Inbox(error.into()))
    }

    /// Undoes what a failed attempt did, and makes sure that the commit will be one.
    async fn prepare(
        &self,
        slot: &Arc<TransactionSlot>,
        key: Option<&InboxKey>,
        claim: ClaimId,
    ) -> Result<(), BoxError> {
        let mut borrowed = slot.borrow().ok_or_else(lost)?;
        let transaction = borrowed.get::<T>().ok_or_else(lost)?;
        if slot.must_undo() {
            transaction.undo().await?;
        }
        let Some(key) = key else { return Ok(()) };
        if transaction.holds(self.inbox()?, key, claim).await? {
            return Ok(());
        }
        Err(TransactionError::RolledBack.into())
    }

    fn inbox(&self) -> Result<&T::Inbox, HandlerError> {
        let inbox = self.inbox.as_deref().map(|inbox| inbox as &dyn Any);
        let inbox = inbox.and_then(|inbox| inbox.downcast_ref());
        inbox.ok_or_else(|| {
            let wanted = type_name::<T::Inbox>();
            HandlerError::Inbox(InboxError::WrongTransaction { wanted }.into())
        })
    }
}

async fn commit<T: HandlerTransaction<O>, O: Outbox>(
    slot: &Arc<TransactionSlot>,
) -> Result<(), TransactionError> {
    fault_point!("transaction.commit", TransactionError::Unknown);
    let Some(transaction) = slot.take::<T>() else {
        return Err(TransactionError::Other(lost().into()));
    };
    transaction.commit().await?;
    fault_point!("transaction.committed", TransactionError::Unknown);
    Ok(())
}

/// Rolls back, so that nothing is open any more when the error is known. If that fails, the end of the connection does it.
async fn roll_back<T: HandlerTransaction<O>, O: Outbox>(slot: &Arc<TransactionSlot>) {
    if let Some(transaction) = slot.take::<T>()
        && let Err(error) = transaction.rollback().await
    {
        let error = brighter_core::__private::report(&error);
        tracing::debug!(
            error,
            "cannot roll back; the transaction ends with its connection"
        );
    }
}

/// A handler that keeps its context after its end may keep what it borrowed.
fn lost() -> HandlerError {
    HandlerError::Transaction("the transaction is still in use by a call that was to end".into())
}

/// Whether another attempt may succeed, by the error and all its causes.
fn classify<T: HandlerTransaction<O>, O: Outbox>(error: HandlerError) -> AttemptFailure {
    match is_conflict::<T, O>(&error) {
        true => AttemptFailure::Again(error),
        false => AttemptFailure::Final(error),
    }
}

/// Returns whether an error of a handler, of a store or of a transaction says that another transaction was in the way.
pub(crate) fn is_conflict<T: HandlerTransaction<O>, O: Outbox>(error: &HandlerError) -> bool {
    let outermost: &(dyn Error + 'static) = match error {
        HandlerError::Failed(error) | HandlerError::Inbox(error) | HandlerError::Transaction(error) => {
            &**error
        }
        _ => return false,
    };
    std::iter::successors(Some(outermost), |error| {
        let error: &(dyn Error + 'static) = *error;
        error.source()
    })
    .any(T::is_conflict)
}
