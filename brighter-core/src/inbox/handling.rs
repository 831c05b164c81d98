//! [`Handling`]: a request that is being handled, and its completion in the handler's own transaction.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::{ClaimId, Inbox, InboxError, InboxKey};
use crate::context::Context;

/// A transaction of the application in which a request is completed. Its effect and its inbox key are committed
/// together, or not at all.
#[diagnostic::on_unimplemented(
    message = "a request cannot be completed in a `{Self}`",
    label = "no transaction of an inbox",
    note = "pass the transaction of the database that holds the inbox: `&mut sqlx::Transaction<'_, Sqlite>` for a `SqliteInbox`, `…<'_, Postgres>` for a `PostgresInbox`, `…<'_, MySql>` for a `MySqlInbox`"
)]
pub trait InboxTransaction<I: Inbox>: Send {
    /// Records in this transaction that the request was handled, if the claim still holds its key. Returns whether it
    /// does. If not, another process has the request or has handled it, and this transaction must be rolled back.
    ///
    /// # Errors
    /// See [`InboxError`]. Roll back after an error.
    fn complete<'a>(
        &'a mut self,
        inbox: &'a I,
        key: &'a InboxKey,
        claim: ClaimId,
    ) -> BoxFuture<'a, Result<bool, InboxError>>;
}

/// A request that is being handled within `#[use_inbox]`, in the bag of the context: see [`complete_in`].
pub struct Handling {
    inbox: Arc<dyn Inbox>,
    key: Arc<InboxKey>,
    claim: ClaimId,
    completed: AtomicBool,
}

impl Handling {
    #[doc(hidden)]
    pub fn new(inbox: Arc<dyn Inbox>, key: Arc<InboxKey>, claim: ClaimId) -> Self {
        Self {
            inbox,
            key,
            claim,
            completed: AtomicBool::new(false),
        }
    }

    /// Returns whether the handler has completed the request itself.
    #[doc(hidden)]
    pub fn is_completed(&self) -> bool {
        self.completed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handling")
            .field("key", &self.key)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// Marks, in the bag of the context, a request whose key `#[transactional]` records.
#[doc(hidden)]
#[derive(Debug)]
pub struct RecordedInTransaction;

/// Completes the request of this context in the handler's own transaction. The effect and the inbox key are then
/// committed together. So the effect happens exactly once, however often the request is delivered and wherever a
/// process dies. Messages of `cx.deposit_post` in the same transaction are stored exactly once as well.
///
/// `#[transactional]` does all of this by itself; this function is for a handler that begins its own transaction. The
/// handler needs `#[use_inbox]`, and the processor needs an inbox in the database of the transaction. Call this
/// anywhere between the begin and the commit: the earlier the call, the earlier another delivery of the same request is
/// detected. If the transaction is rolled back, the handler must return an error.
///
/// ```no_run
/// # #[cfg(all(feature = "postgres", feature = "macros"))]
/// # mod example {
/// use brighter::inbox::complete_in;
/// use brighter::prelude::*;
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Message)]
/// #[message(topic = "Account.Credit")]
/// pub struct Credit { id: MessageId, account: String, cents: i64 }
///
/// pub struct CreditHandler { pool: sqlx::PgPool }
///
/// #[handler]
/// impl Handler<Credit> for CreditHandler {
///     #[use_inbox(step = 1)]
///     async fn handle(&self, credit: &Credit, cx: &Context) -> Result<(), BoxError> {
///         let mut tx = self.pool.begin().await?;
///         sqlx::query("UPDATE accounts SET cents = cents + $1 WHERE name = $2")
///             .bind(credit.cents)
///             .bind(&credit.account)
///             .execute(&mut *tx)
///             .await?;
///         complete_in(&mut tx, cx).await?;
///         tx.commit().await?;
///         Ok(())
///     }
/// }
/// # }
/// ```
///
/// # Errors
/// Returns [`InboxError::ClaimLost`] if the handler took longer than its lease and another process has or has handled
/// the request. [`InboxError::NotHandling`] and [`InboxError::WrongTransaction`] are mistakes in the program. See
/// [`InboxError`] for the rest. After any error, roll the transaction back and return the error.
pub async fn complete_in<T, I>(transaction: &mut T, cx: &Context) -> Result<(), InboxError>
where
    T: InboxTransaction<I>,
    I: Inbox,
{
    let handling = cx
        .get::<Handling>()
        .ok_or_else(|| match cx.get::<RecordedInTransaction>() {
            Some(_) => InboxError::Transactional,
            None => InboxError::NotHandling,
        })?;
    let inbox: &dyn Any = &*handling.inbox;
    let Some(inbox) = inbox.downcast_ref::<I>() else {
        return Err(InboxError::WrongTransaction {
            wanted: std::any::type_name::<I>(),
        });
    };
    crate::__fault_point!("inbox.complete_in", InboxError::Unavailable);
    if transaction.complete(inbox, &handling.key, handling.claim).await? {
        handling.completed.store(true, Ordering::Release);
        Ok(())
    } else {
        let key = InboxKey::clone(&handling.key);
        Err(InboxError::ClaimLost { key })
    }
}
