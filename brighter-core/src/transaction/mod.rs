//! [`HandlerTransaction`]: a transaction that `#[transactional]` begins for a handler, and commits after it.

mod error;
mod guard;
mod options;

use std::error::Error;

use futures_util::future::BoxFuture;

pub use error::TransactionError;
pub use guard::TransactionGuard;
pub use options::{IsolationLevel, TransactionOptions};

use crate::inbox::{ClaimId, Fingerprint, Inbox, InboxError, InboxKey};
use crate::outbox::Outbox;

/// A transaction that `#[transactional]` begins in a pool of connections, passes to a handler, and commits or rolls back
/// after it.
///
/// The types of sqlx implement it: `sqlx::Transaction<'static, Sqlite>` for a `SqliteOutbox`, `…<'static, Postgres>` for
/// a `PostgresOutbox`, `…<'static, MySql>` for a `MySqlOutbox`. An adapter for another database implements it for the
/// transactions of its library.
///
/// A transaction that is dropped is rolled back.
#[diagnostic::on_unimplemented(
    message = "`#[transactional]` cannot begin a `{Self}`",
    label = "no transaction of a handler",
    note = "write the type of the database that has the outbox: `tx: &mut sqlx::SqliteTransaction<'_>` for a `SqliteOutbox`, `&mut sqlx::PgTransaction<'_>` for a `PostgresOutbox`, `&mut sqlx::MySqlTransaction<'_>` for a `MySqlOutbox`"
)]
pub trait HandlerTransaction<O: Outbox>: Send + Sized + 'static {
    /// The inbox that can be written in such a transaction.
    type Inbox: Inbox;
    /// The connections in which it is begun.
    type Pool: Clone + Send + Sync + 'static;

    /// Returns the connections of the outbox.
    fn pool(outbox: &O) -> Self::Pool;

    /// Checks that the database supports these options.
    ///
    /// # Errors
    /// An option that the database does not support: the text says why, and what to do.
    fn check(options: &TransactionOptions) -> Result<(), String>;

    /// Begins a transaction. Returns the transaction, and a guard to hold until it has ended.
    ///
    /// # Errors
    /// See [`TransactionError`].
    fn begin<'a>(
        pool: &'a Self::Pool,
        options: &'a TransactionOptions,
    ) -> BoxFuture<'a, Result<(Self, TransactionGuard), TransactionError>>;

    /// Records in this transaction that these requests are handled. A request that is recorded already stays as it is.
    /// Returns the state of each request, in the same order. If another transaction recorded one of the keys, this call
    /// waits until that transaction ends.
    ///
    /// # Errors
    /// See [`InboxError`]. Roll back after an error.
    fn record<'a>(
        &'a mut self,
        inbox: &'a Self::Inbox,
        keys: &'a [(&'a InboxKey, Option<Fingerprint>)],
        claim: ClaimId,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, InboxError>>;

    /// Returns whether the transaction still has the key that it recorded. It does not if the database has rolled the
    /// transaction back, or will do so in place of a commit: because of an error that the handler did not return.
    ///
    /// # Errors
    /// See [`InboxError`].
    fn holds<'a>(
        &'a mut self,
        inbox: &'a Self::Inbox,
        key: &'a InboxKey,
        claim: ClaimId,
    ) -> BoxFuture<'a, Result<bool, InboxError>>;

    /// Marks the state to which [`undo`](Self::undo) returns.
    ///
    /// # Errors
    /// See [`TransactionError`].
    fn mark(&mut self) -> BoxFuture<'_, Result<(), TransactionError>>;

    /// Returns to the state that was marked, and keeps the mark.
    ///
    /// # Errors
    /// See [`TransactionError`].
    fn undo(&mut self) -> BoxFuture<'_, Result<(), TransactionError>>;

    /// Commits.
    ///
    /// # Errors
    /// See [`TransactionError`]. After [`Unknown`](TransactionError::Unknown) it may be committed.
    fn commit(self) -> BoxFuture<'static, Result<(), TransactionError>>;

    /// Rolls back, and waits until that is done.
    ///
    /// # Errors
    /// See [`TransactionError`]. The connection then ends, and the transaction with it.
    fn rollback(self) -> BoxFuture<'static, Result<(), TransactionError>>;

    /// Returns whether this error, without its causes, says that another transaction was in the way: a serialization
    /// failure, a deadlock, or a lock. The whole transaction may then succeed when it is run again.
    fn is_conflict(error: &(dyn Error + 'static)) -> bool;
}

/// The result of [`HandlerTransaction::record`] for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// The request is new, and its key is now part of the transaction.
    New,
    /// The request was handled before, under this claim.
    Done(ClaimId),
    /// A claim of `#[use_inbox]` holds the key, for this much longer.
    Running {
        /// The rest of the lease.
        left: std::time::Duration,
    },
    /// A request with the same key and other content was handled, or is being handled.
    Collision,
}
