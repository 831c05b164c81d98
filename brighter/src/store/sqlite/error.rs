//! What an error of SQLite means to who uses the outbox.

use std::io;

use crate::outbox::OutboxError;

/// The primary result codes that mean something to us: <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    /// Too many opened the write-ahead log at the same moment.
    pub(super) const PROTOCOL: i32 = 15;
}

/// Sorts an error by its code, never by its text.
pub(super) fn outbox_error(error: sqlx::Error) -> OutboxError {
    let sort: fn(_) -> OutboxError = match &error {
        sqlx::Error::Database(_) => match primary_code(&error) {
            Some(code::FULL) => OutboxError::Full,
            Some(code::PERM | code::READONLY) => OutboxError::ReadOnly,
            Some(code::BUSY | code::LOCKED | code::IOERR | code::CANTOPEN | code::PROTOCOL) => {
                OutboxError::Unavailable
            }
            _ => OutboxError::Other,
        },
        sqlx::Error::Io(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OutboxError::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OutboxError::ReadOnly,
            // A path that cannot be one.
            io::ErrorKind::InvalidData => OutboxError::Other,
            _ => OutboxError::Unavailable,
        },
        // The next try gets another connection.
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => OutboxError::Unavailable,
        // Whoever closed the pool will not open it again. The rest are mistakes in a program.
        _ => OutboxError::Other,
    };
    sort(error.into())
}

/// Whether another connection holds the lock that was wanted.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::BUSY)
}

/// SQLite says more in the higher bytes of a code, in ever more ways; the lowest is the sort of error.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
