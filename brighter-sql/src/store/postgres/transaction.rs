//! Transactions of handlers in PostgreSQL.

use sqlx::{PgPool, PgTransaction, Postgres};

use super::{PostgresInbox, PostgresOutbox};
use crate::store::transaction::{self, implement_transaction};
use brighter_core::transaction::{IsolationLevel, TransactionError, TransactionGuard, TransactionOptions};

implement_transaction!(PostgresOutbox, PostgresInbox, Postgres, check, begin);

fn check(_: &TransactionOptions) -> Result<(), String> {
    Ok(())
}

async fn begin(
    pool: &PgPool,
    options: &TransactionOptions,
) -> Result<(PgTransaction<'static>, TransactionGuard), TransactionError> {
    let begun = transaction::begin(pool, statement(options)).await?;
    Ok((begun, TransactionGuard::none()))
}

/// Returns the statement that begins the transaction, if a plain one does not suffice.
fn statement(options: &TransactionOptions) -> Option<String> {
    let isolation = options.isolation.map(|level| match level {
        IsolationLevel::ReadCommitted => " ISOLATION LEVEL READ COMMITTED",
        IsolationLevel::RepeatableRead => " ISOLATION LEVEL REPEATABLE READ",
        _ => " ISOLATION LEVEL SERIALIZABLE",
    });
    let read_only = options.read_only.then_some(" READ ONLY");
    let has_options = isolation.is_some() || read_only.is_some();
    let (isolation, read_only) = (isolation.unwrap_or_default(), read_only.unwrap_or_default());
    has_options.then(|| format!("BEGIN{isolation}{read_only}"))
}
