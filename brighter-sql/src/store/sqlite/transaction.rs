//! Transactions of handlers in SQLite.

use sqlx::{Sqlite, SqlitePool, SqliteTransaction};

use super::{SqliteInbox, SqliteOutbox};
use crate::database::sqlite::WriteTurn;
use crate::store::transaction::{self, implement_transaction};
use brighter_core::transaction::{IsolationLevel, TransactionError, TransactionGuard, TransactionOptions};

implement_transaction!(SqliteOutbox, SqliteInbox, Sqlite, check, begin);

/// Every transaction is serializable, and has the lock for writing from the start.
fn check(options: &TransactionOptions) -> Result<(), String> {
    match options.isolation {
        Some(level) if level != IsolationLevel::Serializable => {
            return Err(format!(
                "the isolation level `{level}`: every transaction of SQLite is serializable; leave `isolation` out"
            ));
        }
        _ => {}
    }
    if options.read_only {
        return Err(
            "transactions that only read: leave `#[transactional]` out, and read from a pool of the handler"
                .to_owned(),
        );
    }
    Ok(())
}

async fn begin(
    pool: &SqlitePool,
    _: &TransactionOptions,
) -> Result<(SqliteTransaction<'static>, TransactionGuard), TransactionError> {
    let turn = WriteTurn::take(pool).await?;
    // A transaction that reads first and then writes would fail without waiting if another wrote in between.
    let begun = transaction::begin(pool, Some("BEGIN IMMEDIATE".to_owned())).await?;
    Ok((begun, TransactionGuard::new(turn)))
}
