//! Transactions of handlers in MySQL and MariaDB.

use sqlx::{MySql, MySqlPool, MySqlTransaction};

use super::{MySqlInbox, MySqlOutbox};
use crate::store::transaction::{self, implement_transaction};
use brighter_core::transaction::{IsolationLevel, TransactionError, TransactionGuard, TransactionOptions};

implement_transaction!(MySqlOutbox, MySqlInbox, MySql, check, begin);

fn check(_: &TransactionOptions) -> Result<(), String> {
    Ok(())
}

async fn begin(
    pool: &MySqlPool,
    options: &TransactionOptions,
) -> Result<(MySqlTransaction<'static>, TransactionGuard), TransactionError> {
    let begun = transaction::begin(pool, statement(options)).await?;
    Ok((begun, TransactionGuard::none()))
}

/// Returns the statements that begin the transaction, if a plain one does not suffice. The level holds for the next
/// transaction of the connection only.
fn statement(options: &TransactionOptions) -> Option<String> {
    let level = options.isolation.map(|level| match level {
        IsolationLevel::ReadCommitted => "READ COMMITTED",
        IsolationLevel::RepeatableRead => "REPEATABLE READ",
        _ => "SERIALIZABLE",
    });
    let start = match options.read_only {
        true => "START TRANSACTION READ ONLY",
        false => "START TRANSACTION",
    };
    match level {
        Some(level) => Some(format!("SET TRANSACTION ISOLATION LEVEL {level}; {start}")),
        None => options.read_only.then(|| start.to_owned()),
    }
}
