//! The meaning of an error of SQLite.

use crate::database::error::{Advised, DatabaseError, sorted};

/// The result codes that are distinguished; all but two are primary codes: <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    /// A transaction that began by reading wants to write after another has written: an extended code.
    pub(super) const BUSY_SNAPSHOT: i32 = BUSY | (2 << 8);
    /// The file was moved, replaced or deleted since it was opened: an extended code.
    pub(super) const READONLY_DBMOVED: i32 = READONLY | (4 << 8);
    /// Too many processes opened the write-ahead log at the same moment.
    pub(super) const PROTOCOL: i32 = 15;
}

/// Classifies an error by its code.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| match extended_code(error) {
        Some(code::BUSY_SNAPSHOT) => |source| {
            DatabaseError::Conflict(Advised::boxed(
                "the transaction began by reading, and another has written since: no statement of it will ever write; \
                 begin one that is going to write with `BEGIN IMMEDIATE`",
                source,
            ))
        },
        Some(code::READONLY_DBMOVED) => |source| {
            DatabaseError::Standby(Advised::boxed(
                "the file was moved, replaced or deleted since it was opened",
                source,
            ))
        },
        other => match other.map(|code| code & 0xff) {
            Some(code::FULL) => DatabaseError::Full,
            Some(code::PERM | code::READONLY) => DatabaseError::ReadOnly,
            Some(code::BUSY | code::LOCKED | code::IOERR | code::CANTOPEN | code::PROTOCOL) => {
                DatabaseError::Unavailable
            }
            _ => DatabaseError::Other,
        },
    })
}

/// Returns whether another connection holds the lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    extended_code(error).map(|code| code & 0xff) == Some(code::BUSY)
}

/// Returns the extended code. The lowest byte is the primary code; the higher bytes refine it.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
