//! The meaning of an error of SQLite.

use std::error::Error;

use sqlx::sqlite::SqliteError;

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
    /// The extended code for a file beside the database that may not be made or written.
    pub(super) const READONLY_CANTLOCK: i32 = READONLY | (2 << 8);
    pub(super) const READONLY_CANTINIT: i32 = READONLY | (5 << 8);
    pub(super) const READONLY_DIRECTORY: i32 = READONLY | (6 << 8);
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
        Some(code::READONLY_CANTLOCK | code::READONLY_CANTINIT | code::READONLY_DIRECTORY) => |source| {
            DatabaseError::ReadOnly(Advised::boxed(
                "the folder of the file, or what SQLite keeps beside it (`-wal`, `-shm`, `-journal`), may not be written",
                source,
            ))
        },
        Some(code::READONLY) => |source| {
            DatabaseError::ReadOnly(Advised::boxed(
                "this is a file, or a connection to it, that may only be read: its mode, its file system, or `read_only` or \
                 `query_only` of the pool says so",
                source,
            ))
        },
        Some(code::BUSY) => |source| {
            DatabaseError::Unavailable(Advised::boxed(
                "another connection is writing; a transaction that began by reading is not made to wait for it: begin one \
                 that is going to write with `BEGIN IMMEDIATE`",
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

/// Returns whether another transaction was in the way.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    let code = match error.downcast_ref::<sqlx::Error>() {
        Some(error) => extended_code(error),
        None => error
            .downcast_ref::<SqliteError>()
            .and_then(|error| sqlx::error::DatabaseError::code(error)?.parse().ok()),
    };
    matches!(code.map(|code| code & 0xff), Some(code::BUSY | code::LOCKED))
}

/// Returns whether another connection holds the lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    extended_code(error).map(|code| code & 0xff) == Some(code::BUSY)
}

/// Returns the extended code. The lowest byte is the primary code; the higher bytes refine it.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
