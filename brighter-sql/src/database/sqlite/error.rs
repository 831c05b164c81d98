//! What an error of SQLite means.

use crate::database::error::{DatabaseError, sorted};

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

/// Sorts an error by its code.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| match primary_code(error) {
        Some(code::FULL) => DatabaseError::Full,
        Some(code::PERM | code::READONLY) => DatabaseError::ReadOnly,
        Some(code::BUSY | code::LOCKED | code::IOERR | code::CANTOPEN | code::PROTOCOL) => {
            DatabaseError::Unavailable
        }
        _ => DatabaseError::Other,
    })
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
