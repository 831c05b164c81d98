//! What an error of a database means, whoever asked it.

use std::io;

use crate::error::BoxError;
use crate::inbox::InboxError;
use crate::outbox::OutboxError;

/// What an error of a database means.
#[derive(Debug)]
pub(crate) enum StoreError {
    Full(BoxError),
    Unavailable(BoxError),
    ReadOnly(BoxError),
    NewerSchema { found: i64, known: i64 },
    Other(BoxError),
}

impl From<StoreError> for OutboxError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(source) => Self::Full(source),
            StoreError::Unavailable(source) => Self::Unavailable(source),
            StoreError::ReadOnly(source) => Self::ReadOnly(source),
            StoreError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            StoreError::Other(source) => Self::Other(source),
        }
    }
}

impl From<StoreError> for InboxError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(source) => Self::Full(source),
            StoreError::Unavailable(source) => Self::Unavailable(source),
            StoreError::ReadOnly(source) => Self::ReadOnly(source),
            StoreError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            StoreError::Other(source) => Self::Other(source),
        }
    }
}

/// Which error it is, with the source still to come.
pub(crate) type Sort = fn(BoxError) -> StoreError;

/// Sorts an error; `of_database` does it for those that the database itself answered with.
pub(crate) fn sorted(error: sqlx::Error, of_database: fn(&sqlx::Error) -> Sort) -> StoreError {
    let sort: Sort = match &error {
        sqlx::Error::Database(_) => of_database(&error),
        sqlx::Error::Io(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
            // A path that cannot be one.
            io::ErrorKind::InvalidData => StoreError::Other,
            _ => StoreError::Unavailable,
        },
        // The next try gets another connection.
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => StoreError::Unavailable,
        // Whoever closed the pool will not open it again. The rest are mistakes in a program.
        _ => StoreError::Other,
    };
    sort(error.into())
}
