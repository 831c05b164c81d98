//! What [`Wiring`] hands out for `#[transactional]`, and the innermost service of such a pipeline.

use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use futures_util::future::BoxFuture;
use tower::Service;

use super::service::Attempts;
use super::{InboxContext, Step, StepLayer, Wiring, WiringError};
use crate::duplicate::{DuplicateReply, Duplicates, OnDuplicate};
use crate::handler::{Call, TransactionSlot, TransactionalHandler};
use crate::layer::{TransactionalLayer, UnitOfWork, is_conflict};
use brighter_core::__private::{fault_point, short};
use brighter_core::error::HandlerError;
use brighter_core::inbox::Inbox;
use brighter_core::outbox::Outbox;
use brighter_core::request::Request;
use brighter_core::transaction::{HandlerTransaction, IsolationLevel, TransactionOptions};

/// The innermost service of a pipeline with `#[transactional]`: calls the handler with its transaction.
#[derive(Debug)]
pub struct TransactionalHandlerService<H, O> {
    handler: Arc<H>,
    attempts: Attempts,
    outbox: PhantomData<fn() -> O>,
}

impl<H, O> TransactionalHandlerService<H, O> {
    /// Returns the service of this handler.
    pub fn new<R>(handler: Arc<H>) -> Self
    where
        R: Request,
        H: TransactionalHandler<R, Transaction: HandlerTransaction<O>>,
        O: Outbox,
    {
        Self {
            handler,
            attempts: Attempts::of::<H>(),
            outbox: PhantomData,
        }
    }
}

impl<H, O> Clone for TransactionalHandlerService<H, O> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            attempts: self.attempts.clone(),
            outbox: PhantomData,
        }
    }
}

impl<R, H, O> Service<Call<R>> for TransactionalHandlerService<H, O>
where
    R: Request,
    H: TransactionalHandler<R, Transaction: HandlerTransaction<O>>,
    O: Outbox,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = BoxFuture<'static, Result<R::Reply, HandlerError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let handler = Arc::clone(&self.handler);
        let attempt = {
            let call = call.clone();
            async move { attempt::<R, H, O>(&handler, &call).await }
        };
        Box::pin(self.attempts.run(call.context(), attempt))
    }
}

async fn attempt<R, H, O>(handler: &H, call: &Call<R>) -> Result<R::Reply, HandlerError>
where
    R: Request,
    H: TransactionalHandler<R, Transaction: HandlerTransaction<O>>,
    O: Outbox,
{
    fault_point!("handler.before", HandlerError::Failed);
    let cx = call.context();
    let closed = || HandlerError::Transaction("the transaction has ended, or another attempt has it".into());
    let slot = cx.get::<TransactionSlot>().ok_or_else(closed)?;
    let mut borrowed = slot.borrow().ok_or_else(closed)?;
    let tx = borrowed.get::<H::Transaction>().ok_or_else(closed)?;
    if slot.has_attempts() {
        let marked = match slot.begin_attempt() {
            true => tx.undo().await,
            false => tx.mark().await,
        };
        marked.map_err(|error| HandlerError::Failed(error.into()))?;
    }
    let result = handler.handle(call.request(), tx, cx).await;
    match result.map_err(|error| HandlerError::from(error.into())) {
        Ok(reply) => {
            slot.attempt_succeeded();
            fault_point!("handler.after", HandlerError::Failed);
            Ok(reply)
        }
        // Nothing can succeed in this transaction any more, so no policy inside it is to try.
        Err(error) if is_conflict::<H::Transaction, O>(&error) => {
            let report = error.report();
            slot.set_conflict(error);
            Err(HandlerError::Transaction(report.into()))
        }
        Err(error) => Err(error),
    }
}

