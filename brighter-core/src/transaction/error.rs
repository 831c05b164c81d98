//! [`TransactionError`]: why a transaction of a handler failed.

use crate::error::BoxError;

/// Why a transaction of a handler failed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The database is busy or unavailable. Nothing was committed.
    #[error("the database cannot be reached now; nothing was committed")]
    Unavailable(#[source] BoxError),
    /// Another transaction was in the way. Nothing was committed, and another attempt may succeed.
    #[error("transaction conflict; nothing was committed: run the transaction again")]
    Conflict(#[source] BoxError),
    /// The connection was lost during the commit, so the transaction may be committed. The inbox knows by the key of the
    /// request.
    #[error("the outcome of the commit is unknown")]
    Unknown(#[source] BoxError),
    /// The database has rolled the transaction back because of an error that the handler did not return.
    #[error(
        "the database rolled the transaction back, and the handler returned no error; return the errors of its statements, or run a statement that may fail in a savepoint of its own"
    )]
    RolledBack,
    /// Any other failure. Nothing was committed.
    #[error("the transaction failed; nothing was committed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(TransactionError);
