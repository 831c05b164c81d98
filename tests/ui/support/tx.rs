// A transaction of an outbox, for what is only compiled.

use std::error::Error;
use std::marker::PhantomData;

use brighter::inbox::{ClaimId, Fingerprint, InboxError, InboxKey};
use brighter::transaction::{
    HandlerTransaction, Recorded, TransactionError, TransactionGuard, TransactionOptions,
};
use brighter::{InMemoryInbox, InMemoryOutbox};

pub struct Tx<'a>(PhantomData<&'a ()>);

#[derive(Clone)]
pub struct TxPool;

type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl HandlerTransaction<InMemoryOutbox> for Tx<'static> {
    type Inbox = InMemoryInbox;
    type Pool = TxPool;

    fn pool(_: &InMemoryOutbox) -> TxPool {
        TxPool
    }

    fn check(_: &TransactionOptions) -> Result<(), String> {
        Ok(())
    }

    fn begin<'a>(
        _: &'a TxPool,
        _: &'a TransactionOptions,
    ) -> Boxed<'a, Result<(Self, TransactionGuard), TransactionError>> {
        Box::pin(async { Ok((Tx(PhantomData), TransactionGuard::none())) })
    }

    fn record<'a>(
        &'a mut self,
        _: &'a InMemoryInbox,
        keys: &'a [(&'a InboxKey, Option<Fingerprint>)],
        _: ClaimId,
    ) -> Boxed<'a, Result<Vec<Recorded>, InboxError>> {
        Box::pin(async { Ok(keys.iter().map(|_| Recorded::New).collect()) })
    }

    fn holds<'a>(
        &'a mut self,
        _: &'a InMemoryInbox,
        _: &'a InboxKey,
        _: ClaimId,
    ) -> Boxed<'a, Result<bool, InboxError>> {
        Box::pin(async { Ok(true) })
    }

    fn mark(&mut self) -> Boxed<'_, Result<(), TransactionError>> {
        Box::pin(async { Ok(()) })
    }

    fn undo(&mut self) -> Boxed<'_, Result<(), TransactionError>> {
        Box::pin(async { Ok(()) })
    }

    fn commit(self) -> Boxed<'static, Result<(), TransactionError>> {
        Box::pin(async { Ok(()) })
    }

    fn rollback(self) -> Boxed<'static, Result<(), TransactionError>> {
        Box::pin(async { Ok(()) })
    }

    fn is_conflict(_: &(dyn Error + 'static)) -> bool {
        false
    }
}
