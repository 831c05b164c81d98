//! The transactions of `#[transactional]` handlers, in any supported database.

use std::error::Error;

use sqlx::{Pool, Transaction};

use crate::database::backend::in_time;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;
use brighter_core::inbox::InboxError;
use brighter_core::outbox::OutboxError;
use brighter_core::transaction::TransactionError;

impl From<DatabaseError> for TransactionError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(source) | DatabaseError::Standby(source) => Self::Unavailable(source),
            DatabaseError::Conflict(source) => Self::Conflict(source),
            DatabaseError::Full(source) | DatabaseError::ReadOnly(source) | DatabaseError::Other(source) => {
                Self::Other(source)
            }
            DatabaseError::Tables(source) => Self::Other(source.into()),
            error @ DatabaseError::NewerSchema { .. } => Self::Other(format!("{error:?}").into()),
        }
    }
}

/// The name of the mark is free for the application, which may use another one inside.
const MARK: &str = "SAVEPOINT brighter_attempt";
const UNDO: &str = "ROLLBACK TO SAVEPOINT brighter_attempt";

/// The number of connections in a row that may still be in a transaction that SQLite itself has ended.
const STALE: usize = 16;

/// Begins a transaction in a pool.
pub(crate) async fn begin<D: Sql>(
    pool: &Pool<D>,
    statement: Option<String>,
) -> Result<Transaction<'static, D>, TransactionError> {
    in_time(async {
        for _ in 0..STALE {
            let begun = match &statement {
                Some(statement) => pool.begin_with(sqlx::AssertSqlSafe(statement.as_str())).await,
                None => pool.begin().await,
            };
            match begun {
                // Dropping it has ended that transaction.
                Err(sqlx::Error::InvalidSavePointStatement) => {}
                begun => return begun.map_err(D::sort).map_err(TransactionError::from),
            }
        }
        let reason = "every connection of the pool is still in another transaction";
        Err(TransactionError::Unavailable(reason.into()))
    })
    .await
}

pub(crate) async fn mark<D: Sql>(connection: &mut D::Connection) -> Result<(), TransactionError> {
    run::<D>(connection, MARK).await
}

pub(crate) async fn undo<D: Sql>(connection: &mut D::Connection) -> Result<(), TransactionError> {
    run::<D>(connection, UNDO).await
}

async fn run<D: Sql>(connection: &mut D::Connection, statement: &str) -> Result<(), TransactionError> {
    in_time(async {
        let done = D::script(connection, statement).await;
        done.map_err(D::sort).map_err(TransactionError::from)
    })
    .await
}

/// Commits. What the database itself refused is not committed, unless it was about to stop.
pub(crate) async fn commit<D: Sql>(transaction: Transaction<'static, D>) -> Result<(), TransactionError> {
    let committed = in_time(async {
        let committed = transaction.commit().await;
        committed.map_err(|error| {
            let is_conflict = D::is_conflict(&error);
            let is_answer = matches!(error, sqlx::Error::Database(_));
            match D::sort(error) {
                DatabaseError::Conflict(source) => TransactionError::Conflict(source),
                DatabaseError::Unavailable(source) if is_conflict => TransactionError::Conflict(source),
                DatabaseError::Unavailable(source) => TransactionError::Unknown(source),
                DatabaseError::Other(source) if !is_answer => TransactionError::Unknown(source),
                other => other.into(),
            }
        })
    });
    committed.await.map_err(|error| match error {
        // The deadline.
        TransactionError::Unavailable(source) => TransactionError::Unknown(source),
        other => other,
    })
}

pub(crate) async fn rollback<D: Sql>(transaction: Transaction<'static, D>) -> Result<(), TransactionError> {
    in_time(async {
        let done = transaction.rollback().await;
        done.map_err(D::sort).map_err(TransactionError::from)
    })
    .await
}

pub(crate) fn is_conflict<D: Sql>(error: &(dyn Error + 'static)) -> bool {
    let of_store = |error: &(dyn Error + 'static)| {
        matches!(error.downcast_ref(), Some(InboxError::Conflict(_)))
            || matches!(error.downcast_ref(), Some(OutboxError::Conflict(_)))
            || matches!(error.downcast_ref(), Some(TransactionError::Conflict(_)))
    };
    of_store(error) || D::is_conflict(error)
}

/// Implements [`HandlerTransaction`](brighter_core::transaction::HandlerTransaction) for the transactions of a database.
/// `$begin` begins one, and `$check` refuses options.
macro_rules! implement_transaction {
    ($outbox:ident, $inbox:ident, $database:ty, $check:path, $begin:path) => {
        const _: () = {
            use std::error::Error;

            use futures_util::future::BoxFuture;

            use crate::store::transaction;
            use brighter_core::inbox::{ClaimId, Fingerprint, InboxError, InboxKey};
            use brighter_core::transaction::{
                HandlerTransaction, Recorded, TransactionError, TransactionGuard, TransactionOptions,
            };

            type Done<T> = BoxFuture<'static, Result<T, TransactionError>>;

            impl HandlerTransaction<$outbox> for sqlx::Transaction<'static, $database> {
                type Inbox = $inbox;
                type Pool = sqlx::Pool<$database>;

                fn pool(outbox: &$outbox) -> Self::Pool {
                    outbox.pool().clone()
                }

                fn check(options: &TransactionOptions) -> Result<(), String> {
                    $check(options)
                }

                fn begin<'a>(
                    pool: &'a Self::Pool,
                    options: &'a TransactionOptions,
                ) -> BoxFuture<'a, Result<(Self, TransactionGuard), TransactionError>> {
                    Box::pin($begin(pool, options))
                }

                fn record<'a>(
                    &'a mut self,
                    inbox: &'a $inbox,
                    keys: &'a [(&'a InboxKey, Option<Fingerprint>)],
                    claim: ClaimId,
                ) -> BoxFuture<'a, Result<Vec<Recorded>, InboxError>> {
                    Box::pin(inbox.0.record(self, keys, claim))
                }

                fn holds<'a>(
                    &'a mut self,
                    inbox: &'a $inbox,
                    key: &'a InboxKey,
                    claim: ClaimId,
                ) -> BoxFuture<'a, Result<bool, InboxError>> {
                    Box::pin(inbox.0.holds(self, key, claim))
                }

                fn mark(&mut self) -> BoxFuture<'_, Result<(), TransactionError>> {
                    Box::pin(transaction::mark::<$database>(self))
                }

                fn undo(&mut self) -> BoxFuture<'_, Result<(), TransactionError>> {
                    Box::pin(transaction::undo::<$database>(self))
                }

                fn commit(self) -> Done<()> {
                    Box::pin(transaction::commit(self))
                }

                fn rollback(self) -> Done<()> {
                    Box::pin(transaction::rollback(self))
                }

                fn is_conflict(error: &(dyn Error + 'static)) -> bool {
                    transaction::is_conflict::<$database>(error)
                }
            }
        };
    };
}

pub(crate) use implement_transaction;