impl Wiring<'_> {
    /// `#[transactional(on_duplicate = warn)]`.
    pub fn transactional_or_warn<R, T, O>(
        &mut self,
        step: Step,
        context: InboxContext,
        isolation: Option<IsolationLevel>,
        pool: Option<T::Pool>,
        has_attempts: bool,
    ) -> StepLayer<TransactionalLayer<R, T, O>>
    where
        R: Request<Reply: DuplicateReply>,
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let warn = OnDuplicate::Warn(R::Reply::duplicate_reply);
        self.transactional(step, context, isolation, pool, has_attempts, "warn", warn)
    }

    /// `#[transactional(on_duplicate = reject)]`.
    pub fn transactional_or_reject<R, T, O>(
        &mut self,
        step: Step,
        context: InboxContext,
        isolation: Option<IsolationLevel>,
        pool: Option<T::Pool>,
        has_attempts: bool,
    ) -> StepLayer<TransactionalLayer<R, T, O>>
    where
        R: Request,
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let reject = OnDuplicate::Reject;
        self.transactional(step, context, isolation, pool, has_attempts, "reject", reject)
    }

    /// `#[transactional(on_duplicate = replay)]`.
    pub fn transactional_or_replay<R, T, O>(
        &mut self,
        step: Step,
        context: InboxContext,
        isolation: Option<IsolationLevel>,
        pool: Option<T::Pool>,
        has_attempts: bool,
    ) -> StepLayer<TransactionalLayer<R, T, O>>
    where
        R: Request<Reply: DuplicateReply>,
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let replay = self.replay::<R>(step);
        self.transactional(step, context, isolation, pool, has_attempts, "replay", replay)
    }

    /// `#[transactional(read_only)]`.
    pub fn transactional_read_only<R, T, O>(
        &mut self,
        step: Step,
        isolation: Option<IsolationLevel>,
        pool: Option<T::Pool>,
        has_attempts: bool,
    ) -> StepLayer<TransactionalLayer<R, T, O>>
    where
        R: Request,
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let options = TransactionOptions::default().isolation(isolation).read_only(true);
        let level = isolation.map_or_else(String::new, |level| format!(", {level}"));
        self.note(step, "transactional", format!("read only{level}"));
        let pool = self.pool_of::<T, O>(step, &options, pool);
        self.step(TransactionalLayer::new(
            UnitOfWork::new(pool, options, None, has_attempts),
            None,
        ))
    }

    #[expect(clippy::too_many_arguments, reason = "each is an argument of the attribute")]
    fn transactional<R, T, O>(
        &mut self,
        step: Step,
        context: InboxContext,
        isolation: Option<IsolationLevel>,
        pool: Option<T::Pool>,
        has_attempts: bool,
        duplicates: &str,
        on_duplicate: OnDuplicate<R>,
    ) -> StepLayer<TransactionalLayer<R, T, O>>
    where
        R: Request,
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let context = context.name::<R>();
        let level = isolation.map_or_else(String::new, |level| format!(", {level}"));
        self.note(
            step,
            "transactional",
            format!("{context}, on duplicate: {duplicates}{level}"),
        );
        self.take_context(step, &context);
        let inbox = self.inbox_of::<T, O>(step);
        let options = TransactionOptions::default().isolation(isolation);
        let pool = self.pool_of::<T, O>(step, &options, pool);
        let unit = UnitOfWork::new(pool, options, inbox, has_attempts);
        let unsent = Arc::clone(&self.provided.unsent);
        let duplicates = Duplicates::new(&context, on_duplicate, unsent);
        self.step(TransactionalLayer::new(unit, Some(duplicates)))
    }

    /// Returns the inbox, if it is one for these transactions. Without it nothing is built.
    fn inbox_of<T, O>(&mut self, step: Step) -> Option<Arc<dyn Inbox>>
    where
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let (handler, step) = (self.handler, step.number);
        let Some(inbox) = self.provided.inbox.clone() else {
            self.errors.push(WiringError::NoTransactionalInbox {
                handler,
                step,
                wanted: short(type_name::<T::Inbox>()),
            });
            return None;
        };
        if !(&*inbox as &dyn Any).is::<T::Inbox>() {
            self.errors.push(WiringError::OtherTransactionalInbox {
                handler,
                step,
                wanted: short(type_name::<T::Inbox>()),
            });
        }
        Some(inbox)
    }

    /// Returns the pool that the attribute gives, or else that of the outbox. Without it nothing is built.
    fn pool_of<T, O>(
        &mut self,
        step: Step,
        options: &TransactionOptions,
        given: Option<T::Pool>,
    ) -> Option<T::Pool>
    where
        T: HandlerTransaction<O>,
        O: Outbox,
    {
        let (handler, step, wanted) = (self.handler, step.number, short(type_name::<O>()));
        if let Err(reason) = T::check(options) {
            self.errors.push(WiringError::TransactionOption {
                handler,
                step,
                reason,
            });
        }
        let outbox = self.provided.outbox.as_deref();
        let found = outbox.map(|outbox| (outbox as &dyn Any).downcast_ref::<O>());
        match (given, found) {
            // What is deposited with another transaction than the outbox's fails, and says so.
            (Some(pool), _) => Some(pool),
            (None, Some(Some(outbox))) => Some(T::pool(outbox)),
            (None, Some(None)) => {
                self.errors.push(WiringError::OtherTransactionalOutbox {
                    handler,
                    step,
                    wanted,
                });
                None
            }
            (None, None) => {
                self.errors.push(WiringError::NoTransactionalOutbox {
                    handler,
                    step,
                    wanted,
                });
                None
            }
        }
    }
}
